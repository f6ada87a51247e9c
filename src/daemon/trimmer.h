/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Trimmer: gives memory back to the kernel. What loading, filling or changing a
 * session has used for a while lies below what stays, so the allocator keeps it
 * unless it is asked. While a burst of updates lasts, that is well: the next
 * ones need what those before have used, and pages that were given back would
 * have to be cleared again. So it is asked when a burst is over, and after a
 * save for what has become of one that is never over. Not asked often: it stops
 * for all that is free, a millisecond for some ten thousand pieces.
 */

#include <systemd/sd-event.h>

#include "base/worker.h"
#include "store/store.h"

typedef struct Trimmer Trimmer;

/* How many bytes of what came in are still to be sent to somebody: they are freed when they have been. */
typedef size_t (*TrimmerUnsentFunc)(void *userdata);

/* What it is given is borrowed and must outlive it, but the worker, whose jobs know it. Returns 0 or -errno. */
int trimmer_new(Trimmer **ret, sd_event *event, Worker *worker, Store *store, TrimmerUnsentFunc unsent, void *userdata);
Trimmer *trimmer_free(Trimmer *t);
DEFINE_CLEANUP(Trimmer *, trimmer_free)

/* Trims: the first time, when the session has been loaded, in any case; from then on if enough has come in or was saved
 * since the last time. */
void trimmer_run(Trimmer *t);

/* The same in a moment, or when most has been sent, unless more comes in until then. To be called whenever something has
 * become durable: before that, it is still held. */
void trimmer_run_when_quiet(Trimmer *t);
