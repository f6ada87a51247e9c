/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Store: the session on disk. An append-only log of records in segment files
 * and snapshots that point into it; scenekeep-store(5) describes every byte.
 * The store knows bytes, never what they mean: kinds, keys, authors and states
 * are its caller's.
 *
 * Order of things for an update: store_append(), store_commit(), then relay. After
 * store_commit() returned 0 the records are in the kernel and a killed process loses
 * nothing; store_sync_begin() makes them durable in the background.
 *
 * A Store belongs to one thread. Slow work goes to the Worker, whose results arrive
 * in worker_dispatch(), on the same thread again; all callbacks of StoreEvents come from there or from the
 * function just called. Nothing here waits for the worker except store_close().
 */

#include <stdint.h>

#include "base/bytes.h"
#include "base/histogram.h"
#include "base/macros.h"
#include "base/worker.h"
#include "store/io.h"
#include "store/retention.h"

typedef struct Store Store;

#define STORE_DIGEST_SIZE 32
#define STORE_AUTHOR_MAX 255u
#define STORE_KEY_MAX 255u
#define STORE_META_MAX (16u << 20)

/* ---- what is stored ---- */

/* Flags of a record. The lower byte belongs to the caller, the upper to the store. */
#define STORE_RECORD_REFUSED 0x0001u   /* the caller's: journalled, but not applied */
#define STORE_RECORD_STATE                                                                                   \
        0x0100u /* store_load_state() delivers it early (user table and the like); keep it small */
#define STORE_RECORD_REFERENCE                                                                               \
        0x0200u /* set by the store: the payload was in the log already, the record points to it */

/* Kinds are numbers owned by the caller, 1..0xefff. */
#define STORE_KIND_MAX 0xefffu

/* Where a payload lies, and what it is. The digest is the identity; segment and offset say where it was when
 * the location was made, and are brought up to date by store_location_refresh() after compaction or a
 * rewrite. */
typedef struct StoreLocation {
        uint64_t segment; /* 0: nowhere in the log (yet) */
        uint64_t offset;  /* of the payload's first byte in the segment file */
        uint64_t size;
        uint8_t digest[STORE_DIGEST_SIZE]; /* SHA-256 of the payload */
} StoreLocation;

/* A record as it is handed in. Everything but the payload is copied by store_append(); the payload is
 * referenced until it is durable. Unused strings are NULL with size 0. */
typedef struct StoreRecord {
        uint16_t kind;
        uint16_t flags;
        const void *author; /* user name; at most STORE_AUTHOR_MAX bytes */
        size_t author_size;
        const void *key; /* node uuid; at most STORE_KEY_MAX bytes */
        size_t key_size;
        const void *meta; /* at most STORE_META_MAX bytes */
        size_t meta_size;
        Bytes *blob; /* payload, NULL for none */
        const uint8_t *digest; /* SHA-256 of the payload where the caller has it; NULL: it is made */
} StoreRecord;

/* A record as it is read back. The pointers lead into the reader's buffer and are valid until its next step.
 * The payload is fetched with store_blob_get(). */
typedef struct StoreRecordView {
        uint16_t kind;
        uint16_t flags;
        uint64_t sequence;
        uint64_t time_usec; /* CLOCK_REALTIME at append */
        const uint8_t *author;
        size_t author_size;
        const uint8_t *key;
        size_t key_size;
        const uint8_t *meta;
        size_t meta_size;
        StoreLocation blob; /* size 0: no payload */
        bool blob_damaged;  /* the head is intact, the payload is not: set only by readers that verify */
} StoreRecordView;

/* A node in a snapshot. In a StoreLoad the pointers are valid until its next step. */
typedef struct StoreEntry {
        const uint8_t *key; /* node uuid */
        size_t key_size;
        const uint8_t *owner;
        size_t owner_size;
        const uint8_t *dependencies; /* opaque */
        size_t dependencies_size;
        StoreLocation blob;
        uint64_t changed_usec; /* when the node was changed last, kept to the second; 0: not known */
} StoreEntry;

/* ---- opening ---- */

typedef enum StoreLevel { STORE_NOTICE, STORE_WARNING, STORE_ERROR } StoreLevel;

