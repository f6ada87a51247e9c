/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of this room share. Everything in Store belongs to the main
 * thread, except what stands below "shared", which either thread touches under the mutex.
 */

#include <pthread.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "store/index.h"
#include "store/journal.h"
#include "store/load.h"
#include "store/maintain.h"
#include "store/segment.h"
#include "store/snapshot-table.h"
#include "store/store.h"

/* Payloads below this are not looked for in the log: a reference would save nothing. */
#define DEDUPLICATE_SIZE_MIN 256u

/* From here on one is remembered for as long as it is in the log, at 16 bytes in the index: a thousandth of it. */
#define INDEXED_SIZE_MIN (16u << 10)

struct Store {
        Io *io;
        Worker *worker;
        Worker *writer; /* NULL: every write is made where it is asked for */
        uint64_t direct_bytes;
        uint64_t slow_usec;
        uint64_t calm_usec;
        StoreEvents events;
        uint64_t (*now_usec)(void);
        uint32_t flags;
        char *path;
        int dirfd;
        int log_dirfd;
        int snapshots_dirfd;
        int lock_fd;
        uint8_t id[16];
        bool copied;
        bool empty;
        bool closing;
        bool astray;   /* the folder is not where it was: stays degraded */
        struct timespec log_mtime; /* log/ had all its files when it was last changed then */
        struct timespec snapshots_mtime; /* the same of snapshots/ */
        bool homeless; /* it was removed, and there is no other yet: nothing can be written */
        uint64_t closed_durable; /* what the file "store" says of the journal */
        bool begun; /* while open only the worker's sync touches it */
        uint64_t recovered_sequence; /* the last one that counted when the store was opened */
        uint64_t segment_size;
        uint64_t queue_limit;
        uint64_t journal_keep_usec;
        uint64_t journal_keep_bytes;

        Journal journal;
        ManifestSet *initial;     /* read by store_open(), taken by the first store_load_begin(): */
        struct JournalScan *scan; /* newest intact snapshot, and the records after it */
        StoreSnapshot *snapshot;  /* the one under way, from begin to done */
        bool snapshot_wants_all;
        uint64_t last_number;      /* of the manifest that the next one can build on; 0: none */
        uint8_t last_digest[STORE_DIGEST_SIZE];
        uint64_t last_node_count;
        unsigned chain_length;
        uint64_t chain_entries;    /* in the manifests that build on the last whole one */
        struct Reclaim *reclaim; /* under way */
        bool reclaim_wanted;     /* as soon as no snapshot is under way */
        uint64_t reclaim_log_bytes; /* size of the log after the last one */
        struct Scrub *scrub;     /* under way */
        StoreStats stats;

        pthread_mutex_t mutex; /* shared from here */
        Segment **segments;    /* ascending numbers */
        size_t n_segments;
        size_t n_segments_allocated;
        uint64_t next_segment;
        Index index;
        SnapshotTable snapshots;
        RetentionPolicy retention;
};

/* ---- folders (store.c) ---- */

/* Segments and snapshots, in memory and open files alone. */
void store_forget_everything(Store *s);
/* Moves log/ and snapshots/, as far as they are there, to aside/ and opens new ones. */
int store_make_room(Store *s);
/* Opens the store's folder anew, which is empty or missing. -EEXIST: another store is there. */
int store_move_in(Store *s);

/* home.c: notices that the folder is not there any more. */
void home_watch(Store *s);
/* Whether the folder was changed since *seen, which is then, unless it may change once more in the same moment. */
bool store_folder_changed(const struct stat *folder, struct timespec *seen);
/* snapshot-watch.c: notices that files are missing in snapshots/. Only while nobody is about to make or remove some. */
void store_watch_snapshots(Store *s);

void store_lock(Store *s);
void store_unlock(Store *s);

/* Says something to the user; main thread only. */
_printf_(3, 4) void store_problem(Store *s, StoreLevel level, const char *format, ...);
/* The same of a file, or of what else has that name, that is not as it was written. folder: "log" or "snapshots"; NULL: it
 * lies beside them. */
_printf_(5, 6) void store_damage(Store *s, StoreLevel level, const char *folder, const char *name, const char *format, ...);


/* ---- segments (segment-table.c); all lock by themselves ---- */

/* -EPROTONOSUPPORT: a file of the store is of a format that a newer version has made. Writes nothing. */
int store_check_newer(Store *s, char **ret_error);

/* Reads the folder. */
int store_read_segments(Store *s, char **ret_error);
/* A new segment to be written, in the table from now on. */
int store_new_segment(Store *s, uint32_t type, uint64_t capacity, uint64_t first_sequence, uint64_t follows,
                      uint32_t flags, Segment **ret);
/* NULL if there is none of that number. Segments go only on the main thread; the worker may hold on to the
 * result only for what reclaim cannot take from under it. */
Segment *store_find_segment(Store *s, uint64_t number);
/* Takes one out of the table and out of the index; the file stays. */
void store_forget_segment(Store *s, Segment *segment);
/* The same by number, unless deduplication has come to point into it since `referenced` was cleared. */
bool store_forget_unreferenced_segment(Store *s, uint64_t number);
/* Forgets journal segments before `number` of which nothing was ever written. */
void store_forget_unwritten_segments(Store *s, uint64_t number);
/* Maps one; the reference belongs to the caller. -ENOENT. Also returns how much of it is written. */
int store_map_segment(Store *s, uint64_t number, SegmentMap **ret, uint64_t *ret_size);
/* A copy of the array as it is now, to be free()d. */
int store_copy_segments(Store *s, Segment ***ret, size_t *ret_n);
/* The same with the mutex held. */
Segment *store_find_segment_locked(Store *s, uint64_t number);
/* Begins to scan one, up to what is written of it now. Any thread. */
int store_scan_segment(Store *s, uint64_t number, Scanner *ret);
void store_seal_segment(Store *s, Segment *segment);
void store_set_segment_size(Store *s, Segment *segment, uint64_t size, uint64_t last_sequence);

/* A payload without its digest being compared: mapped. Any thread. */
int store_map_blob(Store *s, const StoreLocation *location, Bytes **ret);
/* Any thread. */
bool store_blob_matches(const Bytes *blob, const StoreLocation *location);
/* Notes where a payload lies, unless a place is known that is as good. moved: it lay elsewhere before, so that it will be
 * looked for. Any thread. */
void store_index_payload(Store *s, const StoreLocation *location, bool moved);
/* Does so for all payloads of a content segment that has not been looked at: what compaction copied before this process
 * began is told by its heads only. Any thread. 1: there may be more; 0: there is none; or a negative errno, and it is tried
 * again the next time. */
int store_index_content(Store *s);
/* Looks a payload up by digest and notes that it is going to be pointed to, so that reclaim leaves it. Any
 * thread. */
bool store_find_payload(Store *s, StoreLocation *location);
/* Brings a location up to date: 1 changed, 0 right, -ENOENT. Any thread. */
int store_refresh(Store *s, StoreLocation *location);

/* Removes a segment's file in the background. */
void store_unlink_segment(Store *s, uint64_t number);

/* A sync has ended: what a snapshot waits for (snapshot-submit.c). */
void store_snapshot_durable(Store *s, int result);

/* Links a rotten file into aside/, where no retention reaches it. Any thread; quiet when it cannot be done. */
void store_set_aside(Store *s, int from_dirfd, const char *name, bool move);

/* What becomes of a rotten file, for messages: "kept in aside/", or that it stays where it is. */
const char *store_rotten_is(const Store *s);
