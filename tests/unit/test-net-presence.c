/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net-rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void say_and_wait(Rig *rig, void *socket, const char *text)
{
        size_t n = rig->n_messages;
        client_say(socket, text);
        rig_until(rig, rig->n_messages == n + 1);
}

static void test_lost_when_the_client_closes(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *s = rig_client(rig, CHANNEL_COMMAND, &id);
        say_and_wait(rig, s, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 1);
        zmq_close(s);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 1);
        assert_true(routing_id_equal(&rig->last_lost, &id));

        s = rig_client(rig, CHANNEL_COMMAND, &id);
        say_and_wait(rig, s, "back");
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 2);
        assert_int_equal(rig->n_lost[CHANNEL_COMMAND], 1);
        zmq_close(s);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 2);
        rig_free(rig);
}

static void test_lost_stranger_is_told_of(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *s = rig_client(rig, CHANNEL_DATA, &id);
        say_and_wait(rig, s, "hello");
        zmq_close(s);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        assert_true(routing_id_equal(&rig->last_lost, &id));
        rig_free(rig);
}

/* The last words of a connection come before the news of its end. */
static int must_not_be_lost(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        assert_int_equal(rig->n_lost[channel], 0);
        return 0;
}

static void test_loss_comes_after_the_last_message(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .turn_messages = 3 });
        rig->on_message = must_not_be_lost;
        RoutingId id = rig_id(1);
        void *s = rig_client(rig, CHANNEL_COMMAND, &id);
        int linger = 1000;
        zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
        for (int i = 0; i < 50; i++)
                client_say(s, "x");
        zmq_close(s);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 1);
        assert_int_equal(rig->n_messages, 50);
        rig_free(rig);
}

/* Another connection with the same routing id takes the first one's place. libzmq says nothing of the end of the
 * first. */
static void test_handover(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *old = rig_client(rig, CHANNEL_COMMAND, &id);
        say_and_wait(rig, old, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 1);

        void *new = rig_client(rig, CHANNEL_COMMAND, &id);
        say_and_wait(rig, new, "again");
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 2);
        assert_int_equal(rig->n_lost[CHANNEL_COMMAND], 1);

        Frames *f = rig_frames("for the new one");
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, f), 0);
        frames_unref(f);
        ClientMessage m;
        rig_receive(rig, new, &m);
        assert_string_equal(m.frame[0], "for the new one");
        client_done(&m);

        zmq_close(old);
        NetStatus st;
        rig_until(rig, ({ net_get_status(rig->net, &st); st.n_connections == 1; }));
        assert_int_equal(rig->n_lost[CHANNEL_COMMAND], 1);
        zmq_close(new);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 2);
        rig_free(rig);
}

/* Taken over by a connection that says nothing: when the old one is found dead, the peer counts as lost until something
 * could be sent to it. */
static void test_silent_handover(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *old = rig_client(rig, CHANNEL_COMMAND, &id);
        say_and_wait(rig, old, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 1);
        void *new = rig_client(rig, CHANNEL_COMMAND, &id);
        NetStatus st;
        rig_until(rig, ({ net_get_status(rig->net, &st); st.n_connections == 2; }));
        rig_for(rig, 50 * 1000);
        zmq_close(old);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 1);
        Frames *f = rig_frames("table");
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_TABLE, f), 0);
        frames_unref(f);
        ClientMessage m;
        rig_receive(rig, new, &m);
        client_done(&m);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 2);
        zmq_close(new);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 2);
        rig_free(rig);
}

/* Whoever joins may never send on its data channel; still its end must be noticed. */
static void test_silent_data_channel(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *c = rig_client(rig, CHANNEL_COMMAND, &id);
        void *d = rig_client(rig, CHANNEL_DATA, &id);
        say_and_wait(rig, c, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *f = rig_frames("node");
        int k = net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f);
        assert_true(k == NET_LADEN || k == NET_QUEUED); /* whether it has connected already or not */
        ClientMessage m;
        rig_receive(rig, d, &m);
        client_done(&m);
        rig_until(rig, rig->n_connected[CHANNEL_DATA] == 1);
        zmq_close(d);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        assert_int_equal(rig->n_lost[CHANNEL_COMMAND], 0);

        /* Queued while it is away, delivered when it is back. */
        for (int i = 0; i < 5; i++)
                assert_int_equal(net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f), NET_QUEUED);
        NetPeerStatus st;
        assert_int_equal(net_peer_status(rig->net, &id, &st), 0);
        assert_false(st.connected[CHANNEL_DATA]);
        assert_true(st.queued > 0);
        d = rig_client(rig, CHANNEL_DATA, &id);
        for (int i = 0; i < 5; i++) {
                rig_receive(rig, d, &m);
                assert_string_equal(m.frame[0], "node");
                client_done(&m);
        }
        rig_until(rig, rig->n_connected[CHANNEL_DATA] == 2);
        frames_unref(f);
        zmq_close(c);
        zmq_close(d);
        rig_free(rig);
}

