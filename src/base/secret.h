/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Passwords: compared without telling by the time taken where they differ, wiped before memory is given back. */

#include <stddef.h>

#include "base/macros.h"

/* Does what a client gave fit the configured password? given is NULL where the client sent None. No password
 * configured (NULL or "") accepts None and the empty text, and nothing else. */
bool secret_matches(const char *configured, const void *given, size_t given_size);

void secret_wipe(char *secret);       /* overwrites a text in place; accepts NULL */
char *secret_free(char *secret);      /* wipes and frees; accepts NULL; returns NULL */
DEFINE_CLEANUP(char *, secret_free)
#define _cleanup_secret_ _cleanup_(secret_freep)
