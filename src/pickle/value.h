/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A Python value, as far as node data and deltas need it: a reference-counted
 * graph with identity, because sharing between containers is visible through
 * deltas. References are not atomic: a graph belongs to one thread at a time.
 *
 * Containers must stay free of cycles (the reader refuses them, and delta
 * application refuses to make one), so reference counting frees everything;
 * freeing uses an explicit work list, never the C stack.
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

typedef struct Value Value;
