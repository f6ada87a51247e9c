/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A mapped page that the disk cannot read, or that was cut off the file, raises
 * SIGBUS. As systemd-journald does, we put a page of zeroes in its place, note the
 * mapping as broken and go on; digests and bounds tell the rest. A SIGBUS elsewhere
 * ends the process as usual.
 */

#include <stddef.h>

#include "base/macros.h"

typedef struct SigbusRegion SigbusRegion;

/* Registers a mapping; installs the handler the first time. Any thread. Returns NULL when memory is short. */
SigbusRegion *sigbus_register(void *base, size_t size);

/* To be called before munmap(). Accepts NULL. */
SigbusRegion *sigbus_unregister(SigbusRegion *r);

/* True if a page of it had to be replaced. */
bool sigbus_region_broken(const SigbusRegion *r);
