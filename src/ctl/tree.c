/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"

#define DESCRIPTORS 16
#define CHUNK ((size_t)128 << 10)

static int remove_any(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

int tree_remove(const char *path)
{
        if (nftw(path, remove_any, DESCRIPTORS, FTW_PHYS | FTW_DEPTH | FTW_MOUNT) == 0 || errno == ENOENT)
                return 0;
        return -errno;
}

/* What nftw() cannot hand through. */
static uid_t new_user;
static gid_t new_group;

static int give_any(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return lchown(path, new_user, new_group);
}

int tree_give(const char *path, uid_t user, gid_t group)
{
        new_user = user;
        new_group = group;
        return nftw(path, give_any, DESCRIPTORS, FTW_PHYS | FTW_MOUNT) == 0 ? 0 : -errno;
}

mode_t file_mode(void)
{
        mode_t mask = umask(0);

        umask(mask);
        return 0666 & ~mask;
}

int file_copy(int in, int out, uint64_t size, uint64_t *copied)
{
        char chunk[CHUNK];

        while (size > 0) {
                ssize_t n = read(in, chunk, MIN(size, CHUNK)), done = 0;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                while (done < n) {
                        ssize_t k = write(out, chunk + done, (size_t)(n - done));

                        if (k < 0 && errno != EINTR)
                                return -errno;
                        done += k > 0 ? k : 0;
                }
                size -= (uint64_t)n;
                *copied += (uint64_t)n;
        }
        return 0;
}
