/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A snapshot shows the scene as it was when it began, whatever happens while it is taken; and a series of snapshots of
 * changes, put together, is the scene. */
#include <errno.h>
#include <stdio.h>

#include "pickle/writer.h"
#include "scene/snapshot.h"
#include "test.h"

#define UUIDS 40

/* What a node looks like, for comparison: "" is one that is not there. */
typedef struct Picture {
        char of[UUIDS][32];
} Picture;

static uint64_t seed_state;

static uint64_t next_random(uint64_t below)
{
        seed_state ^= seed_state << 13;
        seed_state ^= seed_state >> 7;
        seed_state ^= seed_state << 17;
        return (seed_state >> 11) % below;
}

static void describe(char to[static 32], const Bytes *owner, const Bytes *payload, uint64_t version)
{
        snprintf(to, 32, "%.*s %.*s %u", (int)owner->size, owner->data, (int)payload->size, payload->data, (unsigned)version);
}

static void take_picture(const Scene *s, Picture *p)
{
        *p = (Picture){};
        for (const Node *n = scene_first(s); n; n = scene_next(s, n)) {
                _cleanup_bytes_ Bytes *base = scene_base(s, n);
                describe(p->of[atoi(node_uuid(n).text)], node_owner(s, n), base, node_version(n));
        }
}

static int on_node(void *userdata, SceneImage *image)
{
        Picture *p = userdata;
        describe(p->of[atoi(image->uuid)], image->owner, image->payload, image->version);
        return 0;
}

static int on_removed(void *userdata, const char *uuid, size_t uuid_size)
{
        ((Picture *)userdata)->of[atoi(uuid)][0] = '\0';
        return 0;
}

static const SceneSnapshotFuncs funcs = { on_node, on_removed };

static Scene *make_scene(void)
{
        SceneConfig config = { .limits = pickle_limits_default, .graph_cache_bytes = 1 << 20 };
        Scene *s = scene_new(&config);
        assert_non_null(s);
        return s;
}

static void put(Scene *s, unsigned i, const char *owner, const char *text)
{
        char uuid[8];
        snprintf(uuid, sizeof uuid, "%u", i);
        _cleanup_bytes_ Bytes *o = bytes_new_copy(owner, strlen(owner)), *p = bytes_new_copy(text, strlen(text));
        _cleanup_bytes_ Bytes *none = bytes_new_copy("\x80\x04].", 4);
        assert_int_equal(scene_put(s, uuid, strlen(uuid), o, none, p, 1, NULL), 0);
}

static void change(Scene *s)
{
        unsigned i = (unsigned)next_random(UUIDS);
        char uuid[8], text[8];
        snprintf(uuid, sizeof uuid, "%u", i);
        snprintf(text, sizeof text, "%u", (unsigned)next_random(1000));
        Node *n = scene_find(s, uuid, strlen(uuid));
        _cleanup_bytes_ Bytes *anna = bytes_new_copy("anna", 4);
        switch (next_random(5)) {
        case 0:
                if (n)
                        assert_int_equal(scene_remove(s, n), 0);
                break;
        case 1:
                if (n)
                        assert_int_equal(scene_set_owner(s, n, anna), 0);
                break;
        default:
                put(s, i, "COMMON", text);
        }
}

static void test_consistent(void **state)
{
        for (unsigned seed = 1; seed <= 300; seed++) {
                seed_state = seed * UINT64_C(0x9e3779b97f4a7c15);
                _cleanup_scene_ Scene *s = make_scene();
                Picture together = {};
                for (int round = 0; round < 12; round++) {
                        for (uint64_t n = next_random(60); n > 0; n--)
                                change(s);
                        bool all = round == 0 || next_random(3) == 0;
                        Picture expected, got = all ? (Picture){} : together;
                        take_picture(s, &expected);
                        SceneSnapshot *sn;
                        assert_int_equal(scene_snapshot_begin(s, all, &funcs, &got, &sn), 0);
                        assert_int_equal(scene_snapshot_begin(s, all, &funcs, &got, &sn), -EBUSY);
                        int r;
                        while ((r = scene_snapshot_step(sn, 1 + next_random(5))) == 1)
                                for (uint64_t n = next_random(6); n > 0; n--)
                                        change(s);
                        assert_int_equal(r, 0);
                        scene_snapshot_free(sn);
                        for (int i = 0; i < UUIDS; i++)
                                if (strcmp(expected.of[i], got.of[i]) != 0)
                                        fail_msg("seed %u round %d node %d: %s instead of %s", seed, round, i, got.of[i],
                                                 expected.of[i]);
                        together = got;
                }
        }
}

