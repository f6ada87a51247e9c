/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "daemon/disk-guard.h"
#include "daemon/event-id.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "store/maintain.h"

#define KEEPER_USEC USEC_PER_SEC
/* What comes at a steady rate comes when an interval ends that it began, and a sync takes processors and the disk for
 * milliseconds. So one that is due soon is begun in the gap behind a message. */
#define SYNC_EARLY_PART 8u
#define SYNC_GAP_USEC (2 * USEC_PER_MSEC)
/* While a long save makes progress, systemd is asked for this much more time. */
#define STOP_EXTENSION_USEC (30 * USEC_PER_SEC)
/* The session goes on while a disk hangs, so that alone is no reason to be killed; but a disk thread that has not
 * moved for this long will not move again. */
#define WORKER_HUNG_USEC (120 * USEC_PER_SEC)

int manager_arm_tick(Manager *m)
{
        uint64_t when = session_next_tick(m->session);
        if (when == m->tick_at)
                return 0;
        int k = sd_event_source_set_time(m->tick_timer, when);
        if (k >= 0)
                k = sd_event_source_set_enabled(m->tick_timer, SD_EVENT_ONESHOT);
        if (k >= 0)
                m->tick_at = when;
        return k;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        uint64_t next;
        m->tick_at = 0;
        session_sends_wait(m->session, executor_is_holding(m->executor));
        int k = session_tick(m->session, manager_time(), executor_effects(m->executor), &next);
        return manager_check(m, k < 0 ? k : manager_turn(m));
}

int manager_arm_sync(Manager *m)
{
        uint64_t now = clock_monotonic_usec(), early = m->config->sync_interval / SYNC_EARLY_PART;
        if (m->sync_at == 0)
                m->sync_at = now + m->config->sync_interval;
        else if (!m->sync_in_gap && now + early >= m->sync_at) {
                m->sync_in_gap = true;
                m->sync_at = MIN(m->sync_at, now + SYNC_GAP_USEC);
        } else
                return 0;
        int k = sd_event_source_set_time(m->sync_timer, m->sync_at);
        return k < 0 ? k : sd_event_source_set_enabled(m->sync_timer, SD_EVENT_ONESHOT);
}

static int on_sync(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        m->sync_at = 0;
        m->sync_in_gap = false;
        store_sync_begin(m->store);
        /* Again until it is true: a sync that was begun is not one that has ended well. */
        if (store_durable_sequence(m->store) < store_sequence(m->store))
                return manager_check(m, manager_arm_sync(m));
        return 0;
}

int manager_rearm_save(Manager *m)
{
        if (m->config->save_interval == 0)
                return sd_event_source_set_enabled(m->save_timer, SD_EVENT_OFF);
        int k = sd_event_source_set_time_relative(m->save_timer, m->config->save_interval);
        return k < 0 ? k : sd_event_source_set_enabled(m->save_timer, SD_EVENT_ONESHOT);
}

static int on_save(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        int k = 0;
        if (m->state == MANAGER_SERVING && store_sequence(m->store) > MAX(m->loaded_sequence, saver_sequence(m->saver)))
                k = manager_save(m, "auto-save");
        return manager_check(m, k < 0 ? k : manager_rearm_save(m));
}

static void format_bytes(uint64_t n, char *buffer, size_t size)
{
        static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
        double value = (double)n;
        size_t i = 0;
        for (; value >= 1000 && i + 1 < ELEMENTSOF(units); i++)
                value /= 1000;
        snprintf(buffer, size, i == 0 || value >= 10 ? "%.0f %s" : "%.1f %s", value, units[i]);
}

