/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Files of recorded deltas (.mudc): before, delta and after, with a canonical
 * dump of what deepdiff made of them. All little endian: 8 bytes MUDC0001, u32
 * count, then per record u32 flags, u64 FNV-1a of the ordered dump, and five
 * times u32 length and bytes: label, before, delta, after, canonical dump.
 */

#include "base/bytes.h"

enum {
        DELTA_RECORD_ABORTED = 1 << 0, /* deepdiff raised; after and dump are empty */
        DELTA_RECORD_SKIPPED = 1 << 1, /* it logged at least one entry */
};

typedef struct DeltaRecord {
        uint32_t flags;
        uint64_t order_hash;
        Bytes *label;
        Bytes *before;
        Bytes *delta;
        Bytes *after;
        Bytes *dump;
} DeltaRecord;

/* Calls the function with each record of a file. Returns the number of records, or a negative errno (-ENOENT where
 * there is no such file, -EBADMSG where it is damaged). */
typedef void (*DeltaRecordFunc)(const DeltaRecord *record, void *userdata);
int delta_records_for_each(const char *file_name, DeltaRecordFunc function, void *userdata);

/* The text of a record's field, for messages. */
const char *delta_record_label(const DeltaRecord *record);

/* FNV-1a, 64 bits. */
uint64_t delta_record_hash(const Bytes *text);
