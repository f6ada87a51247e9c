/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/undo.h"

#include <errno.h>

typedef enum UndoKind {
        UNDO_ROOT,
        UNDO_LIST_SET,
        UNDO_LIST_INSERTED,
        UNDO_LIST_REMOVED,
        UNDO_LIST_REPLACED,
        UNDO_DICT_SET,
        UNDO_DICT_ADDED,
        UNDO_DICT_REMOVED,
        UNDO_BYTEARRAY,
} UndoKind;

struct UndoEntry {
        UndoKind kind;
        uint32_t position; /* list index or table position */
        Value *container;  /* borrowed */
        Value *key;        /* owned; dicts only */
        Value *old; /* owned; what was there, a container with the former content where all was replaced */
};

/* Room for one more entry, so that nothing can fail once the graph has been edited. */
static int undo_reserve(Undo *undo)
{
        size_t capacity = MAX(undo->capacity * 2, (size_t)8);
        UndoEntry *entries;

        if (undo->n < undo->capacity)
                return 0;
        entries = reallocarray(undo->entries, capacity, sizeof(UndoEntry));
        if (!entries)
                return -ENOMEM;
        undo->entries = entries;
        undo->capacity = capacity;
        return 0;
}

static void undo_push(Undo *undo, UndoEntry entry)
{
        assert(undo->n < undo->capacity);
        undo->entries[undo->n++] = entry;
}

int undo_root_set(Undo *undo, Value **root, Value *v)
{
        int r = undo_reserve(undo);

        if (r < 0)
                return r;
        undo_push(undo, (UndoEntry){ .kind = UNDO_ROOT, .old = *root });
        *root = value_ref(v);
        return 0;
}

int undo_list_set(Undo *undo, Value *list, uint32_t i, Value *v)
{
        Value *old;
        int r = undo_reserve(undo);

        if (r < 0)
                return r;
        value_list_set(list, i, v, &old);
        undo_push(undo, (UndoEntry){ .kind = UNDO_LIST_SET, .container = list, .position = i, .old = old });
        return 0;
}

int undo_list_insert(Undo *undo, Value *list, uint32_t i, Value *v)
{
        int r = undo_reserve(undo);

        if (r < 0)
                return r;
        r = value_list_insert(list, i, v);
        if (r < 0)
                return r;
        undo_push(undo, (UndoEntry){ .kind = UNDO_LIST_INSERTED, .container = list, .position = i });
        return 0;
}

int undo_list_remove(Undo *undo, Value *list, uint32_t i)
{
        Value *old;
        int r = undo_reserve(undo);

        if (r < 0)
                return r;
        value_list_remove(list, i, &old);
        undo_push(undo,
                  (UndoEntry){ .kind = UNDO_LIST_REMOVED, .container = list, .position = i, .old = old });
        return 0;
}

int undo_list_replace(Undo *undo, Value *list, Value *content)
{
        int r = undo_reserve(undo);

        if (r < 0)
                return r;
        value_list_swap(list, content);
        undo_push(undo,
                  (UndoEntry){ .kind = UNDO_LIST_REPLACED, .container = list, .old = value_ref(content) });
        return 0;
}

int undo_dict_set(Undo *undo, Value *dict, Value *key, Value *v)
{
        Value *old = NULL;
        int r = undo_reserve(undo);

        if (r < 0)
                return r;
        r = value_dict_set(dict, key, v, &old);
        if (r < 0)
                return r;
        undo_push(undo, (UndoEntry){ .kind = r > 0 ? UNDO_DICT_SET : UNDO_DICT_ADDED,
                                     .container = dict,
                                     .key = value_ref(key),
                                     .old = old });
        return 0;
}

int undo_dict_remove(Undo *undo, Value *dict, uint32_t slot)
{
        UndoEntry entry = { .kind = UNDO_DICT_REMOVED, .container = dict };
        int r = undo_reserve(undo);

        if (r < 0)
                return r;
        value_table_remove(dict, slot, &entry.key, &entry.old, &entry.position);
        undo_push(undo, entry);
        return 0;
}

int undo_bytearray_splice(Undo *undo, Value *bytearray, size_t start, size_t n_removed, const void *inserted,
                          size_t n_inserted)
{
        _cleanup_value_ Value *copy = NULL;
        int r;

        /* The first edit of each bytearray saves all of it: they are rare, and putting bytes back can fail.
         */
        if (!identity_map_find(&undo->saved_bytearrays, bytearray)) {
                r = undo_reserve(undo);
                if (r < 0)
                        return r;
                copy = value_shallow_copy(bytearray);
                if (!copy)
                        return -ENOMEM;
                r = identity_map_put(&undo->saved_bytearrays, bytearray, 0, NULL);
                if (r < 0)
                        return r;
                undo_push(undo, (UndoEntry){
                                    .kind = UNDO_BYTEARRAY, .container = bytearray, .old = TAKE_PTR(copy) });
        }
        return value_bytearray_splice(bytearray, start, n_removed, inserted, n_inserted);
}

static void undo_one(UndoEntry *e, Value **root)
{
        uint32_t slot;
        int r = 0;

        switch (e->kind) {
        case UNDO_ROOT:
                value_unref(*root);
                *root = TAKE_PTR(e->old);
                break;
        case UNDO_LIST_SET:
                value_list_set(e->container, e->position, e->old, NULL);
                break;
        case UNDO_LIST_INSERTED:
                value_list_remove(e->container, e->position, NULL);
                break;
        case UNDO_LIST_REMOVED:
                r = value_list_insert(e->container, e->position, e->old);
                break;
        case UNDO_LIST_REPLACED:
                value_list_swap(e->container, e->old);
                break;
        case UNDO_DICT_SET:
                value_dict_set(e->container, e->key, e->old, NULL);
                break;
        case UNDO_DICT_ADDED:
                slot = value_table_find(e->container, e->key);
                value_table_remove(e->container, slot, NULL, NULL, NULL);
                break;
        case UNDO_DICT_REMOVED:
                value_table_insert_at_take(e->container, e->position, TAKE_PTR(e->key), TAKE_PTR(e->old));
                break;
        case UNDO_BYTEARRAY:
                value_bytearray_swap(e->container, e->old);
                break;
        }
        assert(r == 0);
        value_unref(e->key);
        value_unref(e->old);
}

static void undo_done(Undo *undo)
{
        free(undo->entries);
        identity_map_clear(&undo->saved_bytearrays);
        *undo = (Undo){};
}

void undo_rollback(Undo *undo, Value **root)
{
        while (undo->n > 0)
                undo_one(&undo->entries[--undo->n], root);
        undo_done(undo);
}

size_t undo_commit(Undo *undo)
{
        size_t freed = 0;

        while (undo->n > 0) {
                UndoEntry *e = &undo->entries[--undo->n];
                size_t size;

                if (e->old && e->old->n_ref == 1 && value_heap_size(e->old, &size) == 0)
                        freed += size;
                value_unref(e->key);
                value_unref(e->old);
        }
        undo_done(undo);
        return freed;
}
