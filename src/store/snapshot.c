/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/pages.h"
#include "store/reclaim.h"
#include "store/snapshot-internal.h"

/* Room that an entry usually takes, with a dependency or two. */
#define ENTRY_SIZE_USUAL 192

/* Room for so many changed nodes to begin with: the allocator has that at hand, and for a few nodes pages of their own
 * would be the dearest part of the work. */
#define CHANGED_USUAL 256u

static StoreSnapshot *snapshot_release(StoreSnapshot *sn)
{
        for (size_t i = 0; i < sn->n_materialise; i++)
                if (sn->materialise[i].release)
                        sn->materialise[i].release(sn->materialise[i].userdata);
        if (sn->state_release)
                sn->state_release(sn->state_userdata);
        content_writer_done(&sn->writer);
        free(sn->materialise);
        pages_free(sn->entries, sn->entries_allocated);
        pages_free(sn->times, sn->n_times_allocated * sizeof(*sn->times));
        bytes_unref(sn->state);
        store_snapshot_info_done(&sn->item.info);
        free(sn->reason);
        free(sn->user);
        free(sn);
        return NULL;
}

StoreSnapshot *store_snapshot_free(StoreSnapshot *sn)
{
        if (!sn)
                return NULL;
        assert(!sn->submitted);
        sn->store->snapshot = NULL;
        sn->store->snapshot_wants_all = true;
        return snapshot_release(sn);
}

bool store_snapshot_wants_all(const Store *s)
{
        return s->snapshot_wants_all || s->last_number == 0 || s->chain_length + 1 >= MANIFEST_CHAIN_MAX ||
                s->chain_entries * 2 > s->last_node_count;
}

int store_snapshot_begin(Store *s, const StoreSnapshotParameters *parameters, bool all, StoreSnapshot **ret)
{
        size_t n_usual = all ? parameters->node_count : MIN(parameters->node_count, CHANGED_USUAL);
        StoreSnapshot *sn;

        assert(s->worker && !(s->flags & STORE_OPEN_READ_ONLY));
        if (s->snapshot)
                return -EBUSY;
        if (!all && store_snapshot_wants_all(s))
                return -EINVAL;
        if (strlen(parameters->reason) > MANIFEST_TEXT_MAX ||
            (parameters->user && strlen(parameters->user) > MANIFEST_TEXT_MAX))
                return -EINVAL;
        sn = calloc(1, sizeof(StoreSnapshot));
        if (!sn)
                return -ENOMEM;
        *sn = (StoreSnapshot){
                .store = s,
                .all = all,
                .force = parameters->force,
                .initialized = parameters->initialized,
                .reason = strdup(parameters->reason),
                .user = strdup(parameters->user ?: ""),
                .time_usec = s->now_usec(),
                .sequence = s->journal.sequence,
                .user_count = parameters->user_count,
                .node_count = all ? 0 : parameters->node_count,
                .payload_bytes = all ? 0 : parameters->payload_bytes,
        };
        content_writer_init(&sn->writer, s);
        /* Pages that are not used cost nothing; moving many megabytes to where there is more room would hold up the loop. */
        sn->entries_allocated = n_usual * ENTRY_SIZE_USUAL + 4096;
        sn->entries = pages_new(sn->entries_allocated);
        sn->n_times_allocated = n_usual + 64;
        sn->times = pages_new(sn->n_times_allocated * sizeof(*sn->times));
        if (!sn->reason || !sn->user || !sn->entries || !sn->times) {
                snapshot_release(sn);
                return -ENOMEM;
        }
        s->snapshot = sn;
        *ret = sn;
        return 0;
}

