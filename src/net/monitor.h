/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What libzmq tells of one socket's connections, through a socket of its own (zmq_socket_monitor(3)). */

#include "base/macros.h"

typedef struct Monitor {
        void *socket;  /* the PAIR to read */
        void *watched; /* the ROUTER */
} Monitor;

typedef struct MonitorEvent {
        unsigned event;  /* one ZMQ_EVENT_ */
        unsigned value;  /* file descriptor or error, depending on it */
} MonitorEvent;

/* Starts watching; `name` must be unique in the context. Returns 0 or -errno. */
int monitor_init(Monitor *m, void *context, void *watched, const char *name);

/* Stops; must come before the watched socket is closed (an event for which nobody listens would block libzmq). */
void monitor_done(Monitor *m);

/* The file descriptor to poll; edge-triggered like every ZMQ_FD, so read until there is no more. */
int monitor_fd(const Monitor *m);

/* Returns 1 with *ret, 0 when there is nothing to read. */
int monitor_read(Monitor *m, MonitorEvent *ret);