/* Others at its address whose connections come and go without a word are not taken for it, whatever they do. */
static void test_silent_neighbours(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *c = rig_client(rig, CHANNEL_COMMAND, &id);
        void *d = rig_client(rig, CHANNEL_DATA, &id);
        say_and_wait(rig, c, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *f = rig_frames("node");
        int k = net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f);
        assert_true(k == NET_LADEN || k == NET_QUEUED);
        ClientMessage m;
        rig_receive(rig, d, &m);
        client_done(&m);
        rig_until(rig, rig->n_connected[CHANNEL_DATA] == 1);
        rig_for(rig, 1500 * 1000); /* it is looked at each second */
        for (unsigned i = 0; i < 20; i++) {
                RoutingId other = rig_id(100 + i);
                NetStatus st;
                void *stranger = rig_client(rig, CHANNEL_DATA, &other);
                rig_until(rig, (net_get_status(rig->net, &st), st.n_connections == 3));
                rig_for(rig, 20 * 1000);
                zmq_close(stranger);
                rig_until(rig, (net_get_status(rig->net, &st), st.n_connections == 2));
        }
        assert_int_equal(rig->n_lost[CHANNEL_DATA], 0);
        /* Its own end is noticed all the same. */
        zmq_close(d);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        frames_unref(f);
        zmq_close(c);
        rig_free(rig);
}

/* Nor those who were there before it, to whom nothing has been sent. */
static void test_silent_elders(void **state)
{
        Rig *rig = rig_new(NULL);
        void *elders[20];
        for (unsigned i = 0; i < 20; i++) {
                RoutingId other = rig_id(100 + i);
                elders[i] = rig_client(rig, CHANNEL_DATA, &other);
        }
        RoutingId id = rig_id(1);
        void *c = rig_client(rig, CHANNEL_COMMAND, &id);
        void *d = rig_client(rig, CHANNEL_DATA, &id);
        say_and_wait(rig, c, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *f = rig_frames_of_size(1000, 'n');
        (void)net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f);
        rig_until(rig, rig->n_connected[CHANNEL_DATA] == 1);
        rig_for(rig, 1500 * 1000); /* it is looked at each second */
        assert_int_not_equal(net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f), NET_FULL);
        rig_for(rig, 3000 * 1000);
        NetStatus st;
        for (unsigned i = 0; i < 20; i++)
                zmq_close(elders[i]);
        rig_until(rig, (net_get_status(rig->net, &st), st.n_connections == 2));
        rig_for(rig, 50 * 1000);
        assert_int_equal(rig->n_lost[CHANNEL_DATA], 0);
        zmq_close(d);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        frames_unref(f);
        zmq_close(c);
        rig_free(rig);
}

/* A client that was found by what was sent to it, and has spoken since, with a neighbour who was there before it. */
typedef struct Pair {
        RoutingId id, other;
        void *command, *data, *neighbour;
        Frames *node;
} Pair;

static Pair pair_new(Rig *rig, void *data)
{
        Pair p = { .id = rig_id(1), .other = rig_id(2), .data = data, .node = rig_frames_of_size(1000, 'n') };
        p.neighbour = rig_client(rig, CHANNEL_DATA, &p.other);
        p.command = rig_client(rig, CHANNEL_COMMAND, &p.id);
        say_and_wait(rig, p.command, "auth");
        assert_int_equal(net_open_peer(rig->net, &p.id), 0);
        NetStatus st;
        rig_until(rig, (net_get_status(rig->net, &st), st.n_connections == 3));
        (void)net_send(rig->net, &p.id, CHANNEL_DATA, SEND_BULK, p.node);
        rig_until(rig, rig->n_connected[CHANNEL_DATA] == 1);
        say_and_wait(rig, p.data, "edit");
        return p;
}

static void pair_done(Rig *rig, Pair *p)
{
        frames_unref(p->node);
        zmq_close(p->command);
        zmq_close(p->data);
        rig_free(rig);
}

