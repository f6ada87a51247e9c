/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

bool rights_may_edit(const Session *s, const User *u, const Node *n)
{
        return node_is_common(n) || bytes_equal(node_owner(s->scene, n), u->name);
}

static Value *right_data(const Bytes *owner, const NodeList *nodes)
{
        return answer_set(answer_set(value_dict_new(), "uuid", node_list_uuids(nodes)), "owner", answer_text(owner));
}

int rights_tell(Session *s, const User *u, Node *n)
{
        return emit_command(s, u, MESSAGE_RIGHT, right_data(node_owner(s->scene, n), &NODE_LIST_OF(n)));
}

static int tell_owned(Session *s, const User *u, const Bytes *owner, const NodeList *nodes)
{
        return nodes->n > 0 ? emit_command(s, u, MESSAGE_RIGHT, right_data(owner, nodes)) : 0;
}

int rights_tell_owners(Session *s, const User *u, NodeList *nodes)
{
        _cleanup_node_list_ NodeList owned = {};
        int r = 0;
        while (r == 0 && nodes->n > 0) {
                const Bytes *owner = node_owner(s->scene, nodes->items[0]);
                size_t n_left = 0;
                owned.n = 0;
                for (size_t i = 0; r == 0 && i < nodes->n; i++) {
                        Node *n = nodes->items[i];
                        if (node_owner(s->scene, n) == owner)
                                r = node_list_add(&owned, n);
                        else
                                nodes->items[n_left++] = n;
                }
                nodes->n = n_left;
                if (r == 0)
                        r = tell_owned(s, u, owner, &owned);
        }
        return r;
}

static int tell_released(Session *s, const User *u)
{
        _cleanup_node_list_ NodeList nodes = {};
        int r = 0;
        for (const U64MapEntry *e = u64_map_next(&s->recent_rights, NULL); r == 0 && e;
             e = u64_map_next(&s->recent_rights, e)) {
                Node *n = scene_find_id(s->scene, e->key);
                if (n && node_is_common(n))
                        r = node_list_add(&nodes, n);
        }
        return r < 0 ? r : tell_owned(s, u, s->common, &nodes);
}

static int list_locked(const Session *s, const Bytes *owner, NodeList *ret)
{
        int r = 0;
        for (Node *n = NULL; r == 0 && (n = scene_owned(s->scene, owner->data, owner->size, n));)
                r = node_list_add(ret, n);
        return r;
}

static int tell_locked(Session *s, const User *u, const Bytes *owner)
{
        _cleanup_node_list_ NodeList nodes = {};
        int r = list_locked(s, owner, &nodes);
        return r < 0 ? r : tell_owned(s, u, owner, &nodes);
}

static int tell_all(Session *s, const User *u)
{
        int r = tell_released(s, u);
        for (size_t i = 0; r == 0 && i < s->n_users; i++)
                r = tell_locked(s, u, s->users[i]->name);
        return r;
}

int rights_tell_all(Session *s, const User *u)
{
        size_t first = s->effects->n_items;
        int r = s->told.all ? order_repeat_told(s, u) : tell_all(s, u);
        if (r < 0)
                return r;
        size_t end = s->effects->n_items;
        if (!s->told.all) {
                order_forget_told(s);
                s->told = (ToldRights){ .all = true, .first = first, .end = end };
        }
        return end > first;
}

int rights_note(Session *s, const Node *n, uint64_t wall)
{
        int r = u64_map_set(&s->recent_rights, node_id(n), wall);
        return MIN(r, 0);
}

static int rights_apply(Session *s, const User *author, Bytes *owner, const NodeList *nodes)
{
        order_forget_told(s);
        for (size_t i = 0; i < nodes->n; i++) {
                int r = scene_set_owner(s->scene, nodes->items[i], owner);
                if (r == 0)
                        r = rights_note(s, nodes->items[i], s->now.wall);
                if (r < 0)
                        return r;
        }
        return journal_right(s, author, owner, nodes);
}

/* `except` is not told. */
static int rights_announce(Session *s, const Bytes *owner, const NodeList *nodes, const User *except)
{
        int r = emit_command_all(s, MESSAGE_RIGHT, except, right_data(owner, nodes));
        return r < 0 ? r : order_rights_sent(s, nodes);
}

int rights_release(Session *s, Bytes *owner, const User *except)
{
        _cleanup_node_list_ NodeList nodes = {};
        int r = list_locked(s, owner, &nodes);
        if (r < 0 || nodes.n == 0)
                return r;
        r = rights_apply(s, NULL, s->common, &nodes);
        return r < 0 ? r : rights_announce(s, s->common, &nodes, except);
}

int rights_give(Session *s, Node *n, Bytes *owner)
{
        int r = rights_apply(s, NULL, owner, &NODE_LIST_OF(n));
        return r < 0 ? r : rights_announce(s, owner, &NODE_LIST_OF(n), NULL);
}

