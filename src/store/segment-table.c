/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "store/digest.h"
#include "store/internal.h"

void store_lock(Store *s)
{
        pthread_mutex_lock(&s->mutex);
}

void store_unlock(Store *s)
{
        pthread_mutex_unlock(&s->mutex);
}

static int insert_locked(Store *s, Segment *segment)
{
        size_t i;

        if (s->n_segments == s->n_segments_allocated) {
                size_t n = MAX(s->n_segments * 2, (size_t)16);
                Segment **segments = reallocarray(s->segments, n, sizeof(Segment *));

                if (!segments)
                        return -ENOMEM;
                s->segments = segments;
                s->n_segments_allocated = n;
        }
        for (i = s->n_segments; i > 0 && s->segments[i - 1]->number > segment->number; i--)
                s->segments[i] = s->segments[i - 1];
        s->segments[i] = segment;
        s->n_segments++;
        s->next_segment = MAX(s->next_segment, segment->number + 1);
        return 0;
}

Segment *store_find_segment_locked(Store *s, uint64_t number)
{
        size_t low = 0, high = s->n_segments;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (s->segments[middle]->number < number)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < s->n_segments && s->segments[low]->number == number ? s->segments[low] : NULL;
}

static int read_segment(Store *s, uint64_t number, char **ret_error)
{
        _cleanup_segment_ Segment *segment = NULL;
        int r = segment_open(s->io, s->log_dirfd, number, &segment);

        if (r == 1) { /* a creation cut short: nothing was in it, but its number is used up */
                s->next_segment = MAX(s->next_segment, number + 1);
                return 0;
        }
        if (r == -EPROTONOSUPPORT && ret_error && !*ret_error &&
            asprintf(ret_error,
                     "Segment %010" PRIu64 ".seg of %s was written by a newer version of scenekeep, in a "
                     "format that this one does not know. Nothing was touched; install the newer version.",
                     number, s->path) < 0)
                *ret_error = NULL;
        if (r < 0)
                return r;
        if (!segment->header_intact) {
                char name[SEGMENT_NAME_SIZE];

                segment_name(number, name);
                store_damage(s, STORE_WARNING, "log", name,
                             "The header of %s/log/%s is damaged; its records are read all the same.", s->path, name);
        }
        r = insert_locked(s, segment);
        if (r >= 0)
                segment = NULL;
        return r;
}

int store_read_segments(Store *s, char **ret_error)
{
        int fd, r = 0;
        DIR *dir;

        if (s->log_dirfd < 0) /* it is not there, and reading what is left was asked for */
                return 0;
        fd = openat(s->log_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry;
                uint64_t number;

                errno = 0;
                entry = readdir(dir);
                if (!entry) {
                        r = -errno;
                        break;
                }
                if (!segment_parse_name(entry->d_name, &number))
                        continue;
                r = read_segment(s, number, ret_error);
                if (r < 0)
                        break;
        }
        closedir(dir);
        return r;
}

