/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Restore: brings the session back from the store, in steps, so that the loop
 * can greet the clients that are expected back between them. Every payload of
 * the snapshot is verified by the worker before anybody is given it; a damaged
 * one is replaced by the node's newest intact version and named in the log.
 */

#include <systemd/sd-event.h>

#include "session/session.h"
#include "store/load.h"

typedef struct Restore Restore;

typedef struct RestoreResult {
        char snapshot[64]; /* name, "" when there was none */
        uint64_t saved;    /* CLOCK_REALTIME microseconds of the last save, 0: there was none */
        char *save_reason; /* borrowed */
        uint64_t n_records; /* journal records after it */
        size_t n_repaired;  /* nodes of which an older version had to be used */
        size_t n_lost;      /* nodes of which none was left */
} RestoreResult;

/* Called once, from the loop: 0 or -errno. */
typedef void (*RestoreDoneFunc)(void *userdata, int error, const RestoreResult *result);

/* Reads the state, so that session_tick() greets known users; the rest follows in the loop. Store and session are
 * borrowed and must outlive it. Returns 0 or -errno. */
int restore_new(Restore **ret, sd_event *event, Store *store, Session *session, RestoreDoneFunc done,
                void *userdata);
Restore *restore_free(Restore *r);
DEFINE_CLEANUP(Restore *, restore_free)
