/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who did how much when, added up from the journal: what `report` draws. */

#include "store/store.h"

#define HISTORY_BINS 96u
#define HISTORY_USERS_MAX 24u

typedef struct HistoryUser {
        char *name; /* "" for the server itself; NULL for all beyond the limit together */
        uint64_t n_changes, n_refused, bytes;
        uint64_t first_usec, last_usec;
        uint32_t bins[HISTORY_BINS]; /* changes in each stretch of time */
} HistoryUser;

typedef struct History {
        uint64_t first_usec, last_usec; /* of all that is shown */
        HistoryUser users[HISTORY_USERS_MAX + 1];
        size_t n_users;
        size_t n_gaps; /* records are missing */
} History;

/* Of records from first to last (CLOCK_REALTIME microseconds). 0 or -errno. */
int history_read(Store *store, uint64_t first_usec, uint64_t last_usec, History *ret);
void history_done(History *h);

/* The times of the first and last record in [*first, *last], which are narrowed to them; untouched without any. */
int history_span(Store *store, uint64_t *first_usec, uint64_t *last_usec);
