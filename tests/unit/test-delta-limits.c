/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a small delta could blow up, nest too deep or tie into a knot is refused, and leaves nothing behind.
 */

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "delta/delta.h"
#include "delta/text-buffer.h"
#include "pickle/dump.h"
#include "pickle/writer.h"
#include "test.h"

#define DUMP_MAX (16u << 20)
#define SECONDS_MAX 20.0

static Value *dict_of(const char *key, Value *v)
{
        Value *dict = value_dict_new();

        assert_int_equal(value_dict_set_string(dict, key, v), 0);
        value_unref(v);
        return dict;
}

static Value *list_of(Value *item)
{
        Value *list = value_list_new();

        assert_int_equal(value_list_append(list, item), 0);
        value_unref(item);
        return list;
}

static void put(Value *dict, const char *key, Value *v)
{
        assert_true(value_dict_set_string(dict, key, v) >= 0);
        value_unref(v);
}

static Value *nested(unsigned depth)
{
        Value *v = value_int_new(5);

        for (unsigned i = 0; i < depth; i++)
                v = list_of(v);
        return v;
}

static Bytes *dump(const Value *v)
{
        Bytes *b = NULL;

        assert_int_equal(value_dump(v, VALUE_DUMP_ORDERED, DUMP_MAX, &b), 0);
        return b;
}

static int apply_bytes(Value **root, const char *pickle, size_t size, DeltaReport *ret_report)
{
        _cleanup_bytes_ Bytes *delta = bytes_new_copy(pickle, size);

        return delta_apply(root, delta, &pickle_limits_default, ret_report);
}

/* Takes the delta over. */
static int apply(Value **root, Value *delta, DeltaReport *ret_report)
{
        _cleanup_bytes_ Bytes *bytes = NULL;
        int r = pickle_write(delta, SIZE_MAX, &bytes);

        assert_int_equal(r, 0);
        value_unref(delta);
        return delta_apply(root, bytes, &pickle_limits_default, ret_report);
}

static void assert_refused(Value *root, Value *delta, int expected)
{
        _cleanup_bytes_ Bytes *before = dump(root), *after = NULL;
        DeltaReport report = {};
        Value *same = root;

        assert_int_equal(apply(&same, delta, &report), expected);
        assert_ptr_equal(same, root);
        assert_non_null(report.detail);
        after = dump(root);
        assert_true(bytes_equal(before, after));
}

static Value *value_change(const char *path, Value *v)
{
        return dict_of("values_changed", dict_of(path, dict_of("new_value", v)));
}

static void test_depth(void **state)
{
        uint32_t max = pickle_limits_default.max_depth;
        _cleanup_value_ Value *root = nested(5);
        char path[8 + 3 * 300] = "root";

        assert_refused(root, value_change("root[0][0][0][0][0]", nested(max - 4)), DELTA_LIMIT);
        assert_int_equal(apply(&root, value_change("root[0][0][0][0][0]", nested(max - 5)), NULL), 0);
        /* At the very bottom there is room for a number only. */
        for (uint32_t i = 0; i < max; i++)
                strcat(path, "[0]");
        assert_refused(root, value_change(path, nested(1)), DELTA_LIMIT);
        assert_int_equal(apply(&root, value_change(path, value_int_new(6)), NULL), 0);
}

/* Depth that comes about through an alias, where the path does not show it. */
static void test_depth_through_alias(void **state)
{
        uint32_t max = pickle_limits_default.max_depth;
        _cleanup_value_ Value *root = value_dict_new(), *shared = nested(1);
        Value *deep = value_ref(shared);

        put(root, "short", value_ref(shared));
        for (uint32_t i = 0; i < max - 10; i++)
                deep = list_of(deep);
        put(root, "deep", deep);
        assert_refused(root, value_change("root['short'][0]", nested(20)), DELTA_LIMIT);
        assert_int_equal(apply(&root, value_change("root['short'][0]", nested(5)), NULL), 0);
}

/* One container of the delta is put into the node and then edited to hold another one that holds it. */
static void test_cycle(void **state)
{
        _cleanup_value_ Value *root = dict_of("a", value_int_new(1));
        Value *inner = list_of(value_int_new(0)), *outer = list_of(value_ref(inner)),
              *delta = value_dict_new();

        put(delta, "values_changed", dict_of("root['a']", dict_of("new_value", inner)));
        put(delta, "dictionary_item_added", dict_of("root['a'][0]", outer));
        assert_refused(root, delta, DELTA_LIMIT);
}

