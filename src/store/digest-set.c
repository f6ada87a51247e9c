/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/digest-set.h"

#include <errno.h>

void digest_set_done(DigestSet *d)
{
        free(d->slots);
        *d = (DigestSet){ 0 };
}

/* The slot that holds it, or would. */
static DigestSlot *find_slot(const DigestSet *d, const uint64_t words[static 2])
{
        size_t i = (size_t)words[0] & (d->n_slots - 1);

        while ((d->slots[i].words[0] | d->slots[i].words[1]) != 0 &&
               (d->slots[i].words[0] != words[0] || d->slots[i].words[1] != words[1]))
                i = (i + 1) & (d->n_slots - 1);
        return &d->slots[i];
}

static int grow(DigestSet *d)
{
        DigestSet larger = { .n_slots = MAX(d->n_slots * 2, (size_t)1024), .n_used = d->n_used };

        larger.slots = calloc(larger.n_slots, sizeof(DigestSlot));
        if (!larger.slots)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_slots; i++)
                if ((d->slots[i].words[0] | d->slots[i].words[1]) != 0)
                        *find_slot(&larger, d->slots[i].words) = d->slots[i];
        free(d->slots);
        *d = larger;
        return 0;
}

bool digest_set_has(const DigestSet *d, const uint8_t digest[static STORE_DIGEST_SIZE])
{
        DigestSlot slot;

        if (d->n_slots == 0)
                return false;
        memcpy(&slot, digest, sizeof(slot));
        return memcmp(find_slot(d, slot.words), &slot, sizeof(slot)) == 0;
}

int digest_set_add(DigestSet *d, const uint8_t digest[static STORE_DIGEST_SIZE])
{
        DigestSlot slot, *place;

        if (d->n_used * 2 >= d->n_slots && grow(d) < 0)
                return -ENOMEM;
        memcpy(&slot, digest, sizeof(slot));
        place = find_slot(d, slot.words);
        if (memcmp(place, &slot, sizeof(slot)) == 0)
                return 0;
        *place = slot;
        d->n_used++;
        return 1;
}

int digest_set_add_snapshot(DigestSet *d, const ManifestSet *set, const DigestSet *others, uint64_t *ret_bytes)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < set->n_entries; i++) {
                StoreEntry e;
                bool removed;
                int r;

                manifest_decode_entry(set->entries[i], SIZE_MAX, &e, &removed);
                r = digest_set_add(d, e.blob.digest);
                if (r < 0)
                        return r;
                if (r > 0 && others && !digest_set_has(others, e.blob.digest))
                        bytes += e.blob.size;
        }
        if (ret_bytes)
                *ret_bytes = bytes;
        return 0;
}
