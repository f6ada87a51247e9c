/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/budget.h"

#include "base/macros.h"

static double fade(double sent, uint64_t rate, double seconds)
{
        return rate > 0 ? MAX(sent - (double)rate * seconds, 0.0) : 0.0;
}

/* Seconds until no more than a burst is left; a sum from which it would take longer than is ever waited is cut. */
static double wait_for(double *sent, uint64_t rate)
{
        const double burst = (double)BUDGET_BURST / USEC_PER_SEC, longest = (double)BUDGET_WAIT_MAX / USEC_PER_SEC;
        if (rate == 0)
                return 0.0;
        *sent = MIN(*sent, (double)rate * (burst + longest));
        return MAX(*sent / (double)rate - burst, 0.0);
}

uint64_t budget_charge(Budget *b, const BudgetRate *rate, uint64_t now, uint64_t bytes)
{
        double seconds = (double)(now - MIN(b->at, now)) / USEC_PER_SEC;
        b->at = now;
        b->bytes = fade(b->bytes, rate->bytes, seconds) + (double)bytes;
        b->messages = fade(b->messages, rate->messages, seconds) + 1.0;
        double bytes_wait = wait_for(&b->bytes, rate->bytes), messages_wait = wait_for(&b->messages, rate->messages);
        return (uint64_t)(MAX(bytes_wait, messages_wait) * USEC_PER_SEC);
}
