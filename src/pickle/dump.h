/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A canonical text of a value, to compare results exactly (types, -0.0 and NaN
 * bits included) without Python: pure ASCII,
 *
 *   N None; T F bool; i[-]hex int; f + 16 hex digits of the IEEE bits;
 *   s"..." str, b"..." bytes, B"..." bytearray, with \xhh escapes;
 *   [x,...,] list; (x,...,) tuple; {k:v,...,} dict; <x,...,> set;
 *   {|x,...,|} frozenset; a comma after every member; sets and dicts sorted by
 *   their members' dumps;
 *   and beyond data: g"..." global, O(x,...,) Opcode.
 */

#include "pickle/value.h"

typedef enum ValueDumpOrder {
        VALUE_DUMP_SORTED,  /* dict entries by the bytes of their dumps */
        VALUE_DUMP_ORDERED, /* dict entries in insertion order */
} ValueDumpOrder;

/* Returns 0 and the text, -ENOMEM, or -E2BIG when it would be longer than max_size (sharing can make it
 * exponentially long). */
int value_dump(const Value *v, ValueDumpOrder order, size_t max_size, Bytes **ret);
