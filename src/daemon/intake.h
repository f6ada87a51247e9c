/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Intake: large messages on their way from the sockets to the session. Checking
 * the pickles of 64 MiB and hashing them takes up to 200 ms, for which nobody
 * else should wait, so that is done in a thread. Until it is done the message
 * has not arrived, as far as the session knows, and neither has anything that
 * the same peer has sent after it, on whatever channel but ttl; what others
 * send passes.
 */

#include "base/routing-id.h"
#include "base/worker.h"
#include "daemon/executor.h"

typedef struct Intake Intake;

/* A message has been handed to the session, which has said this to it: 0 or -errno. */
typedef void (*IntakeFunc)(void *userdata, int result);

/* Everything is borrowed; nothing else should make `worker` wait. */
Intake *intake_new(Session *session, Executor *executor, Worker *worker, IntakeFunc received, void *userdata);
/* Everything must have been handed to the session. */
Intake *intake_free(Intake *i);
DEFINE_CLEANUP(Intake *, intake_free)

/* A message from the net. 1: it is taken over; 0: nothing is in its way, hand it to the session; -ENOMEM. */
int intake_message(Intake *i, Channel channel, const RoutingId *from, const char *address, Bytes *const *frames,
                   size_t n_frames);

/* Waits until everything has been handed to the session. */
void intake_finish(Intake *i);

/* Is something of this peer in it? */
bool intake_has(const Intake *i, const RoutingId *peer);

size_t intake_bytes(const Intake *i); /* that the messages in it take */
