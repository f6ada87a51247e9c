/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * How many commands have to go before one that must not be handled before the
 * data that was sent before it. Data and commands go to a client on two
 * connections, and it handles one message of each per turn. While Blender is
 * busy (a render, a large import) both pile up there, and nothing tells the
 * server. A command that has as many others before it as there is data is
 * handled after that, however long the client has read nothing. Once there is
 * one, it stands for all that went before it, and the next needs as many others
 * in between as there is data since.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* Seconds that are looked back. A client that was busy for longer may handle a command too early. */
#define PACE_SECONDS 32u
/* At most so many go before: libzmq holds a thousand for a client that is busy, and then looks at the connection no more, not
 * even whether it has ended. So one that is busy during a restart would not come back before it is done. */
#define PACE_MAX 500u
/* So long after a connection was found again, what a client says may have waited for that. */
#define PACE_OLD_NEWS (2 * USEC_PER_SEC)

typedef struct Pace {
        uint64_t newest; /* second, CLOCK_MONOTONIC */
        uint64_t found;  /* when its connection was found again; 0: it has not been */
        bool ordered;    /* there is a command that is handled after all data but the last n_since */
        uint32_t n_since;
        struct {
                uint32_t n_data, n_commands;
        } second[PACE_SECONDS]; /* of newest at newest % PACE_SECONDS */
} Pace;

/* Messages that are sent, at that time in microseconds. */
void pace_note_data(Pace *p, uint64_t now);
void pace_note_command(Pace *p, uint64_t now);

/* Enough commands have been sent: the next is handled after all data. */
void pace_note_ordered(Pace *p);

/* Data that was sent since then has arrived now and was long on its way: the client may have handled the commands since
 * before it, and what it has said meanwhile proves nothing about it. */
void pace_note_late(Pace *p, uint64_t now, uint64_t since);

/* A connection of the client was found again: commands that were sent may be lost, and what comes over it first the client
 * may have said long ago. */
void pace_note_found(Pace *p, uint64_t now);

/* Nobody knows how much data was sent before. */
void pace_doubt(Pace *p, uint64_t now);

/* How many commands are lacking; `heard` is when the client has proved last that it is not busy, 0: never. */
unsigned pace_lacks(const Pace *p, uint64_t now, uint64_t heard);
