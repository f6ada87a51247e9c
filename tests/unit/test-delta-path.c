/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The examples of the path grammar, all run against deepdiff 8.1.1. */

#include <math.h>
#include <stdio.h>

#include "delta/path.h"
#include "pickle/dump.h"
#include "test.h"

/* The elements as one canonical dump: a tuple, with "." before attributes. */
static void assert_path(const char *text, const char *expected)
{
        _cleanup_path_ Path *path = NULL;
        char elements[1024] = "";

        assert_int_equal(path_parse((const uint8_t *)text, strlen(text), &path), 0);
        for (uint32_t i = 0; i < path->n; i++) {
                _cleanup_bytes_ Bytes *dump = NULL;
                size_t n = strlen(elements);

                assert_int_equal(value_dump(path->elements[i].value, VALUE_DUMP_SORTED, 512, &dump), 0);
                snprintf(elements + n, sizeof(elements) - n, "%s%.*s ",
                         path->elements[i].is_attribute ? "." : "", (int)dump->size,
                         (const char *)dump->data);
        }
        if (path->is_opaque)
                strncat(elements, "opaque", sizeof(elements) - strlen(elements) - 1);
        if (strcmp(elements, expected) != 0)
                fail_msg("%s: %s instead of %s", text, elements, expected);
}

static void test_plain(void **state)
{
        assert_path("root", "");
        assert_path("root['a'][0]['b c'][3.5][\"it's\"]", "s\"a\" i0 s\"b c\" f400c000000000000 s\"it's\" ");
        assert_path("root['a.b']['a]b']['[a']", "s\"a.b\" s\"a]b\" s\"[a\" ");
        assert_path("root['']", "s\"\" ");
        assert_path("root[-1][True][None]", "i-1 T N ");
        assert_path("root['5']['None']['1.5']", "s\"5\" s\"None\" s\"1.5\" ");
}

static void test_prefix_is_not_looked_at(void **state)
{
        assert_path("XXXX['a']", "s\"a\" ");
        assert_path("r\xc3\xa9\xe6\x97\xa5t['a']", "s\"a\" ");
        assert_path("roo", "");
        assert_path("", "");
}

static void test_nothing_is_unescaped(void **state)
{
        assert_path("root['a\\\\b']", "s\"a\\x5c\\x5cb\" ");
        assert_path("root['\\']", "s\"\\x5c\" ");
        assert_path("root['a\nb']", "s\"a\\x0ab\" ");
}

static void test_damaged(void **state)
{
        assert_path("root[\"a\"b'c\"]", "s\"a\" s\"b'c\\x22]\" ");
        assert_path("root['it's']", "s\"it\" s\"s']\" ");
        assert_path("root[abc]", "s\"abc\" ");
        assert_path("root[__x]", "");
        assert_path("root.__x", "");
        assert_path("root[]", "");
        assert_path("root['__x']", "s\"__x\" ");
        assert_path("root['a'x]", "s\"a\" s\"x\" ");
        assert_path("root[[0]]", "s\"[0\" ");
        assert_path("root['a']b['c']", "s\"a\" s\"c\" ");
        assert_path("root['x\xf0\x9d\x87\x80']", "s\"'x\\xf0\\x9d\\x87\\x80']\" ");
        assert_path("root['", "s\"\" ");
}

static void test_attributes(void **state)
{
        assert_path("root.a.b[0].c['d']", ".s\"a\" .s\"b\" i0 .s\"c\" s\"d\" ");
        assert_path("root.5", ".i5 ");
}

static void test_numbers(void **state)
{
        assert_path("root[007][00][1_000][0x_fF][0b11][0o17]", "s\"007\" i0 i3e8 iff i3 if ");
        assert_path(
            "root[007.5][1.][.5][1e+100][1e999]",
            "f401e000000000000 f3ff0000000000000 f3fe0000000000000 f54b249ad2594c37d f7ff0000000000000 ");
        assert_path("root[- 7][+1][--1][1__0][1_][-2.5e-07]",
                    "i-7 i1 s\"--1\" s\"1__0\" s\"1_\" fbe90c6f7a0b5ed8d ");
        assert_path("root[123456789012345678901234567890]", "i18ee90ff6c373e0ee4e3f0ad2 ");
        assert_path("root[-0x8000000000000000][-0]", "i-8000000000000000 i0 ");
        assert_path("root[ 1 ][\tNone]", "i1 N ");
}

static void test_other_literals(void **state)
{
        assert_path("root[()][(1, None)][((2))][1,]", "() (i1,N,) i2 (i1,) ");
        assert_path("root[b'x'][u'y'][f'z']", "b\"x\" s\"y\" s\"f'z'\" ");
        assert_path("root[1#x][#x]", "i1 s\"#x\" ");
        assert_path("root[1j]", "N opaque");
        assert_path("root[{}]", "N opaque");
        assert_path("root[set()]", "N opaque");
        assert_path("root[...]", "N opaque");
        assert_path("root[1+2j]", "N opaque");
        assert_path("root[(1]", "s\"(1\" ");
        assert_path("root[(abc)]", "s\"(abc)\" ");
}

static void test_too_many_digits(void **state)
{
        char text[4400] = "root[";
        _cleanup_path_ Path *path = NULL;

        memset(text + 5, '1', 4301);
        strcpy(text + 5 + 4301, "]");
        assert_int_equal(path_parse((const uint8_t *)text, strlen(text), &path), 0);
        assert_int_equal(path->n, 1);
        assert_int_equal(value_type(path->elements[0].value), VALUE_STR);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_prefix_is_not_looked_at),
                cmocka_unit_test(test_nothing_is_unescaped),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_attributes),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_other_literals),
                cmocka_unit_test(test_too_many_digits),
        };
        return cmocka_run_group_tests_name("delta-path", tests, NULL, NULL);
}
