/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Nodes and a time for each, as they lie in a session's state: for each, the size of its uuid (one byte), the uuid, and
 * 64 bits of microseconds of CLOCK_REALTIME, little endian. Plain bytes, since hundreds of thousands of them may have
 * to be written while others wait.
 */

#include "base/bytes.h"

typedef struct Marks {
        uint8_t *data; /* pages */
        size_t size, n_allocated;
} Marks;

/* Zeroed Marks are empty and own nothing. */
void marks_done(Marks *m);

/* `size` is at most 255. 0 or -ENOMEM. */
int marks_add(Marks *m, const void *uuid, size_t size, uint64_t wall);

/* All of them so far as bytes, and leaves none. NULL for memory. */
Bytes *marks_take(Marks *m);

typedef struct Mark {
        const void *uuid; /* within what is read */
        size_t size;
        uint64_t wall;
} Mark;

/* Reads the one at `offset` and moves on. False at the end, and where the bytes make no sense: `offset` is then short of
 * the size. */
bool marks_next(const void *data, size_t size, size_t *offset, Mark *ret);
