/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pickle/value.h"

/* A value for people, as Python writes it; what would be longer than max_size bytes is named by its kind and size: "bytes of
 * 4096 bytes", "list of 300 items". The caller's; NULL: out of memory. */
char *value_text(const Value *v, size_t max_size);

/* How a dict's key reads in a path: a string as it is, else as above. */
char *value_key_text(const Value *v, size_t max_size);
