/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the manager's files share: manager.c (life), manager-events.c (what network and store report), manager-timers.c
 * (what happens by itself). */

#include <systemd/sd-event.h>

#include "base/clock.h"
#include "control/bans.h"
#include "control/restarts.h"
#include "daemon/executor.h"
#include "daemon/intake.h"
#include "daemon/manager.h"
#include "daemon/report.h"
#include "daemon/restore.h"
#include "daemon/saver.h"
#include "daemon/trimmer.h"
#include "daemon/turns.h"

typedef struct ManagerControl ManagerControl;

typedef enum ManagerState {
        MANAGER_LOADING,
        MANAGER_SERVING,
        MANAGER_STOPPING,
} ManagerState;

struct Manager {
        const Options *options;
        Config *config;
        bool activated; /* systemd holds the listening sockets */
        ManagerState state;

        sd_event *event;
        Turns turns;
        Report *report;
        Worker *worker;
        Worker *checker; /* large messages; it never waits for a disk */
        Worker *writer; /* the journal's writes that may take long; `worker` may wait for the disk meanwhile */
        Store *store;
        Session *session;
        Executor *executor;
        Intake *intake;
        Saver *saver;
        Restore *restore;
        Trimmer *trimmer;
        Net *net;
        ManagerControl *control; /* NULL: nobody can ask */

        sd_event_source *worker_source;
        sd_event_source *checker_source;
        sd_event_source *writer_source;
        sd_event_source *tick_timer;     /* when the session wants it */
        sd_event_source *sync_timer;     /* armed while something is not durable */
        sd_event_source *save_timer;     /* every save_interval */
        sd_event_source *stop_timer;     /* while messages are waited for, before leaving */
        uint64_t stop_until;
        sd_event_source *keeper_timer;   /* every second: status, slow peers, idle exit */
        sd_event_source *watchdog_timer; /* when systemd wants it */

        Restarts restarts;
        Bans bans; /* by the operator's hand */

        RoutingId *peers; /* for which outboxes are kept */
        size_t n_peers, n_peers_allocated;
        uint64_t loaded_sequence; /* everything up to here is in the snapshot that was loaded */
        uint64_t tick_at;    /* CLOCK_MONOTONIC for which tick_timer is set; 0: it is not */
        uint64_t sync_at;    /* the same of sync_timer */
        bool sync_in_gap;    /* it has been set for earlier */
        uint64_t scrubbed_at; /* CLOCK_REALTIME of the last scrub; of the start if there was none */
        uint64_t idle_since; /* CLOCK_MONOTONIC; 0: somebody is there */
        bool own_password; /* none is configured: the admin password is the server's own */
        bool reading_held;   /* too much waits for the disk */
        SessionTime message_done; /* when the last message of this turn was done; 0: there was none */
        uint64_t cpu_seen;   /* CPU time of this thread before the message in hand, or not long before */
        bool disk_busy;      /* and so much that those who send most have to wait */
        struct {
                uint64_t received, next_look; /* bytes: when the disk was looked at last, and after how many more again */
                bool is_low;
                uint64_t rate; /* bytes a second that one user may send; 0: as configured */
        } guard; /* see disk-guard.h */
};

static inline SessionTime manager_time(void)
{
        return (SessionTime){ .now = clock_monotonic_usec(), .wall = clock_realtime_usec() };
}

/* Ends the loop when k is negative; returns k. For the end of every callback. */
int manager_check(Manager *m, int k);

/* Carries out what the session answered, and sets the timers that this calls for. Returns 0 or -errno. */
int manager_turn(Manager *m);

int manager_save(Manager *m, const char *reason);

/* SIGTERM, SIGINT and idle exit: takes what has arrived, saves, flushes, leaves. */
int manager_stop(Manager *m); /* a second time: at once */

/* The operator's bans have changed: keeps them for the next process, or says that it cannot. */
void manager_keep_bans(Manager *m);

/* The data folder has been made anew while running: puts into it what belongs there beside the store. */
void manager_move_in(Manager *m);

/* manager-events.c */
extern const NetCallbacks manager_net_callbacks;
extern const ExecutorFuncs manager_executor_funcs;
StoreEvents manager_store_events(Manager *m);

/* manager-timers.c */
int manager_add_timers(Manager *m);
int manager_arm_tick(Manager *m); /* for when the session wants it */
int manager_arm_sync(Manager *m);
int manager_rearm_save(Manager *m);
void manager_format_status(const Manager *m, char *buffer, size_t size);

/* manager-control.c */
void manager_control_open(Manager *m);
void manager_control_close(Manager *m);
void manager_control_saved(Manager *m, int error); /* a save has ended */

/* manager-config.c */
void manager_session_config(const Config *c, SessionConfig *ret);
NetLimits manager_net_limits(const Config *c);
int manager_reload(Manager *m);
