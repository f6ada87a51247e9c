/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/identity.h"
#include "store/journal-internal.h"

#define RETRY_DELAY_MAX_USEC UINT64_C(60000000)
#define FINISH_ATTEMPTS 16u

typedef struct SyncJob {
        WorkerJob job;
        Store *store;
        bool folder;
        uint64_t up_to;
        uint64_t bytes;
        uint64_t usec; /* how long it took */
        size_t n_fds;
        int fds[];
} SyncJob;

static int sync_run(WorkerJob *job)
{
        SyncJob *sync = CONTAINER_OF(job, SyncJob, job);
        Io *io = sync->store->io;
        uint64_t start = clock_monotonic_usec();
        int r = 0;

        /* The name before the content: a segment that nobody finds might as well not be there. */
        if (sync->folder)
                r = io->fsync(io, sync->store->log_dirfd);
        for (size_t i = 0; i < sync->n_fds && r >= 0; i++) {
                r = io->fdatasync(io, sync->fds[i]);
                worker_progress(sync->store->worker);
        }
        /* Tried again with the next sync if it fails: nothing depends on it but what an empty log means. */
        if (r >= 0)
                (void)identity_set_begun(sync->store, true);
        sync->usec = clock_monotonic_usec() - start;
        return r;
}

static void drop_durable(Store *s)
{
        Journal *j = &s->journal;
        uint64_t now = s->now_usec();

        while (j->first && j->first != j->unwritten && j->first->header.sequence <= j->durable) {
                Pending *p = j->first;

                histogram_add(&s->stats.durable_lag, now - MIN(p->header.time_usec, now));
                j->held_bytes -= p->held;
                if (j->unspilled == p)
                        j->unspilled = p->next;
                j->first = p->next;
                if (!j->first)
                        j->last = NULL;
                bytes_unref(p->blob);
                free(p);
        }
}

static void sync_succeeded(Store *s, SyncJob *sync)
{
        Journal *j = &s->journal;

        j->unsynced_bytes -= MIN(sync->bytes, j->unsynced_bytes);
        j->n_sync_failures = 0;
        j->retry_delay_usec = j->retry_delay_min_usec;
        for (size_t i = j->n_files; i-- > 0;) {
                JournalFile *f = &j->files[i];
                bool needed = f->dirty || f->segment == j->active ||
                        (j->unwritten && j->unwritten->segment == f->segment);

                f->syncing = false;
                if (!needed)
                        journal_close_file(s, f);
        }
        if (sync->up_to > j->durable) {
                j->durable = sync->up_to;
                drop_durable(s);
                if (s->events.durable)
                        s->events.durable(s->events.userdata, j->durable);
        } else
                drop_durable(s);
        journal_clear_degraded(s);
}

uint64_t store_durable_usec(const Store *s)
{
        return s->journal.first ? s->journal.first->header.time_usec : s->now_usec();
}

/* Which pages reached the disk is unknown, and the kernel may have marked the others as clean: another
 * fdatasync of the same file would succeed and mean nothing. So all that is not durable is written anew. */
void journal_sync_failed(Store *s, int error)
{
        Journal *j = &s->journal;
        char name[SEGMENT_NAME_SIZE] = "";
        size_t n_old = j->n_files;
        _cleanup_free_ Segment **old = calloc(n_old + 1, sizeof(Segment *));
        _cleanup_free_ uint64_t *moved = calloc(n_old + 1, sizeof(uint64_t));

        if (j->n_files > 0)
                segment_name(j->files[0].segment->number, name);
        journal_set_degraded(s, "Syncing", name, error);
        j->refusing = j->first != NULL;
        j->folder_dirty = true;
        j->n_sync_failures++;
        j->retry_usec = clock_monotonic_usec() + j->retry_delay_usec;
        j->retry_delay_usec = MIN(j->retry_delay_usec * 2, RETRY_DELAY_MAX_USEC);
        if (!old || !moved)
                n_old = 0;
        for (size_t i = 0; i < n_old; i++) {
                old[i] = j->files[i].segment;
                moved[i] = old[i]->number;
        }
        while (j->n_files > 0)
                journal_close_file(s, &j->files[0]);
        j->unsynced_bytes = 0;
        j->unspilled = j->first;
        if (j->first)
                (void)journal_replace_from(s, j->first);
        else if (j->active) {
                store_seal_segment(s, j->active);
                j->active = NULL;
        }
        for (size_t i = 0; i < n_old; i++)
                if (old[i]->first_sequence > j->durable)
                        (void)journal_abandon(s, old[i]);
        for (size_t i = 0; i < n_old && s->events.segment_moved; i++)
                s->events.segment_moved(s->events.userdata, moved[i]);
}

