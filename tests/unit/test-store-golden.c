/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Stores written by earlier versions, one folder for each version of the format: read by this one as they
 * were meant, and left as they are. `test-store-golden make FOLDER` writes the one of this version. */

#include "store-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void open_golden(Fixture *f, const char *name, uint32_t flags)
{
        const char *top = getenv("top_srcdir");
        char from[512];

        snprintf(from, sizeof(from), "%s/tests/data/%s", top ? top : ".", name);
        fixture_init(f, false);
        copy_tree(from, f->path);
        assert_int_equal(fixture_try_open(f, flags), 0);
}

static const char v1_newest[] =
        "state a state\n"
        "node 11111111-0000-4000-8000-000000000000 owner COMMON 6:light2\n"
        "node 33333333-0000-4000-8000-000000000000 owner COMMON 15:made for a save\n"
        "node 44444444-0000-4000-8000-000000000000 owner COMMON 600:gggggggggggggggggggggggg\n"
        "8 kind 2 by ana key 33333333-0000-4000-8000-000000000000 meta deps 5:delta\n"
        "9 kind 2 by bob key 33333333-0000-4000-8000-000000000000 meta refused 3:bad\n"
        "10 kind 6 by ana key ana meta table -\n";

/* The version as it came first, and later additions to it that it does not mind. */
static void check_version_1(const char *name)
{
        Fixture f;
        StoreSnapshotInfo info;
        StoreReader *reader;
        StoreRecordView v;
        unsigned n = 0, n_refused = 0, n_references = 0, n_state = 0;

        for (unsigned read_only = 0; read_only < 2; read_only++) {
                open_golden(&f, name, read_only ? STORE_OPEN_READ_ONLY : STORE_OPEN_ADOPT_COPY);
                {
                        _cleanup_free_ char *text = fixture_dump(&f, NULL);

                        assert_string_equal(text, v1_newest);
                }
                assert_int_equal(store_snapshot_find(f.store, "1", &info), 0);
                assert_string_equal(info.name, "20261123T141500Z-00001");
                assert_string_equal(info.reason, "auto-save");
                assert_true(info.pinned);
                assert_int_equal(info.node_count, 3);
                assert_int_equal(info.user_count, 2);
                store_snapshot_info_done(&info);
                assert_int_equal(store_snapshot_find(f.store, "latest", &info), 0);
                assert_string_equal(info.reason, "user_disconnect:bob");
                assert_string_equal(info.user, "bob");
                store_snapshot_info_done(&info);
                assert_int_equal(f.n_problems[STORE_WARNING] + f.n_problems[STORE_ERROR], 0);
                if (read_only)
                        break;
                fixture_done(&f);
        }
        assert_int_equal(store_reader_new(f.store, 1, 0, NULL, 0, &reader), 0);
        while (store_reader_next(reader, &v) == 1) {
                n++;
                n_refused += v.flags & STORE_RECORD_REFUSED;
                n_references += (v.flags & STORE_RECORD_REFERENCE) > 0;
                n_state += (v.flags & STORE_RECORD_STATE) > 0;
                assert_true(v.sequence == n);
        }
        store_reader_free(reader);
        assert_int_equal(n, 10);
        assert_int_equal(n_refused, 1);
        assert_int_equal(n_references, 1);
        assert_int_equal(n_state, 1);
        {
                _cleanup_free_ char *text = fixture_dump(&f, &(StorePoint){ .snapshot = "1" });

                assert_non_null(strstr(text, "node 22222222-0000-4000-8000-000000000000 owner ana 5:mesh1\n"));
        }
        fixture_done(&f);
}

static void test_version_1(void **state)
{
        check_version_1("store-v1");
        check_version_1("store-v1-times");
}

/* When the node of this key was changed last, as far as the store knows. */
static uint64_t time_of(const char *name, const char *snapshot, const char *key)
{
        StorePoint point = { .snapshot = snapshot };
        uint64_t changed = UINT64_MAX;
        Fixture f;
        StoreLoad *l;
        StoreEntry e;

        open_golden(&f, name, STORE_OPEN_READ_ONLY);
        assert_int_equal(store_load_begin(f.store, &point, &l), 0);
        while (store_load_next_entry(l, &e) == 1)
                if (e.key_size == strlen(key) && memcmp(e.key, key, e.key_size) == 0)
                        changed = e.changed_usec;
        store_load_free(l);
        fixture_done(&f);
        return changed;
}

static const char light[] = "11111111-0000-4000-8000-000000000000",
                  mesh[] = "22222222-0000-4000-8000-000000000000",
                  scene[] = "33333333-0000-4000-8000-000000000000",
                  image[] = "44444444-0000-4000-8000-000000000000";

#define GOLDEN_TIME UINT64_C(1795443200)

static void test_times(void **state)
{
        assert_int_equal(time_of("store-v1", "latest", light), 0);
        assert_int_equal(time_of("store-v1-times", "1", light), GOLDEN_TIME * 1000000);
        assert_int_equal(time_of("store-v1-times", "1", mesh), (GOLDEN_TIME + 1) * 1000000);
        /* The second one builds on the first, and has changed all nodes that it still has. */
        assert_int_equal(time_of("store-v1-times", "latest", light), (GOLDEN_TIME + 3) * 1000000);
        assert_int_equal(time_of("store-v1-times", "latest", mesh), UINT64_MAX);
        assert_int_equal(time_of("store-v1-times", "latest", scene), (GOLDEN_TIME + 4) * 1000000);
        assert_int_equal(time_of("store-v1-times", "latest", image), (GOLDEN_TIME + 5) * 1000000);
}

