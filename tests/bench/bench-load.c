/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Puts load on a session server, or on bench-forwarder, and prints one line of
 * JSON with what arrived. The first client pushes nodes or deltas and the
 * others count, or all tell their views to each other, or nobody does anything.
 *
 * Closed loop (--window): no more than so many messages that not all receivers
 * have. --flat-out: as fast as the sender's socket takes them; then the number
 * of versions is told that some receiver does not end up with. --rate: that
 * many a second, and the time from push to receipt; with --views for each
 * client. --idle: nothing.
 *
 * --phases: for the measuring program. Says "ready", then for each line "go" it
 * reads makes a run, says "end" when the time is over, and prints its line of JSON
 * when everything has arrived.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <unistd.h>
#include <zmq.h>

#include "load.h"

/* ---- what a run does ---- */

static bool is_over(const Load *l, uint64_t until)
{
        return l->options->count > 0 ? l->n_sent >= l->options->count : now_nsec() >= until;
}

static void run_closed_loop(Load *l, uint64_t until)
{
        while (!is_over(l, until)) {
                uint64_t done = load_least_received(l);
                bool pushed = false;
                while (l->n_sent < done + l->options->window && !is_over(l, until) && load_push(l))
                        pushed = true;
                load_receive(l, pushed ? 0 : SECOND / 100);
        }
}

static void run_flat_out(Load *l, uint64_t until)
{
        while (!is_over(l, until)) {
                bool pushed = false;
                for (int i = 0; i < 16 && load_push(l); i++)
                        pushed = true;
                load_receive(l, pushed ? 0 : SECOND / 1000);
        }
}

static uint64_t until_next(uint64_t now, uint64_t next)
{
        uint64_t wait = next > now ? next - now : 0;
        return wait < SECOND / 10 ? wait : SECOND / 10; /* heartbeats are due, too */
}

static void run_at_rate(Load *l, uint64_t until)
{
        uint64_t interval = (uint64_t)(SECOND / l->options->rate), next = now_nsec();
        load_begin_recording(l, l->options->rate * l->options->n_receivers);
        while (!is_over(l, until)) {
                uint64_t now = now_nsec();
                if (now >= next) {
                        load_push(l);
                        next += interval;
                        continue;
                }
                load_receive(l, until_next(now, next));
        }
}

/* Each client in its turn, so that the moments are spread evenly. */
static void run_views(Load *l, uint64_t until)
{
        double per_second = l->options->rate * l->n_clients;
        uint64_t interval = (uint64_t)(SECOND / per_second), next = now_nsec();
        Pickle view = { 0 };
        view_message(&view);
        load_begin_recording(l, per_second * l->options->n_receivers);
        for (unsigned i = 0; now_nsec() < until;) {
                uint64_t now = now_nsec();
                if (now < next) {
                        load_receive(l, until_next(now, next));
                        continue;
                }
                pickle_set_last_float(view.data, view.size, VIEW_CLOSING, (double)now);
                l->n_views_told += client_tell(&l->clients[i], &view);
                i = (i + 1) % l->n_clients;
                next += interval;
        }
        pickle_done(&view);
}

static void run_idle(Load *l, uint64_t until)
{
        for (uint64_t now; (now = now_nsec()) < until;)
                load_receive(l, until_next(now, until));
}

static void settle_views(Load *l)
{
        uint64_t expected = l->n_views_told * l->options->n_receivers, deadline = now_nsec() + 5 * SECOND;
        while (l->n_views < expected && now_nsec() < deadline)
                load_receive(l, SECOND / 100);
}

/* ---- what is told of it ---- */

typedef struct Outcome {
        double seconds, settled_after;
        uint64_t n_taken, n_views;
} Outcome;

