/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/source.h"
#include "ctl/table.h"
#include "store/snapshot.h"

static json_object *snapshot_json(const StoreSnapshotInfo *i)
{
        json_object *o = json_object_new_object();

        json_add_text(o, "name", i->name);
        json_add_int(o, "number", i->number);
        json_add_time(o, "time", i->time_usec);
        json_add_text(o, "reason", i->reason);
        json_add_text(o, "user", i->user && *i->user ? i->user : NULL);
        json_add_int(o, "node_count", i->node_count);
        json_add_int(o, "user_count", i->user_count);
        json_add_int(o, "bytes", i->payload_bytes);
        json_add_int(o, "manifest_bytes", i->manifest_bytes);
        json_add_bool(o, "pinned", i->pinned);
        json_add_bool(o, "intact", i->intact);
        return o;
}

static int print_table(const Ctl *ctl, const StoreSnapshotInfo *list, size_t n)
{
        _cleanup_table_ Table *t = table_new(">NO|TIME|~REASON|>NODES|>SIZE|STATE");

        if (!t)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const StoreSnapshotInfo *s = &list[i];

                table_row(t);
                table_cell(t, "%llu", (unsigned long long)s->number);
                table_time(t, s->time_usec);
                table_cell(t, "%s", s->reason);
                table_cell(t, "%llu", (unsigned long long)s->node_count);
                table_size(t, s->payload_bytes);
                table_cell(t, "%s%s%s", s->intact ? "" : "damaged", !s->intact && s->pinned ? ", " : "",
                           s->pinned ? "pinned" : "");
        }
        return table_print(t, stdout, ctl->width, ctl->colour);
}

ExitStatus verb_snapshots(Ctl *ctl)
{
        _cleanup_store_ Store *store = NULL;
        StoreSnapshotInfo *list = NULL;
        ExitStatus status = source_open_store(ctl, &store);
        size_t n = 0, n_damaged = 0;
        int r;

        if (status != CTL_OK)
                return status;
        r = store_snapshot_list(store, &list, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                n_damaged += !list[i].intact;
        if (r == 0 && ctl->json) {
                json_object *o = json_object_new_object(), *array = json_object_new_array();

                for (size_t i = 0; i < n; i++)
                        json_object_array_add(array, snapshot_json(&list[i]));
                json_object_object_add(o, "snapshots", array);
                ctl_print_json(o);
        } else if (r == 0 && n == 0) {
                puts("There are no snapshots yet: `scenekeepctl save` takes one.");
        } else if (r == 0) {
                r = print_table(ctl, list, n);
        }
        for (size_t i = 0; i < n; i++)
                store_snapshot_info_done(&list[i]);
        free(list);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot list the snapshots in %s: %s", ctl->data_dir, strerror(-r));
        return n_damaged > 0 ? CTL_DEGRADED : CTL_OK;
}
