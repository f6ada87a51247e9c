/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "net/net-private.h"

/* Metadata of other users, many times a second: behind more than this it would be old before it arrives. */
#define PRESENCE_QUEUE_MAX (64 * 1024)

#define CLOSING_TIMEOUT (5 * UINT64_C(1000000))

static size_t peer_held(const Peer *p)
{
        return peer_queued(p) + peer_in_flight(p);
}

/* Whether a message may be held for the peer. One that cannot be held within the limit beside what is always under way
 * may exceed it, alone. */
static bool has_room(const Net *n, const Peer *p, size_t charge)
{
        size_t held = peer_held(p), always = 2 * n->window;

        return held + charge <= n->max_backlog || (held <= always && charge + always > n->max_backlog);
}

static void check_drained(Net *n, Peer *p)
{
        if (!p->owes_drained)
                return;
        /* Even when nothing is queued any more, what is on its way may be too much: have its end announced. */
        for (int c = 0; c < _CHANNEL_MAX; c++)
                if (flight_bytes(p->box[c].flight) >= n->window / 2)
                        flight_wait(p->box[c].flight, n->window / 2);
        if (peer_held(p) > n->max_backlog / 2 || !outbox_is_empty(&p->box[CHANNEL_DATA]) ||
            p->box[CHANNEL_COMMAND].n_queued > PRESENCE_QUEUE_MAX / 4)
                return;
        /* What was refused would be refused again: whoever is told would send it at once, for ever. */
        if (p->refusing && !has_room(n, p, p->refused_charge))
                return;
        p->owes_drained = p->refusing = false;
        p->refusing_since = 0;
        peer_table_set_due(&n->peers, p, PEER_DUE_DRAINED);
}

/* What was under way is lost, and what waits may build upon it: a Commit to a node that never arrived, the presence of a
 * user whom only a lost table named. */
static void drop_dependent(Net *n, Outbox *o)
{
        n->bulk_void += o->n_bulk;
        outbox_drop(o, SEND_BULK);
        outbox_drop(o, SEND_PRESENCE);
        peer_table_update_pending(&n->peers, o);
}

void net_outbox_lost(Net *n, Outbox *o)
{
        if (!o->connected)
                return;
        drop_dependent(n, o);
        net_delivery_lost(o);
        o->connected = false;
        o->serial = o->silent_from = 0;
        /* libzmq may still take messages for a connection whose end it has reported: give it a moment. */
        o->state = OUTBOX_AWAY;
        peer_table_clear_due(&n->peers, o->peer, PEER_DUE_CONNECTED << o->channel);
        peer_table_set_due(&n->peers, o->peer, PEER_DUE_LOST << o->channel);
        check_drained(n, o->peer);
}

/* What can be handed over goes to the connection of that routing id. Where one that has spoken still stands it is that:
 * had another taken its place, its end would have been noticed, or would be yet. */
static void find_heard(const Net *n, Outbox *o)
{
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                const Connection *c = n->connections.by_fd[i];
                if (!c || !c->has_id || c->channel != o->channel || c->state == CONNECTION_REFUSED ||
                    c->serial <= o->serial || !routing_id_equal(&c->id, &o->peer->id) || !connection_is_alive(c))
                        continue;
                o->serial = c->serial;
                o->fd = c->fd;
        }
}

static void outbox_connected(Net *n, Outbox *o)
{
        if (o->connected)
                return;
        if (o->serial == 0)
                find_heard(n, o);
        o->connected = true;
        o->silent_from = o->serial == 0 ? clock_monotonic_usec() : 0;
        o->silent_until = UINT64_MAX;
        o->wire_settled = o->wire_settling = 0;
        peer_table_set_due(&n->peers, o->peer, PEER_DUE_CONNECTED << o->channel);
        if (n->depth == 0)
                net_arm_post(n);
}

static int transmit(Net *n, Outbox *o, Frames *frames)
{
        NetChannel *c = &n->channel[o->channel];
        c->must_look = true;
        int r = flight_send(o->flight, &n->cache, c->socket, &o->peer->id, frames);
        if (r == 0) {
                o->state = OUTBOX_OPEN;
                n->n_sent[o->channel]++;
                n->bytes_sent[o->channel] += frames->size;
                o->peer->bytes_sent += frames->size;
                o->n_wire += frames->size + 2 * (uint64_t)frames->n_frames;
                if (unlikely(!o->connected))
                        outbox_connected(n, o);
        } else if (r == -EHOSTUNREACH) {
                o->state = OUTBOX_AWAY;
                net_outbox_lost(n, o);
        } else if (r == -EAGAIN) {
                o->state = OUTBOX_FULL;
        }
        return r;
}

/* Whether the flight has room; otherwise it will wake us when it has. */
static bool may_transmit(Net *n, Outbox *o)
{
        if (flight_has_room(o->flight))
                return true;
        flight_wait(o->flight, n->window / 2);
        if (flight_has_room(o->flight))
                return true;
        o->state = OUTBOX_WINDOW;
        return false;
}

