/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <errno.h>

#include "pickle/builder.h"
#include "pickle/opcode.h"
#include "pickle/value-private.h"

#define SIZE_MIN 256u

static uint8_t *reserve(PickleBuilder *b, size_t size)
{
        if (b->error < 0)
                return NULL;
        if (size > b->allocated - b->size) {
                size_t allocated = MAX(b->size + size, b->allocated + b->allocated / 2);
                uint8_t *text = size < SIZE_MAX / 4 ? realloc(b->text, MAX(allocated, SIZE_MIN)) : NULL;
                if (!text) {
                        b->error = -ENOMEM;
                        return NULL;
                }
                b->text = text;
                b->allocated = MAX(allocated, SIZE_MIN);
        }
        uint8_t *p = b->text + b->size;
        b->size += size;
        return p;
}

static void put(PickleBuilder *b, uint8_t opcode)
{
        uint8_t *p = reserve(b, 1);
        if (p)
                *p = opcode;
}

/* Opcode and a little-endian number; returns where the next byte goes, with room for `more`. */
static uint8_t *put_unsigned(PickleBuilder *b, uint8_t opcode, uint64_t number, size_t size, size_t more)
{
        uint8_t *p = reserve(b, 1 + size + more);
        if (!p)
                return NULL;
        number = htole64(number);
        *p = opcode;
        memcpy(p + 1, &number, size);
        return p + 1 + size;
}

static void put_counted(PickleBuilder *b, const uint8_t opcodes[static 3], const void *data, size_t size)
{
        unsigned kind = size <= UINT8_MAX ? 0 : size <= UINT32_MAX ? 1 : 2;
        static const uint8_t count_sizes[] = { 1, 4, 8 };
        uint8_t *p = put_unsigned(b, opcodes[kind], size, count_sizes[kind], size);
        if (p && size > 0)
                memcpy(p, data, size);
}

void pickle_builder_init(PickleBuilder *b, size_t size_hint)
{
        *b = (PickleBuilder){};
        if (size_hint > 0 && reserve(b, size_hint))
                b->size = 0;
        put_unsigned(b, OP_PROTO, 4, 1, 0);
}

void pickle_builder_none(PickleBuilder *b)
{
        put(b, OP_NONE);
}

void pickle_builder_bool(PickleBuilder *b, bool value)
{
        put(b, value ? OP_NEWTRUE : OP_NEWFALSE);
}

void pickle_builder_int(PickleBuilder *b, int64_t value)
{
        uint64_t bits = htole64((uint64_t)value);
        if (value >= INT32_MIN && value <= INT32_MAX) {
                put_unsigned(b, OP_BININT, (uint64_t)value, 4, 0);
                return;
        }
        size_t size = twos_complement_shorten((const uint8_t *)&bits, sizeof bits);
        uint8_t *p = put_unsigned(b, OP_LONG1, size, 1, size);
        if (p)
                memcpy(p, &bits, size);
}

void pickle_builder_float(PickleBuilder *b, double value)
{
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = htobe64(bits);
        uint8_t *p = reserve(b, 1 + sizeof bits);
        if (p) {
                *p = OP_BINFLOAT;
                memcpy(p + 1, &bits, sizeof bits);
        }
}

void pickle_builder_string(PickleBuilder *b, const char *text)
{
        pickle_builder_str(b, text, strlen(text));
}

void pickle_builder_str(PickleBuilder *b, const void *utf8, size_t size)
{
        static const uint8_t opcodes[] = { OP_SHORT_BINUNICODE, OP_BINUNICODE, OP_BINUNICODE8 };
        put_counted(b, opcodes, utf8, size);
}

void pickle_builder_bytes(PickleBuilder *b, const void *data, size_t size)
{
        static const uint8_t opcodes[] = { OP_SHORT_BINBYTES, OP_BINBYTES, OP_BINBYTES8 };
        put_counted(b, opcodes, data, size);
}

void pickle_builder_list(PickleBuilder *b)
{
        put(b, OP_EMPTY_LIST);
}

void pickle_builder_dict(PickleBuilder *b)
{
        put(b, OP_EMPTY_DICT);
}

void pickle_builder_mark(PickleBuilder *b)
{
        put(b, OP_MARK);
}

void pickle_builder_appends(PickleBuilder *b)
{
        put(b, OP_APPENDS);
}

void pickle_builder_setitems(PickleBuilder *b)
{
        put(b, OP_SETITEMS);
}

void pickle_builder_tuple(PickleBuilder *b)
{
        put(b, OP_TUPLE);
}

int pickle_builder_finish(PickleBuilder *b, Bytes **ret)
{
        put(b, OP_STOP);
        Bytes *bytes = b->error < 0 ? NULL : bytes_new_take(b->text, b->size);
        if (!bytes) {
                pickle_builder_clear(b);
                return -ENOMEM;
        }
        *ret = bytes;
        *b = (PickleBuilder){};
        return 0;
}

void pickle_builder_clear(PickleBuilder *b)
{
        free(b->text);
        *b = (PickleBuilder){};
}
