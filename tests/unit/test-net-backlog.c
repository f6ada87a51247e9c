/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net-rig.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KIB 1024u
#define MIB (1024u * 1024u)

static Rig *rig_with_peer(const NetConfig *config, const RoutingId *id, int fd[_CHANNEL_MAX])
{
        Rig *rig = rig_new(config);
        for (int c = 0; c < _CHANNEL_MAX; c++)
                fd[c] = rig_raw_client(rig, c, id, "127.0.0.1");
        rig_until(rig, rig->n_messages == _CHANNEL_MAX);
        assert_int_equal(net_open_peer(rig->net, id), 0);
        rig_until(rig, rig->n_connected[CHANNEL_COMMAND] && rig->n_connected[CHANNEL_DATA] && rig->n_connected[CHANNEL_TTL]);
        return rig;
}

static void rig_with_peer_done(Rig *rig, int fd[_CHANNEL_MAX])
{
        for (int c = 0; c < _CHANNEL_MAX; c++)
                close(fd[c]);
        rig_free(rig);
}

/* Reads and throws away what has come, running the loop meanwhile, until the condition holds. */
#define read_until(rig, fd, condition)                                                     \
        do {                                                                               \
                static uint8_t _buffer[256 * KIB];                                         \
                rig_until(rig, (recv(fd, _buffer, sizeof _buffer, MSG_DONTWAIT), (condition))); \
        } while (0)

/* Sends bulk data; whether it was taken, at once or into the queue. */
static bool send_bulk(Rig *rig, const RoutingId *id, Frames *f)
{
        int r = net_send(rig->net, id, CHANNEL_DATA, SEND_BULK, f);
        assert_true(r == 0 || r == NET_LADEN || r == NET_QUEUED || r == NET_FULL);
        return r != NET_FULL;
}

static NetPeerStatus status_of(Rig *rig, const RoutingId *id)
{
        NetPeerStatus st;
        assert_int_equal(net_peer_status(rig->net, id, &st), 0);
        return st;
}

static void test_bulk_stays_under_the_limit(void **state)
{
        static const size_t sizes[] = { 100, 5000, 64 * KIB, MIB };
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                RoutingId id = rig_id(1);
                int fd[_CHANNEL_MAX];
                Rig *rig = rig_with_peer(&(NetConfig){ .limits.max_client_backlog = 8 * MIB }, &id, fd);
                Frames *f = rig_frames_of_size(sizes[i], 'x');
                unsigned n_taken = 0;
                bool taken;
                uint64_t deadline = rig_now() + 20 * 1000000;
                do {
                        taken = send_bulk(rig, &id, f);
                        n_taken += taken;
                        NetPeerStatus st = status_of(rig, &id);
                        assert_true(st.queued + st.in_flight <= 8 * MIB);
                        assert_true(st.in_flight <= 2 * MIB + sizes[i] + 1024);
                        if (n_taken % 64 == 0)
                                rig_step(rig, 0);
                } while (taken && rig_now() < deadline);
                assert_false(taken);
                assert_true(n_taken * (sizes[i] + 200) > 7 * MIB);
                assert_true(status_of(rig, &id).backlog_since > 0);
                unsigned n_drained = rig->n_drained;
                /* And goes on being refused, even when there would be room for a small one. */
                Frames *small = rig_frames("x");
                assert_false(send_bulk(rig, &id, small));

                /* The other channels do not wait behind it. */
                uint8_t buffer[256];
                while (recv(fd[CHANNEL_TTL], buffer, sizeof buffer, MSG_DONTWAIT) > 0)
                        ;
                Frames *ping = rig_frames("PING");
                assert_int_equal(net_send(rig->net, &id, CHANNEL_TTL, SEND_PING, ping), 0);
                rig_until(rig, recv(fd[CHANNEL_TTL], buffer, sizeof buffer, MSG_DONTWAIT) == 6);
                assert_memory_equal(buffer, "\0\4PING", 6);

                assert_int_equal(rig->n_drained, n_drained);
                read_until(rig, fd[CHANNEL_DATA], rig->n_drained == n_drained + 1);
                assert_int_equal(status_of(rig, &id).backlog_since, 0);
                assert_true(send_bulk(rig, &id, small));
                read_until(rig, fd[CHANNEL_DATA], status_of(rig, &id).queued == 0);
                read_until(rig, fd[CHANNEL_DATA], status_of(rig, &id).in_flight < 64 * KIB);
                frames_unref(f);
                frames_unref(small);
                frames_unref(ping);
                rig_with_peer_done(rig, fd);
        }
}

