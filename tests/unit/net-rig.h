/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A Net on loopback with everything it says written down, and DEALERs as stock clients have them. Nothing here
 * sleeps: rig_until() runs the loop until a condition holds, or fails the test after ten seconds. */

#include "test.h"

#include <zmq.h>

#include "net/net.h"

typedef struct RigMessage {
        Channel channel;
        RoutingId from;
        char address[64];
        size_t n_frames;
        Bytes *frame[FRAMES_MAX];
} RigMessage;

typedef struct Rig {
        sd_event *event;
        Net *net;
        void *context; /* of the clients */
        RigMessage *messages;
        size_t n_messages, n_allocated;
        unsigned n_turns, n_overflow, n_drained, n_banned, n_delivered;
        bool all_delivered; /* the last time */
        unsigned n_lost[_CHANNEL_MAX], n_connected[_CHANNEL_MAX], n_bad[_NET_BAD_MAX];
        RoutingId last_lost;
        char last_bad_address[64], last_banned[64];
        /* Called from the message callback when set. */
        int (*on_message)(struct Rig *rig, Channel channel, const RoutingId *from, Bytes *const *frames, size_t n_frames);
        bool keep; /* messages; set by default */
        void *userdata;
} Rig;

/* config may be NULL: defaults, 127.0.0.1, free ports. */
Rig *rig_new(const NetConfig *config);
Rig *rig_free(Rig *rig);
void rig_forget_messages(Rig *rig);

/* Runs the loop until `condition` holds. */
#define rig_until(rig, condition)                                                                  \
        do {                                                                                       \
                uint64_t _deadline = rig_now() + 10 * 1000000;                                     \
                while (!(condition)) {                                                             \
                        if (rig_now() > _deadline)                                                 \
                                fail_msg("%s:%d: waited in vain for %s", __FILE__, __LINE__, #condition); \
                        rig_step(rig, 10 * 1000);                                                  \
                }                                                                                  \
        } while (0)

/* Runs the loop for this long, for what must not happen. */
void rig_for(Rig *rig, uint64_t usec);
void rig_step(Rig *rig, uint64_t usec);
uint64_t rig_now(void);

RoutingId rig_id(unsigned number); /* 16 bytes, the same for the same number */
void *rig_client(Rig *rig, Channel channel, const RoutingId *id);
void client_send(void *socket, const char *const *frames, size_t n_frames);
#define client_say(socket, ...) \
        client_send(socket, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* Receives one whole message without the loop; the number of frames, 0 when none came in time. Frames are NUL-terminated
 * for comparing texts, and freed by client_done(). */
typedef struct ClientMessage {
        size_t n_frames;
        size_t size[8];
        char *frame[8];
} ClientMessage;
bool client_try(void *socket, ClientMessage *m);
void client_done(ClientMessage *m);

/* Runs the loop until a message is there. */
void rig_receive(Rig *rig, void *socket, ClientMessage *m);

/* One-frame messages. */
Frames *rig_frames(const char *text);
Frames *rig_frames_of_size(size_t size, uint8_t fill);

/* A plain TCP connection to a channel; `from` is an address of 127.0.0.0/8. */
int rig_connect(Rig *rig, Channel channel);
int rig_connect_from(Rig *rig, Channel channel, const char *from);

/* Shakes hands as a DEALER with this routing id (ZMTP 3.0, NULL). */
void rig_handshake(Rig *rig, int fd, const RoutingId *id);

/* One that has shaken hands and said "hello", and from then on does nothing by itself. */
int rig_raw_client(Rig *rig, Channel channel, const RoutingId *id, const char *from);
