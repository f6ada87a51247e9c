/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A set of payloads by digest, for telling how much of a snapshot is its own. */

#include "store/manifest.h"

typedef struct DigestSlot {
        uint64_t words[2]; /* the first half of the digest; both 0: free */
} DigestSlot;

typedef struct DigestSet {
        DigestSlot *slots;
        size_t n_slots; /* a power of two, or 0 */
        size_t n_used;
} DigestSet;

void digest_set_done(DigestSet *d);

/* 1: it is new, 0: it was there, -ENOMEM. */
int digest_set_add(DigestSet *d, const uint8_t digest[static STORE_DIGEST_SIZE]);

bool digest_set_has(const DigestSet *d, const uint8_t digest[static STORE_DIGEST_SIZE]);

/* Adds all payloads of a snapshot. With `others`, *ret_bytes gets what they add up to that are neither in `others` nor were
 * in the set. */
int digest_set_add_snapshot(DigestSet *d, const ManifestSet *set, const DigestSet *others, uint64_t *ret_bytes);
