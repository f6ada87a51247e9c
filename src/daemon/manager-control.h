/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What scenekeepctl asks of a running session: answers and actions behind the control socket. */

#include "control/server.h"
#include "daemon/manager-internal.h"
#include "store/snapshot.h"

typedef struct ControlSave {
        ControlCall *call;
        bool pin;
        char pin_name[STORE_PIN_NAME_MAX]; /* "": none */
} ControlSave;

struct ManagerControl {
        Manager *manager;
        ControlServer *server;
        ControlSave saves[CONTROL_CONNECTIONS_MAX * 2]; /* to be answered when the snapshot is there */
        size_t n_saves;
        ControlCall *scrub; /* who waits for the end of one */
        ControlCall *prune; /* likewise */
        struct Rewind *rewind; /* a restore or import under way */
        char undo[STORE_SNAPSHOT_NAME_MAX]; /* what was there before the last restore; "" */
        uint64_t started_wall;
};

/* Everything of the session for `status`, `users` and `metrics`. NULL when memory is short. */
json_object *control_status(const ManagerControl *c);

/* Asks for a snapshot and answers when it is there. */
/* Refuses what needs a session that is being served. */
void control_refuse_loading(ControlCall *call);
int control_save(ManagerControl *c, ControlCall *call, const char *reason, bool pin, const char *pin_name);

/* A text or number among the arguments; NULL or 0 when it is not there. */
const char *control_text(json_object *arguments, const char *key);
bool control_flag(json_object *arguments, const char *key);

/* control-maintain.c */
int control_scrub(void *userdata, ControlCall *call, json_object *arguments);
int control_prune(void *userdata, ControlCall *call, json_object *arguments);

/* control-history.c */
int control_chat(void *userdata, ControlCall *call, json_object *arguments);
int control_say(void *userdata, ControlCall *call, json_object *arguments);
int control_tasks(void *userdata, ControlCall *call, json_object *arguments);
int control_task_put(void *userdata, ControlCall *call, json_object *arguments);
int control_task_remove(void *userdata, ControlCall *call, json_object *arguments);

/* manager-rewind.c: back to an earlier state */
int rewind_restore(void *userdata, ControlCall *call, json_object *arguments);
/* The nodes of a file (see control/node-stream.h) in place of everything. */
int rewind_import(void *userdata, ControlCall *call, json_object *arguments);
/* A save has ended: the one that is taken before anything is changed may have been waited for. */
void rewind_saved(ManagerControl *c, int error);
void rewind_cancel(ManagerControl *c);
