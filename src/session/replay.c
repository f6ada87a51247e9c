/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* The journal read back: the same changes once more, without looking at what was checked when they were accepted, and
 * without effects. */

/* ---- nodes ---- */

int session_load_node(Session *s, Bytes *uuid, Bytes *owner, Bytes *dependencies, Bytes *payload,
                      const StoreLocation *location, uint64_t changed)
{
        s->loading = true;
        if (!message_text_is_clean(uuid->data, uuid->size, SCENE_UUID_MAX) || owner->size == 0 ||
            owner->size > UINT8_MAX)
                return 1;
        uint64_t hash = session_hash(s, uuid->data, uuid->size);
        const uint64_t *marked = u64_map_find(&s->loaded_changes, hash);
        changed = MAX(changed, marked ? *marked : 0);
        Node *n;
        int r = scene_put(s->scene, uuid->data, uuid->size, owner, dependencies, payload, changed, &n);
        if (r < 0)
                return r;
        if (location)
                scene_set_location(s->scene, n, node_version(n), location, payload);
        r = stale_has_changed_since(n, s->changes_since) ? stale_note_changed(s, n) : 0;
        if (r < 0)
                return r;
        const uint64_t *right = u64_map_find(&s->loaded_rights, hash);
        return right ? rights_note(s, n, *right) : 0;
}

static int replay_whole(Session *s, const SessionRecord *record, uint64_t wall, const StoreLocation *location)
{
        _cleanup_bytes_ Bytes *owner = NULL, *dependencies = NULL;
        int r = record->blob ? record_read_node(record->meta, &owner, &dependencies) : 1;
        if (r != 0)
                return r;
        if (!message_text_is_clean(record->key->data, record->key->size, SCENE_UUID_MAX) || owner->size == 0)
                return 1;
        if (s->init && record->author && bytes_equal(record->author, s->init->author)) {
                MessageNode node = {
                        .uuid = record->key, .owner = owner, .dependencies = dependencies, .payload = record->blob,
                };
                return init_replay_node(s, s->init, &node, location);
        }
        Node *n;
        r = scene_put(s->scene, record->key->data, record->key->size, owner, dependencies, record->blob, wall, &n);
        if (r < 0)
                return r;
        if (location)
                scene_set_location(s->scene, n, node_version(n), location, record->blob);
        grave_remove(s, record->key->data, record->key->size);
        r = stale_note_changed(s, n);
        if (r < 0 || !s->loaded_gap)
                return r;
        r = u64_map_set(&s->loaded_whole, node_id(n), 1);
        return MIN(r, 0);
}

static int replay_commit(Session *s, const SessionRecord *record, uint64_t wall)
{
        Node *n = scene_find(s->scene, record->key->data, record->key->size);
        if (!n || !record->meta || !record->blob)
                return 1;
        if (s->loaded_gap && !u64_map_find(&s->loaded_whole, node_id(n)))
                return 1;
        int r = scene_append(s->scene, n, record->meta, record->blob, wall);
        return r < 0 ? r : stale_note_changed(s, n);
}

static int replay_delete(Session *s, const SessionRecord *record, uint64_t wall)
{
        Node *n = scene_find(s->scene, record->key->data, record->key->size);
        int r = grave_add(s, record->key, wall, 0);
        if (r == 0 && n) {
                u64_map_remove(&s->loaded_whole, node_id(n));
                u64_map_remove(&s->recent_rights, node_id(n));
                r = scene_remove(s->scene, n);
        }
        return MIN(r, 0);
}

