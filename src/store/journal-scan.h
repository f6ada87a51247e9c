/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * JournalScan: which records the log holds after a given one, in order, told from their
 * heads. It decides what is a torn tail and what is rot. Every record says up to which sequence the
 * journal was durable when it was written; so a damaged one at or below the highest such number has rotted:
 * it is lost, and those behind it stay. Above it, what was in the air when the power went may be there in
 * part: the journal is cut before the first record that is missing or damaged.
 */

#include "store/segment.h"
#include "store/store.h"

typedef struct JournalItem {
        uint64_t sequence;
        uint64_t offset; /* of the record */
        uint32_t segment;
        uint16_t flags;
        bool gap; /* records before it are missing */
} JournalItem;

typedef struct JournalScan {
        uint64_t from; /* records after this one */
        JournalItem *items;
        size_t n_items;
        size_t n_allocated;
        uint64_t durable;      /* what the log itself says was durable */
        uint64_t sequence;     /* highest number met, valid or not */
        uint64_t valid;        /* last number that counts */
        uint64_t time_usec;    /* of the last record */
        uint64_t missing_last; /* records up to this one are known to have been and are missing at the end; 0:
                                  none */
        uint64_t cut_records;
        uint64_t cut_bytes;
        size_t n_gaps;
} JournalScan;

/* Scans. With `report`, damage is told through events.problem and damaged files are set aside. */
int journal_scan(Store *s, uint64_t from, bool report, JournalScan **ret);
JournalScan *journal_scan_free(JournalScan *scan);
DEFINE_CLEANUP(JournalScan *, journal_scan_free)
#define _cleanup_journal_scan_ _cleanup_(journal_scan_freep)

/* The record of an item; pointers lead into *ret_map, a reference that belongs to the caller. */
int journal_item_read(Store *s, const JournalItem *item, SegmentMap **ret_map, RecordHead *ret);
