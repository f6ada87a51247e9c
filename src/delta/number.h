/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Python's numbers as texts and the other way round, and in comparison with
 * each other. Numbers are VALUE_BOOL, VALUE_INT, VALUE_BIGINT and VALUE_FLOAT.
 * Where Python raises ValueError or OverflowError the functions return
 * NUMBER_INVALID.
 */

#include "delta/text-buffer.h"
#include "pickle/value.h"

#define NUMBER_INVALID 1001

/* Python refuses to convert longer numbers from and to decimal. */
#define NUMBER_DIGITS_MAX 4300

/* Enough for every number_float_text(), with its final NUL. */
#define NUMBER_FLOAT_TEXT_MAX 40

static inline bool number_is(const Value *v)
{
        return value_type(v) == VALUE_BOOL || value_type(v) == VALUE_INT || value_type(v) == VALUE_BIGINT ||
               value_type(v) == VALUE_FLOAT;
}

static inline bool number_is_integer(const Value *v)
{
        return number_is(v) && value_type(v) != VALUE_FLOAT;
}

/* repr(float): the shortest decimal that reads back as the same number. */
void number_float_text(double number, char ret[NUMBER_FLOAT_TEXT_MAX]);

/* Decimal of an int or bool (a bool as 0 or 1). 0, NUMBER_INVALID, DELTA_LIMIT or -ENOMEM. */
int number_int_text(const Value *v, Text *text);

/* int(text) and float(text) for text in ASCII: blanks, sign, digits with single underscores between them.
 * 0, NUMBER_INVALID or -ENOMEM. */
int number_parse_int(const uint8_t *text, size_t size, Value **ret);
int number_parse_float(const uint8_t *text, size_t size, double *ret);

/* The int of digits in base 2, 8, 10 or 16 that hold nothing but digits and underscores; no limit on their
 * number but for base 10. 0, NUMBER_INVALID or -ENOMEM. */
int number_from_digits(const uint8_t *digits, size_t size, unsigned base, bool negative, Value **ret);

/* int(float): truncates. 0, NUMBER_INVALID (inf, nan) or -ENOMEM. */
int number_from_double(double number, Value **ret);

/* float(int) with correct rounding; floats as they are. 0 or NUMBER_INVALID (too large). */
int number_to_double(const Value *v, double *ret);

/* -1, 0, 1 by exact value. Neither may be NaN. */
int number_compare(const Value *a, const Value *b);
