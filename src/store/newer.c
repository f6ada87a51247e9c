/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/internal.h"

/* Opening a store mends and marks things in it before all of it has been read. A newer program's store must not see any
 * of that, so its files are asked first. What cannot be read here is no matter: it is met again, and told, later. */

typedef bool (*IsNewerFunc)(Store *s, int dirfd, const char *name);

static bool segment_is_newer(Store *s, int dirfd, const char *name)
{
        _cleanup_segment_ Segment *segment = NULL;
        uint64_t number;

        return segment_parse_name(name, &number) &&
                segment_open(s->io, dirfd, number, &segment) == -EPROTONOSUPPORT;
}

/* Most are told by their first bytes; only those that look newer are read whole, since rot can look like that too. */
static bool manifest_is_newer(Store *s, int dirfd, const char *name)
{
        _cleanup_manifest_ Manifest *m = NULL;
        struct {
                uint8_t magic[8];
                uint32_t compatible, incompatible;
        } start;
        const char *suffix;
        uint64_t number;
        int fd, r;

        if (!manifest_parse_name(name, &number, &suffix) || strcmp(suffix, MANIFEST_SUFFIX_PIN) == 0)
                return false;
        fd = s->io->openat(s->io, dirfd, name, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
                return false;
        r = io_pread_all(s->io, fd, &start, sizeof(start), 0);
        s->io->close(s->io, fd);
        if (r < 0 || memcmp(start.magic, FORMAT_MANIFEST_MAGIC, sizeof(start.magic)) != 0 ||
            !(le32toh(start.incompatible) & ~FORMAT_INCOMPATIBLE_KNOWN))
                return false;
        return manifest_read_file(s->io, dirfd, name, &m) == -EPROTONOSUPPORT;
}

static int check_files(Store *s, int dirfd, const char *folder, IsNewerFunc is_newer, char **ret_error)
{
        int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir) {
                r = -errno;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                if (!is_newer(s, dirfd, entry->d_name))
                        continue;
                r = -EPROTONOSUPPORT;
                if (ret_error && asprintf(ret_error,
                                          "%s/%s/%s was written by a newer version of scenekeep, in a format that "
                                          "this one does not know. Nothing was touched; install the newer version.",
                                          s->path, folder, entry->d_name) < 0)
                        *ret_error = NULL;
        }
        closedir(dir);
        return r;
}

static int check_folder(Store *s, const char *folder, IsNewerFunc is_newer, char **ret_error)
{
        int dirfd = s->io->openat(s->io, s->dirfd, folder, O_RDONLY | O_DIRECTORY, 0), r;

        if (dirfd < 0)
                return dirfd == -ENOENT ? 0 : dirfd;
        r = check_files(s, dirfd, folder, is_newer, ret_error);
        s->io->close(s->io, dirfd);
        return r;
}

int store_check_newer(Store *s, char **ret_error)
{
        int r = check_folder(s, "log", segment_is_newer, ret_error);

        return r < 0 ? r : check_folder(s, "snapshots", manifest_is_newer, ret_error);
}
