/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/call.h"
#include "ctl/instances.h"
#include "ctl/verb.h"

/* OpenMetrics 1.0 text. The daemon knows no HTTP: with --http, scenekeepctl answers the one request that a
 * socket-activated unit hands it as its standard input. */

#define REQUEST_MAX 8192u
#define REQUEST_USEC UINT64_C(5000000)

/* The status of each session that answers; a session without one is down. */
typedef struct Sessions {
        char **names;
        json_object **status;
        size_t n;
} Sessions;

typedef struct Metric {
        const char *name, *type, *section, *key, *help; /* section NULL: the answer itself */
} Metric;

static const Metric metrics[] = {
        {"scenekeep_users", "gauge", NULL, "user_count", "Users in the session, those away included"},
        {"scenekeep_users_away", "gauge", NULL, "away_count", "Users of these whose connection is gone, and who may come back"},
        {"scenekeep_nodes", "gauge", NULL, "node_count", "Nodes of the scene"},
        {"scenekeep_scene_bytes", "gauge", NULL, "bytes", "Size of all nodes together"},
        {"scenekeep_updates", "counter", NULL, "updates", "Updates accepted"},
        {"scenekeep_updates_refused", "counter", NULL, "refused", "Updates refused, as of locked nodes"},
        {"scenekeep_updates_diverged", "counter", NULL, "diverged", "Updates that could not be applied"},
        {"scenekeep_logins", "counter", NULL, "logins", "Users who came in"},
        {"scenekeep_failed_logins", "counter", NULL, "failed_logins", "Logins refused"},
        {"scenekeep_joins", "counter", NULL, "joins", "Scenes fetched whole by a client"},
        {"scenekeep_held_back", "counter", NULL, "held_back", "Times that a user sent too much and was read from more slowly"},
        {"scenekeep_restarts_survived", "counter", NULL, "restarts_survived", "Starts of the daemon that the session has lived through"},
        {"scenekeep_restart_users", "gauge", NULL, "restart_users", "Users who were there when the last process ended"},
        {"scenekeep_restart_users_kept", "gauge", NULL, "restart_users_kept", "Users of these who came back by themselves"},
        {"scenekeep_messages_malformed", "counter", NULL, "malformed", "Malformed messages"},
        {"scenekeep_peers_refused", "counter", "network", "refused_peers", "Connections refused before a login"},
        {"scenekeep_connections", "gauge", "network", "connections", "TCP connections"},
        {"scenekeep_banned_addresses", "gauge", "network", "banned_addresses", "Addresses shut out"},
        {"scenekeep_drops", "counter", "network", "drops", "Updates accepted, and neither passed on nor owed as whole nodes: must be 0"},
        {"scenekeep_updates_queued", "counter", "network", "updates_taken", "Updates on their way to a user"},
        {"scenekeep_updates_sent", "counter", "network", "updates_sent", "Updates handed to the network, once for each user"},
        {"scenekeep_updates_waiting", "gauge", "network", "updates_waiting", "Updates that wait for their user"},
        {"scenekeep_updates_void", "counter", "network", "updates_void", "Updates dropped with a lost connection, owed as whole nodes since"},
        {"scenekeep_sends_postponed", "counter", "network", "postponed", "Messages replaced by a later whole node"},
        {"scenekeep_backlog_bytes", "gauge", "network", "backlog_bytes", "Bytes waiting for all users"},
        {"scenekeep_records", "counter", "store", "records", "Records written to the journal"},
        {"scenekeep_received_bytes", "counter", "store", "received_bytes", "Payload handed to the journal"},
        {"scenekeep_written_bytes", "counter", "store", "written_bytes", "Bytes written to the journal"},
        {"scenekeep_syncs", "counter", "store", "syncs", "Rounds of fdatasync"},
        {"scenekeep_held_bytes", "gauge", "store", "held_bytes", "Bytes in memory that are not durable yet"},
        {"scenekeep_log_bytes", "gauge", "store", "log_bytes", "Size of the log on disk"},
        {"scenekeep_snapshots", "gauge", "store", "snapshots", "Snapshots kept"},
        {"scenekeep_disk_failures", "counter", "store", "failures", "Writes and syncs that failed"},
        {"scenekeep_scrub_bytes", "gauge", "store", "scrub_bytes", "Bytes read by the last scrub"},
        {"scenekeep_scrub_damaged", "gauge", "store", "scrub_damaged", "Damaged records found by the last scrub"},
};

