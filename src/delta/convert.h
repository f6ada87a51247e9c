/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "delta/run.h"

/* Python's type(current), for values and types that deltas can hold. 0 and a new reference, DELTA_SKIP where
 * Python raises, or the run's errors. */
int convert(DeltaRun *run, ValueGlobal type, Value *current, Value **ret);

/* Calls the function with each element that iterating over v gives, until it returns something else than 0.
 * DELTA_SKIP when v cannot be iterated. The elements of str, bytes and bytearray are made for the call. */
typedef int (*ConvertFunc)(void *userdata, Value *element);
int convert_for_each(DeltaRun *run, const Value *v, ConvertFunc function, void *userdata);
