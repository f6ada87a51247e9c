/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/flight.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>
#include <zmq.h>

#define TOKEN_INTERVAL (16 * 1024)

/* Frames up to this size libzmq keeps inside zmq_msg_t. */
#define INLINE_MAX 29

/* Frames pass to the I/O thread through libzmq's pipes, which order everything; a race checker does not see that. So it
 * is said again, with a store and a load that cost nothing. */
static atomic_bool handed_over;

typedef struct Token {
        Flight *flight;
        Bytes *bytes;
        size_t charge;
        atomic_bool busy;
} Token;

struct Flight {
        atomic_uint n_ref; /* owner and busy tokens */
        atomic_size_t bytes;
        atomic_size_t wait_below; /* 0: nobody waits */
        int wake_fd;
        /* the loop's thread only */
        size_t window;
        size_t token_interval;
        size_t n_unvouched; /* bytes that no token vouches for */
        size_t n_tokens, next_token;
        Token token[];
};

Flight *flight_new(size_t window, int wake_fd)
{
        size_t interval = MIN((size_t)TOKEN_INTERVAL, window / 8 + 1);
        size_t n_tokens = window / interval + 2;
        Flight *f = calloc(1, sizeof *f + n_tokens * sizeof f->token[0]);
        if (!f)
                return NULL;
        atomic_init(&f->n_ref, 1);
        f->wake_fd = wake_fd;
        f->window = window;
        f->token_interval = interval;
        f->n_tokens = n_tokens;
        for (size_t i = 0; i < n_tokens; i++)
                f->token[i].flight = f;
        return f;
}

Flight *flight_unref(Flight *f)
{
        if (f && atomic_fetch_sub_explicit(&f->n_ref, 1, memory_order_acq_rel) == 1)
                free(f);
        return NULL;
}

size_t flight_bytes(const Flight *f)
{
        return atomic_load_explicit(&f->bytes, memory_order_relaxed);
}

size_t flight_outstanding(const Flight *f)
{
        return flight_bytes(f) - f->n_unvouched;
}

bool flight_has_room(const Flight *f)
{
        return atomic_load(&f->bytes) < f->window &&
                !atomic_load_explicit(&f->token[f->next_token].busy, memory_order_acquire);
}

void flight_wait(Flight *f, size_t below)
{
        atomic_store(&f->wait_below, MAX(below, (size_t)1));
}

static void token_done(void *data, void *hint)
{
        atomic_load_explicit(&handed_over, memory_order_acquire);
        Token *t = hint;
        if (!atomic_load_explicit(&t->busy, memory_order_acquire))
                return;
        Flight *f = t->flight;
        size_t charge = t->charge;

        bytes_unref(t->bytes);
        atomic_store_explicit(&t->busy, false, memory_order_release);
        size_t left = atomic_fetch_sub(&f->bytes, charge) - charge;
        size_t below = atomic_load(&f->wait_below);
        if (below > 0 && left < below && atomic_exchange(&f->wait_below, 0) > 0) {
                uint64_t one = 1;
                /* Can only fail when the counter is about to overflow, and then the loop is awake anyway. */
                ssize_t n = write(f->wake_fd, &one, sizeof one);
                (void)n;
        }
        flight_unref(f);
}

static void frame_done(void *data, void *hint)
{
        atomic_load_explicit(&handed_over, memory_order_acquire);
        bytes_unref(hint);
}

void flight_cache_clear(FlightCache *c)
{
        if (!c->frames)
                return;
        for (uint32_t i = 0; i < c->frames->n_frames; i++)
                zmq_msg_close(&c->frame[i]);
        c->frames = frames_unref(c->frames);
}

static int cache_init_frame(zmq_msg_t *m, Bytes *b)
{
        if (b->size <= INLINE_MAX) {
                if (zmq_msg_init_size(m, b->size) < 0)
                        return -ENOMEM;
                memcpy(zmq_msg_data(m), b->data, b->size);
                return 0;
        }
        if (zmq_msg_init_data(m, (void *)b->data, b->size, frame_done, b) < 0)
                return -ENOMEM;
        bytes_ref(b);
        return 0;
}

