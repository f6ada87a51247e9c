/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "control/protocol.h"
#include "daemon/manager-control.h"
#include "store/maintain.h"

/* What keeps the store in order and takes its time: done in the worker, answered at its end. */

static void on_scrubbed(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        /* The store may outlive the control socket. */
        ManagerControl *c = ((Manager *)userdata)->control;
        ControlCall *call = c ? TAKE_PTR(c->scrub) : NULL;
        json_object *o;

        if (!call)
                return;
        if (result < 0) {
                control_refuse(call, CONTROL_ERROR_FAILED, "the store could not be read through: %s", strerror(-result));
                return;
        }
        o = json_object_new_object();
        json_object_object_add(o, "records", json_object_new_uint64(n_records));
        json_object_object_add(o, "bytes", json_object_new_uint64(n_bytes));
        json_object_object_add(o, "damaged", json_object_new_uint64(n_damaged));
        control_answer(call, o);
}

int control_scrub(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        int k = c->scrub ? -EALREADY : store_scrub_begin(c->manager->store, on_scrubbed, c->manager);

        if (k == -EALREADY) {
                control_refuse(call, CONTROL_ERROR_REFUSED, "a scrub is under way already: wait for its end");
                return 0;
        }
        if (k == 0)
                c->scrub = call;
        return k;
}

static void on_pruned(void *userdata, int result, const StoreSnapshotInfo *gone, size_t n_gone, size_t n_kept,
                      uint64_t n_bytes)
{
        ManagerControl *c = ((Manager *)userdata)->control;
        ControlCall *call = c ? TAKE_PTR(c->prune) : NULL;
        json_object *o, *names;

        if (!call)
                return;
        if (result < 0) {
                control_refuse(call, CONTROL_ERROR_FAILED, "the snapshots could not be gone through: %s", strerror(-result));
                return;
        }
        o = json_object_new_object();
        names = json_object_new_array();
        for (size_t i = 0; i < n_gone; i++)
                json_object_array_add(names, json_object_new_string(gone[i].name));
        json_object_object_add(o, "removed", names);
        json_object_object_add(o, "kept", json_object_new_uint64(n_kept));
        json_object_object_add(o, "bytes", json_object_new_uint64(n_bytes));
        control_answer(call, o);
}

int control_prune(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;
        int k;

        if (c->prune) {
                control_refuse(call, CONTROL_ERROR_REFUSED, "snapshots are being pruned already: wait for its end");
                return 0;
        }
        k = store_prune_begin(c->manager->store, control_flag(arguments, "dry_run"), on_pruned, c->manager);
        if (k == 0)
                c->prune = call;
        return k;
}
