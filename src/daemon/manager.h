/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Manager: one session being served. Owns the loop and everything on it, and
 * takes it through its life: open the store, greet known clients, load, serve,
 * save, leave.
 */

#include "daemon/config.h"
#include "daemon/listen-fds.h"

typedef struct Manager Manager;

typedef struct ManagerParameters {
        const Options *options;   /* for reloading; borrowed */
        Config *config;           /* borrowed; a reload changes it */
        const ListenFds *sockets; /* NULL: bind by itself; borrowed */
        bool set_aside;           /* begin a new session where the store is rotten beyond use */
} ManagerParameters;

/* Opens the log's file anew and sets what is written, as configured. A file that cannot be opened is warned of. */
void manager_set_log(const Config *c);

/* SIGTERM, SIGINT, SIGUSR1 and SIGHUP must be blocked. What goes wrong is logged. Returns 0 or -errno. */
int manager_new(Manager **ret, const ManagerParameters *parameters);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)

/* Serves until told to stop. Returns 0 when everything was saved, else -errno (logged). */
int manager_run(Manager *m);
