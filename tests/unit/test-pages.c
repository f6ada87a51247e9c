/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <string.h>

#include "base/pages.h"

static void assert_filled(const uint8_t *p, size_t size, uint8_t value)
{
        for (size_t i = 0; i < size; i++)
                assert_int_equal(p[i], value);
}

/* Small ones are of another kind than large ones: what was there stays through every change of kind. */
static void test_resize(void **state)
{
        static const size_t sizes[] = { 100, 5000, 100000, 3000000, 300000, 4000, 1, 70000 };
        size_t size = 0;
        uint8_t *p = NULL;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                uint8_t *resized = pages_resize(p, size, sizes[i]);

                assert_non_null(resized);
                p = resized;
                assert_filled(p, MIN(size, sizes[i]), 0xaa);
                if (sizes[i] > size)
                        assert_filled(p + size, sizes[i] - size, 0);
                size = sizes[i];
                memset(p, 0xaa, size);
        }
        pages_free(p, size);
        pages_free(NULL, 0);
        pages_free(NULL, 1 << 20);
}

static void test_new(void **state)
{
        uint8_t *small = pages_new(0), *large = pages_new(1 << 20);

        assert_non_null(small);
        assert_non_null(large);
        assert_filled(large, 1 << 20, 0);
        pages_free(small, 0);
        pages_free(large, 1 << 20);
        assert_null(pages_new((size_t)1 << 60));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_resize),
                cmocka_unit_test(test_new),
        };

        return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
