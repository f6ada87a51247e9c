/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What systemd says of a unit. 1: yes, 0: no, -errno: it cannot be asked. */

#include "base/macros.h"

int unit_is_active(const char *unit);
int unit_has_failed(const char *unit);
