/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <time.h>

#include "base/u64-map.h"
#include "test.h"

static void fill(U64Map *m, uint64_t n)
{
        for (uint64_t key = 1; key <= n; key++)
                assert_int_equal(u64_map_set(m, key, key % 3), 0);
}

static void take_value(U64Map *m, uint64_t value)
{
        for (const U64MapEntry *e = u64_map_next(m, NULL); e;)
                e = e->value == value ? u64_map_take(m, e) : u64_map_next(m, e);
}

static void test_take_while_walking(void **state)
{
        U64Map m = {};
        for (uint64_t n = 1; n < 400; n++) {
                fill(&m, n);
                take_value(&m, 1);
                for (uint64_t key = 1; key <= n; key++)
                        assert_int_equal(u64_map_find(&m, key) != NULL, key % 3 != 1);
                take_value(&m, 0);
                take_value(&m, 2);
                assert_int_equal(m.n, 0);
                assert_null(m.entries);
        }
}

static void test_reserve(void **state)
{
        for (uint64_t n = 0; n < 200; n++) {
                U64Map m = {};
                assert_int_equal(u64_map_reserve(&m, n), 0);
                const U64MapEntry *entries = m.entries;
                fill(&m, n);
                assert_ptr_equal(m.entries, entries);
                assert_int_equal(u64_map_reserve(&m, n / 2), 0);
                assert_ptr_equal(m.entries, entries);
                assert_int_equal(u64_map_reserve(&m, 2 * n + 100), 0);
                for (uint64_t key = 1; key <= n; key++)
                        assert_int_equal(*u64_map_find(&m, key), key % 3);
                u64_map_done(&m);
        }
}

static double seconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Beginning anew after each removal would take minutes. */
static void test_take_all_of_many(void **state)
{
        U64Map m = {};
        double begin = seconds();
        for (uint64_t key = 1; key <= 500000; key++)
                assert_int_equal(u64_map_set(&m, key, 7), 0);
        take_value(&m, 7);
        assert_int_equal(m.n, 0);
        assert_true(seconds() - begin < 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_take_while_walking),
                cmocka_unit_test(test_reserve),
                cmocka_unit_test(test_take_all_of_many),
        };
        return cmocka_run_group_tests_name("u64-map", tests, NULL, NULL);
}