static void print_outcome(Load *l, const Outcome *run)
{
        const LoadOptions *o = l->options;
        uint64_t commands = 0, command_bytes = 0, pings = 0, pinged_at = 0;
        for (unsigned i = 0; i < l->n_clients; i++) {
                commands += l->clients[i].n_commands;
                command_bytes += l->clients[i].command_bytes;
                pings += l->clients[i].n_pings;
                if (l->clients[i].pinged_at > pinged_at)
                        pinged_at = l->clients[i].pinged_at;
        }
        load_sort_latencies(l);
        printf("{\"receivers\": %u, \"size\": %zu, \"window\": %u, \"rate\": %g, \"seconds\": %.4f, ", o->n_receivers,
               o->size, o->window, o->rate, run->seconds);
        printf("\"sent\": %lu, \"received\": %lu, \"deliveries_per_second\": %.1f, \"missing\": %ld, \"behind\": %u, ",
               (unsigned long)l->n_sent, (unsigned long)l->n_taken, (double)run->n_taken / run->seconds,
               (long)(l->n_sent * o->n_receivers) - (long)l->n_taken, load_count_behind(l));
        printf("\"settled_after\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, ",
               run->settled_after, load_percentile(l, 0.5), load_percentile(l, 0.99), load_percentile(l, 0.999),
               load_percentile(l, 1));
        printf("\"views_told\": %lu, \"views\": %lu, \"views_per_second\": %.1f, ", (unsigned long)l->n_views_told,
               (unsigned long)l->n_views, (double)run->n_views / run->seconds);
        printf("\"commands\": %lu, \"command_bytes\": %lu, \"pings\": %lu, ", (unsigned long)commands,
               (unsigned long)command_bytes, (unsigned long)pings);
        const Client *first = &l->clients[0], *last = &l->clients[l->n_clients - 1];
        printf("\"first_entry_seconds\": %.4f, \"last_entry_seconds\": %.4f, ", first->entry_seconds,
               last->entry_seconds);
        printf("\"first_answered_at\": %lu, \"pinged_at\": %lu}\n", (unsigned long)first->answered_at,
               (unsigned long)pinged_at);
        fflush(stdout);
}

static void run(Load *l)
{
        const LoadOptions *o = l->options;
        load_begin(l);
        uint64_t start = now_nsec(), until = start + (uint64_t)(o->seconds * SECOND);
        if (o->views)
                run_views(l, until);
        else if (o->rate > 0)
                run_at_rate(l, until);
        else if (o->window > 0)
                run_closed_loop(l, until);
        else if (o->flat_out)
                run_flat_out(l, until);
        else
                run_idle(l, until);
        uint64_t end = now_nsec();
        Outcome outcome = { .seconds = (double)(end - start) / SECOND, .n_taken = l->n_taken, .n_views = l->n_views };
        if (o->phases) {
                printf("end\n");
                fflush(stdout);
        }
        if (o->views)
                settle_views(l);
        else
                load_settle(l);
        outcome.settled_after = (double)(now_nsec() - end) / SECOND;
        print_outcome(l, &outcome);
}

/* Until there is a line to read; false at the end. Heartbeats are answered meanwhile. */
static bool wait_for_line(Load *l)
{
        struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
        char buffer[64];
        while (poll(&in, 1, 0) == 0)
                load_receive(l, SECOND / 200);
        return read(STDIN_FILENO, buffer, sizeof buffer) > 0;
}

static void run_phases(Load *l)
{
        printf("ready\n");
        fflush(stdout);
        while (wait_for_line(l))
                run(l);
}

/* ---- options ---- */

static int usage(const char *program)
{
        fprintf(stderr,
                "usage: %s --port P [--raw] [--address A] [--admin-password TEXT] [--prefix NAME] [--receivers N]\n"
                "       session:  [--nodes N] [--node-size BYTES | --triples N] [--join] [--pace-usec N]\n"
                "       what:     [--size BYTES] [--pushed N] [--commits | --views] [--metadata BYTES]\n"
                "       how:      [--window N | --flat-out | --rate PER_SECOND | --idle] [--seconds S | --count N]\n"
                "                 [--max-unread N] [--reconnect-msec N] [--phases]\n", program);
        return 2;
}

enum { OPTION_NODE_SIZE = 256, OPTION_TRIPLES, OPTION_PACE, OPTION_IDLE, OPTION_RECONNECT };

