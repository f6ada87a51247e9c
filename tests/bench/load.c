/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "load.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define SETTLE_TIMEOUT (60 * SECOND)
#define SETTLE_QUIET (2 * SECOND)

static void *allocate(size_t n, size_t size)
{
        void *p = calloc(n, size);
        if (!p) {
                fprintf(stderr, "bench-load: out of memory\n");
                exit(1);
        }
        return p;
}

/* ---- receiving ---- */

static void record(Load *l, uint64_t sent_at)
{
        if (l->recording && sent_at > 0 && l->n_latencies < l->max_latencies)
                l->latencies[l->n_latencies++] = (uint32_t)((now_nsec() - sent_at) / 100);
}

static void take_data(Load *l, unsigned i)
{
        Stamp s;
        while (client_take(&l->clients[i], &s)) {
                if (s.sequence == 0)
                        continue;
                l->n_taken++;
                record(l, s.sent_at ?: l->sent_at[s.sequence % SENT_AT_SIZE]);
        }
}

static void take_commands(Load *l, unsigned i)
{
        uint64_t sent_at;
        while (client_take_command(&l->clients[i], &sent_at)) {
                if (sent_at == 0)
                        continue;
                l->n_views++;
                record(l, sent_at);
        }
}

static bool is_raw(const Load *l)
{
        return l->options->endpoint.raw;
}

static void attend_all(Load *l)
{
        for (unsigned i = 0; i < l->n_clients; i++) {
                client_attend(&l->clients[i]);
                if (!is_raw(l) || l->options->views)
                        take_commands(l, i);
        }
}

static void watch(Load *l, void *socket)
{
        l->fds[l->n_fds++] = (struct pollfd){ .fd = socket_fd(socket), .events = POLLIN };
}

static void watch_all(Load *l)
{
        for (unsigned i = 1; i < l->n_clients; i++)
                watch(l, l->clients[i].data);
        for (unsigned i = 0; i < l->n_clients && !is_raw(l); i++) {
                watch(l, l->clients[i].ttl);
                watch(l, l->clients[i].command);
        }
}

/* The descriptors announce changes only; all is read each time. */
void load_receive(Load *l, uint64_t wait_nsec)
{
        struct timespec ts = { .tv_sec = (time_t)(wait_nsec / SECOND), .tv_nsec = (long)(wait_nsec % SECOND) };
        unsigned n_data = l->n_clients - 1;
        int n = ppoll(l->fds, l->n_fds, &ts, NULL);
        for (unsigned i = 0; n > 0 && i < l->n_fds; i++) {
                if (!l->fds[i].revents)
                        continue;
                if (i < n_data && is_raw(l) && l->options->views)
                        take_commands(l, i + 1);
                else if (i < n_data)
                        take_data(l, i + 1);
                else if ((i - n_data) % 2 == 0)
                        client_attend(&l->clients[(i - n_data) / 2]);
                else
                        take_commands(l, (i - n_data) / 2);
        }
        uint64_t now = now_nsec();
        if (now - l->attended_at < SECOND / 5)
                return;
        l->attended_at = now;
        attend_all(l);
}

uint64_t load_least_received(const Load *l)
{
        uint64_t least = UINT64_MAX;
        for (unsigned i = 1; i < l->n_clients; i++)
                if (l->clients[i].n_received < least)
                        least = l->clients[i].n_received;
        return least;
}

unsigned load_count_behind(const Load *l)
{
        unsigned behind = 0;
        for (unsigned i = 1; i < l->n_clients; i++)
                for (unsigned k = 0; k < l->options->n_pushed; k++)
                        behind += l->clients[i].last_sequence[k] < l->newest[k];
        return behind;
}

void load_settle(Load *l)
{
        uint64_t start = now_nsec(), quiet_since = start, before = l->n_taken;
        while (load_count_behind(l) > 0 && now_nsec() - start < SETTLE_TIMEOUT &&
               now_nsec() - quiet_since < SETTLE_QUIET) {
                load_receive(l, SECOND / 100);
                if (l->n_taken != before)
                        quiet_since = now_nsec();
                before = l->n_taken;
        }
}

/* ---- pushing ---- */

bool load_push(Load *l)
{
        unsigned i = (unsigned)(l->n_sent % l->options->n_pushed);
        uint64_t sequence = l->n_sent + 1;
        Stamp s = { .sequence = sequence, .sent_at = now_nsec(), .node = i };
        if (l->commits ? !client_push_commit(&l->clients[0], &l->commits[i], sequence) :
                         !client_push(&l->clients[0], &l->messages[i], &s))
                return false;
        l->sent_at[sequence % SENT_AT_SIZE] = s.sent_at;
        l->newest[l->commits ? 0 : i] = ++l->n_sent;
        return true;
}