/* A neighbour who has taken what it was sent long after the client spoke on its connection was not the one before that. */
static void test_end_of_a_neighbour_who_answered(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        Pair p = pair_new(rig, rig_client(rig, CHANNEL_DATA, &id));
        assert_int_equal(net_open_peer(rig->net, &p.other), 0);
        for (unsigned i = 0; i < 80; i++) {
                (void)net_send(rig->net, &p.other, CHANNEL_DATA, SEND_BULK, p.node);
                rig_for(rig, 100 * 1000);
        }
        zmq_close(p.neighbour);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] > 0);
        rig_for(rig, 50 * 1000);
        assert_int_equal(rig->n_lost[CHANNEL_DATA], 1);
        assert_true(routing_id_equal(&rig->last_lost, &p.other));
        pair_done(rig, &p);
}

static void *slow_reader(Rig *rig, const RoutingId *id)
{
        void *s = zmq_socket(rig->context, ZMQ_DEALER);
        int zero = 0, one = 1, little = 4096;
        zmq_setsockopt(s, ZMQ_ROUTING_ID, id->bytes, id->size);
        zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
        zmq_setsockopt(s, ZMQ_RCVHWM, &one, sizeof one);
        zmq_setsockopt(s, ZMQ_RCVBUF, &little, sizeof little);
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", net_port(rig->net, CHANNEL_DATA));
        assert_int_equal(zmq_connect(s, endpoint), 0);
        return s;
}

/* One that may have been its own has ended, and it is found on the connection that it has spoken on: by that it is known
 * again, so that what lies there counts, and no other neighbour. */
static void test_found_again_where_it_has_spoken(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        Pair p = pair_new(rig, slow_reader(rig, &id));
        NetStatus st;
        RoutingId third = rig_id(3);
        void *idle = rig_client(rig, CHANNEL_DATA, &third);
        rig_until(rig, (net_get_status(rig->net, &st), st.n_connections == 4));
        /* More than it takes, which all lies in the kernel. */
        for (unsigned i = 0; i < 200; i++)
                assert_int_not_equal(net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, p.node), NET_FULL);
        rig_for(rig, 300 * 1000);
        zmq_close(p.neighbour);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        rig->all_delivered = false;
        (void)net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, p.node);
        rig_until(rig, rig->n_connected[CHANNEL_DATA] == 2);
        rig_for(rig, 1500 * 1000);
        assert_false(rig->all_delivered);
        zmq_close(idle);
        rig_until(rig, (net_get_status(rig->net, &st), st.n_connections == 2));
        rig_for(rig, 50 * 1000);
        assert_int_equal(rig->n_lost[CHANNEL_DATA], 1);
        ClientMessage m;
        for (unsigned i = 0; i < 202; i++) {
                rig_receive(rig, p.data, &m);
                client_done(&m);
        }
        rig_until(rig, rig->all_delivered);
        pair_done(rig, &p);
}

/* A client that has never spoken, on a line that takes longer than a neighbour who does not read is waited for. */
static void test_silent_on_a_slow_line(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *c = rig_client(rig, CHANNEL_COMMAND, &id);
        void *d = slow_reader(rig, &id);
        say_and_wait(rig, c, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *f = rig_frames_of_size(10000, 'n');
        NetStatus st;
        rig_until(rig, (net_get_status(rig->net, &st), st.n_connections == 2));
        /* All lies in the kernel. */
        enum { N = 20, N_SLOW = 14 };
        for (unsigned i = 0; i < N; i++)
                assert_int_not_equal(net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f), NET_FULL);
        rig->all_delivered = false;
        ClientMessage m;
        for (unsigned i = 0; i < N_SLOW; i++) {
                rig_receive(rig, d, &m);
                client_done(&m);
                rig_for(rig, 800 * 1000);
        }
        assert_false(rig->all_delivered);
        for (unsigned i = N_SLOW; i < N; i++) {
                rig_receive(rig, d, &m);
                client_done(&m);
        }
        rig_until(rig, rig->all_delivered);
        assert_int_equal(rig->n_lost[CHANNEL_DATA], 0);
        frames_unref(f);
        zmq_close(c);
        zmq_close(d);
        rig_free(rig);
}