static const struct option options[] = {
        { "raw", no_argument, NULL, 'R' },
        { "address", required_argument, NULL, 'a' },
        { "port", required_argument, NULL, 'p' },
        { "admin-password", required_argument, NULL, 'A' },
        { "prefix", required_argument, NULL, 'P' },
        { "receivers", required_argument, NULL, 'n' },
        { "nodes", required_argument, NULL, 'N' },
        { "node-size", required_argument, NULL, OPTION_NODE_SIZE },
        { "triples", required_argument, NULL, OPTION_TRIPLES },
        { "join", no_argument, NULL, 'j' },
        { "pace-usec", required_argument, NULL, OPTION_PACE },
        { "reconnect-msec", required_argument, NULL, OPTION_RECONNECT },
        { "size", required_argument, NULL, 's' },
        { "pushed", required_argument, NULL, 'k' },
        { "commits", no_argument, NULL, 'c' },
        { "views", no_argument, NULL, 'v' },
        { "metadata", required_argument, NULL, 'm' },
        { "window", required_argument, NULL, 'w' },
        { "flat-out", no_argument, NULL, 'f' },
        { "rate", required_argument, NULL, 'r' },
        { "idle", no_argument, NULL, OPTION_IDLE },
        { "seconds", required_argument, NULL, 't' },
        { "count", required_argument, NULL, 'C' },
        { "max-unread", required_argument, NULL, 'u' },
        { "phases", no_argument, NULL, 'h' },
        { 0 },
};

static bool take_option(LoadOptions *o, int c)
{
        switch (c) {
        case 'R': o->endpoint.raw = true; break;
        case 'a': o->endpoint.address = optarg; break;
        case 'p': o->endpoint.port = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'A': o->endpoint.admin_password = optarg; break;
        case 'P': o->prefix = optarg; break;
        case 'n': o->n_receivers = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'N': o->scene.n_nodes = (unsigned)strtoul(optarg, NULL, 10); break;
        case OPTION_NODE_SIZE: o->scene.size = strtoul(optarg, NULL, 10); break;
        case OPTION_TRIPLES: o->scene.n_triples = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'j': o->entry = ENTER_JOIN; break;
        case OPTION_PACE: o->endpoint.pace_nsec = strtoul(optarg, NULL, 10) * 1000; break;
        case OPTION_RECONNECT: o->endpoint.reconnect_msec = (int)strtol(optarg, NULL, 10); break;
        case 's': o->size = strtoul(optarg, NULL, 10); break;
        case 'k': o->n_pushed = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'c': o->commits = true; break;
        case 'v': o->views = true; break;
        case 'm': o->metadata_size = strtoul(optarg, NULL, 10); break;
        case 'w': o->window = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'f': o->flat_out = true; o->window = 0; break;
        case 'r': o->rate = strtod(optarg, NULL); break;
        case OPTION_IDLE: o->window = 0; break;
        case 't': o->seconds = strtod(optarg, NULL); break;
        case 'C': o->count = strtoul(optarg, NULL, 10); break;
        case 'u': o->endpoint.max_unread = strtoul(optarg, NULL, 10); break;
        case 'h': o->phases = true; break;
        default: return false;
        }
        return true;
}

static bool is_sensible(const LoadOptions *o)
{
        return o->endpoint.port > 0 && o->scene.n_nodes > 0 && o->n_pushed > 0 && o->size >= 256 &&
               (!o->commits || o->scene.n_triples > 0) && (!o->views || o->rate > 0) &&
               (o->window == 0 || o->n_receivers > 0);
}

int main(int argc, char **argv)
{
        LoadOptions o = {
                .endpoint = { .address = "127.0.0.1" },
                .scene = { .n_nodes = 64, .size = 16 },
                .prefix = "bench",
                .n_receivers = 4,
                .n_pushed = 64,
                .window = 64,
                .size = 1024,
                .seconds = 2,
        };
        int c;
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (!take_option(&o, c))
                        return usage(argv[0]);
        if (!is_sensible(&o))
                return usage(argv[0]);
        void *context = zmq_ctx_new();
        zmq_ctx_set(context, ZMQ_BLOCKY, 0);
        Load l;
        load_set_up(&l, context, &o);
        if (o.phases)
                run_phases(&l);
        else
                run(&l);
        load_tear_down(&l);
        zmq_ctx_term(context);
        return 0;
}
