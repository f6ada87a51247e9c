/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "delta/text-buffer.h"
#include "pickle/value.h"

/* Python's str(v) and repr(v), appended to the text as UTF-8 with surrogates passed. Sets come in insertion
 * order, as Python's own order cannot be reproduced. 0, NUMBER_INVALID (an int of too many digits),
 * DELTA_LIMIT, -ENOMEM. */
int repr_str(const Value *v, Text *text);
int repr_append(const Value *v, Text *text);
