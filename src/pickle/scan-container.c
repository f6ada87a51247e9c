/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pickle/scan.h"

static inline unsigned depth_of(const Scan *s, Tag tag)
{
        return tag.flags & TAG_RECORD ? s->records[tag.number].depth : tag.depth;
}

int scan_push_container(Scan *s, ValueType type)
{
        if (s->n_records == s->records_allocated) {
                int r = scan_grow(&s->records, s->inline_records, &s->records_allocated, s->n_records + 1,
                             sizeof *s->records);
                if (r < 0)
                        return r;
        }
        if (s->max_depth < 1)
                return PICKLE_LIMIT;
        Tag tag = {
                .type = (uint8_t)(type + 1),
                .flags = TAG_RECORD | TAG_OWNER,
                .number = (uint32_t)s->n_records,
        };
        s->records[s->n_records++] = (Record){ .owner = (uint32_t)s->n_stack, .depth = 1 };
        return scan_push(s, tag);
}

/* Summary of stack entries that go into a container. */
typedef struct Members {
        unsigned depth; /* deepest */
        bool unhashable;
} Members;

/* Most are numbers and text, which say nothing. */
static inline bool is_leaf(Tag tag)
{
        return (tag.flags & (TAG_HASHABLE | TAG_RECORD)) == TAG_HASHABLE && tag.depth == 0;
}

static inline void look_at(const Scan *s, Tag tag, Members *m)
{
        if (is_leaf(tag))
                return;
        unsigned depth = depth_of(s, tag);
        if (depth > m->depth)
                m->depth = depth;
        m->unhashable = m->unhashable || !(tag.flags & TAG_HASHABLE);
}

static Members look_at_all(const Scan *s, size_t start)
{
        Members m = {};
        for (size_t i = start; i < s->n_stack; i++)
                look_at(s, s->stack[i], &m);
        return m;
}

/* Key and value by turns: only keys must be hashable. */
static Members look_at_pairs(const Scan *s, size_t start)
{
        Members keys = {}, values = {};
        for (size_t i = start; i + 1 < s->n_stack; i += 2) {
                look_at(s, s->stack[i], &keys);
                look_at(s, s->stack[i + 1], &values);
        }
        return (Members){ .depth = MAX(keys.depth, values.depth), .unhashable = keys.unhashable };
}

/* Moves all entries from start on into the container just below them. */
static int fill(Scan *s, ValueType type, size_t start)
{
        Tag container = s->stack[start - 1];
        if (!tag_is(container, type))
                return PICKLE_STACK;
        if (!(container.flags & TAG_OWNER))
                return PICKLE_CYCLE;
        if (type == VALUE_DICT && (s->n_stack - start) % 2 != 0)
                return PICKLE_STACK;

        Members m = type == VALUE_DICT ? look_at_pairs(s, start) : look_at_all(s, start);
        if (m.unhashable && type != VALUE_LIST)
                return PICKLE_UNHASHABLE;
        if (m.depth >= s->max_depth)
                return PICKLE_LIMIT;
        Record *record = &s->records[container.number];
        record->depth = (uint16_t)MAX((unsigned)record->depth, m.depth + 1);
        record->unhashable_members = record->unhashable_members || m.unhashable;
        s->n_stack = start;
        return 0;
}

/* APPEND, SETITEM: n entries above the container. */
int scan_fill_few(Scan *s, ValueType type, size_t n)
{
        if (!scan_has(s, n + 1))
                return PICKLE_STACK;
        return fill(s, type, s->n_stack - n);
}

/* APPENDS, SETITEMS, ADDITEMS */
int scan_fill_from_mark(Scan *s, ValueType type)
{
        size_t start;
        int r = scan_pop_mark(s, &start);
        if (r != 0)
                return r;
        return start > s->fence ? fill(s, type, start) : PICKLE_STACK;
}

/* LIST, DICT: the container comes after its members; make room for it below them. */
int scan_build_from_mark(Scan *s, ValueType type)
{
        size_t start;
        int r = scan_pop_mark(s, &start);
        if (r != 0)
                return r;
        r = scan_push_container(s, type);
        if (r != 0)
                return r;
        Tag container = s->stack[s->n_stack - 1];
        memmove(s->stack + start + 1, s->stack + start, (s->n_stack - 1 - start) * sizeof *s->stack);
        s->stack[start] = container;
        s->records[container.number].owner = (uint32_t)start;
        return fill(s, type, start + 1);
}

static bool is_latin1_name(const Scan *s, Tag tag)
{
        const uint8_t *text;
        size_t size;
        return scan_text_of(s, tag, &text, &size) && size == 6 && memcmp(text, "latin1", 6) == 0;
}

static TupleShape tuple_shape(const Scan *s, size_t start)
{
        const Tag *items = s->stack + start;
        size_t n = s->n_stack - start;

        if (n == 0)
                return SHAPE_EMPTY;
        if (n == 1 && tag_is(items[0], VALUE_BYTES))
                return SHAPE_BYTES;
        if (n == 1 && tag_is(items[0], VALUE_LIST) && !s->records[items[0].number].unhashable_members)
                return SHAPE_HASHABLES;
        if (n == 2 && (items[0].flags & TAG_LATIN1) && is_latin1_name(s, items[1]))
                return SHAPE_TEXT_LATIN1;
        return n >= 5 && n <= 7 ? SHAPE_OPCODE : SHAPE_OTHER;
}

static int build_immutable(Scan *s, ValueType type, size_t start)
{
        Members m = look_at_all(s, start);
        if (m.unhashable && type == VALUE_FROZENSET)
                return PICKLE_UNHASHABLE;
        if (m.depth >= s->max_depth)
                return PICKLE_LIMIT;

        Tag tag = {
            .type = (uint8_t)(type + 1),
            .flags = m.unhashable ? 0 : TAG_HASHABLE,
            .depth = (uint16_t)(m.depth + 1),
            .number = type == VALUE_TUPLE && s->profile != PICKLE_PROFILE_DATA ? tuple_shape(s, start) : 0,
        };
        s->n_stack = start;
        return scan_push(s, tag);
}

int scan_build_immutable(Scan *s, ValueType type, size_t n)
{
        return scan_has(s, n) ? build_immutable(s, type, s->n_stack - n) : PICKLE_STACK;
}

int scan_build_immutable_from_mark(Scan *s, ValueType type)
{
        size_t start;
        int r = scan_pop_mark(s, &start);
        return r != 0 ? r : build_immutable(s, type, start);
}
