/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Io: every call with which the store touches a disk, in one table, so that tests can stop the world at each
 * of them, tear writes and refuse syncs. All functions return negative errno on failure, and are called from
 * both threads. Reading of segments goes through mmap() and is not in the table; damage is made in the files
 * themselves.
 */

#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/macros.h"
#include "base/worker.h"

typedef struct Io Io;

struct Io {
        int (*openat)(Io *io, int dirfd, const char *path, int flags, mode_t mode); /* O_CLOEXEC is added */
        int (*close)(Io *io, int fd);
        ssize_t (*pwritev)(Io *io, int fd, const struct iovec *iov, int n_iov, off_t offset); /* may be short */
        ssize_t (*pread)(Io *io, int fd, void *buffer, size_t size, off_t offset);            /* may be short */
        int (*fdatasync)(Io *io, int fd);
        int (*fsync)(Io *io, int fd);
        int (*ftruncate)(Io *io, int fd, off_t size);
        int (*renameat)(Io *io, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path);
        int (*linkat)(Io *io, int old_dirfd, const char *old_path, int new_dirfd, const char *new_path);
        int (*unlinkat)(Io *io, int dirfd, const char *path);
        int (*mkdirat)(Io *io, int dirfd, const char *path, mode_t mode);
};

/* The real thing; needs no release. */
Io *io_system(void);

/* So much is written with one call at most. */
#define IO_CALL_BYTES_MAX (1u << 20)

/* Loops over short writes and EINTR. Returns 0 or a negative errno; *ret_written (may be NULL) says how many
 * bytes got through in either case. iov is consumed. The worker that it runs in, if any, is told of each call's end. */
int io_pwritev_all(Io *io, int fd, struct iovec *iov, int n_iov, off_t offset, Worker *progress, size_t *ret_written);
int io_pwrite_all(Io *io, int fd, const void *data, size_t size, off_t offset);

/* Reads exactly size bytes: 0, -EUCLEAN when the file is shorter, negative errno. */
int io_pread_all(Io *io, int fd, void *buffer, size_t size, off_t offset);

/* Writes a file so that it is either the old or the new one whatever happens, and never less: temporary name, fsync,
 * rename. Which of them it is after a loss of power is open for a while. */
int io_replace_file(Io *io, int dirfd, const char *name, const struct iovec *iov, int n_iov, mode_t mode);

/* The same, and when it returns it is the new one for good: fsync of the folder. */
int io_write_file_atomic(Io *io, int dirfd, const char *name, const struct iovec *iov, int n_iov, mode_t mode);

/* The same bytes under several names, which appear in this order; also for good. */
#define IO_NAMES_MAX 2u
int io_write_files_atomic(Io *io, int dirfd, const char *const *names, size_t n_names, const struct iovec *iov, int n_iov,
                          mode_t mode);

/* Opens a folder below dirfd, making it (mode, and fsync of the parent) when it is missing. */
int io_open_directory(Io *io, int dirfd, const char *name, mode_t mode);
