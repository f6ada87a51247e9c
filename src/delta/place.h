/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where a path leads: finding it, reading and writing there. */

#include "delta/run.h"

/* An item of a container, or the root of the graph where there is no container. */
typedef struct Slot {
        Value *container; /* NULL: the root */
        Value *key;       /* borrowed from the path */
        bool is_attribute;
} Slot;

typedef struct Place {
        Slot slot;      /* what the last element of the path names; it need not exist */
        Slot parent;    /* where slot.container itself sits */
        uint32_t depth; /* containers from the root down to slot.container: the number of elements */
        bool is_shared; /* one of these containers may be reached in another way as well */
} Place;

void place_done(Place *p);
#define _cleanup_place_ _cleanup_(place_done)

/* The path must outlive the place. DELTA_SKIP when a container on the way does not exist. */
int place_find(DeltaRun *run, const Path *path, Place *ret);

/* As place_find(), of a path as it stands in the delta; also returns the path, which must be kept as long. */
int place_find_text(DeltaRun *run, const Value *text, Path **ret_path, Place *ret);

/* Whether it is an attribute that exists: a method or a part of a number. No step can change one. */
bool slot_names_attribute(const Slot *slot);

/* A new reference to what is there, or DELTA_SKIP; that also for an attribute. */
int slot_read(DeltaRun *run, const Slot *slot, Value **ret);

/* obj[key] = v, where an index just behind a list appends. What Python cannot do is counted as skipped. */
int slot_store(DeltaRun *run, const Slot *slot, Value *v);

/* As slot_store(), but a tuple is first replaced by a list and noted, to be made a tuple again in the end. */
int place_put(DeltaRun *run, const Path *path, const Place *place, Value *v);

/* The same for the deletion of an item that exists. */
int place_delete(DeltaRun *run, const Path *path, const Place *place);

/* The position that a Python index names, counted from the end when negative. False when the key is no index
 * (int or bool) or out of range. */
bool index_of(const Value *key, size_t length, size_t *ret);
