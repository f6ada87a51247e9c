/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How long something took, counted in classes: from a millisecond to half a minute, and beyond. */

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS {1000, 10000, 100000, 500000, 1000000, 2000000, 5000000, 30000000} /* microseconds */
#define HISTOGRAM_N_BOUNDS 8u

typedef struct Histogram {
        uint64_t counts[HISTOGRAM_N_BOUNDS + 1]; /* up to each bound, above the one before; the last: beyond all */
        uint64_t sum_usec;
} Histogram;

static inline void histogram_add(Histogram *h, uint64_t usec)
{
        static const uint64_t bounds[HISTOGRAM_N_BOUNDS] = HISTOGRAM_BOUNDS;
        size_t i = 0;

        while (i < HISTOGRAM_N_BOUNDS && usec > bounds[i])
                i++;
        h->counts[i]++;
        h->sum_usec += usec;
}
