/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/identity-map.h"
#include "pickle/value-private.h"
#include "pickle/value.h"

static Value *table_copy(Value *v)
{
        _cleanup_value_ Value *copy = v->type == VALUE_DICT ? value_dict_new() :
                                      v->type == VALUE_SET  ? value_set_new() :
                                                              value_frozenset_new();
        if (!copy || value_table_reserve(copy, value_table_length(v)) < 0)
                return NULL;
        for (uint32_t slot = value_table_first(v); slot != VALUE_SLOT_END; slot = value_table_next(v, slot)) {
                Value *key = value_table_key(v, slot);
                int r = v->type == VALUE_DICT ? value_dict_set(copy, key, value_dict_value(v, slot), NULL) :
                                                value_set_add(copy, key);
                if (r < 0)
                        return NULL;
        }
        return TAKE_PTR(copy);
}

Value *value_shallow_copy(Value *v)
{
        switch (v->type) {
        case VALUE_BYTEARRAY:
                return value_bytearray_new(value_data(v), value_size(v));
        case VALUE_LIST:
                return value_list_slice_new(v, 0, value_list_length(v));
        case VALUE_TUPLE:
                return value_tuple_slice_new(v, 0, value_tuple_length(v));
        case VALUE_DICT:
        case VALUE_SET:
        case VALUE_FROZENSET:
                return table_copy(v);
        default:
                return value_ref(v);
        }
}

/* ---- size ---- */

/* What malloc() takes for a request: its own word, rounded up to 16, at least 32. */
static size_t chunk(size_t size)
{
        return MAX((size + 8 + 15) & ~(size_t)15, 32u);
}

static size_t string_own_size(const Value *v)
{
        size_t head = value_size(v) > VALUE_SHORT_MAX ? sizeof(ValueLongString) : sizeof(ValueString);
        return chunk(head + value_size(v));
}

static size_t table_own_size(const ValueTable *t)
{
        size_t size = chunk(sizeof *t);
        if (t->entries)
                size += chunk(t->capacity * sizeof *t->entries);
        if (t->index)
                size += chunk(((size_t)t->index_mask + 1) * sizeof *t->index);
        return size;
}

size_t value_own_size(const Value *v)
{
        if (v->n_ref == VALUE_IMMORTAL)
                return 0;
        switch (v->type) {
        case VALUE_STR:
        case VALUE_BYTES:
        case VALUE_BIGINT:
                return string_own_size(v);
        case VALUE_BYTEARRAY:
                return chunk(sizeof(ValueByteArray)) + chunk(value_size(v));
        case VALUE_LIST:
                return chunk(sizeof(ValueList)) +
                       (((const ValueList *)v)->items
                            ? chunk(((const ValueList *)v)->capacity * sizeof(Value *))
                            : 0);
        case VALUE_TUPLE:
        case VALUE_OPCODE:
                return chunk(sizeof(ValueTuple) + value_tuple_length(v) * sizeof(Value *));
        case VALUE_DICT:
        case VALUE_SET:
        case VALUE_FROZENSET:
                return table_own_size((const ValueTable *)v);
        default:
                return chunk(sizeof(ValueInt));
        }
}

typedef struct Walk {
        const Value **pending;
        size_t n_pending;
        size_t n_allocated;
        IdentityMap seen;
        size_t size;
} Walk;

static void walk_clear(Walk *w)
{
        free(w->pending);
        identity_map_clear(&w->seen);
}

static bool has_members(const Value *v)
{
        return v->type == VALUE_LIST || v->type == VALUE_TUPLE || v->type == VALUE_OPCODE ||
               v->type == VALUE_DICT || value_is_set(v);
}

/* Counts an object unless it was counted before, and keeps it for a look inside. */
static int walk_meet(Walk *w, const Value *v)
{
        if (!v || v->n_ref == VALUE_IMMORTAL)
                return 0;
        if (v->n_ref > 1) {
                int r = identity_map_put(&w->seen, v, 0, NULL);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        w->size += value_own_size(v);
        if (!has_members(v))
                return 0;
        if (w->n_pending == w->n_allocated) {
                size_t n = MAX(2 * w->n_allocated, 32u);
                const Value **pending = realloc(w->pending, n * sizeof *pending);
                if (!pending)
                        return -ENOMEM;
                w->pending = pending;
                w->n_allocated = n;
        }
        w->pending[w->n_pending++] = v;
        return 0;
}

static int walk_members(Walk *w, const Value *v)
{
        int r = 0;
        if (v->type == VALUE_DICT || value_is_set(v)) {
                for (uint32_t slot = value_table_first(v); slot != VALUE_SLOT_END && r == 0;
                     slot = value_table_next(v, slot)) {
                        r = walk_meet(w, value_table_key(v, slot));
                        if (r == 0)
                                r = walk_meet(w, value_dict_value(v, slot));
                }
                return r;
        }
        for (uint32_t i = 0; i < value_sequence_length(v) && r == 0; i++)
                r = walk_meet(w, value_sequence_get(v, i));
        return r;
}

int value_heap_size(const Value *v, size_t *ret)
{
        _cleanup_(walk_clear) Walk w = {};

        int r = walk_meet(&w, v);
        while (r == 0 && w.n_pending > 0)
                r = walk_members(&w, w.pending[--w.n_pending]);
        if (r == 0)
                *ret = w.size;
        return r;
}
