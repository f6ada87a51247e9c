/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/digest.h"
#include "store/journal-internal.h"

/* While this part of what may be held waits for a disk that is slow, no more is to come. */
#define BEHIND_PART 4u

void journal_init(Journal *j, uint64_t retry_usec)
{
        *j = (Journal){ .retry_delay_usec = retry_usec, .retry_delay_min_usec = retry_usec };
}

static void pending_free(Pending *p)
{
        bytes_unref(p->blob);
        free(p);
}

static void drop_all(Store *s)
{
        Journal *j = &s->journal;

        for (Pending *p = j->first, *next; p; p = next) {
                next = p->next;
                pending_free(p);
        }
        j->first = j->last = j->unwritten = j->unspilled = NULL;
        for (size_t i = 0; i < j->n_files; i++)
                if (j->files[i].fd >= 0)
                        s->io->close(s->io, j->files[i].fd);
        j->n_files = 0;
}

void journal_start_over(Store *s)
{
        Journal *j = &s->journal;

        drop_all(s);
        j->active = NULL;
        j->n_abandoned = 0;
        j->held_bytes = j->unsynced_bytes = j->unwritten_bytes = 0;
        j->folder_dirty = true;
        j->refusing = j->overdue = j->replace = false;
        j->valid = j->durable; /* what was not durable is in no journal now */
        j->hole = true;
        j->hole_sequence = j->sequence;
        s->snapshot_wants_all = true;
}

void journal_done(Store *s)
{
        Journal *j = &s->journal;

        drop_all(s);
        free(j->files);
        free(j->abandoned);
        free(j->degraded);
        *j = (Journal){ 0 };
}

void journal_start(Store *s, uint64_t sequence, uint64_t valid, uint64_t durable)
{
        s->journal.sequence = sequence;
        s->journal.valid = valid;
        s->journal.written = valid;
        s->journal.durable = MIN(durable, valid);
        s->journal.marked = s->journal.durable;
}

static void enqueue(Journal *j, Pending *p, bool written)
{
        if (j->last)
                j->last->next = p;
        else
                j->first = p;
        j->last = p;
        if (!written && !j->unwritten)
                j->unwritten = p;
        if (!j->unspilled)
                j->unspilled = p;
        p->held = pending_size(p);
        if (!written)
                j->unwritten_bytes += p->held;
        j->held_bytes += p->held;
}

/* Decides where a record goes: behind the last one, or into a new segment when that is full. A jump in the
 * numbers has to be declared by a segment's header. */
static int place(Store *s, Pending *p)
{
        Journal *j = &s->journal;
        uint64_t size = pending_size(p);
        uint64_t sequence = p->header.sequence ?: j->valid + 1;
        bool full =
                j->active && j->active_end > j->active->header_size && j->active_end + size > s->segment_size;

        if (full || (j->active && sequence != j->valid + 1)) {
                store_seal_segment(s, j->active);
                j->active = NULL;
        }
        if (!j->active) {
                bool lost = j->hole_sequence > j->valid && j->hole_sequence < sequence;
                int r = store_new_segment(s, FORMAT_SEGMENT_JOURNAL,
                                          MAX(s->segment_size, sizeof(FormatSegment) + size),
                                          p->header.sequence ?: j->sequence + 1, j->valid,
                                          lost ? FORMAT_SEGMENT_AFTER_LOSS : 0, &j->active);
                if (r < 0)
                        return r;
                j->active_end = j->active->header_size;
        }
        p->segment = j->active;
        p->offset = j->active_end;
        j->active_end += size;
        if (p->header.sequence > 0)
                j->valid = p->header.sequence;
        return 0;
}

/* The header says where the record lies, so it is made when that is known, and again when it moves. */
static void encode(Store *s, Pending *p, const void *author, const void *key, const void *meta, bool moved)
{
        FormatRecord *h = &p->header;
        StoreLocation location = { .size = h->blob_size };

        h->mark = p->segment->record_mark;
        h->durable = s->journal.durable;
        memcpy(location.digest, h->blob_digest, sizeof(location.digest));
        if (p->blob) {
                h->blob_segment = location.segment = p->segment->number;
                h->blob_offset = location.offset = p->offset + p->head_size;
                if (moved || h->blob_size >= DEDUPLICATE_SIZE_MIN)
                        store_index_payload(s, &location, moved);
        } else if (moved && h->blob_size > 0) {
                store_lock(s);
                if (index_find(&s->index, &location)) {
                        h->blob_segment = location.segment;
                        h->blob_offset = location.offset;
                }
                store_unlock(s);
        }
        record_encode_head(h, author, key, meta, p->head);
}