static void pump_outbox(Net *n, Outbox *o)
{
        Frames *frames;
        while ((frames = outbox_head(o)) && may_transmit(n, o)) {
                bool bulk = outbox_head_is(o, SEND_BULK);
                if (transmit(n, o, frames) < 0)
                        break;
                n->bulk_sent += bulk;
                outbox_pop(o);
        }
        peer_table_update_pending(&n->peers, o);
}

void net_pump(Net *n, const NetChannel *c, unsigned states)
{
        for (Outbox *o = n->peers.first_pending, *next; o; o = next) {
                next = o->next_pending;
                if ((c && o->channel != c->channel) || !(states & (1u << o->state)))
                        continue;
                pump_outbox(n, o);
                check_drained(n, o->peer);
        }
}

void net_wake(Net *n)
{
        net_pump(n, NULL, 1u << OUTBOX_WINDOW);
        for (Peer *p = n->peers.first; p; p = p->next)
                check_drained(n, p);
}

void net_outbox_heard(Net *n, Outbox *o, const Connection *c)
{
        uint64_t serial = c->serial;
        /* What was sent before this connection was made went into one that never spoke. */
        bool other = o->serial != 0 ? o->serial != serial : o->silent_from < c->accepted_at;
        if (o->connected && other)
                net_outbox_lost(n, o);
        if (o->serial != serial)
                o->heard_at = clock_monotonic_usec();
        o->serial = serial;
        o->fd = c->fd;
        o->state = OUTBOX_OPEN;
        outbox_connected(n, o);
        if (outbox_is_empty(o))
                return;
        pump_outbox(n, o);
        check_drained(n, o->peer);
}

bool net_needs_retry(const Net *n)
{
        if (n->has_laden)
                return true;
        for (const Outbox *o = n->peers.first_pending; o; o = o->next_pending)
                if (o->state != OUTBOX_WINDOW)
                        return true;
        return false;
}

bool net_reap(Net *n, uint64_t now)
{
        bool closing = false;
        for (Peer *p = n->peers.first, *next; p; p = next) {
                next = p->next;
                if (!p->closing)
                        continue;
                if (outbox_is_empty(&p->box[CHANNEL_COMMAND]) || now >= p->closing_until)
                        peer_table_remove(&n->peers, p);
                else
                        closing = true;
        }
        return closing;
}

int net_open_peer(Net *n, const RoutingId *id)
{
        Peer *p = peer_table_find(&n->peers, id);
        if (p) {
                if (p->closing)
                        p->closing = p->overflown = false;
                /* Whoever opens a peer again may have missed, or not yet understood, what was told before. */
                for (int c = 0; c < _CHANNEL_MAX; c++)
                        if (p->box[c].connected)
                                peer_table_set_due(&n->peers, p, PEER_DUE_CONNECTED << c);
                if (n->depth == 0)
                        net_arm_post(n);
                return 0;
        }
        p = peer_table_add(&n->peers, id, n->window, n->wake_fd);
        if (!p)
                return -ENOMEM;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                const Connection *c = n->connections.by_fd[i];
                if (!c || !c->has_id || !routing_id_equal(&c->id, id))
                        continue;
                p->has_address = c->is_ip;
                p->address = c->address;
                net_outbox_heard(n, &p->box[c->channel], c);
        }
        if (n->depth == 0)
                net_arm_post(n);
        return 0;
}

void net_close_peer(Net *n, const RoutingId *id)
{
        Peer *p = peer_table_find(&n->peers, id);
        if (!p || p->closing)
                return;
        peer_table_clear_due(&n->peers, p, p->due);
        for (int c = 0; c < _CHANNEL_MAX; c++) {
                if (c == CHANNEL_COMMAND && p->box[c].connected)
                        continue;
                n->bulk_void += p->box[c].n_bulk;
                outbox_clear(&p->box[c]);
                peer_table_update_pending(&n->peers, &p->box[c]);
        }
        if (outbox_is_empty(&p->box[CHANNEL_COMMAND])) {
                peer_table_remove(&n->peers, p);
                return;
        }
        p->closing = true;
        p->owes_drained = p->refusing = false;
        p->closing_until = clock_monotonic_usec() + CLOSING_TIMEOUT;
        net_arm_sweep(n);
}

static int answer_stranger(Net *n, const RoutingId *to, Channel channel, Frames *frames)
{
        NetChannel *c = &n->channel[channel];
        c->must_look = true;
        int r = flight_send(NULL, &n->cache, c->socket, to, frames);
        if (n->depth == 0)
                net_arm_post(n);
        if (r == 0) {
                n->n_sent[channel]++;
                n->bytes_sent[channel] += frames->size;
        }
        return r == -ENOMEM ? r : 0;
}

