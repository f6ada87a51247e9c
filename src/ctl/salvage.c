/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/salvage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/moment.h"
#include "ctl/salvage-report.h"
#include "session/record.h"
#include "store/load.h"
#include "store/snapshot.h"

/* So much waits to be synced at most. */
#define UNSYNCED_MAX ((uint64_t)16 << 20)

typedef struct Salvage {
        Store *from, *to;
        Worker *worker;
        Session *session; /* what the new store has so far; NULL: nothing yet */
        SalvageReport *report;
        StoreSnapshotInfo *snapshots; /* of `from`, oldest first */
        size_t n_snapshots, next;
        uint64_t sequence; /* of `from`: everything up to it is in the session */
        uint64_t time_usec;
        uint64_t unsynced;
        bool skipping;  /* the log does not go back as far as the snapshot before: by design, records are no use */
        bool any_record;
} Salvage;

/* Snapshots and records keep their times: the new store is told what time it is. */
static uint64_t now_of_old;

static uint64_t get_now_of_old(void)
{
        return now_of_old;
}

static int intact_payload(Store *store, StoreLocation *location, Bytes **ret)
{
        int r = store_location_refresh(store, location);

        if (r >= 0)
                r = store_blob_get_verified(store, location, ret);
        return r == -ENOENT || r == -EUCLEAN || r == -EIO ? -EUCLEAN : r;
}

static Bytes *copy_of(const void *data, size_t size)
{
        return bytes_new_copy(data ?: "", size);
}

static int sync_all(Salvage *s)
{
        s->unsynced = 0;
        if (store_commit(s->to) != 0)
                return -ENOSPC;
        store_sync_begin(s->to);
        worker_drain(s->worker, false);
        return store_degraded(s->to) ? -ENOSPC : 0;
}

/* ---- snapshots ---- */

typedef struct Entry {
        Bytes *uuid, *owner, *dependencies, *payload;
} Entry;

static void entry_done(Entry *e)
{
        bytes_unref(e->uuid);
        bytes_unref(e->owner);
        bytes_unref(e->dependencies);
        bytes_unref(e->payload);
}

/* The newest intact version before it is what the journal up to here has made of it. */
static int take_older(Salvage *s, const StoreEntry *e, Entry *ret)
{
        Scene *scene = s->session ? session_scene(s->session) : NULL;
        Node *n = scene ? scene_find(scene, e->key, e->key_size) : NULL;
        SalvageLoss *loss = salvage_note(s->report, e->key, e->key_size);
        int r = n ? scene_payload(scene, n, SIZE_MAX, &ret->payload) : 1;

        if (!loss || r == -ENOMEM)
                return -ENOMEM;
        loss->broken = true;
        if (r == 0) {
                ret->dependencies = bytes_ref(node_dependencies(n));
                loss->time_usec = node_changed(n);
                return 0;
        }
        loss->lost = true;
        return 1;
}

/* A name helps even where the rest of the data cannot be trusted. */
static void label_damaged(Salvage *s, const StoreEntry *e)
{
        SalvageLoss *loss = salvage_find(s->report, e->key, e->key_size);
        _cleanup_bytes_ Bytes *damaged = NULL;

        if (loss && !loss->label.name && store_blob_get(s->from, &e->blob, &damaged) == 0)
                (void)node_label_read(damaged, &loss->label);
}

/* 1: nothing is left of it. */
static int make_entry(Salvage *s, StoreEntry *e, Entry *ret)
{
        int r = intact_payload(s->from, &e->blob, &ret->payload);

        if (r == -EUCLEAN)
                r = take_older(s, e, ret);
        if (r == 1)
                label_damaged(s, e);
        if (r != 0)
                return r;
        ret->uuid = copy_of(e->key, e->key_size);
        ret->owner = copy_of(e->owner, e->owner_size);
        if (!ret->dependencies)
                ret->dependencies = copy_of(e->dependencies, e->dependencies_size);
        return ret->uuid && ret->owner && ret->dependencies ? 0 : -ENOMEM;
}

static int give_payload(void *userdata, Bytes **ret)
{
        *ret = bytes_ref(userdata);
        return 0;
}

static void release_payload(void *userdata)
{
        bytes_unref(userdata);
}

