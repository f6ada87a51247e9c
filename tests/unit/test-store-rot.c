/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rot: every byte of a small store turned over, every file cut at every length. Each is noticed, nothing
 * damaged is used, everything intact is there, and a store of which nothing is left is not taken for a new
 * one. */

#include "store-fixture.h"
#include "store/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES 4u

typedef struct Target {
        char path[256];
        size_t size;
        uint8_t *data;
        bool segment;
        bool twin;
        bool identity;
} Target;

typedef struct Rot {
        Fixture f;
        Target targets[16];
        size_t n_targets;
        unsigned n_noticed;
        unsigned n_tried;
} Rot;

static void value_of(unsigned node, unsigned version, char ret[static 300])
{
        memset(ret, 'A' + (int)node, 300);
        snprintf(ret, 300, "node %u version %u", node, version);
}

static void add_targets(Rot *rot, const char *folder)
{
        char path[128];
        struct dirent *entry;
        DIR *dir;

        snprintf(path, sizeof(path), "%s%s%s", rot->f.path, *folder ? "/" : "", folder);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                Target *t = &rot->targets[rot->n_targets];
                struct stat st;
                FILE *file;

                snprintf(t->path, sizeof(t->path), "%s/%.60s", path, entry->d_name);
                if (stat(t->path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
                    strcmp(entry->d_name, "session_metadata.json") == 0)
                        continue;
                t->size = (size_t)st.st_size;
                t->data = malloc(t->size);
                file = fopen(t->path, "re");
                assert_int_equal(fread(t->data, 1, t->size, file), t->size);
                fclose(file);
                t->segment = strcmp(folder, "log") == 0;
                t->twin = strstr(entry->d_name, ".twin") != NULL;
                t->identity = strcmp(entry->d_name, "store") == 0;
                rot->n_targets++;
                assert_true(rot->n_targets < ELEMENTSOF(rot->targets));
        }
        closedir(dir);
}

static void snapshot(Fixture *f, const StoreLocation *at, size_t n, bool all)
{
        StoreSnapshotParameters p = { .reason = "test", .node_count = NODES };
        StoreSnapshot *sn;

        assert_int_equal(store_snapshot_begin(f->store, &p, all, &sn), 0);
        for (unsigned i = 0; i < n; i++) {
                char key[4] = { 'k', (char)('0' + i) };
                StoreEntry e = { .key = (const uint8_t *)key, .key_size = 2, .blob = at[i] };

                assert_int_equal(store_snapshot_add(sn, &e), 0);
        }
        assert_int_equal(fixture_submit(f, sn, NULL), 0);
}

/* Two versions of each node in the journal, a snapshot of each, and a third version of two of them after. */
static void build(Rot *rot)
{
        StoreLocation at[NODES];
        char value[300], key[4] = "k";
        Fixture *f = &rot->f;

        memset(rot, 0, sizeof(*rot));
        fixture_init(f, false);
        fixture_open(f);
        for (unsigned version = 1; version <= 3; version++) {
                for (unsigned i = 0; i < (version == 3 ? 2 : NODES); i++) {
                        key[1] = (char)('0' + i);
                        value_of(i, version, value);
                        fixture_append(f, 1, key, value, i == 1 ? sizeof(value) : 25, &at[i]);
                }
                if (version < 3)
                        snapshot(f, at, NODES, version == 1);
        }
        fixture_close(f);
        add_targets(rot, "");
        add_targets(rot, "log");
        add_targets(rot, "snapshots");
}

static void write_target(const Target *t, const uint8_t *data, size_t size)
{
        FILE *file = fopen(t->path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, size, file), size);
        fclose(file);
}

/* The version of a payload, 0 if it is none that was ever stored for this node. */
static unsigned version_of(unsigned node, const Bytes *payload)
{
        for (unsigned version = 1; version <= 3; version++) {
                char value[300];

                value_of(node, version, value);
                if (payload->size <= sizeof(value) && memcmp(payload->data, value, payload->size) == 0)
                        return version;
        }
        return 0;
}

typedef struct Loaded {
        unsigned version[NODES]; /* newest intact */
        bool gap;
        bool damaged;
} Loaded;

static void take(Store *s, Loaded *l, const uint8_t *key, const StoreLocation *blob)
{
        _cleanup_bytes_ Bytes *payload = NULL;
        unsigned node = key[1] - '0', version;

        assert_true(node < NODES);
        if (store_blob_get_verified(s, blob, &payload) < 0) {
                StoreRecordView view;
                StoreEntry entry;
                uint64_t sequence;
                void *memory = NULL;
                int r = store_find_intact(s, 1, key, 2, blob, &entry, &view, &sequence, &memory);

                l->damaged = true;
                assert_true(r >= 0);
                if (r > 0)
                        assert_int_equal(
                                store_blob_get_verified(s, r == 1 ? &entry.blob : &view.blob, &payload), 0);
                free(memory);
                if (r == 0)
                        return;
        }
        version = version_of(node, payload);
        if (version == 0)
                fail_msg("a value that was never stored has been loaded");
        l->version[node] = version;
}

