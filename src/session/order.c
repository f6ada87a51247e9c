/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* Data goes to a client on another connection than Deletes and Rights, so the order between the two is not kept by
 * itself. A Delete that overtakes a Commit makes the client raise on the Commit and leave; a Right that overtakes the
 * Node that it is for is lost. */

/* Before more than so many commands are sent that do nothing, a client has so long to prove that it is not busy. After a
 * return most do: they only have to move something. */
#define PAD_MANY 50u
#define PAD_PATIENCE (4 * USEC_PER_SEC)
#define PAD_LOOK (250 * USEC_PER_MSEC)

/* After that so many at each look, for so long: a client handles one a turn, and what others say waits behind them. */
#define PAD_STEP 20u
#define PAD_TIME (10 * USEC_PER_SEC)

/* Who was busy may speak before it has handled what came meanwhile, a message a millisecond at best. So for so long it
 * proves nothing. */
#define WAKE_UP_TIME (2 * USEC_PER_SEC)

/* With commands about this many nodes a client is flooded, and order no longer the worst of its problems. */
#define HELD_NODES_MAX 65536u

/* Commands that do nothing, so that what follows them is not handled before data that was sent before; see pace.h. */
static unsigned pads_due(const Session *s, const User *u)
{
        bool wakes_up = u->awake_since != 0 && s->now.now - u->awake_since < WAKE_UP_TIME;
        return pace_lacks(u->pace, s->now.now, wakes_up ? u->heard_before : MAX(u->data_heard, u->command_heard));
}

static int pad(Session *s, const User *u, unsigned n)
{
        _cleanup_frames_ Frames *frames = NULL;
        Value *data = answer_set(value_dict_new(), "uuid", value_list_new());
        int r = answer_new(s, MESSAGE_RIGHT, answer_set(data, "owner", answer_text(s->common)), &frames);
        for (unsigned i = 0; r == 0 && i < n; i++)
                r = emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, frames, 0);
        return r;
}

static int order_pad(Session *s, const User *u)
{
        unsigned n = pads_due(s, u);
        /* Data that is still on its way may arrive after the command that stands for all before it. */
        if (!user_is_queued(u) && !u->laden && !u->old_data)
                pace_note_ordered(u->pace);
        return n > 0 ? pad(s, u, n) : 0;
}

/* Whether a command that is due has to wait, for proof or for others that do nothing to go before it. */
static int order_put_off(Session *s, User *u, HeldCommand *h)
{
        uint64_t now = s->now.now, waited = now - h->since;
        if (h->due > now || waited >= PAD_PATIENCE + PAD_TIME || pads_due(s, u) <= PAD_MANY)
                return 0;
        h->due = now + PAD_LOOK;
        if (waited < PAD_PATIENCE || u->pad_due > now)
                return 0;
        u->pad_due = now + PAD_LOOK;
        return pad(s, u, PAD_STEP);
}

static bool is_flooded(const User *u)
{
        return u->n_held_nodes >= HELD_NODES_MAX;
}

static size_t held_nodes(const HeldCommand *h)
{
        return h->uuids ? value_list_length(h->uuids) : 1;
}

/* Takes what it refers to over, also on failure. */
static int hold(Session *s, User *u, HeldCommand command)
{
        if (u->n_held == u->n_held_allocated) {
                size_t n_allocated = u->n_held_allocated * 2 + 8;
                HeldCommand *held = reallocarray(u->held, n_allocated, sizeof *held);
                if (!held)
                        return held_command_done(&command), -ENOMEM;
                u->held = held;
                u->n_held_allocated = n_allocated;
        }
        command.since = s->now.now;
        u->held[u->n_held++] = command;
        u->n_held_nodes += held_nodes(&command);
        if (command.due != UINT64_MAX)
                session_need(s, command.due);
        return 0;
}

static int hold_delete(Session *s, User *u, uint64_t due, const void *uuid, size_t uuid_size)
{
        uint64_t hash = session_hash(s, uuid, uuid_size);
        const uint64_t *n_held = u64_map_find(&u->held_deletes, hash);
        int r = u64_map_set(&u->held_deletes, hash, n_held ? *n_held + 1 : 1);
        Bytes *copy = r < 0 ? NULL : bytes_new_copy(uuid, uuid_size);
        return copy ? hold(s, u, (HeldCommand){ .due = due, .deleted = copy }) : -ENOMEM;
}

