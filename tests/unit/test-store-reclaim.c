/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Giving disk space back: what goes, what stays, what moves; and a disk that is full for longer. */

#include "fault-io.h"
#include "store-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NODES 40u
#define PAYLOAD 2000u

typedef struct Session {
        Fixture f;
        StoreLocation at[NODES];
        unsigned value[NODES];
} Session;

static Session *session_of_store; /* for the callback, whose userdata is the fixture */

static void fill(char data[static PAYLOAD], unsigned node, unsigned value)
{
        memset(data, 'a' + (int)(node % 26), PAYLOAD);
        snprintf(data, 40, "node %u value %u", node, value);
}

static void on_moved(void *userdata, uint64_t segment)
{
        Session *s = session_of_store;

        s->f.n_moved++;
        for (unsigned i = 0; i < NODES; i++)
                if (s->at[i].segment == segment)
                        assert_true(store_location_refresh(s->f.store, &s->at[i]) >= 0);
}

static void begin_session(Session *s, Io *io)
{
        memset(s, 0, sizeof(*s));
        fixture_init(&s->f, false);
        s->f.options.io = io;
        s->f.options.segment_size = 16384;
        s->f.options.retention.newest = 3;
        s->f.options.retry_usec = 1;
        s->f.options.events.segment_moved = on_moved;
        session_of_store = s;
        fixture_open(&s->f);
}

static void change(Session *s, unsigned node, unsigned value)
{
        char data[PAYLOAD], key[16];
        int r;

        fill(data, node, value);
        snprintf(key, sizeof(key), "k%02u", node);
        r = fixture_append(&s->f, 1, key, data, sizeof(data), &s->at[node]);
        assert_true(r == 0 || r == STORE_HELD);
        s->value[node] = value;
}

static int save(Session *s)
{
        StoreSnapshotParameters p = { .reason = "test", .force = true };
        StoreSnapshot *sn;
        int r;

        assert_int_equal(store_snapshot_begin(s->f.store, &p, true, &sn), 0);
        for (unsigned i = 0; i < NODES; i++) {
                char key[16];
                StoreEntry e = { .key = (const uint8_t *)key, .key_size = 3, .blob = s->at[i] };

                snprintf(key, sizeof(key), "k%02u", i);
                assert_int_equal(store_snapshot_add(sn, &e), 0);
        }
        r = fixture_submit(&s->f, sn, NULL);
        fixture_drain(&s->f);
        return r;
}

static void check_all(Session *s)
{
        for (unsigned i = 0; i < NODES; i++) {
                _cleanup_bytes_ Bytes *b = NULL;
                char data[PAYLOAD];

                fill(data, i, s->value[i]);
                assert_int_equal(store_location_refresh(s->f.store, &s->at[i]) >= 0, 1);
                assert_int_equal(store_blob_get_verified(s->f.store, &s->at[i], &b), 0);
                assert_memory_equal(b->data, data, sizeof(data));
        }
}

static void drill_done(void *userdata, int result, const char *snapshot, uint64_t n_nodes, uint64_t n_bytes,
                       uint64_t n_damaged)
{
        uint64_t *n = userdata;

        assert_int_equal(result, 0);
        assert_int_equal(n_damaged, 0);
        *n = n_nodes;
}

static void scrub_done(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        uint64_t *n = userdata;

        assert_int_equal(result, 0);
        *n = n_damaged;
}

/* Half of the nodes never change, the others all the time: the log stays within twice what lives. */
static void test_disk_use(void **state)
{
        uint64_t most = 0, drilled = 0, damaged = 99;
        StoreStats stats;
        Session s;

        begin_session(&s, NULL);
        for (unsigned i = 0; i < NODES; i++)
                change(&s, i, 0);
        for (unsigned round = 1; round < 60; round++) {
                for (unsigned i = 0; i < NODES; i += 2)
                        change(&s, i, round * 100 + i);
                store_commit(s.f.store);
                assert_int_equal(save(&s), 0);
                store_get_stats(s.f.store, &stats);
                if (round > 5)
                        most = MAX(most, stats.log_bytes);
        }
        check_all(&s);
        assert_true(s.f.n_moved > 0);
        assert_true(stats.reclaimed_bytes > 50 * (NODES / 2) * PAYLOAD);
        /* Live: 40 nodes. History: what the two snapshots before hold besides, and the journal from the third
         * newest on. */
        {
                uint64_t record = PAYLOAD + 160, live = NODES * record, history = 2 * (NODES / 2) * record;

                printf("# log at most %lu bytes for %lu live and %lu of history\n", (unsigned long)most,
                       (unsigned long)live, (unsigned long)history);
                assert_true(most <= 2 * live + history + 3 * s.f.options.segment_size);
        }
        assert_int_equal(store_drill_begin(s.f.store, NULL, drill_done, &drilled), 0);
        fixture_drain(&s.f);
        assert_int_equal(drilled, 3 * NODES);
        assert_int_equal(store_scrub_begin(s.f.store, scrub_done, &damaged), 0);
        assert_int_equal(store_scrub_begin(s.f.store, scrub_done, &damaged), -EALREADY);
        fixture_drain(&s.f);
        assert_int_equal(damaged, 0);

        fixture_close(&s.f);
        fixture_open(&s.f);
        check_all(&s);
        fixture_done(&s.f);
}

