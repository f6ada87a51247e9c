/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/inbound.h"

#include <errno.h>

#include "net/zap.h"

/* libzmq receives into buffers of this size; frames that fit share one, larger ones have memory of their own. */
#define RECEIVE_BUFFER_SIZE 8192

/* Flags, and one or eight bytes of size: ZMTP 3.1, section 3.3. */
#define SHORT_HEADER 2
#define LONG_HEADER 9

typedef struct LargeFrame {
        zmq_msg_t message;
        BytesBlock *packet;
} LargeFrame;

static void large_frame_free(void *userdata)
{
        LargeFrame *f = userdata;
        zmq_msg_close(&f->message);
        bytes_block_unref(f->packet);
}

static bool is_large(size_t size)
{
        return size >= RECEIVE_BUFFER_SIZE;
}

typedef struct Received {
        zmq_msg_t message;
        size_t size;
} Received;

/* The frames of one message, in one allocation with all that is small: takes what is large out of the messages, and copies
 * the rest. Behind the frames stand the large ones, then the data of the others. */
static int packet_new(Received *received, size_t n, Bytes **ret)
{
        size_t size = 0;
        for (size_t i = 0; i < n; i++)
                size += is_large(received[i].size) ? sizeof(LargeFrame) : received[i].size;
        void *room;
        BytesBlock *p = bytes_block_new(n, size, &room);
        if (!p)
                return -ENOMEM;
        LargeFrame *large = room;
        for (size_t i = 0; i < n; i++) {
                if (!is_large(received[i].size))
                        continue;
                large->packet = p;
                zmq_msg_init(&large->message);
                zmq_msg_move(&large->message, &received[i].message);
                bytes_init_embedded(&p->item[i], zmq_msg_data(&large->message), received[i].size, large_frame_free,
                                    large);
                ret[i] = &p->item[i];
                large++;
        }
        room = large;
        for (size_t i = 0; i < n; i++) {
                if (ret[i])
                        continue;
                room = bytes_block_copy(p, i, room, zmq_msg_data(&received[i].message), received[i].size);
                ret[i] = &p->item[i];
        }
        return 0;
}

static int receive(zmq_msg_t *m, void *socket)
{
        int n;
        do
                n = zmq_msg_recv(m, socket, ZMQ_DONTWAIT);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

/* A message arrives whole: once its first frame is there the others are, too. Those beyond FRAMES_MAX are dropped. */
static int receive_rest(Inbound *in, void *socket, Received received[static FRAMES_MAX], size_t *n_kept)
{
        bool more = zmq_msg_more(&in->head);
        while (more) {
                Received beyond, *f = *n_kept < FRAMES_MAX ? &received[*n_kept] : &beyond;
                zmq_msg_init(&f->message);
                int r = receive(&f->message, socket);
                if (r < 0) {
                        zmq_msg_close(&f->message);
                        return r;
                }
                more = zmq_msg_more(&f->message);
                f->size = zmq_msg_size(&f->message);
                in->size += f->size;
                in->wire_size += f->size + (f->size > UINT8_MAX ? LONG_HEADER : SHORT_HEADER);
                if (in->n_frames++ == 0)
                        zmq_msg_copy(&in->first, &f->message);
                if (f == &beyond)
                        zmq_msg_close(&f->message);
                else
                        (*n_kept)++;
        }
        return 0;
}

static int read_frames(Inbound *in, void *socket)
{
        Received received[FRAMES_MAX];
        size_t n = 0;
        int r = receive_rest(in, socket, received, &n);
        if (r == 0 && n > 0)
                r = packet_new(received, n, in->frames);
        for (size_t i = 0; i < n; i++)
                zmq_msg_close(&received[i].message);
        return r;
}

int inbound_read(Inbound *in, void *socket)
{
        zmq_msg_init(&in->head);
        zmq_msg_init(&in->first);
        in->n_frames = 0;
        in->size = in->wire_size = 0;
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
