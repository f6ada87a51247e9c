/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>

#include "ctl/call.h"
#include "ctl/verb.h"

/* OpenMetrics 1.0 text. The daemon knows no HTTP: whoever serves this runs scenekeepctl. */

typedef struct Metric {
        const char *name, *type, *section, *key, *help; /* section NULL: the answer itself */
} Metric;

static const Metric metrics[] = {
        {"scenekeep_users", "gauge", NULL, "user_count", "Users in the session"},
        {"scenekeep_nodes", "gauge", NULL, "node_count", "Nodes of the scene"},
        {"scenekeep_scene_bytes", "gauge", NULL, "bytes", "Size of all nodes together"},
        {"scenekeep_updates", "counter", NULL, "updates", "Updates accepted"},
        {"scenekeep_updates_refused", "counter", NULL, "refused", "Updates refused, as of locked nodes"},
        {"scenekeep_updates_diverged", "counter", NULL, "diverged", "Updates that could not be applied"},
        {"scenekeep_messages_malformed", "counter", NULL, "malformed", "Malformed messages"},
        {"scenekeep_peers_refused", "counter", "network", "refused_peers", "Connections refused before a login"},
        {"scenekeep_connections", "gauge", "network", "connections", "TCP connections"},
        {"scenekeep_banned_addresses", "gauge", "network", "banned_addresses", "Addresses shut out"},
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
        {"scenekeep_scrub_damaged", "gauge", "store", "scrub_damaged", "Damaged records found by the last scrub"},
};

static void print_metric(const Metric *m, const char *session, json_object *o)
{
        json_object *from = m->section ? json_object_object_get(o, m->section) : o;
        bool counter = m->type[0] == 'c';

        printf("# HELP %s %s.\n# TYPE %s %s\n%s%s{session=\"%s\"} %" PRIu64 "\n", m->name, m->help, m->name, m->type, m->name,
               counter ? "_total" : "", session, answer_int(from, m->key));
}

static void print_value(const char *name, const char *help, const char *session, double value)
{
        printf("# HELP %s %s.\n# TYPE %s gauge\n%s{session=\"%s\"} %.6f\n", name, help, name, name, session, value);
}

/* A label's value: backslash, quote and line break are escaped. */
static void print_user(json_object *u, const char *session)
{
        printf("scenekeep_user_backlog_bytes{session=\"%s\",user=\"", session);
        for (const char *p = answer_text_of(u, "name"); *p; p++) {
                if (*p == '"' || *p == '\\')
                        putchar('\\');
                putchar(*p);
        }
        printf("\"} %" PRIu64 "\n", answer_int(u, "backlog_bytes"));
}

ExitStatus verb_metrics(Ctl *ctl)
{
        json_object *o = NULL, *users, *store;
        const char *session;
        ExitStatus status = ctl_call(ctl, "status", NULL, -1, &o);

        if (status != CTL_OK)
                return status;
        if (ctl->json) {
                ctl_print_json(o);
                return CTL_OK;
        }
        session = answer_text_of(o, "session");
        store = json_object_object_get(o, "store");
        for (size_t i = 0; i < ELEMENTSOF(metrics); i++)
                print_metric(&metrics[i], session, o);
        print_value("scenekeep_degraded", "Whether something is owed to the disk", session, *answer_text_of(o, "degraded") ? 1 : 0);
        print_value("scenekeep_last_save_timestamp_seconds", "When a snapshot was last taken", session,
                    (double)answer_time(o, "last_save") / 1e6);
        print_value("scenekeep_start_timestamp_seconds", "When the daemon was started", session,
                    (double)answer_time(o, "started") / 1e6);
        print_value("scenekeep_sync_seconds_max", "The slowest fdatasync so far", session,
                    (double)answer_int(store, "sync_usec_max") / 1e6);
        users = json_object_object_get(o, "users");
        puts("# HELP scenekeep_user_backlog_bytes Bytes waiting for a user.\n# TYPE scenekeep_user_backlog_bytes gauge");
        for (size_t i = 0; i < json_object_array_length(users); i++)
                print_user(json_object_array_get_idx(users, i), session);
        puts("# EOF");
        json_object_put(o);
        return CTL_OK;
}