static void test_everything_is_given_back(void **state)
{
        RoutingId id = rig_id(1);
        int fd[_CHANNEL_MAX];
        Rig *rig = rig_with_peer(NULL, &id, fd);
        Frames *f = rig_frames_of_size(3 * MIB, 'x');
        for (int i = 0; i < 10; i++)
                assert_true(send_bulk(rig, &id, f));
        NetStatus st;
        net_get_status(rig->net, &st);
        assert_true(st.queued >= 8 * 3 * MIB);
        assert_true(__atomic_load_n(&f->frame[0]->n_ref, __ATOMIC_RELAXED) >= 2);
        /* The client vanishes in the middle of it. */
        close(fd[CHANNEL_DATA]);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        rig_until(rig, ({ net_get_status(rig->net, &st); st.in_flight < 64 * KIB; }));
        assert_true(st.queued < MIB); /* what waited may build upon what was lost */
        net_close_peer(rig->net, &id);
        rig_until(rig, ({ net_get_status(rig->net, &st); st.queued + st.in_flight == 0; }));
        rig_until(rig, __atomic_load_n(&f->frame[0]->n_ref, __ATOMIC_ACQUIRE) == 1);
        frames_unref(f);
        fd[CHANNEL_DATA] = dup(fd[CHANNEL_TTL]);
        rig_with_peer_done(rig, fd);
}

static void test_larger_than_the_limit_goes_alone(void **state)
{
        RoutingId id = rig_id(1);
        int fd[_CHANNEL_MAX];
        Rig *rig = rig_with_peer(&(NetConfig){ .limits.max_client_backlog = 4 * MIB }, &id, fd);
        Frames *huge = rig_frames_of_size(64 * MIB, 'h');
        assert_true(send_bulk(rig, &id, huge));
        assert_false(send_bulk(rig, &id, huge));
        read_until(rig, fd[CHANNEL_DATA], rig->n_drained == 1);
        assert_true(send_bulk(rig, &id, huge));
        frames_unref(huge);
        rig_with_peer_done(rig, fd);
}

/* Being told of room that is not there would make the session send the same again, without end. */
static void test_no_room_is_promised_that_is_not_there(void **state)
{
        static const struct {
                size_t control, bulk;
                unsigned n_taken;
        } cases[] = {
                { 100, 64 * MIB, 1 },    /* larger than the limit: once, although the table waits as well */
                { 3 * MIB, 6 * MIB, 0 }, /* under the limit, but not together with what waits */
                { 3 * MIB, 64 * MIB, 0 },
        };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                RoutingId id = rig_id(1);
                Rig *rig = rig_new(&(NetConfig){ .limits.max_client_backlog = 8 * MIB });
                assert_int_equal(net_open_peer(rig->net, &id), 0); /* it is not there, and will not come */
                Frames *control = rig_frames_of_size(cases[i].control, 'c');
                Frames *bulk = rig_frames_of_size(cases[i].bulk, 'b');
                assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, control), 0);
                unsigned n_taken = 0;
                while (send_bulk(rig, &id, bulk))
                        n_taken++;
                assert_int_equal(n_taken, cases[i].n_taken);
                rig_for(rig, 50 * 1000);
                assert_int_equal(rig->n_drained, 0);
                frames_unref(control);
                frames_unref(bulk);
                rig_free(rig);
        }
}

