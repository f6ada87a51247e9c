/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/call.h"
#include "ctl/source.h"
#include "ctl/time-spec.h"
#include "ctl/workbench.h"
#include "scene/dependencies.h"
#include "store/snapshot.h"

/* ---- --node: the uuids of nodes as they were, and of all that they depend on ---- */

typedef struct Selection {
        const Listing *listing;
        bool *chosen;
        size_t *queue;
        size_t n_queued;
} Selection;

static void choose(Selection *s, const Listed *item)
{
        size_t i = (size_t)(item - s->listing->items);

        if (!s->chosen[i]) {
                s->chosen[i] = true;
                s->queue[s->n_queued++] = i;
        }
}

static int choose_dependency(void *userdata, const void *uuid, size_t size)
{
        Selection *s = userdata;
        const Listed *item = listing_find_uuid(s->listing, uuid, size);

        if (item)
                choose(s, item);
        return 0;
}

static ExitStatus choose_nodes(const Ctl *ctl, const Listing *l, json_object *uuids)
{
        _cleanup_free_ bool *chosen = calloc(l->n_items + 1, sizeof(*chosen));
        _cleanup_free_ size_t *queue = calloc(l->n_items + 1, sizeof(*queue));
        Selection s = {.listing = l, .chosen = chosen, .queue = queue};
        ExitStatus status = CTL_OK;

        if (!chosen || !queue)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        for (size_t i = 0; i < ctl->n_nodes; i++) {
                const Listed *item = source_find_node(ctl, l, ctl->nodes[i], &status);

                if (!item)
                        return status;
                choose(&s, item);
        }
        for (size_t i = 0; i < s.n_queued; i++)
                if (dependencies_each(node_dependencies(l->items[queue[i]].node), choose_dependency, &s) < 0)
                        return ctl_fail(ctl, CTL_FAILED, "out of memory");
        for (size_t i = 0; i < s.n_queued; i++)
                json_object_array_add(uuids, json_object_new_string(node_uuid(l->items[queue[i]].node).text));
        return CTL_OK;
}

static ExitStatus add_nodes(const Ctl *ctl, const char *what, json_object *arguments)
{
        _cleanup_store_ Store *store = NULL;
        json_object *uuids = json_object_new_array();
        Source s = {0};
        Listing l = {0};
        ExitStatus status = source_open(ctl, what, &store, &s);

        json_object_object_add(arguments, "uuids", uuids);
        if (status != CTL_OK)
                return status;
        if (listing_new(s.scene, &l) < 0)
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        else
                status = choose_nodes(ctl, &l, uuids);
        listing_done(&l);
        source_done(&s);
        return status;
}

/* A time that is no name of a snapshot either. */
static bool is_only_time(const char *text)
{
        uint64_t usec;

        return !store_pin_name_is_valid(text) && time_spec_parse(text, ctl_now_usec(), &usec) == 0;
}

static ExitStatus read_target(const Ctl *ctl, json_object *arguments)
{
        const char *snapshot = ctl->n_arguments > 0 ? ctl->arguments[0] : NULL;
        uint64_t usec;

        if ((snapshot != NULL) + ctl_has(ctl, OPT_AT) + ctl_has(ctl, OPT_UNDO) != 1)
                return ctl_fail(ctl, CTL_USAGE, "say to what: one of SNAPSHOT, --at TIME and --undo");
        if (ctl_has(ctl, OPT_UNDO)) {
                if (ctl->n_nodes > 0)
                        return ctl_fail(ctl, CTL_USAGE, "--undo takes everything back: it goes without --node");
                json_object_object_add(arguments, "undo", json_object_new_boolean(true));
                return CTL_OK;
        }
        if (snapshot && source_is_file(snapshot) && access(snapshot, F_OK) == 0)
                return ctl_fail(ctl, CTL_USAGE, "%s is a file: `scenekeepctl import` makes the session what it holds", snapshot);
        if (snapshot && is_only_time(snapshot))
                return ctl_fail(ctl, CTL_USAGE, "\"%s\" is a time: write `restore --at '%s'`", snapshot, snapshot);
        if (snapshot)
                json_object_object_add(arguments, "snapshot", json_object_new_string(snapshot));
        if (ctl_has(ctl, OPT_AT)) {
                if (!ctl_time(ctl, OPT_AT, 0, &usec))
                        return CTL_USAGE;
                if (usec > ctl_now_usec())
                        return ctl_fail(ctl, CTL_USAGE, "\"%s\" has not come yet: it can only be gone back", ctl->value[OPT_AT]);
                json_object_object_add(arguments, "time_usec", json_object_new_uint64(usec));
        }
        return ctl->n_nodes > 0 ? add_nodes(ctl, snapshot ?: ctl->value[OPT_AT], arguments) : CTL_OK;
}

/* ---- without a daemon ---- */

static bool is_chosen(json_object *uuids, const Node *n)
{
        if (!uuids)
                return true;
        for (size_t i = 0; i < json_object_array_length(uuids); i++)
                if (strcmp(json_object_get_string(json_object_array_get_idx(uuids, i)), node_uuid(n).text) == 0)
                        return true;
        return false;
}

