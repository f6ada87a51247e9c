/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "scratch.h"
#include "test.h"

Scratch *scratch_new(void)
{
        Scratch *s = calloc(1, sizeof(*s));

        assert_non_null(s);
        snprintf(s->path, sizeof(s->path), "/tmp/scenekeep-test-XXXXXX");
        assert_non_null(mkdtemp(s->path));
        s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(s->fd >= 0);
        return s;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

Scratch *scratch_free(Scratch *s)
{
        if (!s)
                return NULL;
        close(s->fd);
        assert_int_equal(nftw(s->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
        free(s);
        return NULL;
}

const char *scratch_write(Scratch *s, const char *name, const char *text)
{
        static char path[128];
        int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
        snprintf(path, sizeof(path), "%s/%s", s->path, name);
        return path;
}
