/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/macros.h"
#include "ctl/format.h"

char *format_size(char *buffer, size_t size, uint64_t bytes)
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double number = (double)bytes;
        size_t unit = 0;

        while (number >= 1024 && unit + 1 < ELEMENTSOF(units)) {
                number /= 1024;
                unit++;
        }
        /* 1023.96 KiB would be shown as "1024.0 KiB". */
        if (number >= 1023.95 && unit + 1 < ELEMENTSOF(units)) {
                number = 1;
                unit++;
        }
        snprintf(buffer, size, unit == 0 ? "%.0f %s" : "%.1f %s", number, units[unit]);
        return buffer;
}

char *format_duration(char *buffer, size_t size, uint64_t usec)
{
        static const struct {
                const char *name;
                uint64_t seconds;
        } units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
        uint64_t seconds = usec / USEC_PER_SEC;

        if (usec < 1000)
                snprintf(buffer, size, "%" PRIu64 " us", usec);
        else if (usec < USEC_PER_SEC)
                snprintf(buffer, size, "%" PRIu64 " ms", usec / 1000);
        else if (seconds < 60)
                snprintf(buffer, size, "%.1f s", (double)(usec / 100000) / 10);
        else
                for (size_t i = 0; i + 1 < ELEMENTSOF(units); i++) {
                        uint64_t rest = seconds % units[i].seconds / units[i + 1].seconds;

                        if (seconds < units[i].seconds)
                                continue;
                        if (rest > 0)
                                snprintf(buffer, size, "%" PRIu64 " %s %" PRIu64 " %s", seconds / units[i].seconds,
                                         units[i].name, rest, units[i + 1].name);
                        else
                                snprintf(buffer, size, "%" PRIu64 " %s", seconds / units[i].seconds, units[i].name);
                        break;
                }
        return buffer;
}

char *format_time(char *buffer, size_t size, uint64_t usec)
{
        time_t seconds = (time_t)(usec / USEC_PER_SEC);
        struct tm tm;

        if (usec == 0 || !localtime_r(&seconds, &tm) || strftime(buffer, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                snprintf(buffer, size, "never");
        return buffer;
}

char *format_time_utc(char *buffer, size_t size, uint64_t usec)
{
        time_t seconds = (time_t)(usec / USEC_PER_SEC);
        char date[FORMAT_SIZE_MAX];
        struct tm tm;

        if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
                date[0] = '\0';
        snprintf(buffer, size, "%s.%06" PRIu64 "Z", date, usec % USEC_PER_SEC);
        return buffer;
}

char *format_cut(const char *text, size_t width)
{
        char *cut;
        size_t n;

        if (format_width(text) <= width)
                return strdup(text);
        /* A character has 4 bytes at most: what is behind that need not be measured again and again. */
        n = strnlen(text, width * 4);
        cut = malloc(n + sizeof("…"));
        if (!cut)
                return NULL;
        memcpy(cut, text, n);
        cut[n] = '\0';
        while (n > 0 && format_width(cut) + 1 > width) {
                /* whole characters: continuation bytes go with their first byte */
                do
                        n--;
                while (n > 0 && ((unsigned char)cut[n] & 0xc0) == 0x80);
                cut[n] = '\0';
        }
        memcpy(cut + n, "…", sizeof("…"));
        return cut;
}

size_t format_width(const char *text)
{
        mbstate_t state = {0};
        size_t width = 0;

        while (*text) {
                wchar_t c;
                size_t n = mbrtowc(&c, text, MB_CUR_MAX, &state);
                int columns = 1;

                if (n == (size_t)-1 || n == (size_t)-2) {
                        state = (mbstate_t){0};
                        n = 1;
                } else {
                        columns = wcwidth(c);
                }
                width += columns < 0 ? 1 : (size_t)columns;
                text += n;
        }
        return width;
}
