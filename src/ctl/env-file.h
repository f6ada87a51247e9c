/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The `.env` file of a docker-compose set-up. What docker-compose understands without looking anything up is
 * understood here: comments, blank lines, `export`, blanks around "=", single quotes (literal), double quotes (with
 * \n \r \t \" \\ \$), comments after unquoted values, CR LF, a byte order mark. What it would have replaced ($VAR) or what
 * nobody can be sure about is a fault with its line, never a guess.
 */

#include <stddef.h>

#include "base/macros.h"

typedef struct EnvEntry {
        char *key;
        char *value; /* may be a password */
        unsigned line;
} EnvEntry;

typedef struct EnvFault {
        unsigned line;
        char *text; /* what is wrong and what would be right */
} EnvFault;

typedef struct EnvFile {
        EnvEntry *entries; /* a key that is set twice is here twice: the last one counts */
        size_t n_entries;
        EnvFault *faults;
        size_t n_faults;
} EnvFile;

#define ENV_FILE_SIZE_MAX ((size_t)1 << 20)

/* Returns 0 also when there are faults; -ENOMEM; -E2BIG beyond ENV_FILE_SIZE_MAX. */
int env_file_parse(const char *text, size_t size, EnvFile **ret);
EnvFile *env_file_free(EnvFile *f); /* wipes values; accepts NULL; returns NULL */
DEFINE_CLEANUP(EnvFile *, env_file_free)
#define _cleanup_env_file_ _cleanup_(env_file_freep)

/* The last entry of that key, or NULL. */
const EnvEntry *env_file_find(const EnvFile *f, const char *key);
