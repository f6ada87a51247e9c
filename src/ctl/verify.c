/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/call.h"
#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/table.h"
#include "ctl/verify.h"
#include "store/maintain.h"
#include "store/snapshot.h"

/* Verification reads, and reads only: it runs here and not in the daemon, beside which it may go on for hours. */

#define PROBLEMS_SHOWN 20u

typedef struct Verification {
        const Ctl *ctl;
        Table *table;
        json_object *snapshots, *problems;
        size_t n_problems;
        bool found_damage; /* when the store was opened, wherever in it */
        uint64_t n_damaged;
        int error;
        bool ended;
} Verification;

static void on_problem(void *userdata, StoreLevel level, const char *damaged, const char *text)
{
        Verification *v = userdata;

        if (level == STORE_NOTICE)
                return;
        v->found_damage = v->found_damage || damaged;
        if (v->n_problems++ < PROBLEMS_SHOWN)
                json_object_array_add(v->problems, json_object_new_string(text));
}

static void on_drilled(void *userdata, int result, const char *snapshot, uint64_t n_nodes, uint64_t n_bytes,
                       uint64_t n_damaged)
{
        Verification *v = userdata;
        json_object *o = json_object_new_object();
        const char *one = snapshot && *snapshot ? snapshot : NULL;

        v->ended = true;
        if (result < 0)
                v->error = result;
        v->n_damaged += n_damaged;
        table_row(v->table);
        table_cell(v->table, "%s", one ?: "all snapshots");
        table_cell(v->table, "%llu", (unsigned long long)n_nodes);
        table_size(v->table, n_bytes);
        table_cell(v->table, "%llu", (unsigned long long)n_damaged);
        json_add_text(o, "snapshot", one);
        json_add_int(o, "nodes", n_nodes);
        json_add_int(o, "bytes", n_bytes);
        json_add_int(o, "damaged", n_damaged);
        json_object_array_add(v->snapshots, o);
}

static void on_scrubbed(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        on_drilled(userdata, result, "the whole log", n_records, n_bytes, n_damaged);
}

static ExitStatus open_store(Verification *v, Worker *worker, Store **ret)
{
        StoreOptions options = {
                .path = v->ctl->data_dir,
                .flags = STORE_OPEN_READ_ONLY | STORE_OPEN_EXISTING | STORE_OPEN_BESIDE,
                .worker = worker,
                .events = {.problem = on_problem, .userdata = v},
        };
        _cleanup_free_ char *error = NULL;
        int r = store_open(&options, ret, &error);

        if (r == 0)
                return CTL_OK;
        /* Asked again in the usual way, which explains what is wrong. */
        r = source_open_store(v->ctl, ret);
        if (r == CTL_OK) {
                *ret = store_close(*ret);
                r = ctl_fail(v->ctl, CTL_FAILED, "%s", error ?: "the store cannot be opened");
        }
        return r;
}

static ExitStatus report(const Verification *v)
{
        size_t n = json_object_array_length(v->problems);

        if (v->ctl->json) {
                json_object *o = json_object_new_object();

                json_object_object_add(o, "checked", json_object_get(v->snapshots));
                json_object_object_add(o, "problems", json_object_get(v->problems));
                json_add_int(o, "damaged", v->n_damaged);
                ctl_print_json(o);
        } else {
                if (table_print(v->table, stdout, v->ctl->width, v->ctl->colour) < 0)
                        return ctl_fail(v->ctl, CTL_FAILED, "out of memory");
                if (n > 0)
                        putchar('\n');
                for (size_t i = 0; i < n; i++)
                        ctl_wrap(v->ctl, stdout, json_object_get_string(json_object_array_get_idx(v->problems, i)));
                puts(v->n_damaged > 0   ? "\nThere is damage: see SAFEKEEPING in scenekeepctl(1) for what to do."
                     : v->found_damage ? "\nWhat was checked is right, and there is damage elsewhere: see SAFEKEEPING in\n"
                                         "scenekeepctl(1) for what to do."
                                       : "\nEvery digest is right.");
        }
        return v->n_damaged > 0 || v->found_damage ? CTL_DEGRADED : CTL_OK;
}

