/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config-loader.h"

static const char *type_phrase(int type)
{
        switch (type) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                return "a number";
        case CONFIG_TYPE_FLOAT:
                return "a number with a decimal point";
        case CONFIG_TYPE_STRING:
                return "a text";
        case CONFIG_TYPE_BOOL:
                return "true or false";
        case CONFIG_TYPE_GROUP:
                return "a group in braces";
        default:
                return "a list";
        }
}

static const char *wanted_phrase(const ConfigKey *key)
{
        switch (key->type) {
        case CONFIG_NUMBER:
                return "a number";
        case CONFIG_SIZE:
                return "a size";
        case CONFIG_DURATION:
                return "a duration";
        case CONFIG_TEXT_LIST:
                return "a list of texts";
        case CONFIG_TEXT:
        case CONFIG_PASSWORD:
        case CONFIG_SYNC:
        case CONFIG_LEVEL:
                break;
        }
        return "a text";
}

/* Whether a value written with this type may stand for the key at all; its range is checked later. */
static bool type_fits(const ConfigKey *key, int type)
{
        switch (key->type) {
        case CONFIG_NUMBER:
                return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
        case CONFIG_SIZE:
                return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 || type == CONFIG_TYPE_STRING;
        case CONFIG_DURATION:
                return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 || type == CONFIG_TYPE_FLOAT ||
                       type == CONFIG_TYPE_STRING;
        case CONFIG_TEXT_LIST:
                return type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
        case CONFIG_TEXT:
        case CONFIG_PASSWORD:
        case CONFIG_SYNC:
        case CONFIG_LEVEL:
                break;
        }
        return type == CONFIG_TYPE_STRING;
}

static char *example(const ConfigKey *key)
{
        const char *text = key->default_text ?: "...";
        char *s;
        int n;

        if (key->type == CONFIG_NUMBER)
                n = asprintf(&s, "%s = %s;", key->name, text);
        else if (key->type == CONFIG_TEXT_LIST)
                n = asprintf(&s, "%s = [ \"%.*s\" ];", key->name, (int)strcspn(text, ","), text);
        else
                n = asprintf(&s, "%s = \"%s\";", key->name, text);
        return n < 0 ? NULL : s;
}

static char *list_text(const config_setting_t *setting)
{
        int n = config_setting_length(setting);
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (int i = 0; i < n; i++)
                fprintf(f, "%s%s", i == 0 ? "" : ",", config_setting_get_string_elem(setting, i) ?: "");
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static bool list_holds_only_texts(const config_setting_t *setting)
{
        for (int i = 0; i < config_setting_length(setting); i++)
                if (!config_setting_get_string_elem(setting, i))
                        return false;
        return true;
}

/* The value as config_value_set() takes it; negative numbers stay negative and are refused there. */
static char *setting_text(const config_setting_t *setting)
{
        char *text = NULL;
        int n = 0;

        switch (config_setting_type(setting)) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                n = asprintf(&text, "%lld", config_setting_get_int64(setting));
                break;
        case CONFIG_TYPE_FLOAT:
                n = asprintf(&text, "%.6f", config_setting_get_float(setting));
                break;
        case CONFIG_TYPE_STRING:
                return strdup(config_setting_get_string(setting));
        default:
                return list_text(setting);
        }
        return n < 0 ? NULL : text;
}

static int tell_wrong_type(ConfigLoader *l, const ConfigKey *key, int type, const char *origin)
{
        bool mixed = key->type == CONFIG_TEXT_LIST && (type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY);
        _cleanup_free_ char *right = example(key);

        if (!right)
                return -ENOMEM;
        config_loader_fault(l, origin, "'%s' must be %s, not %s; write it as in: %s", key->name, wanted_phrase(key),
                            mixed ? "one with other things in it" : type_phrase(type), right);
        return 0;
}

static int take_setting(ConfigLoader *l, const config_setting_t *setting, const char *origin)
{
        const char *name = config_setting_name(setting);
        const ConfigKey *key = config_key_find(name);
        int type = config_setting_type(setting);
        _cleanup_free_ char *text = NULL;

        if (!key) {
                config_loader_unknown_key(l, origin, name);
                return 0;
        }
        if (!type_fits(key, type) || (config_setting_is_aggregate(setting) && !list_holds_only_texts(setting)))
                return tell_wrong_type(l, key, type, origin);
        text = setting_text(setting);
        if (!text)
                return -ENOMEM;
        return config_loader_set(l, key, CONFIG_RANK_FILE, origin, text);
}

