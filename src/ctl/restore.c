/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/call.h"
#include "ctl/source.h"
#include "ctl/time-spec.h"
#include "scene/dependencies.h"

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
                json_object_array_add(uuids, json_object_new_string(node_uuid(l->items[queue[i]].node)));
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
        if (snapshot)
                json_object_object_add(arguments, "snapshot", json_object_new_string(snapshot));
        if (ctl_has(ctl, OPT_AT)) {
                if (!ctl_time(ctl, OPT_AT, 0, &usec))
                        return CTL_USAGE;
                json_object_object_add(arguments, "time_usec", json_object_new_uint64(usec));
        }
        return ctl->n_nodes > 0 ? add_nodes(ctl, snapshot ?: ctl->value[OPT_AT], arguments) : CTL_OK;
}

ExitStatus verb_restore(Ctl *ctl)
{
        json_object *arguments = json_object_new_object(), *o = NULL;
        ExitStatus status = read_target(ctl, arguments);

        if (status != CTL_OK) {
                json_object_put(arguments);
                return status;
        }
        status = ctl_call(ctl, "restore", arguments, -1, &o);
        if (status != CTL_OK)
                return status;
        if (ctl->json) {
                ctl_print_json(o);
                return CTL_OK;
        }
        printf("%llu nodes brought back, %llu removed, %llu were as they should be.\n"
               "`scenekeepctl restore --undo` takes this back.\n",
               (unsigned long long)answer_int(o, "restored"), (unsigned long long)answer_int(o, "removed"),
               (unsigned long long)answer_int(o, "unchanged"));
        json_object_put(o);
        return CTL_OK;
}
