/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Puts load on a session server, or on bench-forwarder, and prints one line of
 * JSON with what arrived. One client pushes nodes, the others count.
 *
 * Closed loop: no more than `window` messages that not all receivers have.
 * Window 0: as fast as the sender's socket takes them; then the number of
 * receivers that do not end up with the newest version of every node is told.
 * With a rate: that many a second, and the time from push to receipt.
 */

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "bench-client.h"

#define SECOND UINT64_C(1000000000)
#define SETTLE_TIMEOUT (30 * SECOND)
#define SETTLE_QUIET (2 * SECOND)

typedef struct Load {
        Endpoint endpoint;
        unsigned n_receivers, n_nodes, window;
        size_t size;
        double seconds, rate;
        Client *clients; /* 0 sends */
        struct pollfd *fds; /* the data channels of the receivers, then all heartbeats */
        unsigned n_fds;
        NodeMessage *messages;
        uint64_t *newest; /* sequence by node */
        uint64_t n_sent, n_taken;
        uint32_t *latencies; /* in tenths of a microsecond */
        size_t n_latencies, max_latencies;
        uint64_t attended_at;
} Load;

static void take_all(Load *l, unsigned i, bool record)
{
        Stamp s;
        while (client_take(&l->clients[i], &s)) {
                if (s.sequence == 0)
                        continue;
                l->n_taken++;
                if (record && l->n_latencies < l->max_latencies)
                        l->latencies[l->n_latencies++] = (uint32_t)((now_nsec() - s.sent_at) / 100);
        }
}

/* Waits up to the time given, and takes what there is. The descriptors announce changes only; all is read each time. */
static void receive(Load *l, uint64_t wait_nsec, bool record)
{
        struct timespec ts = { .tv_sec = (time_t)(wait_nsec / SECOND), .tv_nsec = (long)(wait_nsec % SECOND) };
        int n = ppoll(l->fds, l->n_fds, &ts, NULL);
        for (unsigned i = 0; n > 0 && i < l->n_receivers; i++)
                if (l->fds[i].revents)
                        take_all(l, i + 1, record);
        for (unsigned i = l->n_receivers; n > 0 && i < l->n_fds; i++)
                if (l->fds[i].revents)
                        client_attend(&l->clients[i - l->n_receivers]);
        uint64_t now = now_nsec();
        if (now - l->attended_at < SECOND / 5)
                return;
        l->attended_at = now;
        for (unsigned i = 0; i <= l->n_receivers; i++)
                client_attend(&l->clients[i]);
}

static uint64_t least_received(const Load *l)
{
        uint64_t least = UINT64_MAX;
        for (unsigned i = 1; i <= l->n_receivers; i++)
                if (l->clients[i].n_received < least)
                        least = l->clients[i].n_received;
        return least;
}

static bool push(Load *l)
{
        unsigned node = (unsigned)(l->n_sent % l->n_nodes);
        Stamp s = { .sequence = l->n_sent + 1, .sent_at = now_nsec(), .node = node };
        if (!client_push(&l->clients[0], &l->messages[node], &s))
                return false;
        l->newest[node] = ++l->n_sent;
        return true;
}

static void run_closed_loop(Load *l, uint64_t until)
{
        while (now_nsec() < until) {
                uint64_t done = least_received(l);
                bool pushed = false;
                while (l->n_sent < done + l->window && push(l))
                        pushed = true;
                receive(l, pushed ? 0 : SECOND / 100, false);
        }
}

static void run_open(Load *l, uint64_t until)
{
        while (now_nsec() < until) {
                bool pushed = false;
                for (int i = 0; i < 16 && push(l); i++)
                        pushed = true;
                receive(l, pushed ? 0 : SECOND / 1000, false);
        }
}

static void run_at_rate(Load *l, uint64_t until)
{
        uint64_t interval = (uint64_t)(SECOND / l->rate), next = now_nsec();
        for (;;) {
                uint64_t now = now_nsec();
                if (now >= until)
                        break;
                if (now >= next) {
                        push(l);
                        next += interval;
                        continue;
                }
                receive(l, next - now < SECOND / 10 ? next - now : SECOND / 10, true); /* heartbeats are due, too */
        }
}

