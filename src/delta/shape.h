/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Keeps the graph acyclic, within the depth limit and free of types and
 * Opcodes while values of the delta become part of it.
 *
 * As long as every container above a place has a single reference, the place
 * has one depth, and none of these containers belongs to the delta (which holds
 * references itself), so no cycle can close there: looking at the new value is
 * enough. Otherwise the whole graph is looked at in the end.
 */

#include "delta/place.h"

/* The value, which comes from the delta, is going to be put `below` levels under the container of the place
 * (1: into it). 0, DELTA_UNSUPPORTED, DELTA_LIMIT, -ENOMEM. */
int shape_admit(DeltaRun *run, const Place *place, uint32_t below, Value *v);

/* The same for a container without containers in it, made from something that was none. */
int shape_admit_container(DeltaRun *run, const Place *place, uint32_t below);

/* In the end. */
int shape_check(DeltaRun *run);