int journal_replace_from(Store *s, Pending *from)
{
        Journal *j = &s->journal;
        uint64_t valid = j->durable;
        uint64_t first_new = s->next_segment;

        if (j->active)
                store_seal_segment(s, j->active);
        j->active = NULL;
        /* The new segment follows the last record that stays where it is. */
        for (Pending *p = j->first; p && p != from; p = p->next)
                valid = MAX(valid, p->header.sequence);
        j->valid = valid;
        j->unwritten = from;
        j->unwritten_bytes = 0;
        j->replace = true;
        store_lock(s);
        for (Pending *p = from; p; p = p->next) {
                p->segment->superseded = MIN(p->segment->superseded, p->offset);
                j->unwritten_bytes += pending_size(p);
        }
        store_unlock(s);
        for (Pending *p = from; p; p = p->next) {
                const uint8_t *author = p->head + sizeof(FormatRecord);
                const uint8_t *key = author + p->header.author_size;
                int r = place(s, p);

                if (r < 0)
                        return r;
                encode(s, p, author, key, key + p->header.key_size, true);
        }
        j->replace = false;
        store_forget_unwritten_segments(s, first_new);
        return 0;
}

void journal_degrade(Store *s, StoreLevel level, char *text)
{
        Journal *j = &s->journal;

        if (!text)
                return;
        if (j->degraded && strcmp(j->degraded, text) == 0) {
                free(text);
                return;
        }
        free(j->degraded);
        j->degraded = text;
        j->degraded_level = level;
        if (s->events.degraded)
                s->events.degraded(s->events.userdata, level, j->degraded);
}

void journal_set_degraded(Store *s, const char *what, const char *segment, int error)
{
        char *text;

        s->stats.n_failures++;
        s->journal.error = error;
        if (asprintf(&text,
                     "%s %s/log/%s failed: %s. Everything is held in memory and written when the disk allows "
                     "it; "
                     "free space or repair the disk.",
                     what, s->path, segment, strerror(-error)) >= 0)
                journal_degrade(s, STORE_ERROR, text);
}

void journal_set_unanswered(Store *s, const char *what, const char *consequence)
{
        char *text;

        if (asprintf(&text, "The disk of %s does not answer: %s has not come to an end. %s; check the disk.", s->path,
                     what, consequence) >= 0)
                journal_degrade(s, STORE_ERROR, text);
}

void journal_set_slow(Store *s, const char *what, const char *consequence)
{
        char *text;

        journal_still_slow(s);
        if (asprintf(&text, "The disk of %s is slow: %s has been under way for some time. %s; see what else uses the disk.",
                     s->path, what, consequence) >= 0)
                journal_degrade(s, STORE_WARNING, text);
}

void journal_still_slow(Store *s)
{
        s->journal.calm_until_usec = clock_monotonic_usec() + s->calm_usec;
}

void journal_clear_degraded(Store *s)
{
        Journal *j = &s->journal;

        if (!j->degraded || j->unwritten || j->hole || s->astray)
                return;
        /* A busy disk is slow now and then: that is one state, not a warning and an all-clear again and again. */
        if (j->degraded_level == STORE_WARNING && clock_monotonic_usec() < j->calm_until_usec)
                return;
        free(j->degraded);
        j->degraded = NULL;
        if (s->events.degraded)
                s->events.degraded(s->events.userdata, j->degraded_level, NULL);
}

/* ---- appending ---- */

/* Whether a mapped range is in memory: the event loop must not wait for a disk just to save space. */
static bool is_resident(const Bytes *b)
{
        long page = sysconf(_SC_PAGESIZE);
        uintptr_t start = (uintptr_t)b->data & ~((uintptr_t)page - 1);
        uintptr_t end = (uintptr_t)b->data + b->size;
        unsigned char resident[1024];

        while (start < end) {
                size_t size = MIN((size_t)(end - start), sizeof(resident) * (size_t)page);

                if (mincore((void *)start, size, resident) < 0)
                        return false;
                for (size_t i = 0; i < (size + (size_t)page - 1) / (size_t)page; i++)
                        if (!(resident[i] & 1))
                                return false;
                start += size;
        }
        return true;
}

/* What is unwritten stands in the order of its places. */
static bool is_before(const StoreLocation *location, const Pending *p)
{
        return location->segment < p->segment->number ||
               (location->segment == p->segment->number && location->offset < p->offset);
}

