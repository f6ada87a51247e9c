/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/internal.h"
#include "store/scrub.h"

#define STEP_BYTES (UINT64_C(4) << 20)

/* What was found on one step and is told on the main thread, lest the worker talk to the log. */
typedef struct Finding {
        uint64_t segment; /* 0: a manifest */
        uint64_t offset;
        uint64_t end;
        char snapshot[STORE_SNAPSHOT_NAME_MAX];
} Finding;

#define FINDINGS_MAX 100u

typedef struct Scrub {
        WorkerJob job;
        Store *store;
        bool cancelled;   /* atomic */
        uint64_t last_sequence; /* of the intact records met in it */
        uint64_t segment; /* being read; the next one is the first with a higher number */
        Scanner scanner;
        bool scanning;
        uint64_t snapshot; /* last one verified */
        StoreStats result; /* of it, when it is whole: the figures of scrubs */
        uint64_t n_records;
        uint64_t n_bytes; /* atomic */
        uint64_t n_damaged; /* atomic */
        Finding findings[FINDINGS_MAX];
        size_t n_findings;
        StoreScrubFunc finished;
        void *userdata;
} Scrub;

static void add_finding(Scrub *scrub, const Finding *finding)
{
        __atomic_add_fetch(&scrub->n_damaged, 1, __ATOMIC_RELAXED);
        if (scrub->n_findings < FINDINGS_MAX)
                scrub->findings[scrub->n_findings++] = *finding;
        if (finding->segment > 0) {
                char name[SEGMENT_NAME_SIZE];

                segment_name(finding->segment, name);
                store_set_aside(scrub->store, scrub->store->log_dirfd, name, false);
        }
}

/* The next segment in which nothing is written any more; its size is final. */
static uint64_t next_segment(Store *s, uint64_t after)
{
        uint64_t number = 0;

        store_lock(s);
        for (size_t i = 0; i < s->n_segments && number == 0; i++)
                if (s->segments[i]->number > after && s->segments[i]->sealed && s->segments[i]->size > 0)
                        number = s->segments[i]->number;
        store_unlock(s);
        return number;
}

/* An unfinished record at the end of a segment, as a crash leaves it, is no damage if all records that count
 * are there: the next segment of the journal says up to which one. */
static bool is_cut_tail(Scrub *scrub)
{
        Store *s = scrub->store;
        uint64_t expected = s->recovered_sequence;
        const Segment *segment;
        bool cut = false;

        if (scrub->scanner.damage_end != scrub->scanner.size)
                return false;
        store_lock(s);
        segment = store_find_segment_locked(s, scrub->segment);
        if (segment && segment->type == FORMAT_SEGMENT_JOURNAL && segment->header_intact) {
                uint64_t last = MAX(scrub->last_sequence, segment->first_sequence - 1);

                for (size_t i = s->n_segments; i-- > 0 && s->segments[i]->number > segment->number;)
                        if (s->segments[i]->type == FORMAT_SEGMENT_JOURNAL)
                                expected = s->segments[i]->follows;
                cut = last >= expected;
        }
        store_unlock(s);
        return cut;
}

/* Digests cover everything but the zeroes that align. */
static bool payload_is_intact(const Scanner *sc, const RecordHead *head)
{
        Bytes blob = { .data = sc->map->base + head->blob_start, .size = head->header.blob_size };
        StoreLocation location;

        for (uint64_t i = head->blob_start + blob.size; i < head->end; i++)
                if (sc->map->base[i] != 0)
                        return false;
        record_get_location(head, &location);
        return store_blob_matches(&blob, &location);
}

static void scan_step(Scrub *scrub)
{
        uint64_t bytes = 0;

        while (bytes < STEP_BYTES) {
                Finding finding = { .segment = scrub->segment };
                uint64_t before = scrub->scanner.offset;
                RecordHead head;
                int r = scanner_next(&scrub->scanner, &head);

                if (r == 0) {
                        scanner_done(&scrub->scanner);
                        scrub->scanning = false;
                        return;
                }
                bytes += scrub->scanner.offset - before;
                __atomic_add_fetch(&scrub->n_bytes, scrub->scanner.offset - before, __ATOMIC_RELAXED);
                if (r == SCANNER_DAMAGE) {
                        finding.offset = scrub->scanner.damage_start;
                        finding.end = scrub->scanner.damage_end;
                        if (!is_cut_tail(scrub))
                                add_finding(scrub, &finding);
                        continue;
                }
                scrub->n_records++;
                scrub->last_sequence = MAX(scrub->last_sequence, head.header.sequence);
                finding.offset = head.offset;
                finding.end = head.end;
                if (head.end > head.blob_start && !payload_is_intact(&scrub->scanner, &head))
                        add_finding(scrub, &finding);
        }
}

static int begin_segment(Scrub *scrub)
{
        uint64_t number = next_segment(scrub->store, scrub->segment);
        int r;

        if (number == 0)
                return 0;
        scrub->segment = number;
        scrub->last_sequence = 0;
        r = store_scan_segment(scrub->store, number, &scrub->scanner);
        if (r == -ENOENT) /* reclaimed just now */
                return 1;
        if (r < 0)
                return r;
        scrub->scanning = true;
        return 1;
}

static int verify_file(Scrub *scrub, const Finding *finding, const char *suffix)
{
        Store *s = scrub->store;
        _cleanup_manifest_ Manifest *m = NULL;
        char file[STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX_TWIN)];
        int r;

        snprintf(file, sizeof(file), "%s%s", finding->snapshot, suffix);
        r = manifest_read_file(s->io, s->snapshots_dirfd, file, &m);
        if (r >= 0)
                __atomic_add_fetch(&scrub->n_bytes, m->size, __ATOMIC_RELAXED);
        if (r == -EUCLEAN)
                add_finding(scrub, finding);
        return r < 0 && r != -EUCLEAN && r != -ENOENT ? r : 1;
}