static void sync_done(WorkerJob *job, int result)
{
        SyncJob *sync = CONTAINER_OF(job, SyncJob, job);
        Store *s = sync->store;

        s->journal.sync = NULL;
        s->stats.n_syncs++;
        s->stats.sync_usec_max = MAX(s->stats.sync_usec_max, sync->usec);
        if (result >= 0)
                sync_succeeded(s, sync);
        else if (s->journal.write)
                s->journal.sync_error = result;
        else
                journal_sync_failed(s, result);
        free(sync);
        store_snapshot_durable(s, result);
        if (s->journal.sync_again) {
                s->journal.sync_again = false;
                store_sync_begin(s);
        }
}

/* The last record that is in the kernel with all before it. */
static uint64_t written_sequence(const Journal *j)
{
        uint64_t sequence = j->durable;

        for (const Pending *p = j->first; p && p != j->unwritten; p = p->next)
                sequence = MAX(sequence, p->header.sequence);
        return sequence;
}

void store_sync_begin(Store *s)
{
        Journal *j = &s->journal;
        SyncJob *sync;
        bool dirty = false;

        if (j->sync || j->sync_error < 0) {
                j->sync_again = true;
                return;
        }
        (void)journal_commit(s);
        if (j->write && !j->refusing)
                j->sync_after_write = true;
        for (size_t i = 0; i < j->n_files; i++)
                dirty |= j->files[i].dirty;
        if (!dirty) {
                if (j->write)
                        return;
                journal_mark(s);
                journal_clear_degraded(s);
                return;
        }
        sync = calloc(1, sizeof(SyncJob) + j->n_files * sizeof(int));
        if (!sync)
                return; /* asked again at the next interval */
        *sync = (SyncJob){
                .job = { .run = sync_run, .done = sync_done },
                .store = s,
                .folder = j->folder_dirty,
                .up_to = written_sequence(j),
                .bytes = j->unsynced_bytes,
        };
        for (size_t i = 0; i < j->n_files; i++)
                if (j->files[i].dirty) {
                        j->files[i].dirty = false;
                        j->files[i].syncing = true;
                        sync->fds[sync->n_fds++] = j->files[i].fd;
                }
        j->folder_dirty = false;
        j->sync_begun_usec = clock_monotonic_usec();
        j->sync = sync;
        worker_submit(s->worker, &sync->job, WORKER_URGENT);
}

void journal_finish(Store *s)
{
        Journal *j = &s->journal;

        for (unsigned i = 0; i < FINISH_ATTEMPTS; i++) {
                j->retry_usec = 0;
                store_sync_begin(s);
                if (s->writer)
                        worker_drain(s->writer, true);
                worker_drain(s->worker, true);
                if (j->first)
                        continue;
                if (j->durable == j->marked || !j->active) {
                        (void)identity_set_durable(s, j->durable);
                        return;
                }
                journal_mark(s);
        }
        if (j->unwritten)
                store_problem(s, STORE_ERROR,
                              "%" PRIu64
                              " bytes could not be written to %s before the end and may be lost: %s",
                              j->held_bytes, s->path, j->degraded ?: "the disk refuses");
}

/* ---- segments that are needed no more ---- */

typedef struct UnlinkJob {
        WorkerJob job;
        Store *store;
        uint64_t number;
} UnlinkJob;

static int unlink_run(WorkerJob *job)
{
        UnlinkJob *u = CONTAINER_OF(job, UnlinkJob, job);
        char name[SEGMENT_NAME_SIZE];

        segment_name(u->number, name);
        return u->store->io->unlinkat(u->store->io, u->store->log_dirfd, name);
}

static void unlink_done(WorkerJob *job, int result)
{
        free(CONTAINER_OF(job, UnlinkJob, job));
}

void store_unlink_segment(Store *s, uint64_t number)
{
        UnlinkJob *u = calloc(1, sizeof(UnlinkJob));

        if (!u)
                return; /* it stays until the next start, which knows what to make of it */
        *u = (UnlinkJob){ .job = { .run = unlink_run, .done = unlink_done }, .store = s, .number = number };
        worker_submit(s->worker, &u->job, WORKER_NORMAL);
}

void journal_unlink_abandoned(Store *s)
{
        Journal *j = &s->journal;

        for (size_t i = 0; i < j->n_abandoned; i++) {
                uint64_t number = j->abandoned[i]->number;

                store_forget_segment(s, j->abandoned[i]);
                store_unlink_segment(s, number);
        }
        j->n_abandoned = 0;
}
