/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/reclaim.h"

#include <errno.h>
#include <inttypes.h>

#include "store/content-writer.h"
#include "store/live.h"

#define STEP_BYTES (UINT64_C(16) << 20)
#define STEP_USEC UINT64_C(50000)

/* Many small segments, as restarts leave them, are merged even if all in them lives. */
#define SMALL_SEGMENTS_MAX 16u

typedef struct Victim {
        uint64_t number;
        uint64_t size;
        size_t next; /* payload to copy: index into the live set */
        bool moved;  /* something in it was live */
        bool damaged; /* something live in it is not intact: stays */
} Victim;

typedef struct Reclaim {
        WorkerJob job;
        Store *store;
        bool cancelled; /* atomic */
        uint64_t prepared; /* see live_set_prepare() */
        LiveSet *live;
        Victim *victims;
        size_t n_victims;
        size_t next_victim;
        ContentWriter writer;
} Reclaim;

/* ---- in the worker ---- */

static bool is_candidate(const Store *s, const LiveSet *live, const LiveSegment *segment, bool merge_small)
{
        /* The one with the highest number stays: the next start counts on from it, and numbers must not come
         * again while manifests name them. */
        if (segment->journal || !segment->sealed || segment->size == 0 ||
            segment == &live->segments[live->n_segments - 1])
                return false;
        return segment->live_bytes * 2 < segment->size || (merge_small && segment->size < s->segment_size / 16);
}

static int choose_victims(Reclaim *reclaim)
{
        Store *s = reclaim->store;
        LiveSet *live = reclaim->live;
        size_t n_small = 0;

        reclaim->victims = calloc(live->n_segments + 1, sizeof(Victim));
        if (!reclaim->victims)
                return -ENOMEM;
        for (size_t i = 0; i < live->n_segments; i++)
                n_small += !live->segments[i].journal && live->segments[i].sealed &&
                        live->segments[i].size < s->segment_size / 16;
        for (size_t i = 0, blob = 0; i < live->n_segments; i++) {
                const LiveSegment *segment = &live->segments[i];

                while (blob < live->n_blobs && live->blobs[blob].segment < segment->number)
                        blob++;
                if (is_candidate(s, live, segment, n_small > SMALL_SEGMENTS_MAX))
                        reclaim->victims[reclaim->n_victims++] = (Victim){
                                .number = segment->number,
                                .size = segment->size,
                                .next = blob,
                        };
        }
        return 0;
}

/* Copies one payload. One that has rotted is not carried on as if it were intact: its segment stays as it is.
 */
static int copy_blob(Reclaim *reclaim, Victim *victim, const StoreLocation *location)
{
        Store *s = reclaim->store;
        _cleanup_bytes_ Bytes *blob = NULL;
        StoreLocation moved;
        int r;

        r = store_map_blob(s, location, &blob);
        if (r == -EUCLEAN || (r >= 0 && !store_blob_matches(blob, location))) {
                char name[SEGMENT_NAME_SIZE];

                segment_name(victim->number, name);
                store_set_aside(s, s->log_dirfd, name, false);
                victim->damaged = true;
                return 0;
        }
        if (r < 0)
                return r;
        victim->moved = true;
        return content_writer_put(&reclaim->writer, FORMAT_KIND_MOVED, NULL, 0, blob, location->digest, &moved);
}

static int copy_step(Reclaim *reclaim)
{
        const LiveSet *live = reclaim->live;
        uint64_t start = clock_monotonic_usec(), bytes = 0;

        while (reclaim->next_victim < reclaim->n_victims) {
                Victim *victim = &reclaim->victims[reclaim->next_victim];

                if (victim->next >= live->n_blobs || live->blobs[victim->next].segment != victim->number) {
                        reclaim->next_victim++;
                        continue;
                }
                while (victim->next < live->n_blobs && live->blobs[victim->next].segment == victim->number) {
                        const StoreLocation *location = &live->blobs[victim->next++];
                        int r = copy_blob(reclaim, victim, location);

                        if (r < 0)
                                return r;
                        bytes += location->size;
                        worker_progress(reclaim->store->worker);
                        if (bytes >= STEP_BYTES || clock_monotonic_usec() - start > STEP_USEC)
                                return WORKER_AGAIN;
                }
        }
        return content_writer_finish(&reclaim->writer);
}

