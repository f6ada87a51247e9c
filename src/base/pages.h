/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Pages: memory that is large, and needed for a moment only (a snapshot's list of nodes) or outgrown again and again (a
 * table). It comes straight from the system and goes straight back, where the allocator would keep it for the thread
 * that had it.
 */

#include "base/macros.h"

/* All zero. NULL when memory is short. */
void *pages_new(size_t size);

/* From one size to another, elsewhere if need be; what is new is all zero. Accepts NULL, of size 0. NULL when memory is
 * short, and then nothing has changed. */
void *pages_resize(void *pages, size_t old_size, size_t size);

/* Accepts NULL. */
void pages_free(void *pages, size_t size);
