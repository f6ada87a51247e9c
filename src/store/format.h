/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The store's bytes, as in scenekeep-store(5). All integers are little-endian,
 * all structures naturally aligned, all digests plain SHA-256 over plain ranges.
 * Flag words follow the usual rule: an unknown compatible bit may be ignored, an
 * unknown incompatible one means that the file must not be touched.
 */

#include <endian.h>
#include <stdint.h>

#include "store/store.h"

#define FORMAT_INCOMPATIBLE_KNOWN 0u
#define FORMAT_ALIGNMENT 8u

/* ---- "store": which store this is ---- */

#define FORMAT_IDENTITY_MAGIC "SKEEPSTO"
#define FORMAT_IDENTITY_NAME "store"
#define FORMAT_IDENTITY_BEGUN 0x1u /* something in the store has been durable: it cannot be empty any more */

typedef struct FormatIdentity {
        uint8_t magic[8];
        uint32_t compatible;
        uint32_t incompatible;
        uint8_t store_id[16];
        uint8_t copied_from[16]; /* zero: not a copy */
        uint64_t created_usec;
        uint64_t folder_inode; /* of the instance's folder; another value means that this is a copy */
        uint64_t folder_birth_usec; /* when the folder was made; 0: the file system does not say */
        uint32_t flags;
        uint32_t reserved;
        uint64_t durable; /* when the store was closed, records up to this one were durable */
        uint8_t reserved2[8];
        uint8_t digest[STORE_DIGEST_SIZE]; /* over everything before it */
} FormatIdentity;
_Static_assert(sizeof(FormatIdentity) == 128, "identity size");

/* ---- "log/NNNNNNNNNN.seg" ---- */

#define FORMAT_SEGMENT_MAGIC "SKEEPSEG"
#define FORMAT_SEGMENT_JOURNAL 1u /* records of the session, in sequence */
#define FORMAT_SEGMENT_CONTENT 2u /* payloads written by the background thread */
#define FORMAT_SEGMENT_AFTER_LOSS 0x1u /* records between follows and first_sequence were never written */

typedef struct FormatSegment {
        uint8_t magic[8];
        uint32_t compatible;
        uint32_t incompatible;
        uint32_t header_size; /* where the first record begins */
        uint32_t type;
        uint64_t number; /* same as in the name */
        uint8_t store_id[16];
        uint64_t created_usec;
        uint64_t first_sequence; /* of the first record written here */
        uint64_t follows;        /* last valid sequence before it; those between the two are void */
        uint64_t record_mark;    /* random; begins each record, so that no payload can look like one */
        uint32_t flags;
        uint8_t reserved[12];
        uint8_t digest[STORE_DIGEST_SIZE]; /* over everything before it */
} FormatSegment;
_Static_assert(sizeof(FormatSegment) == 128, "segment header size");

/* ---- a record: header, author, key, meta, digest of all these, padding, payload, padding ---- */

#define FORMAT_KIND_SYNC_MARK 0xf000u /* nothing but `durable` */
#define FORMAT_KIND_CONTENT 0xf001u   /* payload of a node, made for a snapshot; key: the node */
#define FORMAT_KIND_MOVED 0xf002u     /* payload copied here by compaction */

typedef struct FormatRecord {
        uint64_t mark; /* record_mark of the segment */
        uint16_t kind;
        uint16_t flags;
        uint8_t author_size;
        uint8_t key_size;
        uint8_t reserved[2];
        uint32_t meta_size;
        uint32_t reserved2;
        uint64_t sequence; /* 0 for the store's own kinds */
        uint64_t time_usec;
        uint64_t durable; /* when this was written, records up to this one were known to be durable */
        uint64_t blob_size;
        uint64_t blob_segment; /* where the payload is: here, or elsewhere if STORE_RECORD_REFERENCE; 0 if
                                  none */
        uint64_t blob_offset;
        uint8_t blob_digest[STORE_DIGEST_SIZE]; /* SHA-256 of the payload; zero if none */
} FormatRecord;
_Static_assert(sizeof(FormatRecord) == 104, "record header size");

/* ---- "snapshots/NAME.snap", its twin, and ".base" ---- */

#define FORMAT_MANIFEST_MAGIC "SKEEPSNP"
/* In `compatible`: behind the header's fields, in its size, follow 32 bits for each entry: when the node was changed last, in
 * seconds; 0: not known. */
#define FORMAT_MANIFEST_TIMES 0x1u

typedef struct FormatManifest {
        uint8_t magic[8];
        uint32_t compatible;
        uint32_t incompatible;
        uint32_t header_size;
        uint32_t flags; /* none yet */
        uint64_t number;
        uint64_t time_usec;
        uint64_t sequence;
        uint8_t store_id[16];
        uint64_t previous_number; /* the manifest that this one changes; 0: this one is whole */
        uint8_t previous_digest[STORE_DIGEST_SIZE];   /* the digest that closes that file */
        uint64_t entry_count;                         /* in this file */
        uint64_t node_count;                          /* of the snapshot */
        uint64_t payload_bytes;                       /* of all its nodes */
        uint64_t user_count;
        uint32_t reason_size;
        uint32_t user_size;
        uint64_t state_size;
        uint64_t entries_size;
        uint8_t reserved[16];
} FormatManifest; /* then reason, user, state, entries, digest of everything before it */
_Static_assert(sizeof(FormatManifest) == 176, "manifest header size");

#define FORMAT_ENTRY_REMOVED 0x1u

typedef struct FormatEntry {
        uint64_t segment;
        uint64_t offset;
        uint64_t blob_size;
        uint8_t blob_digest[STORE_DIGEST_SIZE];
        uint32_t dependencies_size;
        uint16_t owner_size;
        uint8_t key_size;
        uint8_t flags;
} FormatEntry; /* then key, owner, dependencies; entries follow each other without padding */
_Static_assert(sizeof(FormatEntry) == 64, "entry size");

static inline uint64_t format_align(uint64_t n)
{
        return (n + FORMAT_ALIGNMENT - 1) & ~(uint64_t)(FORMAT_ALIGNMENT - 1);
}
