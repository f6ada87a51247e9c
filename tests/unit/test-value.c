/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>

#include "pickle/dump.h"
#include "pickle/siphash.h"
#include "pickle/value.h"
#include "test.h"

static void assert_dump(const Value *v, const char *expected)
{
        _cleanup_bytes_ Bytes *text = NULL;
        assert_int_equal(value_dump(v, VALUE_DUMP_ORDERED, 1 << 20, &text), 0);
        _cleanup_free_ char *copy = strndup((const char *)text->data, text->size);
        assert_string_equal(copy, expected);
}

/* Takes the items over, so that tests can write values down. */
static Value *list_of(size_t n, Value **items)
{
        Value *list = value_list_new();
        assert_int_equal(value_list_extend_take(list, items, (uint32_t)n), 0);
        return list;
}

static Value *tuple_of(size_t n, Value **items)
{
        return value_tuple_take(items, (uint32_t)n);
}

#define LIST(...) list_of(ELEMENTSOF(((Value *[]){ __VA_ARGS__ })), (Value *[]){ __VA_ARGS__ })
#define TUPLE(...) tuple_of(ELEMENTSOF(((Value *[]){ __VA_ARGS__ })), (Value *[]){ __VA_ARGS__ })
#define INT(i) value_int_new(i)
#define FLOAT(f) value_float_new(f)
#define STR(s) value_string_new(s)

static void dict_put(Value *dict, Value *key, Value *value, int expected)
{
        assert_int_equal(value_dict_set(dict, key, value, NULL), expected);
        value_unref(key);
        value_unref(value);
}

/* 2^64 + low */
static Value *above_64_bits(uint8_t low)
{
        return value_bigint_new((uint8_t[]){ low, 0, 0, 0, 0, 0, 0, 0, 1 }, 9);
}

static bool keys_equal(Value *a, Value *b)
{
        bool equal = value_key_equal(a, b), same_digest;
        ValueDigest x = value_digest(a), y = value_digest(b);
        same_digest = x.low == y.low && x.high == y.high;
        assert_int_equal(equal, same_digest);
        assert_int_equal(equal, value_key_equal(b, a));
        value_unref(a);
        value_unref(b);
        return equal;
}

static void test_siphash_reference_vector(void **state)
{
        uint8_t key[16], input[15];
        for (uint8_t i = 0; i < 16; i++)
                key[i] = i;
        for (uint8_t i = 0; i < 15; i++)
                input[i] = i;
        SipHash s;
        uint64_t result[2];
        siphash_begin(&s, key);
        siphash_add(&s, input, 4);
        siphash_add(&s, input + 4, 11);
        siphash_end(&s, result);
        /* vectors_sip128[15] of the authors' reference */
        assert_true(result[0] == UINT64_C(0x11a8b03399e99354) && result[1] == UINT64_C(0xd9c3cf970fec087e));
}

static void test_key_equality_is_pythons(void **state)
{
        assert_true(keys_equal(INT(1), FLOAT(1.0)));
        assert_true(keys_equal(INT(1), value_bool(true)));
        assert_true(keys_equal(value_bool(false), FLOAT(-0.0)));
        assert_true(keys_equal(FLOAT(0.0), FLOAT(-0.0)));
        assert_false(keys_equal(INT((INT64_C(1) << 53) + 1), FLOAT(0x1p53)));
        assert_true(keys_equal(INT(INT64_MIN), FLOAT(-0x1p63)));
        assert_false(keys_equal(INT(INT64_MAX), FLOAT(0x1p63)));
        assert_true(keys_equal(above_64_bits(0), FLOAT(0x1p64)));
        assert_false(keys_equal(above_64_bits(1), FLOAT(0x1p64)));
        assert_false(keys_equal(STR("a"), value_bytes_new("a", 1)));
        assert_true(keys_equal(STR("a"), STR("a")));
        assert_false(keys_equal(value_none(), INT(0)));
        assert_true(keys_equal(TUPLE(INT(1), STR("x")), TUPLE(FLOAT(1.0), STR("x"))));
        assert_false(keys_equal(TUPLE(INT(1)), TUPLE(INT(1), INT(1))));
        assert_false(keys_equal(TUPLE(TUPLE(INT(1)), INT(2)), TUPLE(INT(1), TUPLE(INT(2)))));
        assert_false(keys_equal(FLOAT(INFINITY), FLOAT(-INFINITY)));
        assert_true(keys_equal(FLOAT(INFINITY), FLOAT(INFINITY)));
        assert_false(keys_equal(FLOAT(NAN), FLOAT(NAN)));
        Value *nan = FLOAT(NAN);
        assert_true(keys_equal(nan, value_ref(nan)));
}

