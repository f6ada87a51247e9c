/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/index.h"

#include <errno.h>
#include <sys/random.h>

#include "base/pages.h"

#define INDEX_SLOTS_MIN 1024u

/* Of recent payloads: 256 KiB in all. */
#define INDEX_BUCKETS ((size_t)4096)

/* Linear probing bears a table that is nearly full, and what grows by a quarter is never half empty. */
#define INDEX_IS_FULL(n, n_slots) ((n) * 20 > (n_slots) * 17)

void index_init(Index *x)
{
        *x = (Index){ 0 };
        if (getrandom(x->key, sizeof(x->key), 0) != sizeof(x->key))
                abort();
}

void index_done(Index *x)
{
        pages_free(x->slots, x->n_slots * sizeof(IndexSlot));
        pages_free(x->recent, INDEX_BUCKETS * sizeof(x->recent[0]));
        *x = (Index){ 0 };
}

/* Multilinear hashing of five 64-bit words with 128-bit keys, of which the upper half is kept: strongly
 * universal (Lemire and Kaser, "Strongly universal string hashing is fast"). */
static uint64_t make_tag(const Index *x, const StoreLocation *location)
{
        unsigned __int128 sum = x->key[5];
        uint64_t words[5], tag;

        memcpy(words, location->digest, STORE_DIGEST_SIZE);
        words[4] = location->size;
        for (unsigned i = 0; i < 5; i++)
                sum += words[i] * x->key[i];
        tag = (uint64_t)(sum >> 64);
        return tag == 0 ? 1 : tag;
}

static IndexSlot *find_slot(IndexSlot *slots, size_t n_slots, uint64_t tag)
{
        for (size_t i = (size_t)((unsigned __int128)tag * n_slots >> 64);; i = i + 1 < n_slots ? i + 1 : 0)
                if (slots[i].tag == 0 || slots[i].tag == tag)
                        return &slots[i];
}

static int rebuild(Index *x, size_t n_slots, uint64_t without_segment)
{
        IndexSlot *slots = pages_new(n_slots * sizeof(IndexSlot));
        size_t n_used = 0;

        if (!slots)
                return -ENOMEM;
        for (size_t i = 0; i < x->n_slots; i++)
                if (x->slots[i].tag != 0 && x->slots[i].segment != without_segment) {
                        *find_slot(slots, n_slots, x->slots[i].tag) = x->slots[i];
                        n_used++;
                }
        pages_free(x->slots, x->n_slots * sizeof(IndexSlot));
        x->slots = slots;
        x->n_slots = n_slots;
        x->n_used = n_used;
        return 0;
}

/* A file may say so, whatever wrote it. */
static bool is_impossible(const StoreLocation *location)
{
        return location->offset > INDEX_OFFSET_MAX || location->offset % FORMAT_ALIGNMENT != 0;
}

static IndexSlot slot_of(uint64_t tag, const StoreLocation *location)
{
        return (IndexSlot){
                .tag = tag,
                .segment = (uint32_t)location->segment,
                .offset = (uint32_t)(location->offset / FORMAT_ALIGNMENT),
        };
}

int index_put(Index *x, const StoreLocation *location)
{
        uint64_t tag = make_tag(x, location);
        IndexSlot *slot;

        if (is_impossible(location))
                return -EFBIG;
        if (INDEX_IS_FULL(x->n_used + 1, x->n_slots)) {
                int r = rebuild(x, MAX(x->n_slots + x->n_slots / 4, (size_t)INDEX_SLOTS_MIN), 0);
                if (r < 0)
                        return r;
        }
        slot = find_slot(x->slots, x->n_slots, tag);
        if (slot->tag == 0)
                x->n_used++;
        *slot = slot_of(tag, location);
        return 0;
}

static IndexSlot *find_bucket(const Index *x, uint64_t tag)
{
        return x->recent[tag % INDEX_BUCKETS];
}

static IndexSlot *find_recent(const Index *x, uint64_t tag)
{
        IndexSlot *bucket = x->recent ? find_bucket(x, tag) : NULL;

        for (unsigned i = 0; bucket && i < INDEX_WAYS; i++)
                if (bucket[i].tag == tag)
                        return &bucket[i];
        return NULL;
}

/* NULL: it is not there. */
static IndexSlot *find_tag(const Index *x, uint64_t tag)
{
        IndexSlot *slot = x->n_slots > 0 ? find_slot(x->slots, x->n_slots, tag) : NULL;

        return slot && slot->tag != 0 ? slot : find_recent(x, tag);
}

int index_put_recent(Index *x, const StoreLocation *location)
{
        uint64_t tag = make_tag(x, location);
        IndexSlot *there = find_tag(x, tag), *bucket;

        if (is_impossible(location))
                return -EFBIG;
        if (there) {
                *there = slot_of(tag, location);
                return 0;
        }
        if (!x->recent)
                x->recent = pages_new(INDEX_BUCKETS * sizeof(x->recent[0]));
        if (!x->recent)
                return -ENOMEM;
        bucket = find_bucket(x, tag);
        memmove(bucket + 1, bucket, (INDEX_WAYS - 1) * sizeof(*bucket));
        bucket[0] = slot_of(tag, location);
        return 0;
}

bool index_find(const Index *x, StoreLocation *location)
{
        const IndexSlot *slot = find_tag(x, make_tag(x, location));

        if (!slot)
                return false;
        location->segment = slot->segment;
        location->offset = (uint64_t)slot->offset * FORMAT_ALIGNMENT;
        return true;
}

static void drop_recent(Index *x, uint64_t segment)
{
        for (size_t i = 0; x->recent && i < INDEX_BUCKETS; i++)
                for (unsigned k = 0; k < INDEX_WAYS; k++)
                        if (x->recent[i][k].segment == segment)
                                x->recent[i][k] = (IndexSlot){ 0 };
}

int index_drop_segment(Index *x, uint64_t segment)
{
        int r = x->n_slots == 0 ? 0 : rebuild(x, x->n_slots, segment);

        drop_recent(x, segment);
        if (r < 0 || x->n_slots <= INDEX_SLOTS_MIN || x->n_used * 2 > x->n_slots)
                return r;
        return rebuild(x, MAX(x->n_used + x->n_used / 2, (size_t)INDEX_SLOTS_MIN), 0);
}
