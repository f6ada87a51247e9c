/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int system_openat(Io *io, int dirfd, const char *path, int flags, mode_t mode)
{
        int fd = openat(dirfd, path, flags | O_CLOEXEC, mode);

        return fd < 0 ? -errno : fd;
}

static int system_close(Io *io, int fd)
{
        return close(fd) < 0 ? -errno : 0;
}

static ssize_t system_pwritev(Io *io, int fd, const struct iovec *iov, int n_iov, off_t offset)
{
        ssize_t n = pwritev(fd, iov, n_iov, offset);

        return n < 0 ? -errno : n;
}

static ssize_t system_pread(Io *io, int fd, void *buffer, size_t size, off_t offset)
{
        ssize_t n = pread(fd, buffer, size, offset);

        return n < 0 ? -errno : n;
}

static int system_fdatasync(Io *io, int fd)
{
        return fdatasync(fd) < 0 ? -errno : 0;
}

static int system_fsync(Io *io, int fd)
{
        return fsync(fd) < 0 ? -errno : 0;
}

static int system_ftruncate(Io *io, int fd, off_t size)
{
        return ftruncate(fd, size) < 0 ? -errno : 0;
}

static int system_renameat(Io *io, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path)
{
        return renameat(old_dirfd, old_path, new_dirfd, new_path) < 0 ? -errno : 0;
}

static int system_linkat(Io *io, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path)
{
        return linkat(old_dirfd, old_path, new_dirfd, new_path, 0) < 0 ? -errno : 0;
}

static int system_unlinkat(Io *io, int dirfd, const char *path)
{
        return unlinkat(dirfd, path, 0) < 0 ? -errno : 0;
}

static int system_mkdirat(Io *io, int dirfd, const char *path, mode_t mode)
{
        return mkdirat(dirfd, path, mode) < 0 ? -errno : 0;
}

Io *io_system(void)
{
        static Io io = {
                .openat = system_openat,
                .close = system_close,
                .pwritev = system_pwritev,
                .pread = system_pread,
                .fdatasync = system_fdatasync,
                .fsync = system_fsync,
                .ftruncate = system_ftruncate,
                .renameat = system_renameat,
                .linkat = system_linkat,
                .unlinkat = system_unlinkat,
                .mkdirat = system_mkdirat,
        };

        return &io;
}

/* One call, with as much of it as that may write. */
static ssize_t write_some(Io *io, int fd, const struct iovec *iov, int n_iov, off_t offset)
{
        struct iovec part = { .iov_base = iov->iov_base, .iov_len = MIN(iov->iov_len, (size_t)IO_CALL_BYTES_MAX) };
        size_t size = part.iov_len;
        int n = 1;

        if (part.iov_len < iov->iov_len)
                return io->pwritev(io, fd, &part, 1, offset);
        while (n < MIN(n_iov, IOV_MAX) && iov[n].iov_len <= IO_CALL_BYTES_MAX - size)
                size += iov[n++].iov_len;
        return io->pwritev(io, fd, iov, n, offset);
}

int io_pwritev_all(Io *io, int fd, struct iovec *iov, int n_iov, off_t offset, Worker *progress, size_t *ret_written)
{
        size_t written = 0;
        int r = 0;

        for (;;) {
                ssize_t n;

                while (n_iov > 0 && iov->iov_len == 0) {
                        iov++;
                        n_iov--;
                }
                if (n_iov == 0)
                        break;
                n = write_some(io, fd, iov, n_iov, offset + (off_t)written);
                if (progress)
                        worker_progress(progress);
                if (n == -EINTR)
                        continue;
                if (n <= 0) {
                        r = n < 0 ? (int)n : -EIO; /* nothing written and no error: as good as a broken disk */
                        break;
                }
                written += (size_t)n;
                while (n > 0) {
                        size_t part = MIN((size_t)n, iov->iov_len);

                        if (part > 0) /* an empty one may have no base */
                                iov->iov_base = (uint8_t *)iov->iov_base + part;
                        iov->iov_len -= part;
                        n -= (ssize_t)part;
                        if (iov->iov_len == 0) {
                                iov++;
                                n_iov--;
                        }
                }
        }
        if (ret_written)
                *ret_written = written;
        return r;
}

int io_pwrite_all(Io *io, int fd, const void *data, size_t size, off_t offset)
{
        struct iovec iov = { .iov_base = (void *)data, .iov_len = size };

        return io_pwritev_all(io, fd, &iov, 1, offset, NULL, NULL);
}

