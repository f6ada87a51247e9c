/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The event loop's side and the worker at the same time: appends, syncs, snapshots, compaction, scrubbing,
 * drills, reads. Worth most under a race checker; what is left at the end is compared all the same. */

#include "store-fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define NODES 100u
#define ROUNDS 1500u
#define PAYLOAD 1500u

typedef struct Node {
        StoreLocation at;
        unsigned value;
        bool in_memory; /* the newest value has not been appended: a snapshot has to make it */
} Node;

typedef struct Making {
        unsigned node;
        unsigned value;
} Making;

typedef struct Stage {
        Fixture f;
        Node nodes[NODES];
        bool saving;
        bool scrubbing;
        bool drilling;
        bool verifying;
        unsigned n_saved;
        unsigned n_scrubbed;
        unsigned n_drilled;
        unsigned n_verified;
} Stage;

static Stage *stage;

static Bytes *make_payload(unsigned node, unsigned value)
{
        uint8_t *data;
        Bytes *b = bytes_new_uninitialised(PAYLOAD, &data);

        memset(data, 'a' + (int)(value % 20), PAYLOAD);
        memcpy(data, &node, sizeof(node));
        memcpy(data + 8, &value, sizeof(value));
        return b;
}

static void on_moved(void *userdata, uint64_t segment)
{
        for (unsigned i = 0; i < NODES; i++)
                if (stage->nodes[i].at.segment == segment)
                        (void)store_location_refresh(stage->f.store, &stage->nodes[i].at);
}

static int materialise(void *userdata, Bytes **ret)
{
        const Making *m = userdata;

        *ret = make_payload(m->node, m->value);
        return 0;
}

static void on_materialised(void *userdata, void *entry_userdata, const StoreLocation *blob)
{
        const Making *m = entry_userdata;

        if (stage->nodes[m->node].value != m->value)
                return;
        stage->nodes[m->node].at = *blob;
        stage->nodes[m->node].in_memory = false;
}

static void on_saved(void *userdata, const StoreSnapshotResult *result)
{
        if (result->error < 0)
                fail_msg("snapshot: %s", result->error_text);
        stage->saving = false;
        stage->n_saved++;
}

static void save(void)
{
        StoreSnapshotParameters p = { .reason = "test", .force = true };
        StoreSnapshot *sn;

        assert_int_equal(store_snapshot_begin(stage->f.store, &p, true, &sn), 0);
        for (unsigned i = 0; i < NODES; i++) {
                char key[8];
                StoreEntry e = { .key = (const uint8_t *)key, .key_size = 4, .blob = stage->nodes[i].at };

                snprintf(key, sizeof(key), "k%03u", i);
                if (stage->nodes[i].in_memory) {
                        Making *m = malloc(sizeof(Making));

                        *m = (Making){ i, stage->nodes[i].value };
                        assert_int_equal(store_snapshot_add_materialised(sn, &e, materialise, m, free), 0);
                } else if (stage->nodes[i].value > 0)
                        assert_int_equal(store_snapshot_add(sn, &e), 0);
        }
        store_snapshot_submit(sn, on_materialised, on_saved, NULL);
        stage->saving = true;
}

static void on_scrubbed(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        assert_true(result == 0 || result == -ECANCELED);
        assert_int_equal(n_damaged, 0);
        stage->scrubbing = false;
        stage->n_scrubbed++;
}

static void on_drilled(void *userdata, int result, const char *snapshot, uint64_t n_nodes, uint64_t n_bytes,
                       uint64_t n_damaged)
{
        assert_true(result == 0 || result == -ECANCELED);
        assert_int_equal(n_damaged, 0);
        stage->drilling = false;
        stage->n_drilled++;
}

static void on_verified(void *userdata, const void *key, size_t key_size, const StoreLocation *blob, int result)
{
        if (key)
                fail_msg("a payload is damaged");
        assert_int_equal(result, 0);
        stage->verifying = false;
        stage->n_verified++;
}

static void verify(void)
{
        StoreVerify *v;

        assert_int_equal(store_verify_begin(stage->f.store, &v), 0);
        for (unsigned i = 0; i < NODES; i++)
                if (stage->nodes[i].value > 0 && !stage->nodes[i].in_memory && stage->nodes[i].at.size > 0)
                        assert_int_equal(store_verify_add(v, "k", 1, &stage->nodes[i].at), 0);
        stage->verifying = true;
        store_verify_submit(v, on_verified, NULL);
}

static void change(unsigned i, unsigned value)
{
        _cleanup_bytes_ Bytes *blob = make_payload(i, value);
        Node *n = &stage->nodes[i];
        char key[8];
        StoreRecord record = { .kind = 1, .key = key, .key_size = 4, .blob = blob };

        snprintf(key, sizeof(key), "k%03u", i);
        n->value = value;
        n->in_memory = value % 3 == 1 && n->at.size > 0; /* as a delta leaves it */
        if (!n->in_memory)
                assert_int_equal(store_append(stage->f.store, &record, NULL, &n->at), 0);
}

static void read_one(unsigned i)
{
        _cleanup_bytes_ Bytes *blob = NULL, *expected = make_payload(i, stage->nodes[i].value);

        if (stage->nodes[i].value == 0 || stage->nodes[i].in_memory)
                return;
        assert_int_equal(store_blob_get_verified(stage->f.store, &stage->nodes[i].at, &blob), 0);
        assert_true(bytes_equal(blob, expected));
}

