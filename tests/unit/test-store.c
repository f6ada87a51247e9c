/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_dump(Fixture *f, const StorePoint *point, const char *expected)
{
        _cleanup_free_ char *text = fixture_dump(f, point);

        assert_non_null(text);
        assert_string_equal(text, expected);
}

static void test_append_and_load(void **state)
{
        char big[5000];
        Fixture f;

        memset(big, 'x', sizeof(big));
        fixture_init(&f, false);
        fixture_open(&f);
        assert_true(store_is_empty(f.store));
        assert_int_equal(fixture_append(&f, 1, "n1", "hello", 5, NULL), 0);
        assert_int_equal(fixture_append(&f, 2, "n2", NULL, 0, NULL), 0);
        assert_int_equal(fixture_append(&f, 1, "n3", big, sizeof(big), NULL), 0);
        assert_int_equal(store_commit(f.store), 0);
        assert_int_equal(store_sequence(f.store), 3);
        fixture_sync(&f);
        assert_int_equal(f.durable, 3);
        fixture_close(&f);

        fixture_open(&f);
        assert_false(store_is_empty(f.store));
        assert_int_equal(store_sequence(f.store), 3);
        assert_int_equal(store_durable_sequence(f.store), 3);
        assert_dump(&f, NULL,
                    "1 kind 1 by ana key n1 meta m 5:hello\n"
                    "2 kind 2 by ana key n2 meta m -\n"
                    "3 kind 1 by ana key n3 meta m 5000:xxxxxxxxxxxxxxxxxxxxxxxx\n");
        assert_int_equal(fixture_append(&f, 1, "n1", "again", 5, NULL), 0);
        fixture_close(&f);
        fixture_open(&f);
        assert_dump(&f, NULL,
                    "1 kind 1 by ana key n1 meta m 5:hello\n"
                    "2 kind 2 by ana key n2 meta m -\n"
                    "3 kind 1 by ana key n3 meta m 5000:xxxxxxxxxxxxxxxxxxxxxxxx\n"
                    "4 kind 1 by ana key n1 meta m 5:again\n");
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

/* What was committed survives the process; what was not is gone without a trace. */
static void test_killed(void **state)
{
        char copy[80];
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        fixture_append(&f, 1, "n1", "one", 3, NULL);
        assert_int_equal(store_commit(f.store), 0);
        fixture_append(&f, 1, "n2", "two", 3, NULL);
        snprintf(copy, sizeof(copy), "%s-copy", f.path);
        copy_tree(f.path, copy);
        fixture_close(&f);
        remove_tree(f.path);
        assert_int_equal(rename(copy, f.path), 0);

        assert_int_equal(fixture_try_open(&f, STORE_OPEN_ADOPT_COPY), 0);
        assert_dump(&f, NULL, "1 kind 1 by ana key n1 meta m 3:one\n");
        assert_int_equal(store_sequence(f.store), 1);
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

/* Equal payloads are stored once; payloads before and after the write are found. */
static void test_deduplication(void **state)
{
        StoreLocation first, second, third;
        _cleanup_bytes_ Bytes *b = NULL;
        StoreStats stats;
        char data[1000];
        Fixture f;

        memset(data, 'q', sizeof(data));
        fixture_init(&f, false);
        fixture_open(&f);
        fixture_append(&f, 1, "n1", data, sizeof(data), &first);
        fixture_append(&f, 1, "n2", data, sizeof(data), &second);
        assert_memory_equal(&first, &second, sizeof(first));
        assert_int_equal(store_blob_get(f.store, &first, &b), 0);
        assert_memory_equal(b->data, data, sizeof(data));
        b = bytes_unref(b);
        store_commit(f.store);
        assert_int_equal(store_blob_get_verified(f.store, &second, &b), 0);
        fixture_close(&f);

        fixture_open(&f);
        fixture_append(&f, 1, "n3", data, sizeof(data), &third);
        assert_memory_equal(&first, &third, sizeof(first));
        store_get_stats(f.store, &stats);
        assert_int_equal(stats.deduplicated, 1);
        assert_true(stats.written_bytes < 400);
        fixture_close(&f);
        fixture_open(&f);
        assert_dump(&f, NULL,
                    "1 kind 1 by ana key n1 meta m 1000:qqqqqqqqqqqqqqqqqqqqqqqq\n"
                    "2 kind 1 by ana key n2 meta m 1000:qqqqqqqqqqqqqqqqqqqqqqqq\n"
                    "3 kind 1 by ana key n3 meta m 1000:qqqqqqqqqqqqqqqqqqqqqqqq\n");
        fixture_done(&f);
}

static void test_segments_rotate(void **state)
{
        char data[3000];
        StoreStats stats;
        Fixture f;

        fixture_init(&f, false);
        f.options.segment_size = 8192;
        fixture_open(&f);
        for (unsigned i = 0; i < 20; i++) {
                memset(data, 'a' + (int)i, sizeof(data));
                assert_int_equal(fixture_append(&f, 1, "n", data, i == 7 ? 30 : sizeof(data), NULL), 0);
                if (i % 3 == 0)
                        assert_int_equal(store_commit(f.store), 0);
        }
        /* One that is larger than any segment gets one of its own. */
        {
                _cleanup_free_ char *huge = calloc(1, 50000);

                assert_int_equal(fixture_append(&f, 1, "huge", huge, 50000, NULL), 0);
        }
        fixture_sync(&f);
        store_get_stats(f.store, &stats);
        assert_true(stats.n_segments >= 10);
        fixture_close(&f);
        fixture_open(&f);
        assert_int_equal(store_sequence(f.store), 21);
        {
                _cleanup_free_ char *text = fixture_dump(&f, NULL);

                assert_non_null(strstr(text, "20 kind 1 by ana key n meta m 3000:tttt"));
                assert_non_null(strstr(text, "21 kind 1 by ana key huge meta m 50000:"));
        }
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

static void add_node(StoreSnapshot *sn, const char *key, const StoreLocation *blob)
{
        StoreEntry e = {
                .key = (const uint8_t *)key,
                .key_size = strlen(key),
                .owner = (const uint8_t *)"COMMON",
                .owner_size = 6,
                .dependencies = (const uint8_t *)"deps",
                .dependencies_size = 4,
                .blob = *blob,
        };

        assert_int_equal(store_snapshot_add(sn, &e), 0);
}

static int make_state(void *userdata, Bytes **ret)
{
        *ret = bytes_new_copy("S", 1);
        return *ret ? 0 : -ENOMEM;
}

static StoreSnapshot *begin(Fixture *f, bool all, bool force, uint64_t node_count)
{
        StoreSnapshotParameters p = {
                .reason = "auto-save",
                .user_count = 2,
                .node_count = node_count,
                .initialized = true,
                .force = force,
        };
        StoreSnapshot *sn;

        assert_int_equal(store_snapshot_begin(f->store, &p, all, &sn), 0);
        store_snapshot_set_state(sn, make_state, NULL, NULL);
        return sn;
}

static int materialise_constant(void *userdata, Bytes **ret)
{
        *ret = bytes_new_copy("made by the worker", 18);
        return *ret ? 0 : -ENOMEM;
}

static int materialise_failing(void *userdata, Bytes **ret)
{
        return -EILSEQ;
}

static unsigned n_released;
static StoreLocation materialised_at;

static void count_release(void *userdata)
{
        n_released++;
}

static void on_materialised(void *userdata, void *entry_userdata, const StoreLocation *blob)
{
        materialised_at = *blob;
}

static void test_snapshot(void **state)
{
        StoreLocation a, b;
        StoreSnapshot *sn;
        StoreEntry e = { .key = (const uint8_t *)"n3", .key_size = 2 };
        char metadata[128];
        struct stat st;
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        assert_true(store_snapshot_wants_all(f.store));
        fixture_append(&f, 1, "n1", "one", 3, &a);
        fixture_append(&f, 1, "n2", "two", 3, &b);
        sn = begin(&f, true, false, 0);
        add_node(sn, "n1", &a);
        add_node(sn, "n2", &b);
        n_released = 0;
        assert_int_equal(store_snapshot_add_materialised(sn, &e, materialise_constant, NULL, count_release), 0);
        fixture_append(&f, 1, "n1", "later", 5, &a);
        assert_int_equal(fixture_submit(&f, sn, on_materialised), 0);
        assert_false(f.snapshot_unchanged);
        assert_int_equal(n_released, 1);
        assert_int_equal(materialised_at.size, 18);
        assert_false(store_snapshot_wants_all(f.store));

        snprintf(metadata, sizeof(metadata), "%s/session_metadata.json", f.path);
        assert_int_equal(stat(metadata, &st), 0);
        fixture_close(&f);

        fixture_open(&f);
        assert_dump(&f, NULL,
                    "state S\n"
                    "node n1 owner COMMON 3:one\n"
                    "node n2 owner COMMON 3:two\n"
                    "node n3 owner  18:made by the worker\n"
                    "3 kind 1 by ana key n1 meta m 5:later\n");
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

/* A manifest that lists only what changed, built on another. */
static void test_lean_snapshot(void **state)
{
        StoreLocation at[40], changed;
        StoreSnapshot *sn;
        char key[16];
        uint64_t full;
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        sn = begin(&f, true, false, 0);
        for (unsigned i = 0; i < ELEMENTSOF(at); i++) {
                snprintf(key, sizeof(key), "n%02u", i);
                fixture_append(&f, 1, key, key, 3, &at[i]);
                add_node(sn, key, &at[i]);
        }
        assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        full = f.snapshot_bytes;
        fixture_append(&f, 1, "n05", "new", 3, &changed);
        sn = begin(&f, false, false, 39);
        add_node(sn, "n05", &changed);
        assert_int_equal(store_snapshot_remove(sn, "n06", 3), 0);
        assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        assert_true(f.snapshot_bytes < full / 4);

        sn = begin(&f, false, false, 39);
        assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        assert_true(f.snapshot_unchanged);
        sn = begin(&f, false, true, 39);
        assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        assert_false(f.snapshot_unchanged);
        fixture_close(&f);

        fixture_open(&f);
        {
                _cleanup_free_ char *text = fixture_dump(&f, NULL);

                assert_non_null(strstr(text, "node n05 owner COMMON 3:new\n"));
                assert_null(strstr(text, "n06"));
                assert_non_null(strstr(text, "node n07 owner COMMON 3:n07\n"));
        }
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

/* The same nodes again: no second copy, whatever the order. */
static void test_unchanged(void **state)
{
        StoreLocation a, b;
        StoreSnapshotInfo *infos;
        StoreSnapshot *sn;
        size_t n;
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        fixture_append(&f, 1, "n1", "one", 3, &a);
        fixture_append(&f, 1, "n2", "two", 3, &b);
        for (unsigned i = 0; i < 3; i++) {
                sn = begin(&f, true, false, 0);
                add_node(sn, i == 1 ? "n2" : "n1", i == 1 ? &b : &a);
                add_node(sn, i == 1 ? "n1" : "n2", i == 1 ? &a : &b);
                assert_int_equal(fixture_submit(&f, sn, NULL), 0);
                assert_int_equal(f.snapshot_unchanged, i > 0);
                if (i == 1) {
                        fixture_close(&f);
                        fixture_open(&f);
                }
        }
        assert_int_equal(store_snapshot_list(f.store, &infos, &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(infos[0].reason, "auto-save");
        assert_int_equal(infos[0].node_count, 2);
        assert_int_equal(infos[0].user_count, 2);
        store_snapshot_info_done(&infos[0]);
        free(infos);
        fixture_done(&f);
}

static void test_snapshot_failure(void **state)
{
        StoreSnapshot *sn;
        StoreEntry e = { .key = (const uint8_t *)"n1", .key_size = 2 };
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        sn = begin(&f, true, false, 0);
        n_released = 0;
        store_snapshot_add_materialised(sn, &e, materialise_failing, NULL, count_release);
        assert_int_equal(fixture_submit(&f, sn, NULL), -EILSEQ);
        assert_int_equal(n_released, 1);
        assert_true(store_snapshot_wants_all(f.store));
        fixture_done(&f);
}

static size_t count_snapshots(Fixture *f)
{
        StoreSnapshotInfo *infos;
        size_t n;

        assert_int_equal(store_snapshot_list(f->store, &infos, &n), 0);
        for (size_t i = 0; i < n; i++)
                store_snapshot_info_done(&infos[i]);
        free(infos);
        return n;
}

/* max_backups, pins, and manifests that stay only because others build on them. */
static void put_file(const char *path, const char *bytes, size_t size)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
}

/* With these bytes in the pin's file the newest snapshot is kept all the same, without a name, and it is told. */
static void check_damaged_pin(Fixture *f, const char *path, const char *bytes, size_t size)
{
        StoreSnapshotInfo info;

        put_file(path, bytes, size);
        f->n_problems[STORE_WARNING] = 0;
        fixture_open(f);
        assert_int_equal(store_snapshot_find(f->store, "latest", &info), 0);
        assert_true(info.pinned);
        assert_string_equal(info.pin_name, "");
        assert_int_equal(f->n_problems[STORE_WARNING], 1);
        store_snapshot_info_done(&info);
        fixture_close(f);
}

static void check_rot_of_pin(Fixture *f, const char *snapshot)
{
        char path[160], good[200], bad[200];
        size_t size;
        FILE *file;

        snprintf(path, sizeof(path), "%s/snapshots/%s.pin", f->path, snapshot);
        file = fopen(path, "r");
        assert_non_null(file);
        size = fread(good, 1, sizeof(good), file);
        fclose(file);
        assert_int_equal(size, strlen("before.the-deadline_2") + 1 + 64 + 1);
        for (size_t i = 0; i < size; i++) {
                memcpy(bad, good, size);
                bad[i] ^= 0x11;
                check_damaged_pin(f, path, bad, size);
                if (i > 0)
                        check_damaged_pin(f, path, good, i);
        }
        put_file(path, good, size);
        f->n_problems[STORE_WARNING] = 0;
}

/* The newest snapshots of the store, the third among them, are not pinned. */
static void check_pin_names(Fixture *f)
{
        static const char *const bad[] = { "", "1st", "-x", "now", "latest", "a b", "a/b",
                                           "a23456789012345678901234567890123456789012345678" };
        StoreSnapshotInfo info;
        char snapshot[STORE_SNAPSHOT_NAME_MAX];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(store_snapshot_pin(f->store, "latest", true, bad[i]), -EINVAL);
        assert_int_equal(store_snapshot_pin(f->store, "latest", true, "first"), 1);
        assert_int_equal(store_snapshot_pin(f->store, "latest", true, "first"), 0);
        assert_int_equal(store_snapshot_pin(f->store, "first", true, NULL), 0);
        assert_int_equal(store_snapshot_pin(f->store, "first", true, "before.the-deadline_2"), 1);
        assert_int_equal(store_snapshot_find(f->store, "first", &info), -ENOENT);
        assert_int_equal(store_snapshot_pin(f->store, "3", true, "before.the-deadline_2"), -EEXIST);
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(store_snapshot_find(f->store, "before.the-deadline_2", &info), 0);
        assert_true(info.pinned);
        memcpy(snapshot, info.name, sizeof(snapshot));
        store_snapshot_info_done(&info);
        fixture_close(f);
        check_rot_of_pin(f, snapshot);
        fixture_open(f);
        assert_int_equal(store_snapshot_pin(f->store, "before.the-deadline_2", false, NULL), 1);
        assert_int_equal(store_snapshot_find(f->store, "before.the-deadline_2", &info), -ENOENT);
}

static void test_retention(void **state)
{
        char pinned[STORE_SNAPSHOT_NAME_MAX], value[32];
        StoreSnapshotInfo info;
        StoreLocation at[40];
        StoreSnapshot *sn;
        Fixture f;

        fixture_init(&f, false);
        f.options.retention.newest = 4;
        fixture_open(&f);
        for (unsigned i = 0; i < 12; i++) {
                bool all = store_snapshot_wants_all(f.store);

                snprintf(value, sizeof(value), "value %u", i);
                if (i == 0)
                        for (unsigned k = 0; k < ELEMENTSOF(at); k++)
                                fixture_append(&f, 1, "n", value, strlen(value), &at[k]);
                fixture_append(&f, 1, "n", value, strlen(value), &at[i]);
                sn = begin(&f, all, false, 40);
                for (unsigned k = 0; k < ELEMENTSOF(at); k++) {
                        char key[8];

                        snprintf(key, sizeof(key), "k%02u", k);
                        if (all || k == i)
                                add_node(sn, key, &at[k]);
                }
                assert_int_equal(fixture_submit(&f, sn, NULL), 0);
                if (i == 2) {
                        memcpy(pinned, f.snapshot_name, sizeof(pinned));
                        assert_int_equal(store_snapshot_pin(f.store, pinned, true, NULL), 1);
                        assert_int_equal(store_snapshot_pin(f.store, "latest", true, NULL), 0);
                }
        }
        assert_int_equal(count_snapshots(&f), 5);
        fixture_close(&f);
        fixture_open(&f);
        assert_int_equal(count_snapshots(&f), 5);
        assert_int_equal(store_snapshot_find(f.store, pinned, &info), 0);
        assert_true(info.pinned);
        store_snapshot_info_done(&info);
        {
                _cleanup_free_ char *text = fixture_dump(&f, &(StorePoint){ .snapshot = pinned });

                assert_non_null(strstr(text, "node k02 owner COMMON 7:value 2\n"));
                assert_non_null(strstr(text, "node k03 owner COMMON 7:value 0\n"));
        }
        assert_int_equal(store_snapshot_pin(f.store, "3", false, NULL), 1);
        check_pin_names(&f);
        assert_int_equal(store_snapshot_find(f.store, "99", &info), -ENOENT);
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

static void test_lock_and_copy(void **state)
{
        _cleanup_free_ char *error = NULL;
        char copy[80];
        Store *second;
        StoreOptions options;
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        fixture_append(&f, 1, "n1", "one", 3, NULL);
        assert_int_equal(store_open(&f.options, &second, &error), -EBUSY);
        assert_non_null(strstr(error, "Another process"));
        assert_false(store_was_copied(f.store));
        fixture_close(&f);

        snprintf(copy, sizeof(copy), "%s-copy", f.path);
        copy_tree(f.path, copy);
        options = f.options;
        options.path = copy;
        assert_int_equal(store_open(&options, &second, NULL), 0);
        assert_true(store_was_copied(second));
        assert_non_null(strstr(f.last_problem, "is a copy"));
        second = store_close(second);
        assert_int_equal(store_open(&options, &second, NULL), 0);
        assert_false(store_was_copied(second));
        second = store_close(second);
        remove_tree(copy);
        fixture_done(&f);
}

static void test_read_only(void **state)
{
        _cleanup_store_ Store *s = NULL;
        Fixture f;
        StoreOptions options;

        fixture_init(&f, false);
        fixture_open(&f);
        fixture_append(&f, 1, "n1", "one", 3, NULL);
        options = f.options;
        options.flags = STORE_OPEN_READ_ONLY;
        options.worker = NULL;
        assert_int_equal(store_open(&options, &s, NULL), -EBUSY);
        fixture_close(&f);
        assert_int_equal(store_open(&options, &s, NULL), 0);
        {
                _cleanup_free_ char *text = fixture_dump_store(s, NULL);

                assert_string_equal(text, "1 kind 1 by ana key n1 meta m 3:one\n");
        }
        s = store_close(s);
        fixture_done(&f);
}

static void test_point_in_time(void **state)
{
        StoreSnapshot *sn;
        StoreLocation a;
        Fixture f;

        fixture_init(&f, false);
        f.now_usec = UINT64_C(1000000000);
        fixture_open(&f);
        fixture_append(&f, 1, "n1", "one", 3, &a);
        f.now_usec = UINT64_C(2000000000);
        fixture_append(&f, 1, "n1", "two", 3, &a);
        sn = begin(&f, true, false, 0);
        add_node(sn, "n1", &a);
        assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        f.now_usec = UINT64_C(3000000000);
        fixture_append(&f, 1, "n1", "three", 5, &a);
        store_commit(f.store);
        assert_dump(&f, &(StorePoint){ .time_usec = 1500000000 }, "1 kind 1 by ana key n1 meta m 3:one\n");
        assert_dump(&f, &(StorePoint){ .time_usec = 2500000000 }, "state S\nnode n1 owner COMMON 3:two\n");
        assert_dump(&f, &(StorePoint){ .sequence = 1 }, "1 kind 1 by ana key n1 meta m 3:one\n");
        assert_dump(&f, NULL,
                    "state S\nnode n1 owner COMMON 3:two\n"
                    "3 kind 1 by ana key n1 meta m 5:three\n");
        fixture_done(&f);
}

static void test_threaded(void **state)
{
        StoreLocation at[200];
        StoreSnapshot *sn;
        char key[16];
        Fixture f;

        fixture_init(&f, true);
        f.options.segment_size = 65536;
        fixture_open(&f);
        for (unsigned round = 0; round < 5; round++) {
                char data[700];

                for (unsigned i = 0; i < ELEMENTSOF(at); i++) {

                        memset(data, 'a' + (int)round, sizeof(data));
                        memcpy(data, &i, sizeof(i));
                        snprintf(key, sizeof(key), "n%03u", i);
                        fixture_append(&f, 1, key, data, sizeof(data), &at[i]);
                        store_commit(f.store);
                        if (i % 20 == 0)
                                store_sync_begin(f.store);
                        worker_dispatch(f.worker);
                }
                sn = begin(&f, true, false, 0);
                for (unsigned i = 0; i < ELEMENTSOF(at); i++) {
                        snprintf(key, sizeof(key), "n%03u", i);
                        add_node(sn, key, &at[i]);
                }
                assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        }
        fixture_close(&f);
        fixture_open(&f);
        assert_int_equal(store_sequence(f.store), 1000);
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append_and_load),
                cmocka_unit_test(test_killed),
                cmocka_unit_test(test_deduplication),
                cmocka_unit_test(test_segments_rotate),
                cmocka_unit_test(test_snapshot),
                cmocka_unit_test(test_lean_snapshot),
                cmocka_unit_test(test_unchanged),
                cmocka_unit_test(test_snapshot_failure),
                cmocka_unit_test(test_retention),
                cmocka_unit_test(test_lock_and_copy),
                cmocka_unit_test(test_read_only),
                cmocka_unit_test(test_point_in_time),
                cmocka_unit_test(test_threaded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