/* ---- latencies ---- */

static int compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
        return (x > y) - (x < y);
}

void load_sort_latencies(Load *l)
{
        if (l->n_latencies > 0)
                qsort(l->latencies, l->n_latencies, sizeof *l->latencies, compare);
}

double load_percentile(const Load *l, double p)
{
        return l->n_latencies ? l->latencies[(size_t)(p * (double)(l->n_latencies - 1))] / 10.0 : 0;
}

/* ---- setting up ---- */

static void make_messages(Load *l)
{
        const LoadOptions *o = l->options;
        if (o->commits)
                l->commits = allocate(o->n_pushed, sizeof *l->commits);
        else
                l->messages = allocate(o->n_pushed, sizeof *l->messages);
        for (unsigned i = 0; i < o->n_pushed; i++) {
                if (o->commits)
                        commit_message_init(&l->commits[i], 0, i * 7919 % o->scene.n_triples);
                else
                        node_message_init(&l->messages[i], i, o->size, false);
        }
}

static void enter_all(Load *l, void *context)
{
        const LoadOptions *o = l->options;
        for (unsigned i = 0; i < l->n_clients; i++) {
                char name[16];
                snprintf(name, sizeof name, "%s%u", o->prefix, i);
                client_connect(&l->clients[i], context, &o->endpoint, name, o->n_pushed);
                client_enter(&l->clients[i], i == 0 ? o->entry : ENTER_JOIN, &o->scene);
                for (unsigned k = 0; k <= i; k++)
                        client_attend(&l->clients[k]);
        }
}

static void tell_metadata(Load *l)
{
        Pickle p = { 0 };
        selection_message(&p, l->options->metadata_size);
        for (unsigned i = 0; i < l->n_clients && !is_raw(l); i++)
                client_tell(&l->clients[i], &p);
        pickle_done(&p);
}

/* Lets what the joins have set off come to rest, and a raw forwarder hear of everyone: pushes until all have one. */
static void warm_up(Load *l)
{
        uint64_t deadline = now_nsec() + 10 * SECOND;
        while (l->n_clients > 1 && load_least_received(l) == 0 && now_nsec() < deadline) {
                load_push(l);
                for (unsigned i = 0; i < 10; i++)
                        load_receive(l, SECOND / 100);
        }
        load_settle(l);
}

void load_set_up(Load *l, void *context, const LoadOptions *options)
{
        *l = (Load){ .options = options, .n_clients = options->n_receivers + 1 };
        l->clients = allocate(l->n_clients, sizeof *l->clients);
        l->fds = allocate(3 * l->n_clients, sizeof *l->fds);
        l->newest = allocate(options->n_pushed, sizeof *l->newest);
        l->sent_at = allocate(SENT_AT_SIZE, sizeof *l->sent_at);
        make_messages(l);
        enter_all(l, context);
        watch_all(l);
        /* A descriptor announces what comes after a look that found nothing. */
        attend_all(l);
        for (unsigned i = 1; i < l->n_clients; i++)
                take_data(l, i);
        if (options->metadata_size > 0)
                tell_metadata(l);
        if (options->window > 0 || options->flat_out || (options->rate > 0 && !options->views))
                warm_up(l);
}

void load_begin(Load *l)
{
        const LoadOptions *o = l->options;
        for (unsigned i = 0; i < l->n_clients; i++) {
                Client *c = &l->clients[i];
                c->n_received = c->n_commands = c->command_bytes = c->n_pings = c->pinged_at = 0;
                memset(c->last_sequence, 0, o->n_pushed * sizeof *c->last_sequence);
        }
        memset(l->newest, 0, o->n_pushed * sizeof *l->newest);
        l->n_sent = l->n_taken = l->n_views = l->n_views_told = 0;
        l->n_latencies = 0;
        l->recording = false;
}

void load_begin_recording(Load *l, double messages_per_second)
{
        if (!l->latencies) {
                l->max_latencies = (size_t)(messages_per_second * (l->options->seconds + 2));
                l->latencies = allocate(l->max_latencies, sizeof *l->latencies);
        }
        l->recording = true;
}

void load_tear_down(Load *l)
{
        for (unsigned i = 0; i < l->n_clients; i++)
                client_close(&l->clients[i]);
        for (unsigned i = 0; i < l->options->n_pushed; i++) {
                if (l->commits)
                        commit_message_done(&l->commits[i]);
                else
                        node_message_done(&l->messages[i]);
        }
        free(l->clients);
        free(l->fds);
        free(l->messages);
        free(l->commits);
        free(l->newest);
        free(l->sent_at);
        free(l->latencies);
}
