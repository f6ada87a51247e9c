/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "store/internal.h"

/* Takes the store's lock, or looks whether it is free when read-only. -EBUSY. */
int identity_lock(Store *s, char **ret_error);

/* Reads the file "store", or makes it. Recognises a copy and gives it an id of its own. */
int identity_open(Store *s, char **ret_error);

/* Notes that something is durable now, or (false) that the store is empty again. In the worker, or while
 * opening. */
int identity_set_begun(Store *s, bool begun);

/* Notes at the end up to where the journal is durable: a log that is cut short afterwards does not go
 * unnoticed. */
int identity_set_durable(Store *s, uint64_t durable);
