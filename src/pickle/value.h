/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A Python value, as far as node data and deltas need it: a reference-counted
 * graph with identity, because sharing between containers is visible through
 * deltas. References are not atomic: a graph belongs to one thread at a time
 * (None, the bools, small ints and the globals are immortal and may be shared).
 *
 * Containers must stay free of cycles (the reader refuses them, and delta
 * application refuses to make one), so reference counting frees everything;
 * freeing uses an explicit work list, never the C stack.
 *
 * Conventions of the functions below: a container takes its own reference to
 * what is put into it, unless the name ends in _take, where it takes over the
 * caller's (on success only). A returned Value is a borrowed reference, unless
 * the name ends in _new, _copy or _ref or it comes through a ret_ parameter.
 * Constructors return NULL when memory is short. Indexes and positions must be
 * valid; passing others is a programming error.
 */

#include <stdint.h>

#include "base/bytes.h"
#include "base/macros.h"

typedef enum ValueType {
        VALUE_NONE,
        VALUE_BOOL,
        VALUE_INT,     /* fits int64_t */
        VALUE_BIGINT,  /* does not: shortest little-endian two's complement */
        VALUE_FLOAT,
        VALUE_STR,     /* UTF-8 with lone surrogates as 3 bytes, as pickle writes it */
        VALUE_BYTES,
        VALUE_BYTEARRAY,
        VALUE_LIST,
        VALUE_TUPLE,
        VALUE_DICT,    /* insertion order; first key object stays on overwrite */
        VALUE_SET,
        VALUE_FROZENSET,
        VALUE_GLOBAL,  /* inert tag for a global a delta may name */
        VALUE_OPCODE,  /* deepdiff.helper.Opcode: a tuple of 5 to 7 fields, kept as its tuple */
} ValueType;

/* What a VALUE_GLOBAL stands for. */
typedef enum ValueGlobal {
        VALUE_GLOBAL_NONE_TYPE, /* persistent id <<NoneType>> */
        VALUE_GLOBAL_BOOL,
        VALUE_GLOBAL_INT,
        VALUE_GLOBAL_FLOAT,
        VALUE_GLOBAL_STR,
        VALUE_GLOBAL_BYTES,
        VALUE_GLOBAL_LIST,
        VALUE_GLOBAL_TUPLE,
        VALUE_GLOBAL_DICT,
        VALUE_GLOBAL_SET,
        VALUE_GLOBAL_FROZENSET,
        VALUE_GLOBAL_COMPLEX,
        VALUE_GLOBAL_RANGE,
        VALUE_GLOBAL_SLICE,
        VALUE_GLOBAL_OPCODE,
        VALUE_GLOBAL_BYTEARRAY, /* this and the next only where PICKLE_PROFILE_PLAIN reads old protocols */
        VALUE_GLOBAL_ENCODE,
        _VALUE_GLOBAL_MAX,
} ValueGlobal;

typedef struct Value Value;

/* A keyed 128-bit hash under Python's key equality: equal keys have equal digests, and different keys do not,
 * as the key is secret and made anew by every process (SipHash-2-4 with 128-bit result). */
typedef struct ValueDigest {
        uint64_t low;
        uint64_t high;
} ValueDigest;

enum {
        VALUE_FLAG_HASHABLE = 1 << 0, /* may be a dict key or set member */
        VALUE_FLAG_DIGEST = 1 << 1,   /* the digest below has been computed: content is final */
        VALUE_FLAG_SLICE = 1 << 2,    /* str, bytes: data belongs to another Bytes */
};

/* Tuples and frozensets nested deeper than this cannot be keys: hashing then needs no allocation. */
#define VALUE_HASH_DEPTH_MAX 250u

/* Reference counts of this size are never changed: immortal values, and overflow. */
#define VALUE_IMMORTAL UINT32_MAX

/* Strings up to this size are compared byte by byte; the digest of longer ones is computed once and kept, so
 * that repeated use of a large key costs its size only once. */
#define VALUE_SHORT_MAX 64u

/* bytes and str objects of at least this size stay slices of the pickle they were read from. */
#define VALUE_SLICE_MIN 4096u

struct Value {
        uint32_t n_ref;
        uint8_t type;
        uint8_t flags;
        uint16_t hash_depth; /* hashable tuples and frozensets: levels of nesting */
} __attribute__((__aligned__(8)));

/* The layouts are public for the inline accessors only; code outside this room uses functions. */
typedef struct ValueInt {
        Value base;
        int64_t number; /* VALUE_BOOL: 0 or 1; VALUE_GLOBAL: ValueGlobal */
} ValueInt;

typedef struct ValueFloat {
        Value base;
        double number;
} ValueFloat;

/* VALUE_STR, VALUE_BYTES, VALUE_BIGINT. Only those above VALUE_SHORT_MAX have the fields of ValueLongString.
 */