static void test_cycle_through_type_change(void **state)
{
        _cleanup_value_ Value *root = dict_of("a", value_int_new(1));
        Value *x = list_of(value_int_new(0)), *delta = value_dict_new(), *change = value_dict_new();

        put(change, "new_value", list_of(value_ref(x)));
        put(delta, "values_changed", dict_of("root['a']", dict_of("new_value", x)));
        put(delta, "type_changes", dict_of("root['a'][0]", change));
        assert_refused(root, delta, DELTA_LIMIT);
}

/* A cycle is only looked for in the end; until then walks must not follow it for ever. */
static void test_cycle_in_fingerprint(void **state)
{
        _cleanup_value_ Value *root = list_of(value_int_new(1)), *five = value_int_new(5), *item = nested(1);
        Value *x = list_of(value_int_new(0)), *indexes = value_dict_new(), *delta = value_dict_new();

        assert_int_equal(value_dict_set(indexes, five, item, NULL), 0);
        put(delta, "values_changed", dict_of("root", dict_of("new_value", value_ref(x))));
        put(delta, "iterable_item_added", dict_of("root[0]", x));
        put(delta, "iterable_items_added_at_indexes", dict_of("root", indexes));
        assert_refused(root, delta, DELTA_LIMIT);
}

static void test_own_categories(void **state)
{
        _cleanup_value_ Value *root = dict_of("a", value_int_new(1));
        Value *added = dict_of("root['b']", value_int_new(2)), *delta = value_dict_new();

        put(delta, "values_changed", dict_of("root['a']", dict_of("new_value", value_ref(added))));
        put(delta, "dictionary_item_added", added);
        assert_refused(root, delta, DELTA_UNSUPPORTED);
}

/* Lists that contain the one before twice: 2^60 leaves in a few hundred bytes. */
static Value *doubled(unsigned n)
{
        Value *v = list_of(value_int_new(1));

        for (unsigned i = 0; i < n; i++) {
                Value *pair = list_of(value_ref(v));

                assert_int_equal(value_list_append(pair, v), 0);
                value_unref(v);
                v = pair;
        }
        return v;
}

static void test_doubling_is_linear(void **state)
{
        _cleanup_value_ Value *root = list_of(doubled(60));
        Value *delta = value_dict_new();
        clock_t start = clock();
        int r;

        put(delta, "iterable_item_removed", dict_of("root[0]", doubled(60)));
        r = apply(&root, delta, NULL);
        assert_true(r == 0 || r == DELTA_LIMIT);
        assert_int_equal(value_list_length(root), r == 0 ? 0 : 1);
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < SECONDS_MAX);
}

static void test_doubling_in_fingerprints(void **state)
{
        _cleanup_value_ Value *root = list_of(doubled(60));
        Value *indexes = value_dict_new();
        _cleanup_value_ Value *zero = value_int_new(0), *v = doubled(60);
        clock_t start = clock();

        assert_int_equal(value_dict_set(indexes, zero, v, NULL), 0);
        assert_int_equal(
            apply(&root, dict_of("iterable_items_added_at_indexes", dict_of("root", indexes)), NULL), 0);
        assert_int_equal(value_list_length(root), 1);
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < SECONDS_MAX);
}

/* ---- conversions: their types are globals, which the writer refuses, so the pickle is put together here
 * ---- */

static void put_text(Text *t, const char *text)
{
        assert_int_equal(text_append_byte(t, 0x8c), 0);
        assert_int_equal(text_append_byte(t, (uint8_t)strlen(text)), 0);
        assert_int_equal(text_append_string(t, text), 0);
}

static int convert(Value **root, const char *path, const char *type, DeltaReport *ret_report)
{
        _cleanup_text_ Text t = {};
        _cleanup_bytes_ Bytes *delta = NULL;

        assert_int_equal(text_append_string(&t, "\x80\x04}"), 0);
        put_text(&t, "type_changes");
        assert_int_equal(text_append_byte(&t, '}'), 0);
        put_text(&t, path);
        assert_int_equal(text_append_byte(&t, '}'), 0);
        put_text(&t, "new_type");
        put_text(&t, "builtins");
        put_text(&t, type);
        assert_int_equal(text_append_string(&t, "\x93sss."), 0);
        delta = bytes_new_copy(t.data, t.size);
        return delta_apply(root, delta, &pickle_limits_default, ret_report);
}

static void test_huge_bytes(void **state)
{
        _cleanup_value_ Value *root = list_of(value_int_new(INT64_C(1000000000)));
        DeltaReport report;

        assert_int_equal(convert(&root, "root[0]", "bytes", &report), DELTA_LIMIT);
        assert_int_equal(value_int_get(value_list_get(root, 0)), 1000000000);
}

