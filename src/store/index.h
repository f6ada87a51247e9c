/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Index: which payload lies where, by digest. A hash table of 16 bytes a payload:
 * instead of digest and size it keeps a 64-bit tag, made of all of both by a hash with a random
 * key that nobody outside can know, so that no two digests with equal tags can be made on purpose. Whoever
 * needs certainty compares the bytes (deduplication does).
 *
 * A payload that lies where it was written first is looked for only to save space. What that can save is bounded by the
 * payload, so of small ones only some thousand are remembered, of those that came last: memory does not grow with what
 * has ever been written.
 */

#include "store/format.h"

typedef struct IndexSlot {
        uint64_t tag; /* 0: free */
        uint32_t segment;
        uint32_t offset; /* in units of FORMAT_ALIGNMENT */
} IndexSlot;

/* A bucket of recent payloads holds so many, the latest first. */
#define INDEX_WAYS 4u

/* No segment may be larger: payloads behind this could not be found. */
#define INDEX_OFFSET_MAX ((uint64_t)UINT32_MAX * FORMAT_ALIGNMENT)

typedef struct Index {
        IndexSlot *slots; /* pages */
        size_t n_slots;
        size_t n_used;
        IndexSlot (*recent)[INDEX_WAYS]; /* pages; NULL: there are none yet */
        unsigned __int128 key[6];
} Index;

void index_init(Index *x);
void index_done(Index *x);

/* Adds a payload, or moves one that is there. -ENOMEM; -EFBIG: no payload of ours lies there. */
int index_put(Index *x, const StoreLocation *location);
/* Adds one that may be forgotten for later ones. The same errors. */
int index_put_recent(Index *x, const StoreLocation *location);
/* Finds by location->digest and size; sets segment and offset. */
bool index_find(const Index *x, StoreLocation *location);
/* Forgets everything that lies in a segment. */
int index_drop_segment(Index *x, uint64_t segment);
