/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Taking several messages of one client in one go. Each small message wakes up
 * libzmq's thread and the loop, which costs far more than handling it. Where
 * more of them are known to come, and none is waited for, the kernel is told
 * to announce a connection only when so many bytes are there (SO_RCVLOWAT,
 * socket(7)). An end of the connection is announced all the same.
 *
 * That ends by itself when it is not asked for again: whatever does not fill
 * the bytes is late by no more than from one look to the next but one.
 */

#include "net/net-private.h"

#define GATHER_USEC (20 * USEC_PER_MSEC)

void net_gather(Net *n, const RoutingId *peer, Channel channel, size_t bytes)
{
        Connection *c = net_find_connection(n, peer, channel);
        if (!c || (bytes == 0 && c->low_water == 0))
                return;
        c->gather_until = bytes > 0 ? clock_monotonic_usec() + GATHER_USEC : 0;
        if (c->low_water != bytes)
                connection_set_low_water(c, bytes);
        if (bytes > 0)
                net_arm_hold(n);
}

/* True when some remain, be it for want of a descriptor. */
static bool end_those_until(Net *n, uint64_t now)
{
        bool some = false;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (!c || c->low_water == 0)
                        continue;
                if (c->gather_until <= now)
                        connection_set_low_water(c, 0);
                some = some || c->low_water != 0;
        }
        return some;
}

bool net_gather_check(Net *n)
{
        return end_those_until(n, clock_monotonic_usec());
}

void net_gather_end(Net *n)
{
        (void)end_those_until(n, UINT64_MAX);
}
