/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Deep equality in linear time. A pair of objects that was seen before need
 * not be looked at again: any difference below it would already have ended the
 * comparison. Pairs are merged into classes (union-find), so at most one merge
 * per object happens, even where both sides share their parts differently;
 * Hopcroft and Karp compare automata this way. Pairs in which neither object is
 * shared can be met only once and are not recorded.
 */

#include <errno.h>

#include "pickle/identity-map.h"
#include "pickle/value-private.h"
#include "pickle/value.h"

typedef struct Pair {
        const Value *a;
        const Value *b;
        uint32_t position; /* next index, or slot of a */
} Pair;

typedef struct Comparison {
        Pair *pairs;
        size_t n_pairs;
        size_t n_allocated;
        IdentityMap classes; /* object to object: parent in its class */
} Comparison;

static void comparison_clear(Comparison *c)
{
        free(c->pairs);
        identity_map_clear(&c->classes);
}

/* The representative of an object's class, halving the path. */
static const Value *class_of(Comparison *c, const Value *v)
{
        IdentityEntry *entry = identity_map_find(&c->classes, v);
        while (entry) {
                IdentityEntry *parent =
                    identity_map_find(&c->classes, (const void *)(uintptr_t)entry->number);
                v = (const Value *)(uintptr_t)entry->number;
                if (parent)
                        entry->number = parent->number;
                entry = parent;
        }
        return v;
}

/* Returns 1 when the pair was known to need no further look, 0 when it is new, or -ENOMEM. */
static int merge(Comparison *c, const Value *a, const Value *b)
{
        if (a->n_ref == 1 && b->n_ref == 1)
                return 0;
        const Value *x = class_of(c, a), *y = class_of(c, b);
        if (x == y)
                return 1;
        return identity_map_put(&c->classes, x, (uintptr_t)y, NULL);
}

static int push(Comparison *c, const Value *a, const Value *b)
{
        if (c->n_pairs == c->n_allocated) {
                size_t n = MAX(2 * c->n_allocated, 16u);
                Pair *pairs = realloc(c->pairs, n * sizeof *pairs);
                if (!pairs)
                        return -ENOMEM;
                c->pairs = pairs;
                c->n_allocated = n;
        }
        c->pairs[c->n_pairs++] = (Pair){
                .a = a,
                .b = b,
                .position = a->type == VALUE_DICT ? value_table_first(a) : 0,
        };
        return 0;
}

static bool set_equal(const Value *a, const Value *b)
{
        if (value_table_length(a) != value_table_length(b))
                return false;
        for (uint32_t slot = value_table_first(a); slot != VALUE_SLOT_END; slot = value_table_next(a, slot))
                if (!value_set_contains(b, value_table_key(a, slot)))
                        return false;
        return true;
}

static bool is_tuple(const Value *v)
{
        return v->type == VALUE_TUPLE || v->type == VALUE_OPCODE;
}

static bool is_buffer(const Value *v)
{
        return v->type == VALUE_BYTES || v->type == VALUE_BYTEARRAY;
}

/* Two objects that are not numbers: 1 equal or pushed for later, 0 different, or -ENOMEM. */
static int compare_objects(Comparison *c, const Value *a, const Value *b)
{
        int r;

        if ((a->type == VALUE_STR && b->type == VALUE_STR) || (is_buffer(a) && is_buffer(b))) {
                if (value_size(a) != value_size(b))
                        return 0;
                r = value_size(a) > VALUE_SHORT_MAX ? merge(c, a, b) : 0;
                return r != 0 ? r : memcmp(value_data(a), value_data(b), value_size(a)) == 0;
        }
        if (value_is_set(a) && value_is_set(b)) {
                r = merge(c, a, b);
                return r != 0 ? r : set_equal(a, b);
        }
        if ((a->type == VALUE_LIST && b->type == VALUE_LIST) || (is_tuple(a) && is_tuple(b))) {
                if (value_sequence_length(a) != value_sequence_length(b))
                        return 0;
        } else if (a->type == VALUE_DICT && b->type == VALUE_DICT) {
                if (value_table_length(a) != value_table_length(b))
                        return 0;
        } else {
                return a == b; /* None, globals; or different types */
        }
        r = merge(c, a, b);
        if (r == 0)
                r = push(c, a, b);
        return r < 0 ? r : 1;
}

/* Members of containers: the same object is equal, NaN too. */
static int compare(Comparison *c, const Value *a, const Value *b)
{
        if (a == b)
                return 1;
        if (value_is_number(a) && value_is_number(b))
                return value_number_equal(a, b);
        return compare_objects(c, a, b);
}

/* The next pair of members of the topmost pair: 1, or 0 when there is none left, or -ENOENT when a key of one
 * dict is not in the other. */
static int next_members(Pair *p, const Value **ret_a, const Value **ret_b)
{
        if (p->a->type != VALUE_DICT) {
                if (p->position == value_sequence_length(p->a))
                        return 0;
                *ret_a = value_sequence_get(p->a, p->position);
                *ret_b = value_sequence_get(p->b, p->position++);
                return 1;
        }
        if (p->position == VALUE_SLOT_END)
                return 0;
        const Value *other = value_dict_get(p->b, value_table_key(p->a, p->position));
        if (!other)
                return -ENOENT;
        *ret_a = value_dict_value(p->a, p->position);
        *ret_b = other;
        p->position = value_table_next(p->a, p->position);
        return 1;
}

int value_equal(const Value *a, const Value *b)
{
        _cleanup_(comparison_clear) Comparison c = {};

        if (value_is_number(a) && value_is_number(b))
                return value_number_equal(a, b);
        int r = compare(&c, a, b);
        while (r == 1 && c.n_pairs > 0) {
                int more = next_members(&c.pairs[c.n_pairs - 1], &a, &b);
                if (more == -ENOENT)
                        return 0;
                if (more == 0)
                        c.n_pairs--;
                else
                        r = compare(&c, a, b);
        }
        return r;
}