static bool find_unwritten(Store *s, const StoreLocation *location, Bytes **ret)
{
        for (Pending *p = s->journal.unwritten; p && !is_before(location, p); p = p->next)
                if (p->blob && p->segment->number == location->segment &&
                    p->offset + p->head_size == location->offset && p->blob->size == location->size) {
                        *ret = bytes_ref(p->blob);
                        return true;
                }
        return false;
}

int store_blob_get(Store *s, const StoreLocation *location, Bytes **ret)
{
        if (find_unwritten(s, location, ret))
                return 0;
        return store_map_blob(s, location, ret);
}

/* Looks for the payload in the log. What is found is compared byte by byte, so that what has rotted there is
 * not pointed to while we have it intact. */
static bool deduplicate(Store *s, const StoreRecord *record, StoreLocation *location)
{
        _cleanup_bytes_ Bytes *there = NULL;
        StoreLocation found = *location;

        if (record->blob->size < DEDUPLICATE_SIZE_MIN || !store_find_payload(s, &found))
                return false;
        if (!find_unwritten(s, &found, &there) &&
            (store_map_blob(s, &found, &there) < 0 || !is_resident(there)))
                return false;
        if (!bytes_equal(there, record->blob))
                return false;
        *location = found;
        s->stats.deduplicated++;
        return true;
}

static bool record_is_valid(const StoreRecord *r)
{
        return r->kind > 0 && r->kind <= STORE_KIND_MAX && !(r->flags & STORE_RECORD_REFERENCE) &&
               r->author_size <= STORE_AUTHOR_MAX && r->key_size <= STORE_KEY_MAX &&
               r->meta_size <= STORE_META_MAX;
}

static uint64_t next_time(Store *s)
{
        uint64_t now = s->now_usec();

        /* A clock set back by NTP must not make times fall within the journal. One that was an hour wrong
         * may. */
        if (now < s->journal.time_usec && s->journal.time_usec - now < UINT64_C(3600000000))
                now = s->journal.time_usec;
        s->journal.time_usec = now;
        return now;
}

/* Behind a hole nothing more is taken until what is held has been written. A disk that is only slow makes none: see
 * store_is_behind(). */
static bool is_lost(Store *s, const StoreRecord *record)
{
        Journal *j = &s->journal;

        if (!j->degraded || !j->unwritten || (!j->hole && (j->write || j->degraded_level < STORE_ERROR)))
                return false;
        if (j->hole && j->hole_sequence > j->valid)
                return true;
        return j->held_bytes + record->meta_size + (record->blob ? record->blob->size : 0) > s->queue_limit;
}

static void make_hole(Store *s)
{
        Journal *j = &s->journal;

        j->sequence++;
        if (!j->hole)
                store_problem(
                        s, STORE_ERROR,
                        "The disk of %s refuses writes and the %" PRIu64 " MiB that may be held in "
                        "memory are used up: what happens now is not journalled, until the disk takes writes "
                        "again and a snapshot of everything has been made. Free space on the disk.",
                        s->path, s->queue_limit >> 20);
        j->hole = j->refusing = true;
        j->hole_sequence = j->sequence;
        s->snapshot_wants_all = true;
}

static Pending *pending_new(const StoreRecord *record, const StoreLocation *location, bool reference)
{
        uint64_t head_size = record_head_size(record->author_size, record->key_size, record->meta_size);
        Pending *p = calloc(1, sizeof(Pending) + head_size);

        if (!p)
                return NULL;
        p->head_size = head_size;
        p->header = (FormatRecord){
                .kind = record->kind,
                .flags = (uint16_t)(record->flags | (reference ? STORE_RECORD_REFERENCE : 0)),
                .author_size = (uint8_t)record->author_size,
                .key_size = (uint8_t)record->key_size,
                .meta_size = (uint32_t)record->meta_size,
                .blob_size = location->size,
                .blob_segment = location->segment,
                .blob_offset = location->offset,
        };
        memcpy(p->header.blob_digest, location->digest, sizeof(p->header.blob_digest));
        if (location->size > 0 && !reference)
                p->blob = bytes_ref(record->blob);
        return p;
}