static int add_entry(Salvage *s, StoreSnapshot *snapshot, Session *session, StoreEntry *e)
{
        Entry entry = {0};
        int r = make_entry(s, e, &entry);

        if (r == 0)
                r = session_load_node(session, entry.uuid, entry.owner, entry.dependencies, entry.payload, NULL,
                                      e->changed_usec);
        if (r == 0) {
                e->dependencies = entry.dependencies->data;
                e->dependencies_size = entry.dependencies->size;
                if (store_snapshot_add_materialised(snapshot, e, give_payload, bytes_ref(entry.payload),
                                                    release_payload) < 0) {
                        bytes_unref(entry.payload);
                        r = -ENOMEM;
                }
        }
        entry_done(&entry);
        return MIN(r, 0);
}

typedef struct Taken {
        int error;
        char name[STORE_SNAPSHOT_NAME_MAX];
} Taken;

static void on_taken(void *userdata, const StoreSnapshotResult *result)
{
        Taken *t = userdata;

        t->error = result->error;
        if (result->error == 0)
                snprintf(t->name, sizeof(t->name), "%s", result->info.name);
}

static int submit(Salvage *s, StoreSnapshot *snapshot, bool pinned, const char *pin_name)
{
        Taken taken = {.error = -EIO};
        int r;

        store_snapshot_submit(snapshot, NULL, on_taken, &taken);
        worker_drain(s->worker, false);
        r = taken.error;
        if (r == 0 && pinned)
                r = store_snapshot_pin(s->to, taken.name, true, *pin_name ? pin_name : NULL);
        return MIN(r, 0);
}

static int fill_snapshot(Salvage *s, StoreLoad *load, const StoreSnapshotInfo *info, Session *session)
{
        StoreSnapshotParameters parameters = {
                .reason = info->reason,
                .user = info->user,
                .user_count = info->user_count,
                .initialized = true,
                .force = true,
        };
        Bytes *state = store_load_snapshot_state(load);
        StoreSnapshot *snapshot;
        StoreEntry e;
        int r = store_snapshot_begin(s->to, &parameters, true, &snapshot);

        if (r < 0)
                return r;
        if (state) {
                r = session_load_state(session, state);
                r = r == -EBADMSG ? 0 : r;
                store_snapshot_set_state(snapshot, give_payload, bytes_ref(state), release_payload);
        }
        while (r >= 0 && (r = store_load_next_entry(load, &e)) == 1)
                r = add_entry(s, snapshot, session, &e);
        if (r < 0) {
                store_snapshot_free(snapshot);
                return r;
        }
        return submit(s, snapshot, info->pinned, info->pin_name);
}

static int put_snapshot(Salvage *s, const StoreSnapshotInfo *info)
{
        StorePoint point = {.snapshot = info->name};
        _cleanup_store_load_ StoreLoad *load = NULL;
        _cleanup_(session_freep) Session *session = NULL;
        int r = store_load_begin(s->from, &point, &load);

        if (r == -EUCLEAN || r == -ENOENT || r == -EIO)
                return salvage_note_snapshot(s->report, info->name);
        if (r == 0)
                r = moment_scratch(&session);
        if (r == 0)
                r = sync_all(s);
        if (r < 0)
                return r;
        salvage_forget_all(s->report);
        now_of_old = info->time_usec;
        r = fill_snapshot(s, load, info, session);
        if (r < 0)
                return r;
        session_free(s->session);
        s->session = TAKE_PTR(session);
        s->report->n_snapshots++;
        s->report->n_touched += s->report->n_losses > 0;
        s->sequence = MAX(s->sequence, info->sequence);
        s->time_usec = info->time_usec;
        s->skipping = false;
        return 0;
}

/* All that stand for less than record `sequence`. */
static int put_snapshots(Salvage *s, uint64_t sequence)
{
        int r = 0;

        while (r == 0 && s->next < s->n_snapshots && s->snapshots[s->next].sequence < sequence)
                r = put_snapshot(s, &s->snapshots[s->next++]);
        return r;
}

/* ---- the journal ---- */

static int note_missing(Salvage *s, uint64_t until_sequence, uint64_t until_usec)
{
        SalvageReport *report = s->report;

        report->n_records_lost += until_sequence - s->sequence - 1;
        if (report->lost_since_usec == 0)
                report->lost_since_usec = s->time_usec;
        report->lost_until_usec = MAX(report->lost_until_usec, until_usec);
        return session_load_gap(s->session);
}

