/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Fold: the bytes of a node as it is after some deltas, made from the bytes
 * before them and the deltas. The job holds only immutable Bytes and decodes
 * into a graph of its own, so it may run on any thread while the scene goes on.
 */

#include "base/bytes.h"
#include "pickle/scanner.h"

typedef struct SceneFold SceneFold;

/* References base and deltas. NULL when memory is short. */
SceneFold *scene_fold_new(Bytes *base, Bytes *const *deltas, size_t n_deltas, const PickleLimits *limits);
SceneFold *scene_fold_free(SceneFold *f); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(SceneFold *, scene_fold_free)
#define _cleanup_scene_fold_ _cleanup_(scene_fold_freep)

/* Decodes, applies, encodes. May be slow. Returns 0, -ENOMEM, -E2BIG when the result is over limits->max_size,
 * -EBADMSG when the base cannot be read or a delta does not apply (which the scene has never accepted). */
int scene_fold_run(const SceneFold *f, Bytes **ret);