typedef struct Counts {
        uint64_t restored, removed, unchanged;
} Counts;

static int put_chosen(Workbench *w, Scene *then, json_object *uuids, Counts *counts)
{
        Scene *now = workbench_scene(w);
        int r = 0;

        for (Node *n = scene_first(then); r == 0 && n; n = scene_next(then, n)) {
                _cleanup_bytes_ Bytes *was = NULL, *is = NULL;
                Node *living = scene_find(now, node_uuid(n).text, node_uuid_size(n));

                if (!is_chosen(uuids, n))
                        continue;
                r = scene_payload(then, n, SIZE_MAX, &was);
                if (r == 0 && living)
                        r = scene_payload(now, living, SIZE_MAX, &is);
                if (r < 0)
                        break;
                if (is && bytes_equal(is, was) && bytes_equal(node_dependencies(n), node_dependencies(living))) {
                        counts->unchanged++;
                        continue;
                }
                r = workbench_put(w, n, was);
                counts->restored++;
        }
        return r;
}

static int delete_newer(Workbench *w, Scene *then, Counts *counts)
{
        Scene *now = workbench_scene(w);
        int r = 0;

        for (Node *n = scene_first(now), *next; r == 0 && n; n = next) {
                next = scene_next(now, n);
                if (scene_find(then, node_uuid(n).text, node_uuid_size(n)))
                        continue;
                r = workbench_delete(w, n);
                counts->removed++;
        }
        return r;
}

/* With a daemon, a snapshot is one, and no time. */
static ExitStatus check_snapshot(const Ctl *ctl, Store *store, const char *name)
{
        StoreSnapshotInfo info;

        if (store_snapshot_find(store, name, &info) < 0)
                return ctl_fail(ctl, CTL_NOT_FOUND, "there is no snapshot \"%s\": see `scenekeepctl snapshots`", name);
        store_snapshot_info_done(&info);
        return CTL_OK;
}

/* The journal keeps what was there before: `restore --at` a time before this one brings it back. */
static ExitStatus restore_offline(const Ctl *ctl, json_object *uuids, json_object **ret)
{
        _cleanup_workbench_ Workbench *w = NULL;
        Counts counts = {0};
        Store *store;
        Source s = {0};
        ExitStatus status;
        int r;

        if (ctl_has(ctl, OPT_UNDO))
                return ctl_fail(ctl, CTL_NOT_RUNNING, "--undo needs the daemon: without one, use --at with the time before");
        status = workbench_open(ctl, ctl->data_dir, &w);
        if (status != CTL_OK)
                return status;
        store = workbench_store(w);
        if (ctl->n_arguments > 0) {
                status = check_snapshot(ctl, store, ctl->arguments[0]);
                if (status != CTL_OK)
                        return status;
        }
        status = source_open(ctl, ctl->n_arguments > 0 ? ctl->arguments[0] : ctl->value[OPT_AT], &store, &s);
        if (status != CTL_OK)
                return status;
        if (s.n_damaged > 0) {
                source_done(&s);
                return ctl_fail(ctl, CTL_DEGRADED, "some of it is damaged: choose another snapshot, or single nodes");
        }
        r = put_chosen(w, s.scene, uuids, &counts);
        if (r == 0 && !uuids)
                r = delete_newer(w, s.scene, &counts);
        if (r == 0)
                r = workbench_commit(w);
        source_done(&s);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "the restore is not complete: %s; repeat it", strerror(-r));
        *ret = json_object_new_object();
        json_add_int(*ret, "restored", counts.restored);
        json_add_int(*ret, "removed", counts.removed);
        json_add_int(*ret, "unchanged", counts.unchanged);
        return CTL_OK;
}

ExitStatus verb_restore(Ctl *ctl)
{
        json_object *arguments = json_object_new_object(), *o = NULL;
        ExitStatus status = read_target(ctl, arguments);
        _cleanup_free_ char *where = ctl_where(ctl), *undo = NULL;
        bool running;

        if (status != CTL_OK) {
                json_object_put(arguments);
                return status;
        }
        running = ctl_is_running(ctl);
        if (running) {
                status = ctl_call(ctl, "restore", arguments, -1, &o);
        } else {
                status = restore_offline(ctl, json_object_object_get(arguments, "uuids"), &o);
                json_object_put(arguments);
        }
        if (status != CTL_OK)
                return status;
        if (ctl->json) {
                ctl_print_json(o);
                return CTL_OK;
        }
        printf("%llu nodes brought back, %llu removed, %llu were as they should be.\n",
               (unsigned long long)answer_int(o, "restored"), (unsigned long long)answer_int(o, "removed"),
               (unsigned long long)answer_int(o, "unchanged"));
        if (running && asprintf(&undo, "`scenekeepctl %srestore --undo` takes this back.", where ?: "") < 0)
                undo = NULL;
        if (undo)
                ctl_wrap(ctl, stdout, undo);
        json_object_put(o);
        return CTL_OK;
}
