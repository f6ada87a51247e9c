/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Flight: what one ROUTER holds for one peer, counted in bytes.
 *
 * libzmq counts messages, not bytes, and does not say when it is done with
 * one; but it calls back when it lets go of a frame's memory. A pipe is first
 * in, first out, so a single such frame vouches for all messages before it:
 * every 16 KiB or so the last frame of a message is such a token. Up to that
 * much may therefore count as on its way when it has already left, never the
 * other way round.
 *
 * Callbacks run in libzmq's I/O thread. All they touch are atomic counters,
 * reference counts, and an eventfd that wakes the loop when a sender waits.
 */

#include "base/frames.h"
#include "base/routing-id.h"

#include <zmq.h>

typedef struct Flight Flight;

/* The last message that was sent, in libzmq's form, since it mostly goes to several peers one after the other: each
 * gets references to these frames instead of frames of its own. Holds the message until it is cleared. */
typedef struct FlightCache {
        Frames *frames; /* NULL: empty */
        zmq_msg_t frame[FRAMES_MAX];
} FlightCache;

void flight_cache_clear(FlightCache *c);

/* The wake_fd is an eventfd that must outlive every message in flight. */
Flight *flight_new(size_t window, int wake_fd);
/* Drops the owner's reference; the memory goes when the last token has come back. Accepts NULL; returns NULL. */
Flight *flight_unref(Flight *f);

/* Bytes a message is charged with: its payload and what libzmq and we keep beside it. */
static inline size_t flight_charge(const Frames *frames)
{
        return frames->size + 128 + 64 * (size_t)frames->n_frames;
}

size_t flight_bytes(const Flight *f);       /* on the way, as far as known */
size_t flight_outstanding(const Flight *f); /* the same without what no token vouches for yet */
bool flight_has_room(const Flight *f);

/* Asks for one write to wake_fd when less than `below` bytes are left on the way. Look again after calling: it may
 * have happened before. */
void flight_wait(Flight *f, size_t below);

/* Sends one message through the ROUTER `socket`, without waiting and whole or not at all; flight may be NULL. Returns
 * 0, -EAGAIN when the socket's high-water mark for the peer is reached, -EHOSTUNREACH when the peer is not
 * connected, -ENOMEM. */
int flight_send(Flight *f, FlightCache *cache, void *socket, const RoutingId *to, Frames *frames);
