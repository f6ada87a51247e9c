/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * LiveSet: what the log has to keep. The journal from a cutoff on, whole; of everything before it, and of
 * content segments, the payloads that a retained snapshot or a record of the retained journal points to.
 */

#include "store/internal.h"

/* What reclaim has to know of a segment, as it was when it looked. */
typedef struct LiveSegment {
        uint64_t number;
        uint64_t size;
        uint64_t created_usec;
        uint64_t first_sequence;
        uint32_t type;
        bool header_intact;
        bool sealed;
        bool journal; /* kept whole */
        uint64_t live_bytes;
} LiveSegment;

typedef struct LiveSet {
        LiveSegment *segments; /* ascending */
        size_t n_segments;
        StoreLocation *blobs; /* ascending by segment and offset, each once; none in segments kept whole */
        size_t n_blobs;
        size_t n_blobs_allocated;
} LiveSet;

/* Reads the heads of one segment that have to be known, in the worker. *number is the last one that was looked at, 0 in the
 * beginning. 1: there may be more; 0: there is none; or a negative errno. */
int live_set_prepare(Store *s, uint64_t *number);

/* In the worker, in one step, after that: reads the manifests, and the heads of what has come since. */
int live_set_new(Store *s, LiveSet **ret);
LiveSet *live_set_free(LiveSet *live);
DEFINE_CLEANUP(LiveSet *, live_set_free)
#define _cleanup_live_set_ _cleanup_(live_set_freep)

LiveSegment *live_set_find(LiveSet *live, uint64_t number);
