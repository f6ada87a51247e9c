/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/address-table.h"

#define SECOND UINT64_C(1000000)

static Address parse(const char *text)
{
        Address a;
        assert_int_equal(address_parse(text, &a), 0);
        return a;
}

static void test_parse_and_format(void **state)
{
        static const char *const same[] = { "127.0.0.1", "255.255.255.255", "::1", "2001:db8::5", "fe80::1" };
        char text[ADDRESS_TEXT_MAX];
        for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
                Address a = parse(same[i]);
                assert_string_equal(address_format(&a, text), same[i]);
        }
        Address mapped = parse("::ffff:192.0.2.7"), scoped = parse("fe80::1%eth0");
        assert_string_equal(address_format(&mapped, text), "192.0.2.7");
        assert_string_equal(address_format(&scoped, text), "fe80::1");
        static const char *const wrong[] = { "", "x", "1.2.3", "1.2.3.4.5", "1.2.3.4/8", "::1::", "localhost",
                                             "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222:3333" };
        Address untouched;
        memset(&untouched, 0x5a, sizeof untouched);
        Address a = untouched;
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
                assert_int_equal(address_parse(wrong[i], &a), -EINVAL);
                assert_true(address_equal(&a, &untouched));
        }
}

static void test_prefixes(void **state)
{
        static const struct {
                const char *prefix, *address;
                bool inside;
        } cases[] = {
                { "192.0.2.0/24", "192.0.2.255", true },     { "192.0.2.0/24", "192.0.3.0", false },
                { "192.0.2.0/25", "192.0.2.128", false },    { "192.0.2.1", "192.0.2.1", true },
                { "192.0.2.1", "192.0.2.2", false },         { "0.0.0.0/0", "8.8.8.8", true },
                { "0.0.0.0/0", "2001:db8::1", false },       { "2001:db8::/32", "2001:db8:ffff::1", true },
                { "2001:db8::/33", "2001:db8:ffff::1", false }, { "::/0", "8.8.8.8", true },
                { "10.0.0.0/9", "10.127.255.255", true },    { "10.0.0.0/9", "10.128.0.0", false },
        };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                AddressPrefix p;
                assert_int_equal(address_prefix_parse(cases[i].prefix, &p), 0);
                Address a = parse(cases[i].address);
                assert_int_equal(address_prefix_contains(&p, &a), cases[i].inside);
        }
        static const char *const wrong[] = { "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/8x", "::/129", "/8", "a/8",
                                             "192.0.2.0/-1", "10.0.0.0/1/2" };
        AddressPrefix p;
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
                assert_int_equal(address_prefix_parse(wrong[i], &p), -EINVAL);
}

static void test_penalties_ban_and_fade(void **state)
{
        AddressTable *t = address_table_new(16);
        assert_int_equal(address_table_set_policy(t, &(AddressPolicy){ .limit = 10, .ban_usec = 100 * SECOND }), 0);
        Address a = parse("192.0.2.1"), b = parse("192.0.2.2");
        uint64_t now = 5 * SECOND, until = 7;

        for (int i = 0; i < 9; i++)
                assert_int_equal(address_table_penalise(t, &a, 1, now), 0);
        assert_false(address_table_is_banned(t, &a, now, &until));
        assert_int_equal(until, 7);
        /* Half of the time later half of the limit has faded. */
        now += 50 * SECOND;
        assert_int_equal(address_table_penalise(t, &a, 5, now), 0);
        assert_int_equal(address_table_penalise(t, &a, 1, now), 1);
        assert_int_equal(address_table_penalise(t, &a, 1, now), 0); /* only told once */
        assert_true(address_table_is_banned(t, &a, now, &until));
        assert_int_equal(until, now + 100 * SECOND);
        assert_false(address_table_is_banned(t, &b, now, NULL));
        assert_int_equal(address_table_count_banned(t, now), 1);
        assert_false(address_table_is_banned(t, &a, until, NULL));
        assert_int_equal(address_table_count_banned(t, until), 0);

        assert_int_equal(address_table_penalise(t, &b, 10, now), 1);
        assert_int_equal(address_table_forgive(t, &b), 0);
        assert_false(address_table_is_banned(t, &b, now, NULL));
        assert_int_equal(address_table_forgive(t, &b), 1);
        address_table_free(t);
}

