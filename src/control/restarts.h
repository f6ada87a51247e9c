/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How many starts of a daemon a session has lived through: a small file beside the store, see scenekeep-store(5). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESTARTS_NAME "restarts.json"

#define RESTARTS_KEPT 64u

typedef struct Restarts {
        uint64_t n_survived;
        uint64_t last_usec; /* CLOCK_REALTIME of the last of them; 0: none */
        uint64_t times[RESTARTS_KEPT]; /* of the last of them, oldest first */
        size_t n_times;
} Restarts;

/* What the file says. One that is not there or makes no sense says nothing: all is 0 then. */
void restarts_read(Restarts *ret, const char *data_dir);

/* A daemon has started at `now_usec`. running: it has taken over a session; otherwise counting begins anew. *ret is right
 * in any case. 0 or -errno. */
int restarts_note(Restarts *ret, const char *data_dir, bool running, uint64_t now_usec);
