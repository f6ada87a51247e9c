/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Heartbeat: which PONG answers which PING. They carry no number, but a
 * connection keeps their order, so each PONG answers the oldest PING that went
 * over the same connection, also when a round trip takes longer than the time
 * between two of them. While there is no connection the network side keeps one
 * PING, which is the first to go over the next one.
 *
 * A client that comes back may first send PONGs for PINGs of the connection
 * before. On a fast line they are out of the way before the next PING; on a slow
 * one nothing is measured until there has once been a rest of three seconds, in
 * which all arrive unless the line is slower still. Pure data; times are microseconds of CLOCK_MONOTONIC.
 */

#include <stdbool.h>
#include <stdint.h>

#define HEARTBEAT_PINGS 16u

typedef struct Heartbeat {
        uint64_t sent[HEARTBEAT_PINGS]; /* from `first` on */
        uint8_t first, n;
        bool connected;
        bool waiting;      /* one PING, for the connection */
        bool unsure;       /* PONGs for older PINGs may come */
        bool slow;         /* and be on their way for long */
        uint64_t found;
        uint32_t n_beyond; /* PINGs sent after those in `sent` */
} Heartbeat;

void heartbeat_found(Heartbeat *h, uint64_t now);
void heartbeat_lost(Heartbeat *h);
void heartbeat_begun(Heartbeat *h); /* INIT: the client is new, and has had no PING before */

/* How long there must have been none before the next PING: `interval`, or longer. */
uint64_t heartbeat_interval(const Heartbeat *h, uint64_t now, uint64_t interval);
void heartbeat_ping(Heartbeat *h, uint64_t now);
void heartbeat_refused(Heartbeat *h); /* the last PING was not taken, as one waits */

/* True, and how long its PING has been on its way: it is a round trip. */
bool heartbeat_pong(Heartbeat *h, uint64_t now, uint64_t *ret_usec);
