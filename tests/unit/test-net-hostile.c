/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net-rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A well-behaved user beside whom everything happens: must never notice. */
typedef struct User {
        RoutingId id;
        void *socket;
} User;

static User user_new(Rig *rig)
{
        User u = { .id = rig_id(4242) };
        u.socket = rig_client(rig, CHANNEL_COMMAND, &u.id);
        size_t n = rig->n_messages;
        client_say(u.socket, "auth");
        rig_until(rig, rig->n_messages == n + 1);
        assert_int_equal(net_open_peer(rig->net, &u.id), 0);
        return u;
}

static void user_is_fine(Rig *rig, User *u)
{
        size_t n = rig->n_messages;
        client_say(u->socket, "still here");
        rig_until(rig, rig->n_messages > n && routing_id_equal(&rig->messages[rig->n_messages - 1].from, &u->id));
        Frames *f = rig_frames("so are we");
        assert_int_equal(net_send(rig->net, &u->id, CHANNEL_COMMAND, SEND_CONTROL, f), 0);
        frames_unref(f);
        ClientMessage m;
        rig_receive(rig, u->socket, &m);
        client_done(&m);
        assert_int_equal(rig->n_lost[CHANNEL_COMMAND], 0);
}

static NetStatus status_of(Rig *rig)
{
        NetStatus st;
        net_get_status(rig->net, &st);
        return st;
}

static void rig_done(Rig *rig, User *u)
{
        zmq_close(u->socket);
        rig_free(rig);
}

static const char tls_hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on";
static const char http[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
static const char zeros[64];
static const char zmtp_then_noise[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xee\xee\xee\xee\xee\xee\xee\xee\xee\xee\xee\xee\xee";
static const char zmtp_curve[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0CURVE";

static void test_foreign_protocols(void **state)
{
        static const struct {
                const char *data;
                size_t size;
        } probe[] = {
                { tls_hello, sizeof tls_hello - 1 }, { http, sizeof http - 1 }, { zeros, sizeof zeros },
                { zmtp_then_noise, sizeof zmtp_then_noise - 1 }, { zmtp_curve, sizeof zmtp_curve },
        };
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        unsigned expected = 0;
        for (size_t i = 0; i < sizeof probe / sizeof probe[0]; i++) {
                for (int c = 0; c < _CHANNEL_MAX; c++) {
                        int fd = rig_connect(rig, c);
                        assert_int_equal(send(fd, probe[i].data, probe[i].size, MSG_NOSIGNAL), probe[i].size);
                        expected++;
                        rig_until(rig, rig->n_bad[NET_BAD_HANDSHAKE] == expected);
                        assert_true(strcmp(rig->last_bad_address, "127.0.0.1") == 0 ||
                                    strcmp(rig->last_bad_address, "unknown") == 0);
                        char byte[128];
                        ssize_t n;
                        while ((n = recv(fd, byte, sizeof byte, 0)) > 0)
                                ;
                        assert_true(n == 0 || errno == ECONNRESET); /* and the connection is gone */
                        close(fd);
                }
        }
        assert_int_equal(status_of(rig).n_connections, 1);
        assert_int_equal(rig->n_banned, 0); /* no limit is set */
        user_is_fine(rig, &u);
        rig_done(rig, &u);
}

static void test_silence_and_early_end(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .handshake_timeout = 200 * 1000, .limits.penalty_limit = 2 });
        User u = user_new(rig);
        /* Connecting and going is what a port monitor does: named, not held against it. */
        for (int i = 0; i < 5; i++)
                close(rig_connect(rig, CHANNEL_COMMAND));
        rig_until(rig, rig->n_bad[NET_BAD_HANDSHAKE] == 5);
        assert_int_equal(rig->n_banned, 0);
        /* Saying nothing, or one byte at a time, for longer than the handshake may take is. */
        int a = rig_connect(rig, CHANNEL_DATA), b = rig_connect(rig, CHANNEL_TTL);
        assert_int_equal(send(b, "\xff", 1, MSG_NOSIGNAL), 1);
        rig_until(rig, rig->n_bad[NET_BAD_HANDSHAKE] == 7);
        assert_int_equal(rig->n_banned, 1);
        assert_string_equal(rig->last_banned, "127.0.0.1");
        close(a);
        close(b);
        user_is_fine(rig, &u);
        rig_done(rig, &u);
}

/* Its other two channels. */
static void user_completes(Rig *rig, const User *u, void *sockets[static 2])
{
        sockets[0] = rig_client(rig, CHANNEL_DATA, &u->id);
        sockets[1] = rig_client(rig, CHANNEL_TTL, &u->id);
        size_t n = rig->n_messages;
        client_say(sockets[0], "data");
        client_say(sockets[1], "PONG");
        rig_until(rig, rig->n_messages == n + 2 && rig->n_connected[CHANNEL_DATA] && rig->n_connected[CHANNEL_TTL]);
}

static const NetConfig three_strikes = {
        .handshake_timeout = 100 * 1000,
        .limits = { .penalty_limit = 3, .ban_usec = 600 * 1000000ull },
};

static void test_banned_address_cannot_connect(void **state)
{
        Rig *rig = rig_new(&three_strikes);
        User u = user_new(rig);
        void *others[2];
        user_completes(rig, &u, others);
        RoutingId id = rig_id(666);
        void *villain = rig_client(rig, CHANNEL_COMMAND, &id);
        client_say(villain, "guess 1");
        rig_until(rig, rig->n_messages == 4);
        assert_int_equal(net_penalise(rig->net, "127.0.0.1", 2), 0);
        assert_int_equal(net_penalise(rig->net, "127.0.0.1", 1), 1);
        assert_int_equal(status_of(rig).n_banned, 1);
        /* Its connection is cut; it tries again as DEALERs do, and is not let in. */
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 1);
        assert_true(routing_id_equal(&rig->last_lost, &id));
        client_say(villain, "guess 2");
        rig_until(rig, rig->n_bad[NET_BAD_BANNED] >= 3);
        assert_int_equal(rig->n_messages, 4);
        /* A user from the same address who was in before stays in. */
        rig->n_lost[CHANNEL_COMMAND] = 0;
        user_is_fine(rig, &u);

        size_t n = rig->n_messages;
        assert_int_equal(net_forgive(rig->net, "127.0.0.1"), 0);
        assert_int_equal(net_forgive(rig->net, "127.0.0.1"), 1);
        rig_until(rig, rig->n_messages == n + 1);
        assert_true(bytes_equal_string(rig->messages[n].frame[0], "guess 2"));
        zmq_close(villain);
        for (size_t i = 0; i < 2; i++)
                zmq_close(others[i]);
        rig_done(rig, &u);
}