static void test_presence_is_refused_early(void **state)
{
        RoutingId id = rig_id(1);
        int fd[_CHANNEL_MAX];
        Rig *rig = rig_with_peer(&(NetConfig){ .window = 64 * KIB }, &id, fd);
        Frames *view = rig_frames_of_size(500, 'v'), *right = rig_frames_of_size(200, 'r');
        int r;
        uint64_t deadline = rig_now() + 20 * 1000000;
        do {
                r = net_send(rig->net, &id, CHANNEL_COMMAND, SEND_PRESENCE, view);
                rig_step(rig, 0);
        } while (r == 0 && rig_now() < deadline);
        assert_int_equal(r, NET_FULL);
        NetPeerStatus st = status_of(rig, &id);
        assert_in_range(st.queued, 64 * KIB, 66 * KIB);
        assert_int_equal(st.backlog_since, 0); /* nothing that matters has been refused */
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, right), 0);
        assert_true(send_bulk(rig, &id, right));
        read_until(rig, fd[CHANNEL_COMMAND], rig->n_drained == 1);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_PRESENCE, view), 0);
        frames_unref(view);
        frames_unref(right);
        rig_with_peer_done(rig, fd);
}

static void test_too_much_control_is_told_once(void **state)
{
        RoutingId id = rig_id(1);
        int fd[_CHANNEL_MAX];
        Rig *rig = rig_with_peer(&(NetConfig){ .limits.max_client_backlog = MIB, .window = 128 * KIB }, &id, fd);
        Frames *f = rig_frames_of_size(10 * KIB, 'c');
        uint64_t deadline = rig_now() + 20 * 1000000;
        while (rig->n_overflow == 0 && rig_now() < deadline) {
                assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, f), 0);
                rig_step(rig, 0);
        }
        NetPeerStatus st = status_of(rig, &id);
        assert_in_range(st.queued, 2 * MIB, 2 * MIB + 64 * KIB);
        for (int i = 0; i < 100; i++)
                assert_int_equal(net_send(rig->net, &id, CHANNEL_COMMAND, SEND_CONTROL, f), 0);
        rig_for(rig, 20 * 1000);
        assert_int_equal(rig->n_overflow, 1);
        net_close_peer(rig->net, &id);
        frames_unref(f);
        rig_with_peer_done(rig, fd);
}

/* One client that reads nothing must not slow another: both get everything that is theirs. */
static void test_stalled_peer_slows_nobody(void **state)
{
        RoutingId slow = rig_id(1), fast = rig_id(2);
        int fd[_CHANNEL_MAX];
        Rig *rig = rig_with_peer(NULL, &slow, fd);
        void *s = rig_client(rig, CHANNEL_DATA, &fast);
        client_say(s, "hello");
        rig_until(rig, rig->n_messages == _CHANNEL_MAX + 1);
        assert_int_equal(net_open_peer(rig->net, &fast), 0);
        Frames *f = rig_frames_of_size(MIB, 'x');
        for (int i = 0; i < 200; i++) {
                send_bulk(rig, &slow, f);
                assert_true(send_bulk(rig, &fast, f));
                ClientMessage m;
                rig_receive(rig, s, &m);
                assert_int_equal(m.size[0], MIB);
                client_done(&m);
        }
        assert_true(status_of(rig, &slow).backlog_since > 0);
        frames_unref(f);
        zmq_close(s);
        rig_with_peer_done(rig, fd);
}

static void test_flush_empties_what_can_be(void **state)
{
        RoutingId slow = rig_id(1), fast = rig_id(2), away = rig_id(3);
        int fd[_CHANNEL_MAX];
        Rig *rig = rig_with_peer(NULL, &slow, fd);
        void *s = rig_client(rig, CHANNEL_DATA, &fast);
        client_say(s, "hello");
        rig_until(rig, rig->n_messages == _CHANNEL_MAX + 1);
        assert_int_equal(net_open_peer(rig->net, &fast), 0);
        assert_int_equal(net_open_peer(rig->net, &away), 0);
        Frames *f = rig_frames_of_size(MIB, 'x');
        for (int i = 0; i < 30; i++) {
                assert_true(send_bulk(rig, &fast, f));
                assert_true(send_bulk(rig, &away, f));
        }
        uint64_t before = rig_now();
        assert_int_equal(net_flush(rig->net, 10 * 1000000), 0); /* does not wait for the one that is away */
        assert_true(rig_now() - before < 5 * 1000000);
        assert_true(status_of(rig, &away).queued >= 30 * MIB);

        for (int i = 0; i < 60; i++)
                assert_true(send_bulk(rig, &slow, f));
        before = rig_now();
        assert_true(net_flush(rig->net, 200 * 1000) > 30 * MIB);
        assert_in_range(rig_now() - before, 190 * 1000, 2 * 1000000);
        ClientMessage m;
        for (int i = 0; i < 30; i++) {
                rig_receive(rig, s, &m);
                assert_int_equal(m.size[0], MIB);
                client_done(&m);
        }
        frames_unref(f);
        zmq_close(s);
        rig_with_peer_done(rig, fd);
}