static int note_broken(Salvage *s, const StoreRecordView *v)
{
        bool about_node = (v->kind == RECORD_NODE || v->kind == RECORD_COMMIT) && !(v->flags & STORE_RECORD_REFUSED);
        SalvageLoss *loss = about_node ? salvage_note(s->report, v->key, v->key_size) : NULL;
        SalvageReport *report = s->report;
        Node *n;

        report->n_records_lost++;
        if (report->lost_since_usec == 0)
                report->lost_since_usec = v->time_usec;
        report->lost_until_usec = MAX(report->lost_until_usec, v->time_usec);
        if (!about_node)
                return 0;
        if (!loss)
                return -ENOMEM;
        n = scene_find(session_scene(s->session), v->key, v->key_size);
        loss->broken = true;
        loss->lost = !n;
        loss->n_changes++;
        if (n)
                loss->time_usec = node_changed(n);
        return 0;
}

static int drop(Salvage *s, const StoreRecordView *v)
{
        SalvageLoss *loss = salvage_note(s->report, v->key, v->key_size);
        Node *n = scene_find(session_scene(s->session), v->key, v->key_size);

        s->report->n_records_dropped++;
        if (!loss)
                return -ENOMEM;
        loss->n_changes++;
        loss->lost = !n;
        if (n)
                loss->time_usec = node_changed(n);
        return 0;
}

static int append(Salvage *s, const StoreRecordView *v, Bytes *blob)
{
        StoreRecord record = {
                .kind = v->kind,
                .flags = v->flags & (uint16_t)~STORE_RECORD_REFERENCE,
                .author = v->author,
                .author_size = v->author_size,
                .key = v->key,
                .key_size = v->key_size,
                .meta = v->meta,
                .meta_size = v->meta_size,
                .blob = blob,
        };
        int r;

        now_of_old = v->time_usec;
        r = store_append(s->to, &record, NULL, NULL);
        if (r != 0)
                return r < 0 ? r : -ENOSPC;
        s->report->n_records++;
        s->unsynced += v->blob.size + v->meta_size;
        return s->unsynced >= UNSYNCED_MAX ? sync_all(s) : 0;
}

/* 1: without effect on the session. */
static int replay(Salvage *s, const StoreRecordView *v, Bytes *blob)
{
        SessionRecord record = {.kind = v->kind, .refused = v->flags & STORE_RECORD_REFUSED, .blob = bytes_ref(blob)};
        int r = -ENOMEM;

        record.author = v->author_size > 0 ? copy_of(v->author, v->author_size) : NULL;
        record.key = v->key_size > 0 ? copy_of(v->key, v->key_size) : NULL;
        record.meta = v->meta_size > 0 ? copy_of(v->meta, v->meta_size) : NULL;
        if ((v->author_size == 0 || record.author) && (v->key_size == 0 || record.key) &&
            (v->meta_size == 0 || record.meta))
                r = session_load_record(s->session, &record, v->time_usec, NULL);
        session_record_done(&record);
        return r;
}

static int put_record(Salvage *s, StoreRecordView *v)
{
        bool refused = v->flags & STORE_RECORD_REFUSED, commit = v->kind == RECORD_COMMIT && !refused;
        const SalvageLoss *loss = commit ? salvage_find(s->report, v->key, v->key_size) : NULL;
        _cleanup_bytes_ Bytes *blob = NULL;
        int r = v->blob.size > 0 ? intact_payload(s->from, &v->blob, &blob) : 0;

        if (r == -EUCLEAN)
                return note_broken(s, v);
        if (r < 0)
                return r;
        if (loss && loss->broken)
                return drop(s, v);
        r = replay(s, v, blob);
        if (r < 0)
                return r;
        if (r == 1 && commit)
                return drop(s, v);
        if ((v->kind == RECORD_NODE || v->kind == RECORD_DELETE) && !refused)
                salvage_forget(s->report, v->key, v->key_size);
        return append(s, v, blob);
}

static int begin_without_snapshot(Salvage *s, const StoreRecordView *v)
{
        int r = moment_scratch(&s->session);

        /* Later snapshots have what came before: it is no loss that it cannot be gone back to. */
        s->skipping = v->sequence > 1 && s->n_snapshots > s->next;
        return r == 0 && v->sequence > 1 && !s->skipping ? note_missing(s, v->sequence, v->time_usec) : r;
}

static int take_record(Salvage *s, StoreRecordView *v, bool gap)
{
        int r = put_snapshots(s, v->sequence);

        if (r == 0 && !s->session)
                r = begin_without_snapshot(s, v);
        else if (r == 0 && !s->any_record && v->sequence > s->sequence + 1)
                s->skipping = s->next < s->n_snapshots;
        if (r == 0 && (gap || (!s->any_record && !s->skipping)) && v->sequence > s->sequence + 1)
                r = note_missing(s, v->sequence, v->time_usec);
        s->any_record = true;
        if (r == 0 && !s->skipping && v->sequence > s->sequence)
                r = put_record(s, v);
        s->sequence = MAX(s->sequence, v->sequence);
        s->time_usec = v->time_usec;
        return r;
}

