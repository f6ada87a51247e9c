/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A set of small numbers, one bit for each: which of a hundred thousand things have changed, at an eighth of a byte each. A
 * zeroed BitSet is empty and owns nothing.
 */

#include <stdint.h>

#include "base/macros.h"

typedef struct BitSet {
        uint64_t *words; /* pages */
        uint32_t n_words;
} BitSet;

/* Releases everything and leaves an empty set. */
void bit_set_done(BitSet *b);

/* Makes room for the numbers below `n`, so that adding them cannot fail. 0 or -ENOMEM. */
int bit_set_reserve(BitSet *b, uint32_t n);

/* 0 or -ENOMEM. */
int bit_set_add(BitSet *b, uint32_t number);
void bit_set_remove(BitSet *b, uint32_t number);
bool bit_set_has(const BitSet *b, uint32_t number);

/* The first that is not below *number, which is set to it; false: there is none. */
bool bit_set_next(const BitSet *b, uint32_t *number);
