/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "pickle/writer.h"
#include "session/session-private.h"

/*
 * The part of a session that is not its nodes, as it goes into snapshots: a
 * pickle, so that it can be looked at with common tools, of the dict
 *   {'version': 1, 'wall': int, 'running': bool,
 *    'users': [[name, RECORD_USER meta, metadata pickle or None], ...],
 *    'graves': [[uuid, wall], ...], 'changes': [[uuid, wall], ...], 'rights': [uuid, ...]}
 * Times are microseconds of CLOCK_REALTIME. Graves, changes and rights are those of the last minute, which clients that
 * come back may have missed.
 */

#define STATE_VERSION 1

/* ---- saving ---- */

static int append(Value *list, Value *item)
{
        _cleanup_value_ Value *owned = item;
        return owned ? value_list_append(list, owned) : -ENOMEM;
}

static int append_pair(Value *list, const void *uuid, size_t size, uint64_t wall)
{
        _cleanup_value_ Value *pair = value_list_new();
        if (!pair || append(pair, value_str_new(uuid, size)) < 0 || append(pair, value_int_new((int64_t)wall)) < 0)
                return -ENOMEM;
        return value_list_append(list, pair);
}

static Value *save_users(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < s->n_users; i++) {
                const User *u = s->users[i];
                RecordUser record = user_record(u);
                _cleanup_bytes_ Bytes *meta = record_meta_user(&record);
                _cleanup_value_ Value *item = value_list_new();
                Bytes *kept = u->metadata_kept;
                if (!meta || !item || append(item, answer_text(u->name)) < 0 ||
                    append(item, value_bytes_new(meta->data, meta->size)) < 0 ||
                    append(item, kept ? value_bytes_new(kept->data, kept->size) : value_ref(value_none())) < 0 ||
                    value_list_append(list, item) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static Value *save_graves(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (size_t i = 0; list && i < s->n_graves; i++) {
                const Grave *g = grave_at(s, i);
                if (grave_find(s, g->uuid->data, g->uuid->size) == g &&
                    append_pair(list, g->uuid->data, g->uuid->size, g->deleted_wall) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static int append_change(void *userdata, const Node *n)
{
        return append_pair(userdata, node_uuid(n), node_uuid_size(n), node_changed(n));
}

/* Back to what the user that is behind most has missed. */
static Value *save_changes(const Session *s, uint64_t wall)
{
        uint64_t since = wall > DOUBT_WINDOW ? wall - DOUBT_WINDOW : 0;
        for (size_t i = 0; i < s->n_users; i++)
                if (s->users[i]->behind_since_wall != 0)
                        since = MIN(since, s->users[i]->behind_since_wall);
        _cleanup_value_ Value *list = value_list_new();
        if (!list || stale_each_changed_since(s, since, append_change, list) < 0)
                return NULL;
        return TAKE_PTR(list);
}

static Value *save_rights(const Session *s)
{
        _cleanup_value_ Value *list = value_list_new();
        for (const U64MapEntry *e = u64_map_next(&s->recent_rights, NULL); list && e;
             e = u64_map_next(&s->recent_rights, e)) {
                const Node *n = scene_find_id(s->scene, e->key);
                if (n && append(list, value_str_new(node_uuid(n), node_uuid_size(n))) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

int session_save_state(Session *s, SessionTime t, Bytes **ret)
{
        if (s->init)
                return -EBUSY;
        Value *state = answer_set(value_dict_new(), "version", value_int_new(STATE_VERSION));
        state = answer_set(state, "wall", value_int_new((int64_t)t.wall));
        state = answer_set(state, "running", value_bool(s->running));
        state = answer_set(state, "users", save_users(s));
        state = answer_set(state, "graves", save_graves(s));
        state = answer_set(state, "changes", save_changes(s, t.wall));
        _cleanup_value_ Value *whole = answer_set(state, "rights", save_rights(s));
        return whole ? pickle_write(whole, SIZE_MAX, ret) : -ENOMEM;
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

static bool pairs_are_good(const Value *list)
{
        if (!is_list(list))
                return false;
        for (uint32_t i = 0; i < value_list_length(list); i++) {
                const Value *pair = value_list_get(list, i);
                if (!is_list(pair) || value_list_length(pair) != 2 || !is_text(value_list_get(pair, 0), SCENE_UUID_MAX) ||
                    value_type(value_list_get(pair, 1)) != VALUE_INT)
                        return false;
        }
        return true;
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
        const Value *rights = value_dict_get_string(state, "rights");
        if (!version || value_type(version) != VALUE_INT || value_int_get(version) != STATE_VERSION || !wall ||
            value_type(wall) != VALUE_INT || !running || value_type(running) != VALUE_BOOL || !is_list(rights))
                return false;
        for (uint32_t i = 0; i < value_list_length(rights); i++)
                if (!is_text(value_list_get(rights, i), SCENE_UUID_MAX))
                        return false;
        return pairs_are_good(value_dict_get_string(state, "graves")) &&
               pairs_are_good(value_dict_get_string(state, "changes")) &&
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

static int load_graves(Session *s, const Value *list)
{
        for (uint32_t i = 0; i < value_list_length(list); i++) {
                const Value *pair = value_list_get(list, i), *uuid = value_list_get(pair, 0);
                _cleanup_bytes_ Bytes *bytes = bytes_new_copy(value_data(uuid), value_size(uuid));
                int r = bytes ? grave_add(s, bytes, (uint64_t)value_int_get(value_list_get(pair, 1)), 0) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_hashes(Session *s, U64Map *map, const Value *list, bool pairs)
{
        for (uint32_t i = 0; i < value_list_length(list); i++) {
                const Value *item = value_list_get(list, i), *uuid = pairs ? value_list_get(item, 0) : item;
                uint64_t wall = pairs ? (uint64_t)value_int_get(value_list_get(item, 1)) : s->last_wall;
                int r = u64_map_set(map, session_hash(s, value_data(uuid), value_size(uuid)), wall);
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
                r = load_graves(s, value_dict_get_string(state, "graves"));
        if (r == 0)
                r = load_hashes(s, &s->loaded_changes, value_dict_get_string(state, "changes"), true);
        if (r == 0)
                r = load_hashes(s, &s->loaded_rights, value_dict_get_string(state, "rights"), false);
        return r;
}
