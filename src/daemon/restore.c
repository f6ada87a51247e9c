/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/event-id.h"
#include "daemon/restore.h"

/* Items handled between two looks at the sockets. */
#define STEP_ITEMS 512

typedef enum Phase {
        PHASE_ENTRIES,
        PHASE_VERIFYING, /* the worker is at it */
        PHASE_RECORDS,
} Phase;

/* A node whose payload in the snapshot is damaged: deltas in the journal build on bytes that are gone. */
typedef struct Damaged {
        struct Damaged *next;
        Bytes *key;
        StoreLocation blob;
} Damaged;

struct Restore {
        Store *store;
        Session *session;
        StoreLoad *load;
        StoreVerify *verify; /* until it is submitted */
        sd_event_source *defer;
        Phase phase;
        Damaged *damaged;
        RestoreDoneFunc done;
        void *userdata;
        RestoreResult result;
};

/* What has been read is in the session now: the manifest alone takes as much as all the nodes do. */
static void finish(Restore *r, int error)
{
        r->load = store_load_free(r->load);
        r->done(r->userdata, error, &r->result);
}

static void damaged_free(Damaged *d)
{
        bytes_unref(d->key);
        free(d);
}

Restore *restore_free(Restore *r)
{
        if (!r)
                return NULL;
        while (r->damaged) {
                Damaged *d = r->damaged;
                r->damaged = d->next;
                damaged_free(d);
        }
        store_load_free(r->load);
        sd_event_source_disable_unref(r->defer);
        free(r->result.save_reason);
        free(r);
        return NULL;
}

/* ---- nodes of the snapshot ---- */

static int load_node(Restore *r, const StoreEntry *entry)
{
        _cleanup_bytes_ Bytes *uuid = bytes_new_copy(entry->key, entry->key_size);
        _cleanup_bytes_ Bytes *owner = bytes_new_copy(entry->owner, entry->owner_size);
        _cleanup_bytes_ Bytes *dependencies = bytes_new_copy(entry->dependencies, entry->dependencies_size);
        if (!uuid || !owner || !dependencies)
                return -ENOMEM;
        _cleanup_bytes_ Bytes *payload = NULL;
        int k = store_blob_get(r->store, &entry->blob, &payload);
        if (k == -ENOMEM)
                return k;
        if (k < 0)
                return 1;
        return session_load_node(r->session, uuid, owner, dependencies, payload, &entry->blob,
                                 entry->changed_usec);
}

static int note_damaged(Restore *r, const void *key, size_t key_size, const StoreLocation *blob)
{
        Damaged *d = calloc(1, sizeof *d);
        if (!d)
                return -ENOMEM;
        d->key = bytes_new_copy(key, key_size);
        if (!d->key) {
                free(d);
                return -ENOMEM;
        }
        d->blob = *blob;
        d->next = r->damaged;
        r->damaged = d;
        return 0;
}

static int step_entries(Restore *r)
{
        for (unsigned i = 0; i < STEP_ITEMS; i++) {
                StoreEntry entry;
                int k = store_load_next_entry(r->load, &entry);
                if (k <= 0)
                        return k;
                k = load_node(r, &entry);
                if (k > 0)
                        k = note_damaged(r, entry.key, entry.key_size, &entry.blob);
                else if (k == 0)
                        k = store_verify_add(r->verify, entry.key, entry.key_size, &entry.blob);
                if (k < 0)
                        return k;
        }
        return 1;
}

/* ---- damaged ones ---- */

_printf_(5, 6) static void log_damage(int priority, const StoreLocation *blob, const void *key, size_t key_size,
                                      const char *format, ...)
{
        char file[32], node[STORE_KEY_MAX + 1];
        _cleanup_free_ char *text = NULL;
        va_list ap;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        snprintf(file, sizeof file, "log/%010" PRIu64 ".seg", blob->segment);
        snprintf(node, sizeof node, "%.*s", (int)key_size, (const char *)key);
        if (text)
                log_event(priority, EVENT_STORE_DAMAGED, LOG_FIELDS(LOG_TEXT("FILE", &file[0]), LOG_TEXT("NODE", &node[0])),
                          "%s", text);
}

