/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/macros.h"

char *state_file_read(const char *data_dir, const char *name, size_t max)
{
        _cleanup_free_ char *path = NULL, *text = malloc(max + 2);
        ssize_t n = -1;
        int fd;

        if (!text)
                return NULL;
        if (asprintf(&path, "%s/%s", data_dir, name) < 0) {
                path = NULL;
                return NULL;
        }
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        if (fd >= 0) {
                n = read(fd, text, max + 1);
                close(fd);
        }
        if (n < 0 || (size_t)n > max)
                return NULL;
        text[n] = '\0';
        return TAKE_PTR(text);
}

static int write_whole(int folder, const char *name, const char *text, size_t size)
{
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640), r = 0;

        if (fd < 0)
                return -errno;
        errno = EIO; /* for a write that is cut short */
        if (write(fd, text, size) != (ssize_t)size)
                r = -errno;
        close(fd);
        return r;
}

int state_file_write(const char *data_dir, const char *name, const char *text, size_t size)
{
        _cleanup_free_ char *temporary = NULL;
        int folder, r;

        if (asprintf(&temporary, ".%s.tmp", name) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        folder = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                return -errno;
        r = write_whole(folder, temporary, text, size);
        if (r == 0 && renameat(folder, temporary, folder, name) < 0)
                r = -errno;
        close(folder);
        return r;
}