static void test_impossible_bytes_are_skipped(void **state)
{
        _cleanup_value_ Value *root = list_of(value_int_new(INT64_C(1) << 62));
        DeltaReport report;

        assert_int_equal(convert(&root, "root[0]", "bytes", &report), 0);
        assert_int_equal(report.n_skipped, 1);
}

static void test_text_of_doubled(void **state)
{
        _cleanup_value_ Value *root = list_of(doubled(60));
        clock_t start = clock();
        DeltaReport report;

        assert_int_equal(convert(&root, "root[0]", "str", &report), DELTA_LIMIT);
        assert_int_equal(value_type(value_list_get(root, 0)), VALUE_LIST);
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < SECONDS_MAX);
}

static void test_unknown_conversions(void **state)
{
        _cleanup_value_ Value *root = list_of(value_int_new(5));
        DeltaReport report;

        assert_int_equal(convert(&root, "root[0]", "complex", &report), DELTA_UNSUPPORTED);
        assert_int_equal(convert(&root, "root[0]", "slice", &report), DELTA_UNSUPPORTED);
        assert_int_equal(convert(&root, "root", "complex", &report), DELTA_ABORTED);
}

/* ---- the whole ---- */

static void test_malformed(void **state)
{
        static const char no_dict[] = "\x80\x04].", cut[] = "\x80\x04}\x94(", call[] = "cos\nsystem\n.";
        _cleanup_value_ Value *root = list_of(value_int_new(5));
        DeltaReport report;

        assert_int_equal(apply_bytes(&root, "", 0, &report), DELTA_MALFORMED);
        assert_int_equal(apply_bytes(&root, no_dict, sizeof(no_dict) - 1, &report), DELTA_MALFORMED);
        assert_int_equal(apply_bytes(&root, cut, sizeof(cut) - 1, &report), DELTA_MALFORMED);
        assert_int_equal(report.offset, sizeof(cut) - 1);
        assert_int_equal(apply_bytes(&root, call, sizeof(call) - 1, &report), DELTA_MALFORMED);
        assert_string_equal(report.detail, "forbidden global");
}

/* Edits of all kinds, and an abort in the very last category. */
static void test_late_abort(void **state)
{
        _cleanup_value_ Value *root = value_dict_new();
        Value *delta = value_dict_new(), *removed = value_dict_new(), *mixed = value_dict_new();
        char key[16], path[32];

        for (int i = 0; i < 50; i++) {
                snprintf(key, sizeof(key), "k%d", i);
                put(root, key, nested(2));
        }
        for (int i = 5; i < 50; i += 3) {
                snprintf(path, sizeof(path), "root['k%d']", i);
                put(removed, path, nested(2));
        }
        put(mixed, "root['k0'][0]", value_none());
        put(mixed, "root['k0']['x']", value_none());
        put(delta, "values_changed", dict_of("root['k1'][0]", dict_of("new_value", value_int_new(7))));
        put(delta, "iterable_item_added", dict_of("root['k2'][0]", value_int_new(7)));
        put(delta, "iterable_item_removed", dict_of("root['k3'][0]", nested(1)));
        put(delta, "dictionary_item_added", dict_of("root['new']", value_int_new(7)));
        put(delta, "dictionary_item_removed", removed);
        put(delta, "attribute_removed", mixed);
        assert_refused(root, delta, DELTA_ABORTED);
}

static void test_size_change(void **state)
{
        _cleanup_value_ Value *root = list_of(value_int_new(5));
        uint8_t bytes[10000] = {};
        DeltaReport report;

        assert_int_equal(
            apply(&root, value_change("root[0]", value_bytes_new(bytes, sizeof(bytes))), &report), 0);
        assert_in_range(report.size_change, sizeof(bytes), sizeof(bytes) + 1000);
        assert_int_equal(apply(&root, value_change("root[0]", value_int_new(5)), &report), 0);
        assert_in_range(-report.size_change, sizeof(bytes), sizeof(bytes) + 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_depth_through_alias),
                cmocka_unit_test(test_cycle),
                cmocka_unit_test(test_cycle_through_type_change),
                cmocka_unit_test(test_cycle_in_fingerprint),
                cmocka_unit_test(test_own_categories),
                cmocka_unit_test(test_doubling_is_linear),
                cmocka_unit_test(test_doubling_in_fingerprints),
                cmocka_unit_test(test_huge_bytes),
                cmocka_unit_test(test_impossible_bytes_are_skipped),
                cmocka_unit_test(test_text_of_doubled),
                cmocka_unit_test(test_unknown_conversions),
                cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_late_abort),
                cmocka_unit_test(test_size_change),
        };
        return cmocka_run_group_tests_name("delta-limits", tests, NULL, NULL);
}
