/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Code points of Python strings. Texts are UTF-8 in which lone surrogates stand as sequences of three bytes
 * (Python's "surrogatepass"), already checked by the pickle reader. Classification is that of CPython 3.11.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* The code point at text[*offset], moving *offset behind it. *offset must be inside the text. */
uint32_t unicode_next(const uint8_t *text, size_t *offset);

/* Length of a text in code points. */
size_t unicode_length(const uint8_t *text, size_t size);

/* Whether the text holds a lone surrogate, which strict UTF-8 cannot encode. */
bool unicode_has_surrogate(const uint8_t *text, size_t size);

/* Whether these bytes decode as strict UTF-8. */
bool unicode_is_valid(const uint8_t *text, size_t size);

bool unicode_is_printable(uint32_t code);
bool unicode_is_space(uint32_t code);

/* Value of a decimal digit of any script, or -1. */
int unicode_decimal(uint32_t code);
