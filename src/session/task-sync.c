/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

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
        uint64_t hash;
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
        uint64_t wall;
} Sync;

/* ---- reading ---- */

/* May the client hold the version from having read it: was it there while it, or its user before, was? */
static bool may_have_read(const Sync *s, const Task *t, size_t version)
{
        uint64_t came = version > 0 ? t->versions[version - 1].replaced : t->added;
        return t->versions[version].replaced > s->holder->joined || came <= s->holder->before;
}

static Meaning meaning_of_unsent(const Sync *s, const TaskItem *item, const Task *t)
{
        Meaning meaning = MEANS_CHANGED;
        for (size_t i = 0; i < t->n_versions; i++) {
                if (t->versions[i].digest != item->digest)
                        continue;
                if (may_have_read(s, t, i))
                        return MEANS_NOTHING;
                meaning = MEANS_PERHAPS;
        }
        return meaning;
}

static Meaning meaning_of(const Sync *s, const TaskItem *item, uint64_t id_hash, const Task *t)
{
        const TaskHeld *held = task_holder_find(s->holder, id_hash);
        if (!t) {
                bool is_old = held && held->digest == item->digest;
                return is_old || task_board_was_deleted(s->board, item->id) ? MEANS_NOTHING : MEANS_NEW;
        }
        if (item->digest == t->digest)
                return MEANS_NOTHING;
        if (held && held->digest == item->digest)
                return MEANS_NOTHING;
        return held && s->holder->synced ? MEANS_CHANGED : meaning_of_unsent(s, item, t);
}

static int read_item(Sync *s, const char *key, json_object *value)
{
        Sent *sent = &s->sent[s->n_sent];
        int r = task_item_read(value, s->wall, &sent->item);
        if (r < 0 || r == 1)
                return r;
        s->n_sent++;
        sent->hash = task_id_hash(sent->item.id);
        if (strcmp(key, sent->item.id) != 0)
                return 1;
        sent->task = task_board_find(s->board, sent->item.id);
        sent->meaning = r == 2 ? MEANS_TOO_LARGE : meaning_of(s, &sent->item, sent->hash, sent->task);
        s->n_changes += sent->meaning == MEANS_NEW || sent->meaning == MEANS_CHANGED;
        s->n_perhaps += sent->meaning == MEANS_PERHAPS;
        s->n_unfit += sent->meaning == MEANS_TOO_LARGE;
        return 0;
}

static int read_all(Sync *s, json_object *tasks)
{
        s->sent = calloc((size_t)json_object_object_length(tasks) + 1, sizeof *s->sent);
        if (!s->sent)
                return -ENOMEM;
        json_object_object_foreach(tasks, key, value) {
                int r = read_item(s, key, value);
                if (r != 0)
                        return r;
        }
        return 0;
}

static bool was_sent(const Sync *s, const Task *t)
{
        for (size_t i = 0; i < s->n_sent; i++)
                if (s->sent[i].hash == t->id_hash && strcmp(s->sent[i].item.id, t->id) == 0)
                        return true;
        return false;
}

/* ---- what is missing ---- */

/* When the client could first see it here. */
static uint64_t told_at(const Sync *s, const Task *t)
{
        return MAX(t->added, s->holder->joined);
}

/* Up to here the client has read what it was told: it knows something that was told then, or, of what its user may know
 * from before, something that came then. */
static uint64_t read_until(const Sync *s)
{
        uint64_t until = 0;
        for (size_t i = 0; i < s->n_sent; i++) {
                const Task *t = s->sent[i].task;
                if (t && strcmp(t->author, s->user) != 0)
                        until = MAX(until, t->added > s->holder->before ? told_at(s, t) : t->added);
        }
        return until;
}

static bool is_known(const Sync *s, const Task *t)
{
        return t->added <= s->holder->read || task_holder_find(s->holder, t->id_hash);
}

/* It has sent a task, also one that has been deleted since, and does not any more. */
static bool has_dropped(const Sync *s)
{
        for (size_t i = 0; s->holder->synced && i < s->holder->n_held; i++) {
                size_t k = 0;
                while (k < s->n_sent && s->sent[k].hash != s->holder->held[i].id_hash)
                        k++;
                if (k == s->n_sent)
                        return true;
        }
        return false;
}

