/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pickle/value.h"

/* U+1D1C0, the character deepdiff escapes with. */
#define LITERAL_ESCAPE "\xf0\x9d\x87\x80"

/*
 * The value of one element of a deepdiff path: a Python literal where the text is one (number, None, bool,
 * tuple of such, quoted str or bytes), otherwise the text, without its quotes if it has a pair. Nothing is
 * ever unescaped. Texts that may be a literal of another kind (complex, set, ...) give *ret_is_opaque and
 * None: they are in no genuine path, and a str instead of them would be a wrong key. Returns 0 or -ENOMEM.
 */
int literal_parse(const uint8_t *text, size_t size, Value **ret, bool *ret_is_opaque);