typedef struct StoreEvents {
        /* Something a human should know: a whole sentence, what happened to what and what to do. damaged: the file or folder
         * below the store's in which something is not as it was written, NULL: it is about something else. */
        void (*problem)(void *userdata, StoreLevel level, const char *damaged, const char *text);
        /* store_written_sequence() may have grown after a store_commit() that returned STORE_WRITING. */
        void (*written)(void *userdata);
        /* Every record up to and including this sequence survives a power cut. */
        void (*durable)(void *userdata, uint64_t sequence);
        /* The state of store_degraded() changed; reason is NULL when all is well again. STORE_WARNING: the disk is slow,
         * nothing has failed and all will be written; STORE_ERROR: it refuses, does not answer, or is gone. */
        void (*degraded)(void *userdata, StoreLevel level, const char *reason);
        /* Compaction moved what this segment held: call store_location_refresh() on every location that names
         * it, and drop payloads mapped from it, so that its disk space is given back. */
        void (*segment_moved)(void *userdata, uint64_t segment);
        /* The store's folder was removed: no location means anything any more, and payloads that are mapped are the only
         * ones that there are. Called again when it has been made anew: save everything now. */
        void (*removed)(void *userdata, bool made_anew);
        /* The file of this segment was removed: no location that names it means anything any more, as above. Save everything
         * now. */
        void (*segment_removed)(void *userdata, uint64_t segment);
        /* A file was removed that the newest snapshot needs: save everything now. */
        void (*snapshot_removed)(void *userdata);
        void *userdata;
} StoreEvents; /* any function may be NULL */

#define STORE_OPEN_READ_ONLY                                                                                 \
        0x1u /* for looking at a store that no daemon serves; writes nothing, takes no lock */
#define STORE_OPEN_SET_ASIDE 0x2u   /* a store beyond use is moved to aside/ and a new one begun in its place */
#define STORE_OPEN_EXISTING                                                                                  \
        0x4u /* -ENOENT instead of making a new store or, with READ_ONLY, of reading what is left of one */
#define STORE_OPEN_ADOPT_COPY 0x8u  /* a copied store becomes a store of its own (new id) without a word */
#define STORE_OPEN_BESIDE                                                                                    \
        0x10u /* with READ_ONLY: also while a daemon serves it. What is appended from then on is not         \
               * seen, and what the daemon compacts meanwhile may be gone (-ENOENT): open anew */

typedef struct StoreOptions {
        const char *path; /* the instance's folder; made (0700) when missing */
        uint32_t flags;
        Worker *worker; /* borrowed; may be NULL for read-only use */
        Worker *writer; /* borrowed, another one than `worker`, which may wait for the disk: writes the journal; NULL: that
                           is done in store_commit() */
        uint64_t direct_bytes; /* with a writer: more than this at once is not waited for; 0: 2 MiB */
        uint64_t slow_usec;    /* an update waits so long for a slow disk, then no longer; 0: 1 s */
        uint64_t calm_usec;    /* a disk that was slow is called so until it was not for so long; 0: 10 s */
        Io *io;         /* NULL: the real disk */
        StoreEvents events;
        uint64_t segment_size; /* bytes; 0: 64 MiB */
        uint64_t queue_limit;  /* bytes held in memory while the disk refuses them; 0: 1 GiB */
        uint64_t retry_usec;   /* a disk that refused is tried again after this; 0: 1 s */
        RetentionPolicy retention;
        uint64_t journal_keep_usec;  /* keep journal for restores in time: so long ... */
        uint64_t journal_keep_bytes; /* ... but not more than this; 0 both: only what the newest snapshots
                                        need */
        uint64_t (*now_usec)(void);  /* CLOCK_REALTIME in microseconds; NULL: the clock */
} StoreOptions;

/* Opens or makes a store and takes its lock. On failure *ret_error (if not NULL) is a malloc()ed sentence for
 * the user. Errors: -EBUSY: another process has it open; -EPROTONOSUPPORT: written by a newer version,
 * untouched; -EUCLEAN: beyond use, and STORE_OPEN_SET_ASIDE was not given; -ENOENT; other errno of the disk.
 */
int store_open(const StoreOptions *options, Store **ret, char **ret_error);

/* Commits what is buffered, waits for the worker's jobs of this store, syncs, closes. Accepts NULL.
 * Call store_sync_begin() and dispatch before it if the end must not block. */
Store *store_close(Store *s);
DEFINE_CLEANUP(Store *, store_close)
#define _cleanup_store_ _cleanup_(store_closep)

/* True if the folder was found to be a copy of another store (store id written for another folder);
 * it was given an id of its own and goes on as a separate store. */
bool store_was_copied(const Store *s);

/* True if there was nothing to load: neither a snapshot nor a record. */
bool store_is_empty(const Store *s);

/* ---- appending ---- */

/* Positive results of store_append() and store_commit(). */
#define STORE_WRITING 3 /* the writer has it; see events.written and store_written_sequence() */
#define STORE_HELD                                                                                           \
        1 /* held in memory: the disk refuses it for now (see store_degraded()); written when it can be */
#define STORE_LOST                                                                                           \
        2 /* not taken: the disk refuses and queue_limit is reached. The sequence number is spent, and the   \
           * journal has a hole until the next snapshot with all nodes is complete */

