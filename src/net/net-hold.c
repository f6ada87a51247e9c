/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Holding back one client. A ROUTER reads from all its connections in turn and
 * cannot leave one out, but TCP can: when the window of a connection is bounded
 * to almost nothing, its client's kernel keeps what the client sends, and then
 * the client's libzmq does. The few bytes that trickle through keep keepalives
 * and libzmq's own heartbeats going.
 *
 * Once let go on, a client that only wants to flood would have megabytes under
 * way again before the first of them is counted. So its window stays narrow
 * until it has kept within its rate for a while.
 *
 * While reading is paused altogether, libzmq goes on receiving up to its
 * high-water mark, which is in messages, and each of those may be large. So
 * whoever has much unread is held back the same way, until it is read again.
 */

#include "net/net-private.h"

#define SHUT_WINDOW 1
#define NARROW_WINDOW (256 * 1024) /* several segments, also on loopback */
#define NARROW_USEC (10 * USEC_PER_SEC)
#define UNREAD_MAX (8 * 1024 * 1024)
#define UNREAD_USEC (100 * USEC_PER_MSEC) /* longer than from one look to the next */

Connection *net_find_connection(const Net *n, const RoutingId *peer, Channel channel)
{
        const Peer *p = peer_table_find(&n->peers, peer);
        Connection *c = p ? connection_table_find(&n->connections, p->box[channel].fd) : NULL;
        return c && c->channel == channel && c->serial != 0 && c->serial == p->box[channel].serial ? c : NULL;
}

bool net_has_unfinished(const Net *n, const RoutingId *peer, Channel channel)
{
        const Connection *c = net_find_connection(n, peer, channel);
        return c && connection_bytes_held(c) > 0;
}

void net_hold(Net *n, const RoutingId *peer, Channel channel, uint64_t until)
{
        Connection *c = net_find_connection(n, peer, channel);
        if (!c || until <= clock_monotonic_usec())
                return;
        if (c->held_until == 0)
                connection_bound_window(c, SHUT_WINDOW);
        c->held_until = MAX(c->held_until, until);
        net_arm_hold(n);
}

/* Holds back those with much unread on paused channels; true when there are paused channels. */
static bool hold_unread(Net *n, uint64_t now)
{
        bool some = net_is_paused(n);
        for (size_t i = 0; some && i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (!c || c->state == CONNECTION_REFUSED || n->channel[c->channel].n_paused == 0 ||
                    connection_bytes_held(c) < UNREAD_MAX)
                        continue;
                c->unread_until = now + UNREAD_USEC;
                connection_bound_window(c, SHUT_WINDOW);
        }
        return some;
}

void net_hold_unread(Net *n)
{
        hold_unread(n, clock_monotonic_usec());
        net_arm_hold(n);
}

static bool check(Connection *c, uint64_t now)
{
        if (MAX(c->held_until, c->unread_until) > now) {
                /* The kernel takes a bound back when what it learns of the connection changes. */
                connection_bound_window(c, SHUT_WINDOW);
                return true;
        }
        bool was_shut = c->held_until > 0 || c->unread_until > 0;
        if (c->held_until > 0)
                c->narrow_until = now + NARROW_USEC;
        c->held_until = c->unread_until = 0;
        if (c->narrow_until > now) {
                if (was_shut)
                        connection_bound_window(c, NARROW_WINDOW);
                return true;
        }
        c->narrow_until = 0;
        connection_bound_window(c, 0);
        return c->window != 0; /* there was no descriptor for that */
}

bool net_hold_check(Net *n)
{
        uint64_t now = clock_monotonic_usec();
        bool some = hold_unread(n, now);
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (c && c->window != 0)
                        some = check(c, now) || some;
        }
        return some;
}
