/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/call.h"
#include "ctl/format.h"
#include "ctl/source.h"
#include "daemon/config.h"
#include "store/maintain.h"

/* Removing is the daemon's; what would be removed is told without it as well, by the settings that it would read. */

typedef struct Forecast {
        json_object *answer;
        int error;
} Forecast;

static void on_planned(void *userdata, int result, const StoreSnapshotInfo *gone, size_t n_gone, size_t n_kept,
                       uint64_t n_bytes)
{
        Forecast *f = userdata;
        json_object *names = json_object_new_array();

        f->error = result;
        f->answer = json_object_new_object();
        for (size_t i = 0; i < n_gone; i++)
                json_object_array_add(names, json_object_new_string(gone[i].name));
        json_object_object_add(f->answer, "removed", names);
        json_add_int(f->answer, "kept", n_kept);
        json_add_int(f->answer, "bytes", n_bytes);
}

/* The settings with which a daemon of this session would start. */
static ExitStatus read_config(const Ctl *ctl, Config **ret)
{
        bool first = strcmp(ctl->instance, "default") == 0;
        _cleanup_free_ char *path = NULL, *error = NULL;
        Options options = {0};
        int r;

        if (asprintf(&path, PKGSYSCONFDIR "/%s.conf", first ? "scenekeep" : ctl->instance) < 0) {
                path = NULL;
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        if (access(path, F_OK) == 0)
                options.config_path = path;
        r = config_load(&options, ret, &error);
        if (r == 0)
                return CTL_OK;
        return ctl_fail(ctl, r == -EACCES ? CTL_REFUSED : CTL_FAILED, "the settings cannot be read: %s",
                        error ?: strerror(-r));
}

static ExitStatus plan_offline(const Ctl *ctl, const Config *config, json_object **ret)
{
        _cleanup_worker_ Worker *worker = NULL;
        _cleanup_store_ Store *store = NULL;
        _cleanup_free_ char *error = NULL;
        Forecast f = {0};
        ExitStatus status = source_open_store(ctl, &store); /* which explains what may be wrong with it */
        int r;

        if (status != CTL_OK)
                return status;
        store = store_close(store);
        r = worker_new_inline(&worker);
        if (r == 0) {
                StoreOptions options = {
                        .path = ctl->data_dir,
                        .flags = STORE_OPEN_READ_ONLY | STORE_OPEN_EXISTING | STORE_OPEN_BESIDE,
                        .worker = worker,
                        .retention = config_retention(config),
                };

                r = store_open(&options, &store, &error);
        }
        if (r == 0)
                r = store_prune_begin(store, true, on_planned, &f);
        if (r == 0)
                worker_drain(worker, true);
        r = r < 0 ? r : f.error;
        if (r == 0) {
                *ret = f.answer;
                return CTL_OK;
        }
        json_object_put(f.answer);
        return ctl_fail(ctl, CTL_FAILED, "the snapshots in %s could not be gone through: %s", ctl->data_dir,
                        error ?: strerror(-r));
}

static void print_answer(json_object *o, bool dry_run)
{
        json_object *removed = json_object_object_get(o, "removed");
        size_t n = json_object_array_length(removed);
        char size[FORMAT_SIZE_MAX];

        for (size_t i = 0; i < n; i++)
                printf("%s\n", json_object_get_string(json_object_array_get_idx(removed, i)));
        format_size(size, sizeof(size), answer_int(o, "bytes"));
        if (n == 0)
                printf("Retention keeps all %llu snapshots.\n", (unsigned long long)answer_int(o, "kept"));
        else
                printf("%zu snapshots %s, with %s that no other has; %llu stay.\n", n, dry_run ? "would go" : "removed", size,
                       (unsigned long long)answer_int(o, "kept"));
}

static void print_settings(const Ctl *ctl, const Config *config)
{
        _cleanup_free_ char *line = NULL;

        if (asprintf(&line, "The daemon does not run; these are the settings of %s.",
                     config->path ?: "one that has no configuration file") >= 0)
                ctl_wrap(ctl, stdout, line);
}

ExitStatus verb_prune(Ctl *ctl)
{
        bool dry_run = ctl_has(ctl, OPT_DRY_RUN);
        _cleanup_(config_freep) Config *config = NULL;
        json_object *o = NULL;
        ExitStatus status;

        if (dry_run && !ctl_is_running(ctl)) {
                status = read_config(ctl, &config);
                if (status == CTL_OK)
                        status = plan_offline(ctl, config, &o);
        } else {
                json_object *arguments = json_object_new_object();

                json_object_object_add(arguments, "dry_run", json_object_new_boolean(dry_run));
                status = ctl_call(ctl, "prune", arguments, -1, &o);
        }
        if (status != CTL_OK)
                return status;
        if (ctl->json) {
                ctl_print_json(o);
                return CTL_OK;
        }
        print_answer(o, dry_run);
        if (config)
                print_settings(ctl, config);
        json_object_put(o);
        return CTL_OK;
}