/* Buffers a record; its sequence number and, if wanted, the payload's location are returned. No disk access.
 * The payload is hashed here (about 0.6 ms per MiB) unless its digest is given. Returns 0, STORE_HELD, STORE_LOST, -EINVAL for a record
 * that breaks the limits above, -ENOMEM. */
int store_append(Store *s, const StoreRecord *record, uint64_t *ret_sequence, StoreLocation *ret_blob);

/* Hands everything buffered to the kernel. Returns 0, STORE_WRITING, STORE_HELD or STORE_LOST; while degraded it tries
 * the disk again at most once a second. Never a negative value: what goes wrong with the disk is in
 * store_degraded(). */
int store_commit(Store *s);

/* Sequence of the last record appended, and of the last one that is durable. 0: none. */
uint64_t store_sequence(const Store *s);
uint64_t store_durable_sequence(const Store *s);

/* Everything up to this record is in the kernel, where a killed process does not lose it, or is refused by the disk: it
 * need not be waited for. */
uint64_t store_written_sequence(const Store *s);

/* To be called about every second: notices a disk that does not answer, and a folder that was removed or moved, which makes
 * the store degraded. One that was removed is made anew as soon as that can be done. */
void store_watch(Store *s);

/* After store_open(): the last record that counts. Numbers between it and store_sequence() belonged to
 * records that were torn when the machine stopped, and are not used again. */
uint64_t store_valid_sequence(const Store *s);

/* CLOCK_REALTIME microseconds: everything appended before is durable. Now, when nothing waits. */
uint64_t store_durable_usec(const Store *s);

/* Requests fdatasync of everything committed so far; events.durable tells when. Cheap when nothing is
 * unsynced. While a sync is under way another call is remembered and begun after it. Also what retries a
 * degraded disk: call it every sync_interval (or each turn with sync = "always"). */
void store_sync_begin(Store *s);

/* Why the store is degraded, NULL when it is not: everything accepted is on disk, or on its way. */
const char *store_degraded(const Store *s);

/* Bytes held in memory because they are not durable yet. */
uint64_t store_held_bytes(const Store *s);

/* The disk takes less than comes in: let nothing more come in until it has caught up. */
bool store_is_behind(const Store *s);

/* True if every record so far is in the journal, where a killed process does not lose it: none waits in memory for the
 * disk, and none was lost. */
bool store_has_everything(const Store *s);

/* ---- reading payloads ---- */

/* The payload at a location, mapped from the log, not read: bytes that have rotted are given as they are, and
 * pages that the disk cannot read as zeroes (the process is never killed by them; see
 * store_damaged_segment()). Records that are still in memory are found there. -ENOENT: no such segment;
 * -EUCLEAN: outside of its segment. */
int store_blob_get(Store *s, const StoreLocation *location, Bytes **ret);

/* The same, after comparing its digest: reads and hashes all of it. -EUCLEAN: damaged. */
int store_blob_get_verified(Store *s, const StoreLocation *location, Bytes **ret);

/* Brings a location up to date by its digest. Returns 1 if it changed, 0 if it was right, -ENOENT if the
 * payload is nowhere in the log. */
int store_location_refresh(Store *s, StoreLocation *location);

/* A mapped segment met a page that the disk could not read since the last call: true once per segment. */
bool store_damaged_segment(Store *s, uint64_t *ret_segment);

/* ---- figures for status and metrics ---- */

typedef struct StoreStats {
        uint64_t n_records;        /* appended since open */
        uint64_t received_bytes;   /* payload bytes handed to store_append() */
        uint64_t written_bytes;    /* bytes written to the log by it, heads included */
        uint64_t deduplicated;     /* payloads found in the log already */
        uint64_t n_syncs;
        uint64_t sync_usec_max;    /* slowest fdatasync round */
        Histogram durable_lag;     /* from append to durable, of each record */
        uint64_t n_segments;
        uint64_t log_bytes;        /* size of all segments */
        uint64_t n_snapshots;
        uint64_t snapshot_bytes;   /* written for the last snapshot: manifest and payloads */
        uint64_t saved_bytes;      /* the same of all since open */
        uint64_t last_snapshot_usec; /* realtime; 0: none */
        uint64_t n_failures;       /* writes and syncs that failed */
        uint64_t reclaimed_bytes;
        uint64_t scrub_bytes;      /* verified in the scrub under way */
        uint64_t scrub_damaged;    /* records found damaged by it so far */
        uint64_t scrub_finished_usec; /* realtime of the last whole scrub, also before this start; 0: none yet */
        uint64_t scrub_sequence;   /* it has read everything up to this record */
} StoreStats;

void store_get_stats(const Store *s, StoreStats *ret);
