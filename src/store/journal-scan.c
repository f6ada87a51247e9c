/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/journal-scan.h"

#include <errno.h>
#include <inttypes.h>

#include "store/internal.h"

/* A damaged range of a segment. */
typedef struct Damage {
        const Segment *segment;
        uint64_t start;
        uint64_t end;
} Damage;

typedef struct Scan {
        JournalScan *result;
        Segment **segments; /* of the journal, ascending */
        size_t n_segments;
        Damage *damage;
        size_t n_damage;
} Scan;

JournalScan *journal_scan_free(JournalScan *scan)
{
        if (scan) {
                free(scan->items);
                free(scan);
        }
        return NULL;
}

static int add_item(JournalScan *scan, const RecordHead *head, const Segment *segment)
{
        if (scan->n_items == scan->n_allocated) {
                size_t n = MAX(scan->n_allocated * 2, (size_t)256);
                JournalItem *items = reallocarray(scan->items, n, sizeof(JournalItem));

                if (!items)
                        return -ENOMEM;
                scan->items = items;
                scan->n_allocated = n;
        }
        scan->items[scan->n_items++] = (JournalItem){
                .sequence = head->header.sequence,
                .offset = head->offset,
                .segment = (uint32_t)segment->number,
                .flags = head->header.flags,
        };
        return 0;
}

static int add_damage(Scan *scan, const Segment *segment, uint64_t start, uint64_t end)
{
        Damage *damage = reallocarray(scan->damage, scan->n_damage + 1, sizeof(Damage));

        if (!damage)
                return -ENOMEM;
        scan->damage = damage;
        scan->damage[scan->n_damage++] = (Damage){ segment, start, end };
        return 0;
}

static int scan_segment(Store *s, Scan *scan, Segment *segment)
{
        JournalScan *result = scan->result;
        RecordHead head;
        Scanner sc;
        int r;

        r = scanner_init(&sc, s->io, s->log_dirfd, segment);
        if (r < 0)
                return r;
        while ((r = scanner_next(&sc, &head)) > 0) {
                if (r == SCANNER_DAMAGE) {
                        r = add_damage(scan, segment, sc.damage_start, sc.damage_end);
                        if (r < 0)
                                break;
                        continue;
                }
                result->durable = MAX(result->durable, head.header.durable);
                segment->last_sequence = MAX(segment->last_sequence, head.header.sequence);
                result->sequence = MAX(result->sequence, head.header.sequence);
                if (head.header.sequence <= result->from)
                        continue;
                r = add_item(result, &head, segment);
                if (r < 0)
                        break;
        }
        result->sequence = MAX(result->sequence, sc.torn_sequence);
        scanner_done(&sc);
        return r;
}

/* What a segment's header declares void: numbers between the record it follows and its first. */
static void drop_void(JournalScan *scan, const Segment *segment)
{
        size_t n = 0;

        if (!segment->header_intact || segment->first_sequence <= segment->follows + 1)
                return;
        for (size_t i = 0; i < scan->n_items; i++) {
                uint64_t sequence = scan->items[i].sequence;

                if (sequence <= segment->follows || sequence >= segment->first_sequence)
                        scan->items[n++] = scan->items[i];
        }
        scan->n_items = n;
}

static int compare_items(const void *a, const void *b)
{
        const JournalItem *x = a, *y = b;

        if (x->sequence != y->sequence)
                return x->sequence < y->sequence ? -1 : 1;
        return x->segment > y->segment ? -1 : x->segment < y->segment; /* newest copy first */
}

/* Records that were written anew are in the log twice. */
static void sort_items(JournalScan *scan)
{
        size_t n = 0;
        bool sorted = true;

        for (size_t i = 1; i < scan->n_items && sorted; i++)
                sorted = scan->items[i - 1].sequence < scan->items[i].sequence;
        if (sorted)
                return;
        qsort(scan->items, scan->n_items, sizeof(JournalItem), compare_items);
        for (size_t i = 0; i < scan->n_items; i++)
                if (n == 0 || scan->items[n - 1].sequence != scan->items[i].sequence)
                        scan->items[n++] = scan->items[i];
        scan->n_items = n;
}

int journal_item_read(Store *s, const JournalItem *item, SegmentMap **ret_map, RecordHead *ret)
{
        _cleanup_segment_map_ SegmentMap *map = NULL;
        Segment *segment = store_find_segment(s, item->segment);
        uint64_t size;
        int r;

        if (!segment)
                return -ENOENT;
        r = store_map_segment(s, item->segment, &map, &size);
        if (r < 0)
                return r;
        r = record_parse(map->base, size, item->offset, segment->record_mark, segment->number, ret);
        if (r != 0)
                return -EUCLEAN;
        *ret_map = TAKE_PTR(map);
        return 0;
}

/* Whether numbers are missing for a reason that a segment's header gives. Returns 1 for records that were never
 * written because the disk was full: no damage, but a gap all the same. */
static int gap_is_declared(const Scan *scan, uint64_t previous, const JournalItem *item)
{
        for (size_t i = 0; i < scan->n_segments; i++) {
                const Segment *segment = scan->segments[i];

                if (segment->number == item->segment && segment->header_intact &&
                    segment->first_sequence == item->sequence && segment->follows <= previous)
                        return segment->flags & FORMAT_SEGMENT_AFTER_LOSS ? 1 : 2;
        }
        return 0;
}

