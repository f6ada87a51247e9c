/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The command line of scenekeepd: its own options, and those of the Python server it replaces. */

#include <stdio.h>

#include "base/macros.h"

typedef enum OptionsAction {
        OPTIONS_RUN,
        OPTIONS_SET_ASIDE, /* run, on a new session where the one that is there is damaged beyond use */
        OPTIONS_CHECK_CONFIG,
        OPTIONS_HELP,
        OPTIONS_VERSION,
} OptionsAction;

/* A setting as it was given: "-t 10000" becomes {"timeout", "10000ms", "-t"}. */
typedef struct OptionsSetting {
        char *key;
        char *value;
        const char *origin;
} OptionsSetting;

typedef struct Options {
        OptionsAction action;
        char *config_path; /* NULL: not given */
        OptionsSetting *settings;
        size_t n_settings;
} Options;

/* Parses argv and wipes the passwords in it, so that `ps` shows them no longer than necessary. Returns 0, or
 * -EINVAL with *ret_error, a sentence for the user that the caller frees, or -ENOMEM. */
int options_parse(int argc, char **argv, Options **ret, char **ret_error);
Options *options_free(Options *o); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(Options *, options_free)

void options_print_help(FILE *f);