static void test_limit_can_be_changed(void **state)
{
        RoutingId id = rig_id(1);
        Rig *rig = rig_new(&(NetConfig){ .limits.max_client_backlog = 8 * MIB });
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        Frames *f = rig_frames_of_size(MIB, 'x');
        for (int i = 0; i < 7; i++)
                assert_true(send_bulk(rig, &id, f));
        assert_false(send_bulk(rig, &id, f));
        assert_int_equal(net_set_limits(rig->net, &(NetLimits){ .max_client_backlog = 32 * MIB }), 0);
        /* Not before all has been delivered: what was refused would be overtaken. */
        assert_false(send_bulk(rig, &id, f));
        rig_for(rig, 50 * 1000);
        assert_int_equal(rig->n_drained, 0);
        void *s = rig_client(rig, CHANNEL_DATA, &id);
        rig_until(rig, rig->n_drained == 1);
        zmq_close(s);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        for (int i = 0; i < 25; i++)
                assert_true(send_bulk(rig, &id, f));
        frames_unref(f);
        rig_free(rig);
}

/* Data lies in libzmq and in the kernel, long after the outbox has let go of it. */
static void test_it_is_told_what_has_arrived(void **state)
{
        RoutingId id = rig_id(1);
        int fd[_CHANNEL_MAX];
        Rig *rig = rig_with_peer(&(NetConfig){ .limits.max_client_backlog = 16 * MIB }, &id, fd);
        Frames *small = rig_frames_of_size(1000, 'x'), *large = rig_frames_of_size(100 * KIB, 'x');
        assert_int_equal(net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, small), NET_LADEN);
        assert_int_equal(net_send(rig->net, &id, CHANNEL_DATA, SEND_BULK, large), 0); /* has been said */
        read_until(rig, fd[CHANNEL_DATA], rig->n_delivered > 0 && rig->all_delivered);

        /* More than it takes. */
        unsigned n = rig->n_delivered;
        for (uint64_t deadline = rig_now() + 10 * 1000000; send_bulk(rig, &id, large) && rig_now() < deadline;)
                rig_step(rig, 0);
        rig->all_delivered = false;
        rig_for(rig, 200 * 1000);
        assert_false(rig->all_delivered);
        read_until(rig, fd[CHANNEL_DATA], rig->all_delivered);
        assert_true(rig->n_delivered > n);
        assert_int_equal(status_of(rig, &id).queued, 0);

        /* Somebody who goes on sending all the time hears of it all the same. */
        n = rig->n_delivered;
        read_until(rig, fd[CHANNEL_DATA],
                   (send_bulk(rig, &id, large), rig_step(rig, 5000), rig_step(rig, 5000), rig->n_delivered > n + 3));

        /* What is lost with the connection is neither there nor on its way. */
        for (unsigned i = 0; i < 100; i++)
                send_bulk(rig, &id, large);
        n = rig->n_delivered;
        close(fd[CHANNEL_DATA]);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        n = rig->n_delivered;
        rig_for(rig, 100 * 1000);
        assert_int_equal(rig->n_delivered, n);
        frames_unref(small);
        frames_unref(large);
        rig_with_peer_done(rig, fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bulk_stays_under_the_limit),
                cmocka_unit_test(test_everything_is_given_back),
                cmocka_unit_test(test_larger_than_the_limit_goes_alone),
                cmocka_unit_test(test_no_room_is_promised_that_is_not_there),
                cmocka_unit_test(test_presence_is_refused_early),
                cmocka_unit_test(test_too_much_control_is_told_once),
                cmocka_unit_test(test_stalled_peer_slows_nobody),
                cmocka_unit_test(test_flush_empties_what_can_be),
                cmocka_unit_test(test_limit_can_be_changed),
                cmocka_unit_test(test_it_is_told_what_has_arrived),
        };
        return cmocka_run_group_tests_name("net-backlog", tests, NULL, NULL);
}