static bool is_up_to_date(const Load *l)
{
        for (unsigned i = 1; i <= l->n_receivers; i++)
                for (unsigned k = 0; k < l->n_nodes; k++)
                        if (l->clients[i].last_sequence[k] < l->newest[k])
                                return false;
        return true;
}

/* Waits until everybody has the newest of everything, or nothing comes any more. */
static void settle(Load *l)
{
        uint64_t start = now_nsec(), quiet_since = start, before = l->n_taken;
        while (!is_up_to_date(l) && now_nsec() - start < SETTLE_TIMEOUT && now_nsec() - quiet_since < SETTLE_QUIET) {
                receive(l, SECOND / 100, l->rate > 0);
                if (l->n_taken != before)
                        quiet_since = now_nsec();
                before = l->n_taken;
        }
}

static unsigned count_behind(const Load *l)
{
        unsigned behind = 0;
        for (unsigned i = 1; i <= l->n_receivers; i++)
                for (unsigned k = 0; k < l->n_nodes; k++)
                        behind += l->clients[i].last_sequence[k] < l->newest[k];
        return behind;
}

static int compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
        return (x > y) - (x < y);
}

static double percentile(const Load *l, double p)
{
        return l->n_latencies ? l->latencies[(size_t)(p * (double)(l->n_latencies - 1))] / 10.0 : 0;
}

static void *allocate(size_t n, size_t size)
{
        void *p = calloc(n, size);
        if (!p) {
                fprintf(stderr, "bench-load: out of memory\n");
                exit(1);
        }
        return p;
}

static void set_up(Load *l, void *context)
{
        l->clients = allocate(l->n_receivers + 1, sizeof *l->clients);
        l->fds = allocate(2 * l->n_receivers + 1, sizeof *l->fds);
        l->newest = allocate(l->n_nodes, sizeof *l->newest);
        l->messages = allocate(l->n_nodes, sizeof *l->messages);
        for (unsigned i = 0; i < l->n_nodes; i++)
                node_message_init(&l->messages[i], i, l->size);
        if (l->rate > 0) {
                l->max_latencies = (size_t)(l->rate * (l->seconds + 2)) * l->n_receivers;
                l->latencies = allocate(l->max_latencies, sizeof *l->latencies);
        }
        for (unsigned i = 0; i <= l->n_receivers; i++) {
                client_connect(&l->clients[i], context, &l->endpoint, i, l->n_nodes);
                client_enter(&l->clients[i], i == 0);
                for (unsigned k = 0; k <= i; k++)
                        client_attend(&l->clients[k]);
        }
        for (unsigned i = 0; i < l->n_receivers; i++)
                l->fds[i] = (struct pollfd){ .fd = socket_fd(l->clients[i + 1].data), .events = POLLIN };
        l->n_fds = l->n_receivers;
        for (unsigned i = 0; i <= l->n_receivers && !l->endpoint.raw; i++)
                l->fds[l->n_fds++] = (struct pollfd){ .fd = socket_fd(l->clients[i].ttl), .events = POLLIN };
        /* A descriptor announces what comes after a look that found nothing. */
        for (unsigned i = 0; i <= l->n_receivers; i++)
                client_attend(&l->clients[i]);
        for (unsigned i = 1; i <= l->n_receivers; i++)
                take_all(l, i, false);
        /* Let what the joins have set off come to rest, and a raw forwarder hear of everyone: push until all have one. */
        uint64_t deadline = now_nsec() + 10 * SECOND;
        while (least_received(l) == 0 && now_nsec() < deadline) {
                push(l);
                for (unsigned i = 0; i < 10; i++)
                        receive(l, SECOND / 100, false);
        }
        for (unsigned i = 0; i <= l->n_receivers; i++)
                l->clients[i].n_received = 0;
        l->n_sent = l->n_taken = 0;
        memset(l->newest, 0, l->n_nodes * sizeof *l->newest);
        for (unsigned i = 1; i <= l->n_receivers; i++)
                memset(l->clients[i].last_sequence, 0, l->n_nodes * sizeof *l->newest);
}