static int add_entry(StoreSnapshot *sn, const StoreEntry *e, bool removed)
{
        size_t n = manifest_entry_size(e);

        if (e->key_size > STORE_KEY_MAX || e->owner_size > UINT16_MAX || e->dependencies_size > STORE_META_MAX)
                return -EINVAL;
        if (sn->entries_size + n > sn->entries_allocated) {
                size_t allocated = MAX(sn->entries_allocated * 2, sn->entries_size + n + 4096);
                uint8_t *entries = pages_resize(sn->entries, sn->entries_allocated, allocated);

                if (!entries)
                        return -ENOMEM;
                sn->entries = entries;
                sn->entries_allocated = allocated;
        }
        if (sn->n_entries == sn->n_times_allocated) {
                size_t allocated = sn->n_times_allocated * 2;
                uint32_t *times = pages_resize(sn->times, sn->n_times_allocated * sizeof(*times),
                                               allocated * sizeof(*times));

                if (!times)
                        return -ENOMEM;
                sn->times = times;
                sn->n_times_allocated = allocated;
        }
        manifest_encode_entry(e, removed, sn->entries + sn->entries_size);
        sn->times[sn->n_entries] = htole32((uint32_t)(e->changed_usec / 1000000));
        sn->entries_size += n;
        sn->n_entries++;
        if (sn->all) {
                sn->node_count++;
                sn->payload_bytes += e->blob.size;
        }
        return 0;
}

int store_snapshot_add(StoreSnapshot *sn, const StoreEntry *entry)
{
        return add_entry(sn, entry, false);
}

int store_snapshot_add_materialised(StoreSnapshot *sn, const StoreEntry *entry,
                                    StoreMaterialiseFunc materialise, void *entry_userdata,
                                    void (*release)(void *entry_userdata))
{
        StoreEntry e = *entry;
        uint64_t offset = sn->entries_size;
        int r;

        if (sn->n_materialise == sn->n_materialise_allocated) {
                size_t n = MAX(sn->n_materialise_allocated * 2, (size_t)64);
                Materialise *items = reallocarray(sn->materialise, n, sizeof(Materialise));

                if (!items)
                        return -ENOMEM;
                sn->materialise = items;
                sn->n_materialise_allocated = n;
        }
        e.blob = (StoreLocation){ 0 };
        r = add_entry(sn, &e, false);
        if (r < 0)
                return r;
        sn->materialise[sn->n_materialise++] = (Materialise){
                .entry = offset,
                .func = materialise,
                .userdata = entry_userdata,
                .release = release,
        };
        return 0;
}

int store_snapshot_remove(StoreSnapshot *sn, const void *key, size_t key_size)
{
        StoreEntry e = { .key = key, .key_size = key_size };

        return sn->all ? -EINVAL : add_entry(sn, &e, true);
}

void store_snapshot_set_state(StoreSnapshot *sn, StoreMaterialiseFunc make, void *state_userdata,
                              void (*release)(void *state_userdata))
{
        assert(!sn->make_state);
        sn->make_state = make;
        sn->state_userdata = state_userdata;
        sn->state_release = release;
}

/* ---- the way through the worker ---- */

static void report_extras(Store *s, const StoreSnapshot *sn)
{
        if (sn->metadata_error < 0)
                store_problem(s, STORE_WARNING,
                              "%s/session_metadata.json could not be written: %s. The snapshot itself is "
                              "complete.",
                              s->path, strerror(-sn->metadata_error));
        if (sn->retention_error < 0)
                store_problem(s, STORE_WARNING,
                              "Old snapshots in %s could not be removed: %s. They take up space until the "
                              "next snapshot tries again.",
                              s->path, strerror(-sn->retention_error));
}

static void note_success(Store *s, StoreSnapshot *sn)
{
        s->last_number = sn->number;
        memcpy(s->last_digest, sn->digest, sizeof(s->last_digest));
        s->last_node_count = sn->node_count;
        s->chain_length = sn->all ? 0 : s->chain_length + 1;
        s->chain_entries = sn->all ? 0 : s->chain_entries + sn->n_entries;
        if (sn->all)
                s->snapshot_wants_all = false;
        s->stats.snapshot_bytes = sn->manifest_bytes + sn->writer.written_bytes;
        s->stats.saved_bytes += s->stats.snapshot_bytes;
        journal_snapshot_complete(s, sn->sequence);
        for (size_t i = 0; i < sn->n_materialise && sn->materialised; i++)
                sn->materialised(sn->userdata, sn->materialise[i].userdata, &sn->materialise[i].blob);
}

