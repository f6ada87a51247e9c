/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Chat and tasks, of a running or a stopped session. */

#include "ctl/verb.h"

/* The answer to "chat" or "tasks", see control/history-json.h; `arguments` is taken over. CTL_OK with *ret the caller's, or
 * what ctl_fail() returned. */
ExitStatus ctl_history(const Ctl *ctl, const char *verb, json_object *arguments, json_object **ret);
