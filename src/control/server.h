/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The daemon's side of the control socket. Connections are taken from root, the daemon's own user and members of the
 * group scenekeep, as the kernel names them; from others they are closed without a word. Every question becomes a
 * ControlCall, which is answered once, at once or later: nothing here makes the loop wait.
 */

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "base/macros.h"

typedef struct ControlServer ControlServer;
typedef struct ControlCall ControlCall;

typedef struct ControlVerb {
        const char *name; /* NULL ends a table */
        /* `arguments` is an object, borrowed. To answer later, keep `call`. Returns 0, or -errno, which is answered as a
         * failure if it has not been answered. */
        int (*run)(void *userdata, ControlCall *call, json_object *arguments);
} ControlVerb;

#define CONTROL_CONNECTIONS_MAX 32u

/* Listens on `path` (mode 0660), in place of what a process before has left there. `verbs` and userdata must outlive it.
 * Returns 0 or -errno. */
int control_server_new(ControlServer **ret, sd_event *event, const char *path, const ControlVerb *verbs,
                       void *userdata);

/* Closes everything and removes the socket. Calls that are kept can still be answered, to nobody. */
ControlServer *control_server_free(ControlServer *s);
DEFINE_CLEANUP(ControlServer *, control_server_free)

/* Both release the call. `result` is taken over; NULL answers that memory is short. */
void control_answer(ControlCall *call, json_object *result);
void control_refuse(ControlCall *call, const char *error, const char *format, ...) _printf_(3, 4);

/* The file that came along, or -1; stays the call's. */
int control_call_file(const ControlCall *call);

/* Who asks: a user name or number, for logs and records; borrowed. */
const char *control_call_user(const ControlCall *call);