static void load(Store *s, Loaded *l)
{
        _cleanup_store_load_ StoreLoad *load = NULL;
        StoreRecordView v;
        StoreEntry e;
        int r;

        memset(l, 0, sizeof(*l));
        assert_int_equal(store_load_begin(s, NULL, &load), 0);
        while ((r = store_load_next_entry(load, &e)) > 0)
                take(s, l, e.key, &e.blob);
        assert_int_equal(r, 0);
        while ((r = store_load_next_record(load, &v)) > 0) {
                if (r == STORE_LOAD_GAP) {
                        l->gap = true;
                        continue;
                }
                take(s, l, v.key, &v.blob);
        }
        assert_int_equal(r, 0);
}

static void scrub_done(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        assert_int_equal(result, 0);
        *(uint64_t *)userdata = n_damaged;
}

/* Opens what there is now. One damaged place may cost at most the newest version of one node (cutting a file:
 * of those that were behind the cut), and only if something was said. */
static void try_once(Rot *rot, const Target *t, size_t at, bool cut)
{
        static const unsigned newest[NODES] = { 3, 3, 2, 2 };
        Fixture *f = &rot->f;
        uint64_t n_damaged = 0;
        unsigned n_behind = 0;
        Loaded loaded;
        bool told;
        int r;

        rot->n_tried++;
        memset(f->n_problems, 0, sizeof(f->n_problems));
        r = fixture_try_open(f, 0);
        if (r < 0) {
                fail_msg("%s, byte %zu: cannot be opened: %s", t->path, at, f->last_problem);
                return;
        }
        load(f->store, &loaded);
        for (unsigned i = 0; i < NODES; i++) {
                if (loaded.version[i] == 0)
                        fail_msg("%s, byte %zu: node %u is gone", t->path, at, i);
                n_behind += loaded.version[i] != newest[i];
        }
        told = f->n_problems[STORE_WARNING] + f->n_problems[STORE_ERROR] > 0 || loaded.gap || loaded.damaged;
        if (n_behind > 0 && !told)
                fail_msg("%s, byte %zu: %u nodes are old and nothing was said", t->path, at, n_behind);
        if (n_behind > (cut ? NODES : 1))
                fail_msg("%s, byte %zu: %u nodes are old", t->path, at, n_behind);
        assert_int_equal(store_scrub_begin(f->store, scrub_done, &n_damaged), 0);
        fixture_drain(f);
        if (!told && n_damaged == 0 && !t->identity)
                fail_msg("%s, byte %zu: nobody noticed", t->path, at);
        rot->n_noticed++;
        fixture_close(f);
}

/* Puts everything back as it was, aside/ and new segments included. */
static void restore(Rot *rot)
{
        char path[128];

        remove_tree(rot->f.path);
        assert_int_equal(mkdir(rot->f.path, 0700), 0);
        snprintf(path, sizeof(path), "%s/log", rot->f.path);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/snapshots", rot->f.path);
        assert_int_equal(mkdir(path, 0700), 0);
        for (size_t i = 0; i < rot->n_targets; i++)
                write_target(&rot->targets[i], rot->targets[i].data, rot->targets[i].size);
}

static void done(Rot *rot)
{
        for (size_t i = 0; i < rot->n_targets; i++)
                free(rot->targets[i].data);
        fixture_done(&rot->f);
}

static void test_flip_every_byte(void **state)
{
        Rot rot;

        build(&rot);
        for (size_t k = 0; k < rot.n_targets; k++) {
                const Target *t = &rot.targets[k];

                for (size_t at = 0; at < t->size; at++) {
                        uint8_t *damaged = malloc(t->size);

                        memcpy(damaged, t->data, t->size);
                        damaged[at] ^= 0x41;
                        restore(&rot);
                        write_target(t, damaged, t->size);
                        free(damaged);
                        try_once(&rot, t, at, false);
                }
        }
        printf("# %u bytes turned over, each noticed\n", rot.n_tried);
        assert_int_equal(rot.n_noticed, rot.n_tried);
        assert_true(rot.n_tried > 4000);
        done(&rot);
}

static void test_cut_at_every_length(void **state)
{
        Rot rot;

        build(&rot);
        for (size_t k = 0; k < rot.n_targets; k++) {
                const Target *t = &rot.targets[k];

                if (t->segment) /* one segment holds it all: see below */
                        continue;
                for (size_t at = 0; at < t->size; at++) {
                        restore(&rot);
                        write_target(t, t->data, at);
                        try_once(&rot, t, at, true);
                }
        }
        printf("# %u lengths of manifests and identity\n", rot.n_tried);
        done(&rot);
}