static void test_long_strings_compare_by_content(void **state)
{
        char text[5000];
        memset(text, 'x', sizeof text);
        assert_true(keys_equal(value_str_new(text, 65), value_str_new(text, 65)));
        Value *a = value_str_new(text, sizeof text);
        text[4999] = 'y';
        assert_false(keys_equal(a, value_str_new(text, sizeof text)));
}

static void test_frozensets_compare_without_order(void **state)
{
        Value *a = value_frozenset_new(), *b = value_frozenset_new();
        for (int i = 0; i < 20; i++) {
                _cleanup_value_ Value *x = INT(i), *y = FLOAT(19 - i);
                assert_int_equal(value_set_add(a, x), 0);
                assert_int_equal(value_set_add(b, y), 0);
        }
        assert_true(keys_equal(a, b));
        assert_false(keys_equal(value_frozenset_new(), TUPLE(INT(1))));
}

static void test_hashable(void **state)
{
        _cleanup_value_ Value *list = LIST(INT(1)), *dict = value_dict_new(),
                              *good = TUPLE(INT(1), TUPLE(STR("x")));
        _cleanup_value_ Value *bad = TUPLE(INT(1), TUPLE(value_list_new()));
        assert_false(value_is_hashable(list));
        assert_false(value_is_hashable(dict));
        assert_true(value_is_hashable(good));
        assert_false(value_is_hashable(bad));
        assert_int_equal(value_dict_set(dict, bad, good, NULL), -EINVAL);
        assert_int_equal(value_dict_set(dict, list, good, NULL), -EINVAL);
        assert_null(value_dict_get(dict, list));

        Value *deep = value_none();
        for (unsigned i = 0; i < VALUE_HASH_DEPTH_MAX; i++)
                deep = TUPLE(deep);
        assert_true(value_is_hashable(deep));
        value_digest(deep);
        deep = TUPLE(deep);
        assert_false(value_is_hashable(deep));
        value_unref(deep);
}

static void test_dict_keeps_first_key_and_order(void **state)
{
        _cleanup_value_ Value *dict = value_dict_new();
        dict_put(dict, INT(1), STR("a"), 0);
        dict_put(dict, STR("k"), INT(2), 0);
        dict_put(dict, value_bool(true), STR("b"), 1);
        dict_put(dict, FLOAT(1.0), STR("c"), 1);
        assert_dump(dict, "{i1:s\"c\",s\"k\":i2,}");

        Value *old = NULL, *seven = INT(7);
        assert_int_equal(value_dict_set(dict, seven, seven, &old), 0);
        assert_null(old);
        assert_int_equal(value_dict_set(dict, seven, dict, &old), 1);
        assert_ptr_equal(old, seven);
        value_dict_set(dict, seven, value_none(), NULL);
        assert_ptr_equal(value_dict_get_string(dict, "k"), INT(2));
        assert_null(value_dict_get_string(dict, "missing"));
        assert_null(value_dict_get_string(value_none(), "k"));
        assert_null(value_dict_get_string(NULL, "k"));
        assert_false(value_dict_remove_string(dict, "missing"));
        assert_false(value_dict_remove_string(NULL, "k"));
        assert_true(value_dict_remove_string(dict, "k"));
        assert_null(value_dict_get_string(dict, "k"));
}

