/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Keeps one user from filling the disk for everybody. What a user sends is
 * never refused for want of space, since that would be an update lost; but
 * when less than min_free_space is left, the one who has sent most of what
 * came lately is told why and let go, and the rest is kept for the others.
 */

#include "daemon/manager-internal.h"

/* Looks at the disk when that is worth it; `now`: in any case. Returns 0 or -errno. */
int disk_guard_check(Manager *m, bool now);
