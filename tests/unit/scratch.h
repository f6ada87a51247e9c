/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A folder of one's own for a test that needs files, gone when the test is over. */

typedef struct Scratch {
        char path[64];
        int fd;
} Scratch;

Scratch *scratch_new(void);
Scratch *scratch_free(Scratch *s); /* with everything inside */

/* Writes a file in it (mode 0600) and returns its path in a buffer that the next call overwrites. */
const char *scratch_write(Scratch *s, const char *name, const char *text);