static int record_from_view(const StoreRecordView *view, SessionRecord *ret)
{
        SessionRecord record = { .kind = view->kind, .refused = view->flags & STORE_RECORD_REFUSED };
        if (view->author_size > 0)
                record.author = bytes_new_copy(view->author, view->author_size);
        if (view->key_size > 0)
                record.key = bytes_new_copy(view->key, view->key_size);
        if (view->meta_size > 0)
                record.meta = bytes_new_copy(view->meta, view->meta_size);
        if ((view->author_size > 0 && !record.author) || (view->key_size > 0 && !record.key) ||
            (view->meta_size > 0 && !record.meta)) {
                session_record_done(&record);
                return -ENOMEM;
        }
        *ret = record;
        return 0;
}

static int load_record(Restore *r, const StoreRecordView *view)
{
        SessionRecord record;
        int k = record_from_view(view, &record);
        if (k < 0)
                return k;
        if (view->blob.size > 0)
                k = store_blob_get(r->store, &view->blob, &record.blob);
        if (k >= 0)
                k = session_load_record(r->session, &record, view->time_usec, &view->blob);
        session_record_done(&record);
        return k == -ENOMEM ? k : 0;
}

/* Without any intact version the node goes, as if it had been deleted: better than bytes that nobody wrote. */
static int drop_node(Restore *r, const Damaged *d)
{
        SessionRecord record = { .kind = RECORD_DELETE, .key = d->key };
        int k = session_load_record(r->session, &record, 0, NULL);
        log_damage(LOG_ERR, &d->blob, d->key->data, d->key->size,
                   "Node %.*s is damaged on disk and no older version of it is intact: it is left out. Run "
                   "'scenekeepctl verify --all' and restore it from a backup",
                   (int)d->key->size, (const char *)d->key->data);
        r->result.n_lost++;
        return k == -ENOMEM ? k : 0;
}

static int repair_node(Restore *r, const Damaged *d)
{
        StoreEntry entry;
        StoreRecordView view;
        uint64_t sequence;
        _cleanup_free_ void *memory = NULL;
        int k = store_find_intact(r->store, RECORD_NODE, d->key->data, d->key->size, &d->blob, &entry, &view,
                                  &sequence, &memory);
        if (k < 0)
                return k;
        if (k == 0)
                return drop_node(r, d);
        log_damage(LOG_WARNING, &d->blob, d->key->data, d->key->size,
                   "Node %.*s is damaged on disk: its newest intact version, of record %llu, is used instead",
                   (int)d->key->size, (const char *)d->key->data, (unsigned long long)sequence);
        r->result.n_repaired++;
        return k == 1 ? MIN(load_node(r, &entry), 0) : load_record(r, &view);
}

static int repair_all(Restore *r)
{
        for (Damaged *d = r->damaged; d; d = d->next) {
                int k = repair_node(r, d);
                if (k < 0)
                        return k;
        }
        return 0;
}

static void on_verified(void *userdata, const void *key, size_t key_size, const StoreLocation *blob, int result)
{
        Restore *r = userdata;
        int k = result;
        if (!r->load) /* has ended with an error */
                return;
        if (key)
                k = note_damaged(r, key, key_size, blob);
        else if (k >= 0)
                k = repair_all(r);
        if (k < 0) {
                finish(r, k);
                return;
        }
        if (!key) {
                r->phase = PHASE_RECORDS;
                (void)sd_event_source_set_enabled(r->defer, SD_EVENT_ONESHOT);
        }
}

/* ---- the journal after the snapshot ---- */

/* Deltas of a damaged node are left out until the journal has the whole node again. */
static bool builds_on_damage(Restore *r, const StoreRecordView *view)
{
        for (Damaged **p = &r->damaged; *p; p = &(*p)->next) {
                Damaged *d = *p;
                if (d->key->size != view->key_size || memcmp(d->key->data, view->key, view->key_size) != 0)
                        continue;
                if (view->kind == RECORD_NODE || view->kind == RECORD_DELETE) {
                        *p = d->next;
                        damaged_free(d);
                        return false;
                }
                return view->kind == RECORD_COMMIT;
        }
        return false;
}

