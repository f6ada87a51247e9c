/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A disk that takes its time, or hangs: nobody is kept by it, and nothing that has not failed is told as failed. */

#include "store-fixture.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* A writer that begins only when it is told to, and a store that calls that slow at once. */
static void init_slow(Fixture *f)
{
        fixture_init(f, false);
        assert_int_equal(worker_new_inline(&f->writer), 0);
        f->options.writer = f->writer;
        f->options.direct_bytes = 1;
        f->options.slow_usec = 1;
        f->options.calm_usec = 1;
}

static void wait_and_watch(Fixture *f)
{
        uint64_t since = clock_monotonic_usec();

        while (clock_monotonic_usec() < since + 3)
                sched_yield();
        store_watch(f->store);
}

static void assert_nothing_failed(Fixture *f)
{
        StoreStats stats;

        store_get_stats(f->store, &stats);
        assert_int_equal(stats.n_failures, 0);
        assert_int_equal(f->n_problems[STORE_WARNING] + f->n_problems[STORE_ERROR], 0);
        assert_null(store_degraded(f->store));
        assert_true(store_has_everything(f->store));
}

static void on_done(void *userdata, const StoreSnapshotResult *result)
{
        Fixture *f = userdata;

        f->snapshot_done = true;
        f->snapshot_error = result->error;
}

static void submit(Fixture *f)
{
        StoreSnapshotParameters p = { .reason = "test", .force = true };
        StoreSnapshot *sn;

        f->snapshot_done = false;
        assert_int_equal(store_snapshot_begin(f->store, &p, true, &sn), 0);
        store_snapshot_submit(sn, NULL, on_done, f);
        worker_drain(f->worker, false);
}

/* A snapshot that is taken while the disk is slow waits for it. */
static void test_snapshot_waits(void **state)
{
        Fixture f;

        init_slow(&f);
        fixture_open(&f);
        assert_int_equal(fixture_append(&f, 1, "node", "payload", 7, NULL), 0);
        assert_int_equal(store_commit(f.store), STORE_WRITING);
        assert_int_equal(store_written_sequence(f.store), 0);
        wait_and_watch(&f);
        assert_non_null(f.degraded);
        assert_int_equal(f.degraded_level, STORE_WARNING);
        assert_non_null(strstr(f.degraded, "slow"));
        assert_int_equal(store_commit(f.store), STORE_HELD);
        assert_int_equal(store_written_sequence(f.store), 1); /* nobody waits any longer ... */
        assert_false(store_has_everything(f.store));          /* ... but nobody says that it is written */
        submit(&f);
        assert_false(f.snapshot_done);
        fixture_drain(&f);
        assert_true(f.snapshot_done);
        assert_int_equal(f.snapshot_error, 0);
        assert_int_equal(store_durable_sequence(f.store), 1);
        assert_null(f.degraded);
        assert_nothing_failed(&f);
        fixture_done(&f);
}

static void write_slowly(Fixture *f)
{
        assert_int_equal(fixture_append(f, 1, "node", "payload", 7, NULL), 0);
        assert_int_equal(store_commit(f->store), STORE_WRITING);
        wait_and_watch(f);
        fixture_drain(f);
}

/* A disk that is slow again and again is slow, not slow and well in turn. */
static void test_busy_disk_is_one_state(void **state)
{
        uint64_t last;
        Fixture f;

        init_slow(&f);
        f.options.calm_usec = 200000;
        fixture_open(&f);
        for (unsigned i = 0; i < 5; i++) {
                write_slowly(&f);
                last = clock_monotonic_usec();
                assert_non_null(store_degraded(f.store));
                assert_true(store_has_everything(f.store));
        }
        fixture_sync(&f);
        assert_int_equal(f.n_degraded, 1);
        while (store_degraded(f.store)) {
                sched_yield();
                store_watch(f.store);
        }
        assert_true(clock_monotonic_usec() - last + 1000 > f.options.calm_usec);
        assert_int_equal(f.n_degraded, 2);
        /* And the next time is another one. */
        write_slowly(&f);
        assert_int_equal(f.n_degraded, 3);
        assert_int_equal(f.degraded_level, STORE_WARNING);
        fixture_done(&f);
}

/* More than may be held comes in: it is said that no more should, and none of it is lost. */
static void test_slow_disk_loses_nothing(void **state)
{
        static const char payload[3000] = "payload";
        Fixture f;

        init_slow(&f);
        f.options.queue_limit = 20000;
        fixture_open(&f);
        for (unsigned i = 0; i < 100; i++) {
                char key[8];
                int r;

                snprintf(key, sizeof(key), "n%u", i);
                r = fixture_append(&f, 1, key, payload, sizeof(payload) - i, NULL);
                assert_true(r == 0 || r == STORE_HELD);
                (void)store_commit(f.store);
                if (i == 3)
                        wait_and_watch(&f);
                assert_int_equal(store_is_behind(f.store), i > 0);
        }
        assert_int_equal(store_sequence(f.store), 100);
        for (unsigned i = 0; i < 10 && store_durable_sequence(f.store) < 100; i++) {
                store_sync_begin(f.store);
                fixture_drain(&f);
        }
        assert_int_equal(store_durable_sequence(f.store), 100);
        assert_false(store_is_behind(f.store));
        assert_nothing_failed(&f);
        fixture_close(&f);
        fixture_open(&f);
        assert_int_equal(store_valid_sequence(f.store), 100);
        fixture_done(&f);
}

