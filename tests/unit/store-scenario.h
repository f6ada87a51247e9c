/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A session's life in small, and a model of what the store must then hold: nodes with values, appended,
 * snapshotted whole and in part, pinned, retained, compacted, restored to a snapshot and to a record between two,
 * closed and opened again. The model knows the value of every node after every record, so that any recovered store can
 * be compared with it.
 */

#include "fault-io.h"
#include "store-fixture.h"

#define SCENARIO_KEYS 6u
#define SCENARIO_RECORDS_MAX 400u

/* What had been promised after which step of the power log. */
typedef struct Acknowledged {
        size_t step;
        uint64_t durable;
        unsigned n_written;
} Acknowledged;

typedef struct Scenario {
        Fixture fixture;
        FaultIo *fault; /* NULL: none */
        unsigned value[SCENARIO_RECORDS_MAX][SCENARIO_KEYS]; /* after each record; 0: no such node */
        uint64_t appended;
        uint64_t committed; /* store_commit() returned 0 after this one */
        uint64_t durable;   /* as told */
        unsigned next_value;
        StoreLocation at[SCENARIO_KEYS];
        bool dirty[SCENARIO_KEYS];
        unsigned n_snapshots; /* complete */
        unsigned n_written;   /* of these not equal to the one before */
        unsigned n_restored;
        unsigned n_moved;     /* segments that compaction emptied */
        uint64_t reclaimed_bytes;
        bool end_cleanly; /* each life: otherwise the first ends like a killed process */
        size_t step;          /* recorded steps of the power log when durable was told: see on_durable */
        Acknowledged *acknowledged;
        size_t n_acknowledged;
} Scenario;

void scenario_init(Scenario *sc, FaultIo *fault);
void scenario_done(Scenario *sc);

/* Lives through everything until the end, or until the world stops. */
void scenario_run(Scenario *sc);

/* Opens the folder with the real disk and compares: everything up to `at_least` must be there, and what is
 * there must be what the model says, and so must each snapshot; the newest three of the `n_written` must be there. Then goes
 * on with one more record. Says what is wrong, or NULL. */
const char *scenario_check(const Scenario *sc, const char *path, uint64_t at_least, unsigned n_written);
