/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <unistd.h>

#include "base/clock.h"
#include "daemon/turns.h"
#include "test.h"

static void the_longest_of_late(void **state)
{
        Turns t = {0};

        assert_int_equal(turns_longest(&t, 12 * USEC_PER_SEC), 0);
        turns_add(&t, 12 * USEC_PER_SEC, 700);
        turns_add(&t, 13 * USEC_PER_SEC, 900);
        turns_add(&t, 14 * USEC_PER_SEC, 800);
        assert_int_equal(turns_longest(&t, 14 * USEC_PER_SEC), 900);
        assert_int_equal(turns_longest(&t, 29 * USEC_PER_SEC), 900); /* also where no turn followed */
        turns_add(&t, 29 * USEC_PER_SEC, 300);
        assert_int_equal(turns_longest(&t, 29 * USEC_PER_SEC), 900);
        assert_int_equal(turns_longest(&t, 31 * USEC_PER_SEC), 300);
        assert_int_equal(turns_longest(&t, 41 * USEC_PER_SEC), 0);
        turns_add(&t, 77 * USEC_PER_SEC, 5);
        assert_int_equal(turns_longest(&t, 77 * USEC_PER_SEC), 5);
        assert_int_equal(t.seconds.counts[0], 5);
        assert_int_equal(t.seconds.sum_usec, 700 + 900 + 800 + 300 + 5);
}

static int work(sd_event_source *s, void *userdata)
{
        usleep(3000);
        return 0;
}

static int leave(sd_event_source *s, uint64_t usec, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(s), 42);
}

static void waiting_is_not_counted(void **state)
{
        sd_event_source *defer = NULL;
        sd_event *event = NULL;
        Turns t = {0};

        assert_true(sd_event_new(&event) >= 0);
        assert_true(sd_event_add_defer(event, &defer, work, NULL) >= 0);
        assert_true(sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, USEC_PER_SEC * 3 / 10, 1, leave, NULL) >= 0);
        uint64_t begin = clock_monotonic_usec();
        assert_int_equal(turns_run(&t, event), 42);
        uint64_t end = clock_monotonic_usec();
        assert_true(t.seconds.sum_usec >= 3000);
        assert_true(t.seconds.sum_usec <= end - begin - 10000); /* the wait is not in it */
        assert_true(turns_longest(&t, clock_monotonic_usec()) >= 3000);
        sd_event_source_unref(defer);
        sd_event_unref(event);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_longest_of_late),
                cmocka_unit_test(waiting_is_not_counted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
