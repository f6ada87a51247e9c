/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Bytes: an immutable buffer with an atomic reference count, and the one form
 * in which payloads travel from socket to journal, scene and outboxes without
 * being copied. It may own heap memory, wrap memory of somebody else (a
 * zmq_msg_t, a mapped segment) or be a slice that keeps its parent alive.
 * References may be taken and dropped on any thread.
 */

#include <stdint.h>
#include <string.h>

#include "base/macros.h"

typedef struct Bytes Bytes;
typedef void (*BytesFreeFunc)(void *userdata);

struct Bytes {
        const uint8_t *data; /* never NULL, even when size is 0 */
        size_t size;
        /* private from here */
        uint32_t n_ref;
        bool embedded;
        BytesFreeFunc free_func;
        void *userdata;
};

/* All constructors return NULL when memory is short and then own nothing.
 * copy: copies. take: owns a malloc()ed buffer from now on (only on success); take_pages: memory of pages_new().
 * wrap: calls free_func(userdata) when the last reference goes.
 * slice: [offset, offset + size) of parent, which it references; the range must lie inside. */
Bytes *bytes_new_copy(const void *data, size_t size);
Bytes *bytes_new_take(void *data, size_t size);
Bytes *bytes_new_take_pages(void *pages, size_t size);
Bytes *bytes_new_wrap(const void *data, size_t size, BytesFreeFunc free_func, void *userdata);
Bytes *bytes_new_slice(Bytes *parent, size_t offset, size_t size);

/* What this is a slice of, borrowed, and where it begins there; NULL: it is none. */
Bytes *bytes_parent(const Bytes *b, size_t *ret_offset);

/* Makes *b, which lies inside something larger, a Bytes with one reference. When the last goes, free_func(userdata)
 * is called, and the memory of *b itself is its business. */
void bytes_init_embedded(Bytes *b, const void *data, size_t size, BytesFreeFunc free_func, void *userdata);

/* Several of those in one allocation with what they are to hold. Each has to be made, by bytes_block_copy(), or by
 * bytes_init_embedded() such that bytes_block_unref(block) is called once for it; the memory goes with the last. */
typedef struct BytesBlock {
        uint32_t n_ref;
        Bytes item[];
} BytesBlock;

/* n of them, and behind them *ret_room of room_size bytes, aligned as a Bytes is. NULL when memory is short. */
BytesBlock *bytes_block_new(size_t n, size_t room_size, void **ret_room);
/* Makes the one at `index` of a copy, which goes into the room from `room` on. Returns where that ends. */
void *bytes_block_copy(BytesBlock *block, size_t index, void *room, const void *data, size_t size);
void bytes_block_unref(void *block);

/* A buffer of the given size in one allocation with its header; *ret_data may be written until the
 * Bytes is shared. */
Bytes *bytes_new_uninitialised(size_t size, uint8_t **ret_data);

Bytes *bytes_ref(Bytes *b);   /* accepts NULL; returns b */
Bytes *bytes_unref(Bytes *b); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(Bytes *, bytes_unref)
#define _cleanup_bytes_ _cleanup_(bytes_unrefp)

static inline bool bytes_equal(const Bytes *a, const Bytes *b)
{
        return a == b || (a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
}

static inline bool bytes_equal_string(const Bytes *b, const char *s)
{
        size_t n = strlen(s);
        return b->size == n && memcmp(b->data, s, n) == 0;
}
