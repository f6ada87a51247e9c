/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "net/net-private.h"

/* What acknowledges data for so long on a connection that its client has given up is a proxy, which takes it as far as it
 * has room. */
#define GIVEN_UP (5 * USEC_PER_SEC)

#define PENALTY_BAD_HANDSHAKE 1

const char *net_bad_peer_to_string(NetBadPeer what)
{
        static const char *const text[_NET_BAD_MAX] = {
                [NET_BAD_HANDSHAKE] = "does not speak the protocol of a Multi-User client (no ZMTP 3 handshake)",
                [NET_BAD_ROUTING_ID] = "uses a routing id that is too long",
                [NET_BAD_TOO_MANY] = "has too many connections open",
                [NET_BAD_HOARDING] = "sends a message without end",
                [NET_BAD_BANNED] = "tries to connect while it is banned",
        };
        return (unsigned)what < _NET_BAD_MAX ? text[what] : "misbehaves";
}

static void report_bad(Net *n, const char *text, NetBadPeer what)
{
        n->n_bad[what]++;
        if (n->callbacks.bad_peer)
                n->callbacks.bad_peer(n->userdata, text, what);
}

void net_report_bad(Net *n, const Connection *c, NetBadPeer what, unsigned weight)
{
        /* Callbacks may change everything, the connection included. */
        char text[ADDRESS_TEXT_MAX];
        memcpy(text, c->text, sizeof text);
        report_bad(n, text, what);
        if (weight > 0 && net_penalise(n, text, weight) > 0 && n->callbacks.banned)
                n->callbacks.banned(n->userdata, text);
}

void net_refuse(Connection *c)
{
        c->state = CONNECTION_REFUSED;
        connection_shut_down(c);
}

static void cut_strangers(Net *n, const Address *a)
{
        Address network = address_network(a);
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (!c || !c->is_ip || (!c->has_id && !c->is_strangers) || c->state == CONNECTION_REFUSED || net_is_users(n, c))
                        continue;
                Address other = address_network(&c->address);
                if (address_equal(&network, &other))
                        net_refuse(c);
        }
}

int net_penalise(Net *n, const char *address, unsigned weight)
{
        Address a;
        if (address_parse(address, &a) < 0 || address_table_penalise(n->addresses, &a, weight, clock_monotonic_usec()) <= 0)
                return 0;
        cut_strangers(n, &a);
        return 1;
}

int net_ban(Net *n, const char *address, uint64_t usec)
{
        Address a;
        uint64_t now = clock_monotonic_usec();
        if (address_parse(address, &a) < 0)
                return -EINVAL;
        int r = address_table_ban(n->addresses, &a, now, now + usec);
        if (r == 0)
                cut_strangers(n, &a);
        return r;
}

int net_forgive(Net *n, const char *address)
{
        Address a;
        return address_parse(address, &a) < 0 ? 1 : address_table_forgive(n->addresses, &a);
}

bool net_is_banned(const Net *n, const Connection *c)
{
        return c->is_ip && address_table_is_banned(n->addresses, &c->address, clock_monotonic_usec(), NULL);
}

/* Users at a banned address have done nothing, or are known well enough: whose connection has ended makes another. Which it
 * is tells only its first message. */
static bool may_come_back(const Net *n, const Address *a)
{
        Address network = address_network(a);
        for (const Peer *p = n->peers.first; p; p = p->next) {
                bool lacks = false;
                for (int i = 0; i < _CHANNEL_MAX; i++)
                        lacks = lacks || !p->box[i].connected;
                Address of_peer = address_network(&p->address);
                if (!p->closing && lacks && (!p->has_address || address_equal(&of_peer, &network)))
                        return true;
        }
        return false;
}

bool net_admit(void *net, const char *address)
{
        Net *n = net;
        Address a;
        /* The connection was accepted before it asked: once its event has been read, its lowest possible serial is
         * known to be the one it gets now or less, and above those of all that had its descriptor before. */
        for (int i = 0; i < _CHANNEL_MAX; i++)
                net_monitor_drain(&n->channel[i]);
        if (address_parse(address, &a) < 0 || !address_table_is_banned(n->addresses, &a, clock_monotonic_usec(), NULL) ||
            may_come_back(n, &a))
                return true;
        char text[ADDRESS_TEXT_MAX];
        report_bad(n, address_format(&a, text), NET_BAD_BANNED);
        return false;
}

/* Whether a connection that has ended without a word may have been the one of this outbox. */
static bool may_have_been(const Outbox *o, const Connection *c)
{
        /* Not when less went over it than had been sent to the client a second before. Nor when it was made only after the
         * client had been found: had the client itself made it, the end of the one before would have been noticed, or would be
         * yet. */
        if (o->serial == 0)
                return c->accepted_at <= o->silent_until && (!c->all_acked || c->acked >= o->wire_settled);
        /* Heard meanwhile, on another connection; but something was sent while this one stood as well. A client gives up
         * the one before it makes the next: whoever still answers long after that is another. */
        return o->silent_from != 0 && c->accepted_at <= o->silent_from && c->acked_after < o->heard_at + GIVEN_UP;
}

