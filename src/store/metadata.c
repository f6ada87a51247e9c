/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/metadata.h"

#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <time.h>

static void add(struct json_object *o, const char *key, struct json_object *value)
{
        json_object_object_add(o, key, value);
}

struct json_object *metadata_time(uint64_t usec)
{
        time_t t = (time_t)(usec / 1000000);
        char date[32] = "", text[64];
        struct tm tm;

        if (gmtime_r(&t, &tm))
                strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(text, sizeof(text), "%s.%06u+00:00", date, (unsigned)(usec % 1000000));
        return json_object_new_string(text);
}

int metadata_write(Store *s, const Metadata *m)
{
        struct json_object *o = json_object_new_object();
        struct iovec iov;
        int r;

        if (!o)
                return -ENOMEM;
        add(o, "timestamp", json_object_new_double((double)m->time_usec / 1e6));
        add(o, "datetime", metadata_time(m->time_usec));
        add(o, "reason", json_object_new_string(m->reason));
        add(o, "requested_by", json_object_new_string(m->user));
        add(o, "initialized", json_object_new_boolean(m->initialized));
        add(o, "user_count", json_object_new_int64((int64_t)m->user_count));
        add(o, "node_count", json_object_new_int64((int64_t)m->info->node_count));
        add(o, "payload_bytes", json_object_new_int64((int64_t)m->info->payload_bytes));
        add(o, "snapshot", json_object_new_string(m->info->name));
        add(o, "snapshot_datetime", metadata_time(m->info->time_usec));
        add(o, "sequence", json_object_new_int64((int64_t)m->info->sequence));
        add(o, "server", json_object_new_string(PACKAGE_STRING));
        iov.iov_base = (void *)json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE);
        if (iov.iov_base) {
                iov.iov_len = strlen(iov.iov_base);
                r = io_write_file_atomic(s->io, s->dirfd, "session_metadata.json", &iov, 1, 0640);
        } else
                r = -ENOMEM;
        json_object_put(o);
        return r;
}
