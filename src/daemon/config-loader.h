/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A Config in the making: which source set what, and everything that was wrong, collected so that a person can
 * mend a file in one go. */

#include <stdio.h>

#include "daemon/config-keys.h"

/* Later ones win. */
typedef enum ConfigRank {
        CONFIG_RANK_DEFAULT,
        CONFIG_RANK_FILE,
        CONFIG_RANK_CREDENTIAL,
        CONFIG_RANK_ENVIRONMENT,
        CONFIG_RANK_COMMAND_LINE,
} ConfigRank;

typedef struct ConfigLoader {
        Config *config;
        ConfigRank ranks[CONFIG_KEYS_MAX]; /* by index in config_keys */
        char *origins[CONFIG_KEYS_MAX];    /* where each was set: "FILE:LINE" and the like */
        FILE *faults;                      /* a line for each */
        size_t n_faults;
} ConfigLoader;

/* Adds "ORIGIN: what is wrong". */
void config_loader_fault(ConfigLoader *l, const char *origin, const char *format, ...) _printf_(3, 4);
void config_loader_unknown_key(ConfigLoader *l, const char *origin, const char *name);

/* Stores a value unless a higher rank has set the key. Faults are collected; the only error is -ENOMEM. */
int config_loader_set(ConfigLoader *l, const ConfigKey *key, ConfigRank rank, const char *origin, const char *text);

/* Reads a libconfig file. Returns 0 (also when it has faults), -ENOMEM, or the -errno of opening it. */
int config_loader_read_file(ConfigLoader *l, const char *path);
