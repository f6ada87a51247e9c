/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/bit-set.h"
#include "base/pages.h"

#define WORD_BITS 64u

void bit_set_done(BitSet *b)
{
        pages_free(b->words, b->n_words * sizeof *b->words);
        *b = (BitSet){};
}

int bit_set_reserve(BitSet *b, uint32_t n)
{
        uint32_t n_words = n / WORD_BITS + (n % WORD_BITS > 0);
        if (n_words <= b->n_words)
                return 0;
        uint64_t *words = pages_resize(b->words, b->n_words * sizeof *words, n_words * sizeof *words);
        if (!words)
                return -ENOMEM;
        b->words = words;
        b->n_words = n_words;
        return 0;
}

int bit_set_add(BitSet *b, uint32_t number)
{
        if (number / WORD_BITS >= b->n_words) {
                /* Some more than is needed, since the next one is likely to be larger still. */
                int r = bit_set_reserve(b, number + number / 4 + 16 * WORD_BITS);
                if (r < 0)
                        return r;
        }
        b->words[number / WORD_BITS] |= UINT64_C(1) << number % WORD_BITS;
        return 0;
}

void bit_set_remove(BitSet *b, uint32_t number)
{
        if (number / WORD_BITS < b->n_words)
                b->words[number / WORD_BITS] &= ~(UINT64_C(1) << number % WORD_BITS);
}

bool bit_set_has(const BitSet *b, uint32_t number)
{
        return number / WORD_BITS < b->n_words && b->words[number / WORD_BITS] >> number % WORD_BITS & 1;
}

bool bit_set_next(const BitSet *b, uint32_t *number)
{
        for (uint32_t i = *number / WORD_BITS, skip = *number % WORD_BITS; i < b->n_words; i++, skip = 0) {
                uint64_t rest = b->words[i] >> skip;
                if (rest == 0)
                        continue;
                *number = i * WORD_BITS + skip + (uint32_t)__builtin_ctzll(rest);
                return true;
        }
        return false;
}