/* ---- a disk that hangs ---- */

typedef struct Hang {
        Io io;
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool hangs;
        unsigned n_waiting;
} Hang;

static void wait_while_it_hangs(Io *io)
{
        Hang *h = CONTAINER_OF(io, Hang, io);

        pthread_mutex_lock(&h->mutex);
        h->n_waiting++;
        while (h->hangs)
                pthread_cond_wait(&h->changed, &h->mutex);
        h->n_waiting--;
        pthread_mutex_unlock(&h->mutex);
}

static ssize_t hang_pwritev(Io *io, int fd, const struct iovec *iov, int n_iov, off_t offset)
{
        wait_while_it_hangs(io);
        return io_system()->pwritev(io_system(), fd, iov, n_iov, offset);
}

static int hang_openat(Io *io, int dirfd, const char *path, int flags, mode_t mode)
{
        wait_while_it_hangs(io);
        return io_system()->openat(io_system(), dirfd, path, flags, mode);
}

static int hang_unlinkat(Io *io, int dirfd, const char *path)
{
        wait_while_it_hangs(io);
        return io_system()->unlinkat(io_system(), dirfd, path);
}

static int hang_fsync(Io *io, int fd)
{
        wait_while_it_hangs(io);
        return io_system()->fsync(io_system(), fd);
}

static int hang_fdatasync(Io *io, int fd)
{
        wait_while_it_hangs(io);
        return io_system()->fdatasync(io_system(), fd);
}

static void set_hanging(Hang *h, bool hangs)
{
        pthread_mutex_lock(&h->mutex);
        h->hangs = hangs;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->mutex);
}

static void init_hang(Fixture *f, Hang *h)
{
        *h = (Hang){ .io = *io_system(),
                     .mutex = PTHREAD_MUTEX_INITIALIZER,
                     .changed = PTHREAD_COND_INITIALIZER };
        h->io.pwritev = hang_pwritev;
        h->io.openat = hang_openat;
        h->io.unlinkat = hang_unlinkat;
        h->io.fsync = hang_fsync;
        h->io.fdatasync = hang_fdatasync;
        fixture_init(f, true);
        assert_int_equal(worker_new(&f->writer), 0);
        f->options.writer = f->writer;
        f->options.io = &h->io;
        fixture_open(f);
}

/* The first write of all hangs: nothing has warned of it. Each call has to come back for this to end. */
static void test_first_write_hangs(void **state)
{
        Fixture f;
        Hang h;

        for (unsigned n_before = 0; n_before < 2; n_before++) {
                init_hang(&f, &h);
                if (n_before > 0) {
                        assert_int_equal(fixture_append(&f, 1, "node", "before", 6, NULL), 0);
                        while (store_commit(f.store) == STORE_WRITING) /* on a busy machine */
                                worker_drain(f.writer, true);
                        fixture_sync(&f);
                }
                set_hanging(&h, true);
                assert_int_equal(fixture_append(&f, 1, "node", "payload", 7, NULL), 0);
                assert_int_equal(store_commit(f.store), STORE_WRITING);
                assert_int_equal(store_written_sequence(f.store), n_before);
                assert_int_equal(fixture_append(&f, 1, "node", "payload 2", 9, NULL), 0);
                assert_int_equal(store_commit(f.store), STORE_WRITING);
                store_sync_begin(f.store);
                store_watch(f.store);
                set_hanging(&h, false);
                for (unsigned i = 0; i < 100 && store_durable_sequence(f.store) < n_before + 2; i++) {
                        store_sync_begin(f.store);
                        fixture_drain(&f);
                }
                assert_int_equal(store_durable_sequence(f.store), n_before + 2);
                assert_nothing_failed(&f);
                fixture_done(&f);
        }
}

static void on_pinned(void *userdata, int result)
{
        *(int *)userdata = result;
}

/* To pin a snapshot takes two syncs. */
static void test_pinning_hangs(void **state)
{
        StoreSnapshotInfo info;
        int result = 1;
        Fixture f;
        Hang h;

        init_hang(&f, &h);
        submit(&f);
        fixture_drain(&f);
        assert_int_equal(f.snapshot_error, 0);
        assert_int_equal(store_snapshot_pin_begin(f.store, "7", true, NULL, on_pinned, &result), -ENOENT);
        assert_int_equal(store_snapshot_pin_begin(f.store, "latest", false, NULL, on_pinned, &result), 0);
        set_hanging(&h, true);
        assert_int_equal(store_snapshot_pin_begin(f.store, "latest", true, NULL, on_pinned, &result), 1);
        assert_int_equal(result, 1);
        set_hanging(&h, false);
        fixture_drain(&f);
        assert_int_equal(result, 0);
        fixture_close(&f);
        fixture_open(&f);
        assert_int_equal(store_snapshot_find(f.store, "latest", &info), 0);
        assert_true(info.pinned);
        store_snapshot_info_done(&info);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_snapshot_waits),
                cmocka_unit_test(test_busy_disk_is_one_state),
                cmocka_unit_test(test_slow_disk_loses_nothing),
                cmocka_unit_test(test_first_write_hangs),
                cmocka_unit_test(test_pinning_hangs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
