/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How many starts of a daemon a session has lived through: a small file beside the store, see scenekeep-store(5). */

#include <stdbool.h>
#include <stdint.h>

#define RESTARTS_NAME "restarts.json"

typedef struct Restarts {
        uint64_t n_survived;
        uint64_t last_usec; /* CLOCK_REALTIME of the last of them; 0: none */
} Restarts;

/* What the file says. One that is not there or makes no sense says nothing: all is 0 then. */
void restarts_read(Restarts *ret, const char *data_dir);

/* A daemon has started at `now_usec`. running: it has taken over a session; otherwise counting begins anew. *ret is right
 * in any case. 0 or -errno. */
int restarts_note(Restarts *ret, const char *data_dir, bool running, uint64_t now_usec);
