/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "store/digest.h"
#include "store/metadata.h"
#include "store/snapshot-internal.h"

#define STEP_USEC UINT64_C(20000)
#define STEP_BYTES (UINT64_C(16) << 20)

/* ---- payloads ---- */

/* A node that was changed and changed back has its payload in the log already. */
static bool find_payload(Store *s, const Bytes *blob, StoreLocation *location)
{
        _cleanup_bytes_ Bytes *there = NULL;
        StoreLocation found = *location;

        if (!store_find_payload(s, &found) || store_map_blob(s, &found, &there) < 0 ||
            !bytes_equal(there, blob))
                return false;
        *location = found;
        return true;
}

static int materialise_one(StoreSnapshot *sn, Materialise *m, uint64_t *ret_size)
{
        uint8_t *entry = sn->entries + m->entry;
        _cleanup_bytes_ Bytes *blob = NULL;
        StoreLocation location = { 0 };
        StoreEntry e;
        bool removed;
        int r;

        r = m->func(m->userdata, &blob);
        if (r < 0)
                return r;
        location.size = blob->size;
        digest_buffer(blob->data, blob->size, location.digest);
        if (blob->size > 0 && !find_payload(sn->store, blob, &location)) {
                manifest_decode_entry(entry, SIZE_MAX, &e, &removed);
                r = content_writer_put(&sn->writer, FORMAT_KIND_CONTENT, e.key, e.key_size, blob,
                                       location.digest, &location);
                if (r < 0)
                        return r;
        }
        manifest_encode_location(&location, entry);
        m->blob = location;
        if (sn->all)
                sn->payload_bytes += blob->size;
        *ret_size = blob->size;
        return 0;
}

int snapshot_materialise_run(WorkerJob *job)
{
        StoreSnapshot *sn = CONTAINER_OF(job, StoreSnapshot, job);
        uint64_t start = clock_monotonic_usec(), bytes = 0;
        int r = 0;

        while (r >= 0 && sn->next_materialise < sn->n_materialise && bytes < STEP_BYTES &&
               clock_monotonic_usec() - start < STEP_USEC) {
                uint64_t size = 0;

                r = materialise_one(sn, &sn->materialise[sn->next_materialise++], &size);
                bytes += size;
                worker_progress(sn->store->worker);
        }
        if (r >= 0 && sn->next_materialise < sn->n_materialise)
                r = WORKER_AGAIN;
        else if (r >= 0)
                r = content_writer_finish(&sn->writer);
        sn->worker_usec += clock_monotonic_usec() - start;
        return r;
}

/* ---- the manifest ---- */

/* Where things lie may have changed since the entries were added. */
static int refresh_entries(StoreSnapshot *sn)
{
        for (size_t offset = 0; offset < sn->entries_size;) {
                uint8_t *p = sn->entries + offset;
                StoreEntry e;
                bool removed;
                int r;

                offset += manifest_decode_entry(p, sn->entries_size - offset, &e, &removed);
                if (removed || e.blob.size == 0)
                        continue;
                r = store_refresh(sn->store, &e.blob);
                if (r < 0)
                        return r;
                if (r > 0)
                        manifest_encode_location(&e.blob, p);
        }
        return 0;
}

static int newest_number(Store *s, uint64_t *ret)
{
        int r = -ENOENT;

        store_lock(s);
        for (size_t i = s->snapshots.n_items; i-- > 0 && r < 0;)
                if (!s->snapshots.items[i].base) {
                        *ret = s->snapshots.items[i].info.number;
                        r = 0;
                }
        store_unlock(s);
        return r;
}

static void hash_entries(const uint8_t *entries, size_t size, uint64_t hash[static 4])
{
        for (size_t offset = 0; offset < size;) {
                StoreEntry e;
                bool removed;
                size_t n = manifest_decode_entry(entries + offset, size - offset, &e, &removed);

                manifest_hash_entry(hash, entries + offset, n);
                offset += n;
        }
}

/* Whether the nodes are what the newest snapshot has. */
static bool is_unchanged(StoreSnapshot *sn)
{
        _cleanup_manifest_set_ ManifestSet *set = NULL;
        uint64_t hash[4] = { 0 }, newest[4] = { 0 }, number;

        if (sn->force || newest_number(sn->store, &number) < 0)
                return false;
        if (!sn->all)
                return sn->n_entries == 0;
        if (store_read_snapshot_set(sn->store, number, &set) < 0 || set->n_entries != sn->n_entries)
                return false;
        hash_entries(sn->entries, sn->entries_size, hash);
        for (size_t i = 0; i < set->n_entries; i++) {
                StoreEntry e;
                bool removed;

                manifest_hash_entry(newest, set->entries[i],
                                    manifest_decode_entry(set->entries[i], SIZE_MAX, &e, &removed));
        }
        return memcmp(hash, newest, sizeof(hash)) == 0;
}

