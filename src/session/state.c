/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "session/marks.h"
#include "session/session-private.h"

/*
 * The part of a session that is not its nodes, as it goes into snapshots: a
 * pickle, so that it can be looked at with common tools, of the dict
 *   {'version': 1, 'wall': int, 'running': bool,
 *    'users': [[name, RECORD_USER meta, metadata pickle or None], ...],
 *    'graves': marks, 'changes': marks, 'rights': marks,
 *    and chat, tasks and absent users, see history-state.c}
 * Times are microseconds of CLOCK_REALTIME. Graves and rights are those of the last minute, which clients that come back
 * may have missed; marks are bytes as in marks.h. So were changes, before each node came with the time of its last one;
 * they are still read. Version 1 had lists of [uuid, wall] for the first two and of uuids for the third.
 */

#define STATE_VERSION 2

/* ---- saving ---- */

static Value *save_users(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < s->n_users; i++) {
                const User *u = s->users[i];
                RecordUser record = user_record(u);
                _cleanup_bytes_ Bytes *meta = record_meta_user(&record);
                _cleanup_value_ Value *item = value_list_new();
                Bytes *kept = u->metadata_kept;
                if (!meta || !item || answer_append(item, answer_text(u->name)) < 0 ||
                    answer_append(item, value_bytes_new(meta->data, meta->size)) < 0 ||
                    answer_append(item, kept ? value_bytes_new(kept->data, kept->size) : value_ref(value_none())) < 0 ||
                    value_list_append(list, item) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

int state_save_head(const Session *s, SessionTime t, Value **ret)
{
        Value *state = answer_set(value_dict_new(), "version", value_int_new(STATE_VERSION));
        state = answer_set(state, "wall", value_int_new((int64_t)t.wall));
        state = answer_set(state, "running", value_bool(s->running));
        state = answer_set(state, "users", save_users(s));
        state = history_save(s, state);
        if (!state)
                return -ENOMEM;
        *ret = state;
        return 0;
}

/* ---- loading ---- */

/* All or nothing: the state is checked before anything is taken from it. */

static bool is_list(const Value *v)
{
        return v && value_is_list(v);
}

static bool is_text(const Value *v, size_t max)
{
        return v && value_is_string(v) && message_text_is_clean(value_data(v), value_size(v), max);
}

/* The next of marks of either version: `position` is an index or an offset. 1: there is none; -EBADMSG. */
static int next_mark(const Value *marks, uint64_t wall, size_t *position, Mark *ret)
{
        if (value_type(marks) == VALUE_BYTES) {
                if (marks_next(value_data(marks), value_size(marks), position, ret))
                        return message_text_is_clean(ret->uuid, ret->size, SCENE_UUID_MAX) ? 0 : -EBADMSG;
                return *position == value_size(marks) ? 1 : -EBADMSG;
        }
        if (!value_is_list(marks))
                return -EBADMSG;
        if (*position == value_list_length(marks))
                return 1;
        const Value *uuid = value_list_get(marks, (uint32_t)(*position)++);
        if (value_is_list(uuid)) {
                const Value *time = value_list_length(uuid) == 2 ? value_list_get(uuid, 1) : NULL;
                if (!time || value_type(time) != VALUE_INT)
                        return -EBADMSG;
                wall = (uint64_t)value_int_get(time);
                uuid = value_list_get(uuid, 0);
        }
        if (!is_text(uuid, SCENE_UUID_MAX))
                return -EBADMSG;
        *ret = (Mark){ .uuid = value_data(uuid), .size = value_size(uuid), .wall = wall };
        return 0;
}

static bool marks_are_good(const Value *marks)
{
        size_t position = 0;
        Mark mark;
        int r;
        if (!marks)
                return false;
        while ((r = next_mark(marks, 0, &position, &mark)) == 0)
                ;
        return r == 1;
}

static int read_user_meta(const Value *item, RecordUser *ret)
{
        const Value *meta = value_list_get(item, 1);
        if (value_type(meta) != VALUE_BYTES)
                return 1;
        _cleanup_bytes_ Bytes *bytes = value_to_bytes(meta);
        return bytes ? record_read_user(bytes, ret) : -ENOMEM;
}

static bool users_are_good(const Value *list)
{
        if (!is_list(list))
                return false;
        for (uint32_t i = 0; i < value_list_length(list); i++) {
                const Value *item = value_list_get(list, i);
                RecordUser record;
                if (!is_list(item) || value_list_length(item) != 3 || !is_text(value_list_get(item, 0), UINT8_MAX) ||
                    read_user_meta(item, &record) != 0)
                        return false;
                ValueType type = value_type(value_list_get(item, 2));
                if (type != VALUE_BYTES && type != VALUE_NONE)
                        return false;
        }
        return true;
}

static bool state_is_good(const Value *state)
{
        const Value *version = value_dict_get_string(state, "version");
        const Value *wall = value_dict_get_string(state, "wall");
        const Value *running = value_dict_get_string(state, "running");
        if (!version || value_type(version) != VALUE_INT || value_int_get(version) < 1 ||
            value_int_get(version) > STATE_VERSION || !wall || value_type(wall) != VALUE_INT || !running ||
            value_type(running) != VALUE_BOOL)
                return false;
        return marks_are_good(value_dict_get_string(state, "graves")) &&
               marks_are_good(value_dict_get_string(state, "changes")) &&
               marks_are_good(value_dict_get_string(state, "rights")) &&
               users_are_good(value_dict_get_string(state, "users"));
}

static int load_users(Session *s, const Value *list)
{
        for (uint32_t i = 0; i < value_list_length(list); i++) {
                const Value *item = value_list_get(list, i);
                const Value *name = value_list_get(item, 0), *metadata = value_list_get(item, 2);
                RecordUser record;
                int r = read_user_meta(item, &record);
                if (r == 0)
                        r = replay_user(s, value_data(name), value_size(name), &record);
                if (r == 0 && value_type(metadata) == VALUE_BYTES) {
                        _cleanup_bytes_ Bytes *bytes = value_to_bytes(metadata);
                        r = bytes ? replay_metadata(s, value_data(name), value_size(name), bytes) : -ENOMEM;
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_graves(Session *s, const Value *marks)
{
        size_t position = 0;
        Mark mark;
        while (next_mark(marks, s->last_wall, &position, &mark) == 0) {
                _cleanup_bytes_ Bytes *uuid = bytes_new_copy(mark.uuid, mark.size);
                int r = uuid ? grave_add(s, uuid, mark.wall, 0) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_hashes(Session *s, U64Map *map, const Value *marks)
{
        size_t position = 0;
        Mark mark;
        while (next_mark(marks, s->last_wall, &position, &mark) == 0) {
                int r = u64_map_set(map, session_hash(s, mark.uuid, mark.size), mark.wall);
                if (r < 0)
                        return r;
        }
        return 0;
}

int session_load_state(Session *s, Bytes *bytes)
{
        _cleanup_value_ Value *state = NULL;
        int r = pickle_read(bytes, PICKLE_PROFILE_DATA, &pickle_limits_default, &state, NULL);
        if (r < 0)
                return r;
        if (r > 0 || !state_is_good(state))
                return -EBADMSG;
        s->loading = true;
        s->running = value_bool_get(value_dict_get_string(state, "running"));
        s->last_wall = (uint64_t)value_int_get(value_dict_get_string(state, "wall"));
        s->changes_since = s->last_wall > DOUBT_WINDOW ? s->last_wall - DOUBT_WINDOW : 0;
        r = load_users(s, value_dict_get_string(state, "users"));
        if (r == 0)
                r = history_load(s, state);
        if (r == 0)
                r = load_graves(s, value_dict_get_string(state, "graves"));
        if (r == 0)
                r = load_hashes(s, &s->loaded_changes, value_dict_get_string(state, "changes"));
        if (r == 0)
                r = load_hashes(s, &s->loaded_rights, value_dict_get_string(state, "rights"));
        return r;
}
