/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every call that touches the disk, one after the other: the world stops before it, after it, in the middle
 * of it; or it fails once and the store goes on. Enumerated, not sampled. */

#include "store-scenario.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const fault_names[_FAULT_MAX] = {
        [FAULT_STOP_BEFORE] = "stop before",
        [FAULT_STOP_AFTER] = "stop after",
        [FAULT_STOP_TORN] = "stop in the middle of",
        [FAULT_ENOSPC] = "ENOSPC at",
        [FAULT_EIO] = "EIO at",
        [FAULT_SHORT] = "short write at",
};

static uint64_t count_calls(void)
{
        FaultIo fault;
        Scenario sc;
        const char *wrong;

        fault_io_init(&fault, FAULT_NONE, 0);
        scenario_init(&sc, &fault);
        scenario_run(&sc);
        assert_int_equal(sc.committed, sc.appended);
        assert_true(sc.n_snapshots >= 10);
        assert_int_equal(sc.n_restored, 6); /* twice in each life */
        assert_true(sc.n_moved > 0 && sc.reclaimed_bytes > 0);
        assert_true(sc.fixture.n_problems[STORE_WARNING] + sc.fixture.n_problems[STORE_ERROR] == 0);
        wrong = scenario_check(&sc, sc.fixture.path, sc.appended, sc.n_written);
        if (wrong)
                fail_msg("without any fault: %s", wrong);
        scenario_done(&sc);
        return fault.n_calls;
}

/* `n`: how many calls in a row fail. */
static void run_with(FaultKind kind, uint64_t at, uint64_t n)
{
        FaultIo fault;
        Scenario sc;
        const char *wrong;
        bool stops = kind == FAULT_STOP_BEFORE || kind == FAULT_STOP_AFTER || kind == FAULT_STOP_TORN;

        fault_io_init(&fault, kind, at);
        fault.until = at + n - 1;
        scenario_init(&sc, &fault);
        scenario_run(&sc);
        /* A world that stopped keeps what was committed; a call that failed costs nothing at all. */
        wrong = scenario_check(&sc, sc.fixture.path, stops ? sc.committed : sc.appended, sc.n_written);
        if (wrong)
                fail_msg("%s call %lu (%lu in a row): %s", fault_names[kind], (unsigned long)at,
                         (unsigned long)n, wrong);
        scenario_done(&sc);
}

static void enumerate(FaultKind kind, uint64_t n_in_a_row)
{
        uint64_t n_calls = count_calls();

        for (uint64_t at = 1; at <= n_calls; at++)
                run_with(kind, at, n_in_a_row);
        printf("# %s each of %lu calls\n", fault_names[kind], (unsigned long)n_calls);
}

static void test_stop_before(void **state)
{
        enumerate(FAULT_STOP_BEFORE, 1);
}

static void test_stop_after(void **state)
{
        enumerate(FAULT_STOP_AFTER, 1);
}

static void test_stop_torn(void **state)
{
        enumerate(FAULT_STOP_TORN, 1);
}

static void test_enospc(void **state)
{
        enumerate(FAULT_ENOSPC, 1);
}

static void test_eio(void **state)
{
        enumerate(FAULT_EIO, 1);
}

static void test_short(void **state)
{
        enumerate(FAULT_SHORT, 1);
}

static void test_enospc_for_a_while(void **state)
{
        enumerate(FAULT_ENOSPC, 7);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stop_before),
                cmocka_unit_test(test_stop_after),
                cmocka_unit_test(test_stop_torn),
                cmocka_unit_test(test_enospc),
                cmocka_unit_test(test_eio),
                cmocka_unit_test(test_short),
                cmocka_unit_test(test_enospc_for_a_while),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