/* A neighbour has guessed passwords, and then the line of both goes down: the user is back, and the neighbour is not. */
static void test_user_at_a_banned_address_comes_back(void **state)
{
        Rig *rig = rig_new(&three_strikes);
        User u = user_new(rig);
        void *others[2];
        user_completes(rig, &u, others);
        assert_int_equal(net_penalise(rig->net, "127.0.0.1", 3), 1);
        zmq_close(u.socket);
        rig_until(rig, rig->n_lost[CHANNEL_COMMAND] == 1);
        RoutingId id = rig_id(666);
        void *villain = rig_client(rig, CHANNEL_COMMAND, &id);
        size_t n = rig->n_messages;
        client_say(villain, "guess");
        rig_until(rig, rig->n_bad[NET_BAD_BANNED] > 0 && rig->n_lost[CHANNEL_COMMAND] == 2);
        assert_int_equal(rig->n_messages, n);
        u.socket = rig_client(rig, CHANNEL_COMMAND, &u.id);
        rig->n_lost[CHANNEL_COMMAND] = 0;
        user_is_fine(rig, &u);
        zmq_close(villain);
        for (size_t i = 0; i < 2; i++)
                zmq_close(others[i]);
        rig_done(rig, &u);
}

static void test_allowed_address_is_never_banned(void **state)
{
        const char *const allow[] = { "127.0.0.0/8", NULL };
        Rig *rig = rig_new(&(NetConfig){ .limits = { .penalty_limit = 1, .allow = allow, .max_connections_per_address = 2 } });
        User u = user_new(rig);
        assert_int_equal(net_penalise(rig->net, "127.0.0.1", 100), 0);
        assert_int_equal(net_penalise(rig->net, "no address", 100), 0);
        void *s[8];
        for (int i = 0; i < 8; i++) {
                s[i] = rig_client(rig, CHANNEL_COMMAND, NULL);
                client_say(s[i], "x");
        }
        rig_until(rig, rig->n_messages == 9);
        for (int i = 0; i < 8; i++)
                zmq_close(s[i]);
        rig_done(rig, &u);
}

