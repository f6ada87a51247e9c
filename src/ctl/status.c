/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "control/restarts.h"
#include "ctl/call.h"
#include "ctl/format.h"
#include "ctl/instances.h"
#include "ctl/source.h"
#include "ctl/table.h"
#include "store/snapshot.h"

#define WATCH_SECONDS 1

/* ---- one session ---- */

static void print_since(const char *what, uint64_t usec)
{
        char time[FORMAT_SIZE_MAX], ago[FORMAT_SIZE_MAX];

        format_time(time, sizeof(time), usec);
        if (usec == 0)
                printf("%-12s %s", what, time);
        else
                printf("%-12s %s (%s ago)", what, time, format_duration(ago, sizeof(ago), ctl_now_usec() - usec));
}

static void print_restarts(uint64_t n)
{
        printf("%-12s %llu survived", "Restarts", (unsigned long long)n);
}

static void print_degraded(const Ctl *ctl, const char *reason)
{
        _cleanup_free_ char *line = NULL;

        if (asprintf(&line, "%-12s %s", "DEGRADED", reason) < 0)
                line = NULL;
        fputs(ctl->colour ? "\033[31m" : "", stdout);
        ctl_wrap(ctl, stdout, line ?: reason);
        fputs(ctl->colour ? "\033[0m" : "", stdout);
}

static int print_users(const Ctl *ctl, json_object *users)
{
        _cleanup_table_ Table *t = table_new("~USER|STATUS|~ADDRESS|>LATENCY|>UPDATES|>LOCKED|>BACKLOG");
        size_t n = json_object_array_length(users);

        if (!t)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                json_object *u = json_object_array_get_idx(users, i);

                table_row(t);
                table_cell(t, "%s%s", answer_text_of(u, "name"), answer_bool(u, "admin") ? " (admin)" : "");
                table_cell(t, "%s%s%s", answer_text_of(u, "status"), answer_bool(u, "behind") ? ", behind" : "",
                           answer_bool(u, "held_back") ? ", held back" : "");
                table_cell(t, "%s", answer_text_of(u, "address"));
                table_cell(t, "%llu ms", (unsigned long long)answer_int(u, "latency_msec"));
                table_cell(t, "%llu", (unsigned long long)answer_int(u, "updates"));
                table_cell(t, "%llu", (unsigned long long)answer_int(u, "locked_nodes"));
                table_size(t, answer_int(u, "backlog_bytes"));
        }
        return table_print(t, stdout, ctl->width, ctl->colour);
}

