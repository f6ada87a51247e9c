/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "pickle/writer.h"
#include "session/session-private.h"

/*
 * Chat and tasks of the session. Clients write both into their metadata and read
 * them out of everybody's; they keep what they have read, and send back all that
 * their own entry in the table holds whenever their view moves. So what they write
 * is taken out of their metadata and merged, and what there is, is told to each of
 * them in the entry of one other user: the first, so that it is read before
 * anything else, in one order. Only who is alone finds it in its own entry, which a
 * client sends back with every move of its view, as long as the view is in it: so
 * the view, which nobody sees, is left out there. What cannot be read is left where
 * it is, and passed on.
 */

#define CHAT_FIELD "chat_messages"
#define TASKS_FIELD "tasks"

/* What is told of the chat is no larger than this. */
#define CHAT_TELL_BYTES_MAX (128u << 10)

/* Name under which the server speaks; no user can have it. */
#define SERVER_NAME "server"

/* Changes in quick succession are told together. */
#define TELL_INTERVAL (100 * USEC_PER_MSEC)

/* ---- what there is ---- */

int history_new(Session *s)
{
        s->chat = chat_log_new();
        s->tasks = task_board_new();
        return s->chat && s->tasks ? 0 : -ENOMEM;
}

void history_free(Session *s)
{
        s->chat = chat_log_free(s->chat);
        s->tasks = task_board_free(s->tasks);
        absent_list_done(&s->absent);
}

const ChatLog *session_chat(const Session *s)
{
        return s->chat;
}

const TaskBoard *session_tasks(const Session *s)
{
        return s->tasks;
}

/* ---- changes ---- */

static int journal_chat(Session *s, const User *author, const ChatMessage *m)
{
        _cleanup_bytes_ Bytes *id = bytes_new_copy(m->id, strlen(m->id));
        _cleanup_bytes_ Bytes *meta = record_meta_chat(m->number, m->time, m->text, m->text_size);
        return id && meta ? journal(s, RECORD_CHAT, author, id, meta, NULL) : -ENOMEM;
}

int history_chat(Session *s, const User *author, json_object *item, bool last)
{
        const ChatMessage *m;
        const char *name = author ? (const char *)author->name->data : NULL;
        int r = chat_log_merge(s->chat, item, name, s->now.wall, last, &m);
        if (r != CHAT_NEW)
                return r;
        s->chat_changed = true;
        table_forget(s);
        return journal_chat(s, author, m);
}

int history_task(Session *s, const User *author, const char *id, const Task *task)
{
        _cleanup_bytes_ Bytes *key = bytes_new_copy(id, strlen(id));
        _cleanup_bytes_ Bytes *meta = task ? bytes_new_copy(task->text, task->text_size) : NULL;
        if (!key || (task && !meta))
                return -ENOMEM;
        s->tasks_changed = true;
        table_forget(s);
        return journal(s, RECORD_TASK, author, key, meta, NULL);
}

/* ---- what clients send ---- */

static bool is_by(json_object *item, const char *name)
{
        const char *username;
        return json_object_is_type(item, json_type_object) && json_item_text(item, "username", SIZE_MAX, &username) &&
               strcmp(username, name) == 0;
}

/* 0: all of it has been taken; 1: not; -ENOMEM. */
static int take_chat(Session *s, const User *u, json_object *list)
{
        size_t n = json_object_array_length(list), first = n > CHAT_LIST_MAX ? n - CHAT_LIST_MAX : 0;
        int missed = first > 0;
        for (size_t i = first; i < n; i++) {
                json_object *item = json_object_array_get_idx(list, i);
                bool last = i == n - 1 && is_by(item, (const char *)u->name->data);
                /* What the server says has been told by the server. */
                if (is_by(item, SERVER_NAME))
                        continue;
                int r = history_chat(s, u, item, last);
                if (r < 0)
                        return r;
                missed |= r == CHAT_MALFORMED || (r == CHAT_PAST && last);
        }
        return missed;
}

typedef struct Taking {
        Session *session;
        const User *user;
} Taking;

static int on_task_changed(void *userdata, const char *id, const Task *task)
{
        const Taking *t = userdata;
        return history_task(t->session, t->user, id, task);
}

static int journal_holder(Session *s, const User *u, const Bytes *before)
{
        _cleanup_bytes_ Bytes *meta = task_holder_save(&u->tasks);
        if (!before || !meta)
                return -ENOMEM;
        return bytes_equal(before, meta) ? 0 : journal(s, RECORD_HOLDER, u, u->name, meta, NULL);
}

