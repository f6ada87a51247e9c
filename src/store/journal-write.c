/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>

#include "store/journal-internal.h"

#define RUN_PENDINGS_MAX 256u
#define UNSYNCED_BYTES_MAX (UINT64_C(32) << 20)

JournalFile *journal_find_file(Journal *j, const Segment *segment)
{
        for (size_t i = 0; i < j->n_files; i++)
                if (j->files[i].segment == segment)
                        return &j->files[i];
        return NULL;
}

int journal_add_file(Journal *j, Segment *segment, int fd)
{
        JournalFile *files = reallocarray(j->files, j->n_files + 1, sizeof(JournalFile));

        if (!files)
                return -ENOMEM;
        j->files = files;
        j->files[j->n_files++] = (JournalFile){ .segment = segment, .fd = fd, .dirty = true };
        j->folder_dirty = true; /* its name may not be on the disk either */
        return 0;
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

/* Makes the segment's file with its header in it. */
static int open_file(Store *s, Segment *segment, JournalFile **ret)
{
        Journal *j = &s->journal;
        uint8_t header[sizeof(FormatSegment)];
        char name[SEGMENT_NAME_SIZE];
        int fd, r;

        *ret = journal_find_file(j, segment);
        if (*ret)
                return 0;
        segment_name(segment->number, name);
        fd = s->io->openat(s->io, s->log_dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd < 0)
                return fd;
        segment_encode_header(segment, s->id, header);
        r = io_pwrite_all(s->io, fd, header, sizeof(header), 0);
        if (r >= 0)
                r = journal_add_file(j, segment, fd);
        if (r < 0) {
                s->io->close(s->io, fd);
                (void)s->io->unlinkat(s->io, s->log_dirfd, name);
                return r;
        }
        store_set_segment_size(s, segment, sizeof(header), 0);
        *ret = &j->files[j->n_files - 1];
        return 0;
}

static void mark_written(Store *s, Pending *p)
{
        Journal *j = &s->journal;

        store_set_segment_size(s, p->segment, p->offset + pending_size(p), p->header.sequence);
        j->unsynced_bytes += pending_size(p);
        j->unwritten = p->next;
}

/* Writes neighbours in one file with one call. Whole records that got through count, even if the call failed.
 */
static int write_run(Store *s, JournalFile *file)
{
        static const uint8_t padding[FORMAT_ALIGNMENT];
        struct iovec iov[RUN_PENDINGS_MAX * 3];
        Pending *p = s->journal.unwritten;
        uint64_t start = p->offset;
        size_t written;
        int n_iov = 0, r;

        for (unsigned n = 0; p && p->segment == file->segment && n < RUN_PENDINGS_MAX; p = p->next, n++) {
                iov[n_iov++] = (struct iovec){ .iov_base = p->head, .iov_len = p->head_size };
                if (p->blob) {
                        iov[n_iov++] =
                                (struct iovec){ .iov_base = (void *)p->blob->data, .iov_len = p->blob->size };
                        iov[n_iov++] = (struct iovec){ .iov_base = (void *)padding,
                                                       .iov_len = pending_blob_size(p) - p->blob->size };
                }
        }
        file->dirty = true;
        r = io_pwritev_all(s->io, file->fd, iov, n_iov, (off_t)start, &written);
        for (Pending *q = s->journal.unwritten; q != p && q->offset + pending_size(q) <= start + written;
             q = q->next)
                mark_written(s, q);
        return r;
}

/* What a failed write left behind the last whole record is in the way of a full disk's recovery. */
static void write_failed(Store *s, Segment *segment, int error)
{
        Journal *j = &s->journal;
        JournalFile *file = journal_find_file(j, segment);
        char name[SEGMENT_NAME_SIZE];

        segment_name(segment->number, name);
        journal_set_degraded(s, "Writing", name, error);
        j->retry_usec = clock_monotonic_usec() + j->retry_delay_usec;
        if (segment->size > segment->header_size)
                (void)s->io->ftruncate(s->io, file->fd, (off_t)segment->size);
        else if (file && !file->syncing) {
                journal_close_file(s, file);
                (void)s->io->unlinkat(s->io, s->log_dirfd, name);
                store_set_segment_size(s, segment, 0, 0);
        }
        (void)journal_replace_from(s, j->unwritten);
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

int journal_write(Store *s)
{
        Journal *j = &s->journal;

        if (j->replace && journal_replace_from(s, j->unwritten) < 0)
                return -ENOMEM;
        while (j->unwritten) {
                Segment *segment = j->unwritten->segment;
                JournalFile *file;
                int r = open_file(s, segment, &file);

                if (r >= 0)
                        r = write_run(s, file);
                if (r < 0) {
                        write_failed(s, segment, r);
                        return r;
                }
        }
        journal_unlink_abandoned(s);
        spill(s);
        return 0;
}

int journal_commit(Store *s)
{
        Journal *j = &s->journal;

        if (j->unwritten && (!j->degraded || clock_monotonic_usec() >= j->retry_usec))
                (void)journal_write(s);
        if (j->unwritten)
                return j->hole && j->hole_sequence > j->valid ? STORE_LOST : STORE_HELD;
        return 0;
}

int store_commit(Store *s)
{
        Journal *j = &s->journal;
        int r = journal_commit(s);

        if (r == 0 && j->unsynced_bytes > UNSYNCED_BYTES_MAX && !j->sync)
                store_sync_begin(s);
        return r;
}
