/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pickle/value.h"

#define NOT_A_LITERAL 1  /* Python's literal_eval() refuses the text */
#define OPAQUE_LITERAL 2 /* it may give something that is not evaluated here */

/* keyword or number; ret_ only on 0 */
typedef int (*ScalarFunc)(const uint8_t *text, size_t size, Value **ret);

/* Tuples of literals without text, in parentheses or bare, such as (), (1, None) or 1, and values in
 * parentheses. 0, NOT_A_LITERAL, OPAQUE_LITERAL (complex numbers, sets, dicts, several lines, signs before
 * parentheses) or -ENOMEM. */
int display_parse(const uint8_t *text, size_t size, ScalarFunc scalar, Value **ret);
