/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/retention.h"

#define HOUR_USEC UINT64_C(3600000000)
#define DAY_USEC (24 * HOUR_USEC)
#define WEEK_USEC (7 * DAY_USEC)

/* The epoch was a Thursday; with this added, weeks begin on Mondays. */
#define MONDAY_OFFSET_USEC (3 * DAY_USEC)

static int compare_newest_first(const void *a, const void *b)
{
        const RetentionItem *x = *(RetentionItem *const *)a, *y = *(RetentionItem *const *)b;

        if (x->time_usec != y->time_usec)
                return x->time_usec > y->time_usec ? -1 : 1;
        return x->number > y->number ? -1 : x->number < y->number;
}

/* The newest of each of the last n periods that have one. */
static void keep_periods(RetentionItem **sorted, size_t n_items, uint32_t n, uint64_t period, uint64_t offset)
{
        uint64_t last = UINT64_MAX;

        for (size_t i = 0; i < n_items && n > 0; i++) {
                uint64_t at = (sorted[i]->time_usec + offset) / period;

                if (!sorted[i]->verified || at == last)
                        continue;
                last = at;
                n--;
                sorted[i]->keep = true;
        }
}

static void keep_newest(RetentionItem **sorted, size_t n_items, uint32_t n)
{
        for (size_t i = 0; i < n_items && n > 0; i++) {
                sorted[i]->keep = true;
                if (sorted[i]->verified)
                        n--;
        }
}

size_t retention_apply(const RetentionPolicy *policy, RetentionItem *items, size_t n_items)
{
        _cleanup_free_ RetentionItem **sorted = calloc(n_items + 1, sizeof(RetentionItem *));
        size_t n_kept = 0;

        for (size_t i = 0; i < n_items; i++) {
                items[i].keep = items[i].pinned || !sorted; /* short of memory nothing goes */
                if (sorted)
                        sorted[i] = &items[i];
        }
        if (sorted) {
                qsort(sorted, n_items, sizeof(RetentionItem *), compare_newest_first);
                keep_newest(sorted, n_items, MAX(policy->newest, (uint32_t)RETENTION_VERIFIED_MIN));
                keep_periods(sorted, n_items, policy->hourly, HOUR_USEC, 0);
                keep_periods(sorted, n_items, policy->daily, DAY_USEC, 0);
                keep_periods(sorted, n_items, policy->weekly, WEEK_USEC, MONDAY_OFFSET_USEC);
        }
        for (size_t i = 0; i < n_items; i++)
                n_kept += items[i].keep;
        return n_kept;
}
