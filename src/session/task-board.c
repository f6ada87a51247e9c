/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pickle/siphash.h"
#include "session/task-board.h"

struct TaskBoard {
        Task tasks[TASK_BOARD_MAX];
        size_t n;
        size_t bytes;
        char *deleted[TASK_DELETED_MAX];
        uint64_t deleted_hash[TASK_DELETED_MAX];
        size_t n_deleted;
        uint64_t stamp;
};

TaskBoard *task_board_new(void)
{
        return calloc(1, sizeof(TaskBoard));
}

static void task_done(Task *t)
{
        free(t->id);
        free(t->author);
        free(t->text);
}

TaskBoard *task_board_free(TaskBoard *b)
{
        if (!b)
                return NULL;
        for (size_t i = 0; i < b->n; i++)
                task_done(&b->tasks[i]);
        for (size_t i = 0; i < b->n_deleted; i++)
                free(b->deleted[i]);
        free(b);
        return NULL;
}

size_t task_board_length(const TaskBoard *b)
{
        return b->n;
}

const Task *task_board_get(const TaskBoard *b, size_t i)
{
        return &b->tasks[i];
}

uint64_t task_id_hash(const char *id)
{
        static const uint8_t key[16];
        SipHash h;
        uint64_t digest[2];
        siphash_begin(&h, key);
        siphash_add(&h, id, strlen(id));
        siphash_end(&h, digest);
        return digest[0];
}

/* By hash first: clients send all that they know with each change. */
static Task *find(TaskBoard *b, const char *id)
{
        uint64_t hash = task_id_hash(id);
        for (size_t i = 0; i < b->n; i++)
                if (b->tasks[i].id_hash == hash && strcmp(b->tasks[i].id, id) == 0)
                        return &b->tasks[i];
        return NULL;
}

const Task *task_board_find(const TaskBoard *b, const char *id)
{
        return find((TaskBoard *)b, id);
}

uint64_t task_board_stamp(const TaskBoard *b)
{
        return b->stamp;
}

void task_board_set_stamp(TaskBoard *b, uint64_t stamp)
{
        b->stamp = MAX(b->stamp, stamp);
}

bool task_board_was_deleted(const TaskBoard *b, const char *id)
{
        uint64_t hash = task_id_hash(id);
        for (size_t i = 0; i < b->n_deleted; i++)
                if (b->deleted_hash[i] == hash && strcmp(b->deleted[i], id) == 0)
                        return true;
        return false;
}

const char *task_board_deleted(const TaskBoard *b, size_t i)
{
        return i < b->n_deleted ? b->deleted[i] : NULL;
}

/* ---- the form ---- */

void task_item_done(TaskItem *item)
{
        free(item->id);
        free(item->text);
        *item = (TaskItem){ 0 };
}

static bool fields_are_good(json_object *o)
{
        static const char *const optional[] = { "description", "assigned_to", "status", "created_by", "object_name" };
        const char *text;
        double time;
        if (!json_object_is_type(o, json_type_object) || !json_item_id(o, &text) ||
            !json_item_text(o, "title", INT32_MAX, &text))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(optional); i++)
                if (json_object_object_get_ex(o, optional[i], NULL) && !json_item_text(o, optional[i], INT32_MAX, &text))
                        return false;
        return !json_object_object_get_ex(o, "created_at", NULL) || json_item_time(o, "created_at", &time);
}

static int add_created_at(json_object *form, json_object *o, uint64_t wall)
{
        json_object *created = json_object_object_get(o, "created_at");
        if (created)
                return json_item_add(form, "created_at", json_object_get(created));
        char text[32];
        snprintf(text, sizeof text, "%llu.%06u", (unsigned long long)(wall / USEC_PER_SEC), (unsigned)(wall % USEC_PER_SEC));
        return json_item_add(form, "created_at", json_object_new_double_s((double)wall / USEC_PER_SEC, text));
}

/* Of what can be changed: a copy that lacks the rest, or has it rounded, is the same. The digest is on disk, so its key is
 * no secret; who finds a collision makes an own change look like an old copy. */
static uint64_t digest_of(json_object *form)
{
        static const char *const fields[] = { "title", "description", "assigned_to", "status", "object_name" };
        static const uint8_t key[16] = "scenekeep tasks";
        SipHash h;
        uint64_t digest[2];
        siphash_begin(&h, key);
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                const char *text = json_object_get_string(json_object_object_get(form, fields[i]));
                siphash_add(&h, text, strlen(text) + 1);
        }
        siphash_end(&h, digest);
        return digest[0];
}

