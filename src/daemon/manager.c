/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/admin-password.h"
#include "daemon/event-id.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "store/snapshot.h"

/* After SIGTERM, while large messages come in: their senders would not send them to the next process. */
#define STOP_WAIT_USEC (10 * USEC_PER_SEC)
#define STOP_LOOK_USEC (20 * USEC_PER_MSEC)

/* Then what has arrived is taken, and what is owed is sent, for at most so long. */
#define STOP_DRAIN_USEC (200 * USEC_PER_MSEC)
#define STOP_FLUSH_USEC (2 * USEC_PER_SEC)

int manager_check(Manager *m, int k)
{
        if (k < 0) {
                log_error_errno(k, "The session cannot go on and is ended; %s", report_journal(m->store));
                (void)sd_event_exit(m->event, k);
        }
        return k;
}

int manager_save(Manager *m, const char *reason)
{
        if (m->state == MANAGER_LOADING)
                return 0;
        return saver_request(m->saver, reason);
}

/* ---- leaving ---- */

static void leave(Manager *m, int error)
{
        (void)net_flush(m->net, STOP_FLUSH_USEC);
        /* What has come in while the save went on is in the kernel and in libzmq, and would be lost with them: the
         * sender does not send it again. The snapshot need not have it, the journal does. */
        (void)net_drain(m->net, STOP_DRAIN_USEC);
        intake_finish(m->intake);
        size_t left = net_flush(m->net, STOP_DRAIN_USEC);
        if (left > 0)
                log_info("%zu bytes for slow clients have not been sent; they get the nodes anew when they are back",
                         left);
        log_event(LOG_NOTICE, EVENT_SESSION_STOPPED, NULL, "The session is stopped");
        (void)sd_event_exit(m->event, error);
}

static int begin_leaving(Manager *m)
{
        m->stop_timer = sd_event_source_disable_unref(m->stop_timer);
        notify_stopping("saving");
        /* Heartbeats go on: the clients are expected to be there for the next process. */
        net_pause_reading(m->net, 1u << CHANNEL_COMMAND | 1u << CHANNEL_DATA);
        int k = net_drain(m->net, STOP_DRAIN_USEC);
        if (k < 0)
                return k;
        intake_finish(m->intake);
        m->state = MANAGER_STOPPING;
        return manager_save(m, "shutdown");
}

/* Everything goes on as usual meanwhile. */
static int on_stop_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        if (usec >= m->stop_until || !net_is_receiving(m->net))
                return manager_check(m, begin_leaving(m));
        int k = sd_event_source_set_time_relative(source, STOP_LOOK_USEC);
        return manager_check(m, k < 0 ? k : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT));
}

static int wait_for_messages(Manager *m)
{
        notify_stopping("waiting for what clients are sending");
        log_info("A client is in the middle of sending something large, which is waited for, up to %u seconds",
                 (unsigned)(STOP_WAIT_USEC / USEC_PER_SEC));
        m->stop_until = clock_monotonic_usec() + STOP_WAIT_USEC;
        return sd_event_add_time_relative(m->event, &m->stop_timer, CLOCK_MONOTONIC, STOP_LOOK_USEC, 1000, on_stop_timer, m);
}

int manager_stop(Manager *m)
{
        if (m->state == MANAGER_LOADING) {
                /* Nothing has changed, so there is nothing to save. */
                m->state = MANAGER_STOPPING;
                return sd_event_exit(m->event, 0);
        }
        if (m->state == MANAGER_STOPPING) {
                log_warning("Told to stop again: leaving without waiting for the save; %s", report_journal(m->store));
                return sd_event_exit(m->event, 0);
        }
        return !m->stop_timer && net_is_receiving(m->net) ? wait_for_messages(m) : begin_leaving(m);
}

static size_t unsent_bytes(void *userdata)
{
        Manager *m = userdata;
        NetStatus status;
        net_get_status(m->net, &status);
        return status.queued + status.in_flight;
}

