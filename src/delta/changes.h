/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The entries of a category of added or removed items, in the order in which deepdiff applies them. */

#include "delta/run.h"

typedef struct Change {
        Path *path; /* NULL: the key is no path; the entry is skipped */
        Value *value;
} Change;

typedef struct Changes {
        Change *items;
        size_t n;
        size_t capacity;
        Value *known; /* dict: key to index, of merged entries */
} Changes;

void changes_done(Changes *c);
#define _cleanup_changes_ _cleanup_(changes_done)

/* All entries of a category, which may be NULL. */
int changes_append_all(DeltaRun *run, Changes *c, const Value *category);

/* The same where entries of several dicts come together: an equal key replaces the value, as in
 * dict.update(). */
int changes_merge_all(DeltaRun *run, Changes *c, const Value *category);
int changes_merge(DeltaRun *run, Changes *c, Value *key, Value *value);

/* Sorts by path as Python's sorted() does with deepdiff's keys, and refuses what raises there. */
int changes_sort(DeltaRun *run, Changes *c, bool descending);
