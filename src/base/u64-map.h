/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A hash table from numbers that are not 0 to numbers, for sets and indexes by
 * handle. Keys must not be chosen by a peer: hash what peers send with a
 * keyed hash first. A zeroed U64Map is empty and owns nothing.
 */

#include <stdint.h>

#include "base/macros.h"

typedef struct U64MapEntry {
        uint64_t key; /* 0: free */
        uint64_t value;
} U64MapEntry;

typedef struct U64Map {
        U64MapEntry *entries;
        uint32_t n;
        uint32_t mask; /* size - 1; entries is NULL: nothing */
} U64Map;

/* Releases everything and leaves an empty map. */
void u64_map_done(U64Map *m);

/* NULL when there is none. The pointer is valid until the map changes. */
uint64_t *u64_map_find(const U64Map *m, uint64_t key);

/* Room for n entries, so that setting them moves nothing. 0 or -ENOMEM. */
int u64_map_reserve(U64Map *m, size_t n);

/* Sets the value, new or not. 0, or 1 when the key was there; -ENOMEM. */
int u64_map_set(U64Map *m, uint64_t key, uint64_t value);

/* Whether it was there. */
bool u64_map_remove(U64Map *m, uint64_t key);

/* Removes an entry that u64_map_next() has returned, and returns what to go on with; NULL is the end. All of a walk that
 * removes as it goes costs no more than one that does not; an entry may be seen twice. */
const U64MapEntry *u64_map_take(U64Map *m, const U64MapEntry *e);

/* Every entry once, in no useful order; NULL begins, NULL is the end. The map must not change meanwhile. */
const U64MapEntry *u64_map_next(const U64Map *m, const U64MapEntry *e);
