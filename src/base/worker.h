/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Worker: the one background thread. It does the disk's slow work (fdatasync,
 * writing snapshots, verification, compaction) on immutable data, so that the
 * event loop never waits for a disk. The owner submits jobs and is told of their
 * end on its own thread: worker_fd() becomes readable, worker_dispatch() calls
 * done(). Jobs of one priority run in the order in which they were submitted;
 * a running job is never interrupted, so a long one does a bounded step and
 * returns WORKER_AGAIN: it is then queued again behind whatever is more urgent.
 *
 * All functions belong to the owner's thread, except the ones marked "run()".
 */

#include <stdint.h>

#include "base/macros.h"

typedef struct Worker Worker;
typedef struct WorkerJob WorkerJob;

typedef enum WorkerPriority {
        WORKER_URGENT, /* somebody waits for it: fdatasync of the journal */
        WORKER_NORMAL, /* snapshots */
        WORKER_LOW,    /* scrubbing, compaction: only when nothing else is waiting */
        _WORKER_PRIORITY_MAX,
} WorkerPriority;

/* run() may return this positive value to be called again later; every other value ends the job. */
#define WORKER_AGAIN 1

/* Embed it as a member and find the surroundings with CONTAINER_OF(). */
struct WorkerJob {
        /* In the worker's thread. Returns WORKER_AGAIN, 0 or a negative errno. */
        int (*run)(WorkerJob *job);
        /* On the owner's thread with the result of run(), or -ECANCELED for a job that was dropped by
         * worker_free() before it began or between two steps. The job may be freed or submitted again in it. */
        void (*done)(WorkerJob *job, int result);
        /* private from here */
        WorkerPriority priority;
        int result;
        WorkerJob *next;
};

/* Starts the thread (all signals blocked in it). Returns 0 or a negative errno. */
int worker_new(Worker **ret);

/* A worker without a thread: jobs run inside worker_dispatch() on the caller's thread, one step per call.
 * Deterministic, for tests and for programs that have no event loop. */
int worker_new_inline(Worker **ret);

/* Waits for the step that is running, runs queued urgent and normal jobs to their end, drops low ones, calls
 * done() for all and ends the thread. */
Worker *worker_free(Worker *w);
DEFINE_CLEANUP(Worker *, worker_free)
#define _cleanup_worker_ _cleanup_(worker_freep)

/* Queues a job; the job's memory must live until done(). Cannot fail. */
void worker_submit(Worker *w, WorkerJob *job, WorkerPriority priority);

/* The same, and waits for the job's end, but at most so long. True: that was it, with this result, and done() is not
 * called. False: done() is called as ever. Without a thread it is run right here. */
bool worker_submit_and_wait(Worker *w, WorkerJob *job, WorkerPriority priority, uint64_t usec, int *ret);

/* An eventfd, readable while finished jobs wait for worker_dispatch(). Owned by the worker. */
int worker_fd(const Worker *w);

/* Calls done() of every finished job. Returns how many there were. */
unsigned worker_dispatch(Worker *w);

/* Waits until no urgent or normal job (with `all`: no job at all) is queued or running, calling done()
 * on the way. Blocks: for shutdown and for tests. */
void worker_drain(Worker *w, bool all);

/* run(): says that the job is getting somewhere; call it about every 16 MiB of work. */
void worker_progress(Worker *w);

/* Number of steps and worker_progress() calls so far: moves as long as the thread is alive and working. */
uint64_t worker_progress_count(const Worker *w);

/* For the watchdog: microseconds (CLOCK_MONOTONIC) since the running step last made progress; 0 when idle. */
uint64_t worker_stalled_usec(const Worker *w);

/* Jobs queued, running or waiting for worker_dispatch(). */
unsigned worker_pending(const Worker *w);