/* The version before it stays: better late than bytes that nobody wrote. What builds on it is left out, too. */
static int skip_damaged(Restore *r, const StoreRecordView *view)
{
        bool known = scene_find(session_scene(r->session), view->key, view->key_size) != NULL;
        if (view->kind != RECORD_NODE && view->kind != RECORD_COMMIT)
                return 0;
        log_damage(LOG_ERR, &view->blob, view->key, view->key_size,
                   "Record %llu in the journal is damaged on disk: node %.*s %s. Run 'scenekeepctl verify --all', and "
                   "see `scenekeepctl log` for who can make that change again",
                   (unsigned long long)view->sequence, (int)view->key_size, (const char *)view->key,
                   known ? "stays as it was before that change" : "is left out");
        if (known)
                r->result.n_repaired++;
        else
                r->result.n_lost++;
        return note_damaged(r, view->key, view->key_size, &view->blob);
}

static int step_records(Restore *r)
{
        for (unsigned i = 0; i < STEP_ITEMS; i++) {
                StoreRecordView view;
                int k = store_load_next_record(r->load, &view);
                if (k <= 0)
                        return k;
                if (k == STORE_LOAD_GAP)
                        k = session_load_gap(r->session);
                else if (builds_on_damage(r, &view))
                        continue;
                else if (view.blob_damaged)
                        k = skip_damaged(r, &view);
                else {
                        k = load_record(r, &view);
                        r->result.n_records++;
                }
                if (k < 0)
                        return k;
        }
        return 1;
}

static int step(Restore *r)
{
        int k;
        switch (r->phase) {
        case PHASE_ENTRIES:
                k = step_entries(r);
                if (k != 0)
                        return k;
                r->phase = PHASE_VERIFYING;
                store_verify_submit(TAKE_PTR(r->verify), on_verified, r);
                return 0;
        case PHASE_VERIFYING:
                return 0;
        case PHASE_RECORDS:
                k = step_records(r);
                if (k == 0)
                        finish(r, 0);
                return k;
        }
        return 0;
}

static int on_defer(sd_event_source *source, void *userdata)
{
        Restore *r = userdata;
        int k = step(r);
        if (k < 0)
                finish(r, k);
        else if (k > 0)
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

/* Users who came after the snapshot are wanted before the nodes are there, so the few records about users are
 * read twice: now, and in their place among all others. */
static int load_users(Restore *r)
{
        for (;;) {
                StoreRecordView view;
                int k = store_load_next_state(r->load, &view);
                if (k <= 0)
                        return k;
                if (view.kind == RECORD_USER || view.kind == RECORD_LEFT)
                        k = load_record(r, &view);
                if (k < 0)
                        return k;
        }
}

static int load_state(Restore *r)
{
        int k = store_load_begin(r->store, NULL, &r->load);
        if (k < 0)
                return k;
        const StoreSnapshotInfo *info = store_load_snapshot(r->load);
        if (info) {
                snprintf(r->result.snapshot, sizeof r->result.snapshot, "%s", info->name);
                k = store_last_save(r->store, info, &r->result.saved, &r->result.save_reason);
                if (k < 0)
                        return k;
        }
        Bytes *state = store_load_snapshot_state(r->load);
        if (state) {
                k = session_load_state(r->session, state);
                if (k == -EBADMSG)
                        log_error("The users table in snapshot %s does not make sense and is left out; nodes are "
                                  "not affected",
                                  r->result.snapshot);
                else if (k < 0)
                        return k;
        }
        return load_users(r);
}

int restore_new(Restore **ret, sd_event *event, Store *store, Session *session, RestoreDoneFunc done,
                void *userdata)
{
        _cleanup_(restore_freep) Restore *r = calloc(1, sizeof *r);
        if (!r)
                return -ENOMEM;
        r->store = store;
        r->session = session;
        r->done = done;
        r->userdata = userdata;
        int k = load_state(r);
        if (k < 0)
                return k;
        k = sd_event_add_defer(event, &r->defer, on_defer, r);
        if (k < 0)
                return k;
        k = store_verify_begin(store, &r->verify);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}