static int take_settings(ConfigLoader *l, const config_t *file, const char *path)
{
        const config_setting_t *root = config_root_setting(file);

        for (int i = 0; i < config_setting_length(root); i++) {
                const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
                _cleanup_free_ char *origin = NULL;
                int r;

                if (asprintf(&origin, "%s:%u", config_setting_source_file(setting) ?: path,
                             (unsigned)config_setting_source_line(setting)) < 0) {
                        origin = NULL;
                        return -ENOMEM;
                }
                r = take_setting(l, setting, origin);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool quotes_are_even(const char *line)
{
        bool inside = false;

        for (; *line; line++) {
                if (inside && *line == '\\' && line[1])
                        line++;
                else if (*line == '"')
                        inside = !inside;
                else if (!inside && (*line == '#' || (*line == '/' && line[1] == '/')))
                        break;
        }
        return !inside;
}

/* libconfig notices a missing quote only where the next text begins, or at the end of the file. Returns the first line
 * up to `last` on which a text is left open, or 0. */
static int find_open_quote(FILE *f, int last)
{
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        rewind(f);
        for (int number = 1; number <= last && getline(&line, &size, f) >= 0; number++)
                if (!quotes_are_even(line))
                        return number;
        return 0;
}

static int tell_syntax_error(ConfigLoader *l, const config_t *file, FILE *f, const char *path)
{
        int line = config_error_line(file), quote = config_error_file(file) ? 0 : find_open_quote(f, line);
        _cleanup_free_ char *origin = NULL;

        if (asprintf(&origin, "%s:%d", config_error_file(file) ?: path, quote ?: line) < 0) {
                origin = NULL;
                return -ENOMEM;
        }
        if (quote)
                config_loader_fault(l, origin, "a text begins here and has no closing quote");
        else
                config_loader_fault(l, origin, "%s; each setting is written as: name = value;",
                                    config_error_text(file) ?: "cannot be read");
        return 0;
}

/* ---- numbers that libconfig 1.5 cuts to 32 bits ---- */

static const char *skip_text(const char *s, const char *end)
{
        for (s++; s < end && *s != '"'; s++)
                s += *s == '\\' && s + 1 < end;
        return MIN(s + 1, end);
}

/* From a comment to what follows it, or NULL when there is none here. */
static const char *skip_comment(const char *s)
{
        if (*s == '#' || (s[0] == '/' && s[1] == '/'))
                return s + strcspn(s, "\n");
        if (s[0] != '/' || s[1] != '*')
                return NULL;
        const char *end = strstr(s + 2, "*/");
        return end ? end + 2 : s + strlen(s);
}

static bool is_cut(const char *word, size_t size)
{
        const char *digits = word + (*word == '-' || *word == '+');
        char *end;

        if (!isdigit((unsigned char)*digits))
                return false;
        errno = 0;
        long long value = strtoll(word, &end, digits[0] == '0' && tolower((unsigned char)digits[1]) == 'x' ? 16 : 10);
        return end == word + size && (errno == ERANGE || value > INT32_MAX || value < INT32_MIN);
}

/* Tells of every number in the text that is larger than libconfig takes without an L behind it. */
static int check_numbers(ConfigLoader *l, const char *text, const char *path)
{
        static const char word_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.*";
        const char *end = text + strlen(text);
        unsigned line = 1;

        for (const char *s = text, *next; s < end; s = next) {
                size_t size = strspn(s, word_characters);

                next = *s == '"' ? skip_text(s, end) : skip_comment(s) ?: s + MAX(size, (size_t)1);
                if (size > 0 && is_cut(s, size)) {
                        _cleanup_free_ char *origin = NULL;
                        if (asprintf(&origin, "%s:%u", path, line) < 0) {
                                origin = NULL;
                                return -ENOMEM;
                        }
                        config_loader_fault(l, origin, "%.*s is more than fits a plain number; write it with a unit in quotes, as "
                                            "in \"10G\", or as %.*sL", (int)size, s, (int)size, s);
                }
                for (; s < next; s++)
                        line += *s == '\n';
        }
        return 0;
}

/* By libconfig's own reader a file that opens but cannot be read, such as a folder, would end the process. */
static int read_text(FILE *f, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        errno = 0;
        ssize_t n = getdelim(&text, &size, '\0', f);
        if (ferror(f) || (n < 0 && !feof(f)))
                return errno > 0 ? -errno : -EIO;
        if (n > 0 && text[n - 1] == '\0')
                return -EILSEQ;
        /* To libconfig a comment that nothing ends is a syntax error. */
        return asprintf(ret, "%s\n", n > 0 ? text : "") < 0 ? -ENOMEM : 0;
}

static int check_file(ConfigLoader *l, const char *path)
{
        _cleanup_free_ char *text = NULL;
        FILE *f = fopen(path, "re");

        if (!f)
                return -errno;
        int r = read_text(f, &text);
        fclose(f);
        return r < 0 ? r : check_numbers(l, text, path);
}

/* Each file that has been included, once. */
static int check_included(ConfigLoader *l, const config_t *file)
{
        const config_setting_t *root = config_root_setting(file);

        for (int i = 0; i < config_setting_length(root); i++) {
                const char *path = config_setting_source_file(config_setting_get_elem(root, (unsigned)i));
                bool again = !path;

                for (int k = 0; k < i && !again; k++)
                        again = config_setting_source_file(config_setting_get_elem(root, (unsigned)k)) == path;
                int r = again ? 0 : check_file(l, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take_file(ConfigLoader *l, const config_t *file, const char *text, const char *path)
{
        size_t n_faults = l->n_faults;
        int r = check_numbers(l, text, path);

        if (r == 0)
                r = check_included(l, file);
        return r < 0 || l->n_faults > n_faults ? r : take_settings(l, file, path);
}

int config_loader_read_file(ConfigLoader *l, const char *path)
{
        _cleanup_free_ char *text = NULL;
        config_t file;
        FILE *f = fopen(path, "re");
        int r;

        if (!f)
                return -errno;
        r = read_text(f, &text);
        if (r < 0) {
                fclose(f);
                return r;
        }
        config_init(&file);
        r = config_read_string(&file, text) ? take_file(l, &file, text, path) : tell_syntax_error(l, &file, f, path);
        config_destroy(&file);
        fclose(f);
        return r;
}
