/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Questions to the running daemon. */

#include "ctl/verb.h"

/* Asks, and waits as long as it takes. `arguments` is taken over, NULL: none. file: a descriptor that goes along, or
 * -1. CTL_OK with *ret the caller's, or what ctl_fail() returned. */
ExitStatus ctl_call(const Ctl *ctl, const char *verb, json_object *arguments, int file, json_object **ret);

/* Does a daemon answer on the socket? */
bool ctl_is_running(const Ctl *ctl);

/* Fields of an answer; what is missing is 0, "" or false. */
const char *answer_text_of(json_object *o, const char *key);
uint64_t answer_int(json_object *o, const char *key);
bool answer_bool(json_object *o, const char *key);
uint64_t answer_time(json_object *o, const char *key); /* microseconds; 0: null */
