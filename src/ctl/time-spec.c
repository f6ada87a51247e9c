/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/macros.h"
#include "ctl/time-spec.h"

#define SECONDS_MAX INT64_C(253402300799) /* the end of the year 9999 */

static const char *skip_blanks(const char *p)
{
        while (isspace((unsigned char)*p))
                p++;
        return p;
}

/* A number of at least min_digits and at most max_digits digits. */
static const char *read_digits(const char *p, size_t min_digits, size_t max_digits, int *ret)
{
        size_t n = 0;
        int number = 0;

        while (n < max_digits && isdigit((unsigned char)p[n]))
                number = number * 10 + (p[n++] - '0');
        if (n < min_digits || isdigit((unsigned char)p[n]))
                return NULL;
        *ret = number;
        return p + n;
}

/* ".25" as microseconds; nothing is 0. */
static const char *read_fraction(const char *p, uint64_t *ret_usec)
{
        uint64_t usec = 0, digit = USEC_PER_SEC / 10;

        *ret_usec = 0;
        if (*p != '.')
                return p;
        if (!isdigit((unsigned char)p[1]))
                return NULL;
        for (p++; isdigit((unsigned char)*p); p++, digit /= 10)
                usec += digit * (uint64_t)(*p - '0');
        *ret_usec = usec;
        return p;
}

static const char *read_clock(const char *p, struct tm *tm, uint64_t *ret_usec)
{
        *ret_usec = 0;
        tm->tm_sec = 0;
        p = read_digits(p, 1, 2, &tm->tm_hour);
        if (!p || *p != ':' || !(p = read_digits(p + 1, 2, 2, &tm->tm_min)))
                return NULL;
        if (*p == ':' && (!(p = read_digits(p + 1, 2, 2, &tm->tm_sec)) || !(p = read_fraction(p, ret_usec))))
                return NULL;
        return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60 ? p : NULL;
}

static int finish(struct tm *tm, bool utc, int64_t offset, uint64_t usec, uint64_t *ret)
{
        struct tm given = *tm;
        int64_t seconds;

        tm->tm_isdst = -1;
        errno = 0;
        seconds = utc ? timegm(tm) : mktime(tm);
        /* The 31st of November is a mistake and not the 1st of December. */
        if (tm->tm_mday != given.tm_mday || tm->tm_mon != given.tm_mon)
                return -EINVAL;
        seconds -= offset;
        if (seconds < 0 || seconds > SECONDS_MAX)
                return -EINVAL;
        *ret = (uint64_t)seconds * USEC_PER_SEC + usec;
        return 0;
}

/* "Z", "+01:00", "-0530"; 1 when there was one, 0 when not, -EINVAL. */
static int read_zone(const char **p, int64_t *ret_offset)
{
        int hours, minutes, sign = **p == '-' ? -1 : 1;
        const char *q;

        *ret_offset = 0;
        if (**p == 'Z' || **p == 'z') {
                (*p)++;
                return 1;
        }
        if (**p != '+' && **p != '-')
                return 0;
        if (!isdigit((unsigned char)(*p)[1]) || !isdigit((unsigned char)(*p)[2]))
                return -EINVAL;
        hours = ((*p)[1] - '0') * 10 + ((*p)[2] - '0');
        q = *p + 3;
        if (*q == ':')
                q++;
        q = read_digits(q, 2, 2, &minutes);
        if (!q || hours > 14 || minutes > 59)
                return -EINVAL;
        *ret_offset = sign * (hours * 3600 + minutes * 60);
        *p = q;
        return 1;
}

static int parse_date(const char *text, uint64_t *ret)
{
        struct tm tm = {0};
        uint64_t usec = 0;
        int64_t offset = 0;
        int zone = 0;
        const char *p = read_digits(text, 4, 4, &tm.tm_year);

        if (!p || *p != '-' || !(p = read_digits(p + 1, 2, 2, &tm.tm_mon)) || *p != '-' ||
            !(p = read_digits(p + 1, 2, 2, &tm.tm_mday)))
                return -EINVAL;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1)
                return -EINVAL;
        if (*p == 'T' || *p == 't' || isspace((unsigned char)*p)) {
                p = read_clock(*p == 'T' || *p == 't' ? p + 1 : skip_blanks(p), &tm, &usec);
                if (!p)
                        return -EINVAL;
                zone = read_zone(&p, &offset);
                if (zone < 0)
                        return zone;
        }
        return *skip_blanks(p) == '\0' ? finish(&tm, zone > 0, offset, usec, ret) : -EINVAL;
}

/* 20261123T141500Z, with anything after a "-" (the number in a snapshot's name). */
static int parse_compact(const char *text, uint64_t *ret)
{
        struct tm tm = {0};
        int *fields[] = {&tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec};
        const char *p = text;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                size_t n = i == 0 ? 4 : 2;

                if (i == 3 && *p++ != 'T')
                        return -EINVAL;
                for (size_t j = 0; j < n; j++, p++) {
                        if (!isdigit((unsigned char)*p))
                                return -EINVAL;
                        *fields[i] = *fields[i] * 10 + (*p - '0');
                }
        }
        if (p[0] != 'Z' || p[1] != '\0')
                return -EINVAL;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
                return -EINVAL;
        return finish(&tm, true, 0, 0, ret);
}