/* Removals and insertions, undone in reverse, leave the same order and the same objects. */
static void undo_round(unsigned n, unsigned seed)
{
        _cleanup_value_ Value *dict = value_dict_new();
        for (unsigned i = 0; i < n; i++)
                dict_put(dict, INT(i * 1000), INT(i), 0);
        _cleanup_bytes_ Bytes *before = NULL, *after = NULL;
        assert_int_equal(value_dump(dict, VALUE_DUMP_ORDERED, 1 << 20, &before), 0);

        struct {
                bool added;
                Value *key, *value;
                uint32_t position;
        } undo[200];
        size_t n_undo = 0;
        for (unsigned i = 0; i < ELEMENTSOF(undo); i++) {
                seed = seed * 1103515245 + 12345;
                _cleanup_value_ Value *key = INT((seed >> 16) % (2 * n) * 1000);
                uint32_t slot = value_table_find(dict, key);
                undo[n_undo].added = slot == VALUE_SLOT_END;
                if (undo[n_undo].added) {
                        undo[n_undo].key = value_ref(key);
                        assert_int_equal(value_dict_set(dict, key, value_none(), NULL), 0);
                } else {
                        value_table_remove(dict, slot, &undo[n_undo].key, &undo[n_undo].value,
                                           &undo[n_undo].position);
                }
                n_undo++;
        }
        while (n_undo-- > 0)
                if (undo[n_undo].added) {
                        value_table_remove(dict, value_table_find(dict, undo[n_undo].key), NULL, NULL, NULL);
                        value_unref(undo[n_undo].key);
                } else {
                        value_table_insert_at_take(dict, undo[n_undo].position, undo[n_undo].key,
                                                   undo[n_undo].value);
                }
        assert_int_equal(value_dump(dict, VALUE_DUMP_ORDERED, 1 << 20, &after), 0);
        assert_true(bytes_equal(before, after));
        for (unsigned i = 0; i < n; i++) {
                _cleanup_value_ Value *key = FLOAT(i * 1000);
                assert_int_equal(value_int_get(value_dict_get(dict, key)), i);
        }
}

static void test_dict_undo_restores_order(void **state)
{
        for (unsigned seed = 1; seed <= 30; seed++) {
                undo_round(5, seed);
                undo_round(8, seed);
                undo_round(9, seed);
                undo_round(100, seed);
        }
}

static void test_dict_removal_keeps_others(void **state)
{
        _cleanup_value_ Value *dict = value_dict_new();
        for (int i = 0; i < 1000; i++)
                dict_put(dict, INT(i), INT(-i), 0);
        for (int i = 0; i < 1000; i += 2) {
                _cleanup_value_ Value *key = INT(i);
                value_table_remove(dict, value_table_find(dict, key), NULL, NULL, NULL);
        }
        int expected = 1;
        for (uint32_t slot = value_table_first(dict); slot != VALUE_SLOT_END;
             slot = value_table_next(dict, slot)) {
                assert_int_equal(value_int_get(value_table_key(dict, slot)), expected);
                expected += 2;
        }
        assert_int_equal(expected, 1001);
        dict_put(dict, INT(0), INT(0), 0);
        assert_int_equal(value_table_length(dict), 501);
}

/* Against a plain array, with random operations. */
static void test_list_gap(void **state)
{
        int64_t model[400];
        size_t n = 0;
        unsigned seed = 7;
        _cleanup_value_ Value *list = value_list_new();

        for (int step = 0; step < 20000; step++) {
                seed = seed * 1103515245 + 12345;
                size_t i = (seed >> 16) % (n + 1);
                bool insert = n == 0 || (n < ELEMENTSOF(model) && (seed >> 8 & 1));
                if (insert) {
                        _cleanup_value_ Value *item = INT(step);
                        memmove(model + i + 1, model + i, (n - i) * sizeof *model);
                        model[i] = step;
                        n++;
                        assert_int_equal(value_list_insert(list, (uint32_t)i, item), 0);
                } else if (i < n) {
                        Value *item;
                        value_list_remove(list, (uint32_t)i, &item);
                        assert_int_equal(value_int_get(item), model[i]);
                        value_unref(item);
                        memmove(model + i, model + i + 1, (n - i - 1) * sizeof *model);
                        n--;
                }
                if (step % 37 == 0)
                        for (size_t j = 0; j < n; j++)
                                assert_int_equal(value_int_get(value_list_get(list, (uint32_t)j)), model[j]);
        }
}

