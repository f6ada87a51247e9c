/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * SipHash-2-4 with 128-bit result, keyed with random bytes that every process
 * draws anew, so that nobody can choose input that collides.
 *
 * Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012), and
 * the 128-bit variant of the authors' reference.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct SipHash {
        uint64_t v0, v1, v2, v3;
        uint64_t tail;   /* bytes that do not yet fill a word */
        size_t size;     /* bytes so far */
} SipHash;

void siphash_begin(SipHash *s, const uint8_t key[static 16]);
void siphash_add(SipHash *s, const void *data, size_t size);
void siphash_add_u64(SipHash *s, uint64_t word);
void siphash_end(SipHash *s, uint64_t ret[static 2]);
