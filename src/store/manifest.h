/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Manifest: the file of a snapshot, and the set of nodes that a chain of them
 * amounts to. A manifest is whole, or holds only what changed since the one before it. Each is on disk twice,
 * as NAME.snap and NAME.twin, since others may build on it.
 */

#include "store/format.h"
#include "store/io.h"
#include "store/store.h"

/* So many manifests may build on each other. */
#define MANIFEST_CHAIN_MAX 32u
#define MANIFEST_STATE_MAX (64u << 20)
#define MANIFEST_TEXT_MAX 4096u

#define MANIFEST_SUFFIX ".snap"      /* a snapshot */
#define MANIFEST_SUFFIX_BASE ".base" /* not a snapshot any more, but others build on it */
#define MANIFEST_SUFFIX_TWIN ".twin" /* the same bytes again */
#define MANIFEST_SUFFIX_PIN ".pin"   /* keep this snapshot, see pin.h */

typedef struct Manifest {
        uint8_t *data;
        uint64_t size;
        FormatManifest header; /* in host order */
        const char *reason;    /* header.reason_size bytes, no NUL */
        const char *user;
        const uint8_t *state;
        const uint8_t *entries;
        const uint8_t *times; /* 32 bits for each entry, little-endian; NULL: not told */
        uint8_t digest[STORE_DIGEST_SIZE];
} Manifest;

/* What can be told from the start of a file, not verified. The texts are NUL-terminated copies. */
typedef struct ManifestHead {
        FormatManifest header;
        char *reason;
        char *user;
        uint64_t size; /* of the file */
} ManifestHead;

/* The number in a name like 20261123T141500Z-00042, optionally with a suffix, which is returned. */
bool manifest_parse_name(const char *name, uint64_t *ret_number, const char **ret_suffix);

void manifest_head_done(ManifestHead *head);
/* -EUCLEAN: damaged; -EPROTONOSUPPORT: newer; -ENOENT. `name` with suffix. */
int manifest_read_head(Io *io, int dirfd, const char *name, ManifestHead *ret);

/* Reads and verifies one file. Errors as above. */
int manifest_read_file(Io *io, int dirfd, const char *name, Manifest **ret);
/* Tries NAME.snap, NAME.base and NAME.twin. Returns 1 if the twin had to stand in for a damaged file. */
int manifest_read(Io *io, int dirfd, const char *name, Manifest **ret);
Manifest *manifest_free(Manifest *m);
DEFINE_CLEANUP(Manifest *, manifest_free)
#define _cleanup_manifest_ _cleanup_(manifest_freep)

/* Writes header (completed here), times, texts, state and entries to NAME.twin and NAME.snap, each atomically, with one sync
 * of the folder. `times` as in the file, one for each entry. */
int manifest_write(Io *io, int dirfd, const char *name, const FormatManifest *header, const void *times,
                   const char *reason, const char *user, const Bytes *state, const void *entries,
                   uint64_t *ret_size, uint8_t ret_digest[static STORE_DIGEST_SIZE]);

/* ---- entries ---- */

/* Size of an entry as stored. */
static inline size_t manifest_entry_size(const StoreEntry *e)
{
        return sizeof(FormatEntry) + e->key_size + e->owner_size + e->dependencies_size;
}

void manifest_encode_entry(const StoreEntry *e, bool removed, uint8_t *buffer);
void manifest_encode_location(const StoreLocation *location, uint8_t *entry);
/* Decodes the entry at p but for its time; pointers lead into it. Returns its size, 0 if it does not fit in `size`. */
size_t manifest_decode_entry(const uint8_t *p, size_t size, StoreEntry *ret, bool *ret_removed);

/* ---- what a chain amounts to ---- */

typedef struct ManifestSet {
        Manifest **chain; /* newest first */
        size_t n_chain;
        const uint8_t **entries; /* encoded, in the chain's buffers */
        uint32_t *times;         /* of each, seconds; 0: not known */
        size_t n_entries;
        size_t n_allocated;
        uint64_t payload_bytes;
} ManifestSet;

/* Adds up a chain. name_of() gives the file name of a manifest by number, -ENOENT. */
typedef int (*ManifestNameFunc)(void *userdata, uint64_t number, char ret[static 32]);
int manifest_set_read(Io *io, int dirfd, const char *name, ManifestNameFunc name_of, void *userdata,
                      ManifestSet **ret);
ManifestSet *manifest_set_free(ManifestSet *set);
DEFINE_CLEANUP(ManifestSet *, manifest_set_free)
#define _cleanup_manifest_set_ _cleanup_(manifest_set_freep)

/* Calls func() for each entry of a chain's manifests (newest first) that a retained one of them still shows: an
 * entry counts from its own manifest to the one that replaces it. Stops at a negative result. */
typedef int (*ManifestEntryFunc)(void *userdata, const StoreEntry *entry);
int manifest_chain_live(Manifest *const *chain, const bool *retained, size_t n_chain, ManifestEntryFunc func,
                        void *userdata);

/* A hash of what the nodes are, wherever they lie and in whatever order. Add each encoded entry to four
 * zeroes. */
void manifest_hash_entry(uint64_t hash[static 4], const uint8_t *entry, size_t size);
