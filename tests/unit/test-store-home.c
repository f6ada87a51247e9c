/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The folder of a store is removed, moved or replaced while it is open. */

#include "store-fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned n_removed, n_made_anew;

static void on_removed(void *userdata, bool made_anew)
{
        n_removed += !made_anew;
        n_made_anew += made_anew;
}

static void remove_folder(const Fixture *f, const char *part)
{
        char path[128];

        snprintf(path, sizeof(path), "%s%s", f->path, part);
        remove_tree(path);
}

/* A node whose payload is only in memory, as every node is when the log has been removed. */
static int make_again(void *userdata, Bytes **ret)
{
        *ret = bytes_new_copy("payload", 7);
        return 0;
}

static void do_removed(const char *part)
{
        StoreSnapshotParameters p = { .reason = "test" };
        StoreEntry e = { .key = (const uint8_t *)"node", .key_size = 4 };
        StoreSnapshot *sn;
        Fixture f;
        char *text;

        n_removed = n_made_anew = 0;
        fixture_init(&f, false);
        f.options.events.removed = on_removed;
        fixture_open(&f);
        assert_int_equal(fixture_append(&f, 1, "node", "payload", 7, NULL), 0);
        fixture_sync(&f);
        store_watch(f.store);
        assert_null(store_degraded(f.store));
        assert_int_equal(fixture_append(&f, 1, "node", "payload", 7, NULL), 0);
        remove_folder(&f, part);
        store_watch(f.store);
        assert_non_null(store_degraded(f.store));
        assert_int_equal(n_removed, 1);
        assert_int_equal(n_made_anew, 1);
        assert_int_equal(f.n_problems[STORE_ERROR], 1);
        assert_true(store_snapshot_wants_all(f.store));
        assert_int_equal(store_snapshot_begin(f.store, &p, true, &sn), 0);
        assert_int_equal(store_snapshot_add_materialised(sn, &e, make_again, NULL, NULL), 0);
        assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        assert_int_equal(store_durable_sequence(f.store), 2); /* in the snapshot if not in the journal */
        store_watch(f.store);
        assert_null(store_degraded(f.store));
        assert_int_equal(fixture_append(&f, 1, "other", "more", 4, NULL), 0);
        fixture_sync(&f);
        fixture_close(&f);
        fixture_open(&f);
        text = fixture_dump(&f, NULL);
        assert_string_equal(text, "node node owner  7:payload\n3 kind 1 by ana key other meta m 4:more\n");
        free(text);
        assert_int_equal(f.n_problems[STORE_ERROR], 1);
        fixture_done(&f);
}

static void test_folder_removed(void **state)
{
        do_removed("");
}

static void test_part_of_the_folder_removed(void **state)
{
        do_removed("/log");
        do_removed("/snapshots");
}

static void test_folder_moved(void **state)
{
        char path[128];
        Fixture f;

        fixture_init(&f, false);
        fixture_open(&f);
        snprintf(path, sizeof(path), "%s-moved", f.path);
        assert_int_equal(rename(f.path, path), 0);
        store_watch(f.store);
        assert_non_null(store_degraded(f.store));
        assert_int_equal(fixture_append(&f, 1, "node", "payload", 7, NULL), STORE_HELD);
        fixture_sync(&f);
        assert_non_null(store_degraded(f.store));
        assert_int_equal(rename(path, f.path), 0);
        store_watch(f.store);
        assert_null(store_degraded(f.store));
        fixture_done(&f);
}

/* Whoever has put another store there wants to keep it. */
static void test_folder_replaced(void **state)
{
        char other[128];
        Fixture f, g;

        n_removed = n_made_anew = 0;
        fixture_init(&f, false);
        f.options.events.removed = on_removed;
        fixture_init(&g, false);
        fixture_open(&g);
        assert_int_equal(fixture_append(&g, 1, "other", "payload", 7, NULL), 0);
        fixture_close(&g);
        fixture_open(&f);
        assert_int_equal(fixture_append(&f, 1, "node", "payload", 7, NULL), 0);
        fixture_sync(&f);
        remove_folder(&f, "");
        copy_tree(g.path, f.path);
        store_watch(f.store);
        assert_non_null(store_degraded(f.store));
        /* It goes on in memory ... */
        assert_int_equal(fixture_append(&f, 1, "node", "newer", 5, NULL), STORE_HELD);
        assert_int_equal(store_commit(f.store), STORE_HELD);
        assert_int_equal(store_written_sequence(f.store), 2);
        store_watch(f.store);
        assert_int_equal(n_made_anew, 0);
        snprintf(other, sizeof(other), "%s/log/0000000001.seg", f.path);
        assert_int_equal(access(other, F_OK), 0);
        /* ... until there is room. */
        remove_folder(&f, "");
        store_watch(f.store);
        assert_int_equal(n_made_anew, 1);
        assert_int_equal(store_commit(f.store), 0);
        fixture_done(&f);
        fixture_done(&g);
}

