/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net-rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/in.h>
#include <arpa/inet.h>

static void test_receive_on_each_channel(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(1);
        void *s[_CHANNEL_MAX];
        for (int c = 0; c < _CHANNEL_MAX; c++) {
                s[c] = rig_client(rig, c, &id);
                client_say(s[c], "one", "", "three");
        }
        rig_until(rig, rig->n_messages == 3);
        unsigned seen = 0;
        for (int i = 0; i < 3; i++) {
                RigMessage *m = &rig->messages[i];
                seen |= 1u << m->channel;
                assert_true(routing_id_equal(&m->from, &id));
                assert_string_equal(m->address, "127.0.0.1");
                assert_int_equal(m->n_frames, 3);
                assert_true(bytes_equal_string(m->frame[0], "one"));
                assert_true(bytes_equal_string(m->frame[1], ""));
                assert_true(bytes_equal_string(m->frame[2], "three"));
        }
        assert_int_equal(seen, NET_ALL_CHANNELS);
        assert_true(rig->n_turns >= 1);
        for (int c = 0; c < _CHANNEL_MAX; c++)
                zmq_close(s[c]);
        rig_free(rig);
}

static void test_surplus_frames_are_counted_not_kept(void **state)
{
        Rig *rig = rig_new(NULL);
        void *s = rig_client(rig, CHANNEL_DATA, NULL);
        client_say(s, "1", "2", "3", "4", "5", "6", "7", "8", "9");
        client_say(s, "next");
        rig_until(rig, rig->n_messages == 2);
        assert_int_equal(rig->messages[0].n_frames, 9);
        assert_true(bytes_equal_string(rig->messages[0].frame[4], "5"));
        assert_int_equal(rig->messages[1].n_frames, 1);
        assert_int_equal(rig->messages[0].from.size, 5); /* made by libzmq */
        zmq_close(s);
        rig_free(rig);
}

/* Every size around the limits where copying, sharing and libzmq's own kinds of messages change. */
static void test_bytes_pass_exactly(void **state)
{
        static const size_t sizes[] = { 0, 1, 33, 34, 255, 256, 1023, 1024, 8191, 8192, 8193, 65536, 1 << 20, 64 << 20 };
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(7);
        void *s = rig_client(rig, CHANNEL_DATA, &id);
        client_say(s, "hello");
        rig_until(rig, rig->n_messages == 1);
        assert_int_equal(net_open_peer(rig->net, &id), 0);

        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                uint8_t *data = malloc(sizes[i] + 1);
                for (size_t k = 0; k < sizes[i]; k++)
                        data[k] = (uint8_t)(k * 31 + (k >> 8) + i);
                rig_forget_messages(rig);
                assert_int_equal(zmq_send(s, data, sizes[i], 0), (int)sizes[i]);
                rig_until(rig, rig->n_messages == 1);
                Bytes *b = rig->messages[0].frame[0];
                assert_int_equal(b->size, sizes[i]);
                assert_memory_equal(b->data, data, sizes[i]);

                Bytes *frames[] = { bytes_new_copy("t", 1), bytes_ref(b) };
                Frames *f = frames_new(frames, 2);
                int r = net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f);
                assert_true(r == 0 || r == NET_LADEN);
                frames_unref(f);
                ClientMessage m;
                rig_receive(rig, s, &m);
                assert_int_equal(m.n_frames, 2);
                assert_int_equal(m.size[1], sizes[i]);
                assert_memory_equal(m.frame[1], data, sizes[i]);
                client_done(&m);
                free(data);
                /* The next of 64 MiB must find nothing else under way. */
                NetPeerStatus st;
                rig_until(rig, net_peer_status(rig->net, &id, &st) == 0 && st.in_flight < 64 * 1024);
        }
        zmq_close(s);
        rig_free(rig);
}

