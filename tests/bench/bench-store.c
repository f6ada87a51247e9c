/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the store costs: appending and committing, bytes on disk, snapshots whole and in part, loading.
 *   bench-store DIRECTORY [NODES [MEGABYTES]] */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "store/load.h"
#include "store/snapshot.h"
#include "store/store.h"

/* One takes a millisecond, in which a first touch of memory or a busy neighbour would show. */
#define LEAN_ROUNDS 8u

typedef struct Bench {
        Worker *worker;
        Store *store;
        StoreOptions options;
        StoreSnapshotResult result;
        bool done;
} Bench;

static double seconds(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fail(const char *what, int error)
{
        fprintf(stderr, "%s: %s\n", what, strerror(-error));
        exit(EXIT_FAILURE);
}

static void on_problem(void *userdata, StoreLevel level, const char *damaged, const char *text)
{
        fprintf(stderr, "%s\n", text);
}

static void open_store(Bench *b)
{
        char *error = NULL;
        int r = store_open(&b->options, &b->store, &error);

        if (r < 0)
                fail(error, r);
}

static Bytes *make_payload(size_t size, uint64_t number)
{
        uint64_t seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
        uint8_t *data;
        Bytes *bytes = bytes_new_uninitialised(size, &data);

        if (!bytes)
                fail("payload", -ENOMEM);
        for (size_t i = 0; i + 8 <= size; i += 8) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                memcpy(data + i, &seed, 8);
        }
        return bytes;
}

static void append(Bench *b, uint64_t node, Bytes *blob, StoreLocation *at)
{
        char key[40];
        StoreRecord record = { .kind = 1,
                               .author = "ana",
                               .author_size = 3,
                               .key = key,
                               .meta = "\x06"
                                       "COMMON"
                                       "\x80\x04]\x94.",
                               .meta_size = 12,
                               .blob = blob };
        int r;

        record.key_size =
                (size_t)snprintf(key, sizeof(key), "00000000-0000-4000-8000-%012lx", (unsigned long)node);
        r = store_append(b->store, &record, NULL, at);
        if (r < 0)
                fail("append", r);
}

static void wait_until_durable(Bench *b)
{
        while (store_durable_sequence(b->store) < store_sequence(b->store)) {
                store_sync_begin(b->store);
                worker_drain(b->worker, false);
        }
}

static void measure_append(Bench *b, size_t size, unsigned n)
{
        StoreStats before, after;
        double cpu, wall, all;
        StoreLocation at;
        Bytes **payloads = calloc(n, sizeof(Bytes *));

        for (unsigned i = 0; i < n; i++)
                payloads[i] = make_payload(size, size + i);
        store_get_stats(b->store, &before);
        wall = all = seconds(CLOCK_MONOTONIC);
        cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned i = 0; i < n; i++) {
                append(b, i, payloads[i], &at);
                if (store_commit(b->store) != 0)
                        fail("commit", -EIO);
                worker_dispatch(b->worker);
        }
        wall = seconds(CLOCK_MONOTONIC) - wall;
        cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
        wait_until_durable(b);
        all = seconds(CLOCK_MONOTONIC) - all;
        store_get_stats(b->store, &after);
        printf("append+commit %7zu B: %8.0f/s  %7.1f MiB/s  %6.2f us CPU each; durable after %.2f s; %.4f "
               "bytes on disk per byte\n",
               size, n / wall, n * (double)size / wall / 1048576, cpu / n * 1e6, all,
               (double)(after.log_bytes - before.log_bytes) / ((double)n * (double)size));
        for (unsigned i = 0; i < n; i++)
                bytes_unref(payloads[i]);
        free(payloads);
}

static void on_snapshot(void *userdata, const StoreSnapshotResult *result)
{
        Bench *b = userdata;

        if (result->error < 0)
                fail(result->error_text, result->error);
        b->result = *result;
        b->done = true;
}

/* Every `step`th node is listed. Returns the CPU time of the main thread. */
static double snapshot(Bench *b, const StoreLocation *at, unsigned n, unsigned step, bool all)
{
        StoreSnapshotParameters p = { .reason = "auto-save", .initialized = true, .node_count = n };
        double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
        StoreSnapshot *sn;
        int r;

        r = store_snapshot_begin(b->store, &p, all, &sn);
        if (r < 0)
                fail("snapshot", r);
        for (unsigned i = 0; i < n; i += step) {
                char key[40];
                StoreEntry e = { .key = (const uint8_t *)key,
                                 .owner = (const uint8_t *)"COMMON",
                                 .owner_size = 6,
                                 .dependencies = (const uint8_t *)"\x80\x04]\x94.",
                                 .dependencies_size = 5,
                                 .blob = at[i] };

                e.key_size = (size_t)snprintf(key, sizeof(key), "00000000-0000-4000-8000-%012x", i);
                r = store_snapshot_add(sn, &e);
                if (r < 0)
                        fail("entry", r);
        }
        b->done = false;
        store_snapshot_submit(sn, NULL, on_snapshot, b);
        cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
        while (!b->done)
                worker_drain(b->worker, false);
        return cpu;
}