typedef struct ValueString {
        Value base;
        size_t size;
        const uint8_t *data;
} ValueString;

typedef struct ValueLongString {
        ValueString string;
        Bytes *owner; /* of a slice */
        ValueDigest digest;
} ValueLongString;

typedef struct ValueByteArray {
        Value base;
        size_t size;
        uint8_t *data;
} ValueByteArray;

/* A gap buffer: items [0, gap) lie at the start, the others at the end of the allocation, so that the sorted
 * insertions and removals of a delta move each item once in all, not once each. */
typedef struct ValueList {
        Value base;
        Value **items;
        uint32_t n;
        uint32_t capacity;
        uint32_t gap;
        Value *link; /* work list of value_free() */
} ValueList;

/* VALUE_TUPLE, VALUE_OPCODE */
typedef struct ValueTuple {
        Value base;
        uint32_t n;
        union {
                ValueDigest digest;
                Value *link;
        };
        Value *items[];
} ValueTuple;

typedef struct ValueEntry {
        Value *key;   /* NULL: slot is free */
        Value *value; /* NULL in sets */
        uint32_t next;
        uint32_t prev;
} ValueEntry;

/* VALUE_DICT, VALUE_SET, VALUE_FROZENSET: entries in slots that never move, linked in insertion order; above
 * 8 slots an index by hash (high half: hash, low half: slot + 1). */
typedef struct ValueTable {
        Value base;
        ValueEntry *entries;
        uint64_t *index;
        uint32_t index_mask;
        uint32_t n;        /* entries in use */
        uint32_t n_slots;  /* slots ever used */
        uint32_t capacity; /* slots allocated */
        uint32_t first;
        uint32_t last;
        uint32_t free;
        union {
                ValueDigest digest;
                Value *link;
        };
} ValueTable;

/* The end of a table: no slot. */
#define VALUE_SLOT_END UINT32_MAX

/* Most items a list, tuple, dict or set may have; growing beyond is -E2BIG. */
#define VALUE_ITEMS_MAX (UINT32_C(1) << 30)

/* ---- life ---- */

void value_free(Value *v);

static inline Value *value_ref(Value *v)
{
        if (v && v->n_ref != VALUE_IMMORTAL)
                v->n_ref++;
        return v;
}

/* Accepts NULL; returns NULL. */
static inline Value *value_unref(Value *v)
{
        if (v && v->n_ref != VALUE_IMMORTAL && --v->n_ref == 0)
                value_free(v);
        return NULL;
}
DEFINE_CLEANUP(Value *, value_unref)
#define _cleanup_value_ _cleanup_(value_unrefp)

static inline ValueType value_type(const Value *v)
{
        return (ValueType)v->type;
}

/* Python's name of the type, such as "list"; of what a global stands for, such as "NoneType". */
const char *value_type_to_string(ValueType type);
const char *value_global_to_string(ValueGlobal global);

/* May it be a dict key or a set member? Constant time. Globals and opcodes may not. */
static inline bool value_is_hashable(const Value *v)
{
        return v->flags & VALUE_FLAG_HASHABLE;
}

/* These accept NULL, as lookups may give it. */
static inline bool value_is_string(const Value *v)
{
        return v && v->type == VALUE_STR;
}

static inline bool value_is_dict(const Value *v)
{
        return v && v->type == VALUE_DICT;
}

static inline bool value_is_list(const Value *v)
{
        return v && v->type == VALUE_LIST;
}

static inline bool value_is_set(const Value *v)
{
        return v && (v->type == VALUE_SET || v->type == VALUE_FROZENSET);
}

/* ---- None, bool, numbers, globals ---- */

/* Immortal: need no unref, though it does no harm. */
Value *value_none(void);
Value *value_bool(bool b);
Value *value_global(ValueGlobal global);

Value *value_int_new(int64_t number);
Value *value_float_new(double number);

/* Any little-endian two's complement number; gives VALUE_INT where it fits. size 0 is 0. */
Value *value_bigint_new(const void *data, size_t size);

static inline bool value_bool_get(const Value *v)
{
        return ((const ValueInt *)v)->number != 0;
}

/* VALUE_INT or VALUE_BOOL */
static inline int64_t value_int_get(const Value *v)
{
        return ((const ValueInt *)v)->number;
}

static inline double value_float_get(const Value *v)
{
        return ((const ValueFloat *)v)->number;
}

static inline ValueGlobal value_global_get(const Value *v)
{
        return (ValueGlobal)((const ValueInt *)v)->number;
}

static inline bool value_is_global(const Value *v, ValueGlobal global)
{
        return v->type == VALUE_GLOBAL && value_global_get(v) == global;
}

/* ---- str, bytes, big ints (value_data: the two's complement) ---- */

