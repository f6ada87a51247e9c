/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The clients of one run of bench-load and what has arrived at them. Client 0
 * pushes nodes or deltas, or every client tells metadata; all are served by
 * one thread, so that the generator takes as little of the machine as it can.
 */

#include "bench-client.h"

#define SECOND UINT64_C(1000000000)

/* Of deltas, which cannot say when they were sent. */
#define SENT_AT_SIZE 65536u

typedef struct LoadOptions {
        Endpoint endpoint;
        Entry entry;         /* of the first client; the others join */
        Scene scene;
        const char *prefix;  /* of the clients' names */
        unsigned n_receivers, n_pushed, window;
        size_t size, metadata_size;
        double seconds, rate;
        uint64_t count;      /* not 0: so many messages instead of so many seconds */
        bool commits, views, flat_out, phases;
} LoadOptions;

typedef struct Load {
        const LoadOptions *options;
        Client *clients;        /* one more than there are receivers */
        struct pollfd *fds;     /* data channels of the receivers, then heartbeats and commands of all */
        unsigned n_clients, n_fds;
        NodeMessage *messages;  /* n_pushed */
        CommitMessage *commits; /* n_pushed: vertices of node 0 */
        uint64_t *newest;       /* sequence by node */
        uint64_t *sent_at;      /* by sequence modulo SENT_AT_SIZE */
        uint64_t n_sent, n_taken, n_views, n_views_told;
        uint32_t *latencies;    /* in tenths of a microsecond */
        size_t n_latencies, max_latencies;
        bool recording;
        uint64_t attended_at;
} Load;

void load_set_up(Load *l, void *context, const LoadOptions *options);
void load_tear_down(Load *l);

/* Begins a new measurement: what has arrived before is forgotten. */
void load_begin(Load *l);
void load_begin_recording(Load *l, double messages_per_second);

/* Pushes the next thing; false when the socket does not take it now. */
bool load_push(Load *l);

/* Waits up to the time given, and takes what there is. */
void load_receive(Load *l, uint64_t wait_nsec);

/* Waits until everybody has the newest of everything, or nothing comes any more. */
void load_settle(Load *l);

uint64_t load_least_received(const Load *l);
unsigned load_count_behind(const Load *l); /* receivers that lack the newest version of something, by version */

/* Sorts the latencies. In microseconds; 0 when there are none. */
void load_sort_latencies(Load *l);
double load_percentile(const Load *l, double p);
