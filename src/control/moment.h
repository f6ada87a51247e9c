/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The session as it was at a moment: a scratch Session, loaded from a snapshot and the journal after it, that nobody
 * is connected to. It is made in steps, so that a daemon can go on serving meanwhile; payloads are mapped from the
 * log, not read.
 */

#include "scene/scene.h"
#include "store/load.h"

typedef struct Moment Moment;
struct Session;

/* A session without limits or users, as a Moment loads one. */
int moment_scratch(struct Session **ret);

/* `point` as in store_load_begin(), of which it returns the errors; NULL: as it is now. */
int moment_begin(Store *store, const StorePoint *point, Moment **ret);

/* Loads up to max_items nodes and records. 1: there are more; 0: that was all; -ENOENT: the session had not begun at that
 * time; other negative errno. */
int moment_step(Moment *m, size_t max_items);

Moment *moment_free(Moment *m); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(Moment *, moment_free)
#define _cleanup_moment_ _cleanup_(moment_freep)

/* Complete once moment_step() has returned 0. */
Scene *moment_scene(Moment *m);

/* The scratch session itself, for going on from there. */
struct Session *moment_session(Moment *m);

/* The snapshot it began with, or NULL; borrowed. */
const StoreSnapshotInfo *moment_snapshot(const Moment *m);

/* Nodes and records that were damaged or missing on the way: what is there is right, but not all there was. */
size_t moment_n_damaged(const Moment *m);

/* CLOCK_REALTIME microseconds of the last record that went into it, or of the snapshot. */
uint64_t moment_time(const Moment *m);