/* ---- Right ---- */

/* To COMMON or to oneself what nobody else holds; admins may also release what somebody else holds. */
static bool may_change(const Session *s, const User *u, const Node *n, const Bytes *owner)
{
        bool to_common = bytes_equal(owner, s->common);
        return rights_may_edit(s, u, n) ? to_common || bytes_equal(owner, u->name) : to_common && u->admin;
}

/* What a Right asks for, sorted. */
typedef struct RightsSorted {
        NodeList allowed, refused;
        NodeList changed; /* those of the allowed that have another owner now */
        bool repeated; /* names a node more than once */
        BitSet seen;   /* their places in the scene */
} RightsSorted;

static void rights_sorted_done(RightsSorted *sorted)
{
        node_list_done(&sorted->allowed);
        node_list_done(&sorted->refused);
        node_list_done(&sorted->changed);
        bit_set_done(&sorted->seen);
}

static int rights_sort_one(Session *s, Node *n, bool allowed, const Bytes *owner, RightsSorted *sorted)
{
        if (!allowed)
                return node_list_add(&sorted->refused, n);
        int r = node_list_add(&sorted->allowed, n);
        return r == 0 && !bytes_equal(node_owner(s->scene, n), owner) ? node_list_add(&sorted->changed, n) : r;
}

/* Uuids that are not known yet are noted. */
static int rights_sort(Session *s, User *u, const Message *m, Bytes *owner, RightsSorted *sorted)
{
        for (uint32_t i = 0; i < value_list_length(m->uuids); i++) {
                const Value *uuid = value_list_get(m->uuids, i);
                Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                int r = 0;
                if (!n)
                        r = early_right_note(s, u, value_data(uuid), value_size(uuid), owner);
                else if (bit_set_has(&sorted->seen, node_slot(n)))
                        sorted->repeated = true;
                else
                        r = rights_sort_one(s, n, may_change(s, u, n, owner), owner, sorted);
                /* Most name one, which needs no memory to be told from others. */
                if (r == 0 && n && value_list_length(m->uuids) > 1)
                        r = bit_set_add(&sorted->seen, node_slot(n));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int rights_refuse(Session *s, User *u, NodeList *refused)
{
        if (refused->n == 0)
                return 0;
        int r = rights_tell_owners(s, u, refused);
        return r < 0 ? r : session_forbidden(s, u, "wanted to change rights of nodes that somebody else has locked", true);
}

/* What it said about the node to a server before this one, ahead of the node itself, is not known. */
static bool may_have_said_before(const Session *s, const User *u)
{
        return u->from_before && (u->away || s->now.now - u->returned < DOUBT_WINDOW);
}

int rights_created(Session *s, const User *author, Node *n, const EarlyRight *early, bool as_sent)
{
        if (!early->owner && !early->by_others && as_sent && !may_have_said_before(s, author))
                return 0;
        int r = rights_note(s, n, s->now.wall);
        if (r == 0 && early->by_others)
                return rights_announce(s, node_owner(s->scene, n), &NODE_LIST_OF(n), NULL);
        return r < 0 ? r : rights_tell(s, author, n);
}

int rights_message(Session *s, User *u, const Message *m, Bytes *const *frames)
{
        if (!user_is_named(u, m->owner->data, m->owner->size))
                return session_forbidden(s, u, "wanted to change rights in the name of somebody else", false);
        int r = join_evidence(s, u, false);
        if (r < 0)
                return r;
        _cleanup_bytes_ Bytes *owner = bytes_new_copy(m->name.data, m->name.size);
        _cleanup_(rights_sorted_done) RightsSorted sorted = {};
        if (!owner)
                return -ENOMEM;
        r = rights_sort(s, u, m, owner, &sorted);
        bool whole = sorted.refused.n == 0 && !sorted.repeated;
        if (r == 0)
                r = rights_refuse(s, u, &sorted.refused);
        if (r == 0 && sorted.changed.n > 0)
                r = rights_apply(s, u, owner, &sorted.changed);
        if (r < 0)
                return r;
        if (!whole && sorted.allowed.n == 0)
                return 0;
        _cleanup_frames_ Frames *relayed = NULL;
        if (!whole) {
                r = answer_new(s, MESSAGE_RIGHT, right_data(owner, &sorted.allowed), &relayed);
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
        return r < 0 ? r : order_rights_sent(s, &sorted.changed);
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
        early_right_forget(s, NULL, uuid->data, uuid->size);
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
        early_right_forget(s, u, uuid.data, uuid.size);
        if (s->overtakes && !g) {
                int r = early_delete_note(s, u, uuid.data, uuid.size);
                if (r < 0)
                        return r;
        }
        if (g && g->deleted_wall >= session_wall_before(s, DOUBT_WINDOW))
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