/* The newest manifest still names segments that compaction removed: the digest finds the payloads. */
static void test_stale_locations(void **state)
{
        _cleanup_store_load_ StoreLoad *l = NULL;
        StoreLocation old[NODES];
        unsigned n_stale = 0, n = 0;
        StoreEntry e;
        Session s;

        begin_session(&s, NULL);
        for (unsigned i = 0; i < NODES; i++)
                change(&s, i, 0);
        memcpy(old, s.at, sizeof(old));
        for (unsigned round = 1; round < 8; round++) {
                for (unsigned i = 0; i < NODES; i++)
                        if (i % 10 != 0)
                                change(&s, i, round * 100 + i);
                        else
                                s.at[i] = old[i];
                assert_int_equal(save(&s), 0);
        }
        for (unsigned i = 0; i < NODES; i += 10)
                n_stale += store_location_refresh(s.f.store, &old[i]) == 1;
        assert_true(n_stale > 0);
        fixture_close(&s.f);
        fixture_open(&s.f);
        assert_int_equal(store_load_begin(s.f.store, NULL, &l), 0);
        while (store_load_next_entry(l, &e) > 0) {
                _cleanup_bytes_ Bytes *b = NULL;

                assert_int_equal(store_blob_get_verified(s.f.store, &e.blob, &b), 0);
                n++;
        }
        assert_int_equal(n, NODES);
        l = store_load_free(l);
        fixture_done(&s.f);
}

/* Restarts leave small segments behind. They do not pile up. */
static void test_many_restarts(void **state)
{
        StoreStats stats;
        Session s;

        begin_session(&s, NULL);
        fixture_close(&s.f);
        s.f.options.segment_size = 65536;
        fixture_open(&s.f);
        for (unsigned i = 0; i < NODES; i++)
                change(&s, i, 0);
        for (unsigned round = 0; round < 60; round++) {
                _cleanup_store_load_ StoreLoad *l = NULL;

                change(&s, round % NODES, round + 1);
                assert_int_equal(save(&s), 0);
                fixture_close(&s.f);
                fixture_open(&s.f);
                assert_int_equal(store_load_begin(s.f.store, NULL, &l), 0);
        }
        check_all(&s);
        store_get_stats(s.f.store, &stats);
        printf("# %lu segments after 60 restarts\n", (unsigned long)stats.n_segments);
        assert_true(stats.n_segments < 30);
        fixture_done(&s.f);
}

/* ---- a disk that refuses for a while ---- */

/* After a start the heads of many segments are to be read. Something more urgent, as a sync, may come between any two. */
static void test_small_steps(void **state)
{
        unsigned n_steps = 0;
        StoreStats stats;
        Session s;

        begin_session(&s, NULL);
        for (unsigned round = 0; round < 3; round++)
                for (unsigned i = 0; i < NODES; i++)
                        change(&s, i, round);
        assert_int_equal(save(&s), 0);
        fixture_close(&s.f);
        fixture_open(&s.f);
        store_get_stats(s.f.store, &stats);
        assert_true(stats.n_segments > 6);
        store_reclaim_begin(s.f.store);
        for (; worker_pending(s.f.worker) > 0; n_steps++)
                worker_dispatch(s.f.worker);
        printf("# %u steps for %lu segments\n", n_steps, (unsigned long)stats.n_segments);
        assert_true(n_steps >= stats.n_segments);
        check_all(&s);
        fixture_done(&s.f);
}

static void test_full_disk(void **state)
{
        StoreStats stats;
        FaultIo fault;
        Session s;

        fault_io_init(&fault, FAULT_ENOSPC, 0);
        begin_session(&s, &fault.io);
        for (unsigned i = 0; i < NODES; i++)
                change(&s, i, 1);
        fixture_sync(&s.f);
        fault.at = fault.n_calls + 1;
        fault.until = UINT64_MAX;
        for (unsigned i = 0; i < NODES; i++) {
                change(&s, i, 2);
                assert_int_equal(store_commit(s.f.store), STORE_HELD);
        }
        assert_non_null(store_degraded(s.f.store));
        assert_non_null(strstr(s.f.degraded, "No space left on device"));
        assert_int_equal(save(&s), -ENOSPC);
        assert_true(store_held_bytes(s.f.store) >= NODES * PAYLOAD);
        check_all(&s); /* all of it can be read meanwhile */

        fault.at = fault.until = 0;
        fixture_sync(&s.f);
        assert_int_equal(store_held_bytes(s.f.store), 0);
        assert_null(store_degraded(s.f.store));
        assert_null(s.f.degraded);
        assert_int_equal(save(&s), 0);
        store_get_stats(s.f.store, &stats);
        assert_true(stats.n_failures > 0);
        fixture_close(&s.f);
        s.f.options.io = NULL;
        fixture_open(&s.f);
        check_all(&s);
        assert_int_equal(store_sequence(s.f.store), 2 * NODES);
        fixture_done(&s.f);
}

