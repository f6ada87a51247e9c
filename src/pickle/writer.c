/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Two walks over the graph in the same order. The first finds out what occurs
 * more than once and how much room is needed at most; the second writes. Only
 * what is referred to again is memoized, so that numbering by count is ours.
 */

#include <endian.h>
#include <errno.h>

#include "base/pages.h"
#include "pickle/identity-map.h"
#include "pickle/opcode.h"
#include "pickle/value-private.h"
#include "pickle/writer.h"

typedef struct Frame {
        const Value *container;
        uint32_t position; /* next index, or slot */
        bool value_next;   /* dict: the key of position was given, its value was not */
} Frame;

enum {
        OCCURS_ONCE,
        OCCURS_AGAIN,
        FIRST_MEMO_NUMBER, /* this and above: written, as memo number + FIRST_MEMO_NUMBER */
};

typedef struct Writer {
        Frame *frames;
        size_t n_frames;
        size_t n_frames_allocated;
        IdentityMap shared; /* what may occur more than once, with one of the above */
        Value *keys;        /* set: short str keys, so that equal ones are one object */
        size_t room;
        uint64_t n_memo;
        uint8_t *buffer;
        uint8_t *p;
} Writer;

static void writer_clear(Writer *w)
{
        free(w->frames);
        pages_free(w->buffer, w->room);
        identity_map_clear(&w->shared);
        value_unref(w->keys);
}

static bool is_table(const Value *v)
{
        return v->type == VALUE_DICT || value_is_set(v);
}

static bool is_container(const Value *v)
{
        return v->type == VALUE_LIST || v->type == VALUE_TUPLE || is_table(v);
}

static uint32_t container_length(const Value *v)
{
        return is_table(v) ? value_table_length(v) : value_sequence_length(v);
}

/* Is it worth a memo entry, or does its identity matter? Python memoizes no numbers either. */
static bool is_memoizable(const Value *v)
{
        switch (v->type) {
        case VALUE_STR:
        case VALUE_BYTES:
        case VALUE_BYTEARRAY:
        case VALUE_LIST:
        case VALUE_DICT:
        case VALUE_SET:
        case VALUE_FROZENSET:
                return true;
        default:
                return v->type == VALUE_TUPLE && value_tuple_length(v) > 0;
        }
}

/* ---- the walk ---- */

static int enter(Writer *w, const Value *container)
{
        if (w->n_frames == w->n_frames_allocated) {
                size_t n = MAX(2 * w->n_frames_allocated, 16u);
                Frame *frames = realloc(w->frames, n * sizeof *frames);
                if (!frames)
                        return -ENOMEM;
                w->frames = frames;
                w->n_frames_allocated = n;
        }
        w->frames[w->n_frames++] = (Frame){
                .container = container,
                .position = is_table(container) ? value_table_first(container) : 0,
        };
        return 0;
}

/* The next member of the innermost container, or NULL at its end. */
static const Value *next_member(Frame *f, bool *ret_is_key)
{
        *ret_is_key = false;
        if (!is_table(f->container)) {
                if (f->position == value_sequence_length(f->container))
                        return NULL;
                return value_sequence_get(f->container, f->position++);
        }
        if (f->position == VALUE_SLOT_END)
                return NULL;
        uint32_t slot = f->position;
        if (f->container->type == VALUE_DICT && !f->value_next) {
                f->value_next = true;
                *ret_is_key = true;
                return value_table_key(f->container, slot);
        }
        f->value_next = false;
        f->position = value_table_next(f->container, slot);
        return f->container->type == VALUE_DICT ? value_dict_value(f->container, slot) :
                                                  value_table_key(f->container, slot);
}

/* ---- first walk: count ---- */

/* Replaces a short str key by the first equal one. */
static int pool_key(Writer *w, const Value **key)
{
        if ((*key)->type != VALUE_STR || value_size(*key) > VALUE_SHORT_MAX)
                return 0;
        uint32_t slot = value_table_find(w->keys, *key);
        if (slot != VALUE_SLOT_END) {
                *key = value_table_key(w->keys, slot);
                return 0;
        }
        return value_set_add(w->keys, (Value *)*key);
}

/* The most that a value takes: opcode, count, content, MEMOIZE, and the opcodes around members. */
static int count_room(Writer *w, const Value *v)
{
        size_t room;
        switch (v->type) {
        case VALUE_NONE:
        case VALUE_BOOL:
                room = 1;
                break;
        case VALUE_INT:
        case VALUE_FLOAT:
                room = 10;
                break;
        case VALUE_GLOBAL:
        case VALUE_OPCODE:
                return -EINVAL;
        default:
                room = is_container(v) ? 4 : 10 + value_size(v);
                break;
        }
        if (room > SIZE_MAX - w->room)
                return -E2BIG;
        w->room += room;
        return 0;
}

