/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/manager-control.h"

static void add_int(json_object *o, const char *key, uint64_t number)
{
        json_object_object_add(o, key, json_object_new_uint64(number));
}

static void add_bool(json_object *o, const char *key, bool b)
{
        json_object_object_add(o, key, json_object_new_boolean(b));
}

/* Names come from clients and need not be UTF-8. */
static void add_text(json_object *o, const char *key, const char *text)
{
        _cleanup_free_ char *safe = text ? log_escape(text, strlen(text)) : NULL;

        json_object_object_add(o, key, safe ? json_object_new_string(safe) : NULL);
}

static void add_time(json_object *o, const char *key, uint64_t usec)
{
        time_t seconds = (time_t)(usec / USEC_PER_SEC);
        char date[32], text[48];
        struct tm tm;

        if (usec == 0 || !gmtime_r(&seconds, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
                json_object_object_add(o, key, NULL);
                return;
        }
        snprintf(text, sizeof(text), "%s.%06uZ", date, (unsigned)(usec % USEC_PER_SEC));
        json_object_object_add(o, key, json_object_new_string(text));
}

/* As OpenMetrics counts: every class holds those below it. */
static void add_histogram(json_object *o, const char *key, const Histogram *h)
{
        static const uint64_t bounds[HISTOGRAM_N_BOUNDS] = HISTOGRAM_BOUNDS;
        json_object *histogram = json_object_new_object(), *buckets = json_object_new_array();
        uint64_t n = 0;

        for (size_t i = 0; i <= HISTOGRAM_N_BOUNDS; i++) {
                json_object *b = json_object_new_object();

                n += h->counts[i];
                if (i < HISTOGRAM_N_BOUNDS)
                        add_int(b, "usec", bounds[i]);
                else
                        json_object_object_add(b, "usec", NULL);
                add_int(b, "count", n);
                json_object_array_add(buckets, b);
        }
        json_object_object_add(histogram, "buckets", buckets);
        add_int(histogram, "count", n);
        add_int(histogram, "sum_usec", h->sum_usec);
        json_object_object_add(o, key, histogram);
}

static const char *status_word(int status)
{
        return status == 10 ? "lobby" : status == 1 ? "joining" : "active";
}

static json_object *user_json(const Manager *m, const SessionUserInfo *u)
{
        json_object *o = json_object_new_object();
        NetPeerStatus peer = {0};

        (void)net_peer_status(m->net, u->id, &peer);
        add_text(o, "name", u->name);
        add_text(o, "address", u->address);
        add_bool(o, "admin", u->admin);
        add_text(o, "status", u->connected ? status_word(u->status) : "away");
        add_bool(o, "connected", u->connected);
        add_bool(o, "behind", u->behind);
        add_int(o, "latency_msec", u->latency_msec);
        add_time(o, "since", u->since_wall);
        add_int(o, "updates", u->n_updates);
        add_int(o, "refused", u->n_refused);
        add_int(o, "locked_nodes", u->n_locked);
        add_int(o, "backlog_bytes", peer.queued + peer.outstanding);
        add_int(o, "sent_bytes", peer.bytes_sent);
        add_bool(o, "held_back", u->held);
        add_int(o, "held_back_usec", u->held_usec);
        return o;
}

static json_object *users_json(const Manager *m)
{
        json_object *list = json_object_new_array();
        SessionUserInfo u;

        for (size_t i = 0; session_get_user(m->session, i, &u) == 0; i++)
                json_object_array_add(list, user_json(m, &u));
        return list;
}

/* Updates that were accepted, and neither passed on nor known to be owed: the books of what goes out must balance. */
static uint64_t dropped_updates(const Manager *m, const NetStatus *s)
{
        uint64_t accounted = s->bulk_sent + s->bulk_void + s->bulk_queued;

        return (s->bulk_taken > accounted ? s->bulk_taken - accounted : 0) + executor_n_undelivered(m->executor);
}

static json_object *network_json(const Manager *m)
{
        static const char *const names[] = {"command", "data", "ttl"};
        json_object *o = json_object_new_object(), *channels = json_object_new_object();
        NetStatus s;
        uint64_t bad = 0;

        net_get_status(m->net, &s);
        for (size_t i = 0; i < _CHANNEL_MAX; i++) {
                json_object *c = json_object_new_object();

                add_int(c, "port", net_port(m->net, (Channel)i));
                add_int(c, "received", s.n_received[i]);
                add_int(c, "received_bytes", s.bytes_received[i]);
                add_int(c, "sent", s.n_sent[i]);
                add_int(c, "sent_bytes", s.bytes_sent[i]);
                json_object_object_add(channels, names[i], c);
        }
        for (size_t i = 0; i < _NET_BAD_MAX; i++)
                bad += s.n_bad[i];
        json_object_object_add(o, "channels", channels);
        add_int(o, "connections", s.n_connections);
        add_int(o, "banned_addresses", s.n_banned);
        add_int(o, "refused_peers", bad);
        add_int(o, "postponed", s.n_refused);
        add_int(o, "updates_taken", s.bulk_taken);
        add_int(o, "updates_sent", s.bulk_sent);
        add_int(o, "updates_waiting", s.bulk_queued);
        add_int(o, "updates_void", s.bulk_void);
        add_int(o, "drops", dropped_updates(m, &s));
        add_int(o, "backlog_bytes", s.queued + s.outstanding);
        return o;
}

static json_object *store_json(const Manager *m)
{
        json_object *o = json_object_new_object();
        StoreStats s;

        store_get_stats(m->store, &s);
        add_int(o, "records", s.n_records);
        add_int(o, "received_bytes", s.received_bytes);
        add_int(o, "written_bytes", s.written_bytes);
        add_int(o, "deduplicated", s.deduplicated);
        add_int(o, "syncs", s.n_syncs);
        add_int(o, "sync_usec_max", s.sync_usec_max);
        add_int(o, "segments", s.n_segments);
        add_int(o, "log_bytes", s.log_bytes);
        add_int(o, "snapshots", s.n_snapshots);
        add_int(o, "snapshot_bytes", s.snapshot_bytes);
        add_int(o, "failures", s.n_failures);
        add_int(o, "reclaimed_bytes", s.reclaimed_bytes);
        add_int(o, "held_bytes", store_held_bytes(m->store));
        add_int(o, "sequence", store_sequence(m->store));
        add_int(o, "durable_sequence", store_durable_sequence(m->store));
        add_time(o, "durable_until", store_durable_usec(m->store));
        add_histogram(o, "durable_lag", &s.durable_lag);
        add_histogram(o, "save_seconds", saver_seconds(m->saver));
        add_int(o, "scrub_bytes", s.scrub_bytes);
        add_int(o, "scrub_damaged", s.scrub_damaged);
        add_time(o, "scrub_finished", s.scrub_finished_usec);
        add_time(o, "last_snapshot", s.last_snapshot_usec);
        return o;
}

static json_object *loop_json(const Manager *m)
{
        json_object *o = json_object_new_object();

        add_histogram(o, "turns", &m->turns.seconds);
        add_int(o, "longest_turn_usec", turns_longest(&m->turns, clock_monotonic_usec()));
        return o;
}

json_object *control_status(const ManagerControl *c)
{
        const Manager *m = c->manager;
        json_object *o = json_object_new_object();
        SessionStatus s;
        const char *reason = NULL, *degraded = store_degraded(m->store);
        uint64_t saved;

        if (!o)
                return NULL;
        session_get_status(m->session, &s);
        saved = saver_last_saved(m->saver, &reason);
        add_text(o, "session", m->config->session_name);
        add_text(o, "state", m->state == MANAGER_LOADING    ? "loading"
                             : m->state == MANAGER_STOPPING ? "stopping"
                             : s.initialising               ? "initialising"
                             : s.running                    ? "running"
                                                            : "lobby");
        add_text(o, "degraded", degraded);
        add_text(o, "version", PACKAGE_VERSION);
        add_int(o, "pid", (uint64_t)getpid());
        add_time(o, "started", c->started_wall);
        add_text(o, "data_dir", m->config->data_dir);
        add_int(o, "port", net_port(m->net, CHANNEL_COMMAND));
        add_int(o, "user_count", s.n_users);
        add_int(o, "away_count", s.n_away);
        add_int(o, "node_count", s.n_nodes);
        add_int(o, "bytes", s.payload_bytes);
        add_int(o, "updates", s.n_updates);
        add_int(o, "refused", s.n_refused);
        add_int(o, "diverged", s.n_diverged);
        add_int(o, "malformed", s.n_malformed);
        add_int(o, "logins", s.n_logins);
        add_int(o, "failed_logins", s.n_failed_logins);
        add_int(o, "joins", s.n_joins);
        add_int(o, "held_back", s.n_held);
        add_int(o, "restarts_survived", m->restarts.n_survived);
        add_int(o, "restart_users", s.n_expected);
        add_int(o, "restart_users_kept", s.n_kept);
        add_time(o, "last_save", saved);
        add_text(o, "last_save_reason", saved > 0 ? reason : NULL);
        add_bool(o, "durable", store_durable_sequence(m->store) == store_sequence(m->store));
        json_object_object_add(o, "users", users_json(m));
        json_object_object_add(o, "network", network_json(m));
        json_object_object_add(o, "store", store_json(m));
        json_object_object_add(o, "loop", loop_json(m));
        return o;
}
