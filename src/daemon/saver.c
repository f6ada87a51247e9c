/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/event-id.h"
#include "daemon/report.h"
#include "daemon/saver.h"
#include "scene/snapshot.h"
#include "store/snapshot.h"

/* Nodes handed over between two looks at the sockets: well under a millisecond. */
#define SLICE_NODES 256

/* More requests than this while one save runs are all served by the next one without a line of their own. */
#define REASONS_MAX 256

typedef struct Reasons {
        char *text[REASONS_MAX];
        size_t n;
} Reasons;

struct Saver {
        Session *session;
        Store *store;
        Executor *executor;
        SaverFinishedFunc finished;
        void *userdata;
        sd_event_source *defer;
        Reasons asked; /* not begun yet */
        Reasons doing;
        SceneSnapshot *scene_snapshot;
        StoreSnapshot *store_snapshot;
        SessionSave *session_save;
        bool submitted;
        bool want_all; /* the last one failed half-way: what it took from the scene is lost */
        uint64_t doing_sequence; /* what the one under way stands for */
        uint64_t sequence;
        uint64_t last_saved;
        uint64_t begun; /* CLOCK_MONOTONIC, the one under way */
        Histogram seconds;
        char *last_reason;
        char last_snapshot[STORE_SNAPSHOT_NAME_MAX]; /* which stands for it */
};

/* A node whose bytes are not in the log, and what the worker makes them of when it has been edited. */
typedef struct FoldEntry {
        uint64_t node_id, version;
        SceneFold *fold;
        Bytes *payload; /* written in the worker, read after it is done */
} FoldEntry;

static void reasons_clear(Reasons *r)
{
        while (r->n > 0)
                free(r->text[--r->n]);
}

static int fold_entry_materialise(void *userdata, Bytes **ret)
{
        FoldEntry *f = userdata;
        if (f->fold) {
                int k = scene_fold_run(f->fold, &f->payload);
                if (k < 0)
                        return k;
        }
        *ret = bytes_ref(f->payload);
        return 0;
}

static void fold_entry_free(void *userdata)
{
        FoldEntry *f = userdata;
        scene_fold_free(f->fold);
        bytes_unref(f->payload);
        free(f);
}

static int add_node(void *userdata, SceneImage *image)
{
        Saver *s = userdata;
        StoreEntry entry = {
                .key = (const uint8_t *)image->uuid,
                .key_size = image->uuid_size,
                .owner = image->owner->data,
                .owner_size = image->owner->size,
                .dependencies = image->dependencies->data,
                .dependencies_size = image->dependencies->size,
                .changed_usec = image->changed,
        };
        if (!image->fold && image->location) {
                entry.blob = *image->location;
                return store_snapshot_add(s->store_snapshot, &entry);
        }

        FoldEntry *f = calloc(1, sizeof *f);
        if (!f)
                return -ENOMEM;
        f->node_id = image->node_id;
        f->version = image->version;
        if (image->fold)
                f->fold = TAKE_PTR(image->fold);
        else
                f->payload = bytes_ref(image->payload);
        int k = store_snapshot_add_materialised(s->store_snapshot, &entry, fold_entry_materialise, f,
                                                fold_entry_free);
        if (k < 0)
                fold_entry_free(f);
        return k;
}

static int remove_node(void *userdata, const char *uuid, size_t uuid_size)
{
        Saver *s = userdata;
        return store_snapshot_remove(s->store_snapshot, uuid, uuid_size);
}

static void log_saved(Saver *s, const StoreSnapshotResult *result)
{
        if (!result->unchanged)
                memcpy(s->last_snapshot, result->info.name, sizeof s->last_snapshot);
        for (size_t i = 0; i < s->doing.n; i++)
                log_event(LOG_INFO, EVENT_SESSION_SAVED,
                          LOG_FIELDS(LOG_TEXT("REASON", s->doing.text[i]),
                                     LOG_TEXT("SNAPSHOT", s->last_snapshot),
                                     LOG_NUMBER("NODES", result->info.node_count),
                                     LOG_NUMBER("BYTES", result->written_bytes)),
                          "Session saved to disk (reason: %s)", s->doing.text[i]);
}

/* Ends the save under way with this outcome. */
static void finish(Saver *s, int error, const char *error_text)
{
        s->scene_snapshot = scene_snapshot_free(s->scene_snapshot);
        s->store_snapshot = store_snapshot_free(s->store_snapshot);
        s->session_save = session_save_free(s->session_save);
        s->submitted = false;
        if (error == -EBUSY)
                log_info("Not saved (reason: %s): the session is just being filled, which counts when it is complete",
                         s->doing.n > 0 ? s->doing.text[0] : "");
        else if (error < 0) {
                s->want_all = true;
                log_event(LOG_ERR, EVENT_SAVE_FAILED,
                          LOG_FIELDS(LOG_TEXT("REASON", s->doing.n > 0 ? s->doing.text[0] : "")),
                          "Failed to save session: %s; %s. The next save tries again",
                          error_text ?: strerror(-error), report_journal(s->store));
        } else {
                s->sequence = s->doing_sequence;
                s->last_saved = clock_realtime_usec();
                histogram_add(&s->seconds, clock_monotonic_usec() - s->begun);
                free(s->last_reason);
                s->last_reason = s->doing.n > 0 ? strdup(s->doing.text[0]) : NULL;
        }
        reasons_clear(&s->doing);
        if (s->asked.n > 0)
                (void)sd_event_source_set_enabled(s->defer, SD_EVENT_ONESHOT);
        s->finished(s->userdata, error);
}

