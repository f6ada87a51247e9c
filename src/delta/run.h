/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * State of one application of one delta. The steps of deepdiff's Delta get it
 * as their first argument and return 0, a positive DeltaError (which ends the
 * application) or -ENOMEM; an entry that deepdiff logs and skips is only
 * counted.
 */

#include "delta/delta.h"
#include "delta/path.h"
#include "delta/undo.h"
#include "pickle/identity-map.h"

/* What deepdiff logs and skips. Only between functions of this room, never from delta_apply(). */
#define DELTA_SKIP 1000

/* Levels that a walk over values goes down. While a delta is applied the graph may be deeper than it is
 * allowed to be in the end, and even cyclic. */
#define DELTA_NESTING_MAX 1000

/* Elementary steps (values looked at, bytes converted) that one delta may cost: about half a second of one core,
 * as long as the server can be away from its clients. */
#define DELTA_WORK_MAX (UINT64_C(1) << 26)

/* Bytes that copies and conversions of one delta may add to the graph, beside the values in the delta itself.
 */
#define DELTA_GROWTH_MAX (UINT64_C(1) << 28)

typedef struct TupleNotes TupleNotes;

typedef struct DeltaRun {
        Value *root;        /* NULL after it was deleted */
        const Value *delta; /* the decoded dict of categories */
        const PickleLimits *limits;
        Undo undo;
        TupleNotes *notes;   /* tuples.h */
        IdentityMap heights; /* shape.h: of values in the delta */
        bool check_shape;    /* the graph may have become cyclic or too deep: look at all of it in the end */
        uint64_t work;
        uint64_t growth;
        int64_t size_change;
        uint32_t n_skipped;
        const char *detail;
} DeltaRun;

/* Notes why, and returns the error. */
int run_refuse(DeltaRun *run, DeltaError error, const char *detail);

/* Accounts for elementary steps. 0 or DELTA_LIMIT. */
int run_charge(DeltaRun *run, uint64_t work);

/* Accounts for heap that a copy or conversion takes. 0 or DELTA_LIMIT. */
int run_grow(DeltaRun *run, uint64_t bytes);

static inline void run_skip(DeltaRun *run)
{
        run->n_skipped++;
}

/* deepdiff writes this value into its log, which raises where it holds a number with too many digits for
 * str(). 0, DELTA_ABORTED, DELTA_LIMIT or -ENOMEM. */
int run_log_value(DeltaRun *run, const Value *v);

/* Parses the path that is the key of an entry. DELTA_SKIP when it is none that deepdiff can read. */
int run_parse_path(DeltaRun *run, const Value *key, Path **ret);

/* A category that is absent or falsy gives 0 and NULL; one that is no dict is refused. */
int run_category(DeltaRun *run, const char *name, const Value **ret);

/* bool(v) */
bool run_truth(const Value *v);