static void test_connections_of_one_address_are_limited(void **state)
{
        enum { LIMIT = 20, FLOOD = 300 };
        Rig *rig = rig_new(&(NetConfig){ .limits.max_connections_per_address = LIMIT });
        User u = user_new(rig);
        int fd[FLOOD];
        for (int i = 0; i < FLOOD; i++) {
                fd[i] = rig_connect(rig, i % _CHANNEL_MAX);
                rig_step(rig, 0);
        }
        rig_until(rig, rig->n_bad[NET_BAD_TOO_MANY] == FLOOD - (LIMIT - 1));
        rig_until(rig, status_of(rig).n_connections == LIMIT);
        user_is_fine(rig, &u);
        for (int i = 0; i < FLOOD; i++)
                close(fd[i]);
        rig_until(rig, status_of(rig).n_connections == 1);
        void *s = rig_client(rig, CHANNEL_COMMAND, NULL);
        size_t n = rig->n_messages;
        client_say(s, "room again");
        rig_until(rig, rig->n_messages == n + 1);
        zmq_close(s);
        rig_done(rig, &u);
}

static void test_all_connections_are_limited(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .limits = { .max_connections = 10, .max_connections_per_address = 1000 } });
        User u = user_new(rig);
        int fd[50];
        for (int i = 0; i < 50; i++)
                fd[i] = rig_connect(rig, CHANNEL_DATA);
        rig_until(rig, rig->n_bad[NET_BAD_TOO_MANY] == 41);
        user_is_fine(rig, &u);
        for (int i = 0; i < 50; i++)
                close(fd[i]);
        rig_done(rig, &u);
}

/* Those who connect and say nothing do not keep out whoever has something to say. */
static void test_idle_connections_make_room(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .limits = { .max_connections = 10, .max_connections_per_address = 1000 } });
        User u = user_new(rig);
        RoutingId id = rig_id(1);
        void *silent = rig_client(rig, CHANNEL_DATA, &id);
        rig_until(rig, status_of(rig).n_connections == 2);
        int fd[8];
        for (int i = 0; i < 8; i++)
                fd[i] = rig_connect(rig, CHANNEL_DATA);
        rig_until(rig, status_of(rig).n_connections == 10);
        assert_int_equal(rig->n_bad[NET_BAD_TOO_MANY], 0);
        rig_for(rig, 1100 * 1000);
        void *s[8];
        size_t n = rig->n_messages;
        for (int i = 0; i < 8; i++) {
                s[i] = rig_client(rig, CHANNEL_COMMAND, NULL);
                client_say(s[i], "here I am");
                rig_until(rig, rig->n_messages == n + 1 + (size_t)i);
        }
        /* Its routing id is not known yet, but it has shaken hands. */
        client_say(silent, "and I");
        rig_until(rig, rig->n_messages == n + 9);
        assert_int_equal(rig->n_bad[NET_BAD_TOO_MANY], 8);
        user_is_fine(rig, &u);
        for (int i = 0; i < 8; i++) {
                zmq_close(s[i]);
                close(fd[i]);
        }
        zmq_close(silent);
        rig_done(rig, &u);
}

static void test_oversized_frame_costs_the_connection(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .max_message_size = 10000 });
        User u = user_new(rig);
        RoutingId id = rig_id(1);
        void *s = rig_client(rig, CHANNEL_DATA, &id);
        char *big = calloc(1, 20000);
        assert_non_null(big);
        assert_int_equal(zmq_send(s, big, 10000, 0), 10000);
        rig_until(rig, rig->n_messages == 2);
        assert_int_equal(zmq_send(s, big, 10001, 0), 10001);
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        /* The heartbeat needs far less than that. */
        void *ttl = rig_client(rig, CHANNEL_TTL, &id);
        client_say(ttl, "INIT");
        rig_until(rig, rig->n_messages >= 3);
        assert_int_equal(zmq_send(ttl, big, 5000, 0), 5000);
        rig_until(rig, rig->n_lost[CHANNEL_TTL] == 1);
        free(big);
        user_is_fine(rig, &u);
        zmq_close(s);
        zmq_close(ttl);
        rig_done(rig, &u);
}