/* The one task that the client must know and does not send; NULL when there is no such task, or more than one. */
static const Task *find_known_missing(const Sync *s)
{
        const Task *found = NULL;
        for (size_t i = 0; i < task_board_length(s->board); i++) {
                const Task *t = task_board_get(s->board, i);
                if (was_sent(s, t) || !is_known(s, t))
                        continue;
                if (found)
                        return NULL;
                found = t;
        }
        return found;
}

/* The one that the client knows first of those that it does not send, if it knows any; NULL as above. */
static const Task *find_first_missing(const Sync *s)
{
        uint64_t first = UINT64_MAX;
        const Task *found = NULL;
        for (size_t i = 0; i < task_board_length(s->board); i++) {
                const Task *t = task_board_get(s->board, i);
                uint64_t told = told_at(s, t);
                if (was_sent(s, t) || told > first)
                        continue;
                found = told < first ? t : NULL;
                first = told;
        }
        return found;
}

/* Nothing is sent only when the last has been deleted: was that one from here? */
static bool is_from_here(const Sync *s)
{
        return s->n_sent == 0 && s->holder->n_held == 0 && (s->holder->synced || s->holder->before == 0);
}

/* Has it been deleted a second time? */
static bool is_meant(Sync *s, const Task *missing)
{
        TaskHolder *h = s->holder;
        uint64_t hash = missing->id_hash;
        if (h->doubtful == hash)
                return s->wall >= h->doubtful_since + TASK_DOUBT_MIN;
        h->doubtful = hash;
        h->doubtful_since = s->wall;
        return false;
}

/* What has been deleted, when nothing else explains the message. */
static const Task *find_deleted(Sync *s)
{
        const Task *known = find_known_missing(s);
        if (known)
                return s->n_perhaps == 0 ? known : NULL;
        const Task *first = s->n_perhaps == 0 ? find_first_missing(s) : NULL;
        if (!first || is_known(s, first)) {
                s->holder->doubtful = 0;
                return NULL;
        }
        return is_from_here(s) || is_meant(s, first) ? first : NULL;
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
                if (was_sent(s, t) || !task_holder_find(s->holder, t->id_hash))
                        continue;
                int r = delete_task(s, t->id);
                if (r < 0)
                        return r;
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

/* What the client holds from now on. What did not fit may come once more. */
static int note_held(Sync *s)
{
        TaskHeld *held = calloc(s->n_sent + 1, sizeof *held);
        if (!held)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_sent; i++) {
                const Sent *sent = &s->sent[i];
                bool is_settled = sent->meaning == MEANS_NOTHING || task_board_find(s->board, sent->item.id);
                held[i] = (TaskHeld){ sent->hash, is_settled ? sent->item.digest : 0 };
        }
        free(s->holder->held);
        s->holder->held = held;
        s->holder->n_held = s->n_sent;
        s->holder->synced = true;
        return 0;
}

static int delete_missing(Sync *s, bool is_explained)
{
        if (s->holder->synced) {
                int r = delete_held(s);
                if (r < 0)
                        return r;
        }
        if (is_explained) {
                s->holder->doubtful = 0;
                return 0;
        }
        const Task *deleted = find_deleted(s);
        return deleted ? delete_task(s, deleted->id) : 0;
}

static int act(Sync *s)
{
        s->holder->read = MAX(s->holder->read, read_until(s));
        bool is_explained = s->n_changes > 0 || has_dropped(s);
        int r = 0;
        if (!is_explained && s->n_perhaps == 1 && !find_known_missing(s)) {
                is_explained = true;
                r = put_all(s, MEANS_PERHAPS);
        }
        if (r == 0)
                r = delete_missing(s, is_explained);
        if (r == 0)
                r = put_all(s, MEANS_CHANGED);
        if (r == 0)
                r = put_all(s, MEANS_NEW);
        return r < 0 ? r : note_held(s);
}

int task_sync(TaskBoard *b, TaskHolder *h, json_object *tasks, const char *user, uint64_t wall, TaskChangedFunc func,
              void *userdata)
{
        Sync s = { .board = b, .holder = h, .user = user, .func = func, .userdata = userdata, .wall = wall };
        if (!json_object_is_type(tasks, json_type_object) ||
            (size_t)json_object_object_length(tasks) > TASK_LIST_MAX)
                return TASK_SYNC_MALFORMED;
        int r = read_all(&s, tasks);
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
