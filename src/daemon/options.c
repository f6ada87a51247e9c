/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/secret.h"
#include "daemon/config-keys.h"
#include "daemon/options.h"

/* getopt cannot read the old server's "-spwd" and "-lf" beside clustered short options, hence a table of our own.
 * A key of NULL is an action; one with a unit gets it when the value is a bare number. */
typedef struct OptionSpec {
        const char *short_name, *long_name, *key, *unit, *argument, *help;
        OptionsAction action;
} OptionSpec;

static const OptionSpec specs[] = {
        {"-c", "--config", NULL, "", "FILE", "read the settings from FILE"},
        {"-d", "--data-dir", "data_dir", "", "DIR", "keep the session in DIR"},
        {NULL, "--listen", "listen", "", "ADDRESS", "listen on one address only"},
        {"-p", "--port", "port", "", "PORT", "first of the three TCP ports"},
        {"-spwd", "--server-password", "server_password", "", "TEXT", "password to join"},
        {"-apwd", "--admin-password", "admin_password", "", "TEXT", "password of those who may init and kick"},
        {"-t", "--timeout", "timeout", "ms", "TIME", "a client silent this long has gone; a number is ms"},
        {"-l", "--log-level", "log_level", "", "LEVEL", "debug, info, notice, warning, error, critical"},
        {"-lf", "--log-file", "log_file", "", "FILE", "write the log to FILE as well"},
        {NULL, "--set", "", "", "KEY=VALUE", "any setting of scenekeep.conf(5), see below"},
        {NULL, "--set-aside", NULL, "", NULL, "begin anew where a session is damaged beyond use", OPTIONS_SET_ASIDE},
        {NULL, "--check-config", NULL, "", NULL, "check and print the settings, and do nothing", OPTIONS_CHECK_CONFIG},
        {"-V", "--version", NULL, "", NULL, "print the version", OPTIONS_VERSION},
        {"-h", "--help", NULL, "", NULL, "print this", OPTIONS_HELP},
};

/* The option that an argument names; *ret_value is what follows "=" in a long one, else NULL. */
static const OptionSpec *find_spec(const char *argument, char **ret_value)
{
        for (size_t i = 0; i < ELEMENTSOF(specs); i++) {
                size_t size = strlen(specs[i].long_name);

                if (specs[i].short_name && strcmp(argument, specs[i].short_name) == 0) {
                        *ret_value = NULL;
                        return &specs[i];
                }
                if (strncmp(argument, specs[i].long_name, size) != 0)
                        continue;
                if (argument[size] == '\0' || argument[size] == '=') {
                        *ret_value = argument[size] == '=' ? (char *)argument + size + 1 : NULL;
                        return &specs[i];
                }
        }
        return NULL;
}

static _printf_(2, 3) int complain(char **ret_error, const char *format, ...)
{
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(ret_error, format, ap);
        va_end(ap);
        return n < 0 ? -ENOMEM : -EINVAL;
}

static int add_setting(Options *o, const char *key, size_t key_size, const char *value, const char *unit,
                       const char *origin)
{
        OptionsSetting *grown = reallocarray(o->settings, o->n_settings + 1, sizeof(*grown));
        size_t size = strlen(value);
        OptionsSetting s = {.origin = origin};

        if (!grown)
                return -ENOMEM;
        o->settings = grown;
        if (size == 0 || !isdigit((unsigned char)value[size - 1]))
                unit = "";
        s.key = strndup(key, key_size);
        if (!s.key)
                return -ENOMEM;
        if (asprintf(&s.value, "%s%s", value, unit) < 0) {
                free(s.key);
                return -ENOMEM;
        }
        o->settings[o->n_settings++] = s;
        return 0;
}

static int take_set(Options *o, const char *assignment, char **ret_error)
{
        size_t size = strcspn(assignment, "=");

        if (size == 0 || assignment[size] != '=')
                return complain(ret_error, "--set takes KEY=VALUE, not \"%s\"", assignment);
        return add_setting(o, assignment, size, assignment + size + 1, "", "command line: --set");
}

static int take_option(Options *o, const OptionSpec *spec, const char *value, char **ret_error)
{
        if (spec->key && !*spec->key)
                return take_set(o, value, ret_error);
        if (spec->key)
                return add_setting(o, spec->key, strlen(spec->key), value, spec->unit, spec->long_name);
        if (spec->argument) {
                free(o->config_path);
                o->config_path = strdup(value);
                return o->config_path ? 0 : -ENOMEM;
        }
        o->action = spec->action;
        return 0;
}

/* Whether the argument's value must not be seen in the list of processes. */
static bool value_is_secret(const OptionSpec *spec, const char *value)
{
        const ConfigKey *key;
        _cleanup_free_ char *name = NULL;

        if (!spec->key)
                return false;
        name = *spec->key ? strdup(spec->key) : strndup(value, strcspn(value, "="));
        key = name ? config_key_find(name) : NULL;
        return key && key->type == CONFIG_PASSWORD;
}

int options_parse(int argc, char **argv, Options **ret, char **ret_error)
{
        _cleanup_(options_freep) Options *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        for (int i = 1; i < argc; i++) {
                char *value = NULL;
                const OptionSpec *spec = find_spec(argv[i], &value);

                if (!spec)
                        return complain(ret_error, "\"%s\" is not an option; --help lists them all", argv[i]);
                if (value && !spec->argument)
                        return complain(ret_error, "%s takes no value", spec->long_name);
                if (spec->argument && !value) {
                        if (i + 1 == argc)
                                return complain(ret_error, "%s needs a value", spec->long_name);
                        value = argv[++i];
                }
                r = take_option(o, spec, value, ret_error);
                if (r < 0)
                        return r;
                if (value && value_is_secret(spec, value))
                        secret_wipe(value);
        }
        *ret = TAKE_PTR(o);
        return 0;
}

Options *options_free(Options *o)
{
        if (!o)
                return NULL;
        for (size_t i = 0; i < o->n_settings; i++) {
                free(o->settings[i].key);
                secret_free(o->settings[i].value);
        }
        free(o->settings);
        free(o->config_path);
        free(o);
        return NULL;
}

void options_print_help(FILE *f)
{
        fputs("Usage: scenekeepd [OPTION]...\n"
              "Serves a Blender Multi-User session and keeps it.\n\n",
              f);
        for (size_t i = 0; i < ELEMENTSOF(specs); i++) {
                char left[64];
                snprintf(left, sizeof(left), "%s%s%s%s%s", specs[i].short_name ?: "", specs[i].short_name ? ", " : "",
                         specs[i].long_name, specs[i].argument ? " " : "", specs[i].argument ?: "");
                fprintf(f, "  %-30s %s\n", left, specs[i].help);
        }
        fputs("\nSettings, for --set and for the configuration file, with their defaults:\n", f);
        for (size_t i = 0; i < n_config_keys; i++)
                fprintf(f, "  %-20s %-13s %s\n", config_keys[i].name, config_keys[i].default_text ?: "-",
                        config_keys[i].help);
        fputs("\nThe environment variables PORT, ADMIN_PASSWORD, SERVER_PASSWORD, LOG_LEVEL, TIMEOUT (ms),\n"
              "DATA_DIR, SAVE_INTERVAL (s) and MAX_BACKUPS count more than the file and less than options.\n"
              "See scenekeepd(8) and scenekeep.conf(5).\n",
              f);
}
