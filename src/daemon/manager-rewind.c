/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/moment.h"
#include "control/node-stream.h"
#include "control/protocol.h"
#include "daemon/manager-control.h"
#include "store/snapshot.h"

/*
 * Going back, with everyone connected: a snapshot is taken first, the wanted state is loaded beside the living one, and
 * what differs is put, node by node, as if a user had done it: journalled, then sent. Everything is done in slices
 * between other work of the loop. An import is the same with a file in place of an earlier state.
 */

#define LOAD_STEP 1024u
#define SLICE_BYTES (4u << 20)
#define SLICE_NODES 256u

typedef enum Stage {
        STAGE_SAVING,  /* what is there now is being saved */
        STAGE_LOADING, /* the wanted state */
        STAGE_PUTTING,
        STAGE_DELETING,
} Stage;

typedef struct Rewind {
        ManagerControl *control;
        ControlCall *call;
        char *snapshot; /* NULL: a time */
        uint64_t time_usec;
        char **uuids; /* the only ones to be brought back; NULL: everything */
        size_t n_uuids;
        Stage stage;
        Moment *moment;
        int file; /* an import's nodes; -1: a restore */
        uint64_t file_offset;
        Scene *imported; /* their uuids, with nothing in them */
        sd_event_source *source; /* defer */
        Node *next;              /* of the wanted scene while putting, of the living one while deleting */
        size_t n_put, n_deleted, n_same;
} Rewind;

static void rewind_free(Rewind *w)
{
        w->control->rewind = NULL;
        sd_event_source_disable_unref(w->source);
        moment_free(w->moment);
        scene_free(w->imported);
        if (w->file >= 0)
                close(w->file);
        for (size_t i = 0; i < w->n_uuids; i++)
                free(w->uuids[i]);
        free(w->uuids);
        free(w->snapshot);
        free(w);
}

void rewind_cancel(ManagerControl *c)
{
        Rewind *w = c->rewind;

        if (!w)
                return;
        control_refuse(w->call, CONTROL_ERROR_FAILED, "the daemon is being stopped; the restore is not complete");
        rewind_free(w);
}

static void fail(Rewind *w, const char *error, const char *text)
{
        control_refuse(w->call, error, "%s", text);
        rewind_free(w);
}

static void finish(Rewind *w)
{
        Manager *m = w->control->manager;
        json_object *o = json_object_new_object();
        int k = session_put_done(m->session, manager_time(), executor_effects(m->executor));

        if (manager_check(m, k < 0 ? k : manager_turn(m)) < 0) {
                json_object_put(o);
                fail(w, CONTROL_ERROR_FAILED, "out of memory");
                return;
        }
        log_notice("Session %s %s (%zu nodes put, %zu removed, %zu unchanged)",
                   w->imported ? "replaced by" : "restored to", w->imported ? "an imported one" : w->snapshot ?: "an earlier time",
                   w->n_put, w->n_deleted, w->n_same);
        json_object_object_add(o, "restored", json_object_new_uint64(w->n_put));
        json_object_object_add(o, "removed", json_object_new_uint64(w->n_deleted));
        json_object_object_add(o, "unchanged", json_object_new_uint64(w->n_same));
        control_answer(w->call, o);
        rewind_free(w);
}

static bool is_wanted(const Rewind *w, const Node *n)
{
        if (!w->uuids)
                return true;
        for (size_t i = 0; i < w->n_uuids; i++)
                if (strcmp(w->uuids[i], node_uuid(n).text) == 0)
                        return true;
        return false;
}

