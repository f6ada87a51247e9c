/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "ctl/env-file.h"

static _printf_(3, 4) int add_fault(EnvFile *f, unsigned line, const char *format, ...)
{
        EnvFault *grown = reallocarray(f->faults, f->n_faults + 1, sizeof(*grown));
        va_list ap;
        char *text;
        int n;

        if (!grown)
                return -ENOMEM;
        f->faults = grown;
        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        f->faults[f->n_faults++] = (EnvFault){line, text};
        return 0;
}

/* Takes value over. */
static int add_entry(EnvFile *f, const char *key, size_t key_size, char *value, unsigned line)
{
        EnvEntry *grown = reallocarray(f->entries, f->n_entries + 1, sizeof(*grown));
        char *copy = strndup(key, key_size);

        if (grown)
                f->entries = grown;
        if (!grown || !copy) {
                free(copy);
                secret_free(value);
                return -ENOMEM;
        }
        f->entries[f->n_entries++] = (EnvEntry){copy, value, line};
        return 0;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p, const char *end)
{
        while (p < end && is_blank(*p))
                p++;
        return p;
}

static const char *key_end(const char *p, const char *end)
{
        const char *q = p;

        while (q < end && (isalnum((unsigned char)*q) || *q == '_') && !(q == p && isdigit((unsigned char)*q)))
                q++;
        return q;
}

/* An escape sequence in double quotes; 0 for one that is none of ours. */
static char unescape(char c)
{
        switch (c) {
        case 'n':
                return '\n';
        case 'r':
                return '\r';
        case 't':
                return '\t';
        case '"':
        case '\\':
        case '$':
        case '`':
                return c;
        default:
                return 0;
        }
}

/* Reads "..." or '...' from its first quote. Returns 1 with *p behind the last quote, 0 after a fault. */
static int read_quoted(EnvFile *f, unsigned line, const char *key, int key_size, const char **p, const char *end,
                       char *out)
{
        char quote = **p;
        const char *q = *p + 1;
        size_t n = 0;

        for (; q < end && *q != quote; q++) {
                char c = *q;

                if (quote == '"' && c == '$')
                        return add_fault(f, line,
                                         "%.*s has a $ in double quotes, where docker-compose would have put a "
                                         "variable; write it in single quotes if the sign itself is meant",
                                         key_size, key);
                if (quote == '"' && c == '\\') {
                        char real = q + 1 < end ? unescape(q[1]) : 0;

                        if (real) {
                                c = real;
                                q++;
                        }
                }
                out[n++] = c;
        }
        if (q == end)
                return add_fault(f, line, "the %c of %.*s is not closed on this line", quote, key_size, key);
        out[n] = '\0';
        *p = q + 1;
        return 1;
}

/* Up to a comment or the end of the line, without blanks behind. */
static int read_bare(EnvFile *f, unsigned line, const char *key, int key_size, const char **p, const char *end,
                     char *out)
{
        const char *begin = *p, *q = begin;

        while (q < end && !(*q == '#' && (q == begin || is_blank(q[-1])))) {
                if (*q == '$')
                        return add_fault(f, line,
                                         "%.*s has a $, where docker-compose would have put a variable; write the "
                                         "value in single quotes if the sign itself is meant",
                                         key_size, key);
                q++;
        }
        while (q > begin && is_blank(q[-1]))
                q--;
        memcpy(out, begin, (size_t)(q - begin));
        out[q - begin] = '\0';
        *p = end;
        return 1;
}

static int read_line(EnvFile *f, unsigned line, const char *p, const char *end)
{
        const char *key, *after;
        char *value;
        int key_size, r;

        p = skip_blanks(p, end);
        if (p == end || *p == '#')
                return 0;
        if (end - p > 7 && memcmp(p, "export", 6) == 0 && is_blank(p[6]))
                p = skip_blanks(p + 6, end);
        if (p < end && memchr(p, '\0', (size_t)(end - p)))
                return add_fault(f, line, "there is a NUL byte in it: is this a text file?");
        key = p;
        after = key_end(p, end);
        key_size = (int)(after - key);
        p = skip_blanks(after, end);
        if (key_size == 0 || p == end || *p != '=')
                return add_fault(f, line, "this is not KEY=value, a comment or blank");
        p = skip_blanks(p + 1, end);
        value = calloc(1, (size_t)(end - p) + 1);
        if (!value)
                return -ENOMEM;
        if (p < end && (*p == '"' || *p == '\''))
                r = read_quoted(f, line, key, key_size, &p, end, value);
        else
                r = read_bare(f, line, key, key_size, &p, end, value);
        if (r == 1) {
                p = skip_blanks(p, end);
                if (p < end && *p != '#')
                        r = add_fault(f, line, "something follows the closing quote of %.*s", key_size, key);
        }
        if (r != 1) {
                secret_free(value);
                return r;
        }
        return add_entry(f, key, (size_t)key_size, value, line);
}

int env_file_parse(const char *text, size_t size, EnvFile **ret)
{
        _cleanup_env_file_ EnvFile *f = NULL;
        const char *p = text, *end = text + size;

        if (size > ENV_FILE_SIZE_MAX)
                return -E2BIG;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        if (size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
                p += 3;
        for (unsigned line = 1; p < end; line++) {
                const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ?: end;
                int r;

                r = read_line(f, line, p, stop > p && stop[-1] == '\r' ? stop - 1 : stop);
                if (r < 0)
                        return r;
                p = newline ? newline + 1 : end;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

EnvFile *env_file_free(EnvFile *f)
{
        if (!f)
                return NULL;
        for (size_t i = 0; i < f->n_entries; i++) {
                free(f->entries[i].key);
                secret_free(f->entries[i].value);
        }
        for (size_t i = 0; i < f->n_faults; i++)
                free(f->faults[i].text);
        free(f->entries);
        free(f->faults);
        free(f);
        return NULL;
}

const EnvEntry *env_file_find(const EnvFile *f, const char *key)
{
        for (size_t i = f->n_entries; i > 0; i--)
                if (strcmp(f->entries[i - 1].key, key) == 0)
                        return &f->entries[i - 1];
        return NULL;
}