/* It has been sent, or need not be. */
static void release(const Session *s, User *u, HeldCommand *h)
{
        u->n_held_nodes -= held_nodes(h);
        if (h->deleted) {
                uint64_t hash = session_hash(s, h->deleted->data, h->deleted->size);
                uint64_t *n_held = u64_map_find(&u->held_deletes, hash);
                if (--*n_held == 0)
                        u64_map_remove(&u->held_deletes, hash);
        }
        held_command_done(h);
}

/* Until when a command about the node must wait; not later than now: not at all. */
static uint64_t order_due(const Session *s, const User *u, Node *n)
{
        if (u->status != USER_ACTIVE || is_flooded(u))
                return 0;
        /* Nothing is known of what a server before this one has sent, nor what of it the client has read. */
        if (u->away || u->old_data)
                return UINT64_MAX;
        /* It is not remembered whether data of the node is among what was sent that long ago. */
        if (user_awaits_old(u, s->now.now, DOUBT_WINDOW))
                return UINT64_MAX;
        uint64_t sent = stale_last_sent(s, u, n);
        sent = MAX(sent, u->returned);
        if (sent == 0)
                return 0;
        return user_awaits(u, sent) ? UINT64_MAX : sent + ORDER_DELAY;
}

int order_delete(Session *s, User *u, Node *n, Frames *frames, uint64_t *ret_when)
{
        uint64_t due = order_due(s, u, n);
        if (due <= s->now.now) {
                int r = stale_last_sent(s, u, n) != 0 ? order_pad(s, u) : 0;
                return r < 0 ? r : emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, frames, 0);
        }
        *ret_when = due == UINT64_MAX ? s->now.now + DOUBT_WINDOW : due;
        return hold_delete(s, u, due, node_uuid(n).text, node_uuid_size(n));
}

static uint64_t due_behind_all(const Session *s, const User *u)
{
        return user_awaits(u, s->now.now) ? UINT64_MAX : s->now.now + ORDER_DELAY;
}

int order_repeat_delete(Session *s, User *u, const Bytes *uuid)
{
        if (is_flooded(u))
                return emit_command(s, u, MESSAGE_DELETE, answer_text(uuid));
        return hold_delete(s, u, due_behind_all(s, u), uuid->data, uuid->size);
}

int order_rights(Session *s, User *u)
{
        int r = rights_tell_all(s, u);
        if (r != 1 || u->status != USER_ACTIVE || is_flooded(u))
                return MIN(r, 0);
        return hold(s, u, (HeldCommand){ .due = due_behind_all(s, u) });
}

void order_note_new(Session *s, const Node *n)
{
        NewNodes *new = &s->new_nodes;
        bool none = new->first == 0 || new->latest + DOUBT_WINDOW <= s->now.now;
        if (none || new->since + DOUBT_WINDOW <= s->now.now) {
                new->first = none ? node_id(n) : new->middle;
                new->middle = node_id(n);
                new->since = s->now.now;
        }
        new->latest = s->now.now;
}

static bool is_new(const Session *s, const Node *n)
{
        const NewNodes *new = &s->new_nodes;
        return new->first != 0 && node_id(n) >= new->first && new->latest + DOUBT_WINDOW > s->now.now;
}

/* When the Right for the node has to be said again; not later than now: not at all. */
static uint64_t right_due(const Session *s, const User *u, Node *n)
{
        uint64_t due = order_due(s, u, n);
        /* One that was made lately may be new to the client, or one that is still on its way to it. */
        bool maybe_new = due == UINT64_MAX || is_new(s, n) || u64_map_find(&u->repaired, node_id(n));
        return maybe_new ? due : 0;
}

/* May order_due() say something of nodes of which nothing was passed on to anybody lately? */
static bool minds_quiet_nodes(const Session *s, const User *u)
{
        return u->repaired.n > 0 || u->old_data || user_awaits_old(u, s->now.now, DOUBT_WINDOW) ||
               (u->returned != 0 && (u->returned + ORDER_DELAY > s->now.now || user_awaits(u, u->returned)));
}

/* Those of the nodes whose Right is to be said again, and when. */
static int list_rights_due(const Session *s, const User *u, const NodeList *nodes, NodeList *ret, uint64_t *ret_due)
{
        int r = 0;
        ret->n = 0;
        *ret_due = 0;
        for (size_t i = 0; r == 0 && i < nodes->n; i++) {
                uint64_t due = right_due(s, u, nodes->items[i]);
                if (due <= s->now.now)
                        continue;
                *ret_due = MAX(*ret_due, due);
                r = node_list_add(ret, nodes->items[i]);
        }
        return r;
}