/* Both copy. The text must already be what VALUE_STR promises (utf8-surrogatepass). */
Value *value_str_new(const void *data, size_t size);
Value *value_bytes_new(const void *data, size_t size);

/* Like them, of [offset, offset + size) of payload, which is referenced instead of copied from
 * VALUE_SLICE_MIN on. */
Value *value_str_slice_new(Bytes *payload, size_t offset, size_t size);
Value *value_bytes_slice_new(Bytes *payload, size_t offset, size_t size);

Value *value_string_new(const char *text);

/* VALUE_STR, VALUE_BYTES, VALUE_BIGINT, VALUE_BYTEARRAY */
static inline const uint8_t *value_data(const Value *v)
{
        return ((const ValueString *)v)->data;
}

static inline size_t value_size(const Value *v)
{
        return ((const ValueString *)v)->size;
}

/* A str with exactly this text? Any type may be asked, and NULL. */
static inline bool value_is_string_equal(const Value *v, const char *text)
{
        return value_is_string(v) && value_size(v) == strlen(text) &&
               memcmp(value_data(v), text, value_size(v)) == 0;
}

/* The content of a VALUE_BYTES or VALUE_STR as a new Bytes; a slice of the pickle it came from where
 * possible. */
Bytes *value_to_bytes(const Value *v);

/* ---- bytearray ---- */

Value *value_bytearray_new(const void *data, size_t size);

static inline void value_bytearray_set(Value *v, size_t i, uint8_t byte)
{
        ((ValueByteArray *)v)->data[i] = byte;
}

/* Replaces [start, start + n_removed) by n_inserted bytes, which may be NULL when there are none. 0 or
 * -ENOMEM; never fails when the size does not grow. */
int value_bytearray_splice(Value *v, size_t start, size_t n_removed, const void *inserted, size_t n_inserted);

/* Exchanges the contents of two bytearrays, not their identities. Cannot fail, and undoes itself. */
void value_bytearray_swap(Value *a, Value *b);

/* ---- list ---- */

Value *value_list_new(void);

static inline uint32_t value_list_length(const Value *v)
{
        return ((const ValueList *)v)->n;
}

static inline Value *value_list_get(const Value *v, uint32_t i)
{
        const ValueList *list = (const ValueList *)v;
        return list->items[i < list->gap ? i : i + (list->capacity - list->n)];
}

/* Replaces an item; *ret_old (may be NULL) takes over the list's reference to the old one. Cannot fail. */
void value_list_set(Value *v, uint32_t i, Value *item, Value **ret_old);

/* i may be the length. 0, -ENOMEM or -E2BIG. Cannot fail when an item was removed and nothing else has been
 * inserted since, so that a removal can always be undone. */
int value_list_insert(Value *v, uint32_t i, Value *item);
int value_list_append(Value *v, Value *item);

/* *ret_item as for value_list_set(). Cannot fail. */
void value_list_remove(Value *v, uint32_t i, Value **ret_item);

/* Appends n items and takes their references over. 0, -ENOMEM, -E2BIG. */
int value_list_extend_take(Value *v, Value *const *items, uint32_t n);

/* Exchanges the contents of two lists, not their identities. Cannot fail, and undoes itself. */
void value_list_swap(Value *a, Value *b);

/* ---- tuple, opcode ---- */

Value *value_tuple_new(Value *const *items, uint32_t n);
Value *value_tuple_take(Value *const *items, uint32_t n);

/* The Opcode with the fields of a tuple, 5 to 7 of them; NULL only when memory is short. */
Value *value_opcode_new(const Value *fields);

static inline uint32_t value_tuple_length(const Value *v)
{
        return ((const ValueTuple *)v)->n;
}

static inline Value *value_tuple_get(const Value *v, uint32_t i)
{
        return ((const ValueTuple *)v)->items[i];
}

/* ---- list or tuple or opcode ---- */

static inline uint32_t value_sequence_length(const Value *v)
{
        return v->type == VALUE_LIST ? value_list_length(v) : value_tuple_length(v);
}

static inline Value *value_sequence_get(const Value *v, uint32_t i)
{
        return v->type == VALUE_LIST ? value_list_get(v, i) : value_tuple_get(v, i);
}

/* A new list or tuple with the items [start, end) of a list or tuple. */
Value *value_list_slice_new(const Value *sequence, uint32_t start, uint32_t end);
Value *value_tuple_slice_new(const Value *sequence, uint32_t start, uint32_t end);

/* ---- dict, set, frozenset: entries are named by slots, which stay valid until the entry is removed ---- */

Value *value_dict_new(void);
Value *value_set_new(void);
/* A frozenset may be filled until it is hashed, compared or shared for the first time. */
Value *value_frozenset_new(void);

static inline uint32_t value_table_length(const Value *v)
{
        return ((const ValueTable *)v)->n;
}