int task_item_read(json_object *o, uint64_t wall, TaskItem *ret)
{
        if (!fields_are_good(o))
                return 1;
        _cleanup_json_ json_object *form = json_object_new_object();
        if (!form || json_item_copy(form, o, "id", "") < 0 || json_item_copy(form, o, "title", "") < 0 ||
            json_item_copy(form, o, "description", "") < 0 || json_item_copy(form, o, "assigned_to", "") < 0 ||
            json_item_copy(form, o, "status", "todo") < 0 || json_item_copy(form, o, "created_by", "") < 0 ||
            add_created_at(form, o, wall) < 0 || json_item_copy(form, o, "object_name", "") < 0)
                return -ENOMEM;
        _cleanup_task_item_ TaskItem item = { .digest = digest_of(form) };
        item.id = strdup(json_object_get_string(json_object_object_get(form, "id")));
        item.text = json_item_print(form, &item.text_size);
        if (!item.id || !item.text)
                return -ENOMEM;
        int r = 0;
        if (item.text_size > JSON_ITEM_SIZE_MAX) {
                free(TAKE_PTR(item.text));
                r = 2;
        }
        *ret = item;
        item = (TaskItem){ 0 };
        return r;
}

/* ---- changes ---- */

static void push_version(Task *t, uint64_t digest, uint64_t replaced)
{
        if (t->n_versions == TASK_VERSIONS_MAX)
                memmove(t->versions, t->versions + 1, --t->n_versions * sizeof *t->versions);
        t->versions[t->n_versions++] = (TaskVersion){ digest, replaced };
}

int task_board_put(TaskBoard *b, TaskItem *item, const char *author)
{
        Task *t = find(b, item->id);
        size_t bytes = b->bytes - (t ? t->text_size : 0) + item->text_size;
        if (bytes > TASK_BOARD_BYTES_MAX || (!t && b->n == TASK_BOARD_MAX))
                return 1;
        if (!t) {
                char *copy = strdup(author);
                if (!copy)
                        return -ENOMEM;
                uint64_t hash = task_id_hash(item->id);
                t = &b->tasks[b->n++];
                *t = (Task){ .id = TAKE_PTR(item->id), .id_hash = hash, .author = copy, .added = ++b->stamp };
        } else {
                push_version(t, t->digest, ++b->stamp);
                free(t->text);
        }
        t->text = TAKE_PTR(item->text);
        t->text_size = item->text_size;
        t->digest = item->digest;
        b->bytes = bytes;
        task_item_done(item);
        return 0;
}

int task_board_delete(TaskBoard *b, const char *id)
{
        if (!task_board_was_deleted(b, id)) {
                char *copy = strdup(id);
                if (!copy)
                        return -ENOMEM;
                if (b->n_deleted == TASK_DELETED_MAX) {
                        free(b->deleted[0]);
                        memmove(b->deleted, b->deleted + 1, --b->n_deleted * sizeof *b->deleted);
                        memmove(b->deleted_hash, b->deleted_hash + 1, b->n_deleted * sizeof *b->deleted_hash);
                }
                b->deleted_hash[b->n_deleted] = task_id_hash(id);
                b->deleted[b->n_deleted++] = copy;
        }
        Task *t = find(b, id);
        if (!t)
                return 0;
        b->stamp++;
        b->bytes -= t->text_size;
        task_done(t);
        size_t i = (size_t)(t - b->tasks);
        memmove(t, t + 1, (b->n - i - 1) * sizeof *t);
        b->n--;
        return 0;
}

void task_board_load_version(TaskBoard *b, const char *id, uint64_t digest, uint64_t replaced)
{
        Task *t = find(b, id);
        if (t)
                push_version(t, digest, replaced);
}

void task_board_load_added(TaskBoard *b, const char *id, uint64_t added)
{
        Task *t = find(b, id);
        if (t)
                t->added = added;
}

/* ---- telling ---- */

Value *task_board_tell(const TaskBoard *b, bool (*is_held)(const void *userdata, const Task *task), const void *userdata)
{
        _cleanup_json_text_ JsonText t = { 0 };
        bool first = true;
        json_text_add(&t, " {", 2);
        for (size_t i = 0; i < b->n; i++) {
                const Task *task = &b->tasks[i];
                if (is_held && is_held(userdata, task))
                        continue;
                _cleanup_json_ json_object *id = json_object_new_string(task->id);
                if (!id)
                        return NULL;
                size_t size;
                const char *key = json_object_to_json_string_length(id, JSON_C_TO_STRING_PLAIN, &size);
                if (!first)
                        json_text_add(&t, ",", 1);
                first = false;
                json_text_add(&t, key, size);
                json_text_add(&t, ":", 1);
                json_text_add(&t, task->text, task->text_size);
        }
        json_text_add(&t, "}", 1);
        return t.failed ? NULL : value_str_new(t.data, t.size);
}
