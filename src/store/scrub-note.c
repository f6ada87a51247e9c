/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/scrub.h"

#include <errno.h>
#include <json.h>

#include "store/internal.h"
#include "store/json-file.h"

static const struct {
        const char *key;
        size_t offset;
} figures[] = {
        { "sequence", offsetof(StoreStats, scrub_sequence) },
        { "bytes", offsetof(StoreStats, scrub_bytes) },
        { "damaged", offsetof(StoreStats, scrub_damaged) },
        { "timestamp_usec", offsetof(StoreStats, scrub_finished_usec) },
};

int scrub_note_write(Store *s, const StoreStats *stats)
{
        struct json_object *o = json_object_new_object();

        if (!o)
                return -ENOMEM;
        json_object_object_add(o, "datetime", json_file_time(stats->scrub_finished_usec));
        for (size_t i = 0; i < ELEMENTSOF(figures); i++) {
                uint64_t value;

                memcpy(&value, (const char *)stats + figures[i].offset, sizeof(value));
                json_object_object_add(o, figures[i].key, json_object_new_uint64(value));
        }
        return json_file_write(s, SCRUB_FILE, o);
}

void scrub_note_read(Store *s, StoreStats *stats)
{
        struct json_object *o = json_file_read(s, SCRUB_FILE);

        for (size_t i = 0; o && i < ELEMENTSOF(figures); i++) {
                uint64_t value = json_object_get_uint64(json_object_object_get(o, figures[i].key));

                memcpy((char *)stats + figures[i].offset, &value, sizeof(value));
        }
        json_object_put(o);
}
