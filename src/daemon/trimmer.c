/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/trimmer.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/clock.h"

/* For less there is nothing to gain. */
#define TRIM_BYTES_MIN (UINT64_C(1) << 20)

/* A burst is over when so long nothing has come, after all of it is durable. */
#define QUIET_USEC (250 * USEC_PER_MSEC)

struct Trimmer {
        Worker *worker;
        Store *store;
        TrimmerUnsentFunc unsent;
        void *userdata;
        sd_event_source *quiet_timer;
        uint64_t n_records; /* when it was set */
        WorkerJob job;
        bool under_way;
        bool has_run;
        uint64_t passed; /* bytes, until the last time */
};

/* What has passed through the heap: all that came in, and what saves have made. */
static uint64_t bytes_passed(const StoreStats *stats)
{
        return stats->received_bytes + stats->saved_bytes;
}

static bool is_worth_it(const Trimmer *t, const StoreStats *stats)
{
        return !t->under_way && bytes_passed(stats) >= t->passed + TRIM_BYTES_MIN;
}

static int trim_run(WorkerJob *job)
{
        (void)malloc_trim(0);
        return 0;
}

static void trim_done(WorkerJob *job, int result)
{
        CONTAINER_OF(job, Trimmer, job)->under_way = false;
}

static void set_quiet_timer(Trimmer *t)
{
        /* Should it fail, the next save does it. */
        if (sd_event_source_set_time_relative(t->quiet_timer, QUIET_USEC) >= 0)
                (void)sd_event_source_set_enabled(t->quiet_timer, SD_EVENT_ONESHOT);
}

static int on_quiet(sd_event_source *source, uint64_t usec, void *userdata)
{
        Trimmer *t = userdata;
        StoreStats stats;
        store_get_stats(t->store, &stats);
        if (stats.n_records != t->n_records || !is_worth_it(t, &stats))
                return 0;
        if (t->unsent(t->userdata) < TRIM_BYTES_MIN)
                trimmer_run(t);
        else
                set_quiet_timer(t);
        return 0;
}

int trimmer_new(Trimmer **ret, sd_event *event, Worker *worker, Store *store, TrimmerUnsentFunc unsent, void *userdata)
{
        _cleanup_(trimmer_freep) Trimmer *t = calloc(1, sizeof *t);
        if (!t)
                return -ENOMEM;
        t->worker = worker;
        t->store = store;
        t->unsent = unsent;
        t->userdata = userdata;
        int k = sd_event_add_time(event, &t->quiet_timer, CLOCK_MONOTONIC, 0, QUIET_USEC / 10, on_quiet, t);
        if (k >= 0)
                k = sd_event_source_set_enabled(t->quiet_timer, SD_EVENT_OFF);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(t);
        return 0;
}

Trimmer *trimmer_free(Trimmer *t)
{
        if (!t)
                return NULL;
        sd_event_source_disable_unref(t->quiet_timer);
        free(t);
        return NULL;
}

void trimmer_run(Trimmer *t)
{
        StoreStats stats;
        store_get_stats(t->store, &stats);
        if (t->has_run && !is_worth_it(t, &stats))
                return;
        t->has_run = t->under_way = true;
        t->passed = bytes_passed(&stats);
        t->job = (WorkerJob){ .run = trim_run, .done = trim_done };
        worker_submit(t->worker, &t->job, WORKER_LOW);
}

void trimmer_run_when_quiet(Trimmer *t)
{
        StoreStats stats;
        if (!t->has_run || store_durable_sequence(t->store) < store_sequence(t->store))
                return;
        store_get_stats(t->store, &stats);
        if (!is_worth_it(t, &stats))
                return;
        t->n_records = stats.n_records;
        set_quiet_timer(t);
}
