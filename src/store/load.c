/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/internal.h"
#include "store/journal-scan.h"

struct StoreLoad {
        Store *store;
        ManifestSet *set; /* NULL: no snapshot */
        StoreSnapshotInfo info;
        Bytes *state;
        JournalScan *scan; /* NULL: nothing after the snapshot is wanted */
        uint64_t until_usec;
        size_t next_state;
        size_t next_entry;
        size_t next_record;
        bool gap_told; /* before the record at next_record */
        bool end_told;
        SegmentMap *map; /* keeps the record alive that was given last */
};

struct StoreReader {
        Store *store;
        JournalScan *scan;
        uint64_t last;
        uint8_t *key; /* NULL: all */
        size_t key_size;
        size_t next;
        bool gap_told;
        SegmentMap *map;
};

StoreLoad *store_load_free(StoreLoad *l)
{
        if (l) {
                segment_map_unref(l->map);
                journal_scan_free(l->scan);
                manifest_set_free(l->set);
                bytes_unref(l->state);
                store_snapshot_info_done(&l->info);
                free(l);
        }
        return NULL;
}

static int adopt_set(StoreLoad *l, ManifestSet *set)
{
        Store *s = l->store;
        const Manifest *m = set->chain[0];
        const SnapshotItem *item;
        int r = -ENOENT;

        l->set = set;
        store_lock(s);
        item = snapshot_table_find(&s->snapshots, m->header.number);
        if (item)
                r = store_snapshot_info_copy(item, &l->info);
        store_unlock(s);
        if (r < 0)
                return r;
        if (m->header.state_size > 0) {
                l->state = bytes_new_copy(m->state, m->header.state_size);
                if (!l->state)
                        return -ENOMEM;
        }
        if (set->n_entries != m->header.node_count)
                store_damage(s, STORE_WARNING, "snapshots", l->info.name,
                              "Snapshot %s in %s lists %zu nodes but says that there are %" PRIu64
                              ". All that are listed are used.",
                              l->info.name, s->path, set->n_entries, m->header.node_count);
        return 0;
}

static int load_everything(StoreLoad *l)
{
        Store *s = l->store;
        ManifestSet *set = TAKE_PTR(s->initial);
        JournalScan *scan = TAKE_PTR(s->scan);
        int r = 0;

        if (!scan || scan->sequence != s->journal.sequence ||
            s->last_number > 0) { /* what open read is outdated */
                set = manifest_set_free(set);
                scan = journal_scan_free(scan);
                r = store_find_intact_set(s, 0, 0, 0, true, &set);
                if (r < 0 && r != -ENOENT)
                        return r;
                r = journal_scan(s, set ? set->chain[0]->header.sequence : 0, true, &scan);
        }
        l->scan = scan;
        if (r < 0) {
                manifest_set_free(set);
                return r;
        }
        return set ? adopt_set(l, set) : 0;
}

static int load_snapshot(StoreLoad *l, const char *name)
{
        StoreSnapshotInfo info;
        ManifestSet *set;
        int r;

        r = store_snapshot_find(l->store, name, &info);
        if (r < 0)
                return r;
        r = store_read_snapshot_set(l->store, info.number, &set);
        store_snapshot_info_done(&info);
        return r < 0 ? r : adopt_set(l, set);
}

static int load_point(StoreLoad *l, const StorePoint *point)
{
        JournalScan *scan;
        ManifestSet *set = NULL;
        size_t n = 0;
        int r;

        r = store_find_intact_set(l->store, 0, point->time_usec, point->sequence, true, &set);
        if (r < 0 && r != -ENOENT)
                return r;
        if (set) {
                r = adopt_set(l, set);
                if (r < 0)
                        return r;
        }
        r = journal_scan(l->store, set ? set->chain[0]->header.sequence : 0, false, &l->scan);
        if (r < 0)
                return r;
        scan = l->scan;
        l->until_usec = point->time_usec;
        while (n < scan->n_items && (point->sequence == 0 || scan->items[n].sequence <= point->sequence))
                n++;
        if (n < scan->n_items)
                scan->missing_last = 0;
        scan->n_items = n;
        /* Without a snapshot only a journal that goes back to the beginning will do. */
        if (!set && (n == 0 || scan->items[0].sequence != 1))
                return -ENOENT;
        return 0;
}