static int cache_fill(FlightCache *c, Frames *frames)
{
        if (c->frames == frames)
                return 0;
        flight_cache_clear(c);
        for (uint32_t i = 0; i < frames->n_frames; i++) {
                int r = cache_init_frame(&c->frame[i], frames->frame[i]);
                if (r < 0) {
                        while (i > 0)
                                zmq_msg_close(&c->frame[--i]);
                        return r;
                }
        }
        c->frames = frames_ref(frames);
        return 0;
}

static int message_init_token(zmq_msg_t *m, Bytes *b, Flight *f, size_t charge)
{
        Token *t = &f->token[f->next_token];
        t->bytes = b;
        t->charge = f->n_unvouched + charge;
        if (zmq_msg_init_data(m, (void *)b->data, b->size, token_done, t) < 0)
                return -ENOMEM;
        bytes_ref(b);
        atomic_store_explicit(&t->busy, true, memory_order_release);
        atomic_fetch_add_explicit(&f->n_ref, 1, memory_order_relaxed);
        return 0;
}

static int send_routing_id(void *socket, const RoutingId *to)
{
        zmq_msg_t m;
        if (zmq_msg_init_size(&m, to->size) < 0)
                return -ENOMEM;
        memcpy(zmq_msg_data(&m), to->bytes, to->size);
        int r;
        do
                r = zmq_msg_send(&m, socket, ZMQ_DONTWAIT | ZMQ_SNDMORE);
        while (r < 0 && errno == EINTR);
        if (r >= 0)
                return 0;
        r = -errno;
        zmq_msg_close(&m);
        return r;
}

/* All frames are made before the first is sent: a message that was begun cannot be taken back. */
static int message_init(zmq_msg_t m[static FRAMES_MAX], FlightCache *cache, Frames *frames, Flight *f, size_t charge,
                        bool token)
{
        int r = cache_fill(cache, frames);
        if (r < 0)
                return r;
        uint32_t n_shared = frames->n_frames - token;
        if (token) {
                r = message_init_token(&m[n_shared], frames->frame[n_shared], f, charge);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < n_shared; i++) {
                zmq_msg_init(&m[i]);
                zmq_msg_copy(&m[i], &cache->frame[i]);
        }
        return 0;
}

int flight_send(Flight *f, FlightCache *cache, void *socket, const RoutingId *to, Frames *frames)
{
        assert(frames->n_frames > 0);
        size_t charge = flight_charge(frames);
        bool token = f && f->n_unvouched + charge >= f->token_interval;

        zmq_msg_t m[FRAMES_MAX];
        int r = message_init(m, cache, frames, f, charge, token);
        if (r < 0)
                return r;
        if (f)
                atomic_fetch_add(&f->bytes, charge);

        r = send_routing_id(socket, to);
        if (r < 0) {
                for (uint32_t i = 0; i < frames->n_frames; i++)
                        zmq_msg_close(&m[i]);
                /* A token that was made has taken back this message and those before it. */
                if (token)
                        atomic_fetch_add(&f->bytes, f->n_unvouched);
                else if (f)
                        atomic_fetch_sub(&f->bytes, charge);
                return r;
        }
        if (token) {
                f->n_unvouched = 0;
                f->next_token = (f->next_token + 1) % f->n_tokens;
        } else if (f) {
                f->n_unvouched += charge;
        }

        atomic_store_explicit(&handed_over, true, memory_order_release);
        for (uint32_t i = 0; i < frames->n_frames; i++) {
                int flags = ZMQ_DONTWAIT | (i + 1 < frames->n_frames ? ZMQ_SNDMORE : 0);
                do
                        r = zmq_msg_send(&m[i], socket, flags);
                while (r < 0 && errno == EINTR);
                /* Between the frames of a message libzmq refuses nothing: a peer that vanishes meanwhile has them
                 * dropped, silently. Only a context that is being shut down could. */
                if (r < 0)
                        zmq_msg_close(&m[i]);
        }
        return 0;
}