static int parse_epoch(const char *text, uint64_t *ret)
{
        uint64_t seconds = 0, usec;
        const char *p = text;

        if (!isdigit((unsigned char)*p))
                return -EINVAL;
        for (; isdigit((unsigned char)*p); p++) {
                seconds = seconds * 10 + (uint64_t)(*p - '0');
                if (seconds > (uint64_t)SECONDS_MAX)
                        return -EINVAL;
        }
        p = read_fraction(p, &usec);
        if (!p || *p != '\0')
                return -EINVAL;
        *ret = seconds * USEC_PER_SEC + usec;
        return 0;
}

static uint64_t unit_seconds(const char *name, size_t n)
{
        static const struct {
                const char *name;
                uint64_t seconds;
        } units[] = {
                {"s", 1},        {"sec", 1},      {"second", 1},    {"seconds", 1},     {"m", 60},
                {"min", 60},     {"mins", 60},    {"minute", 60},   {"minutes", 60},    {"h", 3600},
                {"hour", 3600},  {"hours", 3600}, {"d", 86400},     {"day", 86400},     {"days", 86400},
                {"w", 604800},   {"week", 604800}, {"weeks", 604800},
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == n && strncasecmp(units[i].name, name, n) == 0)
                        return units[i].seconds;
        return 0;
}

/* "2 hours 5 min ago", "-90s" */
static int parse_ago(const char *text, uint64_t now, uint64_t *ret)
{
        bool minus = *text == '-', any = false;
        const char *p = skip_blanks(text + minus);
        uint64_t total = 0;

        for (;;) {
                int number;
                uint64_t unit;
                const char *q;
                size_t n = 0;

                if (*p == '\0' || (any && !minus && strcasecmp(p, "ago") == 0))
                        break;
                q = read_digits(p, 1, 8, &number);
                if (!q)
                        return -EINVAL;
                q = skip_blanks(q);
                while (isalpha((unsigned char)q[n]))
                        n++;
                unit = unit_seconds(q, n);
                if (unit == 0)
                        return -EINVAL;
                total += (uint64_t)number * unit;
                any = true;
                p = skip_blanks(q + n);
        }
        if (!any || (!minus && *p == '\0') || total > now / USEC_PER_SEC)
                return -EINVAL;
        *ret = now - total * USEC_PER_SEC;
        return 0;
}

/* How many days back a word means; *ret_rest is what follows it. -1: not such a word. */
static int days_back(const char *text, int weekday, const char **ret_rest)
{
        static const char *const names[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};
        size_t n = 0;

        while (isalpha((unsigned char)text[n]))
                n++;
        *ret_rest = skip_blanks(text + n);
        if (n == 5 && strncasecmp(text, "today", n) == 0)
                return 0;
        if (n == 9 && strncasecmp(text, "yesterday", n) == 0)
                return 1;
        for (int i = 0; i < 7; i++)
                if ((n == 3 || n == strlen(names[i])) && strncasecmp(text, names[i], n) == 0)
                        return (weekday - i + 7) % 7;
        return -1;
}

/* A clock time, alone or after the name of a day. */
static int parse_day(const char *text, uint64_t now, uint64_t *ret)
{
        time_t seconds = (time_t)(now / USEC_PER_SEC);
        uint64_t usec = 0;
        struct tm tm;
        const char *p;
        bool today = false;
        int days, step = 0;

        if (!localtime_r(&seconds, &tm))
                return -EINVAL;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        days = days_back(text, tm.tm_wday, &p);
        if (days < 0) {
                p = text;
                step = 1; /* of a clock time alone, the one of yesterday when it is not that late yet */
        } else {
                today = strncasecmp(text, "today", 5) == 0;
                tm.tm_mday -= days;
                if (days == 0 && !today)
                        step = 7;
        }
        if ((*p != '\0' || days < 0) && (!(p = read_clock(p, &tm, &usec)) || *skip_blanks(p) != '\0'))
                return -EINVAL;
        tm.tm_isdst = -1;
        seconds = mktime(&tm);
        *ret = (uint64_t)seconds * USEC_PER_SEC + usec;
        if (step > 0 && *ret > now) {
                tm.tm_mday -= step;
                tm.tm_isdst = -1;
                seconds = mktime(&tm);
                *ret = (uint64_t)seconds * USEC_PER_SEC + usec;
        }
        return 0;
}

int time_spec_parse(const char *text, uint64_t now, uint64_t *ret)
{
        uint64_t value;

        text = skip_blanks(text);
        if (strcasecmp(text, "now") == 0) {
                *ret = now;
                return 0;
        }
        if ((*text == '@' ? parse_epoch(text + 1, &value) : -EINVAL) < 0 && parse_date(text, &value) < 0 &&
            parse_compact(text, &value) < 0 && parse_ago(text, now, &value) < 0 && parse_day(text, now, &value) < 0)
                return -EINVAL;
        *ret = value;
        return 0;
}
