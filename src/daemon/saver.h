/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Saver: takes snapshots of the session. It hands the scene to the store in
 * slices between other work of the loop, so that saving never stalls the
 * session, and reports how it went in the words people grep for.
 */

#include <systemd/sd-event.h>

#include "daemon/executor.h"
#include "session/session.h"
#include "store/store.h"

typedef struct Saver Saver;

/* A save has ended, well (0) or not; the log has been told. -EBUSY: an init is under way, and there is nothing to save
 * until it is complete. */
typedef void (*SaverFinishedFunc)(void *userdata, int error);

/* Everything is borrowed and must outlive it. Returns 0 or -errno. */
int saver_new(Saver **ret, sd_event *event, Session *session, Store *store, Executor *executor,
              SaverFinishedFunc finished, void *userdata);
Saver *saver_free(Saver *s);
DEFINE_CLEANUP(Saver *, saver_free)

/* Asks for a snapshot of the session as it is now or a little later. While one is being taken the reasons of
 * further requests are collected; one more snapshot then serves them all. Returns 0 or -ENOMEM. */
int saver_request(Saver *s, const char *reason);

/* True while something is asked for or under way. */
bool saver_busy(const Saver *s);

/* Everything up to this record is in a snapshot that was taken by this process; 0: none was. */
uint64_t saver_sequence(const Saver *s);

/* CLOCK_REALTIME microseconds of the last save that went well, 0: none; and its reason. */
uint64_t saver_last_saved(const Saver *s, const char **ret_reason);

/* Tells of the last one by a process before this, and of the snapshot that stands for it. Returns 0 or -ENOMEM. */
int saver_note_saved(Saver *s, const char *snapshot, uint64_t usec, const char *reason);

/* How long saves took, from the first look at the scene to the manifest on disk. */
const Histogram *saver_seconds(const Saver *s);