/* for (uint32_t slot = value_table_first(v); slot != VALUE_SLOT_END; slot = value_table_next(v, slot)) */
static inline uint32_t value_table_first(const Value *v)
{
        return ((const ValueTable *)v)->first;
}

static inline uint32_t value_table_next(const Value *v, uint32_t slot)
{
        return ((const ValueTable *)v)->entries[slot].next;
}

static inline Value *value_table_key(const Value *v, uint32_t slot)
{
        return ((const ValueTable *)v)->entries[slot].key;
}

static inline Value *value_dict_value(const Value *v, uint32_t slot)
{
        return ((const ValueTable *)v)->entries[slot].value;
}

/* A walk over the direct members of a container of any type, in order; a dict's are its keys, each followed by its value.
 * The container must not change meanwhile. */
typedef struct ValueCursor {
        const Value *container;
        uint32_t position; /* next index or slot */
        bool at_value;     /* dict: the key in this slot has been given */
} ValueCursor;

static inline ValueCursor value_cursor(const Value *container)
{
        bool is_sequence = value_type(container) == VALUE_LIST || value_type(container) == VALUE_TUPLE;
        return (ValueCursor){ .container = container, .position = is_sequence ? 0 : value_table_first(container) };
}

Value *value_cursor_next(ValueCursor *c); /* borrowed; NULL at the end */

/* The slot of an equal key, or VALUE_SLOT_END; also for an unhashable key. */
uint32_t value_table_find(const Value *v, const Value *key);

/* Room for n more entries. 0, -ENOMEM, -E2BIG. */
int value_table_reserve(Value *v, uint32_t n);

/* NULL when there is none. */
Value *value_dict_get(const Value *dict, const Value *key);

/* By the text of a str key; NULL also when dict is no dict, so that lookups can be chained from a decoded
 * message. */
Value *value_dict_get_string(const Value *dict, const char *key);

/* Sets key to value: returns 0 when the key was new and went last; 1 when an equal key was there: it stays,
 * key object and position too, and *ret_old (may be NULL) takes over the old value. Or -ENOMEM, -E2BIG,
 * -EINVAL for an unhashable key. Replacing an existing key's value cannot fail. */
int value_dict_set(Value *dict, Value *key, Value *value, Value **ret_old);
int value_dict_set_string(Value *dict, const char *key, Value *value);

/* Replaces the value in a slot; *ret_old (may be NULL) takes over the old one. Cannot fail. */
void value_dict_set_slot(Value *dict, uint32_t slot, Value *value, Value **ret_old);

/* Removes the entry in a slot of a dict or set. The key and value references go to *ret_key and *ret_value
 * (each may be NULL). *ret_position (may be NULL) is where value_table_insert_at() puts the entry back.
 * Cannot fail. */
void value_table_remove(Value *v, uint32_t slot, Value **ret_key, Value **ret_value, uint32_t *ret_position);

/* By the text of a str key. Whether it was there; false also when dict is no dict. Cannot fail. */
bool value_dict_remove_string(Value *dict, const char *key);

/* Undoes value_table_remove(), once all later changes of this table have been undone; takes both references
 * over. Cannot fail. value is NULL for sets. */
void value_table_insert_at_take(Value *v, uint32_t position, Value *key, Value *value);

/* Returns 0 when added, 1 when an equal member was there (it stays), -ENOMEM, -E2BIG, -EINVAL for an
 * unhashable one. */
int value_set_add(Value *set, Value *member);

static inline bool value_set_contains(const Value *set, const Value *member)
{
        return value_table_find(set, member) != VALUE_SLOT_END;
}

/* ---- whole values ---- */

/* A new container with the same members (bytearray: bytes); of anything else a reference. */
Value *value_shallow_copy(Value *v);

/* Python's a == b. Returns 1, 0 or -ENOMEM. Work is linear in the two graphs, whatever is shared in them. NaN
 * differs from itself here, but inside containers the same object is equal, as in Python. */
int value_equal(const Value *a, const Value *b);

/* Equality of two hashable values as dict keys: as value_equal(), but the same NaN is equal. Cannot fail. */
bool value_key_equal(const Value *a, const Value *b);

/* Of a hashable value. */
ValueDigest value_digest(const Value *v);

/* Bytes of heap that the graph holds, slices included, every object once. Returns 0 or -ENOMEM. */
int value_heap_size(const Value *v, size_t *ret);

/* What one object holds itself, without its members; for running totals. */
size_t value_own_size(const Value *v);

/* The number of an int, a bool or an integral float; false when it is none (or NULL) or does not fit. */
bool value_as_int64(const Value *v, int64_t *ret);

/* Is the number of two's complement bytes negative? (VALUE_BIGINT) */
static inline bool value_bigint_is_negative(const Value *v)
{
        return value_data(v)[value_size(v) - 1] & 0x80;
}
