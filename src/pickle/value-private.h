/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files that make up value.h share with each other, and with the reader and writer. */

#include "pickle/value.h"

/* malloc() of a value with its header filled in; NULL when memory is short. */
void *value_alloc(size_t size, ValueType type, unsigned flags);

/* Little-endian two's complement: size without superfluous sign bytes; number when size is at most 8. */
size_t twos_complement_shorten(const uint8_t *data, size_t size);
int64_t twos_complement_to_int64(const uint8_t *data, size_t size);

/* The number, when it is integral and fits. */
bool double_as_int64(double number, int64_t *ret);

/* The longest two's complement of an integral double: 1024 bits and a sign. */
#define DOUBLE_INTEGER_SIZE_MAX 129u

/* An integral finite double as shortest two's complement; returns its size. */
size_t double_to_twos_complement(double number, uint8_t ret[static DOUBLE_INTEGER_SIZE_MAX]);

/* Exact equality of two numbers of any types (bool, int, float). */
bool value_number_equal(const Value *a, const Value *b);

static inline bool value_is_number(const Value *v)
{
        return v->type == VALUE_INT || v->type == VALUE_FLOAT || v->type == VALUE_BOOL ||
               v->type == VALUE_BIGINT;
}