static void on_materialised(void *userdata, void *entry_userdata, const StoreLocation *blob)
{
        Saver *s = userdata;
        FoldEntry *f = entry_userdata;
        _cleanup_bytes_ Bytes *mapped = NULL;
        (void)store_blob_get(s->store, blob, &mapped);
        SessionTime t = { .now = clock_monotonic_usec(), .wall = clock_realtime_usec() };
        (void)session_encoded(s->session, t, f->node_id, f->version, mapped ?: f->payload, blob,
                              executor_effects(s->executor));
}

static void on_done(void *userdata, const StoreSnapshotResult *result)
{
        Saver *s = userdata;
        if (result->error >= 0)
                log_saved(s, result);
        finish(s, result->error, result->error_text);
        (void)executor_run(s->executor);
}

static int begin(Saver *s)
{
        static const SceneSnapshotFuncs funcs = { .node = add_node, .removed = remove_node };
        SessionTime t = { .now = clock_monotonic_usec(), .wall = clock_realtime_usec() };
        SessionStatus status;
        session_get_status(s->session, &status);

        int k = session_save_begin(s->session, t, &s->session_save);
        if (k < 0)
                return k;
        StoreSnapshotParameters parameters = {
                .reason = s->doing.text[0],
                .user_count = status.n_users,
                .node_count = status.n_nodes,
                .payload_bytes = status.payload_bytes,
                .initialized = status.running,
        };
        bool all = s->want_all || store_snapshot_wants_all(s->store);
        s->doing_sequence = store_sequence(s->store);
        k = store_snapshot_begin(s->store, &parameters, all, &s->store_snapshot);
        if (k < 0)
                return k;
        k = scene_snapshot_begin(session_scene(s->session), all, &funcs, s, &s->scene_snapshot);
        if (k >= 0)
                s->want_all = false;
        return k;
}

static int make_state(void *userdata, Bytes **ret)
{
        return session_save_finish(userdata, ret);
}

static void release_state(void *userdata)
{
        session_save_free(userdata);
}

static int step_state(Saver *s)
{
        int k = session_save_step(s->session_save, SLICE_NODES);
        if (k != 0)
                return k;
        store_snapshot_set_state(s->store_snapshot, make_state, TAKE_PTR(s->session_save), release_state);
        return 1;
}

static int step(Saver *s)
{
        if (!s->scene_snapshot) {
                s->doing = s->asked;
                s->asked.n = 0;
                s->begun = clock_monotonic_usec();
                int k = begin(s);
                if (k < 0)
                        return k;
        }
        if (s->session_save)
                return step_state(s);
        int k = scene_snapshot_step(s->scene_snapshot, SLICE_NODES);
        if (k != 0)
                return k;
        s->scene_snapshot = scene_snapshot_free(s->scene_snapshot);
        s->submitted = true;
        store_snapshot_submit(TAKE_PTR(s->store_snapshot), on_materialised, on_done, s);
        return 0;
}

static int on_defer(sd_event_source *source, void *userdata)
{
        Saver *s = userdata;
        int k = step(s);
        if (k < 0)
                finish(s, k, NULL);
        else if (k > 0)
                return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

int saver_new(Saver **ret, sd_event *event, Session *session, Store *store, Executor *executor,
              SaverFinishedFunc finished, void *userdata)
{
        _cleanup_(saver_freep) Saver *s = calloc(1, sizeof *s);
        if (!s)
                return -ENOMEM;
        s->session = session;
        s->store = store;
        s->executor = executor;
        s->finished = finished;
        s->userdata = userdata;
        int k = sd_event_add_defer(event, &s->defer, on_defer, s);
        if (k < 0)
                return k;
        k = sd_event_source_set_enabled(s->defer, SD_EVENT_OFF);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(s);
        return 0;
}

Saver *saver_free(Saver *s)
{
        if (!s)
                return NULL;
        scene_snapshot_free(s->scene_snapshot);
        store_snapshot_free(s->store_snapshot);
        session_save_free(s->session_save);
        sd_event_source_disable_unref(s->defer);
        reasons_clear(&s->asked);
        reasons_clear(&s->doing);
        free(s->last_reason);
        free(s);
        return NULL;
}

int saver_request(Saver *s, const char *reason)
{
        for (size_t i = 0; i < s->asked.n; i++)
                if (strcmp(s->asked.text[i], reason) == 0)
                        return 0;
        if (s->asked.n < REASONS_MAX) {
                char *copy = strdup(reason);
                if (!copy)
                        return -ENOMEM;
                s->asked.text[s->asked.n++] = copy;
        }
        if (s->scene_snapshot || s->submitted)
                return 0;
        return sd_event_source_set_enabled(s->defer, SD_EVENT_ONESHOT);
}

bool saver_busy(const Saver *s)
{
        return s->asked.n > 0 || s->scene_snapshot || s->submitted;
}

uint64_t saver_sequence(const Saver *s)
{
        return s->sequence;
}

uint64_t saver_last_saved(const Saver *s, const char **ret_reason)
{
        if (ret_reason)
                *ret_reason = s->last_reason ?: "";
        return s->last_saved;
}

int saver_note_saved(Saver *s, const char *snapshot, uint64_t usec, const char *reason)
{
        char *copy = strdup(reason);
        if (!copy)
                return -ENOMEM;
        free(s->last_reason);
        s->last_reason = copy;
        s->last_saved = usec;
        snprintf(s->last_snapshot, sizeof s->last_snapshot, "%s", snapshot);
        return 0;
}

const Histogram *saver_seconds(const Saver *s)
{
        return &s->seconds;
}
