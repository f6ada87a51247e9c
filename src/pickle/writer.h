/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pickle/value.h"

/*
 * Encodes a graph as protocol 4 that Python loads to an equal value of equal
 * types with the same sharing of containers. Python needs no global for it, as
 * a bytearray is written by the opcode of protocol 5; the header then says 5.
 * Strings and other immutables that are shared are written once.
 *
 * Returns 0 and a new Bytes, -ENOMEM, -E2BIG above max_size, or -EINVAL for a
 * value that a node cannot hold (global, opcode).
 */
int pickle_write(const Value *value, size_t max_size, Bytes **ret);