int io_pread_all(Io *io, int fd, void *buffer, size_t size, off_t offset)
{
        while (size > 0) {
                ssize_t n = io->pread(io, fd, buffer, size, offset);

                if (n == -EINTR)
                        continue;
                if (n < 0)
                        return (int)n;
                if (n == 0)
                        return -EUCLEAN;
                buffer = (uint8_t *)buffer + n;
                size -= (size_t)n;
                offset += n;
        }
        return 0;
}

/* Returns the file's fd, still to be synced. */
static int write_temporary(Io *io, int dirfd, const char *name, const struct iovec *iov, int n_iov, mode_t mode)
{
        _cleanup_free_ struct iovec *copy = calloc((size_t)n_iov + 1, sizeof(struct iovec));
        int fd, r;

        if (!copy)
                return -ENOMEM;
        memcpy(copy, iov, (size_t)n_iov * sizeof(struct iovec));
        /* One writer holds the store's lock: a left-over of this name is from a process that died. */
        fd = io->openat(io, dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
        if (fd < 0)
                return fd;
        r = io_pwritev_all(io, fd, copy, n_iov, 0, NULL, NULL);
        if (r < 0) {
                io->close(io, fd);
                (void)io->unlinkat(io, dirfd, name);
                return r;
        }
        return fd;
}

static int sync_and_close(Io *io, int fd)
{
        int r = io->fsync(io, fd);
        int c = io->close(io, fd);

        return r < 0 ? r : c;
}

/* As io_replace_file(), the same bytes under several names. */
static int replace_files(Io *io, int dirfd, const char *const *names, size_t n_names, const struct iovec *iov, int n_iov,
                         mode_t mode)
{
        char temporary[IO_NAMES_MAX][NAME_MAX];
        int fds[IO_NAMES_MAX], r = 0;
        size_t n_written = 0, n_renamed = 0;

        assert(n_names <= IO_NAMES_MAX);
        for (; n_written < n_names && r >= 0; n_written += r >= 0) {
                r = snprintf(temporary[n_written], NAME_MAX, ".%s.tmp", names[n_written]);
                if (r >= NAME_MAX)
                        r = -ENAMETOOLONG;
                if (r >= 0)
                        r = fds[n_written] = write_temporary(io, dirfd, temporary[n_written], iov, n_iov, mode);
        }
        /* Without this a rename could reach the disk before the bytes do. */
        for (size_t i = 0; i < n_written; i++) {
                int k = sync_and_close(io, fds[i]);

                r = r < 0 ? r : k;
        }
        for (; n_renamed < n_names && r >= 0; n_renamed += r >= 0)
                r = io->renameat(io, dirfd, temporary[n_renamed], dirfd, names[n_renamed]);
        for (size_t i = n_renamed; i < n_written; i++)
                (void)io->unlinkat(io, dirfd, temporary[i]);
        return r;
}

int io_replace_file(Io *io, int dirfd, const char *name, const struct iovec *iov, int n_iov, mode_t mode)
{
        return replace_files(io, dirfd, &name, 1, iov, n_iov, mode);
}

int io_write_files_atomic(Io *io, int dirfd, const char *const *names, size_t n_names, const struct iovec *iov, int n_iov,
                          mode_t mode)
{
        int r = replace_files(io, dirfd, names, n_names, iov, n_iov, mode);

        return r < 0 ? r : io->fsync(io, dirfd);
}

int io_write_file_atomic(Io *io, int dirfd, const char *name, const struct iovec *iov, int n_iov, mode_t mode)
{
        return io_write_files_atomic(io, dirfd, &name, 1, iov, n_iov, mode);
}

int io_open_directory(Io *io, int dirfd, const char *name, mode_t mode)
{
        int fd, r;

        fd = io->openat(io, dirfd, name, O_RDONLY | O_DIRECTORY, 0);
        if (fd != -ENOENT)
                return fd;
        r = io->mkdirat(io, dirfd, name, mode);
        if (r < 0 && r != -EEXIST)
                return r;
        fd = io->openat(io, dirfd, name, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return fd;
        r = dirfd == AT_FDCWD ? 0 : io->fsync(io, dirfd);
        if (r < 0) {
                io->close(io, fd);
                return r;
        }
        return fd;
}
