/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/bytes.h"

#include "base/pages.h"

static Bytes *bytes_new(const void *data, size_t size, BytesFreeFunc free_func, void *userdata)
{
        Bytes *b = malloc(sizeof *b);
        if (!b)
                return NULL;
        *b = (Bytes){
                .data = data ? data : (const void *)"",
                .size = size,
                .n_ref = 1,
                .free_func = free_func,
                .userdata = userdata,
        };
        return b;
}

Bytes *bytes_new_uninitialised(size_t size, uint8_t **ret_data)
{
        if (size > SIZE_MAX - sizeof(Bytes))
                return NULL;
        Bytes *b = malloc(sizeof *b + size);
        if (!b)
                return NULL;
        uint8_t *data = (uint8_t *)(b + 1);
        *b = (Bytes){ .data = data, .size = size, .n_ref = 1 };
        *ret_data = data;
        return b;
}

Bytes *bytes_new_copy(const void *data, size_t size)
{
        uint8_t *copy;
        Bytes *b = bytes_new_uninitialised(size, &copy);
        if (b && size > 0)
                memcpy(copy, data, size);
        return b;
}

Bytes *bytes_new_take(void *data, size_t size)
{
        return bytes_new(data, size, free, data);
}

static void pages_release(void *userdata)
{
        Bytes *b = userdata;
        pages_free((void *)b->data, b->size);
}

Bytes *bytes_new_take_pages(void *pages, size_t size)
{
        Bytes *b = bytes_new(pages, size, pages_release, NULL);
        if (b)
                b->userdata = b;
        return b;
}

Bytes *bytes_new_wrap(const void *data, size_t size, BytesFreeFunc free_func, void *userdata)
{
        return bytes_new(data, size, free_func, userdata);
}

void bytes_init_embedded(Bytes *b, const void *data, size_t size, BytesFreeFunc free_func, void *userdata)
{
        *b = (Bytes){
                .data = data ? data : (const void *)"",
                .size = size,
                .n_ref = 1,
                .embedded = true,
                .free_func = free_func,
                .userdata = userdata,
        };
}

BytesBlock *bytes_block_new(size_t n, size_t room_size, void **ret_room)
{
        size_t size = sizeof(BytesBlock) + n * sizeof(Bytes);
        BytesBlock *block = room_size <= SIZE_MAX - size ? malloc(size + room_size) : NULL;
        if (!block)
                return NULL;
        block->n_ref = (uint32_t)n;
        *ret_room = &block->item[n];
        return block;
}

void *bytes_block_copy(BytesBlock *block, size_t index, void *room, const void *data, size_t size)
{
        bytes_init_embedded(&block->item[index], room, size, bytes_block_unref, block);
        return mempcpy(room, data, size);
}

void bytes_block_unref(void *block)
{
        BytesBlock *b = block;
        if (__atomic_sub_fetch(&b->n_ref, 1, __ATOMIC_ACQ_REL) == 0)
                free(b);
}

static void slice_free(void *parent)
{
        bytes_unref(parent);
}

Bytes *bytes_new_slice(Bytes *parent, size_t offset, size_t size)
{
        assert(offset <= parent->size && size <= parent->size - offset);
        Bytes *b = bytes_new(parent->data + offset, size, slice_free, parent);
        if (b)
                bytes_ref(parent);
        return b;
}

Bytes *bytes_parent(const Bytes *b, size_t *ret_offset)
{
        if (b->free_func != slice_free)
                return NULL;
        Bytes *parent = b->userdata;
        *ret_offset = (size_t)(b->data - parent->data);
        return parent;
}

Bytes *bytes_ref(Bytes *b)
{
        if (b)
                __atomic_add_fetch(&b->n_ref, 1, __ATOMIC_RELAXED);
        return b;
}

Bytes *bytes_unref(Bytes *b)
{
        if (!b || __atomic_sub_fetch(&b->n_ref, 1, __ATOMIC_ACQ_REL) > 0)
                return NULL;
        bool embedded = b->embedded;
        if (b->free_func)
                b->free_func(b->userdata);
        if (!embedded)
                free(b);
        return NULL;
}