/* A connection of its own that takes the place of one without a word, and ends. */
static void test_silent_handover_and_end(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *c = rig_client(rig, CHANNEL_COMMAND, &id);
        void *d = rig_client(rig, CHANNEL_DATA, &id);
        say_and_wait(rig, c, "auth");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *f = rig_frames("node");
        (void)net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f);
        rig_until(rig, rig->n_connected[CHANNEL_DATA] == 1);
        void *again = rig_client(rig, CHANNEL_DATA, &id);
        rig_for(rig, 50 * 1000);
        zmq_close(again);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] >= 1);
        frames_unref(f);
        zmq_close(c);
        zmq_close(d);
        rig_free(rig);
}

/* After a restart: the peer is known, not connected, and must hear from us first. */
static void test_open_before_connected(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1), other = rig_id(2);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        assert_int_equal(net_open_peer(rig->net, &other), 0);
        Frames *ping = rig_frames("PING"), *table = rig_frames("table"), *newer = rig_frames("newer table");
        for (int i = 0; i < 3; i++) {
                assert_int_equal(net_send(rig->net, &id, CHANNEL_TTL, SEND_PING, ping), i == 0 ? 0 : NET_FULL);
                assert_int_equal(net_send(rig->net, &other, CHANNEL_TTL, SEND_PING, ping), i == 0 ? 0 : NET_FULL);
        }
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_TABLE, table), 0);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_TABLE, newer), 0);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, ping), 0);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_TABLE, table), 0);

        void *ttl = rig_client(rig, CHANNEL_TTL, &id), *command = rig_client(rig, CHANNEL_COMMAND, &id);
        ClientMessage m;
        rig_receive(rig, ttl, &m);
        assert_string_equal(m.frame[0], "PING");
        client_done(&m);
        static const char *const expected[] = { "newer table", "PING", "table" };
        for (int i = 0; i < 3; i++) {
                rig_receive(rig, command, &m);
                assert_string_equal(m.frame[0], expected[i]);
                client_done(&m);
        }
        rig_until(rig, rig->n_connected[CHANNEL_TTL] == 1 && rig->n_connected[CHANNEL_COMMAND] == 1);
        rig_for(rig, 50 * 1000);
        assert_false(client_try(ttl, &m)); /* three PINGs were one */
        frames_unref(ping);
        frames_unref(table);
        frames_unref(newer);
        zmq_close(ttl);
        zmq_close(command);
        rig_free(rig);
}

/* A silent client whose connection was told of once: asked again, it is told again, and not when it is gone. */
static void test_open_again_tells_what_is_connected(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *s = rig_client(rig, CHANNEL_COMMAND, &id);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *f = rig_frames("table");
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_TABLE, f), 0);
        frames_unref(f);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 1);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 2);
        assert_int_equal(rig->n_connected[CHANNEL_DATA], 0);
        zmq_close(s);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 1);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        rig_for(rig, 50 * 1000);
        assert_int_equal(rig->n_connected[CHANNEL_COMMAND], 2);
        rig_free(rig);
}

static void test_close_peer_flushes_commands_only(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .window = 4096 });
        RoutingId id = rig_id(1);
        void *c = rig_client(rig, CHANNEL_COMMAND, &id), *d = rig_client(rig, CHANNEL_DATA, &id);
        say_and_wait(rig, c, "auth");
        say_and_wait(rig, d, "data");
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *big = rig_frames_of_size(1 << 20, 'b'), *bye = rig_frames("Disconnect");
        for (int i = 0; i < 40; i++)
                assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, big), 0);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, bye), 0);
        net_close_peer(rig->net, &id);
        NetPeerStatus st;
        assert_int_equal(net_peer_status(rig->net, &id, &st), NET_NO_PEER);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, bye), NET_NO_PEER);
        ClientMessage m;
        for (int i = 0; i < 41; i++) {
                rig_receive(rig, c, &m);
                if (i == 40)
                        assert_string_equal(m.frame[0], "Disconnect");
                client_done(&m);
        }
        NetStatus all;
        rig_until(rig, ({ net_get_status(rig->net, &all); all.queued == 0; }));
        assert_int_equal(rig->n_lost[CHANNEL_COMMAND], 0);
        frames_unref(big);
        frames_unref(bye);
        zmq_close(c);
        zmq_close(d);
        rig_free(rig);
}

/* What is reported of a channel is read before what another channel reported earlier, of a connection whose descriptor
 * has become this one's. */