/* Is the living node what it was? 1, 0, or -errno; *ret_payload is what it was. */
static int is_same(Scene *then, Node *old, Scene *now, Node *living, Bytes **ret_payload)
{
        _cleanup_bytes_ Bytes *is = NULL, *was = NULL;
        StoreLocation a, b;
        int k;

        if (living && node_n_deltas(old) == 0 && node_n_deltas(living) == 0 && node_location(then, old, &a) &&
            node_location(now, living, &b) && memcmp(a.digest, b.digest, sizeof(a.digest)) == 0)
                return bytes_equal(node_dependencies(old), node_dependencies(living));
        k = scene_payload(then, old, SIZE_MAX, &was);
        if (k < 0)
                return k;
        if (living) {
                k = scene_payload(now, living, SIZE_MAX, &is);
                if (k == 0 && bytes_equal(is, was) && bytes_equal(node_dependencies(old), node_dependencies(living)))
                        return 1;
        }
        *ret_payload = TAKE_PTR(was);
        return 0;
}

/* What lies in the log is compared with its digest before anybody gets it. */
static int put_node(Rewind *w, Node *old, size_t *bytes)
{
        Manager *m = w->control->manager;
        Scene *now = session_scene(m->session), *then = moment_scene(w->moment);
        Node *living = scene_find(now, node_uuid(old).text, node_uuid_size(old));
        _cleanup_bytes_ Bytes *payload = NULL, *verified = NULL;
        StoreLocation location;
        SessionTime t = manager_time();
        int k = is_same(then, old, now, living, &payload);

        if (k == 1)
                w->n_same++;
        if (k == 0 && node_n_deltas(old) == 0 && node_location(then, old, &location))
                k = store_blob_get_verified(m->store, &location, &verified);
        if (k == 0) {
                *bytes += payload->size;
                k = session_put(m->session, t, node_uuid(old).text, node_uuid_size(old), node_dependencies(old), payload,
                                executor_effects(m->executor));
                w->n_put += k == 0;
        }
        if (k < 0)
                return k;
        /* Locks of that time or of now would keep people from what has come back. */
        k = session_set_owner(m->session, t, node_uuid(old).text, node_uuid_size(old), SCENE_OWNER_COMMON,
                              executor_effects(m->executor));
        return MIN(k, 0);
}

/* 1: more, 0: all done. */
static int import_slice(Rewind *w)
{
        Manager *m = w->control->manager;
        PickleLimits limits = pickle_limits_default;
        SessionTime t = manager_time();
        size_t bytes = 0;
        int k = 1;

        limits.max_size = m->config->max_message_size;
        for (size_t i = 0; k == 1 && i < SLICE_NODES && bytes < SLICE_BYTES; i++) {
                _cleanup_bytes_ Bytes *owner = NULL, *nothing = NULL;
                StreamedNode n;
                Node *noted;

                k = node_stream_read(w->file, &w->file_offset, &limits, &n);
                if (k <= 0)
                        break;
                owner = bytes_new_copy(SCENE_OWNER_COMMON, strlen(SCENE_OWNER_COMMON));
                nothing = bytes_new_copy("", 0);
                k = owner && nothing ? scene_put(w->imported, n.uuid->data, n.uuid->size, owner, n.dependencies, nothing,
                                                 t.wall, &noted)
                                     : -ENOMEM;
                if (k == 0)
                        k = session_put(m->session, t, n.uuid->data, n.uuid->size, n.dependencies, n.payload,
                                        executor_effects(m->executor));
                bytes += n.payload->size;
                w->n_put += k == 0;
                streamed_node_done(&n);
                k = k < 0 ? k : 1;
        }
        return k;
}

/* 1: more, 0: all done. */
static int put_slice(Rewind *w)
{
        Scene *then = moment_scene(w->moment);
        size_t bytes = 0;

        for (size_t i = 0; i < SLICE_NODES && bytes < SLICE_BYTES; i++) {
                Node *n = w->next;
                int k;

                if (!n)
                        return 0;
                k = is_wanted(w, n) ? put_node(w, n, &bytes) : 0;
                if (k < 0)
                        return k;
                w->next = scene_next(then, n);
        }
        return 1;
}