int store_load_begin(Store *s, const StorePoint *point, StoreLoad **ret)
{
        _cleanup_store_load_ StoreLoad *l = calloc(1, sizeof(StoreLoad));
        int r;

        if (!l)
                return -ENOMEM;
        l->store = s;
        if (point && point->snapshot)
                r = load_snapshot(l, point->snapshot);
        else if (point && (point->time_usec > 0 || point->sequence > 0))
                r = load_point(l, point);
        else
                r = load_everything(l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

const StoreSnapshotInfo *store_load_snapshot(const StoreLoad *l)
{
        return l->set ? &l->info : NULL;
}

Bytes *store_load_snapshot_state(const StoreLoad *l)
{
        return l->state;
}

uint64_t store_load_record_count(const StoreLoad *l)
{
        return l->scan ? l->scan->n_items : 0;
}

/* ---- nodes ---- */

int store_load_next_entry(StoreLoad *l, StoreEntry *ret)
{
        bool removed;

        if (!l->set || l->next_entry >= l->set->n_entries)
                return 0;
        manifest_decode_entry(l->set->entries[l->next_entry], SIZE_MAX, ret, &removed);
        ret->changed_usec = l->set->times[l->next_entry++] * UINT64_C(1000000);
        if (ret->blob.segment > 0 && store_refresh(l->store, &ret->blob) == -ENOENT)
                ret->blob.segment = 0; /* StoreVerify and store_blob_get() say so in their turn */
        return 1;
}

/* ---- records ---- */

static void report_payload(Store *s, const RecordHead *head, uint64_t segment)
{
        char name[SEGMENT_NAME_SIZE];

        segment_name(segment, name);
        store_damage(s, STORE_ERROR, "log", name,
                      "The payload of record %" PRIu64 " (node %.*s) in %s/log is damaged. %s is %s; "
                      "check the disk.",
                      head->header.sequence, (int)head->header.key_size, (const char *)head->key, s->path,
                      name, store_rotten_is(s));
        store_set_aside(s, s->log_dirfd, name, false);
}

static bool payload_is_intact(Store *s, StoreLocation *location)
{
        _cleanup_bytes_ Bytes *blob = NULL;

        return location->size == 0 ||
               (store_refresh(s, location) >= 0 && store_map_blob(s, location, &blob) >= 0 &&
                store_blob_matches(blob, location));
}

/* The record of an item as a view that lives as long as *map. Returns STORE_LOAD_GAP if it has rotted since
 * the scan. */
static int read_item(Store *s, const JournalItem *item, bool verify, SegmentMap **map, StoreRecordView *ret)
{
        RecordHead head;
        int r;

        *map = segment_map_unref(*map);
        r = journal_item_read(s, item, map, &head);
        if (r == -ENOENT || r == -EUCLEAN) {
                *ret = (StoreRecordView){ .sequence = item->sequence };
                return STORE_LOAD_GAP;
        }
        if (r < 0)
                return r;
        record_get_view(&head, ret);
        if (verify && !payload_is_intact(s, &ret->blob)) {
                ret->blob_damaged = true;
                /* A reference may name any segment. */
                report_payload(s, &head, store_find_segment(s, ret->blob.segment) ? ret->blob.segment : item->segment);
        } else if (!verify && ret->blob.size > 0)
                (void)store_refresh(s, &ret->blob);
        return 1;
}

int store_load_next_state(StoreLoad *l, StoreRecordView *ret)
{
        while (l->scan && l->next_state < l->scan->n_items) {
                const JournalItem *item = &l->scan->items[l->next_state++];
                int r;

                if (!(item->flags & STORE_RECORD_STATE))
                        continue;
                r = read_item(l->store, item, true, &l->map, ret);
                if (r == 1 && l->until_usec > 0 && ret->time_usec > l->until_usec)
                        return 0;
                if (r != STORE_LOAD_GAP)
                        return r;
        }
        return 0;
}

int store_load_next_record(StoreLoad *l, StoreRecordView *ret)
{
        const JournalItem *item;
        int r;

        if (!l->scan)
                return 0;
        if (l->next_record >= l->scan->n_items) {
                if (l->scan->missing_last == 0 || l->end_told)
                        return 0;
                l->end_told = true;
                *ret = (StoreRecordView){ .sequence = l->scan->valid + 1 };
                return STORE_LOAD_GAP;
        }
        item = &l->scan->items[l->next_record];
        if (item->gap && !l->gap_told) {
                l->gap_told = true;
                *ret = (StoreRecordView){ .sequence = item->sequence };
                return STORE_LOAD_GAP;
        }
        l->gap_told = false;
        l->next_record++;
        r = read_item(l->store, item, true, &l->map, ret);
        if (r == 1 && l->until_usec > 0 && ret->time_usec > l->until_usec) {
                l->next_record = l->scan->n_items;
                l->end_told = true;
                return 0;
        }
        return r;
}

/* ---- the journal alone ---- */

StoreReader *store_reader_free(StoreReader *r)
{
        if (r) {
                segment_map_unref(r->map);
                journal_scan_free(r->scan);
                free(r->key);
                free(r);
        }
        return NULL;
}

int store_reader_new(Store *s, uint64_t first, uint64_t last, const void *key, size_t key_size,
                     StoreReader **ret)
{
        _cleanup_store_reader_ StoreReader *reader = calloc(1, sizeof(StoreReader));
        int r;

        if (!reader)
                return -ENOMEM;
        reader->store = s;
        reader->last = last;
        if (key) {
                reader->key = malloc(key_size + 1);
                if (!reader->key)
                        return -ENOMEM;
                memcpy(reader->key, key, key_size);
                reader->key_size = key_size;
        }
        r = journal_scan(s, first > 0 ? first - 1 : 0, false, &reader->scan);
        if (r < 0)
                return r;
        /* That the log does not go back further is no gap. */
        if (reader->scan->n_items > 0)
                reader->scan->items[0].gap = false;
        *ret = TAKE_PTR(reader);
        return 0;
}

int store_reader_next(StoreReader *reader, StoreRecordView *ret)
{
        while (reader->next < reader->scan->n_items) {
                const JournalItem *item = &reader->scan->items[reader->next];
                int r;

                if (reader->last > 0 && item->sequence > reader->last)
                        break;
                if (item->gap && !reader->gap_told) {
                        reader->gap_told = true;
                        *ret = (StoreRecordView){ .sequence = item->sequence };
                        return STORE_LOAD_GAP;
                }
                reader->gap_told = false;
                reader->next++;
                r = read_item(reader->store, item, false, &reader->map, ret);
                if (r == 1 && reader->key &&
                    (ret->key_size != reader->key_size || memcmp(ret->key, reader->key, ret->key_size) != 0))
                        continue;
                return r;
        }
        return 0;
}
