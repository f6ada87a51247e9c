/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "pickle/value.h"
#include "pickle/writer.h"
#include "scene/dependencies.h"

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

int dependencies_normalise(Bytes *pickle, Bytes **ret, uint64_t *ret_signature)
{
        _cleanup_value_ Value *v = NULL;
        int r = dependencies_load(pickle, &v);
        if (r == 0)
                r = pickle_write(v, SIZE_MAX, ret);
        if (r == 0)
                *ret_signature = dependencies_signature(v);
        return r;
}

int dependencies_read(Bytes *pickle, uint64_t *ret_signature, size_t *ret_n)
{
        _cleanup_value_ Value *v = NULL;
        int r = dependencies_load(pickle, &v);
        if (r != 0)
                return r;
        if (ret_signature)
                *ret_signature = dependencies_signature(v);
        if (ret_n)
                *ret_n = value_is_list(v) ? value_list_length(v) : 0;
        return 0;
}

typedef struct Sought {
        const void *uuid;
        size_t size;
} Sought;

static int is_sought(void *userdata, const void *uuid, size_t size)
{
        const Sought *sought = userdata;
        return sought->size == size && memcmp(sought->uuid, uuid, size) == 0 ? 2 : 0;
}

int dependencies_have(Bytes *pickle, const void *uuid, size_t uuid_size)
{
        if (!memmem(pickle->data, pickle->size, uuid, uuid_size))
                return 1;
        Sought sought = { .uuid = uuid, .size = uuid_size };
        int r = dependencies_each(pickle, is_sought, &sought);
        return r == 2 ? 0 : r == 0 ? 1 : r;
}

int dependencies_without(Bytes *pickle, const void *uuid, size_t uuid_size, Bytes **ret)
{
        if (!memmem(pickle->data, pickle->size, uuid, uuid_size))
                return 1;
        _cleanup_value_ Value *v = NULL;
        int r = dependencies_load(pickle, &v);
        if (r != 0)
                return r;
        uint32_t n = value_is_list(v) ? value_list_length(v) : 0;
        for (uint32_t i = 0; i < n; i++) {
                const Value *item = value_list_get(v, i);
                if (value_size(item) != uuid_size || memcmp(value_data(item), uuid, uuid_size) != 0)
                        continue;
                value_list_remove(v, i, NULL);
                return pickle_write(v, SIZE_MAX, ret);
        }
        return 1;
}
