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
        _cleanup_value_ Value *uuid = value_str_new(node_uuid(n), node_uuid_size(n));
        return uuid ? value_list_append(list, uuid) : -ENOMEM;
}

int rights_tell(Session *s, const User *u, const Node *n)
{
        _cleanup_value_ Value *uuids = value_list_new();
        if (!uuids || append_uuid(uuids, n) < 0)
                return -ENOMEM;
        return emit_command(s, u, MESSAGE_RIGHT, right_data(node_owner(s->scene, n), uuids));
}

int rights_note(Session *s, const Node *n, uint64_t wall)
{
        int r = u64_map_set(&s->recent_rights, node_id(n), wall);
        return MIN(r, 0);
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
        return r < 0 ? r : emit_command_all(s, MESSAGE_RIGHT, except, right_data(s->common, uuids));
}

/* ---- Right ---- */

/* To COMMON or to oneself what nobody else holds; admins may also release what somebody else holds. */
static bool may_change(const Session *s, const User *u, const Node *n, const Bytes *owner)
{
        bool to_common = bytes_equal(owner, s->common);
        return rights_may_edit(s, u, n) ? to_common || bytes_equal(owner, u->name) : to_common && u->admin;
}

/* Sorts the nodes that may be changed and are into `changed`, tells the sender about those that may not be. Uuids
 * that are not known change nothing. *ret_whole: nothing was refused, the message may be passed on as it is. */
static int rights_sort(Session *s, const User *u, const Message *m, const Bytes *owner, Value *changed,
                       bool *ret_whole)
{
        for (uint32_t i = 0; i < value_list_length(m->uuids); i++) {
                const Value *uuid = value_list_get(m->uuids, i);
                const Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                int r = 0;
                if (n && !may_change(s, u, n, owner)) {
                        *ret_whole = false;
                        r = rights_tell(s, u, n);
                } else if (n && !bytes_equal(node_owner(s->scene, n), owner)) {
                        r = append_uuid(changed, n);
                }
                if (r < 0)
                        return r;
        }
        return 0;
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

int rights_message(Session *s, User *u, const Message *m, Bytes *const *frames)
{
        if (!user_is_named(u, m->owner->data, m->owner->size))
                return session_forbidden(s, u, "wanted to change rights in the name of somebody else", false);
        int r = join_evidence(s, u, false);
        if (r < 0)
                return r;
        _cleanup_bytes_ Bytes *owner = bytes_new_copy(m->name.data, m->name.size);
        _cleanup_value_ Value *changed = value_list_new();
        if (!owner || !changed)
                return -ENOMEM;
        bool whole = true;
        r = rights_sort(s, u, m, owner, changed, &whole);
        if (r == 0 && !whole)
                r = session_forbidden(s, u, "wanted to change rights of nodes that somebody else has locked", true);
        if (r == 0)
                r = rights_apply(s, u, owner, changed);
        if (r < 0)
                return r;
        if (!whole && value_list_length(changed) == 0)
                return 0;
        _cleanup_frames_ Frames *relayed = NULL;
        if (!whole) {
                r = answer_new(s, MESSAGE_RIGHT, right_data(owner, changed), &relayed);
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
        return r < 0 ? r : rights_repeat(s, changed);
}

/* ---- Delete ---- */

static int delete_apply(Session *s, User *u, Node *n, Frames *frames)
{
        _cleanup_bytes_ Bytes *uuid = bytes_new_copy(node_uuid(n), node_uuid_size(n));
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
                r = grave_dig(s, n, last + LATE_DATA_WINDOW);
        if (r < 0)
                return r;
        uint64_t id = node_id(n);
        stale_forget(s, id);
        r = scene_remove(s->scene, n);
        return r < 0 ? r : join_answer_waiting(s, id, false);
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
        /* A node that only the sender has: gone there when the Delete comes back. */
        if (!n)
                return emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, relayed, 0);
        if (!rights_may_edit(s, u, n)) {
                r = session_forbidden(s, u, "wanted to delete a node that somebody else has locked", true);
                if (r == 0)
                        r = stale_mark(s, u, n, s->now.now);
                return r < 0 ? r : rights_tell(s, u, n);
        }
        return delete_apply(s, u, n, relayed);
}