/* ---- making one ---- */

static void append(Store *s, uint16_t kind, uint16_t flags, const char *author, const char *key,
                   const char *meta, const char *blob, StoreLocation *at)
{
        _cleanup_bytes_ Bytes *b = blob ? bytes_new_copy(blob, strlen(blob)) : NULL;
        StoreRecord record = {
                .kind = kind, .flags = flags, .author = author, .author_size = strlen(author), .key = key,
                .key_size = strlen(key), .meta = meta, .meta_size = strlen(meta), .blob = b,
        };

        assert_int_equal(store_append(s, &record, NULL, at), 0);
}

static uint64_t golden_time = GOLDEN_TIME;

static StoreEntry entry(const char *key, const char *owner, const StoreLocation *at)
{
        StoreEntry e = {
                .key = (const uint8_t *)key, .key_size = strlen(key), .owner = (const uint8_t *)owner,
                .owner_size = strlen(owner), .dependencies = (const uint8_t *)"deps", .dependencies_size = 4,
        };

        if (at)
                e.blob = *at;
        e.changed_usec = golden_time++ * 1000000 + 999999; /* kept to the second */
        return e;
}

static int make_payload(void *userdata, Bytes **ret)
{
        *ret = bytes_new_copy("made for a save", 15);
        return *ret ? 0 : -ENOMEM;
}

static uint64_t golden_clock = UINT64_C(1795443300000000);

static uint64_t golden_now(void)
{
        return golden_clock++;
}

static int make_state(void *userdata, Bytes **ret)
{
        *ret = bytes_new_copy("a state", 7);
        return *ret ? 0 : -ENOMEM;
}

static void make_snapshots(Store *s, Worker *worker, StoreLocation *a, StoreLocation *b, StoreLocation *c)
{
        StoreSnapshotParameters p = { .reason = "auto-save", .user_count = 2, .initialized = true };
        StoreEntry e;
        StoreSnapshot *sn;
        char pixels[601];

        golden_clock = UINT64_C(1795443300000000);
        assert_int_equal(store_snapshot_begin(s, &p, true, &sn), 0);
        store_snapshot_set_state(sn, make_state, NULL, NULL);
        e = entry(light, "COMMON", a);
        assert_int_equal(store_snapshot_add(sn, &e), 0);
        e = entry(mesh, "ana", b);
        assert_int_equal(store_snapshot_add(sn, &e), 0);
        e = entry(scene, "COMMON", c);
        assert_int_equal(store_snapshot_add(sn, &e), 0);
        store_snapshot_submit(sn, NULL, NULL, NULL);
        worker_drain(worker, true);
        assert_int_equal(store_snapshot_pin(s, "latest", true, NULL), 1);

        memset(pixels, 'g', 600);
        pixels[600] = '\0';
        append(s, 1, 0, "ana", light, "m", "light2", a);
        append(s, 3, 0, "ana", mesh, "", NULL, NULL);
        append(s, 1, 0, "ana", image, "m", pixels, b);
        append(s, 1, 0, "ana", image, "m", pixels, b);
        p = (StoreSnapshotParameters){ .reason = "user_disconnect:bob",
                                       .user = "bob",
                                       .user_count = 1,
                                       .node_count = 3,
                                       .initialized = true };
        golden_clock = UINT64_C(1795443420000000);
        assert_int_equal(store_snapshot_begin(s, &p, false, &sn), 0);
        store_snapshot_set_state(sn, make_state, NULL, NULL);
        e = entry(light, "COMMON", a);
        assert_int_equal(store_snapshot_add(sn, &e), 0);
        assert_int_equal(store_snapshot_remove(sn, mesh, strlen(mesh)), 0);
        e = entry(scene, "COMMON", NULL);
        assert_int_equal(store_snapshot_add_materialised(sn, &e, make_payload, NULL, NULL), 0);
        e = entry(image, "COMMON", b);
        assert_int_equal(store_snapshot_add(sn, &e), 0);
        store_snapshot_submit(sn, NULL, NULL, NULL);
        worker_drain(worker, true);
}

static void make_golden(const char *path)
{
        _cleanup_worker_ Worker *worker = NULL;
        StoreLocation a, b, c;
        Store *s;
        StoreOptions options = { .path = path, .now_usec = golden_now, .retention = { .newest = 10 } };

        assert_int_equal(worker_new_inline(&worker), 0);
        options.worker = worker;
        assert_int_equal(store_open(&options, &s, NULL), 0);
        append(s, 1, 0, "ana", light, "m", "light1", &a);
        append(s, 1, 0, "ana", mesh, "m", "mesh1", &b);
        append(s, 1, 0, "bob", scene, "m", "scene1", &c);
        make_snapshots(s, worker, &a, &b, &c);
        append(s, 2, 0, "ana", scene, "deps", "delta", NULL);
        append(s, 2, STORE_RECORD_REFUSED, "bob", scene, "refused", "bad", NULL);
        append(s, 6, STORE_RECORD_STATE, "ana", "ana", "table", NULL, NULL);
        store_close(s);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_version_1),
                cmocka_unit_test(test_times),
        };

        if (argc == 3 && strcmp(argv[1], "make") == 0) {
                make_golden(argv[2]);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
