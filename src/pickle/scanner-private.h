/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pickle/scanner.h"

/* What a reader needs to reserve for a pickle that passed. */
typedef struct PickleShape {
        size_t max_stack; /* values on the stack at once */
        size_t max_marks;
        size_t memo_size; /* highest memo number + 1 */
} PickleShape;

/* pickle_scan(), which also tells the shape. */
int pickle_scan_shape(const void *data, size_t size, PickleProfile profile, const PickleLimits *limits,
                      PickleShape *ret_shape, size_t *ret_offset);
