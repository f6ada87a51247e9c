/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/index.h"

#include <errno.h>
#include <sys/random.h>

#define INDEX_SLOTS_MIN 1024u

void index_init(Index *x)
{
        *x = (Index){ 0 };
        if (getrandom(x->key, sizeof(x->key), 0) != sizeof(x->key))
                abort();
}

void index_done(Index *x)
{
        free(x->slots);
        *x = (Index){ 0 };
}

/* Multilinear hashing of four 64-bit words with 128-bit keys, of which the upper half is kept: strongly
 * universal (Lemire and Kaser, "Strongly universal string hashing is fast"). */
static uint64_t digest_tag(const Index *x, const uint8_t digest[static STORE_DIGEST_SIZE])
{
        unsigned __int128 sum = x->key[4];
        uint64_t words[4], tag;

        memcpy(words, digest, sizeof(words));
        for (unsigned i = 0; i < 4; i++)
                sum += words[i] * x->key[i];
        tag = (uint64_t)(sum >> 64);
        return tag == 0 ? 1 : tag;
}

static IndexSlot *find_slot(IndexSlot *slots, size_t n_slots, uint64_t tag, uint32_t size)
{
        for (size_t i = tag & (n_slots - 1);; i = (i + 1) & (n_slots - 1))
                if (slots[i].tag == 0 || (slots[i].tag == tag && slots[i].size == size))
                        return &slots[i];
}

static int rebuild(Index *x, size_t n_slots, uint64_t without_segment)
{
        IndexSlot *slots = calloc(n_slots, sizeof(IndexSlot));
        size_t n_used = 0;

        if (!slots)
                return -ENOMEM;
        for (size_t i = 0; i < x->n_slots; i++)
                if (x->slots[i].tag != 0 && x->slots[i].segment != without_segment) {
                        *find_slot(slots, n_slots, x->slots[i].tag, x->slots[i].size) = x->slots[i];
                        n_used++;
                }
        free(x->slots);
        x->slots = slots;
        x->n_slots = n_slots;
        x->n_used = n_used;
        return 0;
}

int index_put(Index *x, const StoreLocation *location)
{
        uint64_t tag = digest_tag(x, location->digest);
        IndexSlot *slot;

        if (x->n_used + 1 > x->n_slots / 4 * 3) {
                int r = rebuild(x, MAX(x->n_slots * 2, (size_t)INDEX_SLOTS_MIN), 0);
                if (r < 0)
                        return r;
        }
        slot = find_slot(x->slots, x->n_slots, tag, (uint32_t)location->size);
        if (slot->tag == 0)
                x->n_used++;
        *slot = (IndexSlot){
                .tag = tag,
                .offset = location->offset,
                .segment = (uint32_t)location->segment,
                .size = (uint32_t)location->size,
        };
        return 0;
}

bool index_find(const Index *x, StoreLocation *location)
{
        const IndexSlot *slot;

        if (x->n_slots == 0)
                return false;
        slot = find_slot(x->slots, x->n_slots, digest_tag(x, location->digest), (uint32_t)location->size);
        if (slot->tag == 0)
                return false;
        location->segment = slot->segment;
        location->offset = slot->offset;
        return true;
}

int index_drop_segment(Index *x, uint64_t segment)
{
        return x->n_slots == 0 ? 0 : rebuild(x, x->n_slots, segment);
}
