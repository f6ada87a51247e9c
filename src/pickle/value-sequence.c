/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/value-private.h"
#include "pickle/value.h"

#define CAPACITY_MIN 3u

/* ---- list ---- */

Value *value_list_new(void)
{
        ValueList *list = value_alloc(sizeof *list, VALUE_LIST, 0);
        if (!list)
                return NULL;
        list->items = NULL;
        list->n = list->capacity = list->gap = 0;
        return &list->base;
}

/* Moves the gap so that the next item can be put at i. */
static void move_gap(ValueList *list, uint32_t i)
{
        uint32_t room = list->capacity - list->n;
        if (room > 0 && i < list->gap)
                memmove(list->items + i + room, list->items + i, (list->gap - i) * sizeof *list->items);
        else if (room > 0 && i > list->gap)
                memmove(list->items + list->gap, list->items + list->gap + room,
                        (i - list->gap) * sizeof *list->items);
        list->gap = i;
}

static int list_reserve(ValueList *list, uint32_t n)
{
        if (n <= list->capacity - list->n)
                return 0;
        if (n > VALUE_ITEMS_MAX - list->n)
                return -E2BIG;

        /* The first filling of a list usually is the only one: exact. */
        uint32_t needed = list->n + n;
        uint32_t capacity = list->n == 0 ? MAX(needed, CAPACITY_MIN) : MAX(needed, list->n + list->n / 2);
        uint32_t n_behind = list->n - list->gap;
        Value **items = realloc(list->items, capacity * sizeof *items);
        if (!items)
                return -ENOMEM;
        if (n_behind > 0)
                memmove(items + capacity - n_behind, items + list->capacity - n_behind,
                        n_behind * sizeof *items);
        list->items = items;
        list->capacity = capacity;
        return 0;
}

static Value **list_slot(ValueList *list, uint32_t i)
{
        assert(i < list->n);
        return &list->items[i < list->gap ? i : i + (list->capacity - list->n)];
}

static void hand_over(Value *v, Value **ret)
{
        if (ret)
                *ret = v;
        else
                value_unref(v);
}

void value_list_set(Value *v, uint32_t i, Value *item, Value **ret_old)
{
        Value **slot = list_slot((ValueList *)v, i);
        Value *old = *slot;
        *slot = value_ref(item);
        hand_over(old, ret_old);
}

int value_list_insert(Value *v, uint32_t i, Value *item)
{
        ValueList *list = (ValueList *)v;
        assert(v->type == VALUE_LIST && i <= list->n);

        int r = list_reserve(list, 1);
        if (r < 0)
                return r;
        move_gap(list, i);
        list->items[list->gap++] = value_ref(item);
        list->n++;
        return 0;
}

int value_list_append(Value *v, Value *item)
{
        return value_list_insert(v, value_list_length(v), item);
}

void value_list_remove(Value *v, uint32_t i, Value **ret_item)
{
        ValueList *list = (ValueList *)v;
        assert(v->type == VALUE_LIST && i < list->n);

        /* Next to the gap on either side, nothing moves. */
        Value *item = *list_slot(list, i);
        if (i != list->gap)
                move_gap(list, i + 1);
        if (i + 1 == list->gap)
                list->gap = i;
        list->n--;
        hand_over(item, ret_item);
}

int value_list_extend_take(Value *v, Value *const *items, uint32_t n)
{
        ValueList *list = (ValueList *)v;
        assert(v->type == VALUE_LIST);

        int r = list_reserve(list, n);
        if (r < 0 || n == 0)
                return r;
        move_gap(list, list->n);
        memcpy(list->items + list->n, items, n * sizeof *items);
        list->n += n;
        list->gap = list->n;
        return 0;
}

void value_list_swap(Value *a, Value *b)
{
        ValueList *x = (ValueList *)a, *y = (ValueList *)b;
        assert(a->type == VALUE_LIST && b->type == VALUE_LIST);

        ValueList old = *x;
        x->items = y->items;
        x->n = y->n;
        x->capacity = y->capacity;
        x->gap = y->gap;
        y->items = old.items;
        y->n = old.n;
        y->capacity = old.capacity;
        y->gap = old.gap;
}

Value *value_list_slice_new(const Value *sequence, uint32_t start, uint32_t end)
{
        assert(start <= end && end <= value_sequence_length(sequence));

        _cleanup_value_ Value *v = value_list_new();
        if (!v || list_reserve((ValueList *)v, end - start) < 0)
                return NULL;
        ValueList *list = (ValueList *)v;
        for (uint32_t i = start; i < end; i++)
                list->items[list->n++] = value_ref(value_sequence_get(sequence, i));
        list->gap = list->n;
        return TAKE_PTR(v);
}

/* ---- tuple, opcode ---- */

static ValueTuple *tuple_alloc(ValueType type, uint32_t n)
{
        if (n > VALUE_ITEMS_MAX)
                return NULL;
        ValueTuple *tuple = value_alloc(sizeof *tuple + n * sizeof *tuple->items, type, 0);
        if (tuple)
                tuple->n = n;
        return tuple;
}

/* Once the items are in place: may it be a key? */
static void tuple_seal(ValueTuple *tuple)
{
        bool hashable = true;
        unsigned depth = 0;
        for (uint32_t i = 0; i < tuple->n; i++) {
                hashable = hashable && value_is_hashable(tuple->items[i]);
                depth = MAX(depth, (unsigned)tuple->items[i]->hash_depth);
        }
        tuple->base.hash_depth = (uint16_t)(depth + 1);
        if (hashable && depth + 1 <= VALUE_HASH_DEPTH_MAX)
                tuple->base.flags |= VALUE_FLAG_HASHABLE;
        else
                tuple->base.hash_depth = 0;
}

Value *value_tuple_take(Value *const *items, uint32_t n)
{
        ValueTuple *tuple = tuple_alloc(VALUE_TUPLE, n);
        if (!tuple)
                return NULL;
        if (n > 0)
                memcpy(tuple->items, items, n * sizeof *items);
        tuple_seal(tuple);
        return &tuple->base;
}

Value *value_tuple_new(Value *const *items, uint32_t n)
{
        Value *tuple = value_tuple_take(items, n);
        if (tuple)
                for (uint32_t i = 0; i < n; i++)
                        value_ref(items[i]);
        return tuple;
}

Value *value_opcode_new(const Value *fields)
{
        uint32_t n = value_tuple_length(fields);
        assert(fields->type == VALUE_TUPLE && n >= 5 && n <= 7);

        ValueTuple *opcode = tuple_alloc(VALUE_OPCODE, n);
        if (!opcode)
                return NULL;
        for (uint32_t i = 0; i < n; i++)
                opcode->items[i] = value_ref(value_tuple_get(fields, i));
        return &opcode->base;
}

Value *value_tuple_slice_new(const Value *sequence, uint32_t start, uint32_t end)
{
        assert(start <= end && end <= value_sequence_length(sequence));

        ValueTuple *tuple = tuple_alloc(VALUE_TUPLE, end - start);
        if (!tuple)
                return NULL;
        for (uint32_t i = start; i < end; i++)
                tuple->items[i - start] = value_ref(value_sequence_get(sequence, i));
        tuple_seal(tuple);
        return &tuple->base;
}
