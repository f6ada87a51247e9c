/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/config-keys.h"

typedef struct Unit {
        const char *name;
        uint64_t factor;
} Unit;

/* The largest first that divides a value is how it is printed. */
static const Unit size_units[] = {
        {"T", 1ULL << 40}, {"TiB", 1ULL << 40}, {"TB", 1ULL << 40}, {"G", 1ULL << 30}, {"GiB", 1ULL << 30},
        {"GB", 1ULL << 30}, {"M", 1ULL << 20},  {"MiB", 1ULL << 20}, {"MB", 1ULL << 20}, {"K", 1ULL << 10},
        {"KiB", 1ULL << 10}, {"KB", 1ULL << 10}, {"B", 1},           {"", 1},
};

static const Unit duration_units[] = {
        {"w", 604800000000},  {"weeks", 604800000000}, {"week", 604800000000}, {"d", 86400000000},
        {"days", 86400000000}, {"day", 86400000000},   {"h", 3600000000},      {"hours", 3600000000},
        {"hour", 3600000000}, {"min", 60000000},       {"minutes", 60000000},  {"minute", 60000000},
        {"m", 60000000},      {"s", 1000000},          {"sec", 1000000},       {"seconds", 1000000},
        {"second", 1000000},  {"ms", 1000},            {"us", 1},              {"", 1000000},
};

static const Unit *find_unit(const Unit *units, size_t n_units, const char *name, size_t size)
{
        for (size_t i = 0; i < n_units; i++)
                if (strlen(units[i].name) == size && strncasecmp(units[i].name, name, size) == 0)
                        return &units[i];
        return NULL;
}

/* One "12.5 unit"; fractions are exact to a millionth. Advances *text past it. */
static int parse_quantity(const char **text, const Unit *units, size_t n_units, uint64_t *ret)
{
        const char *s = *text, *name;
        uint64_t whole = 0, millionths = 0, weight = 100000;
        const Unit *unit;

        if (!isdigit((unsigned char)*s))
                return -EINVAL;
        for (; isdigit((unsigned char)*s); s++)
                if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *s - '0', &whole))
                        return -ERANGE;
        if (*s == '.') {
                if (!isdigit((unsigned char)*++s))
                        return -EINVAL;
                for (; isdigit((unsigned char)*s); s++, weight /= 10)
                        millionths += (uint64_t)(*s - '0') * weight;
        }
        while (*s == ' ')
                s++;
        for (name = s; isalpha((unsigned char)*s); s++)
                ;
        unit = find_unit(units, n_units, name, (size_t)(s - name));
        if (!unit)
                return -EINVAL;
        if (__builtin_mul_overflow(whole, unit->factor, ret) ||
            __builtin_add_overflow(*ret, (uint64_t)((__extension__(unsigned __int128)millionths * unit->factor) / 1000000), ret))
                return -ERANGE;
        while (*s == ' ')
                s++;
        *text = s;
        return 0;
}

int config_parse_size(const char *text, uint64_t *ret)
{
        uint64_t bytes;
        int r = parse_quantity(&text, size_units, ELEMENTSOF(size_units), &bytes);

        if (r < 0)
                return r;
        if (*text)
                return -EINVAL;
        *ret = bytes;
        return 0;
}

int config_parse_duration(const char *text, uint64_t *ret)
{
        uint64_t sum = 0, usec;

        do {
                int r = parse_quantity(&text, duration_units, ELEMENTSOF(duration_units), &usec);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, usec, &sum))
                        return -ERANGE;
        } while (*text);
        *ret = sum;
        return 0;
}

static int parse_number(const char *text, uint64_t *ret)
{
        char *end;

        if (!isdigit((unsigned char)*text))
                return -EINVAL;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno ? -errno : *end ? -EINVAL : 0;
}

static char *format_quantity(const ConfigKey *key, uint64_t value)
{
        const Unit *units = key->type == CONFIG_SIZE ? size_units : duration_units;
        char *s;

        if (value > 0 && key->type != CONFIG_NUMBER)
                for (; units->factor > 0; units++)
                        if (value % units->factor == 0)
                                return asprintf(&s, "%" PRIu64 "%s", value / units->factor, units->name) < 0 ? NULL
                                                                                                             : s;
        return asprintf(&s, "%" PRIu64, value) < 0 ? NULL : s;
}

