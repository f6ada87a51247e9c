/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "net/net-private.h"

#define PENALTY_BAD_ROUTING_ID 5

/* A message of which no more than this is there is one like most, and whole in a moment; one of which nothing has come for so
 * long may never be. */
#define UNFINISHED_MIN (64u * 1024)
#define UNFINISHED_STALL USEC_PER_SEC

/* What follows a turn takes time by its bytes: they are hashed and written before the loop gets on. */
#define TURN_BYTES_MAX (8u * 1024 * 1024)

/* Nor may messages that are expensive to look at keep the other channels waiting, the heartbeats above all. */
#define TURN_USEC_MAX (10 * UINT64_C(1000))

static int deliver(NetChannel *channel, Inbound *in)
{
        Net *n = channel->net;
        Connection *c = net_attribute(channel, in);
        if (c && c->state == CONNECTION_REFUSED)
                return 0;

        /* libzmq renames a connection whose routing id another has taken over; its last messages still are of the
         * peer that it was. */
        RoutingId id;
        if (c && c->has_id) {
                id = c->id;
        } else if (!inbound_routing_id(in, &id)) {
                if (c) {
                        c->state = CONNECTION_REFUSED;
                        connection_shut_down(c);
                        net_report_bad(n, c, NET_BAD_ROUTING_ID, PENALTY_BAD_ROUTING_ID);
                }
                return 0;
        }

        /* Its answers have filled what may be held for it: it is about to be let go, and gets no more. */
        const Peer *p = peer_table_find(&n->peers, &id);
        if (p && p->overflown)
                return 0;
        if ((!p || p->closing) && c && net_is_banned(n, c)) {
                net_refuse(c);
                net_report_bad(n, c, NET_BAD_BANNED, 0);
                return 0;
        }

        char text[ADDRESS_TEXT_MAX];
        Address a;
        if (c)
                memcpy(text, c->text, sizeof text);
        else if (address_parse(inbound_address(in), &a) == 0)
                address_format(&a, text);
        else
                address_text_copy(text, "unknown");
        if (c)
                c->n_delivered += in->wire_size;
        n->n_received[channel->channel]++;
        n->bytes_received[channel->channel] += in->size;
        return n->callbacks.message(n->userdata, channel->channel, &id, text, in->frames, in->n_frames);
}

bool net_channel_has_input(NetChannel *c)
{
        int events = 0;
        size_t n = sizeof events;
        return zmq_getsockopt(c->socket, ZMQ_EVENTS, &events, &n) == 0 && (events & ZMQ_POLLIN);
}

void net_channel_catch_up(NetChannel *c)
{
        net_channel_has_input(c);
        c->must_look = true;
}

bool net_is_paused(const Net *n)
{
        for (int i = 0; i < _CHANNEL_MAX; i++)
                if (n->channel[i].n_paused > 0)
                        return true;
        return false;
}

/* Returns the number of messages, or -errno; *ret_drained: nothing is left. */
static int read_messages(NetChannel *c, bool *ret_drained)
{
        unsigned i, n_paused = c->n_paused;
        size_t size = 0;
        uint64_t end = clock_monotonic_usec() + TURN_USEC_MAX;
        *ret_drained = false;
        for (i = 0; i < c->net->turn_messages && size < TURN_BYTES_MAX; i++) {
                Inbound in;
                int r = inbound_read(&in, c->socket);
                if (r == 0) {
                        *ret_drained = true;
                        break;
                }
                if (r < 0)
                        return r;
                size += in.size;
                r = deliver(c, &in);
                inbound_done(&in);
                if (r < 0)
                        return r;
                if (c->n_paused > n_paused || clock_monotonic_usec() >= end) {
                        i++;
                        break;
                }
        }
        return i;
}

static bool is_receiving(const Net *n, Connection *c, uint64_t now)
{
        if (c->channel == CHANNEL_TTL || c->state == CONNECTION_REFUSED)
                return false;
        net_look_at(n, c);
        uint64_t received = c->n_delivered + c->held;
        if (received != c->received)
                c->received_at = now;
        c->received = received;
        return !c->is_strangers && c->held > UNFINISHED_MIN && now - c->received_at < UNFINISHED_STALL;
}

bool net_is_receiving(Net *n)
{
        uint64_t now = clock_monotonic_usec();
        bool some = false;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                some = (c && is_receiving(n, c, now)) || some;
        }
        return some;
}

int net_channel_turn(NetChannel *c, bool even_if_paused, unsigned *ret_n_read)
{
        Net *n = c->net;
        int n_read = 0;
        bool drained = true;

        net_enter(n);
        c->is_ready = false;
        if (c->n_paused == 0 || even_if_paused)
                n_read = read_messages(c, &drained);
        else
                net_channel_has_input(c); /* takes the announcement back until reading goes on */

        int r = n_read < 0 ? n_read : 0;
        if (n_read > 0)
                r = n->callbacks.turn_end ? n->callbacks.turn_end(n->userdata) : 0;
        if (drained)
                net_settle_lost(c);
        else
                c->is_ready = true;
        net_pump(n, c, 1u << OUTBOX_FULL);
        net_leave(n);
        if (ret_n_read)
                *ret_n_read = MAX(n_read, 0);
        return r;
}