/* More than may be held: nothing is taken, the hole is declared, and a snapshot of everything closes it. */
static void test_hole(void **state)
{
        FaultIo fault;
        Session s;
        char data[PAYLOAD];
        unsigned n_lost = 0;
        StoreLocation lost;
        StoreRecordView v;
        int r;

        fault_io_init(&fault, FAULT_ENOSPC, 0);
        begin_session(&s, &fault.io);
        fixture_close(&s.f);
        s.f.options.queue_limit = 10 * PAYLOAD;
        fixture_open(&s.f);
        for (unsigned i = 0; i < NODES; i++)
                change(&s, i, 1);
        fixture_sync(&s.f);
        assert_int_equal(save(&s), 0);
        fault.at = fault.n_calls + 1;
        fault.until = UINT64_MAX;
        for (unsigned i = 0; i < 20; i++) {
                fill(data, 0, 1000 + i);
                r = fixture_append(&s.f, 1, "k00", data, sizeof(data), &lost);
                assert_true(r >= 0);
                n_lost += r == STORE_LOST;
                store_commit(s.f.store);
        }
        printf("# %u of 20 updates lost with room for about 9\n", n_lost);
        assert_true(n_lost > 5 && n_lost < 15);
        assert_true(store_snapshot_wants_all(s.f.store));
        fault.at = fault.until = 0;
        assert_int_equal(store_commit(s.f.store), 0);
        change(&s, 0, 7);
        fixture_sync(&s.f);
        assert_non_null(store_degraded(s.f.store)); /* until there is a snapshot of everything */

        /* A process that dies now leaves a journal with a hole, and says so. */
        {
                _cleanup_store_ Store *copy = NULL;
                _cleanup_store_load_ StoreLoad *l = NULL;
                StoreOptions options = s.f.options;
                char path[96];
                unsigned n_gaps = 0;

                snprintf(path, sizeof(path), "%s-copy", s.f.path);
                copy_tree(s.f.path, path);
                options.path = path;
                options.flags = STORE_OPEN_ADOPT_COPY;
                options.io = NULL;
                options.events = (StoreEvents){ 0 };
                assert_int_equal(store_open(&options, &copy, NULL), 0);
                assert_int_equal(store_load_begin(copy, NULL, &l), 0);
                while ((r = store_load_next_record(l, &v)) > 0)
                        n_gaps += r == STORE_LOAD_GAP;
                assert_int_equal(n_gaps, 1);
                l = store_load_free(l);
                copy = store_close(copy);
                remove_tree(path);
        }
        assert_int_equal(save(&s), 0);
        assert_null(store_degraded(s.f.store));
        fixture_close(&s.f);
        s.f.options.io = NULL;
        fixture_open(&s.f);
        check_all(&s);
        fixture_done(&s.f);
}

/* fdatasync fails: nothing is retried on the same file; everything is written anew, and the log holds no
 * other copy. */
static void test_failing_sync(void **state)
{
        FaultIo fault;
        Session s;

        fault_io_init(&fault, FAULT_EIO, 0);
        begin_session(&s, &fault.io);
        for (unsigned i = 0; i < NODES; i++)
                change(&s, i, 1);
        assert_int_equal(store_commit(s.f.store), 0);
        fault.at = fault.until = fault.n_calls + 2; /* folder, then the segment */
        store_sync_begin(s.f.store);
        worker_drain(s.f.worker, false);
        assert_true(fault.hit);
        assert_int_equal(store_durable_sequence(s.f.store), 0);
        assert_non_null(strstr(s.f.degraded, "Input/output error"));
        assert_true(s.f.n_moved > 0);
        check_all(&s);
        fixture_sync(&s.f);
        assert_null(s.f.degraded);
        assert_int_equal(store_durable_sequence(s.f.store), NODES);
        fixture_drain(&s.f);
        check_all(&s);
        fixture_close(&s.f);
        s.f.options.io = NULL;
        fixture_open(&s.f);
        check_all(&s);
        assert_int_equal(store_sequence(s.f.store), NODES);
        fixture_done(&s.f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_disk_use),      cmocka_unit_test(test_stale_locations),
                cmocka_unit_test(test_many_restarts), cmocka_unit_test(test_full_disk),
                cmocka_unit_test(test_small_steps),
                cmocka_unit_test(test_hole),          cmocka_unit_test(test_failing_sync),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
