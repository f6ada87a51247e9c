/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Loading: the newest snapshot whose digests hold, then every record after it in
 * order. Steps are small, so that an event loop can go on sending heartbeats between them:
 *
 *   store_load_begin()           chooses the snapshot; reads its manifest and state, no payload
 *   store_load_snapshot_state()  the state blob: first thing to look at
 *   store_load_next_state()      STORE_RECORD_STATE records after it, until 0: whose clients are known
 *   store_load_next_entry()      the snapshot's nodes, until 0; payloads are not read (see StoreVerify)
 *   store_load_next_record()     all records after the snapshot, until 0; payloads verified
 *
 * Damage never stops it: what is lost is named through events.problem, what is intact is delivered.
 */

#include <stdint.h>

#include "store/snapshot.h"
#include "store/store.h"

typedef struct StoreLoad StoreLoad;
typedef struct StoreReader StoreReader;

/* Up to where to load; all zero: everything. */
typedef struct StorePoint {
        const char *snapshot; /* this snapshot and nothing after it */
        uint64_t time_usec;   /* records up to this realtime */
        uint64_t sequence;    /* records up to this one */
} StorePoint;

/* Returns 0, -ENOENT when the named snapshot does not exist or the point lies before everything retained,
 * -EUCLEAN when the named snapshot is damaged. Without a point it never fails for damage: it falls back. */
int store_load_begin(Store *s, const StorePoint *point, StoreLoad **ret);
StoreLoad *store_load_free(StoreLoad *l);
DEFINE_CLEANUP(StoreLoad *, store_load_free)
#define _cleanup_store_load_ _cleanup_(store_load_freep)

/* The snapshot it starts from; NULL: none, the journal alone. Borrowed. */
const StoreSnapshotInfo *store_load_snapshot(const StoreLoad *l);
Bytes *store_load_snapshot_state(const StoreLoad *l); /* borrowed; NULL: none */

/* The three iterators: 1 = one more in *ret, 0 = no more, negative = errno. Each runs once. */
int store_load_next_state(StoreLoad *l, StoreRecordView *ret);
int store_load_next_entry(StoreLoad *l, StoreEntry *ret);

/* Besides 1 and 0: STORE_LOAD_GAP: records are missing here (damaged, or never written as the disk was full),
 * from ret->sequence on. Nothing that follows can be assumed to build on what came before. */
#define STORE_LOAD_GAP 2
int store_load_next_record(StoreLoad *l, StoreRecordView *ret);

/* Number of records after the snapshot, for progress. */
uint64_t store_load_record_count(const StoreLoad *l);

/* ---- reading the journal (scenekeepctl log, rebuilding a damaged node) ---- */

/* Records with first <= sequence <= last (0: to the end) that the retained log still has; heads are verified,
 * payloads not. key: only those of this node (NULL: all). */
int store_reader_new(Store *s, uint64_t first, uint64_t last, const void *key, size_t key_size,
                     StoreReader **ret);
int store_reader_next(StoreReader *r, StoreRecordView *ret); /* 1, 0, STORE_LOAD_GAP, negative errno */
StoreReader *store_reader_free(StoreReader *r);
DEFINE_CLEANUP(StoreReader *, store_reader_free)
#define _cleanup_store_reader_ _cleanup_(store_reader_freep)

/* ---- verification in the background ---- */

/* Called on the main thread for each damaged payload, then once with key NULL: all done (result 0 or errno). */
typedef void (*StoreVerifyFunc)(void *userdata, const void *key, size_t key_size, const StoreLocation *blob,
                                int result);

/* Verifies payloads in the worker, at normal priority, in bounded steps. Begin, add (copied), submit. */
typedef struct StoreVerify StoreVerify;
int store_verify_begin(Store *s, StoreVerify **ret);
int store_verify_add(StoreVerify *v, const void *key, size_t key_size, const StoreLocation *blob);
void store_verify_submit(StoreVerify *v, StoreVerifyFunc func, void *userdata);

/* The newest intact whole version of a node older than the damaged one, for the caller to use in its place:
 * from snapshots, and from records of kind `whole_kind` (those whose payload is the whole node). `damaged`
 * may be NULL. Either *ret_entry is filled (returns 1: from a snapshot, which stood for *ret_sequence) or
 * *ret_record (returns 2). Everything it points to lives in *ret_memory, to be free()d. 0: there is none. */
int store_find_intact(Store *s, uint16_t whole_kind, const void *key, size_t key_size,
                      const StoreLocation *damaged, StoreEntry *ret_entry, StoreRecordView *ret_record,
                      uint64_t *ret_sequence, void **ret_memory);
