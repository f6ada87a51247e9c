/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Recorded data that lies beside the project, and need not be there. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* To be freed. */
static inline char *shared_path(const char *name)
{
        const char *shared = getenv("SCENEKEEP_SHARED"), *source = getenv("top_srcdir");
        char *path = NULL;
        int n = shared ? asprintf(&path, "%s/%s", shared, name)
                       : asprintf(&path, "%s/../shared/%s", source ? source : ".", name);
        return n > 0 ? path : NULL;
}

/* Says that it is not, as the plan of a program that then has nothing to test. */
static inline bool shared_is_absent(const char *name)
{
        char *path = shared_path(name);
        bool absent = !path || access(path, F_OK) < 0;
        if (absent)
                printf("1..0 # SKIP no recorded data: %s is absent\n", path ? path : name);
        free(path);
        return absent;
}
