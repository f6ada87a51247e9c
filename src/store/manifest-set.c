/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/pages.h"
#include "store/digest.h"
#include "store/manifest.h"

void manifest_encode_location(const StoreLocation *location, uint8_t *entry)
{
        FormatEntry f;

        memcpy(&f, entry, sizeof(f));
        f.segment = htole64(location->segment);
        f.offset = htole64(location->offset);
        f.blob_size = htole64(location->size);
        memcpy(f.blob_digest, location->digest, sizeof(f.blob_digest));
        memcpy(entry, &f, sizeof(f));
}

void manifest_encode_entry(const StoreEntry *e, bool removed, uint8_t *buffer)
{
        FormatEntry f = {
                .dependencies_size = htole32((uint32_t)e->dependencies_size),
                .owner_size = htole16((uint16_t)e->owner_size),
                .key_size = (uint8_t)e->key_size,
                .flags = removed ? FORMAT_ENTRY_REMOVED : 0,
        };

        memcpy(buffer, &f, sizeof(f));
        if (!removed)
                manifest_encode_location(&e->blob, buffer);
        buffer += sizeof(f);
        if (e->key_size > 0)
                memcpy(buffer, e->key, e->key_size);
        buffer += e->key_size;
        if (e->owner_size > 0)
                memcpy(buffer, e->owner, e->owner_size);
        buffer += e->owner_size;
        if (e->dependencies_size > 0)
                memcpy(buffer, e->dependencies, e->dependencies_size);
}

size_t manifest_decode_entry(const uint8_t *p, size_t size, StoreEntry *ret, bool *ret_removed)
{
        FormatEntry f;
        size_t n;

        if (size < sizeof(f))
                return 0;
        memcpy(&f, p, sizeof(f));
        *ret = (StoreEntry){
                .key = p + sizeof(f),
                .key_size = f.key_size,
                .owner_size = le16toh(f.owner_size),
                .dependencies_size = le32toh(f.dependencies_size),
                .blob = {
                        .segment = le64toh(f.segment),
                        .offset = le64toh(f.offset),
                        .size = le64toh(f.blob_size),
                },
        };
        memcpy(ret->blob.digest, f.blob_digest, sizeof(f.blob_digest));
        ret->owner = ret->key + ret->key_size;
        ret->dependencies = ret->owner + ret->owner_size;
        *ret_removed = f.flags & FORMAT_ENTRY_REMOVED;
        n = manifest_entry_size(ret);
        return n <= size ? n : 0;
}

/* Where a payload lies is left out, so that compaction changes nothing. The sum makes the order irrelevant. */
void manifest_hash_entry(uint64_t hash[static 4], const uint8_t *entry, size_t size)
{
        uint64_t words[4];
        uint8_t digest[DIGEST_SIZE];
        size_t skip = offsetof(FormatEntry, blob_size);

        digest_buffer(entry + skip, size - skip, digest);
        memcpy(words, digest, sizeof(words));
        for (unsigned i = 0; i < 4; i++)
                hash[i] += words[i];
}

ManifestSet *manifest_set_free(ManifestSet *set)
{
        if (set) {
                for (size_t i = 0; i < set->n_chain; i++)
                        manifest_free(set->chain[i]);
                free(set->chain);
                pages_free(set->entries, set->n_allocated * sizeof(*set->entries));
                pages_free(set->times, set->n_allocated * sizeof(*set->times));
                free(set);
        }
        return NULL;
}

static uint64_t key_hash(const StoreEntry *e)
{
        uint64_t h = UINT64_C(14695981039346656037);

        for (size_t i = 0; i < e->key_size; i++)
                h = (h ^ e->key[i]) * UINT64_C(1099511628211);
        return h ^ h >> 32;
}

/* A set of keys: the entry in which each was met last, and in which manifest of the chain that was. */
typedef struct KeySlot {
        const uint8_t *entry; /* NULL: free */
        size_t link;
} KeySlot;

typedef struct Keys {
        KeySlot *slots;
        size_t n_slots; /* a power of two, at least twice the number of keys */
} Keys;

static int keys_init(Keys *keys, Manifest *const *chain, size_t n_chain)
{
        uint64_t n = 0;

        for (size_t i = 0; i < n_chain; i++)
                n += chain[i]->header.entry_count;
        keys->n_slots = 64;
        while (keys->n_slots < n * 2)
                keys->n_slots *= 2;
        keys->slots = pages_new(keys->n_slots * sizeof(KeySlot));
        return keys->slots ? 0 : -ENOMEM;
}

static void keys_done(Keys *keys)
{
        pages_free(keys->slots, keys->n_slots * sizeof(KeySlot));
}

