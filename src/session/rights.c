/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

bool rights_may_edit(const Session *s, const User *u, const Node *n)
{
        return node_is_common(n) || bytes_equal(node_owner(s->scene, n), u->name);
}

static Value *right_data(const Bytes *owner, Value *uuids)
{
        return answer_set(answer_set(value_dict_new(), "uuid", value_ref(uuids)), "owner", answer_text(owner));
}

static int append_uuid(Value *list, const Node *n)
{
        _cleanup_value_ Value *uuid = value_str_new(node_uuid(n).text, node_uuid_size(n));
        return uuid ? value_list_append(list, uuid) : -ENOMEM;
}

int rights_tell(Session *s, const User *u, const Node *n)
{
        _cleanup_value_ Value *uuids = value_list_new();
        if (!uuids || append_uuid(uuids, n) < 0)
                return -ENOMEM;
        return emit_command(s, u, MESSAGE_RIGHT, right_data(node_owner(s->scene, n), uuids));
}

/* 1: there were some. */
static int tell_owned(Session *s, const User *u, const Bytes *owner, Value *uuids)
{
        if (value_list_length(uuids) == 0)
                return 0;
        int r = emit_command(s, u, MESSAGE_RIGHT, right_data(owner, uuids));
        return r < 0 ? r : 1;
}

static int tell_released(Session *s, const User *u)
{
        _cleanup_value_ Value *uuids = value_list_new();
        int r = uuids ? 0 : -ENOMEM;
        for (const U64MapEntry *e = u64_map_next(&s->recent_rights, NULL); r == 0 && e;
             e = u64_map_next(&s->recent_rights, e)) {
                const Node *n = scene_find_id(s->scene, e->key);
                if (n && node_is_common(n))
                        r = append_uuid(uuids, n);
        }
        return r < 0 ? r : tell_owned(s, u, s->common, uuids);
}

static int tell_locked(Session *s, const User *u, const Bytes *owner)
{
        _cleanup_value_ Value *uuids = value_list_new();
        int r = uuids ? 0 : -ENOMEM;
        for (Node *n = NULL; r == 0 && (n = scene_owned(s->scene, owner->data, owner->size, n));)
                r = append_uuid(uuids, n);
        return r < 0 ? r : tell_owned(s, u, owner, uuids);
}

int rights_tell_all(Session *s, const User *u)
{
        int told = tell_released(s, u);
        for (size_t i = 0; told >= 0 && i < s->n_users; i++) {
                int r = tell_locked(s, u, s->users[i]->name);
                told = r < 0 ? r : told | r;
        }
        return told;
}

int rights_note(Session *s, const Node *n, uint64_t wall)
{
        int r = u64_map_set(&s->recent_rights, node_id(n), wall);
        return MIN(r, 0);
}

