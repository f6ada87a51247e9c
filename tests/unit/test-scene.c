/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "pickle/reader.h"
#include "pickle/writer.h"
#include "scene/dependencies.h"
#include "scene/snapshot.h"
#include "test.h"

/* Then malloc() is not the C library's. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static Scene *make_scene(size_t cache)
{
        SceneConfig config = { .limits = pickle_limits_default, .graph_cache_bytes = cache };
        Scene *s = scene_new(&config);
        assert_non_null(s);
        return s;
}

static Bytes *dump_take(Value *v)
{
        Bytes *b = NULL;
        assert_int_equal(pickle_write(v, SIZE_MAX, &b), 0);
        value_unref(v);
        return b;
}

static Value *with(Value *dict, const char *key, Value *value)
{
        assert_int_equal(value_dict_set_string(dict, key, value), 0);
        value_unref(value);
        return dict;
}

static Bytes *payload_of(int64_t x)
{
        return dump_take(with(with(value_dict_new(), "x", value_int_new(x)), "l", value_list_new()));
}

static Bytes *names(size_t n, const char *const *uuids)
{
        Value *list = value_list_new();
        for (size_t i = 0; i < n; i++) {
                Value *v = value_string_new(uuids[i]);
                value_list_append(list, v);
                value_unref(v);
        }
        return dump_take(list);
}

#define DEPENDENCIES(...)                                                       \
        ({                                                                      \
                const char *const _u[] = { __VA_ARGS__ };                       \
                names(sizeof _u / sizeof _u[0], _u);                            \
        })

static Node *put(Scene *s, const char *uuid, const char *owner, Bytes *dependencies, int64_t x)
{
        _cleanup_bytes_ Bytes *o = bytes_new_copy(owner, strlen(owner));
        _cleanup_bytes_ Bytes *d = dependencies ?: names(0, NULL);
        _cleanup_bytes_ Bytes *p = payload_of(x);
        Node *n;
        assert_int_equal(scene_put(s, uuid, strlen(uuid), o, d, p, 5000000, &n), 0);
        return n;
}

static int append(Scene *s, Node *n, unsigned index, int64_t value)
{
        char path[40];
        snprintf(path, sizeof path, "root['l'][%u]", index);
        _cleanup_bytes_ Bytes *delta =
                dump_take(with(value_dict_new(), "iterable_item_added", with(value_dict_new(), path, value_int_new(value))));
        return scene_apply(s, n, node_dependencies(n), delta, 6000000, NULL);
}

static Value *load(Bytes *b)
{
        Value *v;
        assert_int_equal(pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL), 0);
        return v;
}

static uint32_t length_of(Bytes *payload)
{
        _cleanup_value_ Value *v = load(payload);
        return value_list_length(value_dict_get_string(v, "l"));
}

static uint32_t length_of_base(const Scene *s, const Node *n)
{
        _cleanup_bytes_ Bytes *base = scene_base(s, n);
        return length_of(base);
}

static bool names_are(const Node *n, Bytes *expected)
{
        _cleanup_value_ Value *a = load(node_dependencies(n));
        _cleanup_value_ Value *b = load(expected);
        bytes_unref(expected);
        return value_equal(a, b) == 1;
}

static void test_table(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        char long_uuid[SCENE_UUID_MAX + 1];
        memset(long_uuid, 'u', SCENE_UUID_MAX);
        long_uuid[SCENE_UUID_MAX] = '\0';
        Node *a = put(s, "a", "COMMON", NULL, 1);
        uint64_t id = node_id(a);
        put(s, long_uuid, "COMMON", NULL, 2);
        assert_ptr_equal(scene_find(s, "a", 1), a);
        assert_string_equal(node_uuid(scene_find(s, long_uuid, SCENE_UUID_MAX)).text, long_uuid);
        assert_null(scene_find(s, "b", 1));
        for (int i = 0; i < 3000; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "n%d", i);
                put(s, uuid, "COMMON", NULL, i);
        }
        for (int i = 0; i < 3000; i += 3) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "n%d", i);
                assert_int_equal(scene_remove(s, scene_find(s, uuid, strlen(uuid))), 0);
        }
        assert_int_equal(scene_n_nodes(s), 2002);
        for (int i = 0; i < 3000; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "n%d", i);
                assert_int_equal(scene_find(s, uuid, strlen(uuid)) != NULL, i % 3 != 0);
        }
        /* In order of arrival, and a slot used again has another id. */
        assert_ptr_equal(scene_first(s), scene_find_id(s, id));
        assert_int_equal(scene_remove(s, scene_find_id(s, id)), 0);
        assert_null(scene_find_id(s, id));
        put(s, "z", "COMMON", NULL, 1);
        assert_string_equal(node_uuid(scene_last(s)).text, "z");
        assert_null(scene_find_id(s, id));
        scene_clear(s);
        assert_int_equal(scene_n_nodes(s), 0);
        assert_int_equal(scene_payload_bytes(s), 0);
}

