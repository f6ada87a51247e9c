/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a client has sent lately on one channel, against what it may send. What
 * it is over that is not refused: the client is read from again when time has
 * made up for it, and TCP holds it back meanwhile.
 *
 * A leaky bucket each for bytes and messages: what was sent fades at the rate,
 * and as much as the rate allows in BUDGET_BURST may come at once.
 */

#include <stdint.h>

#include "base/clock.h"

#define BUDGET_BURST (5 * USEC_PER_SEC)
/* Nobody is held back for longer in one go: probes for dead connections have to get through now and then. */
#define BUDGET_WAIT_MAX (20 * USEC_PER_SEC)

/* A second; 0: any. */
typedef struct BudgetRate {
        uint64_t bytes, messages;
} BudgetRate;

typedef struct Budget {
        uint64_t at;          /* microseconds, CLOCK_MONOTONIC */
        double bytes, messages; /* not faded then */
} Budget;

/* Counts a message. Returns for how many microseconds nothing more should come; 0: it is within the rate. */
uint64_t budget_charge(Budget *b, const BudgetRate *rate, uint64_t now, uint64_t bytes);
