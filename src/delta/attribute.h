/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pickle/value.h"

/* Whether getattr(v, name) finds something in CPython 3.11: deltas made by hand may name methods. Names that
 * begin with "__" never get into a path. */
bool attribute_exists(const Value *v, const Value *name);