static void test_order_is_kept_across_turns(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .turn_messages = 7 });
        RoutingId id = rig_id(1);
        void *s = rig_client(rig, CHANNEL_COMMAND, &id);
        char text[16];
        for (int i = 0; i < 1000; i++) {
                snprintf(text, sizeof text, "%d", i);
                client_say(s, text);
        }
        rig_until(rig, rig->n_messages == 1000);
        for (int i = 0; i < 1000; i++) {
                snprintf(text, sizeof text, "%d", i);
                assert_true(bytes_equal_string(rig->messages[i].frame[0], text));
        }
        assert_true(rig->n_turns >= 1000 / 7);
        zmq_close(s);
        rig_free(rig);
}

/* A turn of one channel is bounded, and so is one peer's share of it. */
static void test_turns_are_fair(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .turn_messages = 8, .start_paused = true });
        RoutingId id[2] = { rig_id(1), rig_id(2) };
        void *s[2];
        for (int i = 0; i < 2; i++) {
                s[i] = rig_client(rig, CHANNEL_DATA, &id[i]);
                for (int k = 0; k < 200; k++)
                        client_say(s[i], "bulk");
        }
        /* Both have more waiting than the high-water mark lets in before anything is read. */
        rig_until(rig, ({ NetStatus st; net_get_status(rig->net, &st); st.n_connections == 2; }));
        rig_for(rig, 100 * 1000);
        void *ttl = rig_client(rig, CHANNEL_TTL, &id[0]);
        client_say(ttl, "PONG");
        rig_for(rig, 100 * 1000);
        assert_int_equal(rig->n_messages, 0);
        net_resume_reading(rig->net, NET_ALL_CHANNELS);
        rig_until(rig, rig->n_messages == 401);

        unsigned n[2] = { 0, 0 };
        size_t pong_at = 0;
        for (size_t i = 0; i < rig->n_messages; i++) {
                if (rig->messages[i].channel == CHANNEL_TTL) {
                        pong_at = i;
                        continue;
                }
                n[routing_id_equal(&rig->messages[i].from, &id[1])]++;
                if (i < 60)
                        assert_in_range(n[0], n[1] > 2 ? n[1] - 2 : 0, n[1] + 2);
        }
        assert_true(pong_at <= 3 * 8);
        zmq_close(s[0]);
        zmq_close(s[1]);
        zmq_close(ttl);
        rig_free(rig);
}

#define LARGE (3u * 1024 * 1024)

static int count_in_turn(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        static unsigned turn, n;
        if (rig->n_turns != turn)
                n = 0;
        turn = rig->n_turns;
        n++;
        *(unsigned *)rig->userdata = MAX(n, *(unsigned *)rig->userdata);
        return 0;
}

static void test_turns_are_short(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .start_paused = true });
        RoutingId id = rig_id(1);
        unsigned most = 0;
        rig->on_message = count_in_turn;
        rig->userdata = &most;
        void *s = rig_client(rig, CHANNEL_DATA, &id);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        char *text = malloc(LARGE);
        memset(text, 'x', LARGE - 1);
        text[LARGE - 1] = 0;
        for (int i = 0; i < 20; i++)
                client_say(s, text);
        rig_for(rig, 300 * 1000); /* for libzmq to receive */
        net_resume_reading(rig->net, NET_ALL_CHANNELS);
        rig_until(rig, rig->n_messages == 20);
        assert_in_range(most, 1, 3); /* 8 MiB, and the message that reached them */
        free(text);
        zmq_close(s);
        rig_free(rig);
}

static void test_pause_and_resume(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(3);
        void *s = rig_client(rig, CHANNEL_DATA, &id);
        void *c = rig_client(rig, CHANNEL_COMMAND, &id);
        client_say(s, "first");
        rig_until(rig, rig->n_messages == 1);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        net_pause_reading(rig->net, 1u << CHANNEL_DATA);
        net_pause_reading(rig->net, 1u << CHANNEL_DATA);
        client_say(s, "second");
        client_say(c, "other channel");
        rig_until(rig, rig->n_messages == 2);
        assert_int_equal(rig->messages[1].channel, CHANNEL_COMMAND);

        /* Sending goes on. */
        Frames *f = rig_frames("out");
        assert_int_equal(net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, f), NET_LADEN);
        frames_unref(f);
        ClientMessage m;
        rig_receive(rig, s, &m);
        client_done(&m);

        net_resume_reading(rig->net, 1u << CHANNEL_DATA);
        rig_for(rig, 50 * 1000);
        assert_int_equal(rig->n_messages, 2);
        net_resume_reading(rig->net, 1u << CHANNEL_DATA);
        rig_until(rig, rig->n_messages == 3);
        assert_true(bytes_equal_string(rig->messages[2].frame[0], "second"));
        zmq_close(s);
        zmq_close(c);
        rig_free(rig);
}

