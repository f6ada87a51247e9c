/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* Which snapshots stay. A pure function of the list and the policy. */

/* However small the policy's numbers: so many of the newest snapshots that verify are kept. */
#define RETENTION_VERIFIED_MIN 3

typedef struct RetentionPolicy {
        uint32_t newest; /* max_backups: so many of the newest */
        uint32_t hourly; /* the newest of each of the last N hours that have one */
        uint32_t daily;
        uint32_t weekly; /* ISO weeks: Monday to Sunday; all periods in UTC */
} RetentionPolicy;

typedef struct RetentionItem {
        uint64_t time_usec; /* realtime */
        uint64_t number;    /* rises from snapshot to snapshot; decides between equal times */
        bool pinned;
        bool verified; /* its manifest and what it stands on are intact as far as known */
        bool keep;     /* the answer */
} RetentionItem;

/* Sets `keep` of every item; items may come in any order, which is preserved. Damaged snapshots count neither
 * as newest nor for a period: they never push out an intact one, and go as soon as they are no longer among
 * the newest. Returns how many are kept. */
size_t retention_apply(const RetentionPolicy *policy, RetentionItem *items, size_t n_items);
