/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The texts inside pickles: UTF-8 with lone surrogates, and the forms in which
 * protocol 0 writes numbers and strings as lines. Each parser checks when its
 * ret_ parameters are NULL, so that scanner and reader agree. Results are 0,
 * a positive PickleError or -ENOMEM.
 *
 * Source: behaviour of CPython 3.11 Modules/_pickle.c load_int, load_long,
 * load_float, load_unicode, load_string.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* Strict UTF-8, but with surrogates U+D800 to U+DFFF as 3 bytes each. */
bool text_is_utf8(const uint8_t *data, size_t size);

/* Does UTF-8 text hold only U+0000 to U+00FF? */
bool text_is_latin1(const uint8_t *utf8, size_t size);

bool text_is_ascii(const uint8_t *data, size_t size);

/* Digits and digits only: longer decimals make Python raise, and a float of this length has no purpose. */
#define TEXT_NUMBER_SIZE_MAX 4300u

typedef enum TextIntForm {
        TEXT_INT,  /* opcode INT: decimal, 0x hex, 0 octal; "00" and "01" are bools */
        TEXT_LONG, /* opcode LONG: decimal, perhaps followed by L */
} TextIntForm;

/* *ret_digits: malloc()ed little-endian two's complement. *ret_is_bool: it is False or True. */
int text_parse_int(const uint8_t *text, size_t size, TextIntForm form, bool *ret_is_bool,
                   uint8_t **ret_digits, size_t *ret_size);

int text_parse_float(const uint8_t *text, size_t size, double *ret);

/* Opcode UNICODE: Latin-1 with \uXXXX and \UXXXXXXXX; *ret is malloc()ed UTF-8. */
int text_unescape_unicode(const uint8_t *text, size_t size, uint8_t **ret, size_t *ret_size);

/* Opcode STRING: quoted, backslash escapes, must come out as ASCII. */
int text_unescape_string(const uint8_t *text, size_t size, uint8_t **ret, size_t *ret_size);
