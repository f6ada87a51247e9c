/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Executor: carries out what the session wants done. This is the one place
 * where the order that durability rests on is made: all records of a turn are
 * handed to the kernel before anything of that turn is sent; with sync =
 * "always", not before they are on the disk. Where that takes time the turn is
 * held, and all behind it, while the loop goes on.
 */

#include "net/net.h"
#include "session/session.h"
#include "store/store.h"

typedef struct Executor Executor;

typedef struct ExecutorFuncs {
        void (*save)(void *userdata, const char *reason);
        void (*log)(void *userdata, const Effect *effect);
        void (*opened)(void *userdata, const RoutingId *peer);
        void (*closed)(void *userdata, const RoutingId *peer);
        void (*banned)(void *userdata, const char *address); /* by a penalty just counted */
        void *userdata;
} ExecutorFuncs;

/* Everything is borrowed and must outlive it. */
Executor *executor_new(Session *session, Store *store, Worker *worker, const ExecutorFuncs *funcs);

/* Drops what is still held back. Background encodings must be over (worker_free() or worker_drain()). */
Executor *executor_free(Executor *e);
DEFINE_CLEANUP(Executor *, executor_free)

/* Where sends go; until it is set there must be none. */
void executor_set_net(Executor *e, Net *net);

/* Whether sends wait for the disk. What waits when this is switched off goes out with the next sync. */
void executor_set_always(Executor *e, bool always);

/* The list into which the session's answers are collected during a turn. */
EffectList *executor_effects(Executor *e);

/* The SHA-256 of a payload that is in the turn that comes next, so that it need not be made again. */
void executor_set_digest(Executor *e, Bytes *payload, const uint8_t digest[static STORE_DIGEST_SIZE]);

/* End of a turn, and whenever the store has got on with writing or syncing, or has given up on it for now: carries out what
 * waited for that, what was collected, and what comes of it. Returns 0 or -ENOMEM. */
int executor_run(Executor *e);

/* Holds a node's payload as it lies in the log now, if it can be had from there. */
void executor_map_node(Executor *e, Node *n);

/* Bytes of messages that wait for the disk. */
size_t executor_held_bytes(const Executor *e);
/* Something waits for the disk: nobody is sent anything but heartbeats. */
bool executor_is_holding(const Executor *e);

/* Updates for users of the session that there was no way to: there must be none. */
uint64_t executor_n_undelivered(const Executor *e);
