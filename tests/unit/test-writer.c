/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writer and builder. That Python loads what they write is checked by test-pickle-python.py. */

#include <errno.h>

#include "pickle/builder.h"
#include "pickle/dump.h"
#include "pickle/reader.h"
#include "pickle/writer.h"
#include "test.h"

static Value *read_pickle(Bytes *pickle)
{
        Value *value = NULL;
        assert_int_equal(pickle_read(pickle, PICKLE_PROFILE_DATA, &pickle_limits_default, &value, NULL), 0);
        return value;
}

static void assert_dump(const Value *v, const char *expected)
{
        _cleanup_bytes_ Bytes *text = NULL;
        assert_int_equal(value_dump(v, VALUE_DUMP_ORDERED, 1 << 20, &text), 0);
        _cleanup_free_ char *copy = strndup((const char *)text->data, text->size);
        assert_string_equal(copy, expected);
}

/* Reads a pickle of the text and expects these bytes when it is written. */
static void assert_written(const void *in, size_t in_size, const void *out, size_t out_size)
{
        _cleanup_bytes_ Bytes *pickle = bytes_new_copy(in, in_size), *written = NULL;
        _cleanup_value_ Value *value = read_pickle(pickle);
        assert_int_equal(pickle_write(value, SIZE_MAX, &written), 0);
        assert_int_equal(written->size, out_size);
        assert_memory_equal(written->data, out, out_size);
}

#define WRITTEN(in, out) assert_written(in, sizeof(in) - 1, out, sizeof(out) - 1)

static void test_shortest_forms(void **state)
{
        WRITTEN("N.", "\x80\x04N.");
        WRITTEN("I01\n.", "\x80\x04\x88.");
        WRITTEN("L255\n.", "\x80\x04K\xff.");
        WRITTEN("L256\n.", "\x80\x04M\x00\x01.");
        WRITTEN("L65536\n.", "\x80\x04J\x00\x00\x01\x00.");
        WRITTEN("L-1\n.", "\x80\x04J\xff\xff\xff\xff.");
        WRITTEN("L2147483648\n.", "\x80\x04\x8a\x05\x00\x00\x00\x80\x00.");
        WRITTEN("L-9223372036854775809\n.", "\x80\x04\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\xff.");
        WRITTEN("F1.0\n.", "\x80\x04G\x3f\xf0\x00\x00\x00\x00\x00\x00.");
        WRITTEN("X\x01\x00\x00\x00x.", "\x80\x04\x8c\x01x.");
        WRITTEN("B\x01\x00\x00\x00x.", "\x80\x04" "C\x01x.");
        WRITTEN("](NNe.", "\x80\x04](NNe.");
        WRITTEN("](Ne.", "\x80\x04]Na.");
        WRITTEN("}(NNu.", "\x80\x04}NNs.");
        WRITTEN("}(NNK\x01Nu.", "\x80\x04}(NNK\x01Nu.");
        WRITTEN("(t.", "\x80\x04).");
        WRITTEN("(NNNt.", "\x80\x04NNN\x87.");
        WRITTEN("(NNNNt.", "\x80\x04(NNNNt.");
        WRITTEN("\x8f.", "\x80\x04\x8f.");
        WRITTEN("\x8f(N\x90.", "\x80\x04\x8f(N\x90.");
        WRITTEN("(\x91.", "\x80\x04(\x91.");
        /* A bytearray needs no global, but a higher protocol. */
        WRITTEN("\x96\x01\x00\x00\x00\x00\x00\x00\x00x.", "\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00x.");
}

static void test_large_counts(void **state)
{
        char text[400];
        memset(text, 'x', sizeof text);
        _cleanup_value_ Value *str = value_str_new(text, 256), *bytes = value_bytes_new(text, 300);
        _cleanup_bytes_ Bytes *a = NULL, *b = NULL;
        assert_int_equal(pickle_write(str, SIZE_MAX, &a), 0);
        assert_int_equal(pickle_write(bytes, SIZE_MAX, &b), 0);
        assert_memory_equal(a->data, "\x80\x04X\x00\x01\x00\x00xx", 9);
        assert_memory_equal(b->data, "\x80\x04" "B\x2c\x01\x00\x00xx", 9);
        assert_int_equal(a->size, 2 + 5 + 256 + 1);

        /* 256 bytes of two's complement are too many for LONG1 */
        uint8_t digits[300] = { 0 };
        digits[298] = 1;
        _cleanup_value_ Value *big = value_bigint_new(digits, 300);
        _cleanup_bytes_ Bytes *c = NULL;
        assert_int_equal(pickle_write(big, SIZE_MAX, &c), 0);
        assert_memory_equal(c->data, "\x80\x04\x8b\x2b\x01\x00\x00", 7);
        _cleanup_value_ Value *again = read_pickle(c);
        assert_int_equal(value_equal(big, again), 1);
}

static void test_sharing(void **state)
{
        WRITTEN("](]\x94h\x00" "e.", "\x80\x04](]\x94h\x00" "e.");
        WRITTEN("](]\x94Nah\x00" "e.", "\x80\x04](]\x94Nah\x00" "e.");
        WRITTEN("]\x94(N\x85\x94h\x01" "e.", "\x80\x04](N\x85\x94h\x00" "e.");
        /* equal keys are written once even where they are different objects */
        WRITTEN("](}\x8c\x01kNs}\x8c\x01kNse.", "\x80\x04](}\x8c\x01k\x94Ns}h\x00Nse.");
        /* numbers are never memoized */
        WRITTEN("](F1.0\n\x94h\x00"
                "e.",
                "\x80\x04](G\x3f\xf0\x00\x00\x00\x00\x00\x00G\x3f\xf0\x00\x00\x00\x00\x00\x00"
                "e.");
}

