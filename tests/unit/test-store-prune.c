/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAYLOAD 1000u

/* What the last prune has told. */
typedef struct Pruned {
        int result;
        size_t n_gone;
        size_t n_kept;
        uint64_t n_bytes;
        uint64_t numbers[16];
} Pruned;

static void on_pruned(void *userdata, int result, const StoreSnapshotInfo *gone, size_t n_gone, size_t n_kept,
                      uint64_t n_bytes)
{
        Pruned *p = userdata;

        *p = (Pruned){ .result = result, .n_gone = n_gone, .n_kept = n_kept, .n_bytes = n_bytes };
        for (size_t i = 0; i < n_gone; i++)
                p->numbers[i] = gone[i].number;
}

static Pruned prune(Fixture *f, bool dry_run)
{
        Pruned p = { .result = 1 };

        assert_int_equal(store_prune_begin(f->store, dry_run, on_pruned, &p), 0);
        fixture_drain(f);
        assert_int_equal(p.result, 0);
        return p;
}

static size_t list(Fixture *f, StoreSnapshotInfo **ret)
{
        size_t n;

        assert_int_equal(store_snapshot_list(f->store, ret, &n), 0);
        return n;
}

static void list_free(StoreSnapshotInfo *infos, size_t n)
{
        for (size_t i = 0; i < n; i++)
                store_snapshot_info_done(&infos[i]);
        free(infos);
}

/* A node that stays and one that is another in each snapshot. */
static void take_snapshots(Fixture *f, unsigned first, unsigned n)
{
        StoreSnapshotParameters parameters = { .reason = "auto-save", .node_count = 2 };
        char value[PAYLOAD];
        StoreLocation same;

        memset(value, 'x', sizeof(value));
        fixture_append(f, 1, "same", value, sizeof(value), &same);
        for (unsigned i = first; i < first + n; i++) {
                bool all = store_snapshot_wants_all(f->store);
                StoreEntry e = { .key = (const uint8_t *)"same", .key_size = 4, .blob = same };
                StoreSnapshot *sn;

                assert_int_equal(store_snapshot_begin(f->store, &parameters, all, &sn), 0);
                if (all)
                        assert_int_equal(store_snapshot_add(sn, &e), 0);
                snprintf(value, sizeof(value), "value %u", i);
                e.key = (const uint8_t *)"other";
                e.key_size = 5;
                fixture_append(f, 1, "other", value, sizeof(value), &e.blob);
                assert_int_equal(store_snapshot_add(sn, &e), 0);
                assert_int_equal(fixture_submit(f, sn, NULL), 0);
        }
}

static void test_prune(void **state)
{
        RetentionPolicy policy = { .newest = 4 };
        StoreSnapshotInfo *infos;
        Fixture f;
        Pruned p;
        size_t n;

        fixture_init(&f, false);
        f.options.retention.newest = 10;
        fixture_open(&f);
        take_snapshots(&f, 0, 8);
        p = prune(&f, false);
        assert_int_equal(p.n_gone, 0);
        assert_int_equal(p.n_kept, 8);
        assert_int_equal(p.n_bytes, 0);
        assert_int_equal(store_snapshot_pin(f.store, "2", true, NULL), 1);
        store_set_retention(f.store, &policy);
        p = prune(&f, true);
        assert_int_equal(p.n_gone, 3);
        assert_int_equal(p.n_kept, 5);
        assert_int_equal(p.n_bytes, 3 * PAYLOAD);
        assert_int_equal(p.numbers[0], 4);
        assert_int_equal(p.numbers[1], 3);
        assert_int_equal(p.numbers[2], 1);
        n = list(&f, &infos);
        list_free(infos, n);
        assert_int_equal(n, 8);
        p = prune(&f, false);
        assert_int_equal(p.n_gone, 3);
        assert_int_equal(p.n_bytes, 3 * PAYLOAD);
        fixture_close(&f);
        fixture_open(&f);
        n = list(&f, &infos);
        assert_int_equal(n, 5);
        assert_int_equal(infos[0].number, 8);
        assert_int_equal(infos[4].number, 2);
        list_free(infos, n);
        {
                _cleanup_free_ char *text = fixture_dump(&f, &(StorePoint){ .snapshot = "2" });

                assert_non_null(strstr(text, "1000:value 1"));
        }
        assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
        fixture_done(&f);
}

static void test_new_bytes(void **state)
{
        StoreSnapshotInfo *infos;
        uint64_t bytes[8];
        char path[200];
        struct stat st;
        Fixture f;
        size_t n;

        fixture_init(&f, false);
        f.options.retention.newest = 10;
        fixture_open(&f);
        take_snapshots(&f, 0, 3);
        take_snapshots(&f, 1, 1); /* what the second one had */
        n = list(&f, &infos);
        assert_int_equal(n, 4);
        assert_int_equal(store_snapshot_new_bytes(f.store, infos, n, bytes), 0);
        assert_int_equal(bytes[3], 2 * PAYLOAD);
        assert_int_equal(bytes[2], PAYLOAD);
        assert_int_equal(bytes[1], PAYLOAD);
        assert_int_equal(bytes[0], PAYLOAD);
        for (unsigned i = 0; i < n; i++)
                assert_true(infos[i].intact);
        /* The first manifest rots, with its twin. */
        for (unsigned i = 0; i < 2; i++) {
                snprintf(path, sizeof(path), "%s/snapshots/%s%s", f.path, infos[3].name, i == 0 ? ".snap" : ".twin");
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(truncate(path, st.st_size - 1), 0);
        }
        assert_int_equal(store_snapshot_new_bytes(f.store, infos, n, bytes), 0);
        assert_false(infos[3].intact);
        assert_int_equal(bytes[3], 0);
        list_free(infos, n);
        fixture_done(&f);
}

static void on_scrubbed(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        assert_int_equal(result, 0);
        *(uint64_t *)userdata = n_damaged;
}

/* The next start knows of the last scrub, and of how far it reached. */
static void test_scrub_note(void **state)
{
        uint64_t n_damaged = 99, sequence;
        StoreStats stats;
        char path[200];
        FILE *file;
        Fixture f;

        fixture_init(&f, false);
        f.options.retention.newest = 10;
        fixture_open(&f);
        take_snapshots(&f, 0, 2);
        store_get_stats(f.store, &stats);
        assert_int_equal(stats.scrub_finished_usec, 0);
        sequence = store_sequence(f.store);
        fixture_close(&f);
        fixture_open(&f);
        take_snapshots(&f, 2, 1);
        assert_int_equal(store_scrub_begin(f.store, on_scrubbed, &n_damaged), 0);
        fixture_drain(&f);
        assert_int_equal(n_damaged, 0);
        for (unsigned i = 0; i < 2; i++) {
                store_get_stats(f.store, &stats);
                assert_true(stats.scrub_finished_usec > 0);
                assert_true(stats.scrub_bytes > 0);
                assert_int_equal(stats.scrub_sequence, sequence);
                fixture_close(&f);
                fixture_open(&f);
        }
        fixture_close(&f);
        snprintf(path, sizeof(path), "%s/last_scrub.json", f.path);
        file = fopen(path, "w");
        assert_non_null(file);
        fputs("{\"sequence\": [", file);
        assert_int_equal(fclose(file), 0);
        fixture_open(&f);
        store_get_stats(f.store, &stats);
        assert_int_equal(stats.scrub_finished_usec, 0);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_prune),
                cmocka_unit_test(test_new_bytes),
                cmocka_unit_test(test_scrub_note),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