static void test_whole_node_keeps_its_owner(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        Node *n = put(s, "a", "anna", NULL, 1);
        assert_int_equal(append(s, n, 0, 1), 0);
        put(s, "a", "bert", NULL, 2);
        assert_true(bytes_equal_string(node_owner(s, n), "anna"));
        assert_int_equal(node_n_deltas(n), 0);
        assert_int_equal(node_version(n), 3);
        assert_int_equal(length_of_base(s, n), 0);
}

static void test_owners(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        put(s, "a", "anna", NULL, 1);
        put(s, "b", "bert", NULL, 1);
        put(s, "c", "anna", NULL, 1);
        put(s, "d", "COMMON", NULL, 1);
        assert_int_equal(scene_n_owned(s, "anna", 4), 2);
        _cleanup_bytes_ Bytes *common = bytes_new_copy("COMMON", 6);
        _cleanup_bytes_ Bytes *bert = bytes_new_copy("bert", 4);
        assert_int_equal(scene_set_owner(s, scene_find(s, "d", 1), bert), 0);
        size_t n_bert = 0;
        for (Node *n = NULL; (n = scene_owned(s, "bert", 4, n));)
                n_bert++;
        assert_int_equal(n_bert, 2);
        for (Node *n; (n = scene_owned(s, "anna", 4, NULL));)
                assert_int_equal(scene_set_owner(s, n, common), 0);
        assert_int_equal(scene_n_owned(s, "anna", 4), 0);
        assert_true(node_is_common(scene_find(s, "a", 1)));
        assert_false(node_is_common(scene_find(s, "b", 1)));
        assert_int_equal(scene_remove(s, scene_find(s, "b", 1)), 0);
        assert_int_equal(scene_n_owned(s, "bert", 4), 1);
}

static void test_removal_from_dependencies(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        put(s, "a", "COMMON", NULL, 1);
        put(s, "b", "COMMON", DEPENDENCIES("a", "x", "a"), 1);
        put(s, "c", "COMMON", DEPENDENCIES("x"), 1);
        put(s, "d", "COMMON", DEPENDENCIES("a"), 1);
        put(s, "e", "COMMON", bytes_new_copy("N.", 2), 1);
        assert_int_equal(scene_remove(s, scene_find(s, "a", 1)), 0);
        /* As list.remove() of the clients: the first one only. */
        assert_true(names_are(scene_find(s, "b", 1), DEPENDENCIES("x", "a")));
        assert_true(names_are(scene_find(s, "c", 1), DEPENDENCIES("x")));
        assert_true(names_are(scene_find(s, "d", 1), names(0, NULL)));
        assert_int_equal(node_version(scene_find(s, "b", 1)), 1);
}