static void on_save_finished(void *userdata, int error)
{
        Manager *m = userdata;
        manager_control_saved(m, error);
        trimmer_run(m->trimmer);
        if (m->state == MANAGER_STOPPING && !saver_busy(m->saver))
                leave(m, error == -EBUSY ? 0 : error);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Manager *m = userdata;
        switch (info->ssi_signo) {
        case SIGTERM:
        case SIGINT:
                return manager_check(m, manager_stop(m));
        case SIGUSR1:
                return manager_check(m, manager_save(m, "manual"));
        case SIGHUP:
                if (m->state == MANAGER_SERVING)
                        return manager_check(m, manager_reload(m));
                return 0;
        }
        return 0;
}

/* ---- loading ---- */

static int begin_serving(Manager *m, const RestoreResult *result)
{
        SessionTime t = manager_time();
        int k = session_load_done(m->session, t, executor_effects(m->executor));
        if (k >= 0 && result->saved > 0)
                k = saver_note_saved(m->saver, result->snapshot, result->saved, result->save_reason);
        if (k < 0)
                return k;
        SessionStatus status;
        session_get_status(m->session, &status);
        if (!store_is_empty(m->store))
                log_event(LOG_INFO, EVENT_SESSION_RESTORED,
                          LOG_FIELDS(LOG_TEXT("SNAPSHOT", result->snapshot), LOG_NUMBER("NODES", status.n_nodes)),
                          "Session restored from disk (%zu nodes; snapshot %s and %" PRIu64 " journal records after it)",
                          status.n_nodes, result->snapshot[0] ? result->snapshot : "none", result->n_records);
        k = restarts_note(&m->restarts, m->config->data_dir, status.running, t.wall);
        if (k < 0)
                log_warning_errno(k, "Cannot note this start in %s/" RESTARTS_NAME, m->config->data_dir);
        m->state = MANAGER_SERVING;
        m->loaded_sequence = result->n_records > 0 ? 0 : store_sequence(m->store);
        k = manager_turn(m);
        if (k < 0)
                return k;
        net_resume_reading(m->net, 1u << CHANNEL_COMMAND | 1u << CHANNEL_DATA);

        if (m->config->save_interval > 0)
                log_info("Auto-save enabled (interval: %" PRIu64 "s)", m->config->save_interval / USEC_PER_SEC);
        char text[1024];
        manager_format_status(m, text, sizeof text);
        log_event(LOG_NOTICE, EVENT_SESSION_READY,
                  LOG_FIELDS(LOG_NUMBER("NODES", status.n_nodes), LOG_NUMBER("USERS", status.n_users)),
                  "Serving session \"%s\" on ports %u, %u and %u", m->config->session_name,
                  net_port(m->net, CHANNEL_COMMAND), net_port(m->net, CHANNEL_DATA), net_port(m->net, CHANNEL_TTL));
        notify_ready(text);
        trimmer_run(m->trimmer);
        return 0;
}

static void on_restored(void *userdata, int error, const RestoreResult *result)
{
        Manager *m = userdata;
        if (m->state != MANAGER_LOADING) /* told to stop meanwhile */
                return;
        if (error < 0) {
                log_event(LOG_ERR, EVENT_STORE_REFUSED, NULL, "The session in %s cannot be loaded: %s",
                          m->config->data_dir, strerror(-error));
                (void)sd_event_exit(m->event, error);
                return;
        }
        manager_check(m, begin_serving(m, result));
}

/* ---- life ---- */

static int open_store(Manager *m, bool set_aside)
{
        StoreOptions options = {
                .path = m->config->data_dir,
                .flags = set_aside ? STORE_OPEN_SET_ASIDE : 0,
                .worker = m->worker,
                .writer = m->writer,
                .events = manager_store_events(m),
                .segment_size = m->config->segment_size,
                .retention = config_retention(m->config),
                .journal_keep_usec = m->config->journal_keep,
                .journal_keep_bytes = m->config->journal_keep_size,
        };
        _cleanup_free_ char *error = NULL;
        int k = store_open(&options, &m->store, &error);
        if (k < 0)
                log_event(LOG_ERR, EVENT_STORE_REFUSED, NULL, "%s", error ?: strerror(-k));
        else if (store_was_copied(m->store))
                log_notice("%s is a copy of another session's data; it goes on as a session of its own",
                           m->config->data_dir);
        if (k >= 0) {
                StoreStats stats;

                /* A server that is restarted more often than that would never come to it. */
                store_get_stats(m->store, &stats);
                m->scrubbed_at = stats.scrub_finished_usec ?: clock_realtime_usec();
        }
        return k;
}