/* What was not there then. */
static int delete_slice(Rewind *w)
{
        Manager *m = w->control->manager;
        Scene *now = session_scene(m->session), *then = w->imported ?: moment_scene(w->moment);
        size_t n_deleted = 0;

        /* From the beginning each time: between two slices anything may have been removed by others. */
        for (Node *n = scene_first(now), *next; n && n_deleted < SLICE_NODES; n = next) {
                int k;

                next = scene_next(now, n);
                if (scene_find(then, node_uuid(n).text, node_uuid_size(n)))
                        continue;
                k = session_delete(m->session, manager_time(), node_uuid(n).text, node_uuid_size(n),
                                   executor_effects(m->executor));
                if (k < 0)
                        return k;
                n_deleted++;
                w->n_deleted++;
        }
        return n_deleted == SLICE_NODES;
}

static int step(Rewind *w)
{
        int k = 0;

        switch (w->stage) {
        case STAGE_SAVING:
                return 1;
        case STAGE_LOADING:
                k = moment_step(w->moment, LOAD_STEP);
                if (k != 0)
                        return k;
                if (moment_n_damaged(w->moment) > 0)
                        return -EUCLEAN;
                w->next = scene_first(moment_scene(w->moment));
                w->stage = STAGE_PUTTING;
                return 1;
        case STAGE_PUTTING:
                k = w->imported ? import_slice(w) : put_slice(w);
                if (k != 0)
                        return k;
                w->stage = STAGE_DELETING;
                return 1;
        case STAGE_DELETING:
                return w->uuids ? 0 : delete_slice(w);
        }
        return k;
}

static int on_step(sd_event_source *source, void *userdata)
{
        Rewind *w = userdata;
        Manager *m = w->control->manager;
        int k = step(w);

        if (k >= 0 && manager_check(m, manager_turn(m)) < 0)
                k = -ENOMEM;
        if (k == 0)
                finish(w);
        else if (k == -EUCLEAN || k == -EBADMSG)
                fail(w, CONTROL_ERROR_DEGRADED,
                     "some of it is damaged, so it cannot be brought back whole: choose another snapshot, or single nodes "
                     "with --node; see `scenekeepctl verify`");
        else if (k == -ENOENT)
                fail(w, CONTROL_ERROR_NOT_FOUND, "there is nothing kept from then: see `scenekeepctl snapshots`");
        else if (k < 0)
                fail(w, CONTROL_ERROR_FAILED, strerror(-k));
        return 0;
}

void rewind_saved(ManagerControl *c, int error)
{
        Rewind *w = c->rewind;
        StorePoint point = {0};
        StoreSnapshotInfo info;
        int k;

        if (!w || w->stage != STAGE_SAVING)
                return;
        if (error < 0) {
                fail(w, CONTROL_ERROR_FAILED, "nothing was changed, as what is there now could not be saved: see the log");
                return;
        }
        if (store_snapshot_find(c->manager->store, "latest", &info) == 0) {
                memcpy(c->undo, info.name, sizeof(c->undo));
                store_snapshot_info_done(&info);
        }
        point.snapshot = w->snapshot;
        point.time_usec = w->time_usec;
        k = w->imported ? 0 : moment_begin(c->manager->store, &point, &w->moment);
        if (k == 0)
                k = sd_event_add_defer(c->manager->event, &w->source, on_step, w);
        if (k >= 0)
                k = sd_event_source_set_priority(w->source, SD_EVENT_PRIORITY_IDLE);
        if (k >= 0)
                k = sd_event_source_set_enabled(w->source, SD_EVENT_ON);
        w->stage = w->imported ? STAGE_PUTTING : STAGE_LOADING;
        if (k == -ENOENT)
                fail(w, CONTROL_ERROR_NOT_FOUND, "there is nothing kept from then: see `scenekeepctl snapshots`");
        else if (k == -EUCLEAN)
                fail(w, CONTROL_ERROR_DEGRADED, "that snapshot is damaged: choose another, see `scenekeepctl snapshots`");
        else if (k < 0)
                fail(w, CONTROL_ERROR_FAILED, strerror(-k));
}