static KeySlot *keys_find(const Keys *keys, const StoreEntry *e)
{
        for (size_t i = key_hash(e) & (keys->n_slots - 1);; i = (i + 1) & (keys->n_slots - 1)) {
                StoreEntry other;
                bool removed;

                if (!keys->slots[i].entry)
                        return &keys->slots[i];
                manifest_decode_entry(keys->slots[i].entry, SIZE_MAX, &other, &removed);
                if (other.key_size == e->key_size && memcmp(other.key, e->key, e->key_size) == 0)
                        return &keys->slots[i];
        }
}

static uint32_t manifest_entry_time(const Manifest *m, uint64_t i)
{
        uint32_t seconds = 0;

        if (m->times)
                memcpy(&seconds, m->times + i * sizeof(seconds), sizeof(seconds));
        return le32toh(seconds);
}

static int add_up(ManifestSet *set)
{
        uint64_t n_total = 0;
        Keys keys;

        for (size_t i = 0; i < set->n_chain; i++)
                n_total += set->chain[i]->header.entry_count;
        set->n_allocated = n_total + 1;
        set->entries = pages_new(set->n_allocated * sizeof(*set->entries));
        set->times = pages_new(set->n_allocated * sizeof(*set->times));
        if (!set->entries || !set->times || keys_init(&keys, set->chain, set->n_chain) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < set->n_chain; i++) {
                const Manifest *m = set->chain[i];
                uint64_t offset = 0;

                for (uint64_t k = 0; offset < m->header.entries_size; k++) {
                        const uint8_t *p = m->entries + offset;
                        StoreEntry e;
                        bool removed;
                        KeySlot *slot;

                        offset += manifest_decode_entry(p, m->header.entries_size - offset, &e, &removed);
                        slot = keys_find(&keys, &e);
                        if (slot->entry) /* a newer manifest has spoken */
                                continue;
                        slot->entry = p;
                        if (removed)
                                continue;
                        set->times[set->n_entries] = manifest_entry_time(m, k);
                        set->entries[set->n_entries++] = p;
                        set->payload_bytes += e.blob.size;
                }
        }
        keys_done(&keys);
        return 0;
}

int manifest_chain_live(Manifest *const *chain, const bool *retained, size_t n_chain, ManifestEntryFunc func,
                        void *userdata)
{
        size_t next_retained =
                SIZE_MAX; /* the retained manifest nearest to the one looked at, in it or after it */
        Keys keys;
        int r;

        r = keys_init(&keys, chain, n_chain);
        for (size_t i = 0; i < n_chain && r >= 0; i++) {
                const Manifest *m = chain[i];
                uint64_t offset = 0;

                if (retained[i])
                        next_retained = i;
                while (offset < m->header.entries_size && r >= 0) {
                        const uint8_t *p = m->entries + offset;
                        StoreEntry e;
                        bool removed;
                        KeySlot *slot;

                        offset += manifest_decode_entry(p, m->header.entries_size - offset, &e, &removed);
                        slot = keys_find(&keys, &e);
                        /* Newest first: shown if a retained manifest lies between this one and its
                         * replacement. */
                        if (!removed && next_retained != SIZE_MAX &&
                            (!slot->entry || slot->link < next_retained))
                                r = func(userdata, &e);
                        *slot = (KeySlot){ .entry = p, .link = i };
                }
        }
        keys_done(&keys);
        return r;
}

static int add_to_chain(ManifestSet *set, Manifest *m)
{
        Manifest **chain = reallocarray(set->chain, set->n_chain + 1, sizeof(Manifest *));

        if (!chain)
                return -ENOMEM;
        set->chain = chain;
        set->chain[set->n_chain++] = m;
        return 0;
}

int manifest_set_read(Io *io, int dirfd, const char *name, ManifestNameFunc name_of, void *userdata,
                      ManifestSet **ret)
{
        _cleanup_manifest_set_ ManifestSet *set = calloc(1, sizeof(ManifestSet));
        char file[32];
        int r;

        if (!set)
                return -ENOMEM;
        if (strlen(name) >= sizeof(file))
                return -ENOENT;
        memcpy(file, name, strlen(name) + 1);
        for (;;) {
                _cleanup_manifest_ Manifest *m = NULL;
                const Manifest *newer = set->n_chain > 0 ? set->chain[set->n_chain - 1] : NULL;
                uint64_t previous;

                r = manifest_read(io, dirfd, file, &m);
                if (r < 0)
                        return newer && r == -ENOENT ? -EUCLEAN : r;
                if (newer && (memcmp(newer->header.previous_digest, m->digest, sizeof(m->digest)) != 0 ||
                              newer->header.number <= m->header.number))
                        return -EUCLEAN;
                previous = m->header.previous_number;
                r = add_to_chain(set, m);
                if (r < 0)
                        return r;
                m = NULL;
                if (previous == 0)
                        break;
                if (set->n_chain > MANIFEST_CHAIN_MAX || name_of(userdata, previous, file) < 0)
                        return -EUCLEAN;
        }
        r = add_up(set);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(set);
        return 0;
}