static int put_journal(Salvage *s)
{
        _cleanup_store_reader_ StoreReader *reader = NULL;
        StoreRecordView v;
        bool gap = false;
        int r = store_reader_new(s->from, 1, 0, NULL, 0, &reader);

        while (r >= 0 && (r = store_reader_next(reader, &v)) > 0) {
                if (r == STORE_LOAD_GAP) {
                        gap = true;
                        continue;
                }
                r = take_record(s, &v, gap);
                gap = false;
        }
        return r;
}

/* ---- all of it ---- */

/* Names of nodes that are there in an older version. */
static int label_older(Salvage *s)
{
        Scene *scene = session_scene(s->session);

        for (size_t i = 0; i < s->report->n_losses; i++) {
                SalvageLoss *loss = &s->report->losses[i];
                Node *n = scene_find(scene, loss->uuid, strlen(loss->uuid));
                _cleanup_bytes_ Bytes *payload = NULL;
                int r = n && !loss->label.name ? scene_payload(scene, n, SIZE_MAX, &payload) : -ENOENT;

                if (r == 0)
                        r = node_label_read(payload, &loss->label);
                if (r == -ENOMEM)
                        return r;
        }
        return 0;
}

static int run(Salvage *s)
{
        uint64_t durable = store_durable_sequence(s->from);
        int r = put_journal(s);

        if (r == 0)
                r = put_snapshots(s, UINT64_MAX);
        if (r == 0 && !s->session)
                return -ENODATA;
        if (r == 0 && durable > s->sequence)
                r = note_missing(s, durable + 1, 0);
        if (r == 0)
                r = label_older(s);
        if (r == 0)
                r = sync_all(s);
        if (r < 0)
                return r;
        s->report->n_nodes = scene_n_nodes(session_scene(s->session));
        s->report->n_bytes = scene_payload_bytes(session_scene(s->session));
        return 0;
}

static int by_sequence(const void *a, const void *b)
{
        const StoreSnapshotInfo *x = a, *y = b;

        if (x->sequence != y->sequence)
                return x->sequence < y->sequence ? -1 : 1;
        return (x->number > y->number) - (x->number < y->number);
}

static int open_new(Salvage *s, const char *to, char **ret_error)
{
        StoreOptions options = {
                .path = to,
                .retention = {.newest = UINT32_MAX},
                .journal_keep_usec = UINT64_MAX / 2,
                .journal_keep_bytes = UINT64_MAX,
                .now_usec = get_now_of_old,
        };
        int r = worker_new_inline(&s->worker);

        options.worker = s->worker;
        return r < 0 ? r : store_open(&options, &s->to, ret_error);
}

/* Manifests that cannot be read are of no use: the others take their place. */
static int sort_out(Salvage *s)
{
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < s->n_snapshots; i++) {
                StorePoint point = {.snapshot = s->snapshots[i].name};
                _cleanup_store_load_ StoreLoad *load = NULL;
                StoreSnapshotInfo info = s->snapshots[i];

                if (r == 0)
                        r = store_load_begin(s->from, &point, &load);
                if (r == 0) {
                        s->snapshots[n++] = info;
                        continue;
                }
                if (r == -EUCLEAN || r == -ENOENT || r == -EIO)
                        r = salvage_note_snapshot(s->report, info.name);
                store_snapshot_info_done(&info);
        }
        s->n_snapshots = n;
        if (n > 1)
                qsort(s->snapshots, n, sizeof(*s->snapshots), by_sequence);
        now_of_old = n > 0 ? s->snapshots[0].time_usec : 0;
        return r;
}

int salvage(Store *from, const char *to, SalvageReport *ret, Session **ret_session, char **ret_error)
{
        SalvageReport report = {0};
        Salvage s = {.from = from, .report = &report};
        int r = store_snapshot_list(from, &s.snapshots, &s.n_snapshots);

        if (r == 0)
                r = sort_out(&s);
        if (r == 0)
                r = open_new(&s, to, ret_error);
        if (r == 0)
                r = run(&s);
        store_close(s.to);
        worker_free(s.worker);
        for (size_t i = 0; i < s.n_snapshots; i++)
                store_snapshot_info_done(&s.snapshots[i]);
        free(s.snapshots);
        if (r < 0) {
                session_free(s.session);
                salvage_report_done(&report);
                return r;
        }
        *ret = report;
        *ret_session = s.session;
        return 0;
}
