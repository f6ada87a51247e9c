/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/json-file.h"

#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <stdio.h>
#include <time.h>

#define FILE_SIZE_MAX 16384u

struct json_object *json_file_time(uint64_t usec)
{
        time_t t = (time_t)(usec / 1000000);
        char date[32] = "", text[64];
        struct tm tm;

        if (gmtime_r(&t, &tm))
                strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(text, sizeof(text), "%s.%06u+00:00", date, (unsigned)(usec % 1000000));
        return json_object_new_string(text);
}

int json_file_write(Store *s, const char *name, struct json_object *o)
{
        const char *text = o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)
                             : NULL;
        struct iovec iov[] = {
                { .iov_base = (void *)text, .iov_len = text ? strlen(text) : 0 },
                { .iov_base = (void *)"\n", .iov_len = 1 },
        };
        int r = text ? io_replace_file(s->io, s->dirfd, name, iov, ELEMENTSOF(iov), 0640) : -ENOMEM;

        json_object_put(o);
        return r;
}

struct json_object *json_file_read(Store *s, const char *name)
{
        char text[FILE_SIZE_MAX];
        struct json_object *o;
        int fd = s->io->openat(s->io, s->dirfd, name, O_RDONLY | O_NOFOLLOW, 0);
        ssize_t n;

        if (fd < 0)
                return NULL;
        n = s->io->pread(s->io, fd, text, sizeof(text) - 1, 0);
        s->io->close(s->io, fd);
        if (n <= 0)
                return NULL;
        text[n] = '\0';
        o = json_tokener_parse(text);
        if (json_object_is_type(o, json_type_object))
                return o;
        json_object_put(o);
        return NULL;
}