static void test_given_up(void **state)
{
        _cleanup_scene_ Scene *s = make_scene();
        put(s, 1, "COMMON", "x");
        put(s, 2, "COMMON", "y");
        SceneSnapshot *sn;
        Picture p = {};
        assert_int_equal(scene_snapshot_begin(s, true, &funcs, &p, &sn), 0);
        assert_int_equal(scene_snapshot_step(sn, 1), 1);
        scene_snapshot_free(sn);
        assert_true(scene_snapshot_wants_all(s));
        assert_int_equal(scene_snapshot_begin(s, false, &funcs, &p, &sn), -EINVAL);
        assert_int_equal(scene_snapshot_begin(s, true, &funcs, &p, &sn), 0);
        assert_int_equal(scene_snapshot_step(sn, 100), 0);
        scene_snapshot_free(sn);
        assert_false(scene_snapshot_wants_all(s));
}

static int refuse(void *userdata, SceneImage *image)
{
        return -ENOSPC;
}

static void test_error_in_a_change(void **state)
{
        _cleanup_scene_ Scene *s = make_scene();
        put(s, 1, "COMMON", "x");
        put(s, 2, "COMMON", "y");
        SceneSnapshotFuncs bad = { refuse, on_removed };
        SceneSnapshot *sn;
        assert_int_equal(scene_snapshot_begin(s, true, &bad, NULL, &sn), 0);
        put(s, 2, "COMMON", "z");
        assert_int_equal(scene_snapshot_step(sn, 1), -ENOSPC);
        scene_snapshot_free(sn);
}

static int count(void *userdata, SceneImage *image)
{
        ++*(size_t *)userdata;
        return 0;
}

/* Beginning costs nothing that grows with the scene, and each step no more than it was allowed. */
static void test_slices_are_short(void **state)
{
        enum { N = 20000, SLICE = 500 };
        _cleanup_scene_ Scene *s = make_scene();
        _cleanup_bytes_ Bytes *owner = bytes_new_copy("COMMON", 6), *payload = bytes_new_copy("N.", 2);
        _cleanup_bytes_ Bytes *none = bytes_new_copy("\x80\x04].", 4);
        for (int i = 0; i < N; i++) {
                char uuid[40];
                snprintf(uuid, sizeof uuid, "%08x-aaaa-bbbb-cccc-%012x", i, i);
                assert_int_equal(scene_put(s, uuid, 36, owner, none, payload, 1, NULL), 0);
        }
        SceneSnapshotFuncs counting = { count, on_removed };
        size_t n = 0, before, slices = 0;
        SceneSnapshot *sn;
        assert_int_equal(scene_snapshot_begin(s, true, &counting, &n, &sn), 0);
        assert_int_equal(n, 0);
        int r;
        do {
                before = n;
                r = scene_snapshot_step(sn, SLICE);
                slices++;
                assert_true(n - before <= SLICE);
        } while (r == 1);
        scene_snapshot_free(sn);
        assert_int_equal(r, 0);
        assert_int_equal(n, N);
        assert_in_range(slices, N / SLICE, N / SLICE + 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_consistent),
                cmocka_unit_test(test_given_up),
                cmocka_unit_test(test_error_in_a_change),
                cmocka_unit_test(test_slices_are_short),
        };
        return cmocka_run_group_tests_name("scene-snapshot", tests, NULL, NULL);
}
