/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pickle/scanner.h"
#include "pickle/value.h"

/* Builds the value graph of a pickle, with the same rules, limits and errors as pickle_scan(); never executes
 * anything. Large bytes and str objects become slices that keep `pickle` alive. Returns 0 and a new
 * reference, a positive PickleError, or -ENOMEM (-E2BIG for more items in a container than a value can have).
 */
int pickle_read(Bytes *pickle, PickleProfile profile, const PickleLimits *limits, Value **ret,
                size_t *ret_offset);
