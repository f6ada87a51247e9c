/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/content-writer.h"

#include <errno.h>
#include <fcntl.h>

#define UNSYNCED_BYTES_MAX (UINT64_C(16) << 20)

void content_writer_init(ContentWriter *w, Store *s)
{
        *w = (ContentWriter){ .store = s, .fd = -1 };
}

static int sync_segment(ContentWriter *w)
{
        int r = 0;

        if (w->fd >= 0 && w->unsynced_bytes > 0)
                r = w->store->io->fdatasync(w->store->io, w->fd);
        if (r >= 0)
                w->unsynced_bytes = 0;
        worker_progress(w->store->worker);
        return r;
}

static int close_segment(ContentWriter *w)
{
        int r = sync_segment(w), c;

        if (w->fd < 0)
                return 0;
        c = w->store->io->close(w->store->io, w->fd);
        w->fd = -1;
        w->segment = NULL;
        return r < 0 ? r : c;
}

static int open_segment(ContentWriter *w, uint64_t record_size)
{
        Store *s = w->store;
        uint8_t header[sizeof(FormatSegment)];
        char name[SEGMENT_NAME_SIZE];
        Segment **segments, *segment;
        int r;

        segments = reallocarray(w->segments, w->n_segments + 1, sizeof(Segment *));
        if (!segments)
                return -ENOMEM;
        w->segments = segments;
        r = store_new_segment(s, FORMAT_SEGMENT_CONTENT, MAX(s->segment_size, sizeof(header) + record_size),
                              0, 0, 0, &segment);
        if (r < 0)
                return r;
        w->segments[w->n_segments++] = segment;
        segment_name(segment->number, name);
        w->fd = s->io->openat(s->io, s->log_dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (w->fd < 0)
                return w->fd;
        w->segment = segment;
        w->folder_dirty = true;
        segment_encode_header(segment, s->id, header);
        w->end = sizeof(header);
        w->unsynced_bytes += sizeof(header);
        return io_pwrite_all(s->io, w->fd, header, sizeof(header), 0);
}

static int note_location(ContentWriter *w, const StoreLocation *location)
{
        if (w->n_locations == w->n_allocated) {
                size_t n = MAX(w->n_allocated * 2, (size_t)64);
                StoreLocation *locations = reallocarray(w->locations, n, sizeof(StoreLocation));

                if (!locations)
                        return -ENOMEM;
                w->locations = locations;
                w->n_allocated = n;
        }
        w->locations[w->n_locations++] = *location;
        return 0;
}

static int write_record(ContentWriter *w, uint16_t kind, const void *key, size_t key_size, const Bytes *blob,
                        StoreLocation *location)
{
        static const uint8_t padding[FORMAT_ALIGNMENT];
        uint64_t head_size = record_head_size(0, key_size, 0);
        _cleanup_free_ uint8_t *head = malloc(head_size);
        FormatRecord header = {
                .mark = w->segment->record_mark,
                .kind = kind,
                .key_size = (uint8_t)key_size,
                .time_usec = w->store->now_usec(),
                .blob_size = blob->size,
                .blob_segment = w->segment->number,
                .blob_offset = w->end + head_size,
        };
        struct iovec iov[3];
        int r;

        if (!head)
                return -ENOMEM;
        memcpy(header.blob_digest, location->digest, sizeof(header.blob_digest));
        record_encode_head(&header, NULL, key, NULL, head);
        iov[0] = (struct iovec){ .iov_base = head, .iov_len = head_size };
        iov[1] = (struct iovec){ .iov_base = (void *)blob->data, .iov_len = blob->size };
        iov[2] = (struct iovec){ .iov_base = (void *)padding,
                                 .iov_len = format_align(blob->size) - blob->size };
        r = io_pwritev_all(w->store->io, w->fd, iov, ELEMENTSOF(iov), (off_t)w->end, NULL, NULL);
        if (r < 0)
                return r;
        location->segment = header.blob_segment;
        location->offset = header.blob_offset;
        location->size = blob->size;
        w->end += head_size + format_align(blob->size);
        w->unsynced_bytes += head_size + format_align(blob->size);
        w->written_bytes += head_size + format_align(blob->size);
        store_set_segment_size(w->store, w->segment, w->end, 0);
        return 0;
}

int content_writer_put(ContentWriter *w, uint16_t kind, const void *key, size_t key_size, const Bytes *blob,
                       const uint8_t digest[static STORE_DIGEST_SIZE], StoreLocation *ret)
{
        uint64_t size = record_head_size(0, key_size, 0) + format_align(blob->size);
        StoreLocation location = { 0 };
        int r = 0;

        if (w->segment && w->end + size > w->store->segment_size && w->end > sizeof(FormatSegment))
                r = close_segment(w);
        if (r >= 0 && !w->segment)
                r = open_segment(w, size);
        memcpy(location.digest, digest, sizeof(location.digest));
        if (r >= 0)
                r = write_record(w, kind, key, key_size, blob, &location);
        if (r >= 0)
                r = note_location(w, &location);
        if (r >= 0 && w->unsynced_bytes >= UNSYNCED_BYTES_MAX)
                r = sync_segment(w);
        if (r < 0)
                return r;
        *ret = location;
        return 0;
}

int content_writer_finish(ContentWriter *w)
{
        Store *s = w->store;
        int r = close_segment(w);

        if (r >= 0 && w->folder_dirty)
                r = s->io->fsync(s->io, s->log_dirfd);
        if (r < 0)
                return r;
        store_lock(s);
        for (size_t i = 0; i < w->n_locations; i++)
                (void)index_put(&s->index, &w->locations[i]);
        for (size_t i = 0; i < w->n_segments; i++)
                w->segments[i]->sealed = w->segments[i]->indexed = w->segments[i]->referenced = true;
        store_unlock(s);
        w->n_segments = 0; /* the table's from now on */
        return 0;
}

void content_writer_done(ContentWriter *w)
{
        Store *s = w->store;

        if (w->fd >= 0)
                s->io->close(s->io, w->fd);
        for (size_t i = 0; i < w->n_segments; i++) {
                char name[SEGMENT_NAME_SIZE];

                segment_name(w->segments[i]->number, name);
                (void)s->io->unlinkat(s->io, s->log_dirfd, name);
                store_forget_segment(s, w->segments[i]);
        }
        free(w->segments);
        free(w->locations);
        content_writer_init(w, s);
}
