/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <errno.h>

#include "pickle/opcode.h"
#include "pickle/reader.h"
#include "pickle/value.h"
#include "pickle/writer.h"
#include "scene/dependencies.h"
#include "store/store.h"

uint64_t dependencies_bit(const void *uuid, size_t uuid_size)
{
        /* FNV-1a; who provokes collisions only makes some more lists be read. */
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < uuid_size; i++)
                hash = (hash ^ ((const uint8_t *)uuid)[i]) * UINT64_C(0x100000001b3);
        return UINT64_C(1) << (hash >> 58);
}

static int dependencies_load(Bytes *pickle, Value **ret)
{
        _cleanup_value_ Value *v = NULL;
        int r = pickle_read(pickle, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL);
        if (r != 0)
                return r < 0 ? r : 1;
        if (value_type(v) != VALUE_NONE && !value_is_list(v))
                return 1;
        uint32_t n = value_is_list(v) ? value_list_length(v) : 0;
        for (uint32_t i = 0; i < n; i++)
                if (!value_is_string(value_list_get(v, i)))
                        return 1;
        *ret = TAKE_PTR(v);
        return 0;
}

bool dependencies_are_none(const Bytes *pickle)
{
        return (pickle->size == 4 && memcmp(pickle->data, "\x80\x04].", 4) == 0) ||
               (pickle->size == 5 && memcmp(pickle->data, "\x80\x04]\x94.", 5) == 0);
}

int dependencies_each(Bytes *pickle, DependencyFunc func, void *userdata)
{
        if (dependencies_are_none(pickle))
                return 0;
        _cleanup_value_ Value *v = NULL;
        int r = dependencies_load(pickle, &v);
        if (r != 0 || !value_is_list(v))
                return r;
        for (uint32_t i = 0; i < value_list_length(v); i++) {
                const Value *item = value_list_get(v, i);
                r = func(userdata, value_data(item), value_size(item));
                if (r != 0)
                        return r;
        }
        return 0;
}

static uint64_t dependencies_signature(const Value *v)
{
        uint64_t signature = 0;
        uint32_t n = value_is_list(v) ? value_list_length(v) : 0;
        for (uint32_t i = 0; i < n; i++) {
                const Value *item = value_list_get(v, i);
                signature |= dependencies_bit(value_data(item), value_size(item));
        }
        return signature;
}

/* ---- the form in which the scene keeps a list ---- */

/* Its entries stand one after the other, and one that is named twice stands there twice, so that none of them depends on
 * another: what is looked for is found, and cut out, without reading the list into values. */
static const uint8_t list_head[] = { OP_PROTO, 4, OP_EMPTY_LIST };

#define LIST_TAIL 2u /* how the entries are put into the list, and the end */

typedef struct Entry {
        const uint8_t *start, *text, *end;
} Entry;

/* What is left to be walked over. */
typedef struct Entries {
        const uint8_t *p, *end;
} Entries;

/* False: the pickle is no list with entries in it. */
static bool entries_begin(const Bytes *pickle, Entries *ret)
{
        if (pickle->size <= sizeof list_head + LIST_TAIL || memcmp(pickle->data, list_head, sizeof list_head) != 0)
                return false;
        ret->p = pickle->data + sizeof list_head;
        ret->end = pickle->data + pickle->size - LIST_TAIL;
        ret->p += *ret->p == OP_MARK;
        return true;
}

static bool entries_next(Entries *e, Entry *ret)
{
        size_t left = (size_t)(e->end - e->p), head = left > 0 && *e->p == OP_SHORT_BINUNICODE ? 2 : 5;
        if (left < head || (head == 5 && *e->p != OP_BINUNICODE))
                return false;
        uint32_t size = 0;
        memcpy(&size, e->p + 1, head - 1);
        size = le32toh(size);
        if (left - head < size)
                return false;
        *ret = (Entry){ .start = e->p, .text = e->p + head, .end = e->p + head + size };
        e->p = ret->end;
        return true;
}

static bool entries_find(Entries *e, const void *uuid, size_t uuid_size, Entry *ret)
{
        while (entries_next(e, ret))
                if ((size_t)(ret->end - ret->text) == uuid_size && memcmp(ret->text, uuid, uuid_size) == 0)
                        return true;
        return false;
}

