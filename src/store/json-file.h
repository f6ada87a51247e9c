/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The small files beside log and snapshots that people and scripts read, and that nothing depends on. */

#include "store/internal.h"

struct json_object;

/* Puts the object into a file of the store's folder, in place of what it held; takes the object over, and NULL for no
 * memory. After a loss of power it may hold that again. In the worker. Returns 0 or -errno. */
int json_file_write(Store *s, const char *name, struct json_object *o);

/* The object in such a file, the caller's to put; NULL when there is none or it holds none. */
struct json_object *json_file_read(Store *s, const char *name);

/* An instant in such a file: ISO 8601, UTC. */
struct json_object *json_file_time(uint64_t usec);