/* Both files of a manifest, one manifest a step. Returns 0 when all are done. */
static int snapshot_step(Scrub *scrub)
{
        Store *s = scrub->store;
        Finding finding = { 0 };
        bool found = false, base = false;
        int r;

        store_lock(s);
        for (size_t i = 0; i < s->snapshots.n_items && !found; i++)
                if (s->snapshots.items[i].info.number > scrub->snapshot) {
                        scrub->snapshot = s->snapshots.items[i].info.number;
                        base = s->snapshots.items[i].base;
                        memcpy(finding.snapshot, s->snapshots.items[i].info.name, sizeof(finding.snapshot));
                        found = true;
                }
        store_unlock(s);
        if (!found)
                return 0;
        r = verify_file(scrub, &finding, base ? MANIFEST_SUFFIX_BASE : MANIFEST_SUFFIX);
        if (r >= 0)
                r = verify_file(scrub, &finding, MANIFEST_SUFFIX_TWIN);
        return r;
}

static void note_result(Scrub *scrub)
{
        scrub->result.scrub_bytes = scrub->n_bytes;
        scrub->result.scrub_damaged = scrub->n_damaged;
        scrub->result.scrub_finished_usec = scrub->store->now_usec();
        if (!(scrub->store->flags & STORE_OPEN_READ_ONLY))
                (void)scrub_note_write(scrub->store, &scrub->result);
}

static int scrub_run(WorkerJob *job)
{
        Scrub *scrub = CONTAINER_OF(job, Scrub, job);
        int r;

        if (__atomic_load_n(&scrub->cancelled, __ATOMIC_RELAXED))
                return -ECANCELED;
        if (scrub->scanning) {
                scan_step(scrub);
                return WORKER_AGAIN;
        }
        r = begin_segment(scrub);
        if (r == 0)
                r = snapshot_step(scrub);
        if (r == 0)
                note_result(scrub);
        return r > 0 ? WORKER_AGAIN : r;
}

static void report(Store *s, const Finding *f)
{
        char name[SEGMENT_NAME_SIZE];

        if (f->segment == 0) {
                store_damage(s, STORE_ERROR, "snapshots", f->snapshot,
                             "Verification: a file of snapshot %s in %s/snapshots is damaged. Its twin is "
                             "used if that is intact; check the disk.",
                             f->snapshot, s->path);
                return;
        }
        segment_name(f->segment, name);
        store_damage(s, STORE_ERROR, "log", name,
                     "Verification: %s/log/%s is damaged from byte %" PRIu64 " to %" PRIu64
                     ". The file is %s; take a snapshot and check the disk.",
                     s->path, name, f->offset, f->end, store_rotten_is(s));
}

static void scrub_finished(WorkerJob *job, int result)
{
        Scrub *scrub = CONTAINER_OF(job, Scrub, job);
        Store *s = scrub->store;

        s->scrub = NULL;
        for (size_t i = 0; i < scrub->n_findings; i++)
                report(s, &scrub->findings[i]);
        s->stats.scrub_bytes = scrub->n_bytes;
        s->stats.scrub_damaged = scrub->n_damaged;
        if (result >= 0) {
                s->stats.scrub_finished_usec = scrub->result.scrub_finished_usec;
                s->stats.scrub_sequence = scrub->result.scrub_sequence;
        }
        if (scrub->scanning)
                scanner_done(&scrub->scanner);
        if (scrub->finished)
                scrub->finished(scrub->userdata, result, scrub->n_records, scrub->n_bytes, scrub->n_damaged);
        free(scrub);
}

/* The last record that lies in a segment that is not written to any more. */
static uint64_t sealed_sequence(Store *s)
{
        uint64_t sequence = s->journal.durable;

        store_lock(s);
        for (size_t i = 0; i < s->n_segments; i++) {
                const Segment *segment = s->segments[i];

                if (segment->type == FORMAT_SEGMENT_JOURNAL && !segment->sealed && segment->size > 0)
                        sequence = MIN(sequence, segment->first_sequence - 1);
        }
        store_unlock(s);
        return sequence;
}

int store_scrub_begin(Store *s, StoreScrubFunc finished, void *userdata)
{
        Scrub *scrub;

        if (s->scrub)
                return -EALREADY;
        scrub = calloc(1, sizeof(Scrub));
        if (!scrub)
                return -ENOMEM;
        scrub->store = s;
        scrub->finished = finished;
        scrub->userdata = userdata;
        scrub->result.scrub_sequence = sealed_sequence(s);
        scrub->job = (WorkerJob){ .run = scrub_run, .done = scrub_finished };
        s->scrub = scrub;
        worker_submit(s->worker, &scrub->job, WORKER_LOW);
        return 0;
}

void store_scrub_cancel(Store *s)
{
        if (s->scrub)
                __atomic_store_n(&s->scrub->cancelled, true, __ATOMIC_RELAXED);
}

void scrub_get_progress(const Scrub *scrub, uint64_t *ret_bytes, uint64_t *ret_damaged)
{
        *ret_bytes = __atomic_load_n(&scrub->n_bytes, __ATOMIC_RELAXED);
        *ret_damaged = __atomic_load_n(&scrub->n_damaged, __ATOMIC_RELAXED);
}
