/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Numbers as CPython writes and reads them. */

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "delta/number.h"
#include "delta/unicode.h"
#include "test.h"

static void assert_float(double number, const char *expected)
{
        char text[NUMBER_FLOAT_TEXT_MAX];

        number_float_text(number, text);
        assert_string_equal(text, expected);
}

static void test_float_text(void **state)
{
        assert_float(0.0, "0.0");
        assert_float(-0.0, "-0.0");
        assert_float(1.0, "1.0");
        assert_float(0.1, "0.1");
        assert_float(1e15, "1000000000000000.0");
        assert_float(1e16, "1e+16");
        assert_float(123456789012345680.0, "1.2345678901234568e+17");
        assert_float(9007199254740993.0, "9007199254740992.0");
        assert_float(0.0001, "0.0001");
        assert_float(0.00001, "1e-05");
        assert_float(-2.5e-7, "-2.5e-07");
        assert_float(5e-324, "5e-324");
        assert_float(DBL_MIN, "2.2250738585072014e-308");
        assert_float(DBL_MAX, "1.7976931348623157e+308");
        assert_float(0x1p-44, "5.684341886080802e-14");
        assert_float(1e23, "1e+23");
        assert_float(9.5e-7, "9.5e-07");
        assert_float(1.0 / 3, "0.3333333333333333");
        assert_float(INFINITY, "inf");
        assert_float(-INFINITY, "-inf");
        assert_float(-NAN, "nan");
}

static int parse_int(const char *text, int64_t *ret)
{
        _cleanup_value_ Value *v = NULL;
        int r = number_parse_int((const uint8_t *)text, strlen(text), &v);

        if (r == 0 && ret)
                assert_true(value_as_int64(v, ret));
        return r;
}

static void test_parse_int(void **state)
{
        static const char *const bad[] = { "",     " ",    "+",   "1 2", "_1",  "1_",
                                           "1__0", "0x10", "1.0", "1e3", "- 1", "a" };
        int64_t n = 0;

        assert_int_equal(parse_int(" \t\n\v\f\r-1_000 ", &n), 0);
        assert_int_equal(n, -1000);
        assert_int_equal(parse_int("007", &n), 0);
        assert_int_equal(n, 7);
        assert_int_equal(parse_int("-9223372036854775808", &n), 0);
        assert_true(n == INT64_MIN);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse_int(bad[i], NULL), NUMBER_INVALID);
}

static void test_int_text(void **state)
{
        _cleanup_text_ Text text = {};
        _cleanup_value_ Value *v = NULL, *again = NULL;
        char digits[NUMBER_DIGITS_MAX + 3] = "-";

        memset(digits + 1, '9', NUMBER_DIGITS_MAX);
        assert_int_equal(number_parse_int((const uint8_t *)digits, NUMBER_DIGITS_MAX + 1, &v), 0);
        assert_int_equal(number_int_text(v, &text), 0);
        assert_int_equal(text.size, NUMBER_DIGITS_MAX + 1);
        assert_memory_equal(text.data, digits, text.size);

        /* One digit more is too many for either way. */
        digits[NUMBER_DIGITS_MAX + 1] = '9';
        assert_int_equal(number_parse_int((const uint8_t *)digits, NUMBER_DIGITS_MAX + 2, &again),
                         NUMBER_INVALID);
        assert_null(again);
}

static void assert_parsed_float(const char *text, double expected)
{
        double number = 0;

        assert_int_equal(number_parse_float((const uint8_t *)text, strlen(text), &number), 0);
        assert_true(number == expected && signbit(number) == signbit(expected));
}

static void test_parse_float(void **state)
{
        static const char *const bad[] = { "",     ".",    "1e",   "1_.5", "1._5", "_1",
                                           "0x10", "inf_", "1e_5", "+-1",  "1 2" };
        double number = 0;

        assert_parsed_float(" 1_0e1_0 ", 1e11);
        assert_parsed_float(".5", 0.5);
        assert_parsed_float("5.", 5.0);
        assert_parsed_float("-0", -0.0);
        assert_parsed_float("1e999", INFINITY);
        assert_parsed_float("-InFinity", -INFINITY);
        assert_int_equal(number_parse_float((const uint8_t *)"-nan", 4, &number), 0);
        assert_true(isnan(number) && signbit(number));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(number_parse_float((const uint8_t *)bad[i], strlen(bad[i]), &number),
                                 NUMBER_INVALID);
}