static int take_uuids(Rewind *w, json_object *list)
{
        size_t n = list ? json_object_array_length(list) : 0;

        if (n == 0)
                return 0;
        w->uuids = calloc(n, sizeof(*w->uuids));
        if (!w->uuids)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                w->uuids[i] = strdup(json_object_get_string(json_object_array_get_idx(list, i)) ?: "");
                if (!w->uuids[i])
                        return -ENOMEM;
                w->n_uuids++;
        }
        return 0;
}

static bool is_possible(ManagerControl *c, ControlCall *call)
{
        SessionStatus s;

        session_get_status(c->manager->session, &s);
        if (c->manager->state != MANAGER_SERVING)
                control_refuse_loading(call);
        else if (s.initialising)
                control_refuse(call, CONTROL_ERROR_REFUSED, "somebody is just filling the session: wait until that is over");
        else if (c->rewind)
                control_refuse(call, CONTROL_ERROR_REFUSED, "another restore or import is under way");
        else
                return true;
        return false;
}

/* The newest that was taken before a restore; also one of a daemon before this one. */
static bool find_undo(ManagerControl *c)
{
        StoreSnapshotInfo *list = NULL;
        size_t n = 0;

        if (c->undo[0])
                return true;
        if (store_snapshot_list(c->manager->store, &list, &n) < 0)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (!c->undo[0] && strstr(list[i].reason, "before-restore"))
                        memcpy(c->undo, list[i].name, sizeof(c->undo));
                store_snapshot_info_done(&list[i]);
        }
        free(list);
        return c->undo[0];
}

int rewind_restore(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        const char *snapshot = control_text(arguments, "snapshot");
        json_object *uuids = json_object_object_get(arguments, "uuids");
        StoreSnapshotInfo info;
        Rewind *w;
        int k;

        if (!is_possible(c, call))
                return 0;
        if (control_flag(arguments, "undo")) {
                if (!find_undo(c)) {
                        control_refuse(call, CONTROL_ERROR_NOT_FOUND, "nothing was restored, or what was there before is no "
                                                                      "longer kept: there is nothing to undo");
                        return 0;
                }
                snapshot = c->undo;
        }
        if (snapshot) {
                if (store_snapshot_find(c->manager->store, snapshot, &info) < 0) {
                        control_refuse(call, CONTROL_ERROR_NOT_FOUND,
                                       "there is no snapshot \"%s\": see `scenekeepctl snapshots`", snapshot);
                        return 0;
                }
        }
        w = calloc(1, sizeof(*w));
        if (!w) {
                if (snapshot)
                        store_snapshot_info_done(&info);
                return -ENOMEM;
        }
        c->rewind = w;
        w->control = c;
        w->file = -1;
        w->time_usec = json_object_get_uint64(json_object_object_get(arguments, "time_usec"));
        /* Its full name: "latest" would soon mean another. */
        if (snapshot) {
                w->snapshot = strdup(info.name);
                store_snapshot_info_done(&info);
        }
        k = snapshot && !w->snapshot ? -ENOMEM
            : uuids && !json_object_is_type(uuids, json_type_array) ? -EINVAL
                                                                    : take_uuids(w, uuids);
        if (k == 0)
                k = manager_save(c->manager, "before-restore");
        if (k < 0) {
                rewind_free(w);
                return k;
        }
        w->call = call;
        return 0;
}

int rewind_import(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        SceneConfig config = {.limits = pickle_limits_default};
        Rewind *w;
        int k;

        if (control_call_file(call) < 0) {
                control_refuse(call, CONTROL_ERROR_USAGE, "no file came along");
                return 0;
        }
        if (!is_possible(c, call))
                return 0;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        c->rewind = w;
        w->control = c;
        w->file = fcntl(control_call_file(call), F_DUPFD_CLOEXEC, 3);
        w->imported = scene_new(&config);
        k = w->file < 0 ? -errno : w->imported ? manager_save(c->manager, "before-restore") : -ENOMEM;
        if (k < 0) {
                rewind_free(w);
                return k;
        }
        w->call = call;
        return 0;
}