static int pause_at_third(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        if (rig->n_messages == 2)
                net_pause_reading(rig->net, NET_ALL_CHANNELS);
        return 0;
}

static void test_pause_from_inside_holds_at_once(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .start_paused = true });
        void *s = rig_client(rig, CHANNEL_DATA, NULL);
        for (int i = 0; i < 10; i++)
                client_say(s, "x");
        rig_for(rig, 100 * 1000);
        rig->on_message = pause_at_third;
        net_resume_reading(rig->net, NET_ALL_CHANNELS);
        rig_until(rig, rig->n_messages == 3);
        rig_for(rig, 50 * 1000);
        assert_int_equal(rig->n_messages, 3);
        /* For shutdown: what has arrived is read all the same, in one go. */
        rig->on_message = NULL;
        unsigned n_turns = rig->n_turns;
        assert_int_equal(net_drain(rig->net, 1000000), 0);
        assert_int_equal(rig->n_messages, 10);
        assert_true(rig->n_turns - n_turns <= 3);
        zmq_close(s);
        rig_free(rig);
}

static int answer(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        Frames *f = rig_frames("info");
        assert_int_equal(net_send(rig->net, from, channel, SEND_ANSWER, f), 0);
        assert_int_equal(net_send(rig->net, from, channel, SEND_CONTROL, f), NET_NO_PEER);
        frames_unref(f);
        return 0;
}

static void test_answer_to_stranger(void **state)
{
        Rig *rig = rig_new(NULL);
        rig->on_message = answer;
        void *s = rig_client(rig, CHANNEL_COMMAND, NULL);
        client_say(s, "info?");
        ClientMessage m;
        rig_receive(rig, s, &m);
        assert_string_equal(m.frame[0], "info");
        client_done(&m);
        Frames *f = rig_frames("nobody");
        RoutingId id = rig_id(99);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_ANSWER, f), 0);
        frames_unref(f);
        zmq_close(s);
        rig_free(rig);
}

static int listening_socket(uint16_t *ret_port)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in in = { .sin_family = AF_INET };
        socklen_t n = sizeof in;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
        assert_int_equal(listen(fd, 16), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
        *ret_port = ntohs(in.sin_port);
        return fd;
}

static void test_listening_sockets_handed_over(void **state)
{
        int fd[4];
        uint16_t port[4];
        for (int i = 0; i < 4; i++)
                fd[i] = listening_socket(&port[i]);
        NetConfig config = {
                .fds = { &fd[0], &fd[1], &fd[2] },
                .n_fds = { 1, 1, 2 },
        };
        for (int round = 0; round < 2; round++) { /* the originals outlive a Net */
                Rig *rig = rig_new(&config);
                void *s[4];
                for (int i = 0; i < 4; i++) {
                        char endpoint[64];
                        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port[i]);
                        s[i] = zmq_socket(rig->context, ZMQ_DEALER);
                        RoutingId own = rig_id(10 + i);
                        zmq_setsockopt(s[i], ZMQ_ROUTING_ID, own.bytes, own.size);
                        assert_int_equal(zmq_connect(s[i], endpoint), 0);
                        client_say(s[i], "hello");
                }
                rig_until(rig, rig->n_messages == 4);
                assert_int_equal(net_port(rig->net, CHANNEL_DATA), port[1]);
                for (int i = 0; i < 4; i++)
                        zmq_close(s[i]);
                rig_free(rig);
        }
        for (int i = 0; i < 4; i++)
                close(fd[i]);
}

