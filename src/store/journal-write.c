/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>

#include "store/journal-internal.h"

#define RUN_PENDINGS_MAX 256u
#define UNSYNCED_BYTES_MAX (UINT64_C(32) << 20)
/* A sync that takes longer than this tells of a disk that may soon keep writes as well; so does, for a while, a write
 * that did. */
#define SLOW_SYNC_USEC UINT64_C(200000)
#define SLOW_WRITE_USEC UINT64_C(20000)
#define SLOW_WRITE_BYTES_PER_USEC 100u
#define SLOW_MEMORY_USEC UINT64_C(30000000)
/* So long is a small write waited for: it usually takes microseconds. */
#define WAIT_USEC UINT64_C(5000)
/* So long may an update wait for a write, and its loss by a power cut be possible, before somebody is told that the disk
 * is slow. */
#define SLOW_DISK_SYNC_USEC UINT64_C(5000000)
/* After so long without a sign of life it is not only busy. A write gives one for each IO_CALL_BYTES_MAX, a sync none. */
#define UNANSWERED_WRITE_USEC UINT64_C(5000000)
#define UNANSWERED_SYNC_USEC UINT64_C(30000000)

JournalFile *journal_find_file(Journal *j, const Segment *segment)
{
        for (size_t i = 0; i < j->n_files; i++)
                if (j->files[i].segment == segment)
                        return &j->files[i];
        return NULL;
}

/* Room for one more. */
static int reserve_file(Journal *j)
{
        JournalFile *files = reallocarray(j->files, j->n_files + 1, sizeof(JournalFile));

        if (!files)
                return -ENOMEM;
        j->files = files;
        return 0;
}

static void add_reserved_file(Journal *j, Segment *segment, int fd)
{
        j->files[j->n_files++] = (JournalFile){ .segment = segment, .fd = fd, .dirty = true };
        j->folder_dirty = true; /* its name may not be on the disk either */
}

int journal_add_file(Journal *j, Segment *segment, int fd)
{
        int r = reserve_file(j);

        if (r >= 0)
                add_reserved_file(j, segment, fd);
        return r;
}

void journal_close_file(Store *s, JournalFile *file)
{
        Journal *j = &s->journal;

        s->io->close(s->io, file->fd);
        *file = j->files[--j->n_files];
}

int journal_abandon(Store *s, Segment *segment)
{
        Journal *j = &s->journal;
        Segment **a = reallocarray(j->abandoned, j->n_abandoned + 1, sizeof(Segment *));

        if (!a)
                return -ENOMEM;
        j->abandoned = a;
        j->abandoned[j->n_abandoned++] = segment;
        store_seal_segment(s, segment);
        return 0;
}

static void mark_written(Store *s, Pending *p)
{
        Journal *j = &s->journal;

        store_set_segment_size(s, p->segment, p->offset + pending_size(p), p->header.sequence);
        j->unsynced_bytes += pending_size(p);
        j->unwritten_bytes -= pending_size(p);
        j->written = MAX(j->written, p->header.sequence);
        j->unwritten = p->next;
}

/* ---- one call ---- */


/* Neighbours in one file, written with one call, here or in the writer's thread. What it reads of them does not change
 * before it has ended. */
struct WriteRun {
        WorkerJob job;
        Store *store;
        Segment *segment;
        Pending *first;
        unsigned n_pendings;
        Worker *progress; /* NULL: in no worker */
        int fd;    /* -1: the file is still to be made */
        bool made; /* it has been */
        uint64_t begun_usec;
        size_t written;
        int n_iov;
        struct iovec iov[RUN_PENDINGS_MAX * 3];
};

static int run_job(WorkerJob *job);
static void run_job_done(WorkerJob *job, int result);

static int run_prepare(WriteRun *run, Store *s)
{
        static const uint8_t padding[FORMAT_ALIGNMENT];
        Journal *j = &s->journal;
        Pending *p = j->unwritten;
        JournalFile *file = journal_find_file(j, p->segment);

        if (!file && reserve_file(j) < 0)
                return -ENOMEM;
        run->job = (WorkerJob){ .run = run_job, .done = run_job_done };
        run->store = s;
        run->progress = s->writer;
        run->segment = p->segment;
        run->first = p;
        run->n_pendings = 0;
        run->fd = file ? file->fd : -1;
        run->made = false;
        run->begun_usec = clock_monotonic_usec();
        run->written = 0;
        run->n_iov = 0;
        for (; p && p->segment == run->segment && run->n_pendings < RUN_PENDINGS_MAX; p = p->next) {
                run->n_pendings++;
                run->iov[run->n_iov++] = (struct iovec){ .iov_base = p->head, .iov_len = p->head_size };
                if (!p->blob)
                        continue;
                run->iov[run->n_iov++] =
                        (struct iovec){ .iov_base = (void *)p->blob->data, .iov_len = p->blob->size };
                run->iov[run->n_iov++] = (struct iovec){ .iov_base = (void *)padding,
                                                         .iov_len = pending_blob_size(p) - p->blob->size };
        }
        if (file)
                file->dirty = true;
        return 0;
}