int store_new_segment(Store *s, uint32_t type, uint64_t capacity, uint64_t first_sequence, uint64_t follows,
                      uint32_t flags, Segment **ret)
{
        _cleanup_segment_ Segment *segment = NULL;
        int r;

        store_lock(s);
        if (s->next_segment > SEGMENT_NUMBER_MAX)
                r = -ENOSPC;
        else {
                segment = segment_new(s->next_segment, type, s->now_usec(), capacity, first_sequence, follows,
                                      flags);
                r = segment ? insert_locked(s, segment) : -ENOMEM;
        }
        store_unlock(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(segment);
        return 0;
}

Segment *store_find_segment(Store *s, uint64_t number)
{
        Segment *segment;

        store_lock(s);
        segment = store_find_segment_locked(s, number);
        store_unlock(s);
        return segment;
}

static void forget_locked(Store *s, size_t i)
{
        Segment *segment = s->segments[i];

        memmove(s->segments + i, s->segments + i + 1, (s->n_segments - i - 1) * sizeof(Segment *));
        s->n_segments--;
        /* Short of memory the index keeps pointing to a segment that is not there, which its users bear. */
        (void)index_drop_segment(&s->index, segment->number);
        segment_free(segment);
}

void store_forget_segment(Store *s, Segment *segment)
{
        store_lock(s);
        for (size_t i = 0; i < s->n_segments; i++)
                if (s->segments[i] == segment) {
                        forget_locked(s, i);
                        break;
                }
        store_unlock(s);
}

bool store_forget_unreferenced_segment(Store *s, uint64_t number)
{
        bool found = false;

        store_lock(s);
        for (size_t i = 0; i < s->n_segments && !found; i++)
                if (s->segments[i]->number == number && !s->segments[i]->referenced) {
                        forget_locked(s, i);
                        found = true;
                }
        store_unlock(s);
        return found;
}

void store_forget_unwritten_segments(Store *s, uint64_t number)
{
        store_lock(s);
        for (size_t i = s->n_segments; i-- > 0;) {
                const Segment *segment = s->segments[i];

                if (segment->type == FORMAT_SEGMENT_JOURNAL && segment->size == 0 && segment->number < number)
                        forget_locked(s, i);
        }
        store_unlock(s);
}

int store_map_segment(Store *s, uint64_t number, SegmentMap **ret, uint64_t *ret_size)
{
        Segment *segment;
        int r = -ENOENT;

        store_lock(s);
        segment = store_find_segment_locked(s, number);
        if (segment) {
                r = segment_map(s->io, s->log_dirfd, segment, ret);
                if (r >= 0)
                        *ret_size = segment->size;
        }
        store_unlock(s);
        return r;
}

int store_copy_segments(Store *s, Segment ***ret, size_t *ret_n)
{
        Segment **copy;

        store_lock(s);
        copy = calloc(s->n_segments + 1, sizeof(Segment *));
        if (copy) {
                if (s->n_segments > 0)
                        memcpy(copy, s->segments, s->n_segments * sizeof(Segment *));
                *ret_n = s->n_segments;
        }
        store_unlock(s);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

void store_seal_segment(Store *s, Segment *segment)
{
        store_lock(s);
        segment->sealed = true;
        store_unlock(s);
}

void store_set_segment_size(Store *s, Segment *segment, uint64_t size, uint64_t last_sequence)
{
        store_lock(s);
        segment->size = size;
        segment->last_sequence = MAX(segment->last_sequence, last_sequence);
        store_unlock(s);
}

int store_map_blob(Store *s, const StoreLocation *location, Bytes **ret)
{
        _cleanup_segment_map_ SegmentMap *map = NULL;
        uint64_t size;
        Bytes *b;
        int r;

        r = store_map_segment(s, location->segment, &map, &size);
        if (r < 0)
                return r;
        if (location->offset > size || location->size > size - location->offset)
                return -EUCLEAN;
        b = segment_map_bytes(map, location->offset, location->size);
        if (!b)
                return -ENOMEM;
        *ret = b;
        return 0;
}

bool store_blob_matches(const Bytes *blob, const StoreLocation *location)
{
        uint8_t digest[DIGEST_SIZE];

        digest_buffer(blob->data, blob->size, digest);
        return memcmp(digest, location->digest, sizeof(digest)) == 0;
}

int store_blob_get_verified(Store *s, const StoreLocation *location, Bytes **ret)
{
        _cleanup_bytes_ Bytes *b = NULL;
        int r = store_blob_get(s, location, &b);

        if (r < 0)
                return r;
        if (!store_blob_matches(b, location))
                return -EUCLEAN;
        *ret = TAKE_PTR(b);
        return 0;
}

int store_scan_segment(Store *s, uint64_t number, Scanner *ret)
{
        Segment *segment;
        int r = -ENOENT;

        store_lock(s);
        segment = store_find_segment_locked(s, number);
        if (segment)
                r = scanner_init(ret, s->io, s->log_dirfd, segment);
        store_unlock(s);
        return r;
}

/* The place at which a payload is found is the one at which it is kept alive for those whose own is gone. A place in a
 * content segment is better than one in the journal, since after a restart it is still found; and the one that is
 * known is not given up for another one as good, which may be about to be removed because nobody is told of it. */
void store_index_payload(Store *s, const StoreLocation *location, bool moved)
{
        StoreLocation there = *location;
        const Segment *old = NULL, *new;
        bool must_be_found;

        store_lock(s);
        new = store_find_segment_locked(s, location->segment);
        must_be_found = moved || (new && new->type == FORMAT_SEGMENT_CONTENT);
        if (index_find(&s->index, &there))
                old = store_find_segment_locked(s, there.segment);
        if (old && there.offset >= old->superseded)
                old = NULL;
        /* Short of memory it costs deduplication, no data. */
        if (!old || (must_be_found && old->type != FORMAT_SEGMENT_CONTENT))
                (void)(must_be_found || location->size >= INDEXED_SIZE_MIN ? index_put(&s->index, location) :
                                                                             index_put_recent(&s->index, location));
        store_unlock(s);
}

/* The newest content segment whose payloads are not all in the index; 0: none. */
static uint64_t find_unindexed(Store *s)
{
        uint64_t number = 0;

        store_lock(s);
        for (size_t i = s->n_segments; i-- > 0 && number == 0;) {
                const Segment *segment = s->segments[i];

                if (segment->type == FORMAT_SEGMENT_CONTENT && segment->sealed && !segment->indexed)
                        number = segment->number;
        }
        store_unlock(s);
        return number;
}

int store_index_content(Store *s)
{
        uint64_t number = find_unindexed(s);
        Segment *segment;
        RecordHead head;
        Scanner sc;
        int r;

        if (number == 0)
                return 0;
        r = store_scan_segment(s, number, &sc);
        if (r < 0)
                return r;
        while ((r = scanner_next(&sc, &head)) > 0) {
                StoreLocation here;

                if (r == SCANNER_DAMAGE)
                        continue;
                record_get_location(&head, &here);
                store_index_payload(s, &here, false);
        }
        scanner_done(&sc);
        if (r < 0)
                return r;
        store_lock(s);
        segment = store_find_segment_locked(s, number);
        if (segment)
                segment->indexed = true;
        store_unlock(s);
        return 1;
}

static int refresh_from_index(Store *s, StoreLocation *location)
{
        StoreLocation found = *location;
        const Segment *segment;
        int r = -ENOENT;

        store_lock(s);
        segment = location->segment > 0 ? store_find_segment_locked(s, location->segment) : NULL;
        if (segment && location->offset < segment->superseded)
                r = 0;
        else if (index_find(&s->index, &found) && store_find_segment_locked(s, found.segment)) {
                *location = found;
                r = 1;
        }
        store_unlock(s);
        return r;
}

int store_refresh(Store *s, StoreLocation *location)
{
        int r;

        if (location->size == 0)
                return 0;
        do
                r = refresh_from_index(s, location);
        while (r == -ENOENT && store_index_content(s) > 0);
        return r;
}

bool store_find_payload(Store *s, StoreLocation *location)
{
        StoreLocation found = *location;
        Segment *segment = NULL;

        store_lock(s);
        if (index_find(&s->index, &found))
                segment = store_find_segment_locked(s, found.segment);
        if (segment) {
                segment->referenced = true;
                *location = found;
        }
        store_unlock(s);
        return segment;
}

int store_location_refresh(Store *s, StoreLocation *location)
{
        return store_refresh(s, location);
}

bool store_damaged_segment(Store *s, uint64_t *ret_segment)
{
        bool found = false;

        store_lock(s);
        for (size_t i = 0; i < s->n_segments && !found; i++) {
                Segment *segment = s->segments[i];

                if (!segment->map || segment->broken_reported || !sigbus_region_broken(segment->map->region))
                        continue;
                segment->broken_reported = true;
                *ret_segment = segment->number;
                found = true;
        }
        store_unlock(s);
        return found;
}
