/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/live.h"

#include <errno.h>

#include "base/pages.h"

LiveSet *live_set_free(LiveSet *live)
{
        if (live) {
                free(live->segments);
                pages_free(live->blobs, live->n_blobs_allocated * sizeof(StoreLocation));
                free(live);
        }
        return NULL;
}

LiveSegment *live_set_find(LiveSet *live, uint64_t number)
{
        size_t low = 0, high = live->n_segments;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (live->segments[middle].number < number)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < live->n_segments && live->segments[low].number == number ? &live->segments[low] : NULL;
}

static int add_blob(Store *s, LiveSet *live, const StoreLocation *blob)
{
        StoreLocation here = *blob;
        const LiveSegment *segment;

        if (blob->size == 0 || store_refresh(s, &here) < 0)
                return 0;
        segment = live_set_find(live, here.segment);
        if (!segment || segment->journal)
                return 0;
        if (live->n_blobs == live->n_blobs_allocated) {
                size_t n = MAX(live->n_blobs_allocated * 2, (size_t)256);
                StoreLocation *blobs =
                        pages_resize(live->blobs, live->n_blobs_allocated * sizeof(StoreLocation), n * sizeof(StoreLocation));

                if (!blobs)
                        return -ENOMEM;
                live->blobs = blobs;
                live->n_blobs_allocated = n;
        }
        live->blobs[live->n_blobs++] = here;
        return 0;
}

/* ---- the journal ---- */

static int copy_segments(Store *s, LiveSet *live)
{
        store_lock(s);
        live->segments = calloc(s->n_segments + 1, sizeof(LiveSegment));
        for (size_t i = 0; i < s->n_segments && live->segments; i++) {
                const Segment *segment = s->segments[i];

                live->segments[live->n_segments++] = (LiveSegment){
                        .number = segment->number,
                        .size = segment->size,
                        .created_usec = segment->created_usec,
                        .first_sequence = segment->first_sequence,
                        .type = segment->type,
                        .header_intact = segment->header_intact,
                        .sealed = segment->sealed,
                };
        }
        store_unlock(s);
        return live->segments ? 0 : -ENOMEM;
}

/* The journal has to reach back to the third newest snapshot that verifies: any of the three may be what the
 * next start has to fall back on. 0: to the beginning. */
static uint64_t needed_sequence(Store *s)
{
        uint64_t sequence = 0;
        unsigned n = 0;

        store_lock(s);
        for (size_t i = s->snapshots.n_items; i-- > 0 && n < RETENTION_VERIFIED_MIN;) {
                const SnapshotItem *item = &s->snapshots.items[i];

                if (item->base || item->condition != SNAPSHOT_INTACT)
                        continue;
                sequence = item->info.sequence;
                n++;
        }
        store_unlock(s);
        return n > 0 ? sequence : 0;
}

/* Walks back from the newest segment. `next` is the one after: it says where this one ends. */
static void keep_journal(Store *s, LiveSet *live)
{
        uint64_t needed = needed_sequence(s), now = s->now_usec(), bytes = 0;
        const LiveSegment *next = NULL;
        bool keep = true;

        for (size_t i = live->n_segments; i-- > 0;) {
                LiveSegment *segment = &live->segments[i];
                bool wanted, is_needed;

                if (segment->type != FORMAT_SEGMENT_JOURNAL)
                        continue;
                is_needed = !segment->sealed || !next || !next->header_intact ||
                            next->first_sequence > needed + 1;
                bytes += segment->size;
                wanted = next && next->created_usec + s->journal_keep_usec > now &&
                         bytes <= s->journal_keep_bytes;
                keep = keep && (is_needed || wanted);
                segment->journal = keep;
                next = segment;
        }
}

static int scan_references(Store *s, uint64_t number, StoreLocation **ret, size_t *ret_n)
{
        StoreLocation *references = NULL;
        RecordHead head;
        size_t n = 0;
        Scanner sc;
        int r;

        r = store_scan_segment(s, number, &sc);
        if (r < 0)
                return r;
        while ((r = scanner_next(&sc, &head)) > 0) {
                StoreLocation *more;

                if (r == SCANNER_DAMAGE || !(head.header.flags & STORE_RECORD_REFERENCE))
                        continue;
                more = reallocarray(references, n + 1, sizeof(StoreLocation));
                if (!more) {
                        r = -ENOMEM;
                        break;
                }
                references = more;
                record_get_location(&head, &references[n++]);
        }
        scanner_done(&sc);
        if (r < 0) {
                free(references);
                return r;
        }
        *ret = references;
        *ret_n = n;
        return 0;
}

