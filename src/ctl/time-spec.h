/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Moments as people write them. */

#include <stdint.h>

/*
 *   now                                  2 hours ago, 90 min ago, 3d ago, -15min
 *   14:32, 14:32:10                      the last time it was that o'clock
 *   today 14:32, yesterday 14:00         the day alone is its midnight
 *   monday 9:00                          the last one before now
 *   2026-11-23, 2026-11-23 14:15[:00]    local time
 *   2026-11-23T14:15:00[.5][Z|+01:00]    with a zone it is exact
 *   20261123T141500Z                     as in the names of snapshots
 *   @1795443300[.5]                      seconds since 1970
 *
 * `now` and the answer are CLOCK_REALTIME in microseconds. A moment after `now` is returned as it is. Returns 0, or
 * -EINVAL for what is none of these. */
int time_spec_parse(const char *text, uint64_t now, uint64_t *ret);