static int reclaim_run(WorkerJob *job)
{
        Reclaim *reclaim = CONTAINER_OF(job, Reclaim, job);
        int r;

        if (__atomic_load_n(&reclaim->cancelled, __ATOMIC_RELAXED))
                return -ECANCELED;
        if (reclaim->live)
                return copy_step(reclaim);
        r = live_set_prepare(reclaim->store, &reclaim->prepared);
        if (r != 0)
                return r < 0 ? r : WORKER_AGAIN;
        r = live_set_new(reclaim->store, &reclaim->live);
        if (r >= 0)
                r = choose_victims(reclaim);
        return r < 0 ? r : WORKER_AGAIN;
}

/* ---- on the main thread ---- */

/* Everything live in the victim is elsewhere, and synced. */
static void remove_victim(Store *s, const Victim *victim)
{
        if (victim->damaged || !store_forget_unreferenced_segment(s, victim->number))
                return;
        s->stats.reclaimed_bytes += victim->size;
        if (victim->moved) {
                s->snapshot_wants_all = true; /* a whole manifest soon says where everything is now */
                if (s->events.segment_moved)
                        s->events.segment_moved(s->events.userdata, victim->number);
        }
        store_unlink_segment(s, victim->number);
}

static uint64_t log_bytes(Store *s)
{
        uint64_t bytes = 0;

        store_lock(s);
        for (size_t i = 0; i < s->n_segments; i++)
                bytes += s->segments[i]->size;
        store_unlock(s);
        return bytes;
}

static void reclaim_finished(WorkerJob *job, int result)
{
        Reclaim *reclaim = CONTAINER_OF(job, Reclaim, job);
        Store *s = reclaim->store;

        s->reclaim = NULL;
        if (result >= 0)
                for (size_t i = 0; i < reclaim->n_victims; i++)
                        remove_victim(s, &reclaim->victims[i]);
        else if (result != -ECANCELED && result != -EAGAIN)
                store_problem(s, STORE_WARNING,
                              "Disk space of old data in %s could not be given back: %s. It is tried again "
                              "after the next snapshot.",
                              s->path, strerror(-result));
        content_writer_done(&reclaim->writer);
        s->reclaim_log_bytes = log_bytes(s);
        live_set_free(reclaim->live);
        free(reclaim->victims);
        free(reclaim);
}

void store_reclaim_begin(Store *s)
{
        Reclaim *reclaim;

        if (s->reclaim || s->closing)
                return;
        /* What a snapshot under way has written is in no manifest yet, and what a record that is not written
         * points to is in no segment: neither could be told from what is dead. */
        s->reclaim_wanted = s->snapshot || store_commit(s) > 0;
        if (s->reclaim_wanted)
                return;
        reclaim = calloc(1, sizeof(Reclaim));
        if (!reclaim)
                return; /* the next snapshot begins another */
        reclaim->store = s;
        reclaim->job = (WorkerJob){ .run = reclaim_run, .done = reclaim_finished };
        content_writer_init(&reclaim->writer, s);
        store_lock(s);
        for (size_t i = 0; i < s->n_segments; i++)
                s->segments[i]->referenced = false;
        store_unlock(s);
        s->reclaim = reclaim;
        worker_submit(s->worker, &reclaim->job, WORKER_LOW);
}

void reclaim_consider(Store *s, bool idle)
{
        uint64_t now = log_bytes(s), grown = now - MIN(now, s->reclaim_log_bytes);

        /* While much happens, when the log has grown by a segment and an eighth; when nothing does, for any
         * growth. */
        if (s->reclaim_wanted || (idle ? grown > 0 : grown >= s->segment_size + s->reclaim_log_bytes / 8))
                store_reclaim_begin(s);
}

void reclaim_cancel(Store *s)
{
        if (s->reclaim)
                __atomic_store_n(&s->reclaim->cancelled, true, __ATOMIC_RELAXED);
}