static uint64_t lost_segment;

static void on_segment_removed(void *userdata, uint64_t segment)
{
        assert_int_equal(lost_segment, 0); /* told once */
        lost_segment = segment;
}

/* Of two files of the log one is removed: the older, or the one that is written to. */
static void do_file_removed(uint64_t number)
{
        StoreSnapshotParameters p = { .reason = "test" };
        StoreEntry e[2] = { { .key = (const uint8_t *)"one", .key_size = 3 },
                            { .key = (const uint8_t *)"two", .key_size = 3 } };
        char payload[3000];
        StoreSnapshot *sn;
        char path[32];
        Fixture f;
        char *text;

        memset(payload, 'x', sizeof(payload)); /* none of it ends a text */
        lost_segment = 0;
        fixture_init(&f, false);
        f.options.segment_size = 4096;
        f.options.events.segment_removed = on_segment_removed;
        fixture_open(&f);
        assert_int_equal(fixture_append(&f, 1, "one", payload, sizeof(payload), &e[0].blob), 0);
        assert_int_equal(fixture_append(&f, 1, "two", "payload", 7, NULL), 0);
        assert_int_equal(fixture_append(&f, 1, "two", payload, sizeof(payload) - 1, &e[1].blob), 0);
        fixture_sync(&f);
        assert_int_equal(e[0].blob.segment, 1);
        assert_int_equal(e[1].blob.segment, 2);
        store_watch(f.store);
        assert_int_equal(lost_segment, 0);
        snprintf(path, sizeof(path), "/log/%010u.seg", (unsigned)number);
        remove_folder(&f, path);
        store_watch(f.store);
        assert_int_equal(lost_segment, number);
        assert_int_equal(f.n_problems[STORE_ERROR], 1);
        assert_non_null(store_degraded(f.store));
        assert_true(store_snapshot_wants_all(f.store));
        store_watch(f.store);
        assert_int_equal(store_snapshot_begin(f.store, &p, true, &sn), 0);
        for (unsigned i = 0; i < 2; i++)
                if (e[i].blob.segment == number)
                        assert_int_equal(store_snapshot_add_materialised(sn, &e[i], make_again, NULL, NULL), 0);
                else
                        assert_int_equal(store_snapshot_add(sn, &e[i]), 0);
        assert_int_equal(fixture_submit(&f, sn, NULL), 0);
        assert_null(store_degraded(f.store));
        assert_int_equal(store_durable_sequence(f.store), 3);
        assert_int_equal(fixture_append(&f, 1, "three", "more", 4, NULL), 0);
        fixture_sync(&f);
        store_watch(f.store);
        fixture_close(&f);
        fixture_open(&f);
        text = fixture_dump(&f, NULL);
        assert_non_null(strstr(text, number == 1 ? "one owner  7:payload" : "two owner  7:payload"));
        assert_non_null(strstr(text, number == 1 ? "two owner  2999:xxx" : "one owner  3000:xxx"));
        assert_non_null(strstr(text, "key three meta m 4:more\n"));
        assert_null(strstr(text, "DAMAGED"));
        free(text);
        assert_int_equal(f.n_problems[STORE_ERROR], 1);
        fixture_done(&f);
}

static void test_file_removed(void **state)
{
        do_file_removed(1);
        do_file_removed(2);
}

/* ---- snapshots ---- */

static unsigned n_snapshot_removed;

static void on_snapshot_removed(void *userdata)
{
        n_snapshot_removed++;
}

/* Saves one node that differs from what it was; returns the snapshot's name. */
static void save(Fixture *f, bool all, char ret[static STORE_SNAPSHOT_NAME_MAX])
{
        StoreSnapshotParameters p = { .reason = "test", .node_count = 100 };
        StoreEntry e = { .key = (const uint8_t *)"node", .key_size = 4 };
        StoreSnapshotInfo info;
        StoreSnapshot *sn;
        char payload[32];

        snprintf(payload, sizeof(payload), "payload %llu", (unsigned long long)store_sequence(f->store));
        assert_int_equal(fixture_append(f, 1, "node", payload, strlen(payload), &e.blob), 0);
        assert_int_equal(store_snapshot_begin(f->store, &p, all, &sn), 0);
        assert_int_equal(store_snapshot_add(sn, &e), 0);
        assert_int_equal(fixture_submit(f, sn, NULL), 0);
        assert_int_equal(store_snapshot_find(f->store, "latest", &info), 0);
        snprintf(ret, STORE_SNAPSHOT_NAME_MAX, "%s", info.name);
        store_snapshot_info_done(&info);
}