static int take_field(Session *s, User *u, const Value *text, bool is_chat)
{
        if (is_chat && s->config.chat_history == 0)
                return 1;
        _cleanup_json_ json_object *o = json_item_parse(text);
        if (is_chat)
                return json_object_is_type(o, json_type_array) ? take_chat(s, u, o) : 1;
        Taking t = { s, u };
        _cleanup_bytes_ Bytes *before = task_holder_save(&u->tasks);
        int r = task_sync(s->tasks, &u->tasks, o, (const char *)u->name->data, s->now.wall, on_task_changed, &t);
        int k = r < 0 ? r : journal_holder(s, u, before);
        return k < 0 ? k : MIN(r, 1);
}

static int take(Session *s, User *u, Value *fields, Value *metadata, const char *name)
{
        const Value *text = value_dict_get_string(fields, name);
        if (!text)
                return 0;
        if (!json_item_is_own(text)) {
                int r = take_field(s, u, text, strcmp(name, CHAT_FIELD) == 0);
                if (r != 0)
                        return MIN(r, 0);
                /* What could not be read before is out of date. */
                s->table_dirty |= value_dict_remove_string(metadata, name);
        }
        value_dict_remove_string(fields, name);
        return 0;
}

int history_take(Session *s, User *u, Value *fields, Value *metadata)
{
        uint32_t n = value_table_length(fields);
        int r = take(s, u, fields, metadata, CHAT_FIELD);
        if (r == 0)
                r = take(s, u, fields, metadata, TASKS_FIELD);
        return r < 0 ? r : value_table_length(fields) < n;
}

size_t history_own_size(const Value *fields)
{
        const Value *chat = value_dict_get_string(fields, CHAT_FIELD), *tasks = value_dict_get_string(fields, TASKS_FIELD);
        return (json_item_is_own(chat) ? value_size(chat) : 0) + (json_item_is_own(tasks) ? value_size(tasks) : 0);
}

/* A store of a version that kept both with each user: merged here, one after the other. */
int history_adopt(Session *s, User *u)
{
        _cleanup_value_ Value *metadata = metadata_value(u);
        if (!metadata)
                return -ENOMEM;
        if (!value_dict_get_string(metadata, CHAT_FIELD) && !value_dict_get_string(metadata, TASKS_FIELD))
                return 0;
        /* What is missing in it says nothing, and what is known of the client otherwise stays so. */
        TaskHolder known = u->tasks;
        u->tasks = (TaskHolder){ .synced = true };
        _cleanup_value_ Value *nothing = value_dict_new();
        int r = nothing ? history_take(s, u, metadata, nothing) : -ENOMEM;
        _cleanup_bytes_ Bytes *adopted = task_holder_save(&u->tasks);
        task_holder_done(&u->tasks);
        u->tasks = known;
        int k = journal_holder(s, u, adopted);
        if (r <= 0 || k < 0)
                return MIN(r, k);
        Bytes *pickle = NULL;
        r = pickle_write(metadata, SIZE_MAX, &pickle);
        if (r < 0)
                return r;
        bytes_unref(u->metadata);
        u->metadata = pickle;
        u->metadata_dirty = true;
        return 0;
}

/* ---- telling ---- */

static bool is_held(const void *userdata, const Task *task)
{
        return task_holder_has(userdata, task);
}

static Value *chat_text(const Session *s)
{
        return chat_log_tell(s->chat, s->config.chat_history, CHAT_TELL_BYTES_MAX);
}

static Value *tasks_text(const Session *s, const User *to)
{
        return task_board_tell(s->tasks, is_held, &to->tasks);
}

const User *history_carrier(const Session *s, const User *to)
{
        return s->n_users > 1 && s->users[0] == to ? s->users[1] : s->users[0];
}

bool history_is_common(const Session *s, const User *to)
{
        return (to->tasks.n_held == 0 || !to->tasks.synced) && history_carrier(s, to) == s->users[0];
}

static bool has_history(const Session *s)
{
        return (s->config.chat_history > 0 && chat_log_length(s->chat) > 0) || task_board_length(s->tasks) > 0;
}

