/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/bit-set.h"
#include "test.h"

static void test_against_an_array(void **state)
{
        enum { N = 5000 };
        static bool model[N];
        BitSet b = {};
        uint64_t seed = 88172645463325252u;
        assert_false(bit_set_has(&b, 7));
        bit_set_remove(&b, 7);
        for (unsigned round = 0; round < 20000; round++) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                uint32_t number = (uint32_t)(seed >> 20) % N;
                bool add = seed & 1;
                if (add)
                        assert_int_equal(bit_set_add(&b, number), 0);
                else
                        bit_set_remove(&b, number);
                model[number] = add;
        }
        uint32_t next = 0;
        for (uint32_t i = 0; i < N; i++) {
                assert_int_equal(bit_set_has(&b, i), model[i]);
                if (!model[i])
                        continue;
                assert_true(bit_set_next(&b, &next));
                assert_int_equal(next++, i);
        }
        assert_false(bit_set_next(&b, &next));
        bit_set_done(&b);
        next = 0;
        assert_false(bit_set_next(&b, &next));
}

static void test_reserve(void **state)
{
        BitSet b = {};
        assert_int_equal(bit_set_reserve(&b, 0), 0);
        assert_null(b.words);
        assert_int_equal(bit_set_reserve(&b, 129), 0);
        assert_int_equal(b.n_words, 3);
        assert_int_equal(bit_set_add(&b, 128), 0);
        assert_int_equal(bit_set_reserve(&b, 5), 0);
        assert_int_equal(b.n_words, 3);
        uint32_t next = 1;
        assert_true(bit_set_next(&b, &next));
        assert_int_equal(next, 128);
        bit_set_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_against_an_array),
                cmocka_unit_test(test_reserve),
        };
        return cmocka_run_group_tests_name("bit-set", tests, NULL, NULL);
}
