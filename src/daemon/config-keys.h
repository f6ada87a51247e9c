/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The one table of settings, and how a setting's text becomes a value in Config. */

#include "daemon/config.h"

typedef enum ConfigType {
        CONFIG_TEXT,      /* char *; NULL where the default is NULL and nothing is set */
        CONFIG_PASSWORD,  /* likewise; never shown; the empty text means none */
        CONFIG_TEXT_LIST, /* char **, NULL-terminated */
        CONFIG_NUMBER,    /* uint64_t */
        CONFIG_SIZE,      /* uint64_t, bytes; "64M" */
        CONFIG_DURATION,  /* uint64_t, microseconds; "90s", "1h 30min"; a bare number is seconds */
        CONFIG_SYNC,      /* int, ConfigSync */
        CONFIG_LEVEL,     /* int, syslog priority */
} ConfigType;

typedef struct ConfigKey {
        const char *name;
        ConfigType type;
        bool live;                /* can be applied by a reload */
        size_t offset;            /* in Config */
        const char *default_text; /* as in a file, without quotes; NULL: not set */
        uint64_t min, max;        /* of the value; for texts, of the number of bytes */
        const char *help;         /* one line */
        bool (*is_item)(const char *text); /* of a list; NULL: every text is one */
        const char *items;                 /* what they are, and an example */
} ConfigKey;

extern const ConfigKey config_keys[];
extern const size_t n_config_keys;

const ConfigKey *config_key_find(const char *name);

/* The key that somebody who wrote `name` may have meant, or NULL when none is near. */
const ConfigKey *config_key_nearest(const char *name);

static inline void *config_field(Config *c, const ConfigKey *key)
{
        return (char *)c + key->offset;
}

static inline const void *config_field_const(const Config *c, const ConfigKey *key)
{
        return (const char *)c + key->offset;
}

/* Parses and stores; lists are separated by commas. Returns 0, -ENOMEM, or -EINVAL with *ret_expected, which the
 * caller frees: a phrase for "port must be ...". */
int config_value_set(Config *c, const ConfigKey *key, const char *text, char **ret_expected);

/* The value as config_value_set() takes it; NULL when memory is short. */
char *config_value_format(const Config *c, const ConfigKey *key);

bool config_value_equal(const Config *a, const Config *b, const ConfigKey *key);
void config_value_swap(Config *a, Config *b, const ConfigKey *key);
void config_value_done(Config *c, const ConfigKey *key);

/* 0, -EINVAL (not a size, a duration), or -ERANGE (it does not fit). Exposed for the options of the old server. */
int config_parse_size(const char *text, uint64_t *ret);
int config_parse_duration(const char *text, uint64_t *ret);