int history_put(const Session *s, const User *to, Value *metadata)
{
        if (history_carrier(s, to) == to && has_history(s)) {
                value_dict_remove_string(metadata, "view_corners");
                value_dict_remove_string(metadata, "view_matrix");
        }
        _cleanup_value_ Value *chat = NULL, *tasks = NULL;
        if (s->config.chat_history > 0 && chat_log_length(s->chat) > 0) {
                chat = chat_text(s);
                if (!chat || value_dict_set_string(metadata, CHAT_FIELD, chat) < 0)
                        return -ENOMEM;
        }
        if (task_board_length(s->tasks) > 0) {
                tasks = tasks_text(s, to);
                if (!tasks || value_dict_set_string(metadata, TASKS_FIELD, tasks) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int changes_frames(Session *s, const User *to, Value *chat, Frames **ret)
{
        Value *fields = value_dict_new();
        if (chat)
                fields = answer_set(fields, CHAT_FIELD, value_ref(chat));
        if (s->tasks_changed)
                fields = answer_set(fields, TASKS_FIELD, tasks_text(s, to));
        return answer_from(s, MESSAGE_METADATA, history_carrier(s, to)->name, fields, ret);
}

static int tell_changes(Session *s)
{
        /* Its view must leave the own entry. */
        if (s->n_users == 1)
                return table_send(s, s->users[0]);
        _cleanup_frames_ Frames *common = NULL;
        _cleanup_value_ Value *chat = s->chat_changed ? chat_text(s) : NULL;
        if (s->chat_changed && !chat)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_users; i++) {
                const User *u = s->users[i];
                _cleanup_frames_ Frames *own = NULL;
                bool is_common = history_is_common(s, u);
                int r = 0;
                if (!is_common)
                        r = changes_frames(s, u, chat, &own);
                else if (!common)
                        r = changes_frames(s, u, chat, &common);
                if (r == 0)
                        r = emit_send(s, u, CHANNEL_COMMAND, SEND_PRESENCE, is_common ? common : own, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

int history_tell(Session *s)
{
        if (!s->chat_changed && !s->tasks_changed)
                return 0;
        /* The user in whose entry it is told must be known to everybody. */
        if (s->table_dirty)
                return 0;
        if (s->history_told != 0 && s->now.now < s->history_told + TELL_INTERVAL) {
                session_need(s, s->history_told + TELL_INTERVAL);
                return 0;
        }
        int r = tell_changes(s);
        if (r < 0)
                return r;
        s->chat_changed = s->tasks_changed = false;
        s->history_told = s->now.now;
        return 0;
}

/* ---- who comes and goes ---- */

int history_came(Session *s, User *u)
{
        Absent a;
        uint64_t now = task_board_stamp(s->tasks);
        u->tasks.joined = now;
        if (!absent_take(&s->absent, u->name->data, u->name->size, &a))
                return 0;
        int r = a.tasks ? task_holder_load(&u->tasks, a.tasks) : 0;
        task_holder_return(&u->tasks, a.tasks_stamp, now);
        u->metadata = bytes_ref(a.metadata);
        u->metadata_kept = bytes_ref(a.metadata);
        absent_done(&a);
        return MIN(r, 0);
}

int history_left(Session *s, const User *u)
{
        _cleanup_bytes_ Bytes *tasks = u->tasks.n_held > 0 ? task_holder_save(&u->tasks) : NULL;
        if (u->tasks.n_held > 0 && !tasks)
                return -ENOMEM;
        absent_put(&s->absent, u->name, u->metadata_kept, tasks, task_board_stamp(s->tasks));
        return 0;
}

/* ---- replay ---- */

int history_replay_chat(Session *s, const SessionRecord *record)
{
        uint64_t number, time;
        const char *text;
        size_t size;
        int r = record_read_chat(record->meta, &number, &time, &text, &size);
        if (r != 0)
                return r;
        const Bytes *author = record->author;
        _cleanup_free_ char *name = author ? strndup((const char *)author->data, author->size) : NULL;
        if (author && !name)
                return -ENOMEM;
        return chat_log_load(s->chat, name, number, time, text, size);
}

int history_load_task(Session *s, const void *text, size_t size, const char *author)
{
        _cleanup_json_ json_object *o = json_item_parse_text(text, size);
        _cleanup_task_item_ TaskItem item = { 0 };
        int r = task_item_read(o, 0, &item);
        if (r != 0)
                return MIN(r, 1);
        return task_board_put(s->tasks, &item, author);
}

int history_replay_task(Session *s, const SessionRecord *record)
{
        _cleanup_free_ char *id = strndup((const char *)record->key->data, record->key->size);
        _cleanup_free_ char *author = record->author ?
                strndup((const char *)record->author->data, record->author->size) : strdup("");
        if (!id || !author)
                return -ENOMEM;
        if (!message_text_is_clean(id, strlen(id), JSON_ID_MAX))
                return 1;
        if (record->meta)
                return history_load_task(s, record->meta->data, record->meta->size, author);
        return task_board_delete(s->tasks, id);
}

int history_replay_holder(Session *s, const void *name, size_t name_size, const Bytes *holder)
{
        User *u = session_find_name(s, name, name_size);
        return u ? task_holder_load(&u->tasks, holder) : 1;
}
