/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "base/secret.h"
#include "test.h"

static void test_configured(void **state)
{
        assert_true(secret_matches("hunter2", "hunter2", 7));
        assert_false(secret_matches("hunter2", "hunter", 6));
        assert_false(secret_matches("hunter2", "hunter2\0", 8));
        assert_false(secret_matches("hunter2", "", 0));
        assert_false(secret_matches("hunter2", NULL, 0));
}

static void test_not_configured(void **state)
{
        assert_true(secret_matches(NULL, NULL, 0));
        assert_true(secret_matches(NULL, "", 0));
        assert_true(secret_matches("", "", 0));
        assert_false(secret_matches(NULL, "x", 1));
}

static void test_wipe(void **state)
{
        char text[] = "hunter2";
        secret_wipe(text);
        assert_memory_equal(text, "\0\0\0\0\0\0\0", 7);
        secret_wipe(NULL);
        assert_null(secret_free(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_configured),
                cmocka_unit_test(test_not_configured),
                cmocka_unit_test(test_wipe),
        };
        return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
