/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "session/session-private.h"

/*
 * Chat, tasks and absent users in a snapshot's state, see state.c:
 *   'chat': [[number, time, JSON], ...], 'chat_floor': int,
 *   'tasks': [[JSON, author, added, [[digest, replaced], ...]], ...],
 *   'tasks_deleted': [id, ...], 'tasks_stamp': int,
 *   'holders': [[name, bytes], ...] of the users who are there, as task_holder_save(),
 *   'absent': [[name, metadata pickle or None, tasks_stamp, such bytes or None], ...]
 * A state without them is one of an earlier version. Whatever of them makes no sense is left out.
 */

/* ---- saving ---- */

static Value *number(uint64_t n)
{
        return value_int_new((int64_t)n);
}

static Value *save_chat(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < chat_log_length(s->chat); i++) {
                const ChatMessage *m = chat_log_get(s->chat, i);
                _cleanup_value_ Value *item = value_list_new();
                if (!item || answer_append(item, number(m->number)) < 0 || answer_append(item, number(m->time)) < 0 ||
                    answer_append(item, value_str_new(m->text, m->text_size)) < 0 ||
                    answer_append(item, value_str_new(m->author, strlen(m->author))) < 0 || value_list_append(list, item) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static Value *save_versions(const Task *t)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < t->n_versions; i++) {
                _cleanup_value_ Value *item = value_list_new();
                if (!item || answer_append(item, number(t->versions[i].digest)) < 0 ||
                    answer_append(item, number(t->versions[i].replaced)) < 0 || value_list_append(list, item) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static Value *save_tasks(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < task_board_length(s->tasks); i++) {
                const Task *t = task_board_get(s->tasks, i);
                _cleanup_value_ Value *item = value_list_new();
                if (!item || answer_append(item, value_str_new(t->text, t->text_size)) < 0 ||
                    answer_append(item, value_string_new(t->author)) < 0 || answer_append(item, number(t->added)) < 0 ||
                    answer_append(item, save_versions(t)) < 0 || value_list_append(list, item) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static Value *save_deleted(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        const char *id;
        for (size_t i = 0; list && (id = task_board_deleted(s->tasks, i)); i++)
                if (answer_append(list, value_string_new(id)) < 0)
                        return NULL;
        return TAKE_PTR(list);
}

static Value *save_bytes(const Bytes *b)
{
        return b ? value_bytes_new(b->data, b->size) : value_ref(value_none());
}

static Value *save_holders(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < s->n_users; i++) {
                const User *u = s->users[i];
                _cleanup_bytes_ Bytes *holder = task_holder_save(&u->tasks);
                _cleanup_value_ Value *item = value_list_new();
                if (!holder || !item || answer_append(item, answer_text(u->name)) < 0 ||
                    answer_append(item, save_bytes(holder)) < 0 || value_list_append(list, item) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static Value *save_absent(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < s->absent.n; i++) {
                const Absent *a = &s->absent.items[i];
                _cleanup_value_ Value *item = value_list_new();
                if (!item || answer_append(item, answer_text(a->name)) < 0 ||
                    answer_append(item, save_bytes(a->metadata)) < 0 ||
                    answer_append(item, number(a->tasks_stamp)) < 0 || answer_append(item, save_bytes(a->tasks)) < 0 ||
                    value_list_append(list, item) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

Value *history_save(const Session *s, Value *state)
{
        state = answer_set(state, "chat", save_chat(s));
        state = answer_set(state, "chat_floor", number(chat_log_floor(s->chat)));
        state = answer_set(state, "tasks", save_tasks(s));
        state = answer_set(state, "tasks_deleted", save_deleted(s));
        state = answer_set(state, "tasks_stamp", number(task_board_stamp(s->tasks)));
        state = answer_set(state, "holders", save_holders(s));
        return answer_set(state, "absent", save_absent(s));
}

/* ---- loading ---- */

/* The i-th of a list, if it is there and of that type. */
static const Value *item_at(const Value *list, uint32_t i, ValueType type)
{
        if (!value_is_list(list) || i >= value_list_length(list))
                return NULL;
        const Value *v = value_list_get(list, i);
        return value_type(v) == type ? v : NULL;
}

static uint64_t number_of(const Value *v)
{
        return v && value_type(v) == VALUE_INT ? (uint64_t)value_int_get(v) : 0;
}

static size_t length_of(const Value *list)
{
        return value_is_list(list) ? value_list_length(list) : 0;
}

static int load_chat_message(Session *s, const Value *item)
{
        const Value *text = item_at(item, 2, VALUE_STR), *author = item_at(item, 3, VALUE_STR);
        if (!text)
                return 1;
        _cleanup_free_ char *name = author ? strndup((const char *)value_data(author), value_size(author)) : NULL;
        if (author && !name)
                return -ENOMEM;
        return chat_log_load(s->chat, name, number_of(item_at(item, 0, VALUE_INT)), number_of(item_at(item, 1, VALUE_INT)),
                             (const char *)value_data(text), value_size(text));
}

static int load_chat(Session *s, const Value *list)
{
        for (uint32_t i = 0; i < length_of(list); i++) {
                int r = load_chat_message(s, value_list_get(list, i));
                if (r < 0)
                        return r;
        }
        return 0;
}

static void load_task_history(Session *s, const Value *item)
{
        const Task *t = task_board_get(s->tasks, task_board_length(s->tasks) - 1);
        const Value *versions = item_at(item, 3, VALUE_LIST);
        task_board_load_added(s->tasks, t->id, number_of(item_at(item, 2, VALUE_INT)));
        for (uint32_t i = 0; i < length_of(versions); i++) {
                const Value *version = value_list_get(versions, i);
                task_board_load_version(s->tasks, t->id, number_of(item_at(version, 0, VALUE_INT)),
                                        number_of(item_at(version, 1, VALUE_INT)));
        }
}

static int load_tasks(Session *s, const Value *list)
{
        for (uint32_t i = 0; i < length_of(list); i++) {
                const Value *item = value_list_get(list, i);
                const Value *text = item_at(item, 0, VALUE_STR), *author = item_at(item, 1, VALUE_STR);
                if (!text || !author)
                        continue;
                _cleanup_free_ char *name = strndup((const char *)value_data(author), value_size(author));
                size_t n = task_board_length(s->tasks);
                int r = name ? history_load_task(s, value_data(text), value_size(text), name) : -ENOMEM;
                if (r < 0)
                        return r;
                if (task_board_length(s->tasks) > n)
                        load_task_history(s, item);
        }
        return 0;
}

static int load_deleted(Session *s, const Value *list)
{
        for (uint32_t i = 0; i < length_of(list); i++) {
                const Value *id = item_at(list, i, VALUE_STR);
                if (!id || !message_text_is_clean(value_data(id), value_size(id), JSON_ID_MAX))
                        continue;
                _cleanup_free_ char *copy = strndup((const char *)value_data(id), value_size(id));
                int r = copy ? task_board_delete(s->tasks, copy) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_absent(Session *s, const Value *list)
{
        for (uint32_t i = 0; i < length_of(list); i++) {
                const Value *item = value_list_get(list, i);
                const Value *name = item_at(item, 0, VALUE_STR), *metadata = item_at(item, 1, VALUE_BYTES);
                if (!name || !message_text_is_clean(value_data(name), value_size(name), UINT8_MAX))
                        continue;
                _cleanup_bytes_ Bytes *text = bytes_new_copy(value_data(name), value_size(name));
                const Value *tasks = item_at(item, 3, VALUE_BYTES);
                _cleanup_bytes_ Bytes *pickle = metadata ? value_to_bytes(metadata) : NULL;
                _cleanup_bytes_ Bytes *holder = tasks ? value_to_bytes(tasks) : NULL;
                if (!text || (metadata && !pickle) || (tasks && !holder))
                        return -ENOMEM;
                if (!pickle || metadata_is_good(pickle))
                        absent_put(&s->absent, text, pickle, holder, number_of(item_at(item, 2, VALUE_INT)));
        }
        return 0;
}

static int load_holders(Session *s, const Value *list)
{
        /* Of an earlier version: who knows what they know from before. */
        for (size_t i = 0; !list && i < s->n_users; i++)
                s->users[i]->tasks.before = task_board_stamp(s->tasks);
        for (uint32_t i = 0; i < length_of(list); i++) {
                const Value *item = value_list_get(list, i);
                const Value *name = item_at(item, 0, VALUE_STR), *bytes = item_at(item, 1, VALUE_BYTES);
                if (!name || !bytes)
                        continue;
                _cleanup_bytes_ Bytes *holder = value_to_bytes(bytes);
                int r = holder ? history_replay_holder(s, value_data(name), value_size(name), holder) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return 0;
}

int history_load(Session *s, const Value *state)
{
        int r = load_chat(s, value_dict_get_string(state, "chat"));
        if (r == 0)
                r = load_tasks(s, value_dict_get_string(state, "tasks"));
        if (r == 0)
                r = load_deleted(s, value_dict_get_string(state, "tasks_deleted"));
        task_board_set_stamp(s->tasks, number_of(value_dict_get_string(state, "tasks_stamp")));
        if (r == 0)
                r = load_holders(s, value_dict_get_string(state, "holders"));
        if (r == 0)
                r = load_absent(s, value_dict_get_string(state, "absent"));
        chat_log_set_floor(s->chat, number_of(value_dict_get_string(state, "chat_floor")));
        return r;
}
