/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Edits of a value graph that can be taken back: afterwards every object is the
 * same object with the same content in the same order as before.
 *
 * The record owns every value that an edit took out of the graph, so objects
 * that were part of it stay alive; the edited containers themselves are not
 * referenced, which keeps their reference counts true. Hence only containers
 * that are part of the graph may be edited through these functions.
 */

#include "pickle/identity-map.h"
#include "pickle/value.h"

typedef struct UndoEntry UndoEntry;

typedef struct Undo {
        UndoEntry *entries;
        size_t n;
        size_t capacity;
        IdentityMap saved_bytearrays;
} Undo;

/* All of them: 0, or -ENOMEM or -E2BIG and then nothing has changed. Values are referenced, not taken over.
 */
int undo_root_set(Undo *undo, Value **root, Value *v); /* v may be NULL */
int undo_list_set(Undo *undo, Value *list, uint32_t i, Value *v);
int undo_list_insert(Undo *undo, Value *list, uint32_t i, Value *v);
int undo_list_remove(Undo *undo, Value *list, uint32_t i);
/* The list gets the items of content, whose own items are unspecified afterwards. */
int undo_list_replace(Undo *undo, Value *list, Value *content);
int undo_dict_set(Undo *undo, Value *dict, Value *key, Value *v);
int undo_dict_remove(Undo *undo, Value *dict, uint32_t slot);
int undo_bytearray_splice(Undo *undo, Value *bytearray, size_t start, size_t n_removed, const void *inserted,
                          size_t n_inserted);

/* Takes all edits back, the last one first. Cannot fail. root as in undo_root_set(). */
void undo_rollback(Undo *undo, Value **root);

/* Keeps the edits and lets go of what they replaced. Returns the bytes of heap that this freed. */
size_t undo_commit(Undo *undo);