static bool item_is_intact(Store *s, const JournalItem *item)
{
        _cleanup_segment_map_ SegmentMap *map = NULL;
        _cleanup_bytes_ Bytes *blob = NULL;
        StoreLocation location;
        RecordHead head;

        if (journal_item_read(s, item, &map, &head) < 0)
                return false;
        if (head.header.blob_size == 0)
                return true;
        record_get_location(&head, &location);
        return store_refresh(s, &location) >= 0 && store_map_blob(s, &location, &blob) >= 0 &&
                store_blob_matches(blob, &location);
}

static void cut(Store *s, JournalScan *scan, size_t at)
{
        for (size_t i = at; i < scan->n_items; i++) {
                _cleanup_segment_map_ SegmentMap *map = NULL;
                RecordHead head;

                if (journal_item_read(s, &scan->items[i], &map, &head) >= 0)
                        scan->cut_bytes += head.end - head.offset;
                scan->cut_records++;
        }
        scan->n_items = at;
}

/* Walks the numbers: marks gaps, finds where to cut. */
static void judge(Store *s, Scan *scan)
{
        JournalScan *result = scan->result;
        uint64_t previous = result->from;

        for (size_t i = 0; i < result->n_items; i++) {
                JournalItem *item = &result->items[i];

                if (item->sequence != previous + 1) {
                        int declared = gap_is_declared(scan, previous, item);

                        if (declared == 0 && previous + 1 > result->durable) {
                                cut(s, result, i);
                                break;
                        }
                        item->gap = declared < 2;
                        result->n_gaps += declared == 0;
                }
                if (item->sequence > result->durable && !item_is_intact(s, item)) {
                        cut(s, result, i);
                        break;
                }
                previous = item->sequence;
        }
        result->valid = previous;
        if (previous < result->durable) {
                result->missing_last = result->durable;
                result->n_gaps++;
        }
        result->sequence = MAX(result->sequence, previous);
        result->sequence = MAX(result->sequence, result->durable);
}

static void report(Store *s, const Scan *scan)
{
        const JournalScan *result = scan->result;
        uint64_t previous = result->from;

        for (size_t i = 0; i < result->n_items; i++) {
                if (result->items[i].gap)
                        store_damage(s, STORE_ERROR, NULL, "log",
                                      "Records %" PRIu64 " to %" PRIu64 " of the journal in %s are lost: "
                                      "the disk has damaged them. Everything else is kept; check the disk.",
                                      previous + 1, result->items[i].sequence - 1, s->path);
                previous = result->items[i].sequence;
        }
        if (result->missing_last > 0)
                store_damage(s, STORE_ERROR, NULL, "log",
                              "The last records, %" PRIu64 " to %" PRIu64 ", of the journal in %s are lost: "
                              "the disk has damaged them. Everything before is kept; check the disk.",
                              previous + 1, result->missing_last, s->path);
        if (result->cut_records > 0)
                store_problem(s, STORE_WARNING,
                              "The journal in %s was cut after record %" PRIu64 ": the %" PRIu64 " records "
                              "(%" PRIu64
                              " bytes) after it were being written when the machine stopped, and are "
                              "incomplete.",
                              s->path, result->valid, result->cut_records, result->cut_bytes);
        for (size_t i = 0; i < scan->n_damage; i++) {
                const Damage *d = &scan->damage[i];
                bool tail = d->end == d->segment->size;
                char name[SEGMENT_NAME_SIZE];

                segment_name(d->segment->number, name);
                /* After a clean end nothing is unfinished. */
                if (tail && result->n_gaps == 0 && s->closed_durable < result->valid) {
                        if (d->segment == scan->segments[scan->n_segments - 1])
                                store_problem(s, STORE_NOTICE,
                                              "%" PRIu64 " bytes at the end of %s/log/%s are an unfinished "
                                              "record and were cut.",
                                              d->end - d->start, s->path, name);
                        continue;
                }
                store_damage(s, STORE_ERROR, "log", name,
                              "%s/log/%s is damaged from byte %" PRIu64 " to %" PRIu64 ". It is %s; check the disk.",
                              s->path, name, d->start, d->end, store_rotten_is(s));
                store_set_aside(s, s->log_dirfd, name, false);
        }
}

/* Journal segments of which something may come after `from`. */
static void select_segments(Scan *scan, Segment **segments, size_t n_segments)
{
        uint64_t from = scan->result->from;
        size_t start = 0, n = 0;

        for (size_t i = 0; i < n_segments; i++)
                if (segments[i]->type == FORMAT_SEGMENT_JOURNAL)
                        segments[n++] = segments[i];
        for (size_t i = 1; i < n; i++)
                if (segments[i]->header_intact && segments[i]->first_sequence <= from + 1)
                        start = i;
        scan->segments = segments + start;
        scan->n_segments = n - start;
}

int journal_scan(Store *s, uint64_t from, bool with_report, JournalScan **ret)
{
        _cleanup_journal_scan_ JournalScan *result = calloc(1, sizeof(JournalScan));
        _cleanup_free_ Segment **segments = NULL;
        _cleanup_free_ Damage *damage = NULL;
        Scan scan = { .result = result };
        size_t n;
        int r;

        if (!result)
                return -ENOMEM;
        result->from = result->sequence = from;
        result->durable = MAX(from, s->closed_durable);
        r = store_copy_segments(s, &segments, &n);
        if (r < 0)
                return r;
        select_segments(&scan, segments, n);
        for (size_t i = 0; i < scan.n_segments && r >= 0; i++) {
                drop_void(result, scan.segments[i]);
                r = scan_segment(s, &scan, scan.segments[i]);
        }
        damage = scan.damage;
        if (r < 0)
                return r;
        sort_items(result);
        judge(s, &scan);
        if (with_report)
                report(s, &scan);
        *ret = TAKE_PTR(result);
        return 0;
}