/* What stands before the text of an entry. */
static size_t entry_head(size_t text_size)
{
        return text_size <= UINT8_MAX ? 2 : 5;
}

static uint8_t *put_entry(uint8_t *p, const Value *uuid)
{
        size_t size = value_size(uuid), width = entry_head(size) - 1;
        uint32_t count = htole32((uint32_t)size);
        *p++ = width == 1 ? OP_SHORT_BINUNICODE : OP_BINUNICODE;
        p = mempcpy(p, &count, width);
        return mempcpy(p, value_data(uuid), size);
}

/* All but the entries of a list of n. */
static size_t frame_size(size_t n)
{
        return sizeof list_head + (n > 1) + (n > 0) + 1;
}

static uint8_t *put_begin(uint8_t *p, size_t n)
{
        p = mempcpy(p, list_head, sizeof list_head);
        if (n > 1)
                *p++ = OP_MARK;
        return p;
}

static void put_end(uint8_t *p, size_t n)
{
        if (n > 0)
                *p++ = n > 1 ? OP_APPENDS : OP_APPEND;
        *p = OP_STOP;
}

static size_t list_size(const Value *list)
{
        uint32_t n = value_list_length(list);
        size_t size = frame_size(n);
        for (uint32_t i = 0; i < n; i++) {
                size_t text_size = value_size(value_list_get(list, i));
                size += entry_head(text_size) + text_size;
        }
        return size;
}

static int list_write(const Value *list, size_t size, Bytes **ret)
{
        uint32_t n = value_list_length(list);
        uint8_t *p;
        Bytes *pickle = bytes_new_uninitialised(size, &p);
        if (!pickle)
                return -ENOMEM;
        p = put_begin(p, n);
        for (uint32_t i = 0; i < n; i++)
                p = put_entry(p, value_list_get(list, i));
        put_end(p, n);
        *ret = pickle;
        return 0;
}

int dependencies_normalise(Bytes *pickle, Bytes **ret, uint64_t *ret_signature)
{
        _cleanup_value_ Value *v = NULL;
        int r = dependencies_load(pickle, &v);
        size_t size = r == 0 && value_is_list(v) ? list_size(v) : 0;
        /* No client's list, nor that of a sane file, is so long: with its repetitions in full it could not be saved. */
        if (r == 0)
                r = size > 0 && size <= STORE_META_MAX ? list_write(v, size, ret) : pickle_write(v, SIZE_MAX, ret);
        if (r == 0)
                *ret_signature = dependencies_signature(v);
        return r;
}

int dependencies_read(Bytes *pickle, size_t *ret_n)
{
        _cleanup_value_ Value *v = NULL;
        int r = dependencies_load(pickle, &v);
        if (r == 0 && ret_n)
                *ret_n = value_is_list(v) ? value_list_length(v) : 0;
        return r;
}

bool dependencies_have(const Bytes *pickle, const void *uuid, size_t uuid_size)
{
        Entries entries;
        Entry found;
        return memmem(pickle->data, pickle->size, uuid, uuid_size) && entries_begin(pickle, &entries) &&
               entries_find(&entries, uuid, uuid_size, &found);
}

int dependencies_without(const Bytes *pickle, const void *uuid, size_t uuid_size, Bytes **ret)
{
        Entries entries;
        Entry found, other;
        if (!memmem(pickle->data, pickle->size, uuid, uuid_size) || !entries_begin(pickle, &entries))
                return 1;
        const uint8_t *first = entries.p;
        if (!entries_find(&entries, uuid, uuid_size, &found))
                return 1;
        size_t before = (size_t)(found.start - first), after = (size_t)(entries.end - found.end), n = 0;
        /* It only matters whether there are more than one besides the one found. */
        for (Entries rest = { .p = first, .end = entries.end }; n <= 2 && entries_next(&rest, &other);)
                n++;
        uint8_t *p;
        Bytes *left = bytes_new_uninitialised(frame_size(n - 1) + before + after, &p);
        if (!left)
                return -ENOMEM;
        p = put_begin(p, n - 1);
        p = mempcpy(p, first, before);
        p = mempcpy(p, found.end, after);
        put_end(p, n - 1);
        *ret = left;
        return 0;
}
