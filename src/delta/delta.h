/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Application of deepdiff 8.1.1 deltas to a value graph, with every quirk of
 * the original: all clients run the same deepdiff, so its outcome is the
 * truth. Edits happen in place; an undo record makes a refused delta leave
 * nothing behind.
 */

#include "pickle/reader.h"
#include "pickle/value.h"

/* Why a delta was refused: positive, so that it can be returned where 0 is success. */
typedef enum DeltaError {
        DELTA_OK = 0,
        DELTA_MALFORMED = 1, /* not a loadable delta; see ret_detail */
        DELTA_ABORTED,       /* deepdiff raises */
        DELTA_LIMIT,         /* result too deep, too large, or a conversion that would blow up */
        DELTA_UNSUPPORTED,   /* a construct that the specification does not cover */
} DeltaError;

typedef struct DeltaReport {
        const char *detail;  /* static text: what was refused, NULL on success */
        size_t offset;       /* DELTA_MALFORMED: byte offset in the pickle */
        uint32_t n_skipped;  /* entries that deepdiff would have logged and skipped */
        int64_t size_change; /* estimate: growth of the graph's heap in bytes */
} DeltaReport;

/* Applies a delta pickle to *root in place (root itself may be replaced, hence the pointer). Returns 0, a
 * positive DeltaError (the graph is then as before, identity included), or -ENOMEM (likewise). Cost follows
 * the size of the change, not of the node. ret_report may be NULL. */
int delta_apply(Value **root, Bytes *delta, const PickleLimits *limits, DeltaReport *ret_report);

const char *delta_error_to_string(int error);