bool net_may_be_from(const Connection *c, const Peer *p)
{
        return !p->has_address || (c->is_ip && address_equal(&p->address, &c->address));
}

/* A client that joins may never have sent anything on its data channel. When one of these silent connections ends,
 * everyone at that address whose channel could be it has to be taken for lost; those who are not are back with the
 * next message that reaches them. */
static void silent_connection_lost(Net *n, const Connection *c)
{
        for (Peer *p = n->peers.first; p; p = p->next) {
                Outbox *o = &p->box[c->channel];
                if (o->connected && may_have_been(o, c) && net_may_be_from(c, p))
                        net_outbox_lost(n, o);
        }
}

static bool settle_outbox(Outbox *o, uint64_t now)
{
        if (!o->connected || o->serial != 0)
                return false;
        /* What was sent at first may have gone into one that was just about to end. */
        if (o->silent_until == UINT64_MAX)
                o->wire_found = o->n_wire;
        o->silent_until = MIN(o->silent_until, now);
        o->wire_settled = o->wire_settling;
        if (outbox_is_empty(o) && flight_outstanding(o->flight) == 0)
                o->wire_settling = o->n_wire - o->wire_found;
        return true;
}

/* Of one that has been heard since it was found: whether another connection may still have been its own then. */
static bool settle_heard(const Net *n, Outbox *o)
{
        if (!o->connected || o->serial == 0 || o->silent_from == 0)
                return false;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                const Connection *c = n->connections.by_fd[i];
                if (c && !c->has_id && c->channel == o->channel && may_have_been(o, c) && net_may_be_from(c, o->peer))
                        return true;
        }
        for (const Connection *c = n->channel[o->channel].first_lost; c; c = c->next_lost)
                if (!c->has_id)
                        return true;
        o->silent_from = 0;
        return false;
}

/* Of a client that was found without having been heard, the connection has been told of when all that libzmq reported
 * has been read; and what it has been sent goes over no other one. */
static void settle_silent(Net *n)
{
        for (int i = 0; i < _CHANNEL_MAX; i++)
                net_monitor_drain(&n->channel[i]);
        uint64_t now = clock_monotonic_usec();
        bool some = false;
        for (Peer *p = n->peers.first; p; p = p->next)
                for (int i = 0; i < _CHANNEL_MAX; i++)
                        some = settle_outbox(&p->box[i], now) || settle_heard(n, &p->box[i]) || some;
        for (size_t i = 0; some && i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (c && !c->has_id && c->is_ip)
                        connection_look(c, now);
        }
}

static void peer_connection_lost(Net *n, Peer *p, const Connection *c)
{
        Outbox *o = &p->box[c->channel];
        if (o->serial == c->serial)
                net_outbox_lost(n, o);
        else if (!o->connected) /* it came, spoke and went between two looks */
                peer_table_set_due(&n->peers, p, PEER_DUE_LOST << c->channel);
}

void net_settle_lost(NetChannel *channel)
{
        Net *n = channel->net;
        Connection *c, *next;
        for (c = TAKE_PTR(channel->first_lost); c; c = next) {
                next = c->next_lost;
                Peer *p = c->has_id ? peer_table_find(&n->peers, &c->id) : NULL;
                if (!c->has_id)
                        silent_connection_lost(n, c);
                else if (!p && n->callbacks.peer_lost)
                        n->callbacks.peer_lost(n->userdata, c->channel, &c->id);
                else if (p)
                        peer_connection_lost(n, p, c);
                free(c);
        }
}

static void connection_gone(NetChannel *channel, Connection *c)
{
        Net *n = channel->net;
        uint64_t now = clock_monotonic_usec();
        connection_table_remove(&n->connections, c);
        if (c->is_counted)
                address_table_disconnect(n->addresses, &c->address, now);

        bool failed = channel->has_handshake_failure;
        bool protocol = channel->failure_is_protocol;
        channel->has_handshake_failure = channel->failure_is_protocol = false;

        bool established = c->state == CONNECTION_MAYBE || c->state == CONNECTION_ESTABLISHED;
        if (c->has_id || (established && !failed)) {
                c->next_lost = channel->first_lost;
                channel->first_lost = c;
                channel->is_ready = true;
                return;
        }
        bool banned = c->is_ip && address_table_is_banned(n->addresses, &c->address, c->accepted_at, NULL);
        if (c->state != CONNECTION_REFUSED && !banned) {
                /* Libzmq gives no reason for greetings that it does not know at all; a plain end of the connection
                 * has one, and is nobody's fault when it comes early. */
                bool ended_early = failed && !protocol && now - c->accepted_at < n->handshake_timeout / 4 * 3;
                net_report_bad(n, c, NET_BAD_HANDSHAKE, ended_early ? 0 : PENALTY_BAD_HANDSHAKE);
        }
        free(c);
}

/* Each channel has a monitor of its own, and what one reports may be read after what another has reported later: of a
 * connection that is gone already, and whose descriptor belongs to one of another channel by now. */
