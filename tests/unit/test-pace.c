/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "session/pace.h"

#define START (1000 * USEC_PER_SEC)

static void test_as_many_commands_as_data(void **state)
{
        Pace p = {};
        for (unsigned i = 0; i < 5; i++)
                pace_note_data(&p, START);
        assert_int_equal(pace_lacks(&p, START, 0), 5);
        for (unsigned i = 0; i < 3; i++)
                pace_note_command(&p, START + USEC_PER_SEC);
        assert_int_equal(pace_lacks(&p, START + USEC_PER_SEC, 0), 2);
        assert_int_equal(pace_lacks(&p, START + (PACE_SECONDS + 1) * USEC_PER_SEC, 0), 0);
}

static void test_who_speaks_is_not_busy(void **state)
{
        Pace p = {};
        pace_note_data(&p, START);
        assert_int_equal(pace_lacks(&p, START + 5 * USEC_PER_SEC, START + USEC_PER_SEC), 1);
        assert_int_equal(pace_lacks(&p, START + 5 * USEC_PER_SEC, START + 2 * USEC_PER_SEC), 0);
}

static void test_old_news_prove_nothing(void **state)
{
        Pace p = {};
        uint64_t now = START + 10 * USEC_PER_SEC;
        pace_note_data(&p, START);
        pace_note_found(&p, START + USEC_PER_SEC);
        pace_doubt(&p, START + USEC_PER_SEC);
        assert_int_equal(pace_lacks(&p, now, START + USEC_PER_SEC + PACE_OLD_NEWS - 1), PACE_MAX);
        assert_int_equal(pace_lacks(&p, now, START + USEC_PER_SEC + PACE_OLD_NEWS), 0);
}

/* A return is doubted when the client is back, and again when its data channel is. */
static void test_doubt_does_not_add_up(void **state)
{
        Pace p = {};
        pace_note_data(&p, START);
        pace_doubt(&p, START + USEC_PER_SEC);
        pace_doubt(&p, START + USEC_PER_SEC);
        pace_note_data(&p, START + USEC_PER_SEC);
        for (unsigned i = 0; i < PACE_MAX; i++)
                pace_note_command(&p, START + 2 * USEC_PER_SEC);
        assert_int_equal(pace_lacks(&p, START + 2 * USEC_PER_SEC, 0), 1);
}

/* Several Deletes at once after a doubt: what went before the first goes before all of them. */
static void test_what_is_ordered_once_stays_so(void **state)
{
        Pace p = {};
        pace_doubt(&p, START);
        assert_int_equal(pace_lacks(&p, START, 0), PACE_MAX);
        for (unsigned i = 0; i < PACE_MAX; i++)
                pace_note_command(&p, START);
        pace_note_ordered(&p);
        assert_int_equal(pace_lacks(&p, START, 0), 0);
        pace_note_data(&p, START);
        pace_note_data(&p, START);
        assert_int_equal(pace_lacks(&p, START, 0), 2);
        /* They may be lost, or there may be data that nobody knows of. */
        pace_note_found(&p, START);
        assert_int_equal(pace_lacks(&p, START, 0), PACE_MAX);
        pace_note_ordered(&p);
        pace_doubt(&p, START + USEC_PER_SEC);
        assert_int_equal(pace_lacks(&p, START + USEC_PER_SEC, 0), PACE_MAX);
}

/* On a slow line: what the client says before the data has arrived, it does not say after it has handled that. */
static void test_late_data_counts_from_when_it_arrives(void **state)
{
        const uint64_t arrived = START + 5 * USEC_PER_SEC, now = arrived + 3 * USEC_PER_SEC;
        Pace p = {};
        for (unsigned i = 0; i < 10; i++)
                pace_note_data(&p, START + i / 4 * USEC_PER_SEC);
        pace_note_command(&p, START + 2 * USEC_PER_SEC);
        assert_int_equal(pace_lacks(&p, arrived, START + 4 * USEC_PER_SEC), 0);
        pace_note_late(&p, arrived, START);
        assert_int_equal(pace_lacks(&p, arrived, START + 4 * USEC_PER_SEC), 10);
        assert_int_equal(pace_lacks(&p, now, arrived), 10);
        assert_int_equal(pace_lacks(&p, now, arrived + 2 * USEC_PER_SEC), 0);
        /* Longer on its way than anything is remembered. */
        pace_note_late(&p, START + 100 * USEC_PER_SEC, START);
        assert_int_equal(pace_lacks(&p, START + 100 * USEC_PER_SEC, 0), PACE_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_as_many_commands_as_data),
                cmocka_unit_test(test_who_speaks_is_not_busy),
                cmocka_unit_test(test_old_news_prove_nothing),
                cmocka_unit_test(test_doubt_does_not_add_up),
                cmocka_unit_test(test_what_is_ordered_once_stays_so),
                cmocka_unit_test(test_late_data_counts_from_when_it_arrives),
        };
        return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