static ExitStatus print_status(const Ctl *ctl, json_object *o)
{
        json_object *users = json_object_object_get(o, "users"), *store = json_object_object_get(o, "store");
        const char *degraded = answer_text_of(o, "degraded");
        char size[FORMAT_SIZE_MAX];
        uint64_t lag;

        printf("%-12s %s, %s\n", "Session", answer_text_of(o, "session"), answer_text_of(o, "state"));
        if (*degraded)
                print_degraded(ctl, degraded);
        printf("%-12s %llu nodes, %s\n", "Scene", (unsigned long long)answer_int(o, "node_count"),
               format_size(size, sizeof(size), answer_int(o, "bytes")));
        printf("%-12s %llu accepted, %llu refused, %llu could not be applied\n", "Updates",
               (unsigned long long)answer_int(o, "updates"), (unsigned long long)answer_int(o, "refused"),
               (unsigned long long)answer_int(o, "diverged"));
        print_since("Saved", answer_time(o, "last_save"));
        printf("%s%s\n", answer_time(o, "last_save") > 0 ? ", " : "",
               answer_time(o, "last_save") > 0 ? answer_text_of(o, "last_save_reason") : "");
        lag = answer_int(store, "sequence") - answer_int(store, "durable_sequence");
        printf("%-12s %s in the log, %llu snapshots, ", "Disk",
               format_size(size, sizeof(size), answer_int(store, "log_bytes")),
               (unsigned long long)answer_int(store, "snapshots"));
        if (lag == 0)
                puts("everything durable");
        else
                printf("%llu records not durable yet\n%-12s up to %s\n", (unsigned long long)lag, "Durable",
                       format_time(size, sizeof(size), answer_time(store, "durable_until")));
        print_restarts(answer_int(o, "restarts_survived"));
        if (answer_int(o, "restarts_survived") > 0)
                printf(", %llu of %llu users kept through the last", (unsigned long long)answer_int(o, "restart_users_kept"),
                       (unsigned long long)answer_int(o, "restart_users"));
        putchar('\n');
        print_since("Serving", answer_time(o, "started"));
        printf("\n%-12s version %s, pid %llu, port %llu\n", "", answer_text_of(o, "version"),
               (unsigned long long)answer_int(o, "pid"), (unsigned long long)answer_int(o, "port"));
        if (json_object_array_length(users) == 0) {
                puts("\nNobody is in the session.");
        } else {
                putchar('\n');
                if (print_users(ctl, users) < 0)
                        return ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        return *degraded ? CTL_DEGRADED : CTL_OK;
}

/* A daemon that is not running has left everything in its store. */
static ExitStatus status_stopped(const Ctl *ctl)
{
        _cleanup_store_ Store *store = NULL;
        StoreSnapshotInfo info = {0};
        char size[FORMAT_SIZE_MAX];
        ExitStatus status = source_open_store(ctl, &store);
        StoreStats stats;
        Restarts restarts;
        _cleanup_free_ char *reason = NULL;
        uint64_t when = 0;
        bool saved;

        if (status != CTL_OK)
                return status;
        saved = store_snapshot_find(store, "latest", &info) == 0;
        if (saved && store_last_save(store, &info, &when, &reason) < 0) {
                store_snapshot_info_done(&info);
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        store_get_stats(store, &stats);
        restarts_read(&restarts, ctl->data_dir);
        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_add_text(o, "session", ctl->instance);
                json_add_text(o, "state", "stopped");
                json_add_text(o, "data_dir", ctl->data_dir);
                json_add_int(o, "node_count", info.node_count);
                json_add_int(o, "bytes", info.payload_bytes);
                json_add_time(o, "last_save", when);
                json_add_text(o, "last_save_reason", reason);
                json_add_int(o, "log_bytes", stats.log_bytes);
                json_add_int(o, "snapshots", stats.n_snapshots);
                json_add_int(o, "restarts_survived", restarts.n_survived);
                ctl_print_json(o);
        } else {
                printf("%-12s %s, not running\n", "Session", ctl->instance);
                if (saved)
                        printf("%-12s %llu nodes, %s\n", "Scene", (unsigned long long)info.node_count,
                               format_size(size, sizeof(size), info.payload_bytes));
                print_since("Saved", when);
                printf("%s%s\n", saved ? ", " : "", saved ? reason : "");
                printf("%-12s %s in the log, %llu snapshots\n", "Disk", format_size(size, sizeof(size), stats.log_bytes),
                       (unsigned long long)stats.n_snapshots);
                print_restarts(restarts.n_survived);
                putchar('\n');
        }
        if (saved)
                store_snapshot_info_done(&info);
        return CTL_NOT_RUNNING;
}

static ExitStatus status_once(Ctl *ctl)
{
        json_object *o = NULL;
        ExitStatus status;

        if (!ctl_is_running(ctl))
                return status_stopped(ctl);
        status = ctl_call(ctl, "status", NULL, -1, &o);
        if (status != CTL_OK)
                return status;
        if (ctl->json) {
                status = *answer_text_of(o, "degraded") ? CTL_DEGRADED : CTL_OK;
                ctl_print_json(o);
                return status;
        }
        status = print_status(ctl, o);
        json_object_put(o);
        return status;
}

ExitStatus verb_status(Ctl *ctl)
{
        const struct timespec pause = {.tv_sec = WATCH_SECONDS};

        if (!ctl_has(ctl, OPT_WATCH))
                return status_once(ctl);
        for (;;) {
                ExitStatus status;

                if (ctl->colour)
                        fputs("\033[H\033[2J", stdout);
                status = status_once(ctl);
                if (!ctl->colour)
                        putchar('\n');
                if (fflush(stdout) != 0 || (status != CTL_OK && status != CTL_DEGRADED && status != CTL_NOT_RUNNING))
                        return status;
                if (clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL) != 0)
                        return status;
        }
}

