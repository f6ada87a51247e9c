/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/rate-limit.h"
#include "test.h"

static void test_burst_then_silence(void **state)
{
        RateLimitTable *t = rate_limit_table_new(2, 1000, 4);
        uint32_t suppressed = 99;

        assert_true(rate_limit_admit(t, "a", 5000, &suppressed));
        assert_int_equal(suppressed, 0);
        assert_true(rate_limit_admit(t, "a", 5001, NULL));
        assert_false(rate_limit_admit(t, "a", 5002, NULL));
        assert_false(rate_limit_admit(t, "a", 5999, NULL));
        assert_true(rate_limit_admit(t, "b", 5999, NULL));
        assert_true(rate_limit_admit(t, "a", 6000, &suppressed));
        assert_int_equal(suppressed, 2);
        rate_limit_table_free(t);
}

static void test_least_recent_makes_room(void **state)
{
        RateLimitTable *t = rate_limit_table_new(1, 1000000, 2);

        assert_true(rate_limit_admit(t, "a", 10, NULL));
        assert_true(rate_limit_admit(t, "b", 20, NULL));
        assert_false(rate_limit_admit(t, "a", 30, NULL));
        assert_true(rate_limit_admit(t, "c", 40, NULL));
        assert_false(rate_limit_admit(t, "a", 50, NULL));
        assert_true(rate_limit_admit(t, "b", 60, NULL));
        rate_limit_table_free(t);
}

static void test_long_keys(void **state)
{
        RateLimitTable *t = rate_limit_table_new(1, 1000, 2);
        const char *key = "0123456789012345678901234567890123456789012345678901234567890123456789";

        assert_true(rate_limit_admit(t, key, 0, NULL));
        assert_false(rate_limit_admit(t, key, 1, NULL));
        rate_limit_table_free(t);
        assert_null(rate_limit_table_free(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_burst_then_silence),
                cmocka_unit_test(test_least_recent_makes_room),
                cmocka_unit_test(test_long_keys),
        };
        return cmocka_run_group_tests_name("rate-limit", tests, NULL, NULL);
}
