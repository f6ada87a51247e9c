/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/metadata.h"

#include <errno.h>
#include <json.h>
#include <string.h>

#include "store/json-file.h"

#define METADATA_FILE "session_metadata.json"
#define TIMESTAMP_MAX 1e11

static void add(struct json_object *o, const char *key, struct json_object *value)
{
        json_object_object_add(o, key, value);
}

int metadata_write(Store *s, const Metadata *m)
{
        struct json_object *o = json_object_new_object();

        if (!o)
                return -ENOMEM;
        add(o, "timestamp", json_object_new_double((double)m->time_usec / 1e6));
        add(o, "datetime", json_file_time(m->time_usec));
        add(o, "reason", json_object_new_string(m->reason));
        add(o, "requested_by", json_object_new_string(m->user));
        add(o, "initialized", json_object_new_boolean(m->initialized));
        add(o, "user_count", json_object_new_int64((int64_t)m->user_count));
        add(o, "node_count", json_object_new_int64((int64_t)m->info->node_count));
        add(o, "payload_bytes", json_object_new_int64((int64_t)m->info->payload_bytes));
        add(o, "snapshot", json_object_new_string(m->info->name));
        add(o, "snapshot_datetime", json_file_time(m->info->time_usec));
        add(o, "sequence", json_object_new_int64((int64_t)m->info->sequence));
        add(o, "server", json_object_new_string(PACKAGE_STRING));
        return json_file_write(s, METADATA_FILE, o);
}

int store_last_save(Store *s, const StoreSnapshotInfo *snapshot, uint64_t *ret_usec, char **ret_reason)
{
        struct json_object *o = json_file_read(s, METADATA_FILE);
        const char *of = json_object_get_string(json_object_object_get(o, "snapshot"));
        const char *reason = json_object_get_string(json_object_object_get(o, "reason"));
        double seconds = json_object_get_double(json_object_object_get(o, "timestamp"));
        /* It is rounded. */
        bool later = of && strcmp(of, snapshot->name) == 0 && reason && seconds < TIMESTAMP_MAX &&
                     seconds * 1e6 > (double)snapshot->time_usec + 1;
        char *copy = strdup(later ? reason : snapshot->reason);

        json_object_put(o);
        if (!copy)
                return -ENOMEM;
        *ret_usec = later ? (uint64_t)(seconds * 1e6) : snapshot->time_usec;
        *ret_reason = copy;
        return 0;
}