int store_append(Store *s, const StoreRecord *record, uint64_t *ret_sequence, StoreLocation *ret_blob)
{
        Journal *j = &s->journal;
        StoreLocation location = { 0 };
        bool reference = false;
        Pending *p;
        int r;

        assert(!(s->flags & STORE_OPEN_READ_ONLY));
        if (!record_is_valid(record))
                return -EINVAL;
        if (is_lost(s, record)) {
                make_hole(s);
                return STORE_LOST;
        }
        if (record->blob && record->blob->size > 0) {
                location.size = record->blob->size;
                if (record->digest)
                        memcpy(location.digest, record->digest, sizeof(location.digest));
                else
                        digest_buffer(record->blob->data, record->blob->size, location.digest);
                reference = deduplicate(s, record, &location);
        }
        p = pending_new(record, &location, reference);
        if (!p)
                return -ENOMEM;
        p->header.sequence = j->sequence + 1;
        p->header.time_usec = next_time(s);
        r = place(s, p);
        if (r < 0) {
                pending_free(p);
                return r;
        }
        encode(s, p, record->author, record->key, record->meta, false);
        j->sequence++;
        enqueue(j, p, false);
        s->stats.n_records++;
        s->stats.received_bytes += location.size;
        s->stats.written_bytes += pending_size(p);
        location.segment = p->header.blob_segment;
        location.offset = p->header.blob_offset;
        if (ret_sequence)
                *ret_sequence = p->header.sequence;
        if (ret_blob)
                *ret_blob = location;
        return j->degraded && (j->degraded_level == STORE_ERROR || journal_is_behind(j)) ? STORE_HELD : 0;
}

void journal_mark(Store *s)
{
        StoreRecord record = { 0 };
        StoreLocation nowhere = { 0 };
        Journal *j = &s->journal;
        Pending *p;

        if (j->durable == j->marked || !j->active || j->unwritten)
                return;
        p = pending_new(&record, &nowhere, false);
        if (!p)
                return;
        p->header.kind = FORMAT_KIND_SYNC_MARK;
        p->header.time_usec = s->now_usec();
        if (place(s, p) < 0) {
                pending_free(p);
                return;
        }
        encode(s, p, NULL, NULL, NULL, false);
        enqueue(j, p, false);
        if (journal_write(s) >= 0)
                j->marked = j->durable;
}

/* So that the first sync covers it. */
static int adopt_file(Store *s, Segment *segment)
{
        char name[SEGMENT_NAME_SIZE];
        int fd, r;

        if (journal_find_file(&s->journal, segment))
                return 0;
        segment_name(segment->number, name);
        fd = s->io->openat(s->io, s->log_dirfd, name, O_RDWR | O_NOFOLLOW, 0);
        if (fd < 0)
                return fd;
        r = journal_add_file(&s->journal, segment, fd);
        if (r < 0)
                s->io->close(s->io, fd);
        return r;
}

int journal_adopt(Store *s, Segment *segment, const RecordHead *head)
{
        Pending *p;
        int r;

        r = adopt_file(s, segment);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(Pending) + (head->blob_start - head->offset));
        if (!p)
                return -ENOMEM;
        p->segment = segment;
        p->offset = head->offset;
        p->head_size = head->blob_start - head->offset;
        p->header = head->header;
        record_encode_head(&head->header, head->author, head->key, head->meta, p->head);
        if (head->end > head->blob_start) {
                StoreLocation location;

                record_get_location(head, &location);
                r = store_map_blob(s, &location, &p->blob);
                if (r < 0) {
                        free(p);
                        return r;
                }
        }
        enqueue(&s->journal, p, true);
        return 0;
}

void journal_snapshot_complete(Store *s, uint64_t sequence)
{
        Journal *j = &s->journal;

        if (!j->hole || sequence < j->hole_sequence)
                return;
        j->hole = false;
        /* What was not journalled will not become durable in any other way, and may be waited for. */
        if (!j->first && j->durable < j->hole_sequence) {
                j->durable = j->hole_sequence;
                if (s->events.durable)
                        s->events.durable(s->events.userdata, j->durable);
        }
        journal_clear_degraded(s);
}

uint64_t store_sequence(const Store *s)
{
        return s->journal.sequence;
}

uint64_t store_valid_sequence(const Store *s)
{
        return s->journal.valid;
}

uint64_t store_written_sequence(const Store *s)
{
        const Journal *j = &s->journal;

        return j->unwritten && !journal_is_behind(j) ? j->written : j->sequence;
}

uint64_t store_durable_sequence(const Store *s)
{
        return s->journal.durable;
}

const char *store_degraded(const Store *s)
{
        return s->journal.degraded;
}

bool store_is_behind(const Store *s)
{
        return s->journal.write && s->journal.unwritten_bytes > s->queue_limit / BEHIND_PART;
}

bool store_has_everything(const Store *s)
{
        return !s->journal.unwritten && !s->journal.hole;
}

uint64_t store_held_bytes(const Store *s)
{
        return s->journal.held_bytes;
}