static void test_list_set_swap_slice(void **state)
{
        _cleanup_value_ Value *a = LIST(INT(1), INT(2), INT(3)), *b = LIST(STR("x"));
        Value *old;
        value_list_set(a, 1, b, &old);
        assert_int_equal(value_int_get(old), 2);
        value_list_set(a, 1, value_none(), NULL);
        value_list_swap(a, b);
        assert_dump(a, "[s\"x\",]");
        assert_dump(b, "[i1,N,i3,]");
        _cleanup_value_ Value *slice = value_list_slice_new(b, 1, 3), *tuple = value_tuple_slice_new(b, 0, 2);
        assert_dump(slice, "[N,i3,]");
        assert_dump(tuple, "(i1,N,)");
}

static void test_bytearray(void **state)
{
        _cleanup_value_ Value *v = value_bytearray_new("abc", 3);
        assert_int_equal(value_bytearray_splice(v, 1, 1, "XYZ", 3), 0);
        assert_dump(v, "B\"aXYZc\"");
        assert_int_equal(value_bytearray_splice(v, 0, 4, NULL, 0), 0);
        value_bytearray_set(v, 0, 0xff);
        assert_dump(v, "B\"\\xff\"");
        assert_int_equal(value_bytearray_splice(v, 0, 1, NULL, 0), 0);
        assert_dump(v, "B\"\"");
}

static void test_sets(void **state)
{
        _cleanup_value_ Value *set = value_set_new(), *one = INT(1), *same = FLOAT(1.0),
                              *list = value_list_new();
        assert_int_equal(value_set_add(set, one), 0);
        assert_int_equal(value_set_add(set, same), 1);
        assert_int_equal(value_set_add(set, list), -EINVAL);
        assert_true(value_set_contains(set, value_bool(true)));
        assert_dump(set, "<i1,>");
        Value *member;
        value_table_remove(set, value_table_find(set, same), &member, NULL, NULL);
        assert_ptr_equal(member, one);
        assert_dump(set, "<>");
}

static void assert_equal_is(Value *a, Value *b, int expected)
{
        assert_int_equal(value_equal(a, b), expected);
        assert_int_equal(value_equal(b, a), expected);
        value_unref(a);
        value_unref(b);
}

static void test_deep_equality(void **state)
{
        assert_equal_is(LIST(INT(1), LIST(FLOAT(2.0))), LIST(value_bool(true), LIST(INT(2))), 1);
        assert_equal_is(LIST(INT(1)), TUPLE(INT(1)), 0);
        assert_equal_is(LIST(INT(1)), LIST(INT(1), INT(2)), 0);
        assert_equal_is(value_bytes_new("ab", 2), value_bytearray_new("ab", 2), 1);
        assert_equal_is(value_bytes_new("ab", 2), STR("ab"), 0);
        assert_equal_is(value_set_new(), value_frozenset_new(), 1);
        assert_equal_is(value_set_new(), value_dict_new(), 0);
        assert_equal_is(value_none(), value_none(), 1);
        assert_equal_is(value_none(), value_bool(false), 0);
        assert_equal_is(FLOAT(NAN), FLOAT(NAN), 0);
        Value *nan = FLOAT(NAN);
        assert_int_equal(value_equal(nan, nan), 0);
        assert_equal_is(LIST(value_ref(nan)), LIST(value_ref(nan)), 1);
        assert_equal_is(LIST(nan), LIST(FLOAT(NAN)), 0);

        Value *a = value_dict_new(), *b = value_dict_new();
        dict_put(a, INT(1), LIST(INT(5)), 0);
        dict_put(a, STR("x"), value_none(), 0);
        dict_put(b, STR("x"), value_none(), 0);
        dict_put(b, FLOAT(1.0), LIST(FLOAT(5.0)), 0);
        assert_equal_is(value_ref(a), value_ref(b), 1);
        dict_put(b, STR("x"), INT(0), 1);
        assert_equal_is(value_ref(a), value_ref(b), 0);
        dict_put(b, STR("y"), INT(0), 0);
        assert_equal_is(a, b, 0);
}

/* Two ladders of n rungs; in one every rung is shared, in the other every second one. */
static Value *ladder(unsigned n, unsigned phase, int foot)
{
        Value *rung = LIST(INT(foot));
        for (unsigned i = 0; i < n; i++)
                if (i % 2 == phase)
                        rung = LIST(value_ref(rung), rung);
                else
                        rung = LIST(LIST(value_ref(rung)), LIST(rung));
        return rung;
}