static int describe(StoreSnapshot *sn)
{
        StoreSnapshotInfo *info = &sn->item.info;

        sn->item.previous = sn->all ? 0 : sn->store->last_number;
        sn->item.condition = SNAPSHOT_INTACT;
        snapshot_make_name(sn->number, sn->time_usec, info->name);
        info->number = sn->number;
        info->time_usec = sn->time_usec;
        info->sequence = sn->sequence;
        info->node_count = sn->node_count;
        info->user_count = sn->user_count;
        info->payload_bytes = sn->payload_bytes;
        info->reason = strdup(sn->reason);
        info->user = strdup(sn->user);
        return info->reason && info->user ? 0 : -ENOMEM;
}

static int note_written(StoreSnapshot *sn)
{
        Store *s = sn->store;
        SnapshotItem copy = sn->item;
        int r = store_snapshot_info_copy(&sn->item, &copy.info);

        if (r < 0)
                return r;
        store_lock(s);
        r = snapshot_table_add(&s->snapshots, &copy);
        store_unlock(s);
        if (r < 0)
                store_snapshot_info_done(&copy.info);
        return r;
}

/* It failed, but may have come to have its name before that: then the next start would take it for one whose payloads
 * are kept. Where it cannot be taken back, they are. */
static void withdraw(StoreSnapshot *sn)
{
        static const char *const suffixes[] = { MANIFEST_SUFFIX, MANIFEST_SUFFIX_TWIN };
        Store *s = sn->store;
        bool remains = false;

        for (unsigned i = 0; i < ELEMENTSOF(suffixes); i++) {
                char file[STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX_TWIN)];
                int r;

                snprintf(file, sizeof(file), "%s%s", sn->item.info.name, suffixes[i]);
                r = s->io->unlinkat(s->io, s->snapshots_dirfd, file);
                remains |= r < 0 && r != -ENOENT;
        }
        if (remains)
                (void)note_written(sn);
}

static int write_manifest(StoreSnapshot *sn)
{
        Store *s = sn->store;
        FormatManifest header = {
                .number = sn->number,
                .time_usec = sn->time_usec,
                .sequence = sn->sequence,
                .previous_number = sn->item.previous,
                .entry_count = sn->n_entries,
                .node_count = sn->node_count,
                .payload_bytes = sn->payload_bytes,
                .user_count = sn->user_count,
                .entries_size = sn->entries_size,
        };
        int r;

        memcpy(header.store_id, s->id, sizeof(header.store_id));
        if (!sn->all)
                memcpy(header.previous_digest, s->last_digest, sizeof(header.previous_digest));
        r = manifest_write(s->io, s->snapshots_dirfd, sn->item.info.name, &header, sn->times, sn->reason,
                           sn->user, sn->state, sn->entries, &sn->manifest_bytes, sn->digest);
        if (r < 0) {
                withdraw(sn);
                return r;
        }
        sn->item.info.manifest_bytes = sn->manifest_bytes;
        return note_written(sn);
}

static void write_metadata(StoreSnapshot *sn)
{
        Metadata m = {
                .info = &sn->item.info,
                .time_usec = sn->time_usec,
                .reason = sn->reason,
                .user = sn->user,
                .user_count = sn->user_count,
                .initialized = sn->initialized,
        };
        StoreSnapshotInfo newest;

        if (!sn->unchanged) {
                sn->metadata_error = metadata_write(sn->store, &m);
                return;
        }
        sn->metadata_error = store_snapshot_find(sn->store, "latest", &newest);
        if (sn->metadata_error < 0)
                return;
        m.info = &newest;
        sn->metadata_error = metadata_write(sn->store, &m);
        store_snapshot_info_done(&newest);
}

static int make_state(StoreSnapshot *sn)
{
        int r = sn->make_state ? sn->make_state(sn->state_userdata, &sn->state) : 0;

        return r >= 0 && sn->state && sn->state->size > MANIFEST_STATE_MAX ? -EFBIG : r;
}

int snapshot_write_run(WorkerJob *job)
{
        StoreSnapshot *sn = CONTAINER_OF(job, StoreSnapshot, job);
        uint64_t start = clock_monotonic_usec();
        int r;

        sn->step = "Finding the payloads of the snapshot";
        r = make_state(sn);
        if (r >= 0)
                r = refresh_entries(sn);
        if (r >= 0) {
                sn->unchanged = is_unchanged(sn);
                sn->step = "Writing the snapshot";
                if (!sn->unchanged) {
                        r = describe(sn);
                        if (r >= 0)
                                r = write_manifest(sn);
                }
        }
        if (r >= 0) {
                write_metadata(sn);
                if (!sn->unchanged)
                        sn->retention_error = snapshot_retention(sn->store);
        }
        sn->worker_usec += clock_monotonic_usec() - start;
        return r;
}