/* A log that was cut: what is before the cut is there, in order, and that something is missing is said. */
static void test_cut_log(void **state)
{
        unsigned n_refused = 0, n_lengths = 0;
        Rot rot;

        build(&rot);
        for (size_t k = 0; k < rot.n_targets; k++) {
                const Target *t = &rot.targets[k];

                for (size_t at = 0; at < t->size && t->segment; at++) {
                        uint64_t n_damaged = 0;
                        Loaded loaded;
                        bool told;

                        n_lengths++;
                        restore(&rot);
                        write_target(t, t->data, at);
                        memset(rot.f.n_problems, 0, sizeof(rot.f.n_problems));
                        if (fixture_try_open(&rot.f, 0) < 0) {
                                n_refused++;
                                assert_non_null(strstr(rot.f.last_problem, "beyond use"));
                                continue;
                        }
                        load(rot.f.store, &loaded);
                        told = rot.f.n_problems[STORE_WARNING] + rot.f.n_problems[STORE_ERROR] > 0 ||
                               loaded.gap || loaded.damaged;
                        store_scrub_begin(rot.f.store, scrub_done, &n_damaged);
                        fixture_drain(&rot.f);
                        for (unsigned i = 0; i < NODES; i++)
                                if (loaded.version[i] < (i < 2 ? 3 : 2) && !told && n_damaged == 0)
                                        fail_msg("%s cut at %zu: node %u is old and nothing was said",
                                                 t->path, at, i);
                        fixture_close(&rot.f);
                }
        }
        printf("# %u lengths of segments, %u of them refused\n", n_lengths, n_refused);
        done(&rot);
}

/* Nothing intact is left: not opened, nothing touched; unless told to set it aside. */
static void test_beyond_use(void **state)
{
        Rot rot;
        char path[128];
        struct stat st;

        build(&rot);
        for (size_t k = 0; k < rot.n_targets; k++) {
                const Target *t = &rot.targets[k];
                uint8_t *damaged = malloc(t->size);

                for (size_t i = 0; i < t->size; i++)
                        damaged[i] = t->data[i] ^ 0x55;
                if (!t->identity)
                        write_target(t, damaged, t->size);
                free(damaged);
        }
        assert_int_equal(fixture_try_open(&rot.f, 0), -EUCLEAN);
        assert_non_null(strstr(rot.f.last_problem, "damaged beyond use"));
        assert_int_equal(fixture_try_open(&rot.f, 0), -EUCLEAN);
        assert_int_equal(fixture_try_open(&rot.f, STORE_OPEN_SET_ASIDE), 0);
        assert_true(store_is_empty(rot.f.store));
        assert_int_equal(fixture_append(&rot.f, 1, "k0", "new", 3, NULL), 0);
        fixture_close(&rot.f);
        snprintf(path, sizeof(path), "%s/aside", rot.f.path);
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_nlink > 2); /* the old folders are in it */
        fixture_open(&rot.f);
        assert_int_equal(store_sequence(rot.f.store), 1);
        done(&rot);
}

/* The log folder is gone altogether. */
static void test_log_is_gone(void **state)
{
        char path[128];
        Rot rot;

        build(&rot);
        snprintf(path, sizeof(path), "%s/log", rot.f.path);
        remove_tree(path);
        snprintf(path, sizeof(path), "%s/snapshots", rot.f.path);
        remove_tree(path);
        assert_int_equal(fixture_try_open(&rot.f, 0), -EUCLEAN);
        done(&rot);
}

static void test_newer_format(void **state)
{
        uint8_t digest[32];
        Rot rot;

        build(&rot);
        for (size_t k = 0; k < rot.n_targets; k++) {
                Target *t = &rot.targets[k];
                size_t covered = t->segment || t->identity ? 96 : t->size - 32;
                uint8_t *newer = malloc(t->size), *after = malloc(t->size);
                FILE *file;

                if (t->twin) { /* only looked at when its brother is damaged */
                        free(newer);
                        free(after);
                        continue;
                }
                memcpy(newer, t->data, t->size);
                newer[12] |= 0x80;
                digest_buffer(newer, covered, digest);
                memcpy(newer + covered, digest, 32);
                restore(&rot);
                write_target(t, newer, t->size);
                assert_int_equal(fixture_try_open(&rot.f, STORE_OPEN_SET_ASIDE), -EPROTONOSUPPORT);
                assert_non_null(strstr(rot.f.last_problem, "newer version"));
                file = fopen(t->path, "re");
                assert_int_equal(fread(after, 1, t->size, file), t->size);
                fclose(file);
                assert_memory_equal(after, newer, t->size);
                free(newer);
                free(after);
        }
        done(&rot);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_flip_every_byte), cmocka_unit_test(test_cut_at_every_length),
                cmocka_unit_test(test_cut_log),         cmocka_unit_test(test_beyond_use),
                cmocka_unit_test(test_log_is_gone),     cmocka_unit_test(test_newer_format),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