/* Everybody has just been told of these: again those whom that may have reached before the nodes. */
static int rights_repeat(Session *s, const Value *uuids)
{
        for (uint32_t i = 0; i < value_list_length(uuids); i++) {
                const Value *uuid = value_list_get(uuids, i);
                Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                for (size_t j = 0; n && j < s->n_users; j++) {
                        int r = order_right(s, s->users[j], n);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* `except` is not told. */
static int rights_announce(Session *s, const Bytes *owner, Value *uuids, const User *except)
{
        int r = emit_command_all(s, MESSAGE_RIGHT, except, right_data(owner, uuids));
        return r < 0 ? r : rights_repeat(s, uuids);
}

int rights_release(Session *s, Bytes *owner, const User *except)
{
        _cleanup_value_ Value *uuids = value_list_new();
        if (!uuids)
                return -ENOMEM;
        for (Node *n; (n = scene_owned(s->scene, owner->data, owner->size, NULL));)
                if (append_uuid(uuids, n) < 0 || scene_set_owner(s->scene, n, s->common) < 0 ||
                    rights_note(s, n, s->now.wall) < 0)
                        return -ENOMEM;
        if (value_list_length(uuids) == 0)
                return 0;
        int r = journal_right(s, NULL, s->common, uuids);
        return r < 0 ? r : rights_announce(s, s->common, uuids, except);
}

int rights_give(Session *s, Node *n, Bytes *owner)
{
        _cleanup_value_ Value *uuids = value_list_new();
        if (!uuids || append_uuid(uuids, n) < 0)
                return -ENOMEM;
        int r = scene_set_owner(s->scene, n, owner);
        if (r == 0)
                r = rights_note(s, n, s->now.wall);
        if (r == 0)
                r = journal_right(s, NULL, owner, uuids);
        return r < 0 ? r : rights_announce(s, owner, uuids, NULL);
}

/* ---- Right ---- */

/* To COMMON or to oneself what nobody else holds; admins may also release what somebody else holds. */
static bool may_change(const Session *s, const User *u, const Node *n, const Bytes *owner)
{
        bool to_common = bytes_equal(owner, s->common);
        return rights_may_edit(s, u, n) ? to_common || bytes_equal(owner, u->name) : to_common && u->admin;
}

static EarlyRight *early_right_find(Session *s, uint64_t hash)
{
        for (size_t i = 0; i < ELEMENTSOF(s->early_rights); i++)
                if (s->early_rights[i].hash == hash && s->early_rights[i].until > s->now.now)
                        return &s->early_rights[i];
        return NULL;
}

static void early_right_note(Session *s, const User *u, const Value *uuid, Bytes *owner)
{
        if (grave_find(s, value_data(uuid), value_size(uuid)))
                return;
        uint64_t hash = session_hash(s, value_data(uuid), value_size(uuid));
        EarlyRight *e = early_right_find(s, hash);
        if (!e)
                e = &s->early_rights[s->next_early_right++ % EARLY_RIGHTS_MAX];
        bytes_unref(e->owner);
        *e = (EarlyRight){
                .hash = hash, .until = s->now.now + EARLY_RIGHT_TIMEOUT, .user = u->serial, .owner = bytes_ref(owner),
        };
}

/* What a Right asks for, sorted. */
typedef struct RightsSorted {
        Value *allowed, *refused;
        Value *changed; /* those of the allowed that have another owner now */
        bool repeated; /* names a node more than once */
        U64Map seen;
} RightsSorted;

static void rights_sorted_done(RightsSorted *sorted)
{
        value_unref(sorted->allowed);
        value_unref(sorted->refused);
        value_unref(sorted->changed);
        u64_map_done(&sorted->seen);
}

static int rights_sort_one(Session *s, const Node *n, bool allowed, const Bytes *owner, RightsSorted *sorted)
{
        if (!allowed)
                return append_uuid(sorted->refused, n);
        int r = append_uuid(sorted->allowed, n);
        return r == 0 && !bytes_equal(node_owner(s->scene, n), owner) ? append_uuid(sorted->changed, n) : r;
}

/* Uuids that are not known yet are noted. */
static int rights_sort(Session *s, const User *u, const Message *m, Bytes *owner, RightsSorted *sorted)
{
        for (uint32_t i = 0; i < value_list_length(m->uuids); i++) {
                const Value *uuid = value_list_get(m->uuids, i);
                const Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                if (!n) {
                        early_right_note(s, u, uuid, owner);
                        continue;
                }
                int r = u64_map_set(&sorted->seen, node_id(n), 1);
                if (r > 0)
                        sorted->repeated = true;
                else if (r == 0)
                        r = rights_sort_one(s, n, may_change(s, u, n, owner), owner, sorted);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Tells the user which of the nodes this owner has. */
static int rights_tell_owner(Session *s, const User *u, const Bytes *owner, const Value *uuids)
{
        _cleanup_value_ Value *owned = value_list_new();
        if (!owned)
                return -ENOMEM;
        for (uint32_t i = 0; i < value_list_length(uuids); i++) {
                const Value *uuid = value_list_get(uuids, i);
                const Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                int r = bytes_equal(node_owner(s->scene, n), owner) ? append_uuid(owned, n) : 0;
                if (r < 0)
                        return r;
        }
        return MIN(tell_owned(s, u, owner, owned), 0);
}

static int rights_refuse(Session *s, User *u, const Value *refused)
{
        if (value_list_length(refused) == 0)
                return 0;
        int r = rights_tell_owner(s, u, s->common, refused);
        for (size_t i = 0; r == 0 && i < scene_n_owners(s->scene); i++) {
                const Bytes *owner = scene_owner_at(s->scene, i);
                if (owner)
                        r = rights_tell_owner(s, u, owner, refused);
        }
        return r < 0 ? r : session_forbidden(s, u, "wanted to change rights of nodes that somebody else has locked", true);
}

static int rights_apply(Session *s, User *u, Bytes *owner, const Value *changed)
{
        if (value_list_length(changed) == 0)
                return 0;
        for (uint32_t i = 0; i < value_list_length(changed); i++) {
                const Value *uuid = value_list_get(changed, i);
                Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                int r = scene_set_owner(s->scene, n, owner);
                if (r == 0)
                        r = rights_note(s, n, s->now.wall);
                if (r < 0)
                        return r;
        }
        return journal_right(s, u, owner, changed);
}

/* What it said about the node to a server before this one, ahead of the node itself, is not known: it is told. */
static int rights_created_since_restart(Session *s, const User *u, Node *n)
{
        if (!u->from_before || (!u->away && s->now.now - u->returned >= DOUBT_WINDOW))
                return 0;
        int r = rights_note(s, n, s->now.wall);
        return r < 0 ? r : rights_tell(s, u, n);
}

int rights_created(Session *s, const User *u, Node *n)
{
        EarlyRight *e = early_right_find(s, session_hash(s, node_uuid(n).text, node_uuid_size(n)));
        if (!e)
                return rights_created_since_restart(s, u, n);
        e->until = 0;
        _cleanup_value_ Value *uuids = value_list_new();
        if (!uuids || append_uuid(uuids, n) < 0)
                return -ENOMEM;
        int r = 0;
        if (e->user == u->serial && (bytes_equal(e->owner, u->name) || bytes_equal(e->owner, s->common))) {
                r = scene_set_owner(s->scene, n, e->owner);
                if (r == 0)
                        r = rights_note(s, n, s->now.wall);
                if (r == 0)
                        r = journal_right(s, u, e->owner, uuids);
        }
        return r < 0 ? r : rights_announce(s, node_owner(s->scene, n), uuids, NULL);
}

int rights_message(Session *s, User *u, const Message *m, Bytes *const *frames)
{
        if (!user_is_named(u, m->owner->data, m->owner->size))
                return session_forbidden(s, u, "wanted to change rights in the name of somebody else", false);
        int r = join_evidence(s, u, false);
        if (r < 0)
                return r;
        _cleanup_bytes_ Bytes *owner = bytes_new_copy(m->name.data, m->name.size);
        _cleanup_(rights_sorted_done) RightsSorted sorted = {
                .allowed = value_list_new(), .refused = value_list_new(), .changed = value_list_new(),
        };
        if (!owner || !sorted.allowed || !sorted.refused || !sorted.changed)
                return -ENOMEM;
        r = rights_sort(s, u, m, owner, &sorted);
        if (r == 0)
                r = rights_refuse(s, u, sorted.refused);
        if (r == 0)
                r = rights_apply(s, u, owner, sorted.changed);
        if (r < 0)
                return r;
        bool whole = value_list_length(sorted.refused) == 0 && !sorted.repeated;
        if (!whole && value_list_length(sorted.allowed) == 0)
                return 0;
        _cleanup_frames_ Frames *relayed = NULL;
        if (!whole) {
                r = answer_new(s, MESSAGE_RIGHT, right_data(owner, sorted.allowed), &relayed);
                if (r < 0)
                        return r;
        } else {
                relayed = frames_new(frames, 3);
                if (!relayed)
                        return -ENOMEM;
                for (size_t i = 0; i < 3; i++)
                        bytes_ref(frames[i]);
        }
        r = emit_frames_all(s, NULL, SEND_CONTROL, relayed);
        return r < 0 ? r : rights_repeat(s, sorted.changed);
}

/* ---- Delete ---- */

typedef struct Deleted {
        Session *session;
        const Node *node;
} Deleted;

/* Clients take a deleted node out of the dependencies of others, unless they see the Delete before the data that names
 * it, or do not have the deleted node itself. */
static int mark_dependant(void *userdata, Node *n)
{
        const Deleted *d = userdata;
        Session *s = d->session;
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                uint64_t sent = stale_last_sent(s, u, n);
                bool behind_data = sent != 0 && sent + ORDER_DELAY >= s->now.now;
                bool lacks = u->status == USER_SYNCING || stale_has(u, d->node);
                if (u->status == USER_LOBBY || (!behind_data && !lacks))
                        continue;
                int r = stale_mark(s, u, n, s->now.now + ORDER_DELAY);
                if (r < 0)
                        return r;
        }
        return 0;
}

int rights_remove(Session *s, User *u, Node *n, Frames *frames)
{
        _cleanup_bytes_ Bytes *uuid = bytes_new_copy(node_uuid(n).text, node_uuid_size(n));
        if (!uuid)
                return -ENOMEM;
        int r = journal(s, RECORD_DELETE, u, uuid, NULL, NULL);
        uint64_t last = s->now.now;
        for (size_t i = 0; r == 0 && i < s->n_users; i++) {
                uint64_t when = s->now.now;
                r = order_delete(s, s->users[i], n, frames, &when);
                last = MAX(last, when);
        }
        if (r == 0)
                r = grave_dig(s, node_uuid(n).text, node_uuid_size(n), last + LATE_DATA_WINDOW);
        if (r < 0)
                return r;
        uint64_t id = node_id(n);
        Deleted deleted = { .session = s, .node = n };
        r = scene_each_dependant(s->scene, n, mark_dependant, &deleted);
        stale_forget(s, id);
        if (r == 0)
                r = scene_remove(s->scene, n);
        return r < 0 ? r : join_answer_waiting(s, id, false);
}

/* Deleted already by somebody else, which is being told to everybody; or a node that only the sender has, as its Node
 * was refused or has been overtaken by this: it is gone there when the Delete comes back, and must not come here. */
static int delete_unknown(Session *s, User *u, MessageText uuid, Frames *frames)
{
        const Grave *g = grave_find(s, uuid.data, uuid.size);
        if (g && g->deleted_wall + DOUBT_WINDOW >= s->now.wall)
                return 0;
        _cleanup_bytes_ Bytes *copy = bytes_new_copy(uuid.data, uuid.size);
        /* In the journal, too: what tells the sender may be lost with this process, and the grave would be. */
        int r = copy ? journal(s, RECORD_DELETE, u, copy, NULL, NULL) : -ENOMEM;
        if (r == 0)
                r = grave_add(s, copy, s->now.wall, s->now.now + LATE_DATA_WINDOW);
        return r < 0 ? r : emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, frames, 0);
}

int rights_delete(Session *s, User *u, const Message *m, Bytes *const *frames)
{
        int r = join_evidence(s, u, false);
        if (r < 0)
                return r;
        _cleanup_frames_ Frames *relayed = frames_new(frames, 3);
        if (!relayed)
                return -ENOMEM;
        for (size_t i = 0; i < 3; i++)
                bytes_ref(frames[i]);
        Node *n = scene_find(s->scene, m->uuid.data, m->uuid.size);
        if (!n)
                return delete_unknown(s, u, m->uuid, relayed);
        if (!rights_may_edit(s, u, n)) {
                r = session_forbidden(s, u, "wanted to delete a node that somebody else has locked", true);
                if (r == 0)
                        r = stale_mark(s, u, n, s->now.now);
                return r < 0 ? r : rights_tell(s, u, n);
        }
        return rights_remove(s, u, n, relayed);
}