static void test_long_routing_id(void **state)
{
        Rig *rig = rig_new(&(NetConfig){ .limits.penalty_limit = 5 });
        User u = user_new(rig);
        void *s = zmq_socket(rig->context, ZMQ_DEALER);
        char id[200], endpoint[64];
        memset(id, 'i', sizeof id);
        assert_int_equal(zmq_setsockopt(s, ZMQ_ROUTING_ID, id, sizeof id), 0);
        int zero = 0;
        zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", net_port(rig->net, CHANNEL_COMMAND));
        assert_int_equal(zmq_connect(s, endpoint), 0);
        client_say(s, "x");
        rig_until(rig, rig->n_bad[NET_BAD_ROUTING_ID] == 1 && rig->n_banned == 1);
        assert_int_equal(rig->n_messages, 1);
        zmq_close(s);
        user_is_fine(rig, &u);
        rig_done(rig, &u);
}

/* Those who have shaken hands and then say nothing, or nothing more, do so neither. */
static void test_strangers_make_room(void **state)
{
        enum { ROOM = 12 };
        Rig *rig = rig_new(&(NetConfig){ .limits = { .max_connections = ROOM, .max_connections_per_address = 1000 } });
        User u = user_new(rig);
        RoutingId id = rig_id(1);
        /* Where a user is, somebody who has not spoken may be that user's other channel. */
        void *silent = rig_client(rig, CHANNEL_DATA, &id);
        rig_until(rig, status_of(rig).n_connections == 2);
        int fd[ROOM - 2];
        for (int i = 0; i < ROOM - 2; i++) {
                RoutingId other = rig_id(100 + i);
                fd[i] = rig_raw_client(rig, i % 2 ? CHANNEL_DATA : CHANNEL_TTL, &other, "127.0.0.3");
        }
        rig_until(rig, status_of(rig).n_connections == ROOM);
        assert_int_equal(rig->n_bad[NET_BAD_TOO_MANY], 0);
        rig_for(rig, 1100 * 1000);
        void *s[4];
        size_t n = rig->n_messages;
        for (int i = 0; i < 4; i++) {
                s[i] = rig_client(rig, CHANNEL_COMMAND, NULL);
                client_say(s[i], "here I am");
                rig_until(rig, rig->n_messages == n + 1 + (size_t)i);
        }
        client_say(silent, "and I");
        rig_until(rig, rig->n_messages == n + 5);
        assert_int_equal(rig->n_bad[NET_BAD_TOO_MANY], 4);
        assert_string_equal(rig->last_bad_address, "127.0.0.3");
        user_is_fine(rig, &u);
        for (int i = 0; i < 4; i++)
                zmq_close(s[i]);
        for (int i = 0; i < ROOM - 2; i++)
                close(fd[i]);
        zmq_close(silent);
        rig_done(rig, &u);
}