static bool is_of_another_channel(const NetChannel *channel, int fd)
{
        const Net *n = channel->net;
        uint16_t port = address_local_port(fd);
        if (port == 0 || port == net_port(n, channel->channel))
                return false;
        for (int i = 0; i < _CHANNEL_MAX; i++)
                if (port == net_port(n, i))
                        return true;
        return false;
}

static void connection_accepted(NetChannel *channel, int fd)
{
        Net *n = channel->net;
        if (is_of_another_channel(channel, fd))
                return;
        uint64_t now = clock_monotonic_usec();
        Connection *c = connection_table_find(&n->connections, fd);
        if (c) /* closed without a word: its routing id was taken over */
                connection_gone(&n->channel[c->channel], c);

        c = connection_table_add(&n->connections, fd, channel->channel, n->zap.last_serial + 1, now);
        if (!c)
                return;
        net_arm_sweep(n);
        net_arm_strangers(n);
        if (n->connections.n_connections > n->max_connections && !net_make_room(n, now)) {
                net_refuse(c);
                net_report_bad(n, c, NET_BAD_TOO_MANY, 0);
                return;
        }
        if (!c->is_ip)
                return;
        /* Not a penalty: behind one address there may be a whole school. */
        int r = address_table_connect(n->addresses, &c->address, now);
        c->is_counted = r == 0;
        if (r > 0) {
                net_refuse(c);
                net_report_bad(n, c, NET_BAD_TOO_MANY, 0);
        }
}

/* The event does not say which connection it was. When only one was shaking hands the answer is clear. */
static void handshake_succeeded(NetChannel *channel)
{
        ConnectionTable *t = &channel->net->connections;
        Connection *only = NULL;
        unsigned n = 0;
        for (size_t i = 0; i < t->n_slots; i++) {
                Connection *c = t->by_fd[i];
                if (!c || c->channel != channel->channel || c->state > CONNECTION_MAYBE)
                        continue;
                only = c;
                n++;
                c->state = CONNECTION_MAYBE;
        }
        if (n == 1)
                only->state = CONNECTION_ESTABLISHED;
}

void net_monitor_drain(NetChannel *channel)
{
        MonitorEvent e;
        bool succeeded = false;
        while (monitor_read(&channel->monitor, &e) > 0) {
                switch (e.event) {
                case ZMQ_EVENT_ACCEPTED:
                        connection_accepted(channel, (int)e.value);
                        break;
                case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
                        handshake_succeeded(channel);
                        succeeded = true;
                        break;
                case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                        channel->has_handshake_failure = true;
                        break;
                case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
                        channel->has_handshake_failure = channel->failure_is_protocol = true;
                        break;
                case ZMQ_EVENT_DISCONNECTED:
                case ZMQ_EVENT_CLOSED: {
                        Connection *c = connection_table_find(&channel->net->connections, (int)e.value);
                        if (c && c->channel == channel->channel)
                                connection_gone(channel, c);
                        break;
                }
                default:
                        break;
                }
        }
        if (succeeded) {
                net_channel_catch_up(channel);
                net_pump(channel->net, channel, 1u << OUTBOX_AWAY);
        }
}

/* Among connections that are gone, the latest that can have been given the serial. */
static Connection *find_lost(const NetChannel *channel, int fd, uint64_t serial)
{
        Connection *found = NULL;
        for (Connection *c = channel->first_lost; c; c = c->next_lost)
                if (c->fd == fd && serial >= c->floor && (c->serial == 0 || c->serial == serial) &&
                    (!found || c->floor > found->floor))
                        found = c;
        return found;
}

Connection *net_attribute(NetChannel *channel, Inbound *in)
{
        Net *n = channel->net;
        int fd = inbound_fd(in);
        uint64_t serial = inbound_serial(in);
        Connection *c = connection_table_find(&n->connections, fd);
        if (c && c->channel == channel->channel && c->serial == serial && serial > 0)
                return c;

        net_monitor_drain(channel);
        c = connection_table_find(&n->connections, fd);
        bool gone = !c || c->channel != channel->channel || serial < c->floor;
        if (gone)
                c = find_lost(channel, fd, serial);
        if (!c || c->serial == serial)
                return c;
        if (c->serial != 0)
                return NULL;
        c->serial = serial;
        c->has_id = inbound_routing_id(in, &c->id);
        if (c->state != CONNECTION_REFUSED)
                c->state = CONNECTION_ESTABLISHED;
        Peer *p = c->has_id && !gone ? peer_table_find(&n->peers, &c->id) : NULL;
        if (p) {
                p->has_address = c->is_ip;
                p->address = c->address;
                net_outbox_heard(n, &p->box[c->channel], c);
        }
        return c;
}

void net_sweep(Net *n)
{
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (!c)
                        continue;
                NetChannel *channel = &n->channel[c->channel];
                if (!connection_is_alive(c)) {
                        /* Either its end is about to be reported, or it never will be. */
                        net_monitor_drain(channel);
                        if (connection_table_find(&n->connections, i) == c && !connection_is_alive(c))
                                connection_gone(channel, c);
                }
        }
        settle_silent(n);
}
