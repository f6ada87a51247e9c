/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a person means by "now", "latest", "42", "20261123T141500Z-00042",
 * "yesterday 14:00" or "scene.db": a state of a session, read from the store
 * (which a running daemon may go on writing) or from a file.
 */

#include "control/moment.h"
#include "ctl/node-label.h"
#include "ctl/verb.h"
#include "store/store.h"

/* Opens the session's store for reading. CTL_OK, or what ctl_fail() returned. */
ExitStatus source_open_store(const Ctl *ctl, Store **ret);

typedef struct Source {
        Moment *moment; /* NULL: from a file */
        Scene *owned;   /* likewise the scene itself */
        Scene *scene;
        char *title;    /* "snapshot ...", "now", "FILE" */
        uint64_t time_usec; /* 0: not known */
        size_t n_damaged;
} Source;

/* Does `what` name a file rather than something in the store? */
bool source_is_file(const char *what);

/* `store` is opened on first need and is to be closed after the source. */
ExitStatus source_open(const Ctl *ctl, const char *what, Store **store, Source *ret);
void source_done(Source *s);

/* The point of time or snapshot that `what` names. False: complained. *ret->snapshot may lead into `what`. */
bool source_point(const Ctl *ctl, Store *store, const char *what, StorePoint *ret);

/* The one node that `name` means in a listing, or NULL after a complaint with *ret_status set. */
Listed *source_find_node(const Ctl *ctl, const Listing *l, const char *name, ExitStatus *ret_status);