/* A label's value: backslash, quote and line break are escaped. */
static void put_label(FILE *f, const char *key, const char *value)
{
        fprintf(f, "%s=\"", key);
        for (const char *p = value; *p; p++) {
                if (*p == '"' || *p == '\\')
                        fputc('\\', f);
                if (*p == '\n')
                        fputs("\\n", f);
                else
                        fputc(*p, f);
        }
        fputc('"', f);
}

/* The unit, which a name ends in. */
static void put_unit(FILE *f, const char *name)
{
        static const char *const units[] = {"bytes", "seconds"};
        const char *last = strrchr(name, '_');

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (last && strcmp(last + 1, units[i]) == 0)
                        fprintf(f, "# UNIT %s %s\n", name, units[i]);
}

static void put_family(FILE *f, const char *name, const char *type, const char *help)
{
        fprintf(f, "# TYPE %s %s\n", name, type);
        put_unit(f, name);
        fprintf(f, "# HELP %s %s.\n", name, help);
}

static void put_name(FILE *f, const char *name, const char *suffix, const char *session)
{
        fprintf(f, "%s%s{", name, suffix);
        put_label(f, "session", session);
}

static void put_metric(FILE *f, const Metric *m, const Sessions *s)
{
        put_family(f, m->name, m->type, m->help);
        for (size_t i = 0; i < s->n; i++) {
                json_object *from = m->section ? json_object_object_get(s->status[i], m->section) : s->status[i];

                if (!s->status[i])
                        continue;
                put_name(f, m->name, m->type[0] == 'c' ? "_total" : "", s->names[i]);
                fprintf(f, "} %" PRIu64 "\n", answer_int(from, m->key));
        }
}

typedef double (*ValueFunc)(json_object *status);

static double degraded_of(json_object *o)
{
        return *answer_text_of(o, "degraded") ? 1 : 0;
}

static double saved_of(json_object *o)
{
        return (double)answer_time(o, "last_save") / 1e6;
}

static double started_of(json_object *o)
{
        return (double)answer_time(o, "started") / 1e6;
}

static double sync_of(json_object *o)
{
        return (double)answer_int(json_object_object_get(o, "store"), "sync_usec_max") / 1e6;
}

static double turn_of(json_object *o)
{
        return (double)answer_int(json_object_object_get(o, "loop"), "longest_turn_usec") / 1e6;
}

static double scrubbed_of(json_object *o)
{
        return (double)answer_time(json_object_object_get(o, "store"), "scrub_finished") / 1e6;
}

static const struct {
        const char *name, *help;
        ValueFunc value;
} values[] = {
        {"scenekeep_degraded", "Whether something is owed to the disk", degraded_of},
        {"scenekeep_last_save_timestamp_seconds", "When a snapshot was last taken", saved_of},
        {"scenekeep_start_timestamp_seconds", "When the daemon was started", started_of},
        {"scenekeep_sync_max_seconds", "The slowest fdatasync so far", sync_of},
        {"scenekeep_loop_turn_max_seconds", "The longest turn of the event loop of late (10 to 20 s), in which everybody waits", turn_of},
        {"scenekeep_scrub_timestamp_seconds", "When everything was last verified", scrubbed_of},
};

static void put_values(FILE *f, const Sessions *s)
{
        for (size_t k = 0; k < ELEMENTSOF(values); k++) {
                put_family(f, values[k].name, "gauge", values[k].help);
                for (size_t i = 0; i < s->n; i++) {
                        if (!s->status[i])
                                continue;
                        put_name(f, values[k].name, "", s->names[i]);
                        fprintf(f, "} %.6f\n", values[k].value(s->status[i]));
                }
        }
        put_family(f, "scenekeep_up", "gauge", "Whether the session answers");
        for (size_t i = 0; i < s->n; i++) {
                put_name(f, "scenekeep_up", "", s->names[i]);
                fprintf(f, "} %d\n", s->status[i] != NULL);
        }
}