ExitStatus verb_users(Ctl *ctl)
{
        json_object *o = NULL, *users;
        ExitStatus status = ctl_call(ctl, "status", NULL, -1, &o);

        if (status != CTL_OK)
                return status;
        users = json_object_object_get(o, "users");
        if (ctl->json) {
                json_object *answer = json_object_new_object();

                json_object_object_add(answer, "users", json_object_get(users));
                ctl_print_json(answer);
        } else if (json_object_array_length(users) == 0) {
                puts("Nobody is in the session.");
        } else if (print_users(ctl, users) < 0) {
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        json_object_put(o);
        return status;
}

/* ---- all sessions ---- */

static ExitStatus list_one(const Ctl *ctl, const char *name, Table *t, json_object *array)
{
        json_object *o = NULL, *line;
        Restarts restarts;
        bool running, up;
        Ctl one;

        if (instance_ctl_init(ctl, name, &one) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        one.json = false; /* one that does not answer is said to be on stderr, and is not running for all others */
        line = json_object_new_object();
        restarts_read(&restarts, one.data_dir);
        up = ctl_is_running(&one);
        running = up && ctl_call(&one, "status", NULL, -1, &o) == CTL_OK;
        table_row(t);
        table_cell(t, "%s", name);
        table_cell(t, "%s", running ? answer_text_of(o, "state") : up ? "no answer" : "not running");
        table_cell(t, "%llu", (unsigned long long)(running ? answer_int(o, "port") : 0));
        table_cell(t, "%llu", (unsigned long long)(running ? answer_int(o, "user_count") : 0));
        table_cell(t, "%llu", (unsigned long long)(running ? answer_int(o, "node_count") : 0));
        table_size(t, running ? answer_int(o, "bytes") : 0);
        table_cell(t, "%llu", (unsigned long long)(running ? answer_int(o, "restarts_survived") : restarts.n_survived));
        table_cell(t, "%s", running ? answer_text_of(o, "degraded") : "");
        json_add_text(line, "instance", name);
        json_add_bool(line, "running", running);
        json_add_int(line, "restarts_survived", running ? answer_int(o, "restarts_survived") : restarts.n_survived);
        json_object_object_add(line, "status", running ? json_object_get(o) : NULL);
        json_object_array_add(array, line);
        json_object_put(o);
        instance_ctl_done(&one);
        return CTL_OK;
}

ExitStatus verb_list(Ctl *ctl)
{
        _cleanup_table_ Table *t = table_new("~SESSION|STATE|>PORT|>USERS|>NODES|>SIZE|>RESTARTS|~DEGRADED");
        json_object *answer = json_object_new_object(), *array = json_object_new_array();
        ExitStatus status = CTL_OK;
        struct dirent **names;
        int n = instances_scan(&names);

        json_object_object_add(answer, "sessions", array);
        if (!t || n < 0)
                status = ctl_fail(ctl, CTL_REFUSED, "cannot look into %s: %s; run this as root", PKGSTATEDIR,
                                  strerror(errno));
        for (int i = 0; i < n; i++) {
                if (status == CTL_OK)
                        status = list_one(ctl, names[i]->d_name, t, array);
                free(names[i]);
        }
        free(names);
        if (status == CTL_OK && ctl->json) {
                ctl_print_json(answer);
                return status;
        }
        if (status == CTL_OK && table_n_rows(t) == 0)
                puts("There are no sessions in " PKGSTATEDIR ".");
        else if (status == CTL_OK && table_print(t, stdout, ctl->width, ctl->colour) < 0)
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        json_object_put(answer);
        return status;
}
