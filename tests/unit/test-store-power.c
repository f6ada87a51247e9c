/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Power cuts: at random moments of a session's life, with what was not synced dropped, reordered or torn by
 * sector. What the store had called durable must be there, and whatever is there must be right. */

#include "store-scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CUTS_DEFAULT 3000u

static uint64_t next_random(uint64_t *seed)
{
        uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

/* What had been called durable by then. */
static const Acknowledged *acknowledged_at(const Scenario *sc, size_t step)
{
        static const Acknowledged nothing;
        const Acknowledged *last = &nothing;

        for (size_t i = 0; i < sc->n_acknowledged && sc->acknowledged[i].step <= step; i++)
                last = &sc->acknowledged[i];
        return last;
}

static void test_power_cuts(void **state)
{
        const char *text = getenv("TEST_SEED"), *count = getenv("TEST_CUTS");
        uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 1000003;
        unsigned n_cuts = count ? (unsigned)strtoul(count, NULL, 0) : CUTS_DEFAULT;
        uint64_t first_seed = seed;
        char target[80];
        FaultIo fault;
        Scenario sc;

        printf("# TEST_SEED=%lu, %u cuts\n", (unsigned long)seed, n_cuts);
        fault_io_init(&fault, FAULT_NONE, 0);
        scenario_init(&sc, &fault);
        fault_io_record(&fault, sc.fixture.path);
        scenario_run(&sc);
        snprintf(target, sizeof(target), "%s-cut", sc.fixture.path);
        for (unsigned i = 0; i < n_cuts; i++) {
                size_t n_done = next_random(&seed) % (fault_io_record_size(&fault) + 1);
                uint64_t cut_seed = next_random(&seed);
                const Acknowledged *promised = acknowledged_at(&sc, n_done);
                const char *wrong;

                fault_io_power_cut(&fault, n_done, cut_seed, target);
                wrong = scenario_check(&sc, target, promised->durable, promised->n_written);
                if (wrong)
                        fail_msg("TEST_SEED=%lu, cut %u, after step %zu: %s", (unsigned long)first_seed, i,
                                 n_done, wrong);
                remove_tree(target);
        }
        fault_io_done(&fault);
        scenario_done(&sc);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_power_cuts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
