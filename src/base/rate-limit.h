/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Keeps one talkative peer from filling the log: at most `burst` events per
 * `interval` and key (an address, a user name), the rest only counted. The
 * table holds a bounded number of keys; the one unused longest makes room.
 */

#include <stdint.h>

#include "base/macros.h"

typedef struct RateLimitTable RateLimitTable;

RateLimitTable *rate_limit_table_new(uint32_t burst, uint64_t interval_usec, uint32_t max_keys);
RateLimitTable *rate_limit_table_free(RateLimitTable *t); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(RateLimitTable *, rate_limit_table_free)

/* Whether this event may pass. *ret_suppressed, which may be NULL, is set on true: how many events of the key were
 * held back since the last one that passed. Keys are compared by their first 63 bytes. */
bool rate_limit_admit(RateLimitTable *t, const char *key, uint64_t now_usec, uint32_t *ret_suppressed);
