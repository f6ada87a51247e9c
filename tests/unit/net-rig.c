/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net-rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t rig_now(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int on_message(void *userdata, Channel channel, const RoutingId *from, const char *address,
                      Bytes *const *frames, size_t n_frames)
{
        Rig *rig = userdata;
        if (rig->on_message) {
                int r = rig->on_message(rig, channel, from, frames, n_frames);
                if (r < 0)
                        return r;
        }
        if (!rig->keep) {
                rig->n_messages++;
                return 0;
        }
        if (rig->n_messages == rig->n_allocated) {
                rig->n_allocated = rig->n_allocated ? 2 * rig->n_allocated : 64;
                rig->messages = realloc(rig->messages, rig->n_allocated * sizeof *rig->messages);
                assert_non_null(rig->messages);
        }
        RigMessage *m = &rig->messages[rig->n_messages++];
        *m = (RigMessage){ .channel = channel, .from = *from, .n_frames = n_frames };
        snprintf(m->address, sizeof m->address, "%s", address);
        for (size_t i = 0; i < n_frames && i < FRAMES_MAX; i++)
                m->frame[i] = bytes_ref(frames[i]);
        return 0;
}

static int on_turn_end(void *userdata)
{
        ((Rig *)userdata)->n_turns++;
        return 0;
}

static void on_lost(void *userdata, Channel channel, const RoutingId *peer)
{
        Rig *rig = userdata;
        rig->n_lost[channel]++;
        rig->last_lost = *peer;
}

static void on_connected(void *userdata, Channel channel, const RoutingId *peer)
{
        ((Rig *)userdata)->n_connected[channel]++;
}

static void on_bad(void *userdata, const char *address, NetBadPeer what)
{
        Rig *rig = userdata;
        rig->n_bad[what]++;
        snprintf(rig->last_bad_address, sizeof rig->last_bad_address, "%s", address);
}

static void on_banned(void *userdata, const char *address)
{
        Rig *rig = userdata;
        rig->n_banned++;
        snprintf(rig->last_banned, sizeof rig->last_banned, "%s", address);
}

static void on_overflow(void *userdata, const RoutingId *peer)
{
        ((Rig *)userdata)->n_overflow++;
}

static void on_drained(void *userdata, const RoutingId *peer)
{
        ((Rig *)userdata)->n_drained++;
}

static void on_delivered(void *userdata, const RoutingId *peer, uint64_t until, bool all)
{
        Rig *rig = userdata;
        assert_true(until <= rig_now());
        rig->n_delivered++;
        rig->all_delivered = all;
}

Rig *rig_new(const NetConfig *config)
{
        static const NetCallbacks callbacks = {
                .message = on_message,
                .turn_end = on_turn_end,
                .peer_lost = on_lost,
                .peer_connected = on_connected,
                .bad_peer = on_bad,
                .banned = on_banned,
                .overflow = on_overflow,
                .drained = on_drained,
                .delivered = on_delivered,
        };
        Rig *rig = calloc(1, sizeof *rig);
        assert_non_null(rig);
        rig->keep = true;
        assert_int_equal(sd_event_new(&rig->event), 0);
        rig->context = zmq_ctx_new();
        assert_non_null(rig->context);
        zmq_ctx_set(rig->context, ZMQ_BLOCKY, 0);
        NetConfig c = config ? *config : (NetConfig){};
        if (!c.listen)
                c.listen = "127.0.0.1";
        char *error = NULL;
        int r = net_new(&rig->net, rig->event, &c, &callbacks, rig, &error);
        if (r < 0)
                fail_msg("net_new: %d: %s", r, error ? error : "no text");
        return rig;
}

void rig_forget_messages(Rig *rig)
{
        for (size_t i = 0; rig->keep && i < rig->n_messages; i++)
                for (size_t k = 0; k < FRAMES_MAX; k++)
                        bytes_unref(rig->messages[i].frame[k]);
        rig->n_messages = 0;
}

Rig *rig_free(Rig *rig)
{
        rig_forget_messages(rig);
        free(rig->messages);
        zmq_ctx_term(rig->context);
        net_free(rig->net);
        sd_event_unref(rig->event);
        free(rig);
        return NULL;
}

void rig_step(Rig *rig, uint64_t usec)
{
        int r = sd_event_run(rig->event, usec);
        if (r < 0 || sd_event_get_state(rig->event) == SD_EVENT_FINISHED)
                fail_msg("the loop ended: %d", r);
}

void rig_for(Rig *rig, uint64_t usec)
{
        uint64_t deadline = rig_now() + usec;
        while (rig_now() < deadline)
                rig_step(rig, 5 * 1000);
}

RoutingId rig_id(unsigned number)
{
        RoutingId id = { .size = 16 };
        memset(id.bytes, 0xa5, 16);
        memcpy(id.bytes, &number, sizeof number);
        return id;
}

void *rig_client(Rig *rig, Channel channel, const RoutingId *id)
{
        void *s = zmq_socket(rig->context, ZMQ_DEALER);
        assert_non_null(s);
        int zero = 0, interval = 20;
        if (id)
                assert_int_equal(zmq_setsockopt(s, ZMQ_ROUTING_ID, id->bytes, id->size), 0);
        zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
        zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
        zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
        zmq_setsockopt(s, ZMQ_RECONNECT_IVL, &interval, sizeof interval);
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", net_port(rig->net, channel));
        assert_int_equal(zmq_connect(s, endpoint), 0);
        return s;
}

void client_send(void *socket, const char *const *frames, size_t n_frames)
{
        for (size_t i = 0; i < n_frames; i++) {
                int flags = ZMQ_DONTWAIT | (i + 1 < n_frames ? ZMQ_SNDMORE : 0);
                assert_int_equal(zmq_send(socket, frames[i], strlen(frames[i]), flags), strlen(frames[i]));
        }
}

bool client_try(void *socket, ClientMessage *ret)
{
        *ret = (ClientMessage){};
        bool more = true;
        while (more) {
                zmq_msg_t m;
                zmq_msg_init(&m);
                if (zmq_msg_recv(&m, socket, ZMQ_DONTWAIT) < 0) {
                        zmq_msg_close(&m);
                        return false;
                }
                assert_in_range(ret->n_frames, 0, 7);
                size_t n = zmq_msg_size(&m);
                char *copy = malloc(n + 1);
                assert_non_null(copy);
                memcpy(copy, zmq_msg_data(&m), n);
                copy[n] = '\0';
                ret->size[ret->n_frames] = n;
                ret->frame[ret->n_frames++] = copy;
                more = zmq_msg_more(&m);
                zmq_msg_close(&m);
        }
        return true;
}

void client_done(ClientMessage *m)
{
        for (size_t i = 0; i < m->n_frames; i++)
                free(m->frame[i]);
}

void rig_receive(Rig *rig, void *socket, ClientMessage *m)
{
        rig_until(rig, client_try(socket, m));
}

Frames *rig_frames(const char *text)
{
        Bytes *b = bytes_new_copy(text, strlen(text));
        assert_non_null(b);
        Frames *f = frames_new(&b, 1);
        assert_non_null(f);
        return f;
}

Frames *rig_frames_of_size(size_t size, uint8_t fill)
{
        uint8_t *data;
        Bytes *b = bytes_new_uninitialised(size, &data);
        assert_non_null(b);
        memset(data, fill, size);
        Frames *f = frames_new(&b, 1);
        assert_non_null(f);
        return f;
}

int rig_connect_from(Rig *rig, Channel channel, const char *from)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        struct sockaddr_in in = { .sin_family = AF_INET };
        assert_int_equal(inet_pton(AF_INET, from, &in.sin_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
        in.sin_port = htons(net_port(rig->net, channel));
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
        return fd;
}

int rig_connect(Rig *rig, Channel channel)
{
        return rig_connect_from(rig, channel, "127.0.0.1");
}

void rig_handshake(Rig *rig, int fd, const RoutingId *id)
{
        uint8_t greeting[64] = { 0xff, [9] = 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
        assert_int_equal(write(fd, greeting, sizeof greeting), sizeof greeting);
        uint8_t ready[128], *p = ready + 2;
        memcpy(p, "\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0", 40);
        p += 40;
        *p++ = id->size;
        memcpy(p, id->bytes, id->size);
        p += id->size;
        ready[0] = 4; /* a command, short */
        ready[1] = (uint8_t)(p - ready - 2);
        assert_int_equal(write(fd, ready, (size_t)(p - ready)), p - ready);
        /* The other side's greeting and READY must be there before the first message may go. */
        uint8_t theirs[256];
        size_t n = 0;
        rig_until(rig, ({
                ssize_t got = recv(fd, theirs + n, sizeof theirs - n, MSG_DONTWAIT);
                n += got > 0 ? (size_t)got : 0;
                n >= 66 && n >= 66u + theirs[65];
        }));
}

int rig_raw_client(Rig *rig, Channel channel, const RoutingId *id, const char *from)
{
        int fd = rig_connect_from(rig, channel, from);
        rig_handshake(rig, fd, id);
        assert_int_equal(write(fd, "\0\5hello", 7), 7);
        return fd;
}
