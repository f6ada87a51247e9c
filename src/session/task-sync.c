/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "pickle/siphash.h"
#include "session/task-sync.h"

typedef enum Meaning {
        MEANS_NOTHING, /* it is as on the board, or an old copy */
        MEANS_NEW,
        MEANS_CHANGED,
        MEANS_PERHAPS, /* changed back to a version before, if nothing else has been changed */
        MEANS_TOO_LARGE,
} Meaning;

typedef struct Sent {
        TaskItem item;
        const Task *task; /* as it is on the board; NULL: it is not */
        Meaning meaning;
} Sent;

typedef struct Sync {
        TaskBoard *board;
        TaskHolder *holder;
        const char *user;
        TaskChangedFunc func;
        void *userdata;
        Sent *sent;
        size_t n_sent, n_changes, n_perhaps, n_unfit;
} Sync;

static uint64_t hash_of(const char *id)
{
        static const uint8_t key[16];
        SipHash h;
        uint64_t digest[2];
        siphash_begin(&h, key);
        siphash_add(&h, id, strlen(id));
        siphash_end(&h, digest);
        return digest[0];
}

void task_holder_done(TaskHolder *h)
{
        free(h->held);
        *h = (TaskHolder){ 0 };
}

static const struct TaskHeld *held_of(const TaskHolder *h, const char *id)
{
        uint64_t hash = h->n_held > 0 ? hash_of(id) : 0;
        for (size_t i = 0; i < h->n_held; i++)
                if (h->held[i].id_hash == hash)
                        return &h->held[i];
        return NULL;
}

bool task_holder_has(const TaskHolder *h, const Task *task)
{
        const struct TaskHeld *held = held_of(h, task->id);
        return held && held->digest == task->digest;
}

/* ---- reading ---- */

static Meaning meaning_of(const Sync *s, const TaskItem *item, const Task *t)
{
        if (!t)
                return task_board_was_deleted(s->board, item->id) ? MEANS_NOTHING : MEANS_NEW;
        if (item->digest == t->digest)
                return MEANS_NOTHING;
        const struct TaskHeld *held = held_of(s->holder, item->id);
        if (held)
                return held->digest == item->digest ? MEANS_NOTHING : MEANS_CHANGED;
        for (size_t i = t->n_versions; i > 0; i--) {
                if (t->versions[i - 1].digest != item->digest)
                        continue;
                bool may_be_old = t->versions[i - 1].replaced > s->holder->joined || t->added <= s->holder->before;
                return may_be_old ? MEANS_NOTHING : MEANS_PERHAPS;
        }
        return MEANS_CHANGED;
}

static int read_item(Sync *s, const char *key, json_object *value, uint64_t wall)
{
        Sent *sent = &s->sent[s->n_sent];
        int r = task_item_read(value, wall, &sent->item);
        if (r < 0 || r == 1)
                return r;
        s->n_sent++;
        if (strcmp(key, sent->item.id) != 0)
                return 1;
        sent->task = task_board_find(s->board, sent->item.id);
        sent->meaning = r == 2 ? MEANS_TOO_LARGE : meaning_of(s, &sent->item, sent->task);
        s->n_changes += sent->meaning == MEANS_NEW || sent->meaning == MEANS_CHANGED;
        s->n_perhaps += sent->meaning == MEANS_PERHAPS;
        s->n_unfit += sent->meaning == MEANS_TOO_LARGE;
        return 0;
}

static int read_all(Sync *s, json_object *tasks, uint64_t wall)
{
        s->sent = calloc((size_t)json_object_object_length(tasks) + 1, sizeof *s->sent);
        if (!s->sent)
                return -ENOMEM;
        json_object_object_foreach(tasks, key, value) {
                int r = read_item(s, key, value, wall);
                if (r != 0)
                        return r;
        }
        return 0;
}

static bool was_sent(const Sync *s, const char *id)
{
        for (size_t i = 0; i < s->n_sent; i++)
                if (strcmp(s->sent[i].item.id, id) == 0)
                        return true;
        return false;
}

/* ---- what is missing ---- */

/* When the client could first see it here. */
static uint64_t told_at(const Sync *s, const Task *t)
{
        return MAX(t->added, s->holder->joined);
}

/* Up to here the client has read what it was told: it knows something that was told then. */
static uint64_t read_until(const Sync *s)
{
        uint64_t until = 0;
        for (size_t i = 0; i < s->n_sent; i++) {
                const Task *t = s->sent[i].task;
                if (t && t->added > s->holder->before && strcmp(t->author, s->user) != 0)
                        until = MAX(until, told_at(s, t));
        }
        return until;
}

