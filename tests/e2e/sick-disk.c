/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A disk that hangs, is full or has become read-only, for one process: preloaded into it, this stands between it and
 * the C library. The file that SICK_DISK names says how the disk is: "hang", "stuck", "busy", "full", "read-only"; without it
 * the disk is well. When it hangs only syncs do, as on a real one at first: what is written goes to the page cache. When it
 * is stuck, the page cache has no more room either, and writes wait as well. When it is busy each write takes 1.5 s.
 *
 * With SICK_DISK_SIZE, a number of bytes, it says of itself that it is so large, and that all that this process has written
 * is still on it.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned long long n_written;

static void *real(const char *name)
{
        return dlsym(RTLD_NEXT, name);
}

static void how_is_it(char ret[static 16])
{
        const char *path = getenv("SICK_DISK");
        int (*real_open)(const char *, int, ...) = real("open");
        int fd = path ? real_open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = fd < 0 ? 0 : read(fd, ret, 15);
        if (fd >= 0)
                close(fd);
        ret[n > 0 ? n : 0] = '\0';
}

static void wait_while_hanging(bool is_sync)
{
        for (;;) {
                char how[16];
                how_is_it(how);
                if (strcmp(how, "stuck") != 0 && (strcmp(how, "hang") != 0 || !is_sync))
                        return;
                usleep(5000);
        }
}

static void wait_while_busy(void)
{
        char how[16];
        how_is_it(how);
        if (strcmp(how, "busy") == 0)
                usleep(1500000);
}

/* 0 or what a change is refused with. */
static int refusal(void)
{
        char how[16];
        how_is_it(how);
        return strcmp(how, "full") == 0 ? ENOSPC : strcmp(how, "read-only") == 0 ? EROFS : 0;
}

static int refused(void)
{
        int error = refusal();
        if (error)
                errno = error;
        return error;
}

int fdatasync(int fd)
{
        int (*next)(int) = real("fdatasync");
        wait_while_hanging(true);
        return next(fd);
}

int fsync(int fd)
{
        int (*next)(int) = real("fsync");
        wait_while_hanging(true);
        return next(fd);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n_iov, off_t offset)
{
        ssize_t (*next)(int, const struct iovec *, int, off_t) = real("pwritev");
        wait_while_hanging(false);
        wait_while_busy();
        ssize_t n = refused() ? -1 : next(fd, iov, n_iov, offset);
        if (n > 0)
                __atomic_add_fetch(&n_written, n, __ATOMIC_RELAXED);
        return n;
}

int statvfs(const char *path, struct statvfs *ret)
{
        int (*next)(const char *, struct statvfs *) = real("statvfs");
        int r = next(path, ret);
        const char *size = getenv("SICK_DISK_SIZE");
        if (r < 0 || !size)
                return r;
        unsigned long long all = strtoull(size, NULL, 10), used = __atomic_load_n(&n_written, __ATOMIC_RELAXED);
        ret->f_bavail = (all > used ? all - used : 0) / ret->f_frsize;
        return r;
}

int openat(int dirfd, const char *path, int flags, ...)
{
        int (*next)(int, const char *, int, ...) = real("openat");
        mode_t mode = 0;
        if (flags & O_CREAT) {
                va_list arguments;
                va_start(arguments, flags);
                mode = va_arg(arguments, mode_t);
                va_end(arguments);
        }
        if (flags & (O_CREAT | O_WRONLY | O_RDWR))
                wait_while_hanging(false);
        if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && refused())
                return -1;
        return next(dirfd, path, flags, mode);
}

int renameat(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path)
{
        int (*next)(int, const char *, int, const char *) = real("renameat");
        return refused() ? -1 : next(old_dirfd, old_path, new_dirfd, new_path);
}

int unlinkat(int dirfd, const char *path, int flags)
{
        int (*next)(int, const char *, int) = real("unlinkat");
        return refusal() == EROFS ? refused(), -1 : next(dirfd, path, flags);
}