static void test_equality_of_shared_graphs_is_not_exponential(void **state)
{
        /* As trees these have 2^200 nodes. */
        assert_equal_is(ladder(200, 2, 1000), ladder(200, 2, 1000), 1);
        assert_equal_is(ladder(200, 2, 1000), ladder(200, 2, 1001), 0);
        Value *a = LIST(INT(0)), *b = LIST(INT(0));
        for (int i = 0; i < 100; i++) {
                a = i % 2 ? LIST(value_ref(a), a)
                          : LIST(LIST(value_ref(a), value_ref(a)), LIST(value_ref(a), a));
                b = i % 2 ? LIST(value_ref(b), b)
                          : LIST(LIST(value_ref(b), value_ref(b)), LIST(value_ref(b), b));
        }
        assert_equal_is(a, b, 1);
}

static void test_freeing_deep_and_wide(void **state)
{
        Value *v = value_list_new();
        for (int i = 0; i < 1000000; i++)
                v = i % 2 ? LIST(v) : TUPLE(v);
        value_unref(v);
}

static void test_copies_are_shallow(void **state)
{
        _cleanup_value_ Value *inner = LIST(INT(300)), *list = LIST(value_ref(inner)),
                              *copy = value_shallow_copy(list);
        assert_ptr_not_equal(copy, list);
        assert_ptr_equal(value_list_get(copy, 0), inner);
        _cleanup_value_ Value *dict = value_dict_new();
        dict_put(dict, STR("k"), value_ref(inner), 0);
        _cleanup_value_ Value *dict_copy = value_shallow_copy(dict);
        value_list_append(inner, value_none());
        assert_dump(dict_copy, "{s\"k\":[i12c,N,],}");
        _cleanup_value_ Value *text = STR("x"), *same = value_shallow_copy(text);
        assert_ptr_equal(text, same);
}

static void test_heap_size_counts_shared_once(void **state)
{
        _cleanup_value_ Value *big = value_bytes_new((char[10000]){}, 10000);
        _cleanup_value_ Value *one = LIST(value_ref(big)), *two = LIST(value_ref(big), value_ref(big));
        size_t a, b;
        assert_int_equal(value_heap_size(one, &a), 0);
        assert_int_equal(value_heap_size(two, &b), 0);
        assert_in_range(a, 10000, 10300);
        assert_in_range(b, 10000, 10300);
        assert_int_equal(value_heap_size(value_none(), &a), 0);
        assert_int_equal(a, 0);
}

static void test_slices_keep_the_payload(void **state)
{
        uint8_t *data;
        Bytes *payload = bytes_new_uninitialised(10000, &data);
        memset(data, 'z', 10000);
        Value *large = value_bytes_slice_new(payload, 100, 9000),
              *small = value_bytes_slice_new(payload, 0, 50);
        assert_ptr_equal(value_data(large), payload->data + 100);
        assert_ptr_not_equal(value_data(small), payload->data);
        _cleanup_bytes_ Bytes *out = value_to_bytes(large), *copy = value_to_bytes(small);
        assert_ptr_equal(out->data, payload->data + 100);
        assert_int_equal(copy->size, 50);
        bytes_unref(payload);
        value_unref(large);
        value_unref(small);
        assert_int_equal(out->data[8999], 'z');
}

static void test_numbers(void **state)
{
        int64_t i;
        _cleanup_value_ Value *f = FLOAT(3.0), *g = FLOAT(3.5), *big = above_64_bits(0), *n = INT(INT64_MIN);
        assert_true(value_as_int64(f, &i) && i == 3);
        assert_true(value_as_int64(n, &i) && i == INT64_MIN);
        assert_true(value_as_int64(value_bool(true), &i) && i == 1);
        assert_false(value_as_int64(g, &i));
        assert_false(value_as_int64(big, &i));
        assert_false(value_as_int64(value_none(), &i));
        /* superfluous sign bytes */
        _cleanup_value_ Value *short_one = value_bigint_new((uint8_t[]){ 0xff, 0xff, 0xff }, 3);
        assert_int_equal(value_int_get(short_one), -1);
        _cleanup_value_ Value *empty = value_bigint_new(NULL, 0);
        assert_int_equal(value_int_get(empty), 0);
}