static Value *int_value(const char *text)
{
        Value *v = NULL;

        assert_int_equal(number_parse_int((const uint8_t *)text, strlen(text), &v), 0);
        return v;
}

static void assert_order(const char *integer, double number, int expected)
{
        _cleanup_value_ Value *a = int_value(integer), *b = value_float_new(number);

        assert_int_equal(number_compare(a, b), expected);
        assert_int_equal(number_compare(b, a), -expected);
}

static void test_compare(void **state)
{
        _cleanup_value_ Value *a = int_value("36893488147419103233"), *b = int_value("36893488147419103232");

        assert_int_equal(number_compare(a, b), 1);
        assert_int_equal(number_compare(b, a), -1);
        assert_int_equal(number_compare(a, a), 0);
        assert_order("9007199254740993", 9007199254740992.0, 1);
        assert_order("1", 1.5, -1);
        assert_order("-1", -1.5, 1);
        assert_order("9223372036854775807", 0x1p63, -1);
        assert_order("9223372036854775808", 0x1p63, 0);
        assert_order("-9223372036854775808", -0x1p63, 0);
        assert_order("-9223372036854775809", -0x1p63, -1);
        assert_order("36893488147419103233", 0x1p65, 1);
        assert_order("36893488147419103233", INFINITY, -1);
        assert_order("36893488147419103233", -INFINITY, 1);
        assert_order("36893488147419103233", -3.0, 1);
}

static void assert_rounded(const char *integer, double expected)
{
        _cleanup_value_ Value *v = int_value(integer);
        double number = 0;

        assert_int_equal(number_to_double(v, &number), 0);
        assert_true(number == expected);
}

static void test_int_to_float(void **state)
{
        char digits[400] = "1";
        _cleanup_value_ Value *huge = NULL;
        double number;

        assert_rounded("9007199254740993", 9007199254740992.0);
        assert_rounded("36893488147419103232", 0x1p65);
        /* Halfway, and a little more: the bits below decide. */
        assert_rounded("36893488147419107328", 0x1p65);
        assert_rounded("36893488147419107329", 0x1.0000000000001p65);
        assert_rounded("-36893488147419107329", -0x1.0000000000001p65);
        memset(digits + 1, '0', 309);
        huge = int_value(digits);
        assert_int_equal(number_to_double(huge, &number), NUMBER_INVALID);
}

static void test_float_to_int(void **state)
{
        _cleanup_value_ Value *v = NULL, *expected = int_value("-1208925819614629174706176"), *small = NULL;

        assert_int_equal(number_from_double(-0x1p80, &v), 0);
        assert_int_equal(value_equal(v, expected), 1);
        assert_int_equal(number_from_double(-2.9, &small), 0);
        assert_int_equal(value_int_get(small), -2);
        assert_int_equal(number_from_double(INFINITY, &small), NUMBER_INVALID);
}

static void test_unicode(void **state)
{
        assert_int_equal(unicode_decimal('7'), 7);
        assert_int_equal(unicode_decimal(0x0663), 3);
        assert_int_equal(unicode_decimal(0x1fbf9), 9);
        assert_int_equal(unicode_decimal(0xb2), -1);
        assert_true(unicode_is_printable('a'));
        assert_true(unicode_is_printable(0x1f600));
        assert_false(unicode_is_printable(0x7f));
        assert_false(unicode_is_printable(0xa0));
        assert_false(unicode_is_printable(0x200b));
        assert_false(unicode_is_printable(0xd800));
        /* Assigned after Unicode 14. */
        assert_false(unicode_is_printable(0x1fa77));
        assert_false(unicode_is_printable(0x10ffff));
        assert_true(unicode_is_valid((const uint8_t *)"\xe6\x97\xa5\xf0\x9f\x98\x80", 7));
        assert_false(unicode_is_valid((const uint8_t *)"\xed\xa0\x80", 3));
        assert_false(unicode_is_valid((const uint8_t *)"\xc0\x80", 2));
        assert_false(unicode_is_valid((const uint8_t *)"\xf4\x90\x80\x80", 4));
        assert_false(unicode_is_valid((const uint8_t *)"\xe6\x97", 2));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_float_text),   cmocka_unit_test(test_parse_int),
                cmocka_unit_test(test_int_text),     cmocka_unit_test(test_parse_float),
                cmocka_unit_test(test_compare),      cmocka_unit_test(test_int_to_float),
                cmocka_unit_test(test_float_to_int), cmocka_unit_test(test_unicode),
        };
        return cmocka_run_group_tests_name("delta-number", tests, NULL, NULL);
}
