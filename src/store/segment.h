/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Segment: one file of the log: its header, its mapping, and the records in it.
 * Segments are shared by both threads under the store's mutex; a SegmentMap, once taken, is immutable
 * and outlives the file's removal.
 */

#include <stdint.h>

#include "base/bytes.h"
#include "store/format.h"
#include "store/io.h"
#include "store/sigbus.h"

#define SEGMENT_NAME_SIZE sizeof("0000000007.seg")
#define SEGMENT_NUMBER_MAX UINT64_C(4294967295)

typedef struct SegmentMap {
        uint8_t *base;
        size_t size;
        Bytes whole; /* of which payloads are slices; counts the references */
        SigbusRegion *region;
} SegmentMap;

SegmentMap *segment_map_ref(SegmentMap *m);
SegmentMap *segment_map_unref(SegmentMap *m);
DEFINE_CLEANUP(SegmentMap *, segment_map_unref)
#define _cleanup_segment_map_ _cleanup_(segment_map_unrefp)

typedef struct Segment {
        uint64_t number;
        uint32_t type;
        uint32_t flags;
        uint32_t header_size;
        bool header_intact;
        bool sealed;  /* nothing is written to it any more */
        bool set_aside; /* damage was found in it and it was linked into aside/ */
        bool broken_reported;
        bool referenced; /* since reclaim last looked, deduplication pointed into it or a snapshot began with
                            it */
        bool references_known;
        StoreLocation *references; /* payloads elsewhere that records in it point to */
        size_t n_references;
        bool indexed; /* content: all its payloads are in the index */
        uint64_t created_usec;
        uint64_t first_sequence;
        uint64_t follows;
        uint64_t last_sequence; /* of the newest record known to be in it; 0: not known */
        uint64_t record_mark;
        uint64_t size;     /* bytes in the kernel */
        uint64_t superseded; /* what lies here or behind was written anew elsewhere; UINT64_MAX: nothing */
        uint64_t capacity; /* bytes it may grow to: what is mapped */
        SegmentMap *map;   /* made when first needed */
} Segment;

void segment_name(uint64_t number, char ret[static SEGMENT_NAME_SIZE]);
/* The number in a name like 0000000007.seg; false for any other name. */
bool segment_parse_name(const char *name, uint64_t *ret);

/* A segment to be written: header fields from the arguments, record_mark at random. */
Segment *segment_new(uint64_t number, uint32_t type, uint64_t now_usec, uint64_t capacity,
                     uint64_t first_sequence, uint64_t follows, uint32_t flags);
void segment_encode_header(const Segment *s, const uint8_t store_id[static 16],
                           uint8_t ret[static sizeof(FormatSegment)]);

/* Reads a segment's header. Returns 0; 1 when the file is too short to hold anything (a creation cut short);
 * -EPROTONOSUPPORT when it is of a newer, incompatible format; other negative errno. A damaged header is no
 * error: header_intact is false then, and what can be guessed is. */
int segment_open(Io *io, int dirfd, uint64_t number, Segment **ret);

/* Maps it (cached). The reference belongs to the caller. */
int segment_map(Io *io, int dirfd, Segment *s, SegmentMap **ret);

Segment *segment_free(Segment *s);
DEFINE_CLEANUP(Segment *, segment_free)
#define _cleanup_segment_ _cleanup_(segment_freep)

/* Bytes over a range of a mapping, which it keeps: a slice of all of it, so at the offset that it has in the file. */
Bytes *segment_map_bytes(SegmentMap *m, uint64_t offset, uint64_t size);

/* ---- records ---- */

/* A record's head as it lies in a mapping; pointers lead into it. */
typedef struct RecordHead {
        FormatRecord header; /* in host order */
        uint64_t offset;     /* of the record in its segment */
        uint64_t blob_start; /* where a payload inside the record begins */
        uint64_t end;        /* where the next record begins */
        const uint8_t *author;
        const uint8_t *key;
        const uint8_t *meta;
} RecordHead;

/* Size of head (header to digest, padded) and of the whole record on disk. */
uint64_t record_head_size(size_t author_size, size_t key_size, size_t meta_size);
/* Encodes a head whose header is given in host order; buffer has record_head_size() bytes. */
void record_encode_head(const FormatRecord *header, const void *author, const void *key, const void *meta,
                        uint8_t *buffer);
/* Parses and verifies the head at an offset of [base, base + size). Returns 0; 1 when the head is intact but
 * the payload reaches beyond size; -EUCLEAN. */
int record_parse(const uint8_t *base, uint64_t size, uint64_t offset, uint64_t mark, uint64_t segment,
                 RecordHead *ret);
void record_get_location(const RecordHead *head, StoreLocation *ret);
void record_get_view(const RecordHead *head, StoreRecordView *ret);

/* ---- scanning ---- */

typedef struct Scanner {
        SegmentMap *map; /* owned */
        uint64_t segment;
        uint64_t mark;
        uint64_t offset;
        uint64_t size;
        uint64_t torn_sequence; /* of a head that is intact before a payload cut off by the end; 0: none */
        uint64_t damage_start;
        uint64_t damage_end;
} Scanner;

#define SCANNER_DAMAGE 2

int scanner_init(Scanner *sc, Io *io, int dirfd, Segment *s);
void scanner_done(Scanner *sc);
/* Returns 1 and a record, 0 at the end, or SCANNER_DAMAGE with [damage_start, damage_end) that holds no intact
 * record; damage_end is the size of the segment when nothing intact follows. */
int scanner_next(Scanner *sc, RecordHead *ret);