static void live(void)
{
        /* Until each has happened a few times, however slow the machine. */
        for (unsigned round = 0; round < ROUNDS || stage->n_saved < 4 || stage->n_scrubbed < 2 ||
                                 stage->n_drilled < 2 || stage->n_verified < 4;
             round++) {
                StoreStats stats;

                change(round * 7 % NODES, round + 1);
                if (round % 3 == 0) {
                        int r = store_commit(stage->f.store);

                        assert_true(r == 0 || (r == STORE_WRITING && stage->f.writer));
                }
                if (round % 10 == 0)
                        store_sync_begin(stage->f.store);
                if (!stage->saving && round % 20 == 0) {
                        store_commit(stage->f.store);
                        save();
                }
                if (!stage->scrubbing && round % 50 == 0) {
                        stage->scrubbing = true;
                        assert_int_equal(store_scrub_begin(stage->f.store, on_scrubbed, NULL), 0);
                }
                if (!stage->drilling && stage->n_saved > 0 && round % 50 == 25) {
                        stage->drilling = true;
                        assert_int_equal(store_drill_begin(stage->f.store, "latest", on_drilled, NULL), 0);
                }
                if (!stage->verifying && round % 40 == 5) {
                        if (store_commit(stage->f.store) == STORE_WRITING)
                                worker_drain(stage->f.writer, true);
                        verify();
                }
                if (stage->n_saved > 3 && round % 100 == 60)
                        (void)store_snapshot_pin(stage->f.store, "latest", round % 200 == 60, NULL);
                read_one(round * 13 % NODES);
                store_get_stats(stage->f.store, &stats);
                /* Whatever the worker is late with takes longer the more there is in the log. */
                if (round >= ROUNDS)
                        (void)poll(&(struct pollfd){ .fd = worker_fd(stage->f.worker), .events = POLLIN }, 1, 1);
                worker_dispatch(stage->f.worker);
                if (stage->f.writer)
                        worker_dispatch(stage->f.writer);
        }
}

static void unpin_all(Store *store)
{
        StoreSnapshotInfo *list;
        size_t n;

        assert_int_equal(store_snapshot_list(store, &list, &n), 0);
        for (size_t i = 0; i < n; i++) {
                assert_true(store_snapshot_pin(store, list[i].name, false, NULL) >= 0);
                store_snapshot_info_done(&list[i]);
        }
        free(list);
}

/* Everything is written in the writer's thread. */
static void init_writer(Fixture *f)
{
        assert_int_equal(worker_new(&f->writer), 0);
        f->options.writer = f->writer;
        f->options.direct_bytes = 1;
}

static void do_all_at_once(bool with_writer)
{
        Stage s = { 0 };
        StoreStats stats;

        stage = &s;
        fixture_init(&s.f, true);
        if (with_writer)
                init_writer(&s.f);
        s.f.options.segment_size = 32768;
        s.f.options.retention.newest = 3;
        s.f.options.events.segment_moved = on_moved;
        fixture_open(&s.f);
        live();
        store_commit(s.f.store);
        fixture_drain(&s.f);
        /* On a busy machine the snapshots so far may all be old ones, or one of them pinned: those keep the log from
         * them on. As many new ones as are retained let it go. */
        unpin_all(s.f.store);
        for (unsigned i = 0; i < s.f.options.retention.newest; i++) {
                save();
                fixture_drain(&s.f);
        }
        store_reclaim_begin(s.f.store);
        fixture_drain(&s.f);
        for (unsigned i = 0; i < NODES; i++) {
                assert_false(s.nodes[i].in_memory);
                read_one(i);
        }
        store_get_stats(s.f.store, &stats);
        printf("# %u snapshots, %u scrubs, %u drills, %u verifications, %lu bytes reclaimed\n", s.n_saved,
               s.n_scrubbed, s.n_drilled, s.n_verified, (unsigned long)stats.reclaimed_bytes);
        assert_true(stats.reclaimed_bytes > 0);
        assert_int_equal(s.f.n_problems[STORE_WARNING] + s.f.n_problems[STORE_ERROR], 0);
        fixture_close(&s.f);
        fixture_open(&s.f);
        for (unsigned i = 0; i < NODES; i++)
                read_one(i);
        fixture_done(&s.f);
}

static void test_all_at_once(void **state)
{
        do_all_at_once(false);
}

static void test_all_at_once_with_a_writer(void **state)
{
        do_all_at_once(true);
}

/* The end while everything is under way. */
static void test_close_in_the_middle(void **state)
{
        for (unsigned i = 0; i < 5; i++) {
                Stage s = { 0 };

                stage = &s;
                fixture_init(&s.f, true);
                if (i % 2 == 1)
                        init_writer(&s.f);
                s.f.options.segment_size = 32768;
                s.f.options.retention.newest = 3;
                s.f.options.events.segment_moved = on_moved;
                fixture_open(&s.f);
                for (unsigned k = 1; k < 200; k++)
                        change(k % NODES, 3 * k);
                save();
                assert_int_equal(store_scrub_begin(s.f.store, on_scrubbed, NULL), 0);
                for (unsigned k = 0; k < i; k++)
                        worker_dispatch(s.f.worker);
                fixture_close(&s.f);
                assert_int_equal(s.n_saved, 1);
                fixture_open(&s.f);
                assert_int_equal(store_sequence(s.f.store), 199);
                fixture_done(&s.f);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_at_once),
                cmocka_unit_test(test_all_at_once_with_a_writer),
                cmocka_unit_test(test_close_in_the_middle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