/* Makes the segment's file with its header in it. */
static int run_make_file(WriteRun *run)
{
        Store *s = run->store;
        uint8_t header[sizeof(FormatSegment)];
        char name[SEGMENT_NAME_SIZE];

        segment_name(run->segment->number, name);
        run->fd = s->io->openat(s->io, s->log_dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (run->fd < 0)
                return run->fd;
        run->made = true;
        segment_encode_header(run->segment, s->id, header);
        return io_pwrite_all(s->io, run->fd, header, sizeof(header), 0);
}

/* How many of its records got through whole, even if the call failed; and where the last of them ends. */
static unsigned run_count_whole(const WriteRun *run, uint64_t *ret_end)
{
        const Pending *p = run->first;
        uint64_t end = p->offset;
        unsigned n;

        for (n = 0; n < run->n_pendings; n++) {
                if (n > 0)
                        p = p->next; /* of the last one it may be set meanwhile */
                if (p->offset + pending_size(p) > run->first->offset + run->written)
                        break;
                end = p->offset + pending_size(p);
        }
        *ret_end = end;
        return n;
}

/* What a failed write left behind the last whole record is in the way of a full disk's recovery. */
static void run_tidy(WriteRun *run)
{
        Store *s = run->store;
        char name[SEGMENT_NAME_SIZE];
        uint64_t end;

        if (run->fd < 0)
                return;
        if (run_count_whole(run, &end) > 0 || !run->made)
                (void)s->io->ftruncate(s->io, run->fd, (off_t)end);
        else {
                segment_name(run->segment->number, name);
                s->io->close(s->io, run->fd);
                (void)s->io->unlinkat(s->io, s->log_dirfd, name);
                run->fd = -1;
        }
}

/* Any thread. */
static int run_write(WriteRun *run)
{
        int r = 0;

        if (run->fd < 0)
                r = run_make_file(run);
        if (r >= 0)
                r = io_pwritev_all(run->store->io, run->fd, run->iov, run->n_iov, (off_t)run->first->offset,
                                   run->progress, &run->written);
        if (r < 0)
                run_tidy(run);
        return r;
}

static void run_failed(Store *s, const WriteRun *run, int error)
{
        Journal *j = &s->journal;
        char name[SEGMENT_NAME_SIZE];

        segment_name(run->segment->number, name);
        journal_set_degraded(s, "Writing", name, error);
        j->refusing = true;
        j->retry_usec = clock_monotonic_usec() + j->retry_delay_usec;
        (void)journal_replace_from(s, j->unwritten);
}

static void note_usec(Journal *j, uint64_t usec, uint64_t bytes)
{
        if (usec > SLOW_WRITE_USEC + bytes / SLOW_WRITE_BYTES_PER_USEC)
                j->slow_until_usec = clock_monotonic_usec() + SLOW_MEMORY_USEC;
}

/* Says in the journal what has become of it. */
static int run_end(Store *s, WriteRun *run, int r)
{
        Journal *j = &s->journal;
        JournalFile *file;
        uint64_t end;
        unsigned n = run_count_whole(run, &end);

        note_usec(j, clock_monotonic_usec() - run->begun_usec, run->written);
        if (run->made && run->fd >= 0) {
                store_set_segment_size(s, run->segment, sizeof(FormatSegment), 0);
                add_reserved_file(j, run->segment, run->fd);
        }
        file = journal_find_file(j, run->segment);
        if (file)
                file->dirty = true; /* a sync may have begun and ended meanwhile */
        for (; n > 0; n--)
                mark_written(s, j->unwritten);
        if (r < 0)
                run_failed(s, run, r);
        return r;
}

static int run_job(WorkerJob *job)
{
        return run_write(CONTAINER_OF(job, WriteRun, job));
}

static void run_job_done(WorkerJob *job, int result)
{
        WriteRun *run = CONTAINER_OF(job, WriteRun, job);
        Store *s = run->store;
        Journal *j = &s->journal;
        int r;

        j->write = NULL;
        r = run_end(s, run, result);
        free(run);
        if (j->sync_error < 0) {
                int error = j->sync_error;

                j->sync_error = 0;
                journal_sync_failed(s, error);
        } else if (r >= 0)
                r = journal_write(s);
        if (s->events.written)
                s->events.written(s->events.userdata);
        if (r < 0)
                store_snapshot_durable(s, r);
        if (!j->write && (j->sync_after_write || (j->sync_again && !j->sync))) {
                j->sync_after_write = j->sync_again = false;
                store_sync_begin(s);
        }
}

/* ---- when the disk takes its time ---- */

static bool disk_is_slow(const Journal *j)
{
        uint64_t now = clock_monotonic_usec();

        return now < j->slow_until_usec || (j->sync && now - j->sync_begun_usec > SLOW_SYNC_USEC);
}

/* Whoever waits for what is unwritten does no longer. */
static void stop_waiting(Store *s)
{
        s->journal.overdue = true;
        if (s->events.written)
                s->events.written(s->events.userdata);
}

static void watch_write(Store *s)
{
        Journal *j = &s->journal;

        if (clock_monotonic_usec() - j->write->begun_usec > s->slow_usec) {
                journal_still_slow(s);
                if (!journal_is_behind(j)) {
                        journal_set_slow(s, "a write",
                                         "Everything is kept in memory until it is written, and would be lost with the "
                                         "server's process");
                        stop_waiting(s);
                }
        }
        if (worker_stalled_usec(s->writer) > UNANSWERED_WRITE_USEC)
                journal_set_unanswered(s, "a write", "Everything is held in memory and written when it answers");
}

static void watch_sync(Store *s)
{
        const Journal *j = &s->journal;
        uint64_t usec = clock_monotonic_usec() - j->sync_begun_usec;

        if (usec > UNANSWERED_SYNC_USEC && (!j->degraded || j->degraded_level != STORE_ERROR))
                journal_set_unanswered(s, "a sync",
                                       "What has changed since it began would be lost with the machine's power");
        else if (usec > SLOW_DISK_SYNC_USEC && !j->degraded)
                journal_set_slow(s, "a sync", "What has changed since it began would be lost with the machine's power");
        if (usec > SLOW_DISK_SYNC_USEC)
                journal_still_slow(s);
}

void journal_watch(Store *s)
{
        if (s->journal.write)
                watch_write(s);
        if (s->journal.sync)
                watch_sync(s);
        if (s->journal.degraded && s->journal.degraded_level == STORE_WARNING)
                journal_clear_degraded(s);
}

/* NULL: to be done here. */
static WriteRun *run_for_writer(Store *s)
{
        return s->writer ? malloc(sizeof(WriteRun)) : NULL;
}

/* Returns whether it has come to its end, with *ret_error. */
static bool run_in_writer(Store *s, WriteRun *run, int *ret_error)
{
        Journal *j = &s->journal;
        bool small = j->unwritten_bytes <= s->direct_bytes && !disk_is_slow(j);
        bool ended = false;
        int r;

        j->write = run;
        if (small)
                ended = worker_submit_and_wait(s->writer, &run->job, WORKER_URGENT, WAIT_USEC, &r);
        else
                worker_submit(s->writer, &run->job, WORKER_URGENT);
        if (!ended)
                return false;
        j->write = NULL;
        *ret_error = run_end(s, run, r);
        free(run);
        return true;
}

/* A disk that is slow to sync must not make us hold ever more: payloads that are in the kernel can be had
 * from there, which costs certainty only if that very sync fails as well. */
static void spill(Store *s)
{
        Journal *j = &s->journal;

        while (j->held_bytes > s->queue_limit && j->unspilled && j->unspilled != j->unwritten) {
                Pending *p = j->unspilled;
                Bytes *mapped;

                if (p->blob && p->blob->size >= DEDUPLICATE_SIZE_MIN && p->held > p->head_size) {
                        StoreLocation location = {
                                .segment = p->segment->number,
                                .offset = p->offset + p->head_size,
                                .size = p->blob->size,
                        };

                        if (store_map_blob(s, &location, &mapped) < 0)
                                return;
                        j->held_bytes -= p->held - p->head_size;
                        p->held = p->head_size;
                        bytes_unref(p->blob);
                        p->blob = mapped;
                }
                j->unspilled = p->next;
        }
}

static int write_here(Store *s)
{
        WriteRun run;
        int r = run_prepare(&run, s);

        return r < 0 ? r : run_end(s, &run, run_write(&run));
}

int journal_write(Store *s)
{
        Journal *j = &s->journal;

        if (j->write)
                return STORE_WRITING;
        if (j->replace && journal_replace_from(s, j->unwritten) < 0)
                return -ENOMEM;
        while (j->unwritten) {
                WriteRun *run = run_for_writer(s);
                int r;

                if (run && run_prepare(run, s) >= 0) {
                        if (!run_in_writer(s, run, &r))
                                return STORE_WRITING;
                } else {
                        free(run);
                        r = write_here(s);
                }
                if (r < 0)
                        return r;
        }
        j->refusing = j->overdue = false;
        journal_unlink_abandoned(s);
        spill(s);
        return 0;
}

int journal_commit(Store *s)
{
        Journal *j = &s->journal;

        if (s->homeless) {
                j->refusing = true;
                return STORE_HELD;
        }
        if (j->unwritten && (!j->degraded || clock_monotonic_usec() >= j->retry_usec))
                (void)journal_write(s);
        if (j->hole && j->hole_sequence > j->valid && j->unwritten)
                return STORE_LOST;
        if (j->write && !journal_is_behind(j))
                return STORE_WRITING;
        return j->unwritten ? STORE_HELD : 0;
}

int store_commit(Store *s)
{
        Journal *j = &s->journal;
        int r = journal_commit(s);

        if ((r == 0 || r == STORE_WRITING) && j->unsynced_bytes > UNSYNCED_BYTES_MAX && !j->sync)
                store_sync_begin(s);
        return r;
}