static int count_value(Writer *w, const Value *v, bool is_key)
{
        int r;
        if (is_key) {
                r = pool_key(w, &v);
                if (r < 0)
                        return r;
        }
        if (v->n_ref > 1 && is_memoizable(v)) {
                IdentityEntry *entry;
                r = identity_map_put(&w->shared, v, OCCURS_ONCE, &entry);
                if (r < 0)
                        return r;
                if (r > 0) {
                        entry->number = OCCURS_AGAIN;
                        w->room += 5;
                        return 0;
                }
        }
        r = count_room(w, v);
        if (r < 0 || !is_container(v))
                return r;
        return enter(w, v);
}

/* ---- second walk: write ---- */

static void put_byte(Writer *w, uint8_t byte)
{
        *w->p++ = byte;
}

static void put_unsigned(Writer *w, uint64_t number, size_t size)
{
        number = htole64(number);
        memcpy(w->p, &number, size);
        w->p += size;
}

/* Opcode by the size of the count, count, content. opcode8 0: there is no opcode with a count of one byte. */
static void put_counted(Writer *w, const Value *v, uint8_t opcode8, uint8_t opcode32, uint8_t opcode64)
{
        size_t size = value_size(v);
        if (opcode8 && size <= UINT8_MAX) {
                put_byte(w, opcode8);
                put_unsigned(w, size, 1);
        } else if (opcode32 && size <= UINT32_MAX) {
                put_byte(w, opcode32);
                put_unsigned(w, size, 4);
        } else {
                put_byte(w, opcode64);
                put_unsigned(w, size, 8);
        }
        memcpy(w->p, value_data(v), size);
        w->p += size;
}

static void put_int(Writer *w, int64_t number)
{
        if (number >= 0 && number <= UINT8_MAX) {
                put_byte(w, OP_BININT1);
                put_unsigned(w, (uint64_t)number, 1);
        } else if (number >= 0 && number <= UINT16_MAX) {
                put_byte(w, OP_BININT2);
                put_unsigned(w, (uint64_t)number, 2);
        } else if (number >= INT32_MIN && number <= INT32_MAX) {
                put_byte(w, OP_BININT);
                put_unsigned(w, (uint64_t)number, 4);
        } else {
                uint64_t little = htole64((uint64_t)number);
                size_t size = twos_complement_shorten((const uint8_t *)&little, 8);
                put_byte(w, OP_LONG1);
                put_unsigned(w, size, 1);
                put_unsigned(w, (uint64_t)number, size);
        }
}

static void put_float(Writer *w, double number)
{
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        bits = htobe64(bits);
        put_byte(w, OP_BINFLOAT);
        memcpy(w->p, &bits, sizeof bits);
        w->p += sizeof bits;
}

static void put_leaf(Writer *w, const Value *v)
{
        switch (v->type) {
        case VALUE_NONE:
                put_byte(w, OP_NONE);
                break;
        case VALUE_BOOL:
                put_byte(w, value_bool_get(v) ? OP_NEWTRUE : OP_NEWFALSE);
                break;
        case VALUE_INT:
                put_int(w, value_int_get(v));
                break;
        case VALUE_FLOAT:
                put_float(w, value_float_get(v));
                break;
        case VALUE_BIGINT:
                put_counted(w, v, OP_LONG1, OP_LONG4, 0);
                break;
        case VALUE_STR:
                put_counted(w, v, OP_SHORT_BINUNICODE, OP_BINUNICODE, OP_BINUNICODE8);
                break;
        case VALUE_BYTES:
                put_counted(w, v, OP_SHORT_BINBYTES, OP_BINBYTES, OP_BINBYTES8);
                break;
        default:
                put_counted(w, v, 0, 0, OP_BYTEARRAY8);
                w->buffer[1] = 5;
                break;
        }
}

/* Fetches a value that was written before, or memoizes one just written if it will be fetched. */
static bool put_reference(Writer *w, const Value *v)
{
        IdentityEntry *entry = v->n_ref > 1 ? identity_map_find(&w->shared, v) : NULL;
        if (!entry || entry->number < FIRST_MEMO_NUMBER)
                return false;
        uint64_t number = entry->number - FIRST_MEMO_NUMBER;
        put_byte(w, number <= UINT8_MAX ? OP_BINGET : OP_LONG_BINGET);
        put_unsigned(w, number, number <= UINT8_MAX ? 1 : 4);
        return true;
}

