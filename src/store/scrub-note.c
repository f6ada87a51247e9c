/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/scrub.h"

#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <stdio.h>

#include "store/internal.h"
#include "store/metadata.h"

#define NOTE_SIZE_MAX 4096u

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
        struct iovec iov;
        int r = -ENOMEM;

        if (!o)
                return -ENOMEM;
        json_object_object_add(o, "datetime", metadata_time(stats->scrub_finished_usec));
        for (size_t i = 0; i < ELEMENTSOF(figures); i++) {
                uint64_t value;

                memcpy(&value, (const char *)stats + figures[i].offset, sizeof(value));
                json_object_object_add(o, figures[i].key, json_object_new_uint64(value));
        }
        iov.iov_base = (void *)json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY);
        if (iov.iov_base) {
                iov.iov_len = strlen(iov.iov_base);
                r = io_write_file_atomic(s->io, s->dirfd, SCRUB_FILE, &iov, 1, 0640);
        }
        json_object_put(o);
        return r;
}

void scrub_note_read(Store *s, StoreStats *stats)
{
        char text[NOTE_SIZE_MAX];
        struct json_object *o = NULL;
        int fd = s->io->openat(s->io, s->dirfd, SCRUB_FILE, O_RDONLY | O_NOFOLLOW, 0);
        ssize_t n;

        if (fd < 0)
                return;
        n = s->io->pread(s->io, fd, text, sizeof(text) - 1, 0);
        s->io->close(s->io, fd);
        if (n > 0) {
                text[n] = '\0';
                o = json_tokener_parse(text);
        }
        for (size_t i = 0; json_object_is_type(o, json_type_object) && i < ELEMENTSOF(figures); i++) {
                uint64_t value = json_object_get_uint64(json_object_object_get(o, figures[i].key));

                memcpy((char *)stats + figures[i].offset, &value, sizeof(value));
        }
        json_object_put(o);
}
