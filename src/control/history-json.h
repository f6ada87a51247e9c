/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Chat and tasks as the daemon answers them, and scenekeepctl shows them of a stopped session. */

#include <json-c/json.h>

#include "session/session.h"

/* {"messages": [...], "last": number}: those with a number above `after`, oldest first. NULL when memory is short. */
json_object *history_chat_json(const Session *s, uint64_t after);

/* {"tasks": [...]}, in the order in which they came. NULL when memory is short. */
json_object *history_tasks_json(const Session *s);