static void put_histogram(FILE *f, const char *name, const char *section, const char *key, const char *help, const Sessions *s)
{
        put_family(f, name, "histogram", help);
        for (size_t i = 0; i < s->n; i++) {
                json_object *h = json_object_object_get(json_object_object_get(s->status[i], section), key);
                json_object *buckets = json_object_object_get(h, "buckets");

                for (size_t k = 0; buckets && k < json_object_array_length(buckets); k++) {
                        json_object *b = json_object_array_get_idx(buckets, k);
                        uint64_t usec = answer_int(b, "usec");

                        put_name(f, name, "_bucket", s->names[i]);
                        if (usec > 0)
                                fprintf(f, ",le=\"%g\"} ", (double)usec / 1e6);
                        else
                                fputs(",le=\"+Inf\"} ", f);
                        fprintf(f, "%" PRIu64 "\n", answer_int(b, "count"));
                }
                if (!buckets)
                        continue;
                put_name(f, name, "_count", s->names[i]);
                fprintf(f, "} %" PRIu64 "\n", answer_int(h, "count"));
                put_name(f, name, "_sum", s->names[i]);
                fprintf(f, "} %.6f\n", (double)answer_int(h, "sum_usec") / 1e6);
        }
}

static void put_users(FILE *f, const Sessions *s)
{
        put_family(f, "scenekeep_user_backlog_bytes", "gauge", "Bytes waiting for a user");
        for (size_t i = 0; i < s->n; i++) {
                json_object *users = json_object_object_get(s->status[i], "users");

                for (size_t k = 0; users && k < json_object_array_length(users); k++) {
                        json_object *u = json_object_array_get_idx(users, k);

                        put_name(f, "scenekeep_user_backlog_bytes", "", s->names[i]);
                        fputc(',', f);
                        put_label(f, "user", answer_text_of(u, "name"));
                        fprintf(f, "} %" PRIu64 "\n", answer_int(u, "backlog_bytes"));
                }
        }
}

static void put_metrics(FILE *f, const Sessions *s)
{
        for (size_t i = 0; i < ELEMENTSOF(metrics); i++)
                put_metric(f, &metrics[i], s);
        put_values(f, s);
        put_histogram(f, "scenekeep_durable_lag_seconds", "store", "durable_lag",
                      "Time from accepting a record to its being durable", s);
        put_histogram(f, "scenekeep_save_seconds", "store", "save_seconds", "Time that snapshots took", s);
        put_histogram(f, "scenekeep_loop_turn_seconds", "loop", "turns", "Time that turns of the event loop took", s);
        put_users(f, s);
        fputs("# EOF\n", f);
}

/* ---- which sessions ---- */

static int add_session(Sessions *s, const char *name, json_object *status)
{
        char **names = reallocarray(s->names, s->n + 1, sizeof(*names));
        json_object **list;

        if (names)
                s->names = names;
        list = names ? reallocarray(s->status, s->n + 1, sizeof(*list)) : NULL;
        if (list)
                s->status = list;
        if (!list || !(s->names[s->n] = strdup(name))) {
                json_object_put(status);
                return -ENOMEM;
        }
        s->status[s->n++] = status;
        return 0;
}

static void sessions_done(Sessions *s)
{
        for (size_t i = 0; i < s->n; i++) {
                free(s->names[i]);
                json_object_put(s->status[i]);
        }
        free(s->names);
        free(s->status);
}

static int add_instance(const Ctl *ctl, const char *name, Sessions *s)
{
        json_object *o = NULL;
        Ctl one;

        if (instance_ctl_init(ctl, name, &one) < 0)
                return -ENOMEM;
        one.json = false; /* one that cannot be asked is down, and said to be on stderr */
        if (ctl_is_running(&one))
                (void)ctl_call(&one, "status", NULL, -1, &o);
        instance_ctl_done(&one);
        return add_session(s, name, o);
}

