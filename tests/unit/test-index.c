/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "store/index.h"
#include "test.h"

static StoreLocation location_of(uint64_t number, uint64_t segment)
{
        StoreLocation l = { .segment = segment, .offset = number * FORMAT_ALIGNMENT, .size = 300 };
        memcpy(l.digest, &number, sizeof number);
        return l;
}

static bool has(const Index *x, uint64_t number, uint64_t segment)
{
        StoreLocation l = location_of(number, 0);
        return index_find(x, &l) && l.segment == segment && l.offset == number * FORMAT_ALIGNMENT;
}

static void test_put_and_find(void **state)
{
        enum { N = 5000 };
        Index x;
        index_init(&x);
        assert_false(has(&x, 1, 1));
        for (uint64_t i = 0; i < N; i++) {
                StoreLocation l = location_of(i, 1 + i % 2);
                assert_int_equal(index_put(&x, &l), 0);
        }
        for (uint64_t i = 0; i < N; i++)
                assert_true(has(&x, i, 1 + i % 2));
        assert_int_equal(index_drop_segment(&x, 1), 0);
        for (uint64_t i = 0; i < N; i++)
                assert_int_equal(has(&x, i, 1 + i % 2), i % 2);
        index_done(&x);
}

/* The latest are there, however many came before; what has to be found is not pushed out by them. */
static void test_recent_ones_are_bounded(void **state)
{
        enum { N = 200000, LATEST = 100 };
        Index x;
        index_init(&x);
        StoreLocation kept = location_of(N, 7);
        assert_int_equal(index_put(&x, &kept), 0);
        size_t n_slots = x.n_slots;
        for (uint64_t i = 0; i < N; i++) {
                StoreLocation l = location_of(i, 1);
                assert_int_equal(index_put_recent(&x, &l), 0);
                assert_true(has(&x, i, 1));
        }
        assert_int_equal(x.n_slots, n_slots);
        assert_true(has(&x, N, 7));
        unsigned n_found = 0;
        for (uint64_t i = 0; i < N; i++)
                n_found += has(&x, i, 1);
        assert_in_range(n_found, LATEST, 20000);
        assert_true(has(&x, N - 1, 1));

        assert_int_equal(index_drop_segment(&x, 1), 0);
        for (uint64_t i = 0; i < N; i++)
                assert_false(has(&x, i, 1));
        assert_true(has(&x, N, 7));
        index_done(&x);
}

/* One place for a payload, wherever it is noted. */
static void test_moving(void **state)
{
        Index x;
        index_init(&x);
        StoreLocation first = location_of(1, 1), moved = location_of(1, 2), again = location_of(1, 3);
        assert_int_equal(index_put_recent(&x, &first), 0);
        assert_int_equal(index_put(&x, &moved), 0);
        assert_true(has(&x, 1, 2));
        assert_int_equal(index_put_recent(&x, &again), 0);
        assert_true(has(&x, 1, 3));
        index_done(&x);
}

static void test_impossible_places(void **state)
{
        Index x;
        index_init(&x);
        StoreLocation odd = location_of(1, 1), far = location_of(2, 1);
        odd.offset++;
        far.offset = INDEX_OFFSET_MAX + FORMAT_ALIGNMENT;
        assert_int_equal(index_put(&x, &odd), -EFBIG);
        assert_int_equal(index_put_recent(&x, &far), -EFBIG);
        assert_null(x.recent);
        index_done(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_put_and_find),
                cmocka_unit_test(test_recent_ones_are_bounded),
                cmocka_unit_test(test_moving),
                cmocka_unit_test(test_impossible_places),
        };
        return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
