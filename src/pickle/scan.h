/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The machine of an unpickler, with one tag of 8 bytes in place of each value.
 *
 * Acyclic by construction: a container may only be filled through the stack
 * entry that created it (its owner), and only until it is fetched from the memo
 * or duplicated for the first time. So whatever is put into a container cannot
 * change any more, while the container still can: nothing can be inside itself.
 * Genuine picklers fetch an unfinished container for cyclic data only, and
 * never change a finished one.
 *
 * The depth of a list, dict or set changes while it is filled, so its tag names
 * a record, and memo and stack entries that mean the same container share it.
 */

#include <errno.h>

#include "pickle/opcode.h"
#include "pickle/scanner-private.h"
#include "pickle/scanner.h"

enum {
        TAG_HASHABLE = 1 << 0,
        TAG_RECORD = 1 << 1, /* list, dict, set: .number is that of a Record, which holds the depth */
        TAG_OWNER = 1 << 2,  /* the entry through which the container may be filled */
        TAG_LATIN1 = 1 << 3, /* str that PICKLE_PROFILE_PLAIN may encode */
};

/* What a tuple looks like to the calls that take it as arguments. */
typedef enum TupleShape {
        SHAPE_OTHER,
        SHAPE_EMPTY,
        SHAPE_BYTES,        /* (bytes,) */
        SHAPE_HASHABLES,    /* (list of hashable members,) */
        SHAPE_TEXT_LATIN1,  /* (str, 'latin1') */
        SHAPE_OPCODE,       /* 5 to 7 items */
} TupleShape;

typedef struct Tag {
        uint8_t type; /* ValueType + 1: 0 is an empty memo slot */
        uint8_t flags;
        uint16_t depth;
        uint32_t number; /* record; str: offset of its opcode + 1, or 0; tuple: TupleShape; ValueGlobal */
} Tag;

typedef struct Record {
        uint32_t owner; /* index of the owner on the stack */
        uint16_t depth;
        bool unhashable_members;
} Record;

#define INLINE_ENTRIES 128
#define INLINE_MARKS 16

typedef struct Scan {
        const uint8_t *data;
        const uint8_t *end;
        const PickleLimits *limits;
        PickleProfile profile;
        uint32_t max_depth;
        uint32_t n_values;

        Tag *stack;
        size_t n_stack;
        size_t stack_allocated;
        size_t fence; /* stack height at the newest mark */

        uint32_t *marks;
        size_t n_marks;
        size_t marks_allocated;

        Tag *memo;
        size_t memo_size; /* highest number + 1 */
        size_t memo_allocated;
        size_t n_memo;    /* entries */

        Record *records;
        size_t n_records;
        size_t records_allocated;

        PickleShape shape;

        Tag inline_stack[INLINE_ENTRIES];
        Tag inline_memo[INLINE_ENTRIES];
        Record inline_records[INLINE_ENTRIES];
        uint32_t inline_marks[INLINE_MARKS];
} Scan;

/* All steps return 0, a positive PickleError or -ENOMEM. */

/* Room for at least n elements in an array that starts inside the Scan. */
int scan_grow(void *array, const void *inline_array, size_t *allocated, size_t n, size_t element);

static inline int scan_push(Scan *s, Tag tag)
{
        if (unlikely(s->n_stack == s->stack_allocated)) {
                int r = scan_grow(&s->stack, s->inline_stack, &s->stack_allocated, s->n_stack + 1,
                                  sizeof *s->stack);
                if (r < 0)
                        return r;
        }
        if (unlikely(++s->n_values > s->limits->max_values))
                return PICKLE_LIMIT;
        s->stack[s->n_stack++] = tag;
        if (s->n_stack > s->shape.max_stack)
                s->shape.max_stack = s->n_stack;
        return 0;
}

static inline Tag tag_leaf(ValueType type)
{
        return (Tag){ .type = (uint8_t)(type + 1), .flags = TAG_HASHABLE };
}

static inline bool tag_is(Tag tag, ValueType type)
{
        return tag.type == type + 1;
}

static inline bool scan_has(const Scan *s, size_t n)
{
        return s->n_stack - s->fence >= n;
}

/* Removes the newest mark; *ret is the stack height it remembered. */
int scan_pop_mark(Scan *s, size_t *ret);

/* ---- scan-container.c ---- */

int scan_push_container(Scan *s, ValueType type);

/* APPEND, SETITEM: moves the n topmost values into the container below them. */
int scan_fill_few(Scan *s, ValueType type, size_t n);

/* APPENDS, SETITEMS, ADDITEMS */
int scan_fill_from_mark(Scan *s, ValueType type);

/* LIST, DICT */
int scan_build_from_mark(Scan *s, ValueType type);

/* Replaces the n topmost values, or those above the newest mark, by a tuple or frozenset. */
int scan_build_immutable(Scan *s, ValueType type, size_t n);
int scan_build_immutable_from_mark(Scan *s, ValueType type);

/* ---- scan-text.c ---- */

int scan_push_str(Scan *s, const uint8_t *opcode, const Operand *operand);
int scan_push_text_str(Scan *s, const uint8_t *opcode, const Operand *operand);
int scan_push_text_number(Scan *s, const uint8_t *opcode, const Operand *operand);

/* The text of a str, where the tag remembers its opcode and it was written without escapes. */
bool scan_text_of(const Scan *s, Tag tag, const uint8_t **ret, size_t *ret_size);

/* ---- scan-call.c ---- */

int scan_push_global(Scan *s, const uint8_t *module, size_t module_size, const uint8_t *name,
                     size_t name_size);
int scan_stack_global(Scan *s);
int scan_call(Scan *s, uint8_t opcode);
int scan_persistent_id(Scan *s);