static int copy_known_references(Store *s, uint64_t number, StoreLocation **ret, size_t *ret_n)
{
        const Segment *segment;
        int r = -ENOENT;

        store_lock(s);
        segment = store_find_segment_locked(s, number);
        if (segment && segment->references_known) {
                *ret = calloc(segment->n_references + 1, sizeof(StoreLocation));
                *ret_n = segment->n_references;
                if (*ret && *ret_n > 0)
                        memcpy(*ret, segment->references, *ret_n * sizeof(StoreLocation));
                r = *ret ? 0 : -ENOMEM;
        }
        store_unlock(s);
        return r;
}

static void remember_references(Store *s, uint64_t number, const StoreLocation *references, size_t n)
{
        StoreLocation *copy = calloc(n + 1, sizeof(StoreLocation));
        Segment *segment;

        if (!copy)
                return;
        if (n > 0)
                memcpy(copy, references, n * sizeof(StoreLocation));
        store_lock(s);
        segment = store_find_segment_locked(s, number);
        if (segment && segment->sealed && !segment->references_known) {
                segment->references = TAKE_PTR(copy);
                segment->n_references = n;
                segment->references_known = true;
        }
        store_unlock(s);
        free(copy);
}

/* Payloads elsewhere that the records of a segment point to: they are told by its heads, and remembered once
 * it is sealed. */
static int get_references(Store *s, const LiveSegment *segment, StoreLocation **ret, size_t *ret_n)
{
        int r = copy_known_references(s, segment->number, ret, ret_n);

        if (r != -ENOENT)
                return r;
        r = scan_references(s, segment->number, ret, ret_n);
        if (r >= 0 && segment->sealed)
                remember_references(s, segment->number, *ret, *ret_n);
        return r == -ENOENT ? 0 : r;
}

static int add_references(Store *s, LiveSet *live)
{
        for (size_t i = 0; i < live->n_segments; i++) {
                _cleanup_free_ StoreLocation *references = NULL;
                size_t n = 0;
                int r;

                if (!live->segments[i].journal || live->segments[i].size == 0)
                        continue;
                r = get_references(s, &live->segments[i], &references, &n);
                for (size_t k = 0; k < n && r >= 0; k++)
                        r = add_blob(s, live, &references[k]);
                if (r < 0)
                        return r;
                worker_progress(s->worker);
        }
        return 0;
}

/* ---- snapshots ---- */

typedef struct Link {
        uint64_t number;
        uint64_t previous;
        char name[STORE_SNAPSHOT_NAME_MAX];
        bool base;
        bool damaged;
        bool is_previous; /* another builds on it */
} Link;

typedef struct LiveChain {
        Store *store;
        LiveSet *live;
} LiveChain;

static int on_live_entry(void *userdata, const StoreEntry *e)
{
        LiveChain *chain = userdata;

        return add_blob(chain->store, chain->live, &e->blob);
}

static int copy_links(Store *s, Link **ret, size_t *ret_n)
{
        size_t n;

        store_lock(s);
        n = s->snapshots.n_items;
        *ret = calloc(n + 1, sizeof(Link));
        for (size_t i = 0; i < n && *ret; i++) {
                const SnapshotItem *item = &s->snapshots.items[i];

                (*ret)[i] = (Link){
                        .number = item->info.number,
                        .previous = item->previous,
                        .base = item->base,
                        .damaged = item->condition == SNAPSHOT_DAMAGED,
                        .is_previous = snapshot_table_has_successor(&s->snapshots, item->info.number),
                };
                memcpy((*ret)[i].name, item->info.name, sizeof((*ret)[i].name));
        }
        store_unlock(s);
        *ret_n = n;
        return *ret ? 0 : -ENOMEM;
}

static Link *find_link(Link *links, size_t n, uint64_t number)
{
        for (size_t i = 0; i < n; i++)
                if (links[i].number == number)
                        return &links[i];
        return NULL;
}

