/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Keeps one user from filling the disk for everybody. What a user sends is
 * never refused for want of space, since that would be an update lost. But the
 * nearer the disk is to min_free_space, the less one user may send a second,
 * down to what editing takes; TCP holds back whoever wants to send more, be it
 * a flood or the scene that a session begins with, until there is space again.
 * If what is left shrinks to half of min_free_space in spite of that, the user
 * who has sent most of what came lately is told why and let go.
 */

#include "daemon/manager-internal.h"

/* Looks at the disk when that is worth it; `now`: in any case. Returns 0 or -errno. */
int disk_guard_check(Manager *m, bool now);