/* charge: of bulk data, 0 for anything else */
static int refuse_message(Net *n, Peer *p, size_t charge)
{
        n->n_refused++;
        p->owes_drained = true;
        if (charge > 0 && !p->refusing) {
                p->refusing = true;
                p->refused_charge = charge;
                p->refusing_since = clock_monotonic_usec();
        }
        check_drained(n, p);
        if (n->depth == 0)
                net_arm_post(n);
        return NET_FULL;
}

/* The one just queued is not counted: a single node may be larger than the limit. */
static void check_overflow(Net *n, Peer *p, const Frames *newest)
{
        size_t control = 0;
        for (int c = 0; c < _CHANNEL_MAX; c++)
                control += p->box[c].n_control;
        if (p->overflown || control <= 2 * n->max_backlog + newest->size)
                return;
        p->overflown = true;
        peer_table_set_due(&n->peers, p, PEER_DUE_OVERFLOW);
}

static int enqueue(Net *n, Peer *p, Outbox *o, SendClass class, Frames *frames)
{
        if (class == SEND_TABLE && outbox_replace_table(o, frames))
                return 0;
        int r = outbox_push(o, class, frames);
        if (r < 0)
                return r;
        peer_table_update_pending(&n->peers, o);
        if (o->state != OUTBOX_WINDOW)
                net_arm_retry(n);
        if (class == SEND_CONTROL)
                check_overflow(n, p, frames);
        if (n->depth == 0 && n->peers.first_due)
                net_arm_post(n);
        return 0;
}

int net_send(Net *n, const RoutingId *to, Channel channel, SendClass class, Frames *frames)
{
        Peer *p = peer_table_find(&n->peers, to);
        if (!p || p->closing)
                return class == SEND_ANSWER ? answer_stranger(n, to, channel, frames) : NET_NO_PEER;

        Outbox *o = &p->box[channel];
        switch (class) {
        case SEND_ANSWER:
                class = SEND_CONTROL;
                break;
        case SEND_BULK:
                /* The owner does not know yet what has been lost. */
                if (p->refusing || (p->due & (PEER_DUE_LOST << channel)) || !has_room(n, p, flight_charge(frames)))
                        return refuse_message(n, p, flight_charge(frames));
                break;
        case SEND_PRESENCE:
                if (o->n_queued > PRESENCE_QUEUE_MAX)
                        return refuse_message(n, p, 0);
                break;
        case SEND_PING:
                if (outbox_has(o, SEND_PING))
                        return NET_FULL;
                break;
        case SEND_CONTROL:
        case SEND_TABLE:
                break;
        }

        if (outbox_is_empty(o) && o->state != OUTBOX_AWAY && may_transmit(n, o)) {
                int r = transmit(n, o, frames);
                if (n->depth == 0)
                        net_arm_post(n);
                if (r == 0 && class == SEND_BULK) {
                        n->bulk_taken++;
                        n->bulk_sent++;
                }
                if (r == 0)
                        return class == SEND_BULK && net_delivery_note(n, o) ? NET_LADEN : 0;
                if (r == -ENOMEM)
                        return r;
                if (class == SEND_BULK && (p->due & (PEER_DUE_LOST << channel)))
                        return refuse_message(n, p, flight_charge(frames));
        }
        int r = enqueue(n, p, o, class, frames);
        if (r < 0 || class != SEND_BULK)
                return r;
        n->bulk_taken++;
        p->owes_drained = true;
        (void)net_delivery_note(n, o);
        return NET_QUEUED;
}

/* What could still leave: queued for connected peers, or with libzmq and vouched for. */
static size_t unsent(const Net *n)
{
        size_t left = 0;
        for (const Peer *p = n->peers.first; p; p = p->next)
                for (int c = 0; c < _CHANNEL_MAX; c++)
                        if (p->box[c].state != OUTBOX_AWAY)
                                left += p->box[c].n_queued + flight_outstanding(p->box[c].flight);
        return left;
}

size_t net_flush(Net *n, uint64_t timeout_usec)
{
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;
        n->depth++; /* callbacks are for the loop */
        for (;;) {
                for (int i = 0; i < _CHANNEL_MAX; i++)
                        net_channel_catch_up(&n->channel[i]);
                net_pump(n, NULL, UINT_MAX);
                uint64_t now = clock_monotonic_usec();
                if (unsent(n) == 0 || now >= deadline)
                        break;
                struct pollfd p = { .fd = n->wake_fd, .events = POLLIN };
                /* Not everything that can make room is announced here: look again soon. */
                if (poll(&p, 1, MIN((int)((deadline - now) / 1000) + 1, 5)) > 0) {
                        uint64_t count;
                        if (read(n->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
                                break;
                }
        }
        n->depth--;
        flight_cache_clear(&n->cache);
        return unsent(n);
}
