/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/digest-set.h"
#include "store/snapshot-internal.h"

typedef enum Stage {
        STAGE_PLAN,
        STAGE_KEPT, /* reading what the snapshots that stay point to */
        STAGE_GONE, /* and the others */
        STAGE_REMOVE,
} Stage;

typedef struct Prune {
        WorkerJob job;
        Store *store;
        bool dry_run;
        Stage stage;
        RetentionItem *items;
        size_t n_items;
        size_t next; /* item to be read */
        StoreSnapshotInfo *gone; /* as they were; by item, empty for those that stay */
        size_t n_gone;
        DigestSet kept;
        DigestSet leaving;
        uint64_t n_bytes;
        StorePruneFunc finished;
        void *userdata;
} Prune;

static int plan(Prune *prune)
{
        Store *s = prune->store;
        int r = snapshot_retention_plan(s, &prune->items, &prune->n_items);

        if (r < 0)
                return r;
        prune->gone = calloc(prune->n_items + 1, sizeof(StoreSnapshotInfo));
        if (!prune->gone)
                return -ENOMEM;
        for (size_t i = 0; i < prune->n_items && r >= 0; i++) {
                const SnapshotItem *item;

                if (prune->items[i].keep)
                        continue;
                store_lock(s);
                item = snapshot_table_find(&s->snapshots, prune->items[i].number);
                r = item ? store_snapshot_info_copy(item, &prune->gone[i]) : -ENOENT;
                store_unlock(s);
                prune->n_gone += r >= 0;
        }
        prune->stage = prune->n_gone > 0 ? STAGE_KEPT : STAGE_REMOVE;
        return r;
}

/* Reads one snapshot of this stage. */
static int measure(Prune *prune)
{
        _cleanup_manifest_set_ ManifestSet *set = NULL;
        bool keep = prune->stage == STAGE_KEPT;
        uint64_t bytes = 0;
        int r;

        while (prune->next < prune->n_items && prune->items[prune->next].keep != keep)
                prune->next++;
        if (prune->next == prune->n_items) {
                prune->next = 0;
                prune->stage++;
                return 0;
        }
        r = store_read_snapshot_set(prune->store, prune->items[prune->next++].number, &set);
        if (r == -EUCLEAN || r == -ENOENT) /* rotten, or gone since */
                return 0;
        if (r >= 0)
                r = keep ? digest_set_add_snapshot(&prune->kept, set, NULL, NULL)
                         : digest_set_add_snapshot(&prune->leaving, set, &prune->kept, &bytes);
        prune->n_bytes += bytes;
        return r;
}

static int prune_run(WorkerJob *job)
{
        Prune *prune = CONTAINER_OF(job, Prune, job);
        int r;

        worker_progress(prune->store->worker);
        if (prune->stage == STAGE_REMOVE)
                return prune->dry_run ? 0 : snapshot_retention_apply(prune->store, prune->items, prune->n_items);
        r = prune->stage == STAGE_PLAN ? plan(prune) : measure(prune);
        return r < 0 ? r : WORKER_AGAIN;
}

/* Newest first, without the gaps of what stays. */
static void list_gone(Prune *prune)
{
        size_t n = 0;

        for (size_t i = 0; i < prune->n_items; i++) {
                if (prune->items[i].keep)
                        store_snapshot_info_done(&prune->gone[i]);
                else
                        prune->gone[n++] = prune->gone[i];
        }
        prune->n_gone = n;
        for (size_t i = 0; i < n / 2; i++) {
                StoreSnapshotInfo info = prune->gone[i];

                prune->gone[i] = prune->gone[n - 1 - i];
                prune->gone[n - 1 - i] = info;
        }
}

static void prune_done(WorkerJob *job, int result)
{
        Prune *prune = CONTAINER_OF(job, Prune, job);

        if (prune->gone)
                list_gone(prune);
        if (result >= 0 && !prune->dry_run && prune->n_gone > 0)
                store_reclaim_begin(prune->store);
        prune->finished(prune->userdata, MIN(result, 0), prune->gone, prune->n_gone,
                        prune->n_items - prune->n_gone, prune->n_bytes);
        for (size_t i = 0; i < prune->n_gone; i++)
                store_snapshot_info_done(&prune->gone[i]);
        free(prune->gone);
        free(prune->items);
        digest_set_done(&prune->kept);
        digest_set_done(&prune->leaving);
        free(prune);
}

int store_prune_begin(Store *s, bool dry_run, StorePruneFunc finished, void *userdata)
{
        Prune *prune = calloc(1, sizeof(Prune));

        if (!prune)
                return -ENOMEM;
        prune->store = s;
        prune->dry_run = dry_run;
        prune->finished = finished;
        prune->userdata = userdata;
        prune->job = (WorkerJob){ .run = prune_run, .done = prune_done };
        worker_submit(s->worker, &prune->job, WORKER_LOW);
        return 0;
}
