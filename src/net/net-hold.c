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
 */

#include "net/net-private.h"

#define SHUT_WINDOW 1
#define NARROW_WINDOW (256 * 1024) /* several segments, also on loopback */
#define NARROW_USEC (10 * USEC_PER_SEC)

void net_hold(Net *n, const RoutingId *peer, Channel channel, uint64_t until)
{
        const Peer *p = peer_table_find(&n->peers, peer);
        Connection *c = p ? connection_table_find(&n->connections, p->box[channel].fd) : NULL;
        if (!c || c->channel != channel || c->serial == 0 || c->serial != p->box[channel].serial ||
            until <= clock_monotonic_usec())
                return;
        if (c->held_until == 0)
                connection_bound_window(c, SHUT_WINDOW);
        c->held_until = MAX(c->held_until, until);
        net_arm_hold(n);
}

static bool check(Connection *c, uint64_t now)
{
        if (c->held_until > now) {
                /* The kernel takes a bound back when what it learns of the connection changes. */
                connection_bound_window(c, SHUT_WINDOW);
                return true;
        }
        if (c->held_until > 0) {
                c->held_until = 0;
                c->narrow_until = now + NARROW_USEC;
                connection_bound_window(c, NARROW_WINDOW);
                return true;
        }
        if (c->narrow_until > now)
                return true;
        c->narrow_until = 0;
        connection_bound_window(c, 0);
        return false;
}

bool net_hold_check(Net *n)
{
        uint64_t now = clock_monotonic_usec();
        bool some = false;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (c && c->window != 0)
                        some = check(c, now) || some;
        }
        return some;
}