/* As if nothing had happened for a while. */
static void make_old(const Fixture *f)
{
        struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
        char path[128];

        snprintf(path, sizeof(path), "%s/snapshots", f->path);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        store_watch(f->store);
}

static void remove_file(const Fixture *f, const char *name, const char *suffix)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/snapshots/%s%s", f->path, name, suffix);
        assert_int_equal(unlink(path), 0);
}

static size_t count_snapshots(const Fixture *f)
{
        StoreStats stats;

        store_get_stats(f->store, &stats);
        return stats.n_snapshots;
}

static void init_snapshots(Fixture *f, char first[static STORE_SNAPSHOT_NAME_MAX],
                           char second[static STORE_SNAPSHOT_NAME_MAX])
{
        n_snapshot_removed = 0;
        fixture_init(f, false);
        f->options.events.snapshot_removed = on_snapshot_removed;
        fixture_open(f);
        save(f, true, first);
        save(f, false, second);
        assert_int_equal(store_snapshot_pin(f->store, first, true, "kept"), 1);
        make_old(f);
        assert_int_equal(f->n_problems[STORE_WARNING] + f->n_problems[STORE_ERROR], 0);
}

/* One of two copies, and a pin: said once, nothing is lost. */
static void test_copy_of_a_snapshot_removed(void **state)
{
        char first[STORE_SNAPSHOT_NAME_MAX], second[STORE_SNAPSHOT_NAME_MAX];
        StoreSnapshotInfo info;
        Fixture f;

        init_snapshots(&f, first, second);
        remove_file(&f, second, ".twin");
        store_watch(f.store);
        assert_int_equal(f.n_problems[STORE_WARNING], 1);
        store_watch(f.store);
        assert_int_equal(f.n_problems[STORE_WARNING], 1);
        remove_file(&f, first, ".pin");
        store_watch(f.store);
        assert_int_equal(f.n_problems[STORE_WARNING], 2);
        assert_int_equal(store_snapshot_find(f.store, first, &info), 0);
        assert_false(info.pinned);
        store_snapshot_info_done(&info);
        assert_int_equal(count_snapshots(&f), 2);
        assert_false(store_snapshot_wants_all(f.store));
        assert_int_equal(n_snapshot_removed, 0);
        assert_int_equal(f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

/* The newest one, or what it builds on: said, and made anew. */
static void do_snapshot_removed(bool newest)
{
        char name[2][STORE_SNAPSHOT_NAME_MAX], third[STORE_SNAPSHOT_NAME_MAX];
        Fixture f;

        init_snapshots(&f, name[0], name[1]);
        remove_file(&f, name[newest], ".snap");
        remove_file(&f, name[newest], ".twin");
        store_watch(f.store);
        assert_int_equal(f.n_problems[STORE_ERROR], 1);
        assert_int_equal(n_snapshot_removed, 1);
        assert_int_equal(count_snapshots(&f), 1);
        assert_true(store_snapshot_wants_all(f.store));
        save(&f, true, third);
        assert_int_equal(count_snapshots(&f), 2);
        store_watch(f.store);
        assert_int_equal(f.n_problems[STORE_ERROR], 1);
        assert_int_equal(n_snapshot_removed, 1);
        fixture_close(&f);
        fixture_open(&f);
        {
                _cleanup_free_ char *text = fixture_dump(&f, NULL);

                assert_string_equal(text, "node node owner  9:payload 2\n");
        }
        fixture_done(&f);
}

static void test_snapshot_removed(void **state)
{
        do_snapshot_removed(true);
        do_snapshot_removed(false);
}

/* An old one on which nothing builds is only missed. */
static void test_old_snapshot_removed(void **state)
{
        char first[STORE_SNAPSHOT_NAME_MAX], second[STORE_SNAPSHOT_NAME_MAX], third[STORE_SNAPSHOT_NAME_MAX];
        Fixture f;

        init_snapshots(&f, first, second);
        save(&f, true, third);
        make_old(&f);
        remove_file(&f, second, ".snap");
        remove_file(&f, second, ".twin");
        store_watch(f.store);
        assert_int_equal(f.n_problems[STORE_ERROR], 1);
        assert_int_equal(n_snapshot_removed, 0);
        assert_false(store_snapshot_wants_all(f.store));
        assert_int_equal(count_snapshots(&f), 2);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_folder_removed),
                cmocka_unit_test(test_part_of_the_folder_removed),
                cmocka_unit_test(test_folder_moved),
                cmocka_unit_test(test_folder_replaced),
                cmocka_unit_test(test_file_removed),
                cmocka_unit_test(test_copy_of_a_snapshot_removed),
                cmocka_unit_test(test_snapshot_removed),
                cmocka_unit_test(test_old_snapshot_removed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