static void finish(StoreSnapshot *sn, int error)
{
        Store *s = sn->store;
        StoreSnapshotResult result = {
                .error = error,
                .unchanged = sn->unchanged,
                .written_bytes = sn->manifest_bytes + sn->writer.written_bytes,
                .worker_usec = sn->worker_usec,
        };
        _cleanup_free_ char *text = NULL;

        s->snapshot = NULL;
        if (error < 0) {
                s->snapshot_wants_all = true;
                if (asprintf(&text, "%s failed in %s: %s", sn->step, s->path, strerror(-error)) < 0)
                        text = NULL;
                result.error_text = text ?: strerror(-error);
        } else {
                report_extras(s, sn);
                if (!sn->unchanged) {
                        note_success(s, sn);
                        result.info = sn->item.info;
                        result.info.intact = true;
                }
        }
        if (sn->done)
                sn->done(sn->userdata, &result);
        snapshot_release(sn);
        reclaim_consider(s, result.unchanged);
}

static void write_done(WorkerJob *job, int result)
{
        finish(CONTAINER_OF(job, StoreSnapshot, job), result);
}

static void begin_writing(StoreSnapshot *sn)
{
        sn->waiting = false;
        sn->job = (WorkerJob){ .run = snapshot_write_run, .done = write_done };
        worker_submit(sn->store->worker, &sn->job, WORKER_NORMAL);
}

/* A manifest may only point to what is durable. 1: all is; 0: it has to be waited for; or a negative errno. */
static int commit_journal(StoreSnapshot *sn)
{
        Store *s = sn->store;
        int r;

        sn->step = "Writing the journal";
        r = store_commit(s);
        /* A slow disk is waited for, whoever else does not: what is under way has not failed. */
        if (r > 0 && (!s->journal.write || s->journal.refusing))
                return s->journal.error ?: -EIO;
        sn->wait_sequence = s->journal.valid;
        return s->journal.durable >= sn->wait_sequence;
}

static void wait_for_journal(StoreSnapshot *sn)
{
        int r = commit_journal(sn);

        if (r < 0)
                finish(sn, r);
        else if (r > 0)
                begin_writing(sn);
        else {
                sn->waiting = true;
                store_sync_begin(sn->store);
        }
}

void store_snapshot_durable(Store *s, int result)
{
        StoreSnapshot *sn = s->snapshot;

        if (!sn || !sn->waiting)
                return;
        if (result < 0) {
                sn->waiting = false;
                finish(sn, result);
        } else if (s->journal.durable >= sn->wait_sequence)
                begin_writing(sn);
        else
                s->journal.sync_again = true;
}

static void materialise_done(WorkerJob *job, int result)
{
        StoreSnapshot *sn = CONTAINER_OF(job, StoreSnapshot, job);

        if (result < 0)
                finish(sn, result);
        else
                wait_for_journal(sn);
}

void store_snapshot_submit(StoreSnapshot *sn, StoreMaterialisedFunc materialised, StoreSnapshotDoneFunc done,
                           void *userdata)
{
        Store *s = sn->store;

        sn->submitted = true;
        sn->materialised = materialised;
        sn->done = done;
        sn->userdata = userdata;
        store_lock(s);
        sn->number = s->snapshots.next_number++;
        store_unlock(s);
        if (sn->n_materialise == 0 && commit_journal(sn) > 0) {
                begin_writing(sn);
                return;
        }
        sn->step = "Writing payloads";
        sn->job = (WorkerJob){ .run = snapshot_materialise_run, .done = materialise_done };
        worker_submit(s->worker, &sn->job, WORKER_NORMAL);
}
