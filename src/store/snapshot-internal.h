/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "store/content-writer.h"
#include "store/internal.h"

/* An entry whose payload is not in the log yet. */
typedef struct Materialise {
        uint64_t entry; /* offset in entries */
        StoreMaterialiseFunc func;
        void *userdata;
        void (*release)(void *userdata);
        StoreLocation blob; /* when it is */
} Materialise;

struct StoreSnapshot {
        WorkerJob job;
        Store *store;
        bool all;
        bool force;
        bool initialized;
        bool submitted;
        char *reason;
        char *user;
        StoreMaterialiseFunc make_state; /* NULL: there is none */
        void *state_userdata;
        void (*state_release)(void *userdata);
        Bytes *state; /* when it is made */
        uint64_t number;
        uint64_t time_usec;
        uint64_t sequence;
        uint64_t user_count;
        uint64_t node_count;
        uint64_t payload_bytes;

        uint8_t *entries; /* as in the file */
        size_t entries_size;
        size_t entries_allocated;
        uint64_t n_entries;
        uint32_t *times; /* of the entries, as in the file; pages */
        size_t n_times_allocated;
        Materialise *materialise;
        size_t n_materialise;
        size_t n_materialise_allocated;
        size_t next_materialise;
        ContentWriter writer;

        StoreMaterialisedFunc materialised;
        StoreSnapshotDoneFunc done;
        void *userdata;

        bool waiting;           /* for a sync of the journal */
        uint64_t wait_sequence; /* up to here */
        bool unchanged;
        SnapshotItem item; /* what becomes of it in the table */
        uint8_t digest[STORE_DIGEST_SIZE];
        uint64_t manifest_bytes;
        uint64_t worker_usec;
        int metadata_error;
        int retention_error;
        const char *step; /* for the message when it fails */
};

/* snapshot-job.c: the parts that run in the worker. */
int snapshot_materialise_run(WorkerJob *job);
int snapshot_write_run(WorkerJob *job);

/* retention-job.c, in the worker. What the policy makes of each snapshot; the array is to be free()d. */
int snapshot_retention_plan(Store *s, RetentionItem **ret, size_t *ret_n);
/* Removes those that are not kept; sets `keep` of what had to stay after all, as it was pinned meanwhile. */
int snapshot_retention_apply(Store *s, RetentionItem *items, size_t n);
/* Both. */
int snapshot_retention(Store *s);
