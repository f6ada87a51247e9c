/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Payloads that are mapped from the log: what a disk does that cannot read, that does not answer, that lies;
 * and what a node costs in memory. */

#include "fault-io.h"
#include "store-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void open_segment(const Fixture *f, unsigned number, int *ret_fd)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/log/%010u.seg", f->path, number);
        *ret_fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(*ret_fd >= 0);
}

/* A page that cannot be read raises SIGBUS. The process goes on, the payload is known as damaged. */
static void test_unreadable_page(void **state)
{
        _cleanup_bytes_ Bytes *blob = NULL;
        static char data[100000];
        StoreLocation at;
        uint64_t segment;
        unsigned sum = 0;
        Fixture f;
        int fd;

        memset(data, 'p', sizeof(data));
        fixture_init(&f, false);
        fixture_open(&f);
        fixture_append(&f, 1, "n", data, sizeof(data), &at);
        fixture_sync(&f);
        assert_int_equal(store_blob_get(f.store, &at, &blob), 0);
        assert_false(store_damaged_segment(f.store, &segment));
        open_segment(&f, 1, &fd);
        assert_int_equal(ftruncate(fd, 8192), 0);
        close(fd);
        for (size_t i = 0; i < blob->size; i += 4096)
                sum += blob->data[i];
        assert_true(sum > 0 && sum < 'p' * (blob->size / 4096));
        assert_true(store_damaged_segment(f.store, &segment));
        assert_int_equal(segment, 1);
        assert_false(store_damaged_segment(f.store, &segment));
        blob = bytes_unref(blob);
        assert_int_equal(store_blob_get_verified(f.store, &at, &blob), -EUCLEAN);
        fixture_done(&f);
}

/* What lies in the log has rotted, and the same payload comes again: it is written, not pointed to. */
static void test_no_pointing_to_rot(void **state)
{
        _cleanup_bytes_ Bytes *blob = NULL;
        StoreLocation first, second;
        char data[1000];
        Fixture f;
        int fd;

        memset(data, 'q', sizeof(data));
        fixture_init(&f, false);
        fixture_open(&f);
        fixture_append(&f, 1, "n", data, sizeof(data), &first);
        fixture_sync(&f);
        open_segment(&f, 1, &fd);
        assert_int_equal(pwrite(fd, "x", 1, (off_t)first.offset + 10), 1);
        close(fd);
        fixture_append(&f, 1, "n", data, sizeof(data), &second);
        assert_true(second.offset != first.offset);
        fixture_sync(&f);
        assert_int_equal(store_blob_get_verified(f.store, &second, &blob), 0);
        fixture_done(&f);
}

/* ---- a disk that does not answer ---- */

typedef struct SlowIo {
        Io io;
        sem_t entered;
        sem_t go_on;
} SlowIo;

static int slow_fdatasync(Io *io, int fd)
{
        SlowIo *slow = CONTAINER_OF(io, SlowIo, io);

        sem_post(&slow->entered);
        while (sem_wait(&slow->go_on) < 0)
                assert_int_equal(errno, EINTR);
        return 0;
}

static void test_hanging_disk(void **state)
{
        StoreStats stats;
        SlowIo slow = { .io = *io_system() };
        char data[2000];
        StoreLocation at;
        Fixture f;

        sem_init(&slow.entered, 0, 0);
        sem_init(&slow.go_on, 0, 0);
        slow.io.fdatasync = slow_fdatasync;
        fixture_init(&f, true);
        f.options.io = &slow.io;
        f.options.queue_limit = 50000;
        fixture_open(&f);
        memset(data, 'd', sizeof(data));
        fixture_append(&f, 1, "n", data, sizeof(data), &at);
        assert_int_equal(store_commit(f.store), 0);
        store_sync_begin(f.store);
        sem_wait(&slow.entered); /* the worker hangs now */
        for (unsigned i = 0; i < 500; i++) {
                _cleanup_bytes_ Bytes *blob = NULL;

                memcpy(data, &i, sizeof(i));
                assert_int_equal(fixture_append(&f, 1, "n", data, sizeof(data), &at), 0);
                assert_int_equal(store_commit(f.store), 0);
                assert_int_equal(store_blob_get_verified(f.store, &at, &blob), 0);
                store_sync_begin(f.store);
                worker_dispatch(f.worker);
        }
        assert_int_equal(store_durable_sequence(f.store), 0);
        assert_null(store_degraded(f.store));
        assert_true(worker_stalled_usec(f.worker) > 0);
        /* Held are the heads; the payloads can be had from the kernel. */
        assert_true(store_held_bytes(f.store) < 50000 + 501 * 256);
        for (unsigned i = 0; i < 50; i++)
                sem_post(&slow.go_on);
        fixture_sync(&f);
        assert_int_equal(store_durable_sequence(f.store), 501);
        store_get_stats(f.store, &stats);
        assert_true(stats.n_syncs < 10);
        fixture_close(&f);
        f.options.io = NULL;
        fixture_open(&f);
        assert_int_equal(store_sequence(f.store), 501);
        fixture_done(&f);
        sem_destroy(&slow.entered);
        sem_destroy(&slow.go_on);
}

/* What the store itself keeps in memory for each payload: its place in the index. */
static void test_memory_per_node(void **state)
{
        enum { NODES = 20000 };
        struct mallinfo2 before, after;
        char data[300];
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        before = mallinfo2();
        for (unsigned i = 0; i < NODES; i++) {
                memset(data, 'm', sizeof(data));
                memcpy(data, &i, sizeof(i));
                fixture_append(&f, 1, "n", data, sizeof(data), NULL);
                if (i % 1000 == 0)
                        fixture_sync(&f);
        }
        fixture_sync(&f);
        after = mallinfo2();
        printf("# %.1f bytes for each of %d payloads\n",
               (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / NODES, NODES);
        if (after.uordblks > 0) /* a sanitizer's allocator does not count */
                assert_true(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd < 60 * NODES);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unreadable_page),
                cmocka_unit_test(test_no_pointing_to_rot),
                cmocka_unit_test(test_hanging_disk),
                cmocka_unit_test(test_memory_per_node),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
