/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* SnapshotTable: the manifests in snapshots/, ascending by number. Under the store's mutex. */

#include "store/manifest.h"
#include "store/pin.h"
#include "store/snapshot.h"

typedef enum SnapshotCondition {
        SNAPSHOT_UNKNOWN, /* not read since the store was opened */
        SNAPSHOT_INTACT,
        SNAPSHOT_DAMAGED,
} SnapshotCondition;

typedef struct SnapshotItem {
        StoreSnapshotInfo info; /* but for `intact` */
        uint64_t previous;      /* number of the manifest that it builds on; 0: none */
        bool base;              /* not a snapshot any more, others build on it */
        bool leaving; /* retention is removing it */
        bool single;  /* one of its two files is missing */
        bool headless; /* could not be read when the store was opened: what it builds on is not known */
        SnapshotCondition condition;
} SnapshotItem;

typedef struct SnapshotTable {
        SnapshotItem *items;
        size_t n_items;
        uint64_t next_number;
} SnapshotTable;

void snapshot_table_done(SnapshotTable *t);
SnapshotItem *snapshot_table_find(SnapshotTable *t, uint64_t number);
void snapshot_item_set_pin(SnapshotItem *item, Pin pin);
/* Takes the info's texts over, on success. */
int snapshot_table_add(SnapshotTable *t, const SnapshotItem *item);
void snapshot_table_remove(SnapshotTable *t, uint64_t number);
/* True if any manifest builds on this one, directly or not, and is still a snapshot. */
bool snapshot_table_is_needed(const SnapshotTable *t, uint64_t number);

bool snapshot_table_has_successor(const SnapshotTable *t, uint64_t number);

void snapshot_make_name(uint64_t number, uint64_t time_usec, char ret[static STORE_SNAPSHOT_NAME_MAX]);

int store_snapshot_info_copy(const SnapshotItem *item, StoreSnapshotInfo *ret);

/* Reads the folder: heads only. */
int store_read_snapshots(Store *s);
/* The set of nodes of a snapshot; notes its condition. Any thread. */
int store_read_snapshot_set(Store *s, uint64_t number, ManifestSet **ret);
/* The newest snapshot, older than `before` (0: any), whose digests hold. Damaged ones met on the way are told
 * (with `report`) and set aside. -ENOENT: there is none. */
int store_find_intact_set(Store *s, uint64_t before, uint64_t time_usec, uint64_t sequence, bool report,
                          ManifestSet **ret);