/* The day is told when it is another one. */
static void format_time(uint64_t usec, char *buffer, size_t size)
{
        time_t now = (time_t)(clock_realtime_usec() / USEC_PER_SEC), then = (time_t)(usec / USEC_PER_SEC);
        struct tm today, tm;
        localtime_r(&now, &today);
        localtime_r(&then, &tm);
        bool same = tm.tm_year == today.tm_year && tm.tm_yday == today.tm_yday;
        strftime(buffer, size, same ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
}

void manager_format_status(const Manager *m, char *buffer, size_t size)
{
        SessionStatus status;
        session_get_status(m->session, &status);
        char bytes[32], saved[192] = "not saved yet";
        format_bytes(status.payload_bytes, bytes, sizeof bytes);
        const char *reason;
        uint64_t when = saver_last_saved(m->saver, &reason);
        if (when > 0) {
                char text[32];
                format_time(when, text, sizeof text);
                snprintf(saved, sizeof saved, "saved %s (%.*s)", text, (int)notify_fit(reason, 128), reason);
        }
        char away[32] = "";
        if (status.n_away > 0)
                snprintf(away, sizeof away, " (%zu away)", status.n_away);
        const char *degraded = store_degraded(m->store);
        snprintf(buffer, size, "%s%s%s%zu %s%s, %zu %s, %s; %s", degraded ? "degraded: " : "", degraded ?: "",
                 degraded ? "; " : "", status.n_users, status.n_users == 1 ? "user" : "users", away, status.n_nodes,
                 status.n_nodes == 1 ? "node" : "nodes", bytes, saved);
}

/* A client that stays over its limit is told and let go, so that what is kept for it is given back. */
static int drop_slow_peers(Manager *m, SessionTime t)
{
        for (size_t i = m->n_peers; i-- > 0;) {
                RoutingId peer = m->peers[i];
                NetPeerStatus status;
                if (net_peer_status(m->net, &peer, &status) != 0 || status.backlog_since == 0 ||
                    t.now - status.backlog_since < m->config->backlog_timeout)
                        continue;
                const char *name = session_user_name(m->session, &peer) ?: "somebody";
                log_event(LOG_WARNING, EVENT_USER_TOO_SLOW,
                          LOG_FIELDS(LOG_TEXT("USER", name), LOG_TEXT("ADDRESS", status.address),
                                     LOG_NUMBER("BYTES", status.queued + status.in_flight)),
                          "The client of %s at %s has not taken its updates for %" PRIu64
                          " seconds and is disconnected. Its network is slower than the session",
                          name, status.address, (t.now - status.backlog_since) / USEC_PER_SEC);
                int k = session_disconnect(m->session, t, &peer,
                                           "your connection is too slow for this session",
                                           executor_effects(m->executor));
                if (k < 0)
                        return k;
        }
        return 0;
}

static int leave_when_idle(Manager *m, SessionTime t)
{
        if (m->config->idle_exit == 0 || !m->activated)
                return 0;
        SessionStatus status;
        session_get_status(m->session, &status);
        if (status.n_users > 0)
                m->idle_since = 0;
        else if (m->idle_since == 0)
                m->idle_since = t.now;
        else if (t.now - m->idle_since >= m->config->idle_exit) {
                log_event(LOG_NOTICE, EVENT_IDLE_EXIT, NULL,
                          "Nobody has been here for %" PRIu64
                          " seconds: leaving until the next connection",
                          (t.now - m->idle_since) / USEC_PER_SEC);
                return manager_stop(m);
        }
        return 0;
}

static void on_scrubbed(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        Manager *m = userdata;
        m->scrubbed_at = clock_realtime_usec();
        if (result < 0 && result != -ECANCELED)
                log_warning_errno(result, "Verification of everything on disk ended early; it is tried again in time");
        else if (result == 0)
                log_event(n_damaged > 0 ? LOG_ERR : LOG_INFO, EVENT_STORE_VERIFIED,
                          LOG_FIELDS(LOG_NUMBER("BYTES", n_bytes), LOG_NUMBER("DAMAGED", n_damaged)),
                          "Verified everything on disk: %" PRIu64 " records, %" PRIu64 " bytes, %" PRIu64 " damaged",
                          n_records, n_bytes, n_damaged);
}

static int begin_scrub_when_due(Manager *m, SessionTime t)
{
        if (m->config->scrub_interval == 0 || t.wall - MIN(m->scrubbed_at, t.wall) < m->config->scrub_interval)
                return 0;
        int k = store_scrub_begin(m->store, on_scrubbed, m);
        return k == -EALREADY ? 0 : k;
}

static int on_keeper(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        SessionTime t = manager_time();
        char status[1024];
        store_watch(m->store);
        if (m->state == MANAGER_SERVING) {
                manager_format_status(m, status, sizeof status);
                notify_status(status);
                int k = drop_slow_peers(m, t);
                if (k >= 0)
                        k = disk_guard_check(m, true);
                if (k >= 0)
                        k = begin_scrub_when_due(m, t);
                if (k >= 0)
                        k = leave_when_idle(m, t);
                if (k >= 0)
                        k = manager_turn(m);
                if (k < 0)
                        return manager_check(m, k);
        } else if (worker_stalled_usec(m->worker) < STOP_EXTENSION_USEC)
                notify_extend_timeout(STOP_EXTENSION_USEC);
        int k = sd_event_source_set_time(source, clock_next_beat(clock_monotonic_usec(), KEEPER_USEC));
        return manager_check(m, k < 0 ? k : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT));
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        if (worker_stalled_usec(m->worker) < WORKER_HUNG_USEC && worker_stalled_usec(m->writer) < WORKER_HUNG_USEC)
                notify_watchdog();
        int k = sd_event_source_set_time_relative(source, notify_watchdog_interval() / 2);
        return manager_check(m, k < 0 ? k : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT));
}

static int add_timer(Manager *m, sd_event_source **ret, uint64_t usec, sd_event_time_handler_t handler, bool enabled)
{
        int k = sd_event_add_time_relative(m->event, ret, CLOCK_MONOTONIC, usec, 1000, handler, m);
        /* Heartbeats are sent and the watchdog is fed however much there is to read. */
        if (k >= 0)
                k = sd_event_source_set_priority(*ret, SD_EVENT_PRIORITY_IMPORTANT);
        if (k >= 0 && !enabled)
                k = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
        return k;
}

int manager_add_timers(Manager *m)
{
        uint64_t watchdog = notify_watchdog_interval();
        int k = add_timer(m, &m->tick_timer, 0, on_tick, true);
        if (k >= 0)
                k = add_timer(m, &m->sync_timer, 0, on_sync, false);
        if (k >= 0)
                k = add_timer(m, &m->save_timer, m->config->save_interval, on_save, m->config->save_interval > 0);
        if (k >= 0)
                k = add_timer(m, &m->keeper_timer, KEEPER_USEC, on_keeper, true);
        if (k >= 0 && watchdog > 0)
                k = add_timer(m, &m->watchdog_timer, watchdog / 2, on_watchdog, true);
        return k;
}