static int replay_right(Session *s, const SessionRecord *record, uint64_t wall)
{
        const uint8_t *text;
        size_t offset = 0, size;
        if (!record->meta || !record_read_text(record->meta, &offset, &text, &size) || size == 0)
                return 1;
        _cleanup_bytes_ Bytes *owner = bytes_new_copy(text, size);
        if (!owner)
                return -ENOMEM;
        while (record_read_text(record->meta, &offset, &text, &size)) {
                Node *n = scene_find(s->scene, text, size);
                int r = n ? scene_set_owner(s->scene, n, owner) : 0;
                if (r == 0 && n)
                        r = rights_note(s, n, wall);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int replay_state(Session *s, const SessionRecord *record, uint64_t wall)
{
        RecordState state;
        int r = record_read_state(record->meta, &state);
        if (r != 0)
                return r;
        if (state == RECORD_STATE_INIT) {
                init_free(s->init);
                s->init = record->author ? init_new(record->author, 0) : NULL;
                return s->init || !record->author ? 0 : -ENOMEM;
        }
        if (state == RECORD_STATE_RUNNING && s->init)
                r = init_adopt(s, s->init, SIZE_MAX, wall);
        s->running |= state == RECORD_STATE_RUNNING;
        s->init = init_free(s->init);
        return r;
}

/* ---- users ---- */

int replay_user(Session *s, const void *name, size_t name_size, const RecordUser *record)
{
        User *u = session_find_name(s, name, name_size);
        if (!u) {
                _cleanup_user_ User *fresh = user_new(&record->id, name, name_size);
                if (!fresh)
                        return -ENOMEM;
                int r = history_came(s, fresh);
                if (r == 0)
                        r = session_add_user(s, fresh);
                if (r < 0)
                        return r;
                u = TAKE_PTR(fresh);
        }
        if (!routing_id_equal(&u->id, &record->id))
                u->opened = false;
        u->id = record->id;
        u->away = u->from_before = true;
        u->admin = record->flags & RECORD_USER_ADMIN;
        u->expected = record->flags & RECORD_USER_EXPECTED;
        u->got_any = record->flags & RECORD_USER_FETCHING;
        u->asked_all = record->flags & RECORD_USER_ASKED_ALL;
        u->status = record->status == USER_ACTIVE || record->status == USER_SYNCING ? record->status : USER_LOBBY;
        bool initiating = record->flags & RECORD_USER_INITIATING;
        u->initiating = initiating && u->status != USER_ACTIVE;
        u->unproved = initiating && u->status == USER_ACTIVE;
        if (record->address[0])
                user_set_address(u, record->address);
        u->since_wall = record->since;
        u->behind_since_wall = record->behind_since;
        return 0;
}

int replay_metadata(Session *s, const void *name, size_t name_size, Bytes *metadata)
{
        User *u = session_find_name(s, name, name_size);
        if (!u)
                return 1;
        if (!metadata_is_good(metadata))
                return 1;
        bytes_unref(u->metadata);
        u->metadata = bytes_ref(metadata);
        bytes_unref(u->metadata_kept);
        u->metadata_kept = bytes_ref(metadata);
        return 0;
}

static int replay_left(Session *s, const SessionRecord *record)
{
        User *u = session_find_name(s, record->key->data, record->key->size);
        if (!u)
                return 1;
        int r = history_left(s, u);
        if (r < 0)
                return r;
        session_remove_user(s, u);
        user_free(u);
        return 0;
}

static int replay_login(Session *s, const SessionRecord *record)
{
        RecordUser user;
        int r = record_read_user(record->meta, &user);
        if (r == 0 && !message_text_is_clean(record->key->data, record->key->size, UINT8_MAX))
                r = 1;
        return r != 0 ? r : replay_user(s, record->key->data, record->key->size, &user);
}

/* ---- calls ---- */

int session_load_record(Session *s, const SessionRecord *record, uint64_t wall, const StoreLocation *location)
{
        s->loading = true;
        s->last_wall = wall;
        if (record->refused)
                return 0;
        if (!record->key && record->kind != RECORD_RIGHT && record->kind != RECORD_STATE)
                return 1;
        switch (record->kind) {
        case RECORD_NODE:
                return replay_whole(s, record, wall, location);
        case RECORD_COMMIT:
                return replay_commit(s, record, wall);
        case RECORD_DELETE:
                return replay_delete(s, record, wall);
        case RECORD_RIGHT:
                return replay_right(s, record, wall);
        case RECORD_STATE:
                return replay_state(s, record, wall);
        case RECORD_USER:
                return replay_login(s, record);
        case RECORD_METADATA:
                return record->blob ? replay_metadata(s, record->key->data, record->key->size, record->blob) : 1;
        case RECORD_LEFT:
                return replay_left(s, record);
        case RECORD_CHAT:
                return history_replay_chat(s, record);
        case RECORD_TASK:
                return history_replay_task(s, record);
        case RECORD_HOLDER:
                return history_replay_holder(s, record->key->data, record->key->size, record->meta);
        }
        return 1;
}

int session_load_gap(Session *s)
{
        s->loaded_gap = true;
        u64_map_done(&s->loaded_whole);
        return 0;
}

/* Locks of users who were not there when the process before ended, or who have left since. */
static int release_orphans(Session *s)
{
        for (size_t i = 0; i < scene_n_owners(s->scene); i++) {
                _cleanup_bytes_ Bytes *owner = bytes_ref(scene_owner_at(s->scene, i));
                if (!owner || session_find_name(s, owner->data, owner->size))
                        continue;
                int r = rights_release(s, owner, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int expect_user(Session *s, User *u)
{
        s->n_expected++;
        u->uncounted = true;
        u->away = u->from_before = true;
        u->away_since = s->now.now;
        /* Whatever it has got of its catalog. */
        int r = u->status == USER_SYNCING ? stale_mark_changed_since(s, u, 0) : 0;
        if (r == 0 && !u->opened)
                r = emit_open(s, u);
        if (r == 0 && u->found_loading)
                r = presence_found(s, u, CHANNEL_COMMAND);
        bool answered = u->ttl_heard != 0;
        return r == 0 && answered ? presence_heard(s, u, CHANNEL_TTL) : r;
}

int session_load_done(Session *s, SessionTime t, EffectList *effects)
{
        session_note_time(s, t);
        s->effects = effects;
        s->loading = s->loaded_gap = false;
        u64_map_done(&s->loaded_changes);
        u64_map_done(&s->loaded_rights);
        u64_map_done(&s->loaded_whole);
        int r = 0;
        if (s->init) {
                s->init = init_free(s->init);
                r = journal_state(s, NULL, RECORD_STATE_ABANDONED);
        }
        for (size_t i = 0; r == 0 && i < s->n_users; i++)
                r = history_adopt(s, s->users[i]);
        for (size_t i = 0; r == 0 && i < s->n_users; i++)
                r = expect_user(s, s->users[i]);
        if (r == 0 && s->n_users > 0)
                r = table_send_all(s);
        if (r == 0)
                r = release_orphans(s);
        /* Clients that have not been told of a Delete go on from what they have. */
        for (size_t i = 0; i < s->n_graves; i++)
                s->graves[s->first_grave + i].closed = t.now + DOUBT_WINDOW;
        session_need(s, t.now);
        s->effects = NULL;
        return r;
}