/* Whether the log is read through as well; or instead, as long as there are no snapshots. */
typedef enum Scrub { SCRUB_NO, SCRUB_INSTEAD, SCRUB_YES } Scrub;

/* ret_damaged: nothing is printed then. */
static ExitStatus verify(const Ctl *ctl, const char *snapshot, bool drill, Scrub scrub, uint64_t *ret_damaged)
{
        _cleanup_worker_ Worker *worker = NULL;
        _cleanup_table_ Table *table = table_new("CHECKED|>NODES|>SIZE|>DAMAGED");
        Verification v = {
                .ctl = ctl,
                .table = table,
                .snapshots = json_object_new_array(),
                .problems = json_object_new_array(),
        };
        Store *store = NULL;
        ExitStatus status;
        int r = table && worker_new_inline(&worker) == 0 ? 0 : -ENOMEM;

        status = r < 0 ? ctl_fail(ctl, CTL_FAILED, "out of memory") : open_store(&v, worker, &store);
        if (status == CTL_OK && drill)
                r = store_drill_begin(store, snapshot, on_drilled, &v);
        bool only_log = r == -ENOENT && scrub != SCRUB_NO;
        if (only_log)
                r = 0;
        if (status == CTL_OK && r == 0 && (only_log || scrub == SCRUB_YES))
                r = store_scrub_begin(store, on_scrubbed, &v);
        if (status == CTL_OK && r == -ENOENT)
                status = snapshot && strcmp(snapshot, "latest") != 0
                                 ? ctl_fail(ctl, CTL_NOT_FOUND, "there is no snapshot \"%s\": see `scenekeepctl snapshots`",
                                            snapshot)
                                 : ctl_fail(ctl, CTL_NOT_FOUND, "there are no snapshots yet: `scenekeepctl save` takes one");
        if (status == CTL_OK && r == 0)
                worker_drain(worker, true);
        if (status == CTL_OK && (r < 0 || v.error < 0))
                status = ctl_fail(ctl, v.n_damaged > 0 ? CTL_DEGRADED : CTL_FAILED, "%s could not be read through: %s",
                                  ctl->data_dir, strerror(r < 0 ? -r : -v.error));
        else if (status == CTL_OK && ret_damaged)
                *ret_damaged = v.n_damaged;
        else if (status == CTL_OK)
                status = report(&v);
        store_close(store);
        json_object_put(v.snapshots);
        json_object_put(v.problems);
        return status;
}

ExitStatus verify_everything(const Ctl *ctl, uint64_t *ret_damaged)
{
        return verify(ctl, NULL, false, SCRUB_YES, ret_damaged);
}

ExitStatus verb_verify(Ctl *ctl)
{
        bool all = ctl_has(ctl, OPT_ALL);

        if (all && ctl->n_arguments > 0)
                return ctl_fail(ctl, CTL_USAGE, "--all checks everything: it goes without a snapshot");
        if (ctl->n_arguments > 0)
                return verify(ctl, ctl->arguments[0], true, SCRUB_NO, NULL);
        return verify(ctl, all ? NULL : "latest", true, all ? SCRUB_YES : SCRUB_INSTEAD, NULL);
}

ExitStatus verb_drill(Ctl *ctl)
{
        return verify(ctl, "latest", true, SCRUB_NO, NULL);
}

ExitStatus verb_scrub(Ctl *ctl)
{
        json_object *o = NULL;
        char size[FORMAT_SIZE_MAX];
        ExitStatus status;

        if (!ctl_is_running(ctl))
                return verify(ctl, NULL, false, SCRUB_YES, NULL);
        status = ctl_call(ctl, "scrub", NULL, -1, &o);
        if (status != CTL_OK)
                return status;
        status = answer_int(o, "damaged") > 0 ? CTL_DEGRADED : CTL_OK;
        if (ctl->json) {
                ctl_print_json(o);
                return status;
        }
        printf("%llu records with %s read, %llu damaged.\n", (unsigned long long)answer_int(o, "records"),
               format_size(size, sizeof(size), answer_int(o, "bytes")), (unsigned long long)answer_int(o, "damaged"));
        json_object_put(o);
        return status;
}
