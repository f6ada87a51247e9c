/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Runs the event loop and times its turns. Everybody in the session waits while a turn lasts, so the longest ones say
 * whether saving, a large message or a slow disk has held the session up. */

#include <systemd/sd-event.h>

#include "base/histogram.h"

typedef struct Turns {
        Histogram seconds;
        uint64_t window; /* which stretch of ten seconds is running, counted by CLOCK_MONOTONIC */
        uint64_t longest[2]; /* microseconds: in this stretch, and in the one before */
} Turns;

/* Accounts for a turn that took so many microseconds until `now` (CLOCK_MONOTONIC). */
void turns_add(Turns *t, uint64_t now, uint64_t usec);

/* The longest turn, in microseconds, of the last 10 to 20 seconds before `now`. */
uint64_t turns_longest(const Turns *t, uint64_t now);

/* Runs the loop until sd_event_exit(). Returns its code, or -errno. */
int turns_run(Turns *t, sd_event *event);