static void test_what_cannot_be_served_is_named(void **state)
{
        sd_event *event;
        assert_int_equal(sd_event_new(&event), 0);
        Rig *rig = rig_new(NULL);
        NetCallbacks callbacks = { .message = NULL };
        callbacks.message = (void *)1; /* never called */
        Net *n = NULL;

        char *error = NULL;
        NetConfig config = { .listen = "127.0.0.1", .port = net_port(rig->net, CHANNEL_COMMAND) };
        assert_int_equal(net_new(&n, event, &config, &callbacks, NULL, &error), -EADDRINUSE);
        assert_null(n);
        assert_non_null(strstr(error, "another program listens there"));
        free(error);

        int no_socket = dup(0);
        config = (NetConfig){ .fds = { &no_socket, &no_socket, &no_socket }, .n_fds = { 1, 1, 1 } };
        error = NULL;
        assert_int_equal(net_new(&n, event, &config, &callbacks, NULL, &error), -EINVAL);
        assert_non_null(strstr(error, "no listening socket"));
        free(error);
        close(no_socket);

        config = (NetConfig){ .listen = " , " };
        error = NULL;
        assert_int_equal(net_new(&n, event, &config, &callbacks, NULL, &error), -EINVAL);
        assert_non_null(strstr(error, "No address"));
        free(error);

        const char *const nonsense[] = { "192.0.2.0/33", NULL };
        config = (NetConfig){ .listen = "127.0.0.1", .limits.allow = nonsense };
        assert_int_equal(net_new(&n, event, &config, &callbacks, NULL, NULL), -EINVAL);
        rig_free(rig);
        sd_event_unref(event);
}

static void test_ipv6_and_wildcard(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .listen = "*" });
        void *s = rig_client(rig, CHANNEL_COMMAND, NULL);
        client_say(s, "four");
        rig_until(rig, rig->n_messages == 1);
        assert_string_equal(rig->messages[0].address, "127.0.0.1");
        zmq_close(s);

        s = zmq_socket(rig->context, ZMQ_DEALER);
        int one = 1;
        zmq_setsockopt(s, ZMQ_IPV6, &one, sizeof one);
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "tcp://[::1]:%u", net_port(rig->net, CHANNEL_COMMAND));
        assert_int_equal(zmq_connect(s, endpoint), 0);
        client_say(s, "six");
        int probe = socket(AF_INET6, SOCK_STREAM, 0);
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        bool has_ipv6 = probe >= 0 && bind(probe, (struct sockaddr *)&in6, sizeof in6) == 0;
        if (probe >= 0)
                close(probe);
        if (has_ipv6) {
                rig_until(rig, rig->n_messages == 2);
                assert_string_equal(rig->messages[1].address, "::1");
        }
        zmq_close(s);
        rig_free(rig);
}

static int fail_with(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        return -ENOSPC;
}

static void test_error_ends_the_loop(void **state)
{
        Rig *rig = rig_new(NULL);
        rig->on_message = fail_with;
        void *s = rig_client(rig, CHANNEL_COMMAND, NULL);
        client_say(s, "x");
        assert_int_equal(sd_event_loop(rig->event), -ENOSPC);
        zmq_close(s);
        rig_free(rig);
}

/* ---- several messages together ---- */

#define GATHERED 2048

/* Asked for again and again, so that it does not end by itself; false: the machine was too busy for that. */
static bool gather_for(Rig *rig, const RoutingId *id, uint64_t usec)
{
        uint64_t last = rig_now(), end = last + usec, longest = 0;
        while (last < end) {
                net_gather(rig->net, id, CHANNEL_COMMAND, GATHERED);
                rig_step(rig, 1000);
                longest = MAX(longest, rig_now() - last);
                last = rig_now();
        }
        return longest < 15000;
}

static bool gathers(Rig *rig, const RoutingId *id)
{
        net_gather(rig->net, id, CHANNEL_COMMAND, GATHERED);
        return true;
}