static ExitStatus collect(const Ctl *ctl, Sessions *s)
{
        struct dirent **names;
        json_object *o = NULL;
        ExitStatus status;
        int n, r = 0;

        if (!ctl_has(ctl, OPT_ALL)) {
                status = ctl_call(ctl, "status", NULL, -1, &o);
                if (status == CTL_OK && add_session(s, answer_text_of(o, "session"), o) < 0)
                        status = ctl_fail(ctl, CTL_FAILED, "out of memory");
                return status;
        }
        n = instances_scan(&names);
        if (n < 0)
                return ctl_fail(ctl, CTL_REFUSED, "cannot look into %s: %s; run this as root", PKGSTATEDIR, strerror(errno));
        for (int i = 0; i < n; i++) {
                if (r == 0)
                        r = add_instance(ctl, names[i]->d_name, s);
                free(names[i]);
        }
        free(names);
        return r < 0 ? ctl_fail(ctl, CTL_FAILED, "out of memory") : CTL_OK;
}

/* ---- HTTP ---- */

/* Reads a request's head from the standard input. False: none came in time, or it is none. */
static bool read_request(char *buffer, size_t size)
{
        uint64_t end = clock_monotonic_usec() + REQUEST_USEC;
        size_t n = 0;

        while (n < size - 1) {
                struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
                uint64_t now = clock_monotonic_usec();
                ssize_t k;

                if (now >= end || poll(&p, 1, (int)((end - now) / 1000) + 1) <= 0)
                        return false;
                k = read(STDIN_FILENO, buffer + n, size - 1 - n);
                if (k <= 0)
                        return false;
                n += (size_t)k;
                buffer[n] = '\0';
                if (strstr(buffer, "\r\n\r\n") || strstr(buffer, "\n\n"))
                        return true;
        }
        return false;
}

static void respond(const char *status, const char *type, const char *body, bool with_body)
{
        printf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, type,
               strlen(body));
        if (with_body)
                fputs(body, stdout);
}

static ExitStatus serve(const char *text, ExitStatus status)
{
        static const char plain[] = "text/plain; charset=utf-8";
        char request[REQUEST_MAX];
        bool head;

        if (!read_request(request, sizeof(request))) {
                respond("400 Bad Request", plain, "This is no request.\n", true);
                return CTL_OK;
        }
        head = strncmp(request, "HEAD ", 5) == 0;
        if (!head && strncmp(request, "GET ", 4) != 0)
                respond("405 Method Not Allowed", plain, "Only GET is answered.\n", true);
        else if (strncmp(strchr(request, ' '), " /metrics", 9) != 0)
                respond("404 Not Found", plain, "The figures are at /metrics.\n", !head);
        else if (status != CTL_OK)
                respond("503 Service Unavailable", plain, "The session does not answer.\n", !head);
        else
                respond("200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8", text, !head);
        return CTL_OK;
}

ExitStatus verb_metrics(Ctl *ctl)
{
        _cleanup_free_ char *text = NULL;
        bool http = ctl_has(ctl, OPT_HTTP);
        Sessions s = {0};
        ExitStatus status;
        size_t size;
        FILE *f;

        if (ctl->json && (http || ctl_has(ctl, OPT_ALL)))
                return ctl_fail(ctl, CTL_USAGE, "--json shows one session's figures: it goes without --all and --http");
        status = collect(ctl, &s);
        if (status == CTL_OK && ctl->json) {
                ctl_print_json(json_object_get(s.status[0]));
        } else if (status == CTL_OK) {
                f = open_memstream(&text, &size);
                if (f)
                        put_metrics(f, &s);
                if (!f || fclose(f) != 0)
                        status = ctl_fail(ctl, CTL_FAILED, "out of memory");
                else if (!http)
                        fputs(text, stdout);
        }
        if (http)
                status = serve(text, status);
        sessions_done(&s);
        return status;
}
