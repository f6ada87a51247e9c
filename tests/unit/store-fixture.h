/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A store in a folder of its own, for the tests of the store. */

#include "test.h"

#include "store/load.h"
#include "store/maintain.h"
#include "store/snapshot.h"
#include "store/store.h"

typedef struct Fixture {
        char path[64];
        Worker *worker; /* without a thread unless asked for */
        Worker *writer; /* NULL, or made by the test, for options.writer */
        Store *store;
        StoreOptions options;
        uint64_t durable;  /* as last told */
        unsigned n_problems[3];
        char last_problem[512];
        const char *degraded;
        unsigned n_degraded; /* times that this has changed */
        StoreLevel degraded_level;
        unsigned n_moved;
        uint64_t now_usec; /* the store's clock; 0: the real one */
        /* of the last snapshot */
        bool snapshot_done;
        int snapshot_error;
        bool snapshot_unchanged;
        char snapshot_name[STORE_SNAPSHOT_NAME_MAX];
        uint64_t snapshot_bytes;
        uint64_t snapshot_usec;
} Fixture;

void fixture_init(Fixture *f, bool threaded);
void fixture_done(Fixture *f); /* removes the folder */
int fixture_try_open(Fixture *f, uint32_t flags);
void fixture_open(Fixture *f);
void fixture_close(Fixture *f);
/* As if the process had died: nothing is committed or synced any more. Does not work with a thread. */
void fixture_abandon(Fixture *f);

/* Appends without committing. */
int fixture_append(Fixture *f, uint16_t kind, const char *key, const void *blob, size_t size,
                   StoreLocation *ret_location);
void fixture_sync(Fixture *f); /* until durable */
void fixture_drain(Fixture *f);
/* Submits and waits. */
int fixture_submit(Fixture *f, StoreSnapshot *sn, StoreMaterialisedFunc materialised);

/* Everything a load gives, as text: one line a node or record, in order. free() it. */
char *fixture_dump(Fixture *f, const StorePoint *point);
char *fixture_dump_store(Store *s, const StorePoint *point);

void remove_tree(const char *path);
void copy_tree(const char *from, const char *to);