static void test_descriptor_of_another_channel(void **state)
{
        Rig *rig = rig_new(NULL);
        int brief = rig_connect(rig, CHANNEL_TTL);
        char buffer[256];
        assert_int_equal(shutdown(brief, SHUT_WR), 0);
        while (read(brief, buffer, sizeof buffer) > 0)
                ;
        close(brief); /* its number is taken by the next client, and the server's by the end of that at the server */

        RoutingId id = rig_id(1);
        int fd = rig_raw_client(rig, CHANNEL_COMMAND, &id, "127.0.0.1");
        rig_until(rig, rig->n_messages == 1);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] == 1);
        NetPeerStatus peer;
        assert_int_equal(net_peer_status(rig->net, &id, &peer), 0);
        assert_string_equal(peer.address, "127.0.0.1");
        close(fd);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 1);
        rig_free(rig);
}

/* Descriptors are reused at once; none of it may be taken for the connection of somebody else. */
static void test_storm_of_reused_descriptors(void **state)
{
        enum { STORM = 500 };
        Rig *rig = rig_new(NULL);
        RoutingId steady = rig_id(100000);
        void *s = rig_client(rig, CHANNEL_COMMAND, &steady);
        say_and_wait(rig, s, "auth");
        assert_int_equal(net_open_peer(rig->net, &steady), 0);
        int linger = 5000;
        for (unsigned i = 0; i < STORM; i++) {
                RoutingId id = rig_id(i);
                void *x = rig_client(rig, CHANNEL_COMMAND, &id);
                assert_int_equal(net_open_peer(rig->net, &id), 0);
                zmq_setsockopt(x, ZMQ_LINGER, &linger, sizeof linger);
                client_say(x, "brief");
                zmq_close(x);
                if (i % 7 == 0)
                        rig_step(rig, 0);
        }
        rig_until(rig, rig->n_messages == STORM + 1);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == STORM);
        NetStatus st;
        rig_until(rig, ({ net_get_status(rig->net, &st); st.n_connections == 1; }));
        NetPeerStatus peer;
        for (unsigned i = 0; i < STORM; i++) {
                RoutingId id = rig_id(i);
                assert_int_equal(net_peer_status(rig->net, &id, &peer), 0);
                assert_false(peer.connected[CHANNEL_COMMAND]);
        }
        assert_int_equal(net_peer_status(rig->net, &steady, &peer), 0);
        assert_true(peer.connected[CHANNEL_COMMAND]);
        assert_string_equal(peer.address, "127.0.0.1");
        assert_int_equal(st.n_bad[NET_BAD_HANDSHAKE], 0);
        zmq_close(s);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == STORM + 1);
        rig_free(rig);
}

static void test_ten_thousand_messages_of_fifty(void **state)
{
        enum { USERS = 50, EACH = 200 };
        Rig *rig = rig_new(NULL);
        void *s[USERS];
        for (unsigned i = 0; i < USERS; i++) {
                RoutingId id = rig_id(i);
                s[i] = rig_client(rig, CHANNEL_DATA, &id);
                for (int k = 0; k < EACH; k++)
                        client_say(s[i], "x");
        }
        rig_until(rig, rig->n_messages == USERS * EACH);
        unsigned n[USERS] = {};
        for (size_t i = 0; i < rig->n_messages; i++) {
                unsigned who;
                memcpy(&who, rig->messages[i].from.bytes, sizeof who);
                assert_in_range(who, 0, USERS - 1);
                n[who]++;
        }
        for (unsigned i = 0; i < USERS; i++) {
                assert_int_equal(n[i], EACH);
                zmq_close(s[i]);
        }
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lost_when_the_client_closes),
                cmocka_unit_test(test_lost_stranger_is_told_of),
                cmocka_unit_test(test_loss_comes_after_the_last_message),
                cmocka_unit_test(test_handover),
                cmocka_unit_test(test_silent_handover),
                cmocka_unit_test(test_silent_data_channel),
                cmocka_unit_test(test_silent_neighbours),
                cmocka_unit_test(test_silent_elders),
                cmocka_unit_test(test_end_of_a_neighbour_who_answered),
                cmocka_unit_test(test_found_again_where_it_has_spoken),
                cmocka_unit_test(test_silent_on_a_slow_line),
                cmocka_unit_test(test_silent_handover_and_end),
                cmocka_unit_test(test_open_before_connected),
                cmocka_unit_test(test_open_again_tells_what_is_connected),
                cmocka_unit_test(test_close_peer_flushes_commands_only),
                cmocka_unit_test(test_descriptor_of_another_channel),
                cmocka_unit_test(test_storm_of_reused_descriptors),
                cmocka_unit_test(test_ten_thousand_messages_of_fifty),
        };
        return cmocka_run_group_tests_name("net-presence", tests, NULL, NULL);
}