static void test_messages_are_taken_together(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(7), other = rig_id(8);
        void *s = rig_client(rig, CHANNEL_COMMAND, &id), *t = rig_client(rig, CHANNEL_COMMAND, &other);
        /* Nothing for strangers. */
        net_gather(rig->net, &id, CHANNEL_COMMAND, GATHERED);
        client_say(s, "hello");
        rig_until(rig, rig->n_messages == 1);
        assert_int_equal(net_open_peer(rig->net, &id), 0);

        gather_for(rig, &id, 1000);
        client_say(s, "small");
        assert_true(!gather_for(rig, &id, 200000) || rig->n_messages == 1);
        /* Nobody else waits for that. */
        client_say(t, "of another");
        rig_until(rig, gathers(rig, &id) && rig->n_messages >= 2);

        char large[GATHERED + 1];
        memset(large, 'x', GATHERED);
        large[GATHERED] = '\0';
        client_say(s, large);
        rig_until(rig, gathers(rig, &id) && rig->n_messages == 4);

        client_say(s, "no longer");
        assert_true(!gather_for(rig, &id, 50000) || rig->n_messages == 4);
        net_gather(rig->net, &id, CHANNEL_COMMAND, 0);
        rig_until(rig, rig->n_messages == 5);

        /* It ends by itself. */
        gather_for(rig, &id, 1000);
        client_say(s, "late");
        rig_until(rig, rig->n_messages == 6);

        /* The end of the connection does not wait. */
        gather_for(rig, &id, 1000);
        zmq_close(s);
        rig_until(rig, gathers(rig, &id) && rig->n_lost[CHANNEL_COMMAND] == 1);
        zmq_close(t);
        rig_free(rig);
}

static int gather_again(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        net_gather(rig->net, from, channel, GATHERED);
        return 0;
}

/* Has said "hello", and is known. */
static void *open_client(Rig *rig, const RoutingId *id)
{
        void *s = rig_client(rig, CHANNEL_COMMAND, id);
        client_say(s, "hello");
        rig_until(rig, rig->n_messages == 1);
        assert_int_equal(net_open_peer(rig->net, id), 0);
        return s;
}

/* Who leaves takes what has come, be it still being gathered: nobody sends it again. */
static void test_drain_takes_what_is_gathered(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(7);
        void *s = open_client(rig, &id);
        rig->on_message = gather_again;
        gathers(rig, &id);
        client_say(s, "small");
        rig_until(rig, gathers(rig, &id) && (net_has_unfinished(rig->net, &id, CHANNEL_COMMAND) || rig->n_messages == 2));
        assert_int_equal(net_drain(rig->net, 200000), 0);
        assert_int_equal(rig->n_messages, 2);
        zmq_close(s);
        rig_free(rig);
}

/* What could not be taken back for want of a descriptor is taken back later. */
static void test_gathering_ends_when_descriptors_are_there_again(void **state)
{
        Rig *rig = rig_new(NULL);
        RoutingId id = rig_id(7);
        void *s = open_client(rig, &id);
        struct rlimit limit;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        gathers(rig, &id);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 3, limit.rlim_max }), 0);
        rig_for(rig, 100000);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        client_say(s, "small");
        rig_until(rig, rig->n_messages == 2);
        zmq_close(s);
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_receive_on_each_channel),
                cmocka_unit_test(test_surplus_frames_are_counted_not_kept),
                cmocka_unit_test(test_bytes_pass_exactly),
                cmocka_unit_test(test_order_is_kept_across_turns),
                cmocka_unit_test(test_turns_are_fair),
                cmocka_unit_test(test_turns_are_short),
                cmocka_unit_test(test_messages_are_taken_together),
                cmocka_unit_test(test_drain_takes_what_is_gathered),
                cmocka_unit_test(test_gathering_ends_when_descriptors_are_there_again),
                cmocka_unit_test(test_pause_and_resume),
                cmocka_unit_test(test_pause_from_inside_holds_at_once),
                cmocka_unit_test(test_answer_to_stranger),
                cmocka_unit_test(test_listening_sockets_handed_over),
                cmocka_unit_test(test_what_cannot_be_served_is_named),
                cmocka_unit_test(test_ipv6_and_wildcard),
                cmocka_unit_test(test_error_ends_the_loop),
        };
        return cmocka_run_group_tests_name("net-messages", tests, NULL, NULL);
}
