/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <string.h>

#include "pickle/siphash.h"

static inline uint64_t rotate(uint64_t x, int bits)
{
        return x << bits | x >> (64 - bits);
}

static inline void round_once(SipHash *s)
{
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
}

static inline void add_word(SipHash *s, uint64_t word)
{
        s->v3 ^= word;
        round_once(s);
        round_once(s);
        s->v0 ^= word;
}

static inline uint64_t load_word(const uint8_t *p)
{
        uint64_t word;
        memcpy(&word, p, sizeof word);
        return le64toh(word);
}

void siphash_begin(SipHash *s, const uint8_t key[static 16])
{
        uint64_t k0 = load_word(key), k1 = load_word(key + 8);
        *s = (SipHash){
                .v0 = UINT64_C(0x736f6d6570736575) ^ k0,
                .v1 = UINT64_C(0x646f72616e646f6d) ^ k1 ^ 0xee,
                .v2 = UINT64_C(0x6c7967656e657261) ^ k0,
                .v3 = UINT64_C(0x7465646279746573) ^ k1,
        };
}

void siphash_add(SipHash *s, const void *data, size_t size)
{
        const uint8_t *p = data, *end;
        unsigned n_tail = s->size & 7;

        /* The members of an empty frozenset have no address. */
        if (size == 0)
                return;
        end = p + size;
        s->size += size;
        if (n_tail > 0) {
                for (; p < end && n_tail < 8; n_tail++)
                        s->tail |= (uint64_t)*p++ << (8 * n_tail);
                if (n_tail < 8)
                        return;
                add_word(s, s->tail);
                s->tail = 0;
        }
        for (; end - p >= 8; p += 8)
                add_word(s, load_word(p));
        for (n_tail = 0; p < end; n_tail++)
                s->tail |= (uint64_t)*p++ << (8 * n_tail);
}

void siphash_add_u64(SipHash *s, uint64_t word)
{
        word = htole64(word);
        siphash_add(s, &word, sizeof word);
}

static uint64_t finish_half(SipHash *s)
{
        for (int i = 0; i < 4; i++)
                round_once(s);
        return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

void siphash_end(SipHash *s, uint64_t ret[static 2])
{
        add_word(s, s->tail | (uint64_t)s->size << 56);
        s->v2 ^= 0xee;
        ret[0] = finish_half(s);
        s->v1 ^= 0xdd;
        ret[1] = finish_half(s);
}