/* Why a value was not taken: "a size from 1M to 4G, such as \"64M\"". */
static int expected(const ConfigKey *key, char **ret)
{
        _cleanup_free_ char *low = NULL, *high = NULL;
        int n = -1;

        switch (key->type) {
        case CONFIG_NUMBER:
                n = asprintf(ret, "a whole number from %" PRIu64 " to %" PRIu64 ", such as %s", key->min, key->max,
                             key->default_text);
                break;
        case CONFIG_SIZE:
        case CONFIG_DURATION:
                low = format_quantity(key, key->min);
                high = format_quantity(key, key->max);
                if (low && high)
                        n = asprintf(ret, "a %s from %s to %s, such as \"%s\"",
                                     key->type == CONFIG_SIZE ? "size" : "duration", low, high, key->default_text);
                break;
        case CONFIG_SYNC:
                n = asprintf(ret, "\"interval\" or \"always\"");
                break;
        case CONFIG_LEVEL:
                n = asprintf(ret, "\"debug\", \"info\", \"notice\", \"warning\", \"error\" or \"critical\"");
                break;
        case CONFIG_TEXT_LIST:
                if (key->items) {
                        n = asprintf(ret, "a list of %s", key->items);
                        break;
                }
                n = asprintf(ret, "a list of %" PRIu64 " to %" PRIu64 " texts, such as [ \"a\", \"b\" ]", key->min,
                             key->max);
                break;
        case CONFIG_TEXT:
                n = asprintf(ret, "a text of %" PRIu64 " to %" PRIu64 " bytes in quotes, without line breaks and the like",
                             key->min, key->max);
                break;
        case CONFIG_PASSWORD:
                n = asprintf(ret, "a text of %" PRIu64 " to %" PRIu64 " bytes in quotes", key->min, key->max);
                break;
        }
        return n < 0 ? -ENOMEM : -EINVAL;
}

static char **list_free(char **list)
{
        for (char **s = list; s && *s; s++)
                free(*s);
        free(list);
        return NULL;
}
DEFINE_CLEANUP(char **, list_free)

/* Splits at commas; space around an item is not part of it, empty items count for nothing. */
static int list_parse(const char *text, char ***ret, size_t *ret_n)
{
        _cleanup_(list_freep) char **list = NULL;
        size_t n = 0, n_max = 1;

        for (const char *s = text; *s; s++)
                n_max += *s == ',';
        list = calloc(n_max + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        for (;;) {
                size_t size;

                text += strspn(text, ", \t");
                size = strcspn(text, ",");
                if (size == 0)
                        break;
                while (size > 0 && isspace((unsigned char)text[size - 1]))
                        size--;
                list[n] = strndup(text, size);
                if (!list[n++])
                        return -ENOMEM;
                text += strcspn(text, ",");
        }
        *ret = TAKE_PTR(list);
        *ret_n = n;
        return 0;
}

/* It would break the lines and fields that it is shown in. */
static bool has_control(const char *text)
{
        for (; *text; text++)
                if (iscntrl((unsigned char)*text))
                        return true;
        return false;
}

static int set_text(Config *c, const ConfigKey *key, const char *text, char **ret_expected)
{
        char **field = config_field(c, key), *copy = NULL;
        size_t size = strlen(text);

        if (size < key->min || size > key->max || (key->type == CONFIG_TEXT && has_control(text)))
                return expected(key, ret_expected);
        if (size > 0 || key->default_text) {
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
        }
        secret_free(*field);
        *field = copy;
        return 0;
}

static bool items_fit(const ConfigKey *key, char *const *list)
{
        for (; key->is_item && *list; list++)
                if (!key->is_item(*list))
                        return false;
        return true;
}

static int set_list(Config *c, const ConfigKey *key, const char *text, char **ret_expected)
{
        char ***field = config_field(c, key);
        _cleanup_(list_freep) char **list = NULL;
        size_t n;
        int r = list_parse(text, &list, &n);

        if (r < 0)
                return r;
        if (n < key->min || n > key->max || !items_fit(key, list))
                return expected(key, ret_expected);
        list_free(*field);
        *field = TAKE_PTR(list);
        return 0;
}

static int parse_word(const ConfigKey *key, const char *text)
{
        if (key->type == CONFIG_LEVEL)
                return log_priority_from_string(text);
        if (strcmp(text, "interval") == 0)
                return CONFIG_SYNC_INTERVAL;
        return strcmp(text, "always") == 0 ? CONFIG_SYNC_ALWAYS : -EINVAL;
}

static int parse_scalar(const ConfigKey *key, const char *text, uint64_t *ret)
{
        switch (key->type) {
        case CONFIG_SIZE:
                return config_parse_size(text, ret);
        case CONFIG_DURATION:
                return config_parse_duration(text, ret);
        default:
                return parse_number(text, ret);
        }
}

int config_value_set(Config *c, const ConfigKey *key, const char *text, char **ret_expected)
{
        uint64_t value = 0;
        int word;

        switch (key->type) {
        case CONFIG_TEXT:
        case CONFIG_PASSWORD:
                return set_text(c, key, text, ret_expected);
        case CONFIG_TEXT_LIST:
                return set_list(c, key, text, ret_expected);
        case CONFIG_SYNC:
        case CONFIG_LEVEL:
                word = parse_word(key, text);
                if (word < 0)
                        return expected(key, ret_expected);
                *(int *)config_field(c, key) = word;
                return 0;
        case CONFIG_NUMBER:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
                break;
        }
        if (parse_scalar(key, text, &value) < 0 || value < key->min || value > key->max)
                return expected(key, ret_expected);
        *(uint64_t *)config_field(c, key) = value;
        return 0;
}

static char *list_format(char *const *list)
{
        char *joined = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&joined, &size);

        if (!f)
                return NULL;
        for (char *const *s = list; *s; s++)
                fprintf(f, "%s%s", s == list ? "" : ",", *s);
        if (fclose(f) != 0) {
                free(joined);
                return NULL;
        }
        return joined;
}

