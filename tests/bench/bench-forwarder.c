/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The physical limit that the server is measured against: one ROUTER that
 * passes each message on to every other connection it has heard of, and knows
 * nothing else. A message of one frame ("hello") only makes its sender known.
 *
 *     bench-forwarder ADDRESS PORT    (until it is killed)
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define MAX_PEERS 256
#define MAX_FRAMES 8

typedef struct PeerId {
        size_t size;
        char bytes[255];
} PeerId;

static PeerId peers[MAX_PEERS];
static size_t n_peers;

static size_t peer_index(const zmq_msg_t *m)
{
        size_t size = zmq_msg_size(m);
        const void *data = zmq_msg_data((zmq_msg_t *)m);
        for (size_t i = 0; i < n_peers; i++)
                if (peers[i].size == size && memcmp(peers[i].bytes, data, size) == 0)
                        return i;
        if (n_peers == MAX_PEERS || size > sizeof peers[0].bytes)
                return MAX_PEERS;
        peers[n_peers].size = size;
        memcpy(peers[n_peers].bytes, data, size);
        return n_peers++;
}

static void forward(void *socket, size_t to, zmq_msg_t *frames, size_t n)
{
        if (zmq_send(socket, peers[to].bytes, peers[to].size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                zmq_msg_t copy;
                zmq_msg_init(&copy);
                zmq_msg_copy(&copy, &frames[i]);
                if (zmq_msg_send(&copy, socket, ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0)
                        zmq_msg_close(&copy);
        }
}

static void receive_and_forward(void *socket)
{
        zmq_msg_t frames[MAX_FRAMES];
        size_t n = 0;
        int more = 1;
        while (more && n < MAX_FRAMES) {
                zmq_msg_init(&frames[n]);
                if (zmq_msg_recv(&frames[n], socket, 0) < 0) {
                        zmq_msg_close(&frames[n]);
                        break;
                }
                more = zmq_msg_more(&frames[n]);
                n++;
        }
        if (n > 0) {
                size_t from = peer_index(&frames[0]);
                if (n > 2)
                        for (size_t i = 0; i < n_peers; i++)
                                if (i != from)
                                        forward(socket, i, frames + 1, n - 1);
        }
        for (size_t i = 0; i < n; i++)
                zmq_msg_close(&frames[i]);
}

int main(int argc, char **argv)
{
        if (argc != 3) {
                fprintf(stderr, "usage: %s ADDRESS PORT\n", argv[0]);
                return 2;
        }
        void *context = zmq_ctx_new();
        void *socket = zmq_socket(context, ZMQ_ROUTER);
        int zero = 0;
        char endpoint[128];
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%s", argv[1], argv[2]);
        zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
        if (zmq_bind(socket, endpoint) < 0) {
                fprintf(stderr, "%s: cannot listen on %s: %s\n", argv[0], endpoint, zmq_strerror(errno));
                return 1;
        }
        for (;;)
                receive_and_forward(socket);
}
