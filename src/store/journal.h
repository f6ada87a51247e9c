/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Journal: the writing end of the log. Records wait in a queue until they are
 * durable, with their payloads referenced, because a failed fdatasync leaves no way
 * of knowing what reached the disk: everything that was not durable is then written
 * anew into another segment. Main thread only, but for the run() of the sync's and the write's job.
 *
 * A write goes to the page cache and takes microseconds, but it waits as well once the kernel has no room for more that
 * is not on the disk, and nothing says so before. So it is made in the writer's thread. A small one is waited for, but
 * only a few milliseconds; for large ones, and for all of them while the disk is slow to answer, whoever wants to show
 * a record to others waits for events.written instead.
 */

#include "store/segment.h"
#include "store/store.h"

typedef struct Pending Pending;
typedef struct WriteRun WriteRun;

/* A segment that is being written, or was and is not synced yet. */
typedef struct JournalFile {
        Segment *segment;
        int fd;
        bool dirty;   /* written to since the sync under way began */
        bool syncing; /* part of the sync under way */
} JournalFile;

typedef struct Journal {
        Pending *first; /* oldest record that is not durable */
        Pending *last;
        Pending *unwritten; /* first that is not in the kernel; NULL: all are */
        Pending *unspilled; /* first whose payload may still be swapped for the mapped file */
        uint64_t held_bytes;
        uint64_t unsynced_bytes;
        uint64_t unwritten_bytes;

        Segment *active;     /* where the next record goes; NULL: nowhere yet */
        uint64_t active_end; /* where in it */
        JournalFile *files;
        size_t n_files;
        Segment **abandoned; /* replaced by rewritten ones, to be unlinked when those are in the kernel */
        size_t n_abandoned;
        bool folder_dirty; /* a file was made since log/ was last synced */

        uint64_t sequence; /* last one given out */
        uint64_t valid;    /* last one that is part of the journal: what the next segment follows */
        uint64_t written; /* last one that is in the kernel with all before it; of use while there are others */
        uint64_t durable;
        uint64_t marked; /* newest `durable` that the log itself knows of */
        uint64_t time_usec;
        bool hole; /* records were not taken; cleared by a snapshot of everything */
        uint64_t hole_sequence; /* the last of them */
        bool replace; /* finding new places for the unwritten ones ran out of memory: to be done again */

        char *degraded;
        StoreLevel degraded_level; /* STORE_WARNING: slow, STORE_ERROR: refuses; of use while it is degraded */
        int error; /* what made it so */
        uint64_t retry_usec; /* monotonic */
        uint64_t retry_delay_usec; /* doubles with each sync that fails */
        uint64_t retry_delay_min_usec;
        unsigned n_sync_failures; /* in a row */
        bool refusing; /* writing has failed */
        bool overdue;  /* writing takes its time */

        struct SyncJob *sync; /* under way */
        uint64_t sync_begun_usec; /* monotonic */
        bool sync_again;
        int sync_error; /* of one that has failed while a write was under way: dealt with after that */

        WriteRun *write; /* under way in the writer's thread */
        uint64_t calm_until_usec; /* monotonic: a disk that was slow is called so until then */
        uint64_t slow_until_usec; /* monotonic: the disk has taken its time lately */
        bool sync_after_write;
} Journal;

void journal_init(Journal *j, uint64_t retry_usec);
/* Gives everything up that was not written. */
void journal_done(Store *s);

/* After recovery: records up to `sequence` have been seen, up to `valid` they count, up to `durable` they are
 * known to be durable. */
void journal_start(Store *s, uint64_t sequence, uint64_t valid, uint64_t durable);
/* After recovery, in order: a record in the log that is not known to be durable. */
int journal_adopt(Store *s, Segment *segment, const RecordHead *head);

/* Tells the journal that a snapshot that stands for everything up to `sequence` is complete. */
void journal_snapshot_complete(Store *s, uint64_t sequence);

/* The last mark, when all is durable: what tells the next start that nothing can be torn. */
void journal_mark(Store *s);

/* The log is gone with all that was in it: what comes from now on begins another one, behind a hole that only a snapshot of
 * everything closes. Nothing of it may be under way in a worker. */
void journal_start_over(Store *s);

/* Makes the store degraded, with this reason (taken over; NULL: memory was short for it). */
void journal_degrade(Store *s, StoreLevel level, char *text);

/* Notices a disk that is slow or does not answer. */
void journal_watch(Store *s);

/* Makes everything durable before the end, waiting for it; tries a few times should the disk refuse. */
void journal_finish(Store *s);