static double process_cpu(void)
{
        return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void measure_snapshots(Bench *b, unsigned n, size_t size)
{
        StoreLocation *at = calloc(n, sizeof(StoreLocation));
        double main_all, main_lean, cpu_all, cpu_lean, cpu;
        uint64_t bytes_all, bytes_lean;

        for (unsigned i = 0; i < n; i++) {
                Bytes *blob = make_payload(size, UINT64_C(1) << 40 | i);

                append(b, i, blob, &at[i]);
                bytes_unref(blob);
                store_commit(b->store);
                worker_dispatch(b->worker);
        }
        wait_until_durable(b);
        cpu = process_cpu();
        main_all = snapshot(b, at, n, 1, true);
        cpu_all = process_cpu() - cpu;
        bytes_all = b->result.written_bytes;
        worker_drain(b->worker, true);
        cpu_lean = main_lean = 0;
        for (unsigned round = 0; round < LEAN_ROUNDS; round++) {
                for (unsigned i = 0; i < n; i += 100) {
                        Bytes *blob = make_payload(size, UINT64_C(2) << 40 | (uint64_t)round << 32 | i);

                        append(b, i, blob, &at[i]);
                        bytes_unref(blob);
                }
                store_commit(b->store);
                wait_until_durable(b);
                cpu = process_cpu();
                main_lean += snapshot(b, at, n, 100, false) / LEAN_ROUNDS;
                cpu_lean += (process_cpu() - cpu) / LEAN_ROUNDS;
                worker_drain(b->worker, true);
        }
        bytes_lean = b->result.written_bytes;
        printf("snapshot of %u nodes, %zu MiB: whole %lu bytes, %.1f ms CPU (%.1f on the main thread); 1%% "
               "changed %lu bytes, "
               "%.2f ms CPU (%.2f on the main thread): %.1f%% of the bytes, %.1f%% of the CPU\n",
               n, n * size >> 20, (unsigned long)bytes_all, cpu_all * 1e3, main_all * 1e3,
               (unsigned long)bytes_lean, cpu_lean * 1e3, main_lean * 1e3,
               100.0 * (double)bytes_lean / (double)bytes_all, 100 * cpu_lean / cpu_all);
        worker_drain(b->worker, true);
        free(at);
}

static void measure_load(Bench *b)
{
        double start = seconds(CLOCK_MONOTONIC), opened, loaded, cpu = process_cpu(), cpu_opened;
        StoreRecordView v;
        unsigned n = 0, n_records = 0;
        StoreLoad *l;
        StoreEntry e;
        int r;

        open_store(b);
        opened = seconds(CLOCK_MONOTONIC);
        cpu_opened = process_cpu();
        r = store_load_begin(b->store, NULL, &l);
        if (r < 0)
                fail("load", r);
        while (store_load_next_state(l, &v) > 0)
                ;
        while (store_load_next_entry(l, &e) > 0) {
                Bytes *payload;

                if (store_blob_get(b->store, &e.blob, &payload) < 0)
                        fail("payload", -EUCLEAN);
                bytes_unref(payload);
                n++;
        }
        while (store_load_next_record(l, &v) > 0)
                n_records++;
        loaded = seconds(CLOCK_MONOTONIC);
        store_load_free(l);
        printf("open %.1f ms (%.1f ms CPU), load of %u nodes and %u records %.1f ms (%.1f ms CPU)\n",
               (opened - start) * 1e3, (cpu_opened - cpu) * 1e3, n, n_records, (loaded - opened) * 1e3,
               (process_cpu() - cpu_opened) * 1e3);
}

int main(int argc, char **argv)
{
        unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 20000;
        size_t size = (argc > 3 ? strtoul(argv[3], NULL, 10) : 1024) * 1048576 / n;
        Bench b = { 0 };
        int r;

        if (argc < 2) {
                fprintf(stderr, "usage: %s DIRECTORY [NODES [MEGABYTES]]\n", argv[0]);
                return EXIT_FAILURE;
        }
        r = worker_new(&b.worker);
        if (r < 0)
                fail("worker", r);
        b.options = (StoreOptions){ .path = argv[1], .worker = b.worker, .retention = { .newest = 10 },
                                    .events = { .problem = on_problem } };
        open_store(&b);
        measure_append(&b, 1024, 100000);
        measure_append(&b, 65536, 8000);
        measure_append(&b, 1048576, 800);
        measure_snapshots(&b, n, size);
        b.store = store_close(b.store);
        measure_load(&b);
        b.store = store_close(b.store);
        worker_free(b.worker);
        return EXIT_SUCCESS;
}
