/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/inbound.h"

#include <errno.h>

#include "net/zap.h"

/* libzmq receives into buffers of this size; frames that fit share one, larger ones have memory of their own. */
#define RECEIVE_BUFFER_SIZE 8192

static void message_free(void *userdata)
{
        zmq_msg_t *m = userdata;
        zmq_msg_close(m);
        free(m);
}

static Bytes *bytes_from_message(zmq_msg_t *m)
{
        size_t size = zmq_msg_size(m);
        if (size < RECEIVE_BUFFER_SIZE)
                return bytes_new_copy(zmq_msg_data(m), size);

        zmq_msg_t *kept = malloc(sizeof *kept);
        if (!kept)
                return NULL;
        zmq_msg_init(kept);
        zmq_msg_move(kept, m);
        Bytes *b = bytes_new_wrap(zmq_msg_data(kept), size, message_free, kept);
        if (!b)
                message_free(kept);
        return b;
}

static int receive(zmq_msg_t *m, void *socket)
{
        int n;
        do
                n = zmq_msg_recv(m, socket, ZMQ_DONTWAIT);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

/* A message arrives whole: once its first frame is there the others are, too. */
static int read_frames(Inbound *in, void *socket)
{
        int result = 0;
        bool more = zmq_msg_more(&in->head);
        while (more) {
                zmq_msg_t m;
                zmq_msg_init(&m);
                int r = receive(&m, socket);
                if (r < 0) {
                        zmq_msg_close(&m);
                        return r;
                }
                more = zmq_msg_more(&m);
                in->size += zmq_msg_size(&m);
                if (in->n_frames == 0)
                        zmq_msg_copy(&in->first, &m);
                if (in->n_frames < FRAMES_MAX && result == 0) {
                        in->frames[in->n_frames] = bytes_from_message(&m);
                        if (!in->frames[in->n_frames])
                                result = -ENOMEM;
                }
                in->n_frames++;
                zmq_msg_close(&m);
        }
        return result;
}

int inbound_read(Inbound *in, void *socket)
{
        zmq_msg_init(&in->head);
        zmq_msg_init(&in->first);
        in->n_frames = 0;
        in->size = 0;
        memset(in->frames, 0, sizeof in->frames);

        int r = receive(&in->head, socket);
        if (r == 0)
                r = read_frames(in, socket);
        if (r == 0)
                return 1;
        inbound_done(in);
        return r == -EAGAIN ? 0 : r;
}

void inbound_done(Inbound *in)
{
        zmq_msg_close(&in->head);
        zmq_msg_close(&in->first);
        for (size_t i = 0; i < MIN(in->n_frames, (size_t)FRAMES_MAX); i++)
                in->frames[i] = bytes_unref(in->frames[i]);
}

bool inbound_routing_id(Inbound *in, RoutingId *ret)
{
        size_t size = zmq_msg_size(&in->head);
        if (size > ROUTING_ID_SIZE_MAX)
                return false;
        ret->size = size;
        memcpy(ret->bytes, zmq_msg_data(&in->head), size);
        return true;
}

int inbound_fd(const Inbound *in)
{
        return zmq_msg_get((zmq_msg_t *)&in->first, ZMQ_SRCFD);
}

uint64_t inbound_serial(const Inbound *in)
{
        return zap_serial_of(&in->first);
}

const char *inbound_address(const Inbound *in)
{
        return zmq_msg_gets(&in->first, "Peer-Address") ?: "unknown";
}