static int find_admin_password(Manager *m)
{
        m->own_password = !m->config->admin_password;
        if (!m->own_password)
                return 0;
        int fd = open(m->config->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return log_error_errno(errno, "Cannot open %s", m->config->data_dir);
        int k = admin_password_load_or_make(fd, &m->config->admin_password);
        close(fd);
        if (k < 0)
                return log_error_errno(k, "Cannot keep the admin password in %s/admin-password: set admin_password in "
                                          "the configuration, or mend the file (it must be readable by its owner only)",
                                       m->config->data_dir);
        if (k > 0) {
                log_event(LOG_NOTICE, EVENT_ADMIN_PASSWORD_MADE, NULL,
                          "No admin password is configured: made one, kept in %s/admin-password", m->config->data_dir);
                /* Shown once to whoever starts it by hand; the journal keeps what it hears, and others may read it. */
                if (!log_is_journal()) {
                        printf("The admin password is: %s\n", m->config->admin_password);
                        fflush(stdout);
                }
        }
        return 0;
}

void manager_move_in(Manager *m)
{
        /* Its socket may have been in the folder. */
        manager_control_close(m);
        manager_control_open(m);
        if (m->bans.n > 0)
                manager_keep_bans(m);
        if (!m->own_password)
                return;
        int fd = open(m->config->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int k = fd < 0 ? -errno : admin_password_keep(fd, m->config->admin_password);
        if (fd >= 0)
                close(fd);
        if (k < 0)
                log_warning_errno(k, "Cannot keep the admin password in %s/admin-password; the next start makes another",
                                  m->config->data_dir);
}

void manager_keep_bans(Manager *m)
{
        int k = bans_write(&m->bans, m->config->data_dir, clock_realtime_usec());
        if (k < 0)
                log_warning_errno(k, "Cannot keep the bans in %s/" BANS_NAME "; they end with this process", m->config->data_dir);
}

static void restore_bans(Manager *m)
{
        uint64_t now = clock_realtime_usec();
        bans_read(&m->bans, m->config->data_dir, now);
        for (size_t i = 0; i < m->bans.n; i++)
                (void)net_ban(m->net, m->bans.bans[i].address, m->bans.bans[i].until_usec - now);
}

#define HANDSHAKE_MAX (30 * USEC_PER_SEC)

static int open_net(Manager *m, const ListenFds *sockets)
{
        NetConfig config = {
                .listen = m->config->listen,
                .port = (uint16_t)m->config->port,
                .max_message_size = m->config->max_message_size,
                .start_paused = true,
                /* Whose name is kept for its return may take as long to shake hands, behind what is queued on its line;
                 * libzmq gives up after half a minute. */
                .handshake_timeout = MIN(m->config->reconnect_grace, HANDSHAKE_MAX),
                .limits = manager_net_limits(m->config),
        };
        if (sockets) {
                config.fds[CHANNEL_COMMAND] = &sockets->command;
                config.fds[CHANNEL_DATA] = &sockets->data;
                config.fds[CHANNEL_TTL] = &sockets->ttl;
                config.n_fds[CHANNEL_COMMAND] = config.n_fds[CHANNEL_DATA] = config.n_fds[CHANNEL_TTL] = 1;
                m->activated = true;
        }
        _cleanup_free_ char *error = NULL;
        int k = net_new(&m->net, m->event, &config, &manager_net_callbacks, m, &error);
        if (k < 0)
                log_error("%s", error ?: strerror(-k));
        else
                restore_bans(m);
        return k;
}

/* One of the threads has done something. */
static int on_worker(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Manager *m = userdata;
        Worker *worker = source == m->worker_source ? m->worker : source == m->writer_source ? m->writer : m->checker;
        (void)worker_dispatch(worker);
        return manager_check(m, manager_turn(m));
}

static int add_worker(Manager *m, Worker **ret, sd_event_source **ret_source)
{
        int k = worker_new(ret);
        return k < 0 ? k : sd_event_add_io(m->event, ret_source, worker_fd(*ret), EPOLLIN, on_worker, m);
}

static int open_loop(Manager *m)
{
        static const int signals[] = { SIGTERM, SIGINT, SIGUSR1, SIGHUP };
        int k = sd_event_new(&m->event);
        for (size_t i = 0; k >= 0 && i < ELEMENTSOF(signals); i++)
                k = sd_event_add_signal(m->event, NULL, signals[i], on_signal, m);
        if (k >= 0)
                k = add_worker(m, &m->worker, &m->worker_source);
        if (k >= 0)
                k = add_worker(m, &m->writer, &m->writer_source);
        if (k >= 0)
                k = add_worker(m, &m->checker, &m->checker_source);
        if (k >= 0)
                k = manager_add_timers(m);
        return k;
}

static void on_received(void *userdata, int result)
{
        manager_check(userdata, result < 0 ? result : manager_turn(userdata));
}

static int open_session(Manager *m)
{
        SessionConfig config;
        manager_session_config(m->config, &config);
        int k = session_new(&m->session, &config);
        if (k < 0)
                return k;
        ExecutorFuncs funcs = manager_executor_funcs;
        funcs.userdata = m;
        m->executor = executor_new(m->session, m->store, m->worker, &funcs);
        if (!m->executor)
                return -ENOMEM;
        executor_set_always(m->executor, m->config->sync == CONFIG_SYNC_ALWAYS);
        m->intake = intake_new(m->session, m->executor, m->checker, on_received, m);
        if (!m->intake)
                return -ENOMEM;
        return saver_new(&m->saver, m->event, m->session, m->store, m->executor, on_save_finished, m);
}

int manager_new(Manager **ret, const ManagerParameters *parameters)
{
        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof *m);
        if (!m)
                return log_error_errno(-ENOMEM, "Cannot start");
        m->options = parameters->options;
        m->config = parameters->config;
        m->report = report_new();
        int k = m->report ? open_loop(m) : -ENOMEM;
        if (k < 0)
                return log_error_errno(k, "Cannot start the event loop");
        k = open_store(m, parameters->set_aside);
        if (k < 0)
                return k;
        k = find_admin_password(m);
        if (k < 0)
                return k;
        k = trimmer_new(&m->trimmer, m->event, m->worker, m->store, unsent_bytes, m);
        if (k >= 0)
                k = open_session(m);
        if (k < 0)
                return log_error_errno(k, "Cannot start the session");
        k = open_net(m, parameters->sockets);
        if (k < 0)
                return k;
        executor_set_net(m->executor, m->net);
        k = restore_new(&m->restore, m->event, m->store, m->session, on_restored, m);
        if (k < 0)
                return log_error_errno(k, "Cannot load the session in %s", m->config->data_dir);
        manager_control_open(m);
        net_resume_reading(m->net, 1u << CHANNEL_TTL);
        *ret = TAKE_PTR(m);
        return 0;
}

int manager_run(Manager *m)
{
        return turns_run(&m->turns, m->event);
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        /* Their jobs know restore, saver and executor. A snapshot may wait for what the writer has, which is begun by the
         * one and ended by the other. */
        if (m->intake)
                intake_finish(m->intake);
        do {
                if (m->writer)
                        worker_drain(m->writer, true);
                if (m->worker)
                        worker_drain(m->worker, false);
        } while (m->writer && worker_pending(m->writer) > 0);
        manager_control_close(m);
        restore_free(m->restore);
        saver_free(m->saver);
        m->net = net_free(m->net);
        store_close(m->store);
        worker_free(m->checker);
        worker_free(m->writer);
        worker_free(m->worker);
        trimmer_free(m->trimmer);
        intake_free(m->intake);
        executor_free(m->executor);
        session_free(m->session);
        report_free(m->report);
        sd_event_source_disable_unref(m->worker_source);
        sd_event_source_disable_unref(m->writer_source);
        sd_event_source_disable_unref(m->checker_source);
        sd_event_source_disable_unref(m->tick_timer);
        sd_event_source_disable_unref(m->sync_timer);
        sd_event_source_disable_unref(m->save_timer);
        sd_event_source_disable_unref(m->keeper_timer);
        sd_event_source_disable_unref(m->stop_timer);
        sd_event_source_disable_unref(m->watchdog_timer);
        sd_event_unref(m->event);
        bans_done(&m->bans);
        free(m->peers);
        free(m);
        return NULL;
}
