/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/restarts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"

#define SIZE_MAX_READ 1024
#define TEMPORARY_NAME "." RESTARTS_NAME ".tmp"

void restarts_read(Restarts *ret, const char *data_dir)
{
        _cleanup_free_ char *path = NULL;
        char text[SIZE_MAX_READ];
        json_object *o = NULL;
        ssize_t n = -1;
        int fd;

        *ret = (Restarts){0};
        if (asprintf(&path, "%s/" RESTARTS_NAME, data_dir) < 0) {
                path = NULL;
                return;
        }
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        if (fd >= 0) {
                n = read(fd, text, sizeof(text) - 1);
                close(fd);
        }
        if (n > 0) {
                text[n] = '\0';
                o = json_tokener_parse(text);
        }
        ret->n_survived = json_object_get_uint64(json_object_object_get(o, "survived"));
        ret->last_usec = json_object_get_uint64(json_object_object_get(o, "timestamp_usec"));
        json_object_put(o);
}

int restarts_note(Restarts *ret, const char *data_dir, bool running, uint64_t now_usec)
{
        char text[128];
        int folder, fd, n, r = 0;

        restarts_read(ret, data_dir);
        if (!running && ret->n_survived == 0)
                return 0;
        *ret = running ? (Restarts){ret->n_survived + 1, now_usec} : (Restarts){0};
        n = snprintf(text, sizeof(text), "{ \"survived\": %" PRIu64 ", \"timestamp_usec\": %" PRIu64 " }\n",
                     ret->n_survived, ret->last_usec);
        folder = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                return -errno;
        /* Clients wait for this start: the disk is not waited for. */
        fd = openat(folder, TEMPORARY_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        r = fd < 0 ? -errno : 0;
        errno = EIO; /* for a write that is cut short */
        if (r == 0 && write(fd, text, (size_t)n) != n)
                r = -errno;
        if (fd >= 0)
                close(fd);
        if (r == 0 && renameat(folder, TEMPORARY_NAME, folder, RESTARTS_NAME) < 0)
                r = -errno;
        close(folder);
        return r;
}