static void put_memoize(Writer *w, const Value *v)
{
        IdentityEntry *entry = v->n_ref > 1 ? identity_map_find(&w->shared, v) : NULL;
        if (!entry || entry->number != OCCURS_AGAIN)
                return;
        put_byte(w, OP_MEMOIZE);
        entry->number = FIRST_MEMO_NUMBER + w->n_memo++;
}

static int put_opening(Writer *w, const Value *v)
{
        uint32_t n = container_length(v);
        bool immutable = v->type == VALUE_TUPLE || v->type == VALUE_FROZENSET;
        if (!immutable) {
                put_byte(w, v->type == VALUE_LIST ? OP_EMPTY_LIST :
                            v->type == VALUE_DICT ? OP_EMPTY_DICT :
                                                    OP_EMPTY_SET);
                put_memoize(w, v);
        }
        bool mark = v->type == VALUE_TUPLE
                        ? n > 3
                        : v->type == VALUE_FROZENSET || (v->type == VALUE_SET ? n > 0 : n > 1);
        if (mark)
                put_byte(w, OP_MARK);
        return enter(w, v);
}

static void put_closing(Writer *w, const Value *v)
{
        static const uint8_t tuples[] = { OP_EMPTY_TUPLE, OP_TUPLE1, OP_TUPLE2, OP_TUPLE3 };
        uint32_t n = container_length(v);

        if (v->type == VALUE_TUPLE)
                put_byte(w, n <= 3 ? tuples[n] : OP_TUPLE);
        else if (v->type == VALUE_FROZENSET)
                put_byte(w, OP_FROZENSET);
        else if (n > 0 && v->type == VALUE_SET)
                put_byte(w, OP_ADDITEMS);
        else if (n > 0 && v->type == VALUE_LIST)
                put_byte(w, n == 1 ? OP_APPEND : OP_APPENDS);
        else if (n > 0)
                put_byte(w, n == 1 ? OP_SETITEM : OP_SETITEMS);
        if (v->type == VALUE_TUPLE || v->type == VALUE_FROZENSET)
                put_memoize(w, v);
}

static int put_value(Writer *w, const Value *v, bool is_key)
{
        if (is_key) {
                int r = pool_key(w, &v);
                if (r < 0)
                        return r;
        }
        if (put_reference(w, v))
                return 0;
        if (is_container(v))
                return put_opening(w, v);
        put_leaf(w, v);
        put_memoize(w, v);
        return 0;
}

/* ---- both ---- */

/* Always inlined, so that both walks are loops without indirect calls. */
__attribute__((__always_inline__)) static inline int
walk(Writer *w, const Value *root, int (*visit)(Writer *w, const Value *v, bool is_key),
     void (*leave)(Writer *w, const Value *v))
{
        int r = visit(w, root, false);
        while (r == 0 && w->n_frames > 0) {
                bool is_key;
                Frame *f = &w->frames[w->n_frames - 1];
                const Value *member = next_member(f, &is_key);
                if (member) {
                        r = visit(w, member, is_key);
                        continue;
                }
                if (leave)
                        leave(w, f->container);
                w->n_frames--;
        }
        return r;
}

int pickle_write(const Value *value, size_t max_size, Bytes **ret)
{
        _cleanup_(writer_clear) Writer w = { .room = 3 };

        w.keys = value_set_new();
        if (!w.keys)
                return -ENOMEM;
        int r = walk(&w, value, count_value, NULL);
        if (r < 0)
                return r;
        /* The room is a bound. Nothing takes less than a fifth of what was counted for it. */
        if (w.room / 5 > max_size)
                return -E2BIG;

        w.p = w.buffer = pages_new(w.room);
        if (!w.buffer)
                return -ENOMEM;
        put_byte(&w, OP_PROTO);
        put_byte(&w, 4);
        r = walk(&w, value, put_value, put_closing);
        if (r < 0)
                return r;
        put_byte(&w, OP_STOP);

        size_t size = (size_t)(w.p - w.buffer);
        assert(size <= w.room);
        if (size > max_size)
                return -E2BIG;
        uint8_t *shrunk = pages_resize(w.buffer, w.room, size);
        if (!shrunk)
                return -ENOMEM;
        w.buffer = shrunk;
        w.room = size;
        *ret = bytes_new_take_pages(w.buffer, size);
        if (!*ret)
                return -ENOMEM;
        w.buffer = NULL;
        return 0;
}