static void tear_down(Load *l)
{
        for (unsigned i = 0; i <= l->n_receivers; i++)
                client_close(&l->clients[i]);
        for (unsigned i = 0; i < l->n_nodes; i++)
                node_message_done(&l->messages[i]);
        free(l->clients);
        free(l->fds);
        free(l->newest);
        free(l->messages);
        free(l->latencies);
}

static void run(Load *l)
{
        uint64_t start = now_nsec(), until = start + (uint64_t)(l->seconds * SECOND);
        if (l->rate > 0)
                run_at_rate(l, until);
        else if (l->window > 0)
                run_closed_loop(l, until);
        else
                run_open(l, until);
        uint64_t measured = l->n_taken;
        double elapsed = (double)(now_nsec() - start) / SECOND;
        uint64_t settle_start = now_nsec();
        settle(l);
        double settled = (double)(now_nsec() - settle_start) / SECOND;

        if (l->rate > 0)
                qsort(l->latencies, l->n_latencies, sizeof *l->latencies, compare);
        printf("{\"receivers\": %u, \"size\": %zu, \"window\": %u, \"rate\": %g, \"seconds\": %.3f, \"sent\": %lu, "
               "\"received\": %lu, \"deliveries_per_second\": %.1f, \"missing\": %ld, \"behind\": %u, "
               "\"settled_after\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
               l->n_receivers, l->size, l->window, l->rate, elapsed, (unsigned long)l->n_sent,
               (unsigned long)l->n_taken, (double)measured / elapsed,
               (long)(l->n_sent * l->n_receivers) - (long)l->n_taken, count_behind(l), settled, percentile(l, 0.5),
               percentile(l, 0.99), percentile(l, 0.999), percentile(l, 1));
}

static int usage(const char *program)
{
        fprintf(stderr,
                "usage: %s [--raw] [--address A] --port P [--admin-password TEXT] [--receivers N] [--size BYTES]\n"
                "       [--nodes N] [--seconds S] [--window N | --rate PER_SECOND] [--max-unread N]\n", program);
        return 2;
}

int main(int argc, char **argv)
{
        Load l = {
                .endpoint = { .address = "127.0.0.1" },
                .n_receivers = 4,
                .n_nodes = 64,
                .window = 64,
                .size = 1024,
                .seconds = 2,
        };
        static const struct option options[] = {
                { "raw", no_argument, NULL, 'R' },           { "address", required_argument, NULL, 'a' },
                { "port", required_argument, NULL, 'p' },    { "admin-password", required_argument, NULL, 'A' },
                { "receivers", required_argument, NULL, 'n' }, { "size", required_argument, NULL, 's' },
                { "nodes", required_argument, NULL, 'N' },   { "seconds", required_argument, NULL, 't' },
                { "window", required_argument, NULL, 'w' },  { "rate", required_argument, NULL, 'r' },
                { "max-unread", required_argument, NULL, 'u' }, { 0 },
        };
        int c;
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (c) {
                case 'R': l.endpoint.raw = true; break;
                case 'a': l.endpoint.address = optarg; break;
                case 'p': l.endpoint.port = (unsigned)strtoul(optarg, NULL, 10); break;
                case 'A': l.endpoint.admin_password = optarg; break;
                case 'n': l.n_receivers = (unsigned)strtoul(optarg, NULL, 10); break;
                case 's': l.size = strtoul(optarg, NULL, 10); break;
                case 'N': l.n_nodes = (unsigned)strtoul(optarg, NULL, 10); break;
                case 't': l.seconds = strtod(optarg, NULL); break;
                case 'w': l.window = (unsigned)strtoul(optarg, NULL, 10); break;
                case 'r': l.rate = strtod(optarg, NULL); break;
                case 'u': l.endpoint.max_unread = strtoul(optarg, NULL, 10); break;
                default: return usage(argv[0]);
                }
        }
        if (l.endpoint.port == 0 || l.n_receivers == 0 || l.n_nodes == 0 || l.size < 256)
                return usage(argv[0]);
        void *context = zmq_ctx_new();
        zmq_ctx_set(context, ZMQ_BLOCKY, 0);
        set_up(&l, context);
        run(&l);
        tear_down(&l);
        zmq_ctx_term(context);
        return 0;
}