static void test_allowed_and_off(void **state)
{
        AddressTable *t = address_table_new(16);
        const char *const allow[] = { "192.0.2.0/24", "::1", NULL };
        AddressPolicy policy = { .limit = 1, .ban_usec = SECOND, .max_connections = 1, .allow = allow };
        assert_int_equal(address_table_set_policy(t, &policy), 0);
        Address in = parse("192.0.2.9"), out = parse("192.0.3.9");
        assert_int_equal(address_table_penalise(t, &in, 100, 0), 0);
        assert_false(address_table_is_banned(t, &in, 0, NULL));
        for (int i = 0; i < 5; i++)
                assert_int_equal(address_table_connect(t, &in, 0), 0);
        assert_int_equal(address_table_connect(t, &out, 0), 0);
        assert_int_equal(address_table_connect(t, &out, 0), 1);
        assert_int_equal(address_table_penalise(t, &out, 1, 0), 1);

        /* A ban ends when its address comes to be allowed; a broken list changes nothing. */
        const char *const broken[] = { "0.0.0.0/0", "nonsense", NULL };
        policy.allow = broken;
        assert_int_equal(address_table_set_policy(t, &policy), -EINVAL);
        assert_true(address_table_is_banned(t, &out, 0, NULL));
        const char *const all[] = { "0.0.0.0/0", NULL };
        policy.allow = all;
        assert_int_equal(address_table_set_policy(t, &policy), 0);
        assert_false(address_table_is_banned(t, &out, 0, NULL));

        policy = (AddressPolicy){ .limit = 0, .max_connections = 9 };
        assert_int_equal(address_table_set_policy(t, &policy), 0);
        Address other = parse("198.51.100.1");
        assert_int_equal(address_table_penalise(t, &other, 1000000, 0), 0);
        for (int i = 0; i < 5; i++)
                address_table_disconnect(t, &in, 0);
        address_table_disconnect(t, &out, 0);
        address_table_free(t);
}

static void test_ipv6_hosts_count_as_one(void **state)
{
        AddressTable *t = address_table_new(16);
        assert_int_equal(address_table_set_policy(t, &(AddressPolicy){ .limit = 3, .ban_usec = SECOND, .max_connections = 2 }), 0);
        Address a = parse("2001:db8:1:2::1"), b = parse("2001:db8:1:2:ffff::9"), c = parse("2001:db8:1:3::1");
        assert_int_equal(address_table_penalise(t, &a, 2, 0), 0);
        assert_int_equal(address_table_penalise(t, &b, 1, 0), 1);
        assert_true(address_table_is_banned(t, &a, 0, NULL));
        assert_false(address_table_is_banned(t, &c, 0, NULL));
        assert_int_equal(address_table_connect(t, &a, 0), 0);
        assert_int_equal(address_table_connect(t, &b, 0), 0);
        assert_int_equal(address_table_connect(t, &a, 0), 1);
        assert_int_equal(address_table_connect(t, &c, 0), 0);
        address_table_disconnect(t, &a, 0);
        address_table_disconnect(t, &b, 0);
        address_table_disconnect(t, &c, 0);
        address_table_free(t);
}

/* The table stays small; who is connected or banned is not washed out by a flood of fresh addresses. */
static void test_bounded_against_floods(void **state)
{
        AddressTable *t = address_table_new(100);
        assert_int_equal(address_table_set_policy(t, &(AddressPolicy){ .limit = 5, .ban_usec = 1000 * SECOND, .max_connections = 1 }), 0);
        Address user = parse("203.0.113.5"), villain = parse("203.0.113.66");
        assert_int_equal(address_table_connect(t, &user, 0), 0);
        assert_int_equal(address_table_penalise(t, &villain, 5, 0), 1);
        for (unsigned i = 0; i < 20000; i++) {
                char text[ADDRESS_TEXT_MAX];
                snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
                Address a = parse(text);
                assert_int_equal(address_table_penalise(t, &a, 1, i), 0);
        }
        assert_true(address_table_is_banned(t, &villain, 20000, NULL));
        assert_int_equal(address_table_connect(t, &user, 20000), 1); /* still known to have one */
        address_table_disconnect(t, &user, 20000);
        Address early = parse("10.0.0.1");
        assert_int_equal(address_table_forgive(t, &early), 1); /* forgotten */

        /* When everybody is banned the oldest ban gives way. */
        for (unsigned i = 0; i < 200; i++) {
                char text[ADDRESS_TEXT_MAX];
                snprintf(text, sizeof text, "172.16.0.%u", i);
                Address a = parse(text);
                assert_int_equal(address_table_penalise(t, &a, 5, 30000 + i), 1);
        }
        assert_int_equal(address_table_count_banned(t, 40000), 100);
        address_table_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_and_format),
                cmocka_unit_test(test_prefixes),
                cmocka_unit_test(test_penalties_ban_and_fade),
                cmocka_unit_test(test_allowed_and_off),
                cmocka_unit_test(test_ipv6_hosts_count_as_one),
                cmocka_unit_test(test_bounded_against_floods),
        };
        return cmocka_run_group_tests_name("net-address", tests, NULL, NULL);
}
