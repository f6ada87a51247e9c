/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * deepdiff's AnySet: membership in a set whose members need not be hashable.
 * Those that are not are compared by a SHA-256 over a text of theirs in which
 * order and repetition do not count (its DeepHash with the options AnySet
 * uses), so it is looser than equality. The texts are deepdiff's own.
 */

#include "delta/run.h"

typedef struct AnySet AnySet;

AnySet *any_set_new(void);
AnySet *any_set_free(AnySet *set);
DEFINE_CLEANUP(AnySet *, any_set_free)
#define _cleanup_any_set_ _cleanup_(any_set_freep)

/* Return 0, DELTA_ABORTED for a value that deepdiff fails to hash, DELTA_LIMIT or -ENOMEM. */
int any_set_add(DeltaRun *run, AnySet *set, Value *v);
int any_set_contains(DeltaRun *run, AnySet *set, Value *v, bool *ret);