static void test_dump_forms(void **state)
{
        assert_dump(value_none(), "N");
        assert_dump(value_bool(true), "T");
        assert_dump(value_bool(false), "F");
        _cleanup_value_ Value *negative = INT(-31), *zero = FLOAT(-0.0), *big = above_64_bits(5);
        assert_dump(negative, "i-1f");
        assert_dump(zero, "f8000000000000000");
        assert_dump(big, "i10000000000000005");
        _cleanup_value_ Value *minus = value_bigint_new((uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0xff }, 9);
        assert_dump(minus, "i-10000000000000000");
        _cleanup_value_ Value *text = STR("a\"\\\n\xc3\xa9~"), *bytes = value_bytes_new("\0x", 2);
        assert_dump(text, "s\"a\\x22\\x5c\\x0a\\xc3\\xa9~\"");
        assert_dump(bytes, "b\"\\x00x\"");
        _cleanup_value_ Value *set = value_set_new(), *frozen = value_frozenset_new(),
                              *empty = value_tuple_new(NULL, 0);
        for (int i = 3; i > 0; i--) {
                _cleanup_value_ Value *member = INT(i);
                value_set_add(set, member);
                value_set_add(frozen, member);
        }
        assert_dump(set, "<i1,i2,i3,>");
        assert_dump(frozen, "{|i1,i2,i3,|}");
        assert_dump(empty, "()");

        _cleanup_value_ Value *dict = value_dict_new();
        dict_put(dict, STR("b"), INT(1), 0);
        dict_put(dict, STR("a"), value_dict_new(), 0);
        assert_dump(dict, "{s\"b\":i1,s\"a\":{},}");
        _cleanup_bytes_ Bytes *sorted = NULL;
        assert_int_equal(value_dump(dict, VALUE_DUMP_SORTED, 100, &sorted), 0);
        assert_true(bytes_equal_string(sorted, "{s\"a\":{},s\"b\":i1,}"));
        assert_int_equal(value_dump(dict, VALUE_DUMP_SORTED, sorted->size - 1, &sorted), -E2BIG);
}

static void test_dump_of_shared_graph_is_bounded(void **state)
{
        Bytes *text = NULL;
        Value *v = ladder(100, 2, 1);
        assert_int_equal(value_dump(v, VALUE_DUMP_SORTED, 100000, &text), -E2BIG);
        assert_null(text);
        value_unref(v);
}

static void test_many_references_saturate(void **state)
{
        Value *v = value_string_new("held too often");
        v->n_ref = VALUE_IMMORTAL - 1;
        value_ref(v);
        for (int i = 0; i < 3; i++)
                value_unref(v);
        assert_true(v->n_ref == VALUE_IMMORTAL);
        v->n_ref = 1;
        value_unref(v);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_siphash_reference_vector),
                cmocka_unit_test(test_key_equality_is_pythons),
                cmocka_unit_test(test_long_strings_compare_by_content),
                cmocka_unit_test(test_frozensets_compare_without_order),
                cmocka_unit_test(test_hashable),
                cmocka_unit_test(test_dict_keeps_first_key_and_order),
                cmocka_unit_test(test_dict_undo_restores_order),
                cmocka_unit_test(test_dict_removal_keeps_others),
                cmocka_unit_test(test_list_gap),
                cmocka_unit_test(test_list_set_swap_slice),
                cmocka_unit_test(test_bytearray),
                cmocka_unit_test(test_sets),
                cmocka_unit_test(test_deep_equality),
                cmocka_unit_test(test_equality_of_shared_graphs_is_not_exponential),
                cmocka_unit_test(test_freeing_deep_and_wide),
                cmocka_unit_test(test_copies_are_shallow),
                cmocka_unit_test(test_heap_size_counts_shared_once),
                cmocka_unit_test(test_slices_keep_the_payload),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_dump_forms),
                cmocka_unit_test(test_dump_of_shared_graph_is_bounded),
                cmocka_unit_test(test_many_references_saturate),
        };
        return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
