/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "ctl/format.h"
#include "ctl/time-spec.h"
#include "ctl/verb.h"

static const char *status_word(ExitStatus status)
{
        switch (status) {
        case CTL_OK:
                return "ok";
        case CTL_USAGE:
                return "usage";
        case CTL_NOT_FOUND:
                return "not-found";
        case CTL_NOT_RUNNING:
                return "not-running";
        case CTL_DEGRADED:
                return "degraded";
        case CTL_REFUSED:
                return "refused";
        case CTL_FAILED:
                break;
        }
        return "failed";
}

/* A word, or words between backticks as long as they fit one line, with what is attached to them. */
static size_t unbroken(const char *text, size_t width)
{
        size_t n = strcspn(text, " \n");
        const char *open = memchr(text, '`', n), *close = open ? strchr(open + 1, '`') : NULL;

        if (close && close >= text + n) {
                size_t all = (size_t)(close - text) + strcspn(close, " \n");

                if (all < width)
                        n = all;
        }
        return n;
}

void ctl_wrap(const Ctl *ctl, FILE *f, const char *text)
{
        size_t width = MIN(ctl->width, 100u), column = 0;

        while (*text) {
                size_t n = unbroken(text, width), columns;
                _cleanup_free_ char *word = strndup(text, n);

                columns = word ? format_width(word) : n;
                if (column > 0 && column + 1 + columns > width) {
                        putc('\n', f);
                        column = 0;
                }
                if (column > 0) {
                        putc(' ', f);
                        column++;
                }
                fwrite(text, 1, n, f);
                column += columns;
                text += n;
                if (*text == '\n') {
                        putc('\n', f);
                        column = 0;
                }
                text += *text != '\0';
        }
        putc('\n', f);
}

/* In the journal of systemd each line would be a message of its own. */
static bool is_socket(FILE *f)
{
        struct stat st;

        return fstat(fileno(f), &st) == 0 && S_ISSOCK(st.st_mode);
}

static void complain(const Ctl *ctl, const char *text)
{
        _cleanup_free_ char *line = NULL;

        if (asprintf(&line, "scenekeepctl: %s", text) < 0)
                line = NULL;
        if (!line || is_socket(stderr))
                fprintf(stderr, "scenekeepctl: %s\n", text);
        else
                ctl_wrap(ctl, stderr, line);
}

char *ctl_where(const Ctl *ctl)
{
        char *text;
        int n;

        if (ctl_has(ctl, OPT_DATA_DIR))
                n = asprintf(&text, "-d '%s' ", ctl->value[OPT_DATA_DIR]);
        else if (ctl_has(ctl, OPT_INSTANCE))
                n = asprintf(&text, "-i %s ", ctl->value[OPT_INSTANCE]);
        else
                n = asprintf(&text, "%s", "");
        return n < 0 ? NULL : text;
}

/* A command that a sentence says shall be typed is about the same session. NULL: out of memory. */
static char *add_where(const Ctl *ctl, const char *text)
{
        static const char program[] = "`scenekeepctl ";
        _cleanup_free_ char *where = ctl_where(ctl);
        char *out = NULL;
        size_t size;
        FILE *f = where ? open_memstream(&out, &size) : NULL;

        if (!f)
                return NULL;
        for (const char *p; (p = strstr(text, program)); text = p + strlen(program)) {
                fwrite(text, 1, (size_t)(p - text) + strlen(program), f);
                fputs(where, f);
        }
        fputs(text, f);
        if (fclose(f) == 0)
                return out;
        free(out);
        return NULL;
}

ExitStatus ctl_fail(const Ctl *ctl, ExitStatus status, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *full = NULL, *safe = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                text = NULL;
        full = text && status != CTL_USAGE ? add_where(ctl, text) : TAKE_PTR(text);
        safe = full ? log_escape(full, strlen(full)) : NULL;
        complain(ctl, safe ?: "out of memory");
        if (ctl->json) {
                json_object *o = json_object_new_object(), *error = json_object_new_object();

                json_add_text(error, "code", status_word(status));
                json_add_text(error, "message", safe ?: "out of memory");
                json_object_object_add(o, "error", error);
                ctl_print_json(o);
        }
        return status;
}

void ctl_print_json(json_object *o)
{
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
}

void json_add_text_size(json_object *o, const char *key, const void *text, size_t size)
{
        _cleanup_free_ char *safe = log_escape(text, size);

        json_object_object_add(o, key, safe ? json_object_new_string(safe) : NULL);
}

void json_add_text(json_object *o, const char *key, const char *text)
{
        if (text)
                json_add_text_size(o, key, text, strlen(text));
        else
                json_object_object_add(o, key, NULL);
}

void json_add_int(json_object *o, const char *key, uint64_t number)
{
        json_object_object_add(o, key, json_object_new_uint64(number));
}

void json_add_bool(json_object *o, const char *key, bool b)
{
        json_object_object_add(o, key, json_object_new_boolean(b));
}

void json_add_time(json_object *o, const char *key, uint64_t usec)
{
        char buffer[FORMAT_SIZE_MAX];

        json_add_text(o, key, usec == 0 ? NULL : format_time_utc(buffer, sizeof(buffer), usec));
}

bool ctl_number(const Ctl *ctl, Opt o, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *ret)
{
        const char *text = ctl->value[o];
        unsigned long long number;
        char *end;

        if (!text) {
                *ret = fallback;
                return true;
        }
        errno = 0;
        number = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || *text == '-' || number < min || number > max) {
                ctl_fail(ctl, CTL_USAGE, "\"%s\" is not a number from %" PRIu64 " to %" PRIu64, text, min, max);
                return false;
        }
        *ret = number;
        return true;
}

bool ctl_time(const Ctl *ctl, Opt o, uint64_t fallback, uint64_t *ret)
{
        const char *text = ctl->value[o];

        if (!text) {
                *ret = fallback;
                return true;
        }
        if (time_spec_parse(text, ctl_now_usec(), ret) < 0) {
                ctl_fail(ctl, CTL_USAGE,
                         "\"%s\" is not a time: write 14:32, \"yesterday 14:00\", \"2 hours ago\" or 2026-11-23T14:15:00Z",
                         text);
                return false;
        }
        return true;
}

uint64_t ctl_now_usec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}