char *config_value_format(const Config *c, const ConfigKey *key)
{
        const void *field = config_field_const(c, key);
        const char *text;

        switch (key->type) {
        case CONFIG_TEXT_LIST:
                return list_format(*(char *const *const *)field);
        case CONFIG_SYNC:
                return strdup(*(const int *)field == CONFIG_SYNC_ALWAYS ? "always" : "interval");
        case CONFIG_LEVEL: {
                char *level = strdup(log_priority_to_string(*(const int *)field));
                for (char *s = level; s && *s; s++)
                        *s = (char)tolower((unsigned char)*s);
                return level;
        }
        case CONFIG_NUMBER:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
                return format_quantity(key, *(const uint64_t *)field);
        case CONFIG_TEXT:
        case CONFIG_PASSWORD:
                break;
        }
        text = *(char *const *)field;
        return strdup(text ?: "");
}

static bool list_equal(char *const *a, char *const *b)
{
        for (; *a && *b; a++, b++)
                if (strcmp(*a, *b) != 0)
                        return false;
        return !*a && !*b;
}

bool config_value_equal(const Config *a, const Config *b, const ConfigKey *key)
{
        const void *fa = config_field_const(a, key), *fb = config_field_const(b, key);
        const char *ta, *tb;

        switch (key->type) {
        case CONFIG_TEXT_LIST:
                return list_equal(*(char *const *const *)fa, *(char *const *const *)fb);
        case CONFIG_SYNC:
        case CONFIG_LEVEL:
                return *(const int *)fa == *(const int *)fb;
        case CONFIG_NUMBER:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
                return *(const uint64_t *)fa == *(const uint64_t *)fb;
        case CONFIG_TEXT:
        case CONFIG_PASSWORD:
                break;
        }
        ta = *(char *const *)fa;
        tb = *(char *const *)fb;
        return (!ta && !tb) || (ta && tb && strcmp(ta, tb) == 0);
}

static size_t field_size(const ConfigKey *key)
{
        switch (key->type) {
        case CONFIG_SYNC:
        case CONFIG_LEVEL:
                return sizeof(int);
        case CONFIG_NUMBER:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
                return sizeof(uint64_t);
        case CONFIG_TEXT:
        case CONFIG_PASSWORD:
        case CONFIG_TEXT_LIST:
                break;
        }
        return sizeof(void *);
}

void config_value_swap(Config *a, Config *b, const ConfigKey *key)
{
        uint64_t spare;
        size_t size = field_size(key);

        memcpy(&spare, config_field(a, key), size);
        memcpy(config_field(a, key), config_field(b, key), size);
        memcpy(config_field(b, key), &spare, size);
}

void config_value_done(Config *c, const ConfigKey *key)
{
        void *field = config_field(c, key);

        if (key->type == CONFIG_TEXT_LIST)
                *(char ***)field = list_free(*(char ***)field);
        else if (key->type == CONFIG_TEXT || key->type == CONFIG_PASSWORD)
                *(char **)field = secret_free(*(char **)field);
}