static void test_many_memo_entries(void **state)
{
        _cleanup_value_ Value *list = value_list_new();
        for (int i = 0; i < 300; i++) {
                _cleanup_value_ Value *inner = value_list_new();
                assert_int_equal(value_list_append(list, inner), 0);
                assert_int_equal(value_list_append(list, inner), 0);
        }
        _cleanup_bytes_ Bytes *written = NULL;
        assert_int_equal(pickle_write(list, SIZE_MAX, &written), 0);
        _cleanup_value_ Value *again = read_pickle(written);
        for (uint32_t i = 0; i < 600; i += 2) {
                assert_ptr_equal(value_list_get(again, i), value_list_get(again, i + 1));
                if (i > 0)
                        assert_ptr_not_equal(value_list_get(again, i), value_list_get(again, i - 1));
        }
}

static void test_large_bytes_stay_slices(void **state)
{
        _cleanup_free_ char *data = calloc(1, 100000);
        _cleanup_value_ Value *value = value_bytes_new(data, 100000);
        Bytes *pickle = NULL;
        assert_int_equal(pickle_write(value, SIZE_MAX, &pickle), 0);
        _cleanup_value_ Value *again = read_pickle(pickle);
        assert_ptr_equal(value_data(again), pickle->data + 7);
        bytes_unref(pickle);
        assert_int_equal(value_equal(value, again), 1);
}

static void test_refusals(void **state)
{
        Bytes *none = NULL;
        _cleanup_value_ Value *list = value_list_new(), *text = value_string_new("0123456789");
        assert_int_equal(value_list_append(list, value_global(VALUE_GLOBAL_LIST)), 0);
        assert_int_equal(pickle_write(list, SIZE_MAX, &none), -EINVAL);
        assert_int_equal(pickle_write(text, 14, &none), -E2BIG);
        assert_int_equal(pickle_write(text, 0, &none), -E2BIG);
        assert_null(none);
        _cleanup_bytes_ Bytes *exact = NULL;
        assert_int_equal(pickle_write(text, 15, &exact), 0);
        assert_int_equal(exact->size, 15);
}

static void test_deep_graph_is_written_without_recursion(void **state)
{
        Value *v = value_none();
        for (int i = 0; i < 500000; i++)
                v = value_tuple_take((Value *[]){ v }, 1);
        _cleanup_bytes_ Bytes *written = NULL;
        assert_int_equal(pickle_write(v, SIZE_MAX, &written), 0);
        assert_int_equal(written->size, 500000 + 4);
        value_unref(v);
}

static void test_builder(void **state)
{
        PickleBuilder b;
        _cleanup_bytes_ Bytes *pickle = NULL;

        pickle_builder_init(&b, 0);
        pickle_builder_dict(&b);
        pickle_builder_mark(&b);
        pickle_builder_string(&b, "STATE");
        pickle_builder_string(&b, "SET");
        pickle_builder_string(&b, "DATA");
        pickle_builder_list(&b);
        pickle_builder_mark(&b);
        pickle_builder_bytes(&b, "abc", 3);
        pickle_builder_none(&b);
        pickle_builder_bool(&b, true);
        pickle_builder_bool(&b, false);
        pickle_builder_int(&b, -5);
        pickle_builder_int(&b, INT64_MIN);
        pickle_builder_int(&b, INT64_C(1) << 40);
        pickle_builder_float(&b, 1.5);
        pickle_builder_mark(&b);
        pickle_builder_str(&b, "x", 1);
        pickle_builder_tuple(&b);
        pickle_builder_appends(&b);
        pickle_builder_setitems(&b);
        assert_int_equal(pickle_builder_finish(&b, &pickle), 0);

        _cleanup_value_ Value *value = read_pickle(pickle);
        assert_dump(value,
                    "{s\"STATE\":s\"SET\",s\"DATA\":[b\"abc\",N,T,F,i-5,i-8000000000000000,i10000000000,"
                    "f3ff8000000000000,(s\"x\",),],}");
        assert_true(value_is_string_equal(value_dict_get_string(value, "STATE"), "SET"));
        assert_false(value_is_string_equal(value_dict_get_string(value, "STATE"), "SETS"));
        assert_false(value_is_string_equal(value_dict_get_string(value, "DATA"), "SET"));
}

static void test_builder_with_hint_does_not_move(void **state)
{
        _cleanup_free_ char *data = calloc(1, 1000000);
        PickleBuilder b;
        pickle_builder_init(&b, 1000100);
        const uint8_t *start = b.text;
        pickle_builder_bytes(&b, data, 1000000);
        _cleanup_bytes_ Bytes *pickle = NULL;
        assert_int_equal(pickle_builder_finish(&b, &pickle), 0);
        assert_ptr_equal(pickle->data, start);
        assert_int_equal(pickle->size, 2 + 5 + 1000000 + 1);
}

static void test_builder_reports_lack_of_memory(void **state)
{
        PickleBuilder b;
        Bytes *pickle = NULL;
        pickle_builder_init(&b, SIZE_MAX / 2);
        pickle_builder_none(&b);
        assert_int_equal(pickle_builder_finish(&b, &pickle), -ENOMEM);
        assert_null(pickle);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shortest_forms),
                cmocka_unit_test(test_large_counts),
                cmocka_unit_test(test_sharing),
                cmocka_unit_test(test_many_memo_entries),
                cmocka_unit_test(test_large_bytes_stay_slices),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_deep_graph_is_written_without_recursion),
                cmocka_unit_test(test_builder),
                cmocka_unit_test(test_builder_with_hint_does_not_move),
                cmocka_unit_test(test_builder_reports_lack_of_memory),
        };
        return cmocka_run_group_tests_name("writer and builder", tests, NULL, NULL);
}