/* The one task that the client must have known and does not send, though it has never sent any; NULL when there is no such
 * task, or more than one. */
static const Task *find_missing(const Sync *s)
{
        uint64_t first = UINT64_MAX;
        const Task *found = NULL;
        size_t n = 0;
        for (size_t i = 0; i < task_board_length(s->board); i++) {
                const Task *t = task_board_get(s->board, i);
                uint64_t told = told_at(s, t);
                if (was_sent(s, t->id))
                        continue;
                if (s->n_sent == 0) {
                        /* What was told first is known first. */
                        n = told < first ? 1 : n + (told == first);
                        found = told < first ? t : found;
                        first = MIN(told, first);
                } else if (t->added <= s->holder->read) {
                        n++;
                        found = t;
                }
        }
        return n == 1 ? found : NULL;
}

/* ---- acting ---- */

static int delete_task(Sync *s, const char *id)
{
        _cleanup_free_ char *copy = strdup(id);
        if (!copy)
                return -ENOMEM;
        int r = task_board_delete(s->board, copy);
        return r < 0 ? r : s->func(s->userdata, copy, NULL);
}

static int delete_held(Sync *s)
{
        for (size_t i = task_board_length(s->board); i > 0; i--) {
                const Task *t = task_board_get(s->board, i - 1);
                if (was_sent(s, t->id) || !held_of(s->holder, t->id))
                        continue;
                int r = delete_task(s, t->id);
                if (r < 0)
                        return r;
                s->n_changes++;
        }
        return 0;
}

static int put(Sync *s, Sent *sent)
{
        _cleanup_free_ char *id = strdup(sent->item.id);
        TaskItem item = { .id = strdup(sent->item.id), .text = TAKE_PTR(sent->item.text) };
        item.text_size = sent->item.text_size;
        item.digest = sent->item.digest;
        int r = id && item.id ? task_board_put(s->board, &item, s->user) : -ENOMEM;
        task_item_done(&item);
        if (r == 1) {
                s->n_unfit++;
                return 0;
        }
        return r < 0 ? r : s->func(s->userdata, id, task_board_find(s->board, id));
}

static int put_all(Sync *s, Meaning meaning)
{
        for (size_t i = 0; i < s->n_sent; i++) {
                int r = s->sent[i].meaning == meaning ? put(s, &s->sent[i]) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What the client holds from now on. */
static int note_held(Sync *s)
{
        struct TaskHeld *held = calloc(s->n_sent + 1, sizeof *held);
        size_t n = 0;
        if (!held)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_sent; i++)
                if (task_board_find(s->board, s->sent[i].item.id))
                        held[n++] = (struct TaskHeld){ hash_of(s->sent[i].item.id), s->sent[i].item.digest };
        free(s->holder->held);
        s->holder->held = held;
        s->holder->n_held = n;
        s->holder->synced = true;
        return 0;
}

static int act(Sync *s)
{
        s->holder->read = MAX(s->holder->read, read_until(s));
        const Task *missing = s->holder->synced ? NULL : find_missing(s);
        int r = delete_held(s);
        if (r == 0 && s->n_changes == 0 && missing && s->n_perhaps == 0)
                r = delete_task(s, missing->id);
        else if (r == 0 && s->n_changes == 0 && !missing && s->n_perhaps == 1)
                r = put_all(s, MEANS_PERHAPS);
        if (r == 0)
                r = put_all(s, MEANS_CHANGED);
        if (r == 0)
                r = put_all(s, MEANS_NEW);
        return r < 0 ? r : note_held(s);
}

int task_sync(TaskBoard *b, TaskHolder *h, json_object *tasks, const char *user, uint64_t wall, TaskChangedFunc func,
              void *userdata)
{
        Sync s = { .board = b, .holder = h, .user = user, .func = func, .userdata = userdata };
        if (!json_object_is_type(tasks, json_type_object) ||
            (size_t)json_object_object_length(tasks) > TASK_LIST_MAX)
                return TASK_SYNC_MALFORMED;
        int r = read_all(&s, tasks, wall);
        if (r == 0) {
                r = act(&s);
                if (r == 0 && s.n_unfit > 0)
                        r = TASK_SYNC_PARTLY;
        } else if (r == 1) {
                r = TASK_SYNC_MALFORMED;
        }
        for (size_t i = 0; i < s.n_sent; i++)
                task_item_done(&s.sent[i].item);
        free(s.sent);
        return r;
}
