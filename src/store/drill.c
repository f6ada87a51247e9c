/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/internal.h"

#define STEP_BYTES (UINT64_C(4) << 20)

/* A restore drill: does what a restore does, into scratch memory. */
typedef struct Drill {
        WorkerJob job;
        Store *store;
        uint64_t *numbers; /* snapshots to do */
        size_t n_numbers;
        size_t next;
        char name[STORE_SNAPSHOT_NAME_MAX]; /* the one under way */
        ManifestSet *set;
        size_t next_entry;
        uint64_t n_nodes;
        uint64_t n_bytes;
        uint64_t n_damaged;
        StoreDrillFunc finished;
        void *userdata;
} Drill;

static int restore_node(Drill *drill, const uint8_t *entry)
{
        _cleanup_bytes_ Bytes *mapped = NULL, *copy = NULL;
        StoreEntry e;
        bool removed;
        bool intact;

        manifest_decode_entry(entry, SIZE_MAX, &e, &removed);
        drill->n_nodes++;
        if (e.blob.size == 0)
                return 0;
        intact = store_refresh(drill->store, &e.blob) >= 0 &&
                 store_map_blob(drill->store, &e.blob, &mapped) >= 0;
        if (intact) {
                copy = bytes_new_copy(mapped->data, mapped->size);
                if (!copy)
                        return -ENOMEM;
                intact = store_blob_matches(copy, &e.blob);
        }
        drill->n_damaged += !intact;
        drill->n_bytes += e.blob.size;
        worker_progress(drill->store->worker);
        return 0;
}

static int drill_step(Drill *drill)
{
        uint64_t end = drill->n_bytes + STEP_BYTES;
        size_t last = drill->next_entry + 1000;

        while (drill->next_entry < drill->set->n_entries && drill->n_bytes < end && drill->next_entry < last) {
                int r = restore_node(drill, drill->set->entries[drill->next_entry++]);

                if (r < 0)
                        return r;
        }
        if (drill->next_entry < drill->set->n_entries)
                return WORKER_AGAIN;
        drill->set = manifest_set_free(drill->set);
        drill->next++;
        return drill->next < drill->n_numbers ? WORKER_AGAIN : 0;
}

static int drill_run(WorkerJob *job)
{
        Drill *drill = CONTAINER_OF(job, Drill, job);
        int r;

        if (drill->set)
                return drill_step(drill);
        drill->next_entry = 0;
        r = store_read_snapshot_set(drill->store, drill->numbers[drill->next], &drill->set);
        if (r == -EUCLEAN || r == -ENOENT) { /* rotten, or gone since */
                drill->n_damaged += r == -EUCLEAN;
                drill->next++;
                return drill->next < drill->n_numbers ? WORKER_AGAIN : 0;
        }
        return r < 0 ? r : WORKER_AGAIN;
}

static Drill *drill_free(Drill *drill)
{
        manifest_set_free(drill->set);
        free(drill->numbers);
        free(drill);
        return NULL;
}

static void drill_done(WorkerJob *job, int result)
{
        Drill *drill = CONTAINER_OF(job, Drill, job);

        drill->finished(drill->userdata, result, drill->name, drill->n_nodes, drill->n_bytes, drill->n_damaged);
        drill_free(drill);
}

static int choose(Drill *drill, const char *name)
{
        StoreSnapshotInfo *infos, info;
        size_t n;
        int r;

        if (name) {
                r = store_snapshot_find(drill->store, name, &info);
                if (r < 0)
                        return r;
                drill->numbers = malloc(sizeof(uint64_t));
                if (drill->numbers)
                        drill->numbers[drill->n_numbers++] = info.number;
                memcpy(drill->name, info.name, sizeof(drill->name));
                store_snapshot_info_done(&info);
                return drill->numbers ? 0 : -ENOMEM;
        }
        r = store_snapshot_list(drill->store, &infos, &n);
        if (r < 0)
                return r;
        drill->numbers = calloc(n + 1, sizeof(uint64_t));
        for (size_t i = 0; i < n; i++) {
                if (drill->numbers)
                        drill->numbers[drill->n_numbers++] = infos[i].number;
                store_snapshot_info_done(&infos[i]);
        }
        free(infos);
        if (!drill->numbers)
                return -ENOMEM;
        return drill->n_numbers > 0 ? 0 : -ENOENT;
}

int store_drill_begin(Store *s, const char *name, StoreDrillFunc finished, void *userdata)
{
        Drill *drill = calloc(1, sizeof(Drill));
        int r;

        if (!drill)
                return -ENOMEM;
        drill->store = s;
        drill->finished = finished;
        drill->userdata = userdata;
        r = choose(drill, name);
        if (r < 0) {
                drill_free(drill);
                return r;
        }
        drill->job = (WorkerJob){ .run = drill_run, .done = drill_done };
        worker_submit(s->worker, &drill->job, WORKER_LOW);
        return 0;
}