/* As much as fits, of frames of the same kind with more to come; with the first byte of one that was cut in *offset. */
static size_t send_frames(int fd, const char *frame, size_t frame_size, size_t total, size_t *offset)
{
        size_t sent = 0;
        while (sent < total) {
                size_t at = *offset % frame_size;
                ssize_t n = send(fd, frame + at, MIN(frame_size - at, total - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n <= 0)
                        break;
                sent += (size_t)n;
                *offset += (size_t)n;
        }
        return sent;
}

/* Little of each, but many: an empty frame is two bytes here, and 64 with libzmq. */
static void test_hoarding_together(void **state)
{
        enum { CROWD = 16, EACH = 512 * 1024 };
        Rig *rig = rig_new(&(NetConfig){ .limits.penalty_limit = 1000 });
        User u = user_new(rig);
        int fd[CROWD];
        for (int i = 0; i < CROWD; i++) {
                char from[32];
                snprintf(from, sizeof from, "127.0.1.%d", i + 1);
                RoutingId id = rig_id(i);
                fd[i] = rig_raw_client(rig, CHANNEL_DATA, &id, from);
        }
        size_t sent[CROWD] = { 0 };
        static char empties[8192];
        for (size_t i = 0; i < sizeof empties; i += 2)
                empties[i] = 1;
        rig_until(rig, ({
                bool all = true;
                for (int i = 0; i < CROWD; i++) {
                        send_frames(fd[i], empties, sizeof empties, EACH - sent[i], &sent[i]);
                        all = all && (sent[i] == EACH || send(fd[i], "", 0, MSG_NOSIGNAL) < 0);
                }
                all;
        }));
        /* Those who hold two megabytes together may stay, their handshakes included. */
        rig_until(rig, rig->n_bad[NET_BAD_HOARDING] == CROWD - 3);
        rig_for(rig, 300 * 1000);
        assert_int_equal(rig->n_bad[NET_BAD_HOARDING], CROWD - 3);
        user_is_fine(rig, &u);
        for (int i = 0; i < CROWD; i++)
                close(fd[i]);
        rig_done(rig, &u);
}

/* The first thing that a user sends on the data channel may be large, and slow. */
static void test_no_hoarding_of_a_user(void **state)
{
        enum { SIZE = 20 * 1024 * 1024 };
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        /* The second is not the user's, but that does not show. */
        RoutingId id[2] = { u.id, rig_id(1) };
        int fd[2];
        for (int i = 0; i < 2; i++) {
                fd[i] = rig_connect_from(rig, CHANNEL_DATA, "127.0.0.1");
                rig_handshake(rig, fd[i], &id[i]);
        }
        const uint8_t head[9] = { 2, [5] = SIZE >> 24, SIZE >> 16 & 0xff, 0, 0 };
        size_t sent[2] = { 0 };
        static char block[65536];
        for (int i = 0; i < 2; i++)
                assert_int_equal(send(fd[i], head, sizeof head, MSG_NOSIGNAL), sizeof head);
        rig_until(rig, ({
                for (int i = 0; i < 2; i++)
                        send_frames(fd[i], block, sizeof block, SIZE - 1 - sent[i], &sent[i]);
                sent[0] == SIZE - 1 && rig->n_bad[NET_BAD_HOARDING] == 1;
        }));
        rig_until(rig, send(fd[1], "", 1, MSG_NOSIGNAL) < 0);
        rig_for(rig, 1500 * 1000);
        assert_int_equal(rig->n_bad[NET_BAD_HOARDING], 1);
        size_t n = rig->n_messages;
        assert_int_equal(send(fd[0], "", 1, MSG_NOSIGNAL), 1);
        rig_until(rig, rig->n_messages == n + 1);
        assert_int_equal(rig->messages[n].frame[0]->size, SIZE);
        user_is_fine(rig, &u);
        close(fd[0]);
        close(fd[1]);
        rig_done(rig, &u);
}

static int users_data_connection(Rig *rig, const User *u)
{
        int fd = rig_connect_from(rig, CHANNEL_DATA, "127.0.0.1");
        rig_handshake(rig, fd, &u->id);
        return fd;
}

/* A user may send large messages, but of small frames libzmq makes thirty times as much as of a large one. */
static void test_small_frames_of_a_user(void **state)
{
        enum { LIMIT = 128 * 1024 * 1024 };
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        int fd = users_data_connection(rig, &u);
        static char empties[128 * 1024];
        for (size_t i = 0; i < sizeof empties; i += 2)
                empties[i] = 1;
        size_t sent = 0;
        rig_until(rig, ({
                send_frames(fd, empties, sizeof empties, MIN(LIMIT - sent, sizeof empties), &sent);
                rig->n_bad[NET_BAD_HOARDING] == 1 || sent == LIMIT;
        }));
        assert_int_equal(rig->n_bad[NET_BAD_HOARDING], 1);
        assert_in_range(sent, 8 << 20, LIMIT - 1);
        print_message("# held for %zu bytes\n", sent);
        rig_until(rig, send(fd, "", 1, MSG_NOSIGNAL) < 0);
        user_is_fine(rig, &u);
        close(fd);
        rig_done(rig, &u);
}

/* While memory grows for another reason, somebody may be in the middle of something large. */
static void test_memory_that_is_not_a_users(void **state)
{
        enum { SIZE = 3 * 1024 * 1024, OTHER = 400 * 1024 * 1024 };
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        int fd = users_data_connection(rig, &u);
        const uint8_t head[9] = { 2, [5] = SIZE >> 24, SIZE >> 16 & 0xff, 0, 0 };
        assert_int_equal(send(fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
        static char block[65536];
        size_t sent = 0;
        rig_until(rig, (send_frames(fd, block, sizeof block, SIZE - 1 - sent, &sent), sent == SIZE - 1));
        char *other = malloc(OTHER);
        assert_non_null(other);
        for (size_t i = 0; i < OTHER; i += OTHER / 8) {
                memset(other + i, 1, OTHER / 8);
                rig_for(rig, 150 * 1000);
        }
        rig_for(rig, 1500 * 1000);
        free(other);
        assert_int_equal(rig->n_bad[NET_BAD_HOARDING], 0);
        size_t n = rig->n_messages;
        assert_int_equal(send(fd, "", 1, MSG_NOSIGNAL), 1);
        rig_until(rig, rig->n_messages == n + 1);
        assert_int_equal(rig->messages[n].frame[0]->size, SIZE);
        user_is_fine(rig, &u);
        close(fd);
        rig_done(rig, &u);
}

/* A message of frames without end: libzmq keeps them all until the last one. */
static void test_hoarding(void **state)
{
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        /* The stranger comes from an address at which nobody has logged in. */
        RoutingId id = rig_id(1);
        int fd = rig_raw_client(rig, CHANNEL_DATA, &id, "127.0.0.3");
        rig_until(rig, rig->n_messages == 2);
        assert_string_equal(rig->messages[1].address, "127.0.0.3");
        static const char frame[256] = { 1, (char)254 }; /* "more to come", 254 bytes */
        size_t sent = 0;
        rig_until(rig, ({
                send_frames(fd, frame, sizeof frame, 256000, &sent);
                rig->n_bad[NET_BAD_HOARDING] == 1;
        }));
        assert_true(sent > 1 << 20);
        assert_string_equal(rig->last_bad_address, "127.0.0.3");
        rig_until(rig, rig->n_lost[CHANNEL_DATA] == 1);
        close(fd);
        user_is_fine(rig, &u);
        rig_done(rig, &u);
}

/* Many answers asked for and none read: what is held for a stranger is bounded by the high-water mark. */
static int answer(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        Frames *f = rig->userdata;
        assert_int_equal(net_send(rig->net, from, channel, SEND_ANSWER, f), 0);
        return 0;
}

static void test_answers_nobody_reads(void **state)
{
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        Frames *f = rig_frames_of_size(32 * 1024, 'a');
        rig->userdata = f;
        rig->on_message = answer;
        rig_forget_messages(rig);
        rig->keep = false;
        void *s = zmq_socket(rig->context, ZMQ_DEALER);
        int zero = 0, one = 1, little = 4096;
        zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
        zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
        zmq_setsockopt(s, ZMQ_RCVHWM, &one, sizeof one);
        zmq_setsockopt(s, ZMQ_RCVBUF, &little, sizeof little);
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", net_port(rig->net, CHANNEL_DATA));
        assert_int_equal(zmq_connect(s, endpoint), 0);
        size_t before = rig->n_messages;
        for (int i = 0; i < 5000; i++)
                client_say(s, "?");
        rig_until(rig, rig->n_messages == before + 5000);
        /* Frames of this size are shared, so their references tell how many are held. */
        assert_in_range(__atomic_load_n(&f->frame[0]->n_ref, __ATOMIC_RELAXED), 1, 1024 + 512 + 16);
        zmq_close(s);
        rig_until(rig, __atomic_load_n(&f->frame[0]->n_ref, __ATOMIC_ACQUIRE) == 1);
        frames_unref(f);
        rig->on_message = NULL;
        /* What was counted was not kept. */
        rig->n_messages = 0;
        rig->keep = true;
        user_is_fine(rig, &u);
        rig_done(rig, &u);
}

static int count_bytes(Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames)
{
        if (channel == CHANNEL_DATA)
                *(size_t *)rig->userdata += frames[0]->size;
        return 0;
}

static void test_held_peer_waits_and_nobody_else(void **state)
{
        enum { N_MESSAGES = 1000, SIZE = 100000 };
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        RoutingId id = rig_id(7);
        void *flooder = rig_client(rig, CHANNEL_DATA, &id);
        client_say(flooder, "hello");
        rig_until(rig, rig->n_messages == 2);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        size_t n_bytes = 0;
        rig->userdata = &n_bytes;
        rig->on_message = count_bytes;

        _cleanup_free_ char *payload = calloc(1, SIZE);
        for (unsigned i = 0; i < N_MESSAGES; i++)
                assert_int_equal(zmq_send(flooder, payload, SIZE, ZMQ_DONTWAIT), SIZE);
        /* Nobody has to be held back before a good deal has come. */
        rig_until(rig, n_bytes > (size_t)N_MESSAGES * SIZE / 5);
        net_hold(rig->net, &id, CHANNEL_DATA, rig_now() + 1000000);
        rig_for(rig, 300000);
        user_is_fine(rig, &u);
        printf("# %zu of %d bytes when it has been held back for a while\n", n_bytes, N_MESSAGES * SIZE);
        /* What its window allowed before has come. */
        assert_true(n_bytes < (size_t)N_MESSAGES * SIZE / 2);
        rig_until(rig, n_bytes == (size_t)N_MESSAGES * SIZE);
        assert_int_equal(rig->n_lost[CHANNEL_DATA], 0);

        /* Nothing for strangers and unknown channels. */
        net_hold(rig->net, &id, CHANNEL_COMMAND, rig_now() + 1000000);
        RoutingId nobody = rig_id(8);
        net_hold(rig->net, &nobody, CHANNEL_DATA, rig_now() + 1000000);
        user_is_fine(rig, &u);
        zmq_close(flooder);
        rig_done(rig, &u);
}

/* While nobody reads, no more than what its window allowed before is taken; later all of it. */
static void test_unread_is_bounded(void **state)
{
        enum { N_MESSAGES = 60, SIZE = 8 * 1024 * 1024 };
        Rig *rig = rig_new(NULL);
        User u = user_new(rig);
        RoutingId id = rig_id(7);
        int fd = rig_raw_client(rig, CHANNEL_DATA, &id, "127.0.0.1");
        rig_until(rig, rig->n_messages == 2);
        assert_int_equal(net_open_peer(rig->net, &id), 0);
        size_t n_bytes = 0, sent = 0, total = (size_t)N_MESSAGES * (SIZE + 9);
        rig->userdata = &n_bytes;
        rig->on_message = count_bytes;
        rig_forget_messages(rig);
        rig->keep = false;

        net_pause_reading(rig->net, 1u << CHANNEL_DATA);
        static char message[SIZE + 9] = { 2, [5] = SIZE >> 24, SIZE >> 16 & 0xff };
        for (uint64_t end = rig_now() + 1500 * 1000; rig_now() < end; rig_step(rig, 1000))
                send_frames(fd, message, sizeof message, total - sent, &sent);
        printf("# %zu of %zu bytes while nobody reads\n", sent, total);
        /* Windows may have become large before somebody looks; libzmq would have taken all of it. */
        assert_true(sent < total / 2);
        assert_int_equal(n_bytes, 0);

        net_resume_reading(rig->net, 1u << CHANNEL_DATA);
        rig_until(rig, ({
                send_frames(fd, message, sizeof message, total - sent, &sent);
                n_bytes == (size_t)N_MESSAGES * SIZE;
        }));
        close(fd);
        rig->on_message = NULL;
        rig->n_messages = 0;
        rig->keep = true;
        user_is_fine(rig, &u);
        rig_done(rig, &u);
}

int main(void)
{
        signal(SIGPIPE, SIG_IGN);
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_foreign_protocols),
                cmocka_unit_test(test_silence_and_early_end),
                cmocka_unit_test(test_banned_address_cannot_connect),
                cmocka_unit_test(test_user_at_a_banned_address_comes_back),
                cmocka_unit_test(test_allowed_address_is_never_banned),
                cmocka_unit_test(test_connections_of_one_address_are_limited),
                cmocka_unit_test(test_all_connections_are_limited),
                cmocka_unit_test(test_idle_connections_make_room),
                cmocka_unit_test(test_oversized_frame_costs_the_connection),
                cmocka_unit_test(test_long_routing_id),
                cmocka_unit_test(test_strangers_make_room),
                cmocka_unit_test(test_hoarding),
                cmocka_unit_test(test_hoarding_together),
                cmocka_unit_test(test_no_hoarding_of_a_user),
                cmocka_unit_test(test_small_frames_of_a_user),
                cmocka_unit_test(test_memory_that_is_not_a_users),
                cmocka_unit_test(test_answers_nobody_reads),
                cmocka_unit_test(test_held_peer_waits_and_nobody_else),
                cmocka_unit_test(test_unread_is_bounded),
        };
        return cmocka_run_group_tests_name("net-hostile", tests, NULL, NULL);
}