int order_rights_sent(Session *s, const NodeList *nodes)
{
        _cleanup_node_list_ NodeList lively = {}, due = {}, before = {};
        _cleanup_value_ Value *uuids = NULL; /* of those before: most users lack the same */
        int r = 0;
        for (size_t i = 0; r == 0 && i < nodes->n; i++)
                if (stale_was_passed_on(s, nodes->items[i]))
                        r = node_list_add(&lively, nodes->items[i]);
        for (size_t i = 0; r == 0 && i < s->n_users; i++) {
                User *u = s->users[i];
                /* Who is away is told all Rights when it is back. */
                if (u->away || u->status != USER_ACTIVE || is_flooded(u))
                        continue;
                uint64_t when;
                r = list_rights_due(s, u, minds_quiet_nodes(s, u) ? nodes : &lively, &due, &when);
                if (r < 0 || due.n == 0)
                        continue;
                if (!uuids || !node_list_equal(&due, &before)) {
                        value_unref(uuids);
                        uuids = node_list_uuids(&due);
                        NodeList freed = before;
                        before = due;
                        due = freed;
                }
                r = uuids ? hold(s, u, (HeldCommand){ .due = when, .uuids = value_ref(uuids) }) : -ENOMEM;
        }
        return r;
}

static int send_held_delete(Session *s, User *u, const Bytes *uuid)
{
        if (scene_find(s->scene, uuid->data, uuid->size))
                return 0;
        int r = order_pad(s, u);
        if (r < 0)
                return r;
        grave_keep_closed(s, uuid->data, uuid->size, s->now.now + LATE_DATA_WINDOW);
        return emit_command(s, u, MESSAGE_DELETE, answer_text(uuid));
}

static int list_nodes(const Session *s, const Value *uuids, NodeList *ret)
{
        int r = 0;
        for (uint32_t i = 0; r == 0 && i < value_list_length(uuids); i++) {
                const Value *uuid = value_list_get(uuids, i);
                Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                if (n)
                        r = node_list_add(ret, n);
        }
        return r;
}

int order_repeat_told(Session *s, const User *u)
{
        int r = 0;
        for (size_t i = s->told.first; r == 0 && i < s->told.end; i++)
                r = emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, s->effects->items[i].send.frames, 0);
        return r;
}

static int send_held_rights(Session *s, User *u, Value *uuids)
{
        _cleanup_node_list_ NodeList nodes = {};
        bool is_told = s->told.uuids == uuids;
        int r = is_told ? 0 : list_nodes(s, uuids, &nodes);
        if (r == 0 && (is_told ? s->told.end > s->told.first : nodes.n > 0))
                r = order_pad(s, u);
        if (r < 0 || is_told)
                return r < 0 ? r : order_repeat_told(s, u);
        order_forget_told(s);
        size_t first = s->effects->n_items;
        r = rights_tell_owners(s, u, &nodes);
        s->told = (ToldRights){ .uuids = value_ref(uuids), .first = first, .end = s->effects->n_items };
        return r;
}

void order_forget_told(Session *s)
{
        value_unref(s->told.uuids);
        s->told = (ToldRights){};
}

static int send_held(Session *s, User *u, const HeldCommand *h)
{
        if (h->deleted)
                return send_held_delete(s, u, h->deleted);
        if (h->uuids)
                return send_held_rights(s, u, h->uuids);
        int r = order_pad(s, u);
        return r < 0 ? r : MIN(rights_tell_all(s, u), 0);
}

bool order_holds_delete(const Session *s, const User *u, const void *uuid, size_t size)
{
        return u->held_deletes.n > 0 && u64_map_find(&u->held_deletes, session_hash(s, uuid, size));
}

int order_send_due(Session *s, User *u)
{
        size_t n_left = 0;
        int r = 0;
        for (size_t i = 0; i < u->n_held; i++) {
                HeldCommand h = u->held[i];
                if (r == 0)
                        r = order_put_off(s, u, &h);
                if (r < 0 || h.due > s->now.now) {
                        if (h.due != UINT64_MAX)
                                session_need(s, h.due);
                        u->held[n_left++] = h;
                        continue;
                }
                r = send_held(s, u, &h);
                release(s, u, &h);
        }
        u->n_held = n_left;
        return r;
}

void order_suspend(User *u)
{
        for (size_t i = 0; i < u->n_held; i++)
                u->held[i].due = UINT64_MAX;
}

void order_drained(Session *s, User *u)
{
        for (size_t i = 0; i < u->n_held; i++) {
                if (u->held[i].due != UINT64_MAX || user_awaits(u, u->held[i].since))
                        continue;
                u->held[i].due = s->now.now + ORDER_DELAY;
                session_need(s, u->held[i].due);
        }
}