/* News of damage end the round: the next one knows. */
static int note_damage(Store *s, uint64_t number)
{
        SnapshotItem *item;

        store_lock(s);
        item = snapshot_table_find(&s->snapshots, number);
        if (item)
                item->condition = SNAPSHOT_DAMAGED;
        store_unlock(s);
        return -EAGAIN;
}

/* All manifests of the chain that ends with `last`. One that cannot be read is left out: whatever builds on
 * it cannot be restored, but its own part still counts. */
static int add_chain(Store *s, LiveSet *live, Link *links, size_t n_links, Link *last)
{
        Manifest *manifests[MANIFEST_CHAIN_MAX + 1];
        bool retained[MANIFEST_CHAIN_MAX + 1];
        LiveChain chain = { .store = s, .live = live };
        size_t n = 0;
        int r = 0;

        for (Link *link = last; link && n < ELEMENTSOF(manifests);
             link = link->previous > 0 ? find_link(links, n_links, link->previous) : NULL) {
                r = manifest_read(s->io, s->snapshots_dirfd, link->name, &manifests[n]);
                if (r == -EUCLEAN && !link->damaged)
                        r = note_damage(s, link->number);
                else if (r >= 0)
                        retained[n++] = !link->base;
                if (r < 0 && r != -EUCLEAN)
                        break;
                r = 0;
                worker_progress(s->worker);
        }
        if (r >= 0)
                r = manifest_chain_live(manifests, retained, n, on_live_entry, &chain);
        for (size_t i = 0; i < n; i++)
                manifest_free(manifests[i]);
        return r;
}

static int add_snapshots(Store *s, LiveSet *live)
{
        _cleanup_free_ Link *links = NULL;
        size_t n;
        int r;

        r = copy_links(s, &links, &n);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (!links[i].is_previous)
                        r = add_chain(s, live, links, n, &links[i]);
        return r;
}

/* ---- all together ---- */

static int compare_blobs(const void *a, const void *b)
{
        const StoreLocation *x = a, *y = b;

        if (x->segment != y->segment)
                return x->segment < y->segment ? -1 : 1;
        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void sort_and_count(LiveSet *live)
{
        size_t n = 0;

        qsort(live->blobs, live->n_blobs, sizeof(StoreLocation), compare_blobs);
        for (size_t i = 0; i < live->n_blobs; i++) {
                LiveSegment *segment;

                if (n > 0 && compare_blobs(&live->blobs[n - 1], &live->blobs[i]) == 0)
                        continue;
                live->blobs[n++] = live->blobs[i];
                segment = live_set_find(live, live->blobs[i].segment);
                segment->live_bytes += format_align(live->blobs[i].size) + record_head_size(0, 36, 0);
        }
        live->n_blobs = n;
}

/* The next sealed segment of the journal after this one; 0: there is none. */
static uint64_t next_sealed(Store *s, uint64_t number)
{
        uint64_t found = 0;

        store_lock(s);
        for (size_t i = 0; i < s->n_segments && found == 0; i++) {
                const Segment *segment = s->segments[i];

                if (segment->number > number && segment->type == FORMAT_SEGMENT_JOURNAL && segment->sealed &&
                    segment->size > 0 && !segment->references_known)
                        found = segment->number;
        }
        store_unlock(s);
        return found;
}

int live_set_prepare(Store *s, uint64_t *number)
{
        _cleanup_free_ StoreLocation *references = NULL;
        size_t n = 0;
        uint64_t next;
        int r = store_index_content(s); /* what is not found is not alive */

        if (r != 0)
                return r;
        next = next_sealed(s, *number);
        if (next == 0)
                return 0;
        *number = next;
        r = get_references(s, &(LiveSegment){ .number = next, .sealed = true }, &references, &n);
        return r < 0 ? r : 1;
}

int live_set_new(Store *s, LiveSet **ret)
{
        _cleanup_live_set_ LiveSet *live = calloc(1, sizeof(LiveSet));
        int r;

        if (!live)
                return -ENOMEM;
        do
                r = store_index_content(s);
        while (r > 0);
        if (r == 0)
                r = copy_segments(s, live);
        if (r < 0)
                return r;
        keep_journal(s, live);
        r = add_snapshots(s, live);
        if (r >= 0)
                r = add_references(s, live);
        if (r < 0)
                return r;
        if (live->n_blobs > 0)
                sort_and_count(live);
        *ret = TAKE_PTR(live);
        return 0;
}
