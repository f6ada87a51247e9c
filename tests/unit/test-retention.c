/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/retention.h"

#define HOUR UINT64_C(3600000000)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)
#define ITEMS_MAX 60

/* Monday, 2026-11-23 14:15:00 UTC */
#define NOW (UINT64_C(1795443300) * 1000000)

static void test_newest(void **state)
{
        RetentionItem items[8];

        for (unsigned i = 0; i < 8; i++)
                items[i] = (RetentionItem){ .time_usec = NOW + i, .number = i + 1, .verified = true };
        assert_int_equal(retention_apply(&(RetentionPolicy){ .newest = 5 }, items, 8), 5);
        for (unsigned i = 0; i < 8; i++)
                assert_int_equal(items[i].keep, i >= 3);
}

static void test_at_least_three(void **state)
{
        RetentionItem items[8];

        for (unsigned i = 0; i < 8; i++)
                items[i] = (RetentionItem){ .time_usec = NOW + i,
                                            .number = i + 1,
                                            .verified = i != 6 && i != 7 };
        assert_int_equal(retention_apply(&(RetentionPolicy){ .newest = 1 }, items, 8), 5);
        assert_true(items[3].keep && items[4].keep && items[5].keep && items[6].keep && items[7].keep);
}

static void test_pins(void **state)
{
        RetentionItem items[8];

        for (unsigned i = 0; i < 8; i++)
                items[i] = (RetentionItem){
                        .time_usec = NOW + i, .number = i + 1, .verified = true, .pinned = i == 0
                };
        assert_int_equal(retention_apply(&(RetentionPolicy){ .newest = 3 }, items, 8), 4);
        assert_true(items[0].keep);
        assert_false(items[1].keep);
}

/* One every 10 minutes over five weeks: the newest of each period stays. */
static void test_periods(void **state)
{
        size_t n = 5 * 7 * 24 * 6;
        RetentionItem *items = calloc(n, sizeof(RetentionItem));
        RetentionPolicy policy = { .newest = 3, .hourly = 5, .daily = 4, .weekly = 3 };
        uint64_t monday = NOW - (14 * HOUR + HOUR / 4);

        for (size_t i = 0; i < n; i++)
                items[i] = (RetentionItem){ .time_usec = NOW - (n - 1 - i) * (HOUR / 6),
                                            .number = i + 1,
                                            .verified = true };
        /* 3 newest; 13:xx, 12:xx, 11:xx and 10:xx; three days before; Sundays before last of two more weeks */
        retention_apply(&policy, items, n);
        for (size_t i = 0; i < n; i++) {
                uint64_t t = items[i].time_usec;
                uint64_t next = t + HOUR / 6;
                bool newest = i + 3 >= n;
                bool hourly = t >= NOW - 4 * HOUR - HOUR / 4 &&
                              (next - monday + WEEK) / HOUR != (t - monday + WEEK) / HOUR;
                bool daily = t + 3 * DAY >= monday &&
                             (next + 100 * WEEK - monday) / DAY != (t + 100 * WEEK - monday) / DAY;
                bool weekly = t + 2 * WEEK >= monday &&
                        (next + 100 * WEEK - monday) / WEEK != (t + 100 * WEEK - monday) / WEEK;

                if (items[i].keep != (newest || hourly || daily || weekly || i == n - 1))
                        fail_msg("item %zu of %zu, %ld s before now: keep is %d", i, n,
                                 (long)((NOW - t) / 1000000), items[i].keep);
        }
        free(items);
}

static uint64_t next_random(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

static const RetentionItem *newest_verified(const RetentionItem *items, size_t n, uint64_t before)
{
        const RetentionItem *found = NULL;

        for (size_t i = 0; i < n; i++)
                if (items[i].verified && items[i].time_usec < before &&
                    (!found || items[i].time_usec > found->time_usec))
                        found = &items[i];
        return found;
}

static void check_properties(const RetentionPolicy *policy, const RetentionItem *items, size_t n, size_t n_kept)
{
        size_t verified = 0, verified_kept = 0, kept = 0;
        uint64_t before = UINT64_MAX;

        for (size_t i = 0; i < n; i++) {
                verified += items[i].verified;
                kept += items[i].keep;
                verified_kept += items[i].verified && items[i].keep;
                if (items[i].pinned)
                        assert_true(items[i].keep);
        }
        assert_int_equal(kept, n_kept);
        assert_true(verified_kept >= (verified < 3 ? verified : 3));
        assert_true(verified_kept >= (verified < policy->newest ? verified : policy->newest));
        /* The newest that verify, as many as asked for, are among the kept. */
        for (size_t i = 0; i < policy->newest; i++) {
                const RetentionItem *item = newest_verified(items, n, before);

                if (!item)
                        break;
                assert_true(item->keep);
                before = item->time_usec;
        }
}

static void test_properties(void **state)
{
        const char *text = getenv("TEST_SEED");
        uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 1000003 + 1;

        printf("# TEST_SEED=%lu\n", (unsigned long)seed);
        for (unsigned round = 0; round < 3000; round++) {
                RetentionItem items[ITEMS_MAX], again[ITEMS_MAX];
                size_t n = next_random(&seed) % ITEMS_MAX, n_kept, left = 0;
                RetentionPolicy policy = {
                        .newest = next_random(&seed) % 12,
                        .hourly = next_random(&seed) % 6,
                        .daily = next_random(&seed) % 6,
                        .weekly = next_random(&seed) % 6,
                };

                for (size_t i = 0; i < n; i++)
                        items[i] = (RetentionItem){
                                .time_usec = NOW + next_random(&seed) % (30 * DAY),
                                .number = i + 1,
                                .pinned = next_random(&seed) % 10 == 0,
                                .verified = next_random(&seed) % 5 != 0,
                        };
                n_kept = retention_apply(&policy, items, n);
                check_properties(&policy, items, n, n_kept);
                /* What was kept once is kept again as long as nothing new has come. */
                for (size_t i = 0; i < n; i++)
                        if (items[i].keep)
                                again[left++] = items[i];
                assert_int_equal(retention_apply(&policy, again, left), left);
                /* The order of the list is of no consequence. */
                for (size_t i = 0; i < n; i++)
                        again[i] = items[n - 1 - i];
                assert_int_equal(retention_apply(&policy, again, n), n_kept);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(again[i].keep, items[n - 1 - i].keep);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_newest),
                cmocka_unit_test(test_at_least_three),
                cmocka_unit_test(test_pins),
                cmocka_unit_test(test_periods),
                cmocka_unit_test(test_properties),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
