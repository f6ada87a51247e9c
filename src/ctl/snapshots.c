/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/table.h"
#include "store/snapshot.h"

typedef struct Snapshots {
        StoreSnapshotInfo *items;
        uint64_t *new_bytes;
        size_t n_items;
        StoreStats stats;
} Snapshots;

/* When every digest of it was last compared, and found right; 0: never. */
static uint64_t verified_usec(const Snapshots *l, size_t i)
{
        const StoreSnapshotInfo *s = &l->items[i];

        return s->intact && l->stats.scrub_damaged == 0 && s->sequence <= l->stats.scrub_sequence &&
                               s->time_usec <= l->stats.scrub_finished_usec
                       ? l->stats.scrub_finished_usec
                       : 0;
}

static json_object *snapshot_json(const Snapshots *l, size_t k)
{
        const StoreSnapshotInfo *i = &l->items[k];
        json_object *o = json_object_new_object();

        json_add_text(o, "name", i->name);
        json_add_int(o, "number", i->number);
        json_add_time(o, "time", i->time_usec);
        json_add_text(o, "reason", i->reason);
        json_add_text(o, "user", i->user && *i->user ? i->user : NULL);
        json_add_int(o, "node_count", i->node_count);
        json_add_int(o, "user_count", i->user_count);
        json_add_int(o, "bytes", i->payload_bytes);
        json_add_int(o, "new_bytes", l->new_bytes[k]);
        json_add_int(o, "manifest_bytes", i->manifest_bytes);
        json_add_bool(o, "pinned", i->pinned);
        json_add_text(o, "pin_name", *i->pin_name ? i->pin_name : NULL);
        json_add_bool(o, "intact", i->intact);
        json_add_time(o, "verified", verified_usec(l, k));
        return o;
}

static int print_table(const Ctl *ctl, const Snapshots *l)
{
        _cleanup_table_ Table *t = table_new("NO|TIME|~REASON|>NODES|>SIZE|>NEW|VERIFIED");

        if (!t)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_items; i++) {
                const StoreSnapshotInfo *s = &l->items[i];
                char text[FORMAT_SIZE_MAX];

                table_row(t);
                table_cell(t, "%llu%s", (unsigned long long)s->number, s->pinned ? "*" : "");
                table_cell(t, "%.16s", format_time(text, sizeof(text), s->time_usec));
                table_cell(t, "%s%s", s->intact ? "" : "DAMAGED ", s->reason);
                table_cell(t, "%llu", (unsigned long long)s->node_count);
                table_size(t, s->payload_bytes);
                table_size(t, l->new_bytes[i]);
                table_cell(t, "%.10s", verified_usec(l, i) ? format_time(text, sizeof(text), verified_usec(l, i)) : "-");
        }
        return table_print(t, stdout, ctl->width, ctl->colour);
}

/* Below the table, where there is room for their names. */
static int print_pinned(const Ctl *ctl, const Snapshots *l)
{
        _cleanup_free_ char *line = NULL;
        size_t size, n = 0;
        FILE *f = open_memstream(&line, &size);

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_items; i++) {
                const StoreSnapshotInfo *s = &l->items[i];

                if (!s->pinned)
                        continue;
                fprintf(f, "%s%llu%s%s", n++ == 0 ? "* pinned: " : ", ", (unsigned long long)s->number,
                        *s->pin_name ? " " : "", s->pin_name);
        }
        if (fclose(f) != 0)
                return -ENOMEM;
        if (n > 0)
                ctl_wrap(ctl, stdout, line);
        return 0;
}

static int read_list(Store *store, Snapshots *ret)
{
        int r = store_snapshot_list(store, &ret->items, &ret->n_items);

        if (r < 0)
                return r;
        store_get_stats(store, &ret->stats);
        ret->new_bytes = calloc(ret->n_items + 1, sizeof(*ret->new_bytes));
        return ret->new_bytes ? store_snapshot_new_bytes(store, ret->items, ret->n_items, ret->new_bytes) : -ENOMEM;
}

ExitStatus verb_snapshots(Ctl *ctl)
{
        _cleanup_store_ Store *store = NULL;
        _cleanup_free_ char *where = ctl_where(ctl), *none = NULL;
        Snapshots l = {0};
        ExitStatus status = source_open_store(ctl, &store);
        size_t n_damaged = 0;
        int r;

        if (status != CTL_OK)
                return status;
        r = read_list(store, &l);
        for (size_t i = 0; r == 0 && i < l.n_items; i++)
                n_damaged += !l.items[i].intact;
        if (r == 0 && ctl->json) {
                json_object *o = json_object_new_object(), *array = json_object_new_array();

                for (size_t i = 0; i < l.n_items; i++)
                        json_object_array_add(array, snapshot_json(&l, i));
                json_object_object_add(o, "snapshots", array);
                ctl_print_json(o);
        } else if (r == 0 && l.n_items == 0) {
                if (asprintf(&none, "There are no snapshots yet: `scenekeepctl %ssave` takes one.", where ?: "") < 0)
                        none = NULL;
                ctl_wrap(ctl, stdout, none ?: "There are no snapshots yet.");
        } else if (r == 0) {
                r = print_table(ctl, &l);
                if (r == 0)
                        r = print_pinned(ctl, &l);
        }
        for (size_t i = 0; i < l.n_items; i++)
                store_snapshot_info_done(&l.items[i]);
        free(l.items);
        free(l.new_bytes);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot list the snapshots in %s: %s", ctl->data_dir, strerror(-r));
        return n_damaged > 0 ? CTL_DEGRADED : CTL_OK;
}