static void test_dependencies(void **state)
{
        _cleanup_bytes_ Bytes *none = bytes_new_copy("\x80\x04N.", 4), *text = bytes_new_copy("\x80\x04\x8c\x01" "a.", 6);
        _cleanup_bytes_ Bytes *list = DEPENDENCIES("a", "b");
        _cleanup_bytes_ Bytes *numbers = bytes_new_copy("\x80\x04]K\x01" "a.", 7);
        size_t n = 7;
        assert_int_equal(dependencies_read(none, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(dependencies_read(list, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(dependencies_read(text, &n), 1);
        assert_int_equal(dependencies_read(numbers, &n), 1);
        assert_true(dependencies_have(list, "b", 1));
        assert_false(dependencies_have(list, "c", 1));
        assert_false(dependencies_have(none, "c", 1));
}

static uint64_t signature_of(Bytes *pickle, Bytes **ret)
{
        uint64_t signature;
        assert_int_equal(dependencies_normalise(pickle, ret, &signature), 0);
        return signature;
}

/* What is cut out leaves what the rest would have been written as. */
static void test_without(void **state)
{
        static const char *const uuids[] = { "a", "\xc3\x8c\x01" "a", "bb", "a", "\xc3\x8c\x01" "a", "c" };
        for (size_t n = 0; n <= ELEMENTSOF(uuids); n++) {
                _cleanup_bytes_ Bytes *written = names(n, uuids), *kept = NULL;
                signature_of(written, &kept);
                assert_true(bytes_equal(kept, written));
                for (size_t i = 0; i < n; i++) {
                        const char *rest[ELEMENTSOF(uuids)];
                        size_t first = 0, n_rest = 0;
                        while (strcmp(uuids[first], uuids[i]) != 0)
                                first++;
                        for (size_t k = 0; k < n; k++)
                                if (k != first)
                                        rest[n_rest++] = uuids[k];
                        _cleanup_bytes_ Bytes *expected = names(n_rest, rest), *left = NULL;
                        assert_true(dependencies_have(kept, uuids[i], strlen(uuids[i])));
                        assert_int_equal(dependencies_without(kept, uuids[i], strlen(uuids[i]), &left), 0);
                        assert_true(bytes_equal(left, expected));
                }
                _cleanup_bytes_ Bytes *left = NULL;
                assert_int_equal(dependencies_without(kept, "b", 1, &left), 1);
                assert_int_equal(dependencies_without(kept, "\xc3\x8c", 2, &left), 1);
        }
}

/* A proper uuid is kept in sixteen bytes, anything that is almost one as it is: none becomes another. */
static void test_uuids_come_back(void **state)
{
        static const char proper[] = "0189abef-cd01-4567-89ab-0fedcba98765";
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        size_t n = 1;
        put(s, proper, "COMMON", NULL, 0);
        for (size_t place = 0; place < sizeof proper - 1; place++)
                for (int c = 1; c <= UINT8_MAX; c++) {
                        char uuid[sizeof proper];
                        memcpy(uuid, proper, sizeof uuid);
                        uuid[place] = (char)c;
                        if (strcmp(uuid, proper) == 0)
                                continue;
                        put(s, uuid, "COMMON", NULL, 0);
                        assert_int_equal(scene_n_nodes(s), ++n);
                        assert_string_equal(node_uuid(scene_find(s, uuid, strlen(uuid))).text, uuid);
                }
        assert_string_equal(node_uuid(scene_find(s, proper, strlen(proper))).text, proper);
}

/* However it came, a list is kept with every uuid in full. */
static void test_without_memo(void **state)
{
        static const char memo[] = "\x80\x04]\x94(\x8c\x01" "a\x94\x8c\x01" "b\x94h\x01h\x02" "e.";
        _cleanup_bytes_ Bytes *list = bytes_new_copy(memo, sizeof memo - 1), *kept = NULL, *left = NULL;
        signature_of(list, &kept);
        _cleanup_bytes_ Bytes *full = DEPENDENCIES("a", "b", "a", "b"), *expected = DEPENDENCIES("a", "a", "b");
        assert_true(bytes_equal(kept, full));
        assert_int_equal(dependencies_without(kept, "b", 1, &left), 0);
        assert_true(bytes_equal(left, expected));
}

/* A file may name one uuid a million times, which is kept in a form that can be saved. */
static void test_list_too_long_in_full(void **state)
{
        enum { NAME = 100, TIMES = 200000 };
        static const char head[] = { '\x80', 4, ']', '(', '\x8c', NAME };
        uint8_t *start, *p;
        _cleanup_bytes_ Bytes *list = bytes_new_uninitialised(sizeof head + NAME + 1 + 2 * TIMES + 2, &start), *kept = NULL;
        p = mempcpy(start, head, sizeof head);
        memset(p, 'x', NAME);
        p += NAME;
        *p++ = 0x94;
        for (size_t i = 0; i < TIMES; i++)
                p = mempcpy(p, "h\0", 2);
        memcpy(p, "e.", 2);
        signature_of(list, &kept);
        assert_true(kept->size <= STORE_META_MAX);
        size_t n;
        assert_int_equal(dependencies_read(kept, &n), 0);
        assert_int_equal(n, TIMES + 1);
}

static void test_deltas(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        Node *n = put(s, "a", "COMMON", NULL, 1);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(append(s, n, i, i), 0);
        assert_int_equal(node_version(n), 6);
        assert_int_equal(node_base_version(n), 1);
        assert_true(scene_cache_bytes(s) > 0);
        /* Refused: nothing changes. */
        _cleanup_bytes_ Bytes *bad = dump_take(with(value_dict_new(), "iterable_item_added",
                                                    with(value_dict_new(), "root['x'][0]", value_int_new(1))));
        assert_true(scene_apply(s, n, node_dependencies(n), bad, 7000000, NULL) > 0);
        assert_int_equal(node_version(n), 6);
        _cleanup_bytes_ Bytes *payload = NULL;
        assert_int_equal(scene_payload(s, n, 10, &payload), 1);
        assert_int_equal(scene_payload(s, n, 1 << 20, &payload), 0);
        assert_int_equal(length_of(payload), 5);
        assert_int_equal(node_n_deltas(n), 0);
        assert_int_equal(node_version(n), 6);
        assert_int_equal(append(s, n, 5, 9), 0);
}

/* The deltas count only when they have to be applied once more. */
static void test_encoding_is_cheap_with_a_graph(void **state)
{
        static const struct {
                size_t cache;
                int expected;
        } cases[] = { { 1 << 20, 0 }, { 0, 1 } };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_scene_ Scene *s = make_scene(cases[i].cache);
                Node *n = put(s, "a", "COMMON", NULL, 1);
                for (unsigned k = 0; k < 5; k++)
                        assert_int_equal(append(s, n, k, k), 0);
                size_t limit = scene_payload_bytes(s); /* base and deltas */
                _cleanup_bytes_ Bytes *payload = NULL;
                assert_int_equal(scene_payload(s, n, limit, &payload), cases[i].expected);
        }
}

static void test_cache_is_bounded(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(4000);
        for (int round = 0; round < 4; round++) {
                for (int i = 0; i < 50; i++) {
                        char uuid[16];
                        snprintf(uuid, sizeof uuid, "n%d", i);
                        Node *n = round == 0 ? put(s, uuid, "COMMON", NULL, i) : scene_find(s, uuid, strlen(uuid));
                        assert_int_equal(append(s, n, (unsigned)round, round), 0);
                        assert_true(scene_cache_bytes(s) <= 4000);
                }
        }
        for (Node *n = scene_first(s); n; n = scene_next(s, n)) {
                _cleanup_bytes_ Bytes *payload = NULL;
                assert_int_equal(scene_payload(s, n, 1 << 20, &payload), 0);
                assert_int_equal(length_of(payload), 4);
        }
        SceneConfig config = { .limits = pickle_limits_default };
        scene_reconfigure(s, &config);
        assert_int_equal(scene_cache_bytes(s), 0);
}

static void test_fold_while_editing(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        Node *n = put(s, "a", "COMMON", NULL, 1);
        for (unsigned i = 0; i < 3; i++)
                append(s, n, i, i);
        _cleanup_scene_fold_ SceneFold *fold = NULL;
        assert_int_equal(scene_fold(s, n, &fold), 0);
        uint64_t version = node_version(n);
        append(s, n, 3, 3);
        append(s, n, 4, 4);
        _cleanup_bytes_ Bytes *folded = NULL, *payload = NULL;
        assert_int_equal(scene_fold_run(fold, &folded), 0);
        assert_int_equal(length_of(folded), 3);
        StoreLocation location = { .segment = 3, .offset = 104, .size = folded->size, .digest = { 9 } }, got;
        scene_folded(s, n, version, folded, &location);
        assert_int_equal(node_n_deltas(n), 2);
        assert_true(node_location(s, n, &got));
        assert_memory_equal(&got, &location, sizeof got);
        assert_int_equal(scene_payload(s, n, 1 << 20, &payload), 0);
        assert_int_equal(length_of(payload), 5);
        assert_false(node_location(s, n, &got));
        /* An older one comes too late. */
        scene_folded(s, n, version, folded, &location);
        assert_int_equal(length_of_base(s, n), 5);
}

/* A segment of the log that holds so many payloads of the same size, one beside the other. */
static Bytes *make_segment(unsigned n, size_t *ret_size)
{
        _cleanup_bytes_ Bytes *one = payload_of(0);
        uint8_t *data;
        *ret_size = (one->size + 7) / 8 * 8;
        Bytes *whole = bytes_new_uninitialised(*ret_size * n, &data);
        for (unsigned i = 0; i < n; i++)
                memcpy(data + *ret_size * i, one->data, one->size);
        *ret_size = one->size;
        return whole;
}

static void place(Scene *s, Node *n, uint64_t segment, Bytes *whole, unsigned i, size_t size)
{
        StoreLocation at = { .segment = segment, .offset = (size + 7) / 8 * 8 * i, .size = size, .digest = { 1 } };
        _cleanup_bytes_ Bytes *mapped = bytes_new_slice(whole, at.offset, size);
        scene_set_location(s, n, node_base_version(n), &at, mapped);
}

static void test_mapped_bases(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        size_t size;
        _cleanup_bytes_ Bytes *whole = make_segment(4, &size), *moved = make_segment(4, &size);
        Node *n[4];
        for (unsigned i = 0; i < ELEMENTSOF(n); i++) {
                n[i] = put(s, (char[]){ (char)('a' + i), 0 }, "COMMON", NULL, 0);
                place(s, n[i], 7, whole, i, size);
        }
        assert_int_equal(scene_payload_bytes(s), 4 * size);
        StoreLocation got;
        size_t at;
        for (unsigned i = 0; i < ELEMENTSOF(n); i++) {
                _cleanup_bytes_ Bytes *base = scene_base(s, n[i]);
                assert_ptr_equal(bytes_parent(base, &at), whole);
                assert_true(node_location(s, n[i], &got));
                assert_int_equal(got.offset, at);
                assert_int_equal(length_of(base), 0);
        }
        /* Compaction has moved one, and its segment goes. */
        place(s, n[0], 8, moved, 0, size);
        scene_forget_locations(s, 7);
        assert_true(node_location(s, n[0], &got));
        assert_int_equal(got.segment, 8);
        assert_false(node_location(s, n[1], &got));
        assert_int_equal(length_of_base(s, n[1]), 0);
        /* A segment of the same number in another store is another one. */
        place(s, n[2], 7, moved, 2, size);
        assert_true(node_location(s, n[2], &got));
        _cleanup_bytes_ Bytes *base = scene_base(s, n[2]), *old = scene_base(s, n[3]);
        assert_ptr_equal(bytes_parent(base, &at), moved);
        assert_ptr_equal(bytes_parent(old, &at), whole);
        /* Changed, and changed again. */
        assert_int_equal(append(s, n[2], 0, 2), 0);
        _cleanup_bytes_ Bytes *payload = NULL;
        assert_int_equal(scene_payload(s, n[2], 1 << 20, &payload), 0);
        assert_int_equal(length_of(payload), 1);
        assert_false(node_location(s, n[2], &got));
        assert_int_equal(scene_remove(s, n[3]), 0);
        scene_clear(s);
        assert_int_equal(scene_payload_bytes(s), 0);
}

static void test_replayed_deltas_are_applied_when_needed(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        Node *n = put(s, "a", "COMMON", NULL, 1);
        _cleanup_bytes_ Bytes *delta = dump_take(with(value_dict_new(), "iterable_item_added",
                                                      with(value_dict_new(), "root['l'][0]", value_int_new(1))));
        assert_int_equal(scene_append(s, n, node_dependencies(n), delta, 1), 0);
        assert_int_equal(scene_cache_bytes(s), 0);
        assert_int_equal(append(s, n, 1, 1), 0);
        _cleanup_bytes_ Bytes *payload = NULL;
        assert_int_equal(scene_payload(s, n, 1 << 20, &payload), 0);
        assert_int_equal(length_of(payload), 2);
}

static void test_wants_fold(void **state)
{
        _cleanup_scene_ Scene *s = make_scene(64 << 20);
        Node *n = put(s, "a", "COMMON", NULL, 1);
        for (unsigned i = 0; !node_wants_fold(n); i++) {
                assert_true(i < 5000);
                append(s, n, i, i);
        }
        _cleanup_scene_fold_ SceneFold *fold = NULL;
        assert_int_equal(scene_fold(s, n, &fold), 0);
        assert_false(node_wants_fold(n));
        scene_folded(s, n, node_version(n), NULL, NULL);
        assert_true(node_wants_fold(n));
}

#ifndef SANITIZED
static int ignore(void *userdata, SceneImage *image)
{
        return 0;
}
#endif

/* An idle node with a stock client's uuid costs less than 200 bytes beside its payload and dependencies. */
#ifndef SANITIZED
/* What the process has for itself, in bytes; tables are no part of what malloc counts. */
static size_t anonymous_bytes(void)
{
        malloc_trim(0);
        FILE *f = fopen("/proc/self/smaps_rollup", "re");
        char line[256];
        size_t kib = 0;
        while (f && kib == 0 && fgets(line, sizeof line, f))
                if (strncmp(line, "Anonymous:", 10) == 0)
                        kib = strtoul(line + 10, NULL, 10);
        if (f)
                fclose(f);
        return kib << 10;
}
#endif

static void test_memory_of_idle_nodes(void **state)
{
#ifdef SANITIZED
        skip();
#else
        enum { N = 100000 };
        size_t size;
        _cleanup_bytes_ Bytes *whole = make_segment(N, &size);
        size_t before = anonymous_bytes();
        if (before == 0)
                skip();
        _cleanup_scene_ Scene *s = make_scene(1 << 20);
        _cleanup_bytes_ Bytes *owner = bytes_new_copy("COMMON", 6), *none = names(0, NULL);
        for (unsigned i = 0; i < N; i++) {
                char uuid[40];
                snprintf(uuid, sizeof uuid, "%08x-aaaa-bbbb-cccc-%012x", i, i);
                _cleanup_bytes_ Bytes *payload = payload_of(0);
                Node *n;
                assert_int_equal(scene_put(s, uuid, 36, owner, none, payload, 1, &n), 0);
                place(s, n, 1, whole, i, size);
        }
        /* Idle ones are in a snapshot; it forgets which have changed. */
        SceneSnapshot *sn;
        assert_int_equal(scene_snapshot_begin(s, true, &(SceneSnapshotFuncs){ ignore, NULL }, NULL, &sn), 0);
        assert_int_equal(scene_snapshot_step(sn, N + 1), 0);
        scene_snapshot_free(sn);
        size_t each = (anonymous_bytes() - before) / N;
        print_message("# %zu bytes for each of %d nodes\n", each, N);
        assert_in_range(each, 100, 160); /* and the store's index about 20, for payloads from 256 bytes */
#endif
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_uuids_come_back),
                cmocka_unit_test(test_whole_node_keeps_its_owner),
                cmocka_unit_test(test_owners),
                cmocka_unit_test(test_removal_from_dependencies),
                cmocka_unit_test(test_dependencies),
                cmocka_unit_test(test_without),
                cmocka_unit_test(test_without_memo),
                cmocka_unit_test(test_list_too_long_in_full),
                cmocka_unit_test(test_deltas),
                cmocka_unit_test(test_encoding_is_cheap_with_a_graph),
                cmocka_unit_test(test_cache_is_bounded),
                cmocka_unit_test(test_fold_while_editing),
                cmocka_unit_test(test_mapped_bases),
                cmocka_unit_test(test_replayed_deltas_are_applied_when_needed),
                cmocka_unit_test(test_wants_fold),
                cmocka_unit_test(test_memory_of_idle_nodes),
        };
        return cmocka_run_group_tests_name("scene", tests, NULL, NULL);
}
