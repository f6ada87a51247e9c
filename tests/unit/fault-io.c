/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fault-io.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "power-log.h"

static FaultIo *fault(Io *io)
{
        return CONTAINER_OF(io, FaultIo, io);
}

/* Decides what becomes of a call: 0 goes through, 1 goes through in part, negative fails. */
static int enter(FaultIo *f, bool write)
{
        if (f->dead)
                return -EIO;
        f->n_calls++;
        if (f->at == 0 || f->n_calls < f->at || f->n_calls > MAX(f->until, f->at))
                return 0;
        switch (f->kind) {
        case FAULT_STOP_BEFORE:
                f->hit = f->dead = true;
                return -EIO;
        case FAULT_STOP_AFTER:
                f->hit = true; /* dead once it is done */
                return 0;
        case FAULT_STOP_TORN:
        case FAULT_SHORT:
                f->hit = f->hit || write;
                return write ? 1 : 0;
        case FAULT_ENOSPC:
                f->hit = true;
                return -ENOSPC;
        case FAULT_EIO:
                f->hit = true;
                return -EIO;
        default:
                return 0;
        }
}

static void leave(FaultIo *f)
{
        if ((f->kind == FAULT_STOP_AFTER || f->kind == FAULT_STOP_TORN) && f->hit && f->n_calls == f->at)
                f->dead = true;
}

static int fault_openat(Io *io, int dirfd, const char *path, int flags, mode_t mode)
{
        FaultIo *f = fault(io);
        int r = enter(f, false);
        bool existed = faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

        if (r < 0)
                return r;
        r = io_system()->openat(io_system(), dirfd, path, flags, mode);
        if (r >= 0 && f->log)
                power_log_open(f->log, dirfd, path, flags, r, !existed);
        leave(f);
        return r;
}

static int fault_close(Io *io, int fd)
{
        FaultIo *f = fault(io);

        /* No step that the disk sees, and fds must not leak from a stopped world. */
        if (f->log)
                power_log_close(f->log, fd);
        return io_system()->close(io_system(), fd);
}

static ssize_t fault_pwritev(Io *io, int fd, const struct iovec *iov, int n_iov, off_t offset)
{
        FaultIo *f = fault(io);
        int r = enter(f, true);
        struct iovec part = iov[0];
        ssize_t n;

        if (r < 0)
                return r;
        if (r == 1) {
                part.iov_len = iov[0].iov_len / 2;
                if (part.iov_len == 0)
                        part.iov_len = iov[0].iov_len;
                iov = &part;
                n_iov = 1;
        }
        n = io_system()->pwritev(io_system(), fd, iov, n_iov, offset);
        if (n > 0 && f->log)
                power_log_write(f->log, fd, iov, n_iov, (size_t)n, offset);
        leave(f);
        return n;
}

static ssize_t fault_pread(Io *io, int fd, void *buffer, size_t size, off_t offset)
{
        FaultIo *f = fault(io);
        int r = enter(f, false);
        ssize_t n;

        if (r < 0)
                return r;
        n = io_system()->pread(io_system(), fd, buffer, size, offset);
        leave(f);
        return n;
}

#define FAULT_CALL(name, parameters, arguments, record)                         \
        static int fault_##name parameters                                      \
        {                                                                       \
                FaultIo *f = fault(io);                                         \
                int r = enter(f, false);                                        \
                                                                                \
                if (r < 0)                                                      \
                        return r;                                               \
                r = io_system()->name arguments;                                \
                if (r >= 0 && f->log)                                           \
                        record;                                                 \
                leave(f);                                                       \
                return r;                                                       \
        }

FAULT_CALL(fdatasync, (Io *io, int fd), (io_system(), fd), power_log_sync(f->log, fd))
FAULT_CALL(fsync, (Io *io, int fd), (io_system(), fd), power_log_sync(f->log, fd))
FAULT_CALL(ftruncate, (Io * io, int fd, off_t size), (io_system(), fd, size),
           power_log_truncate(f->log, fd, size))
FAULT_CALL(renameat, (Io * io, int from, const char *old, int to, const char *new),
           (io_system(), from, old, to, new), power_log_rename(f->log, from, old, to, new))
FAULT_CALL(linkat, (Io * io, int from, const char *old, int to, const char *new),
           (io_system(), from, old, to, new), power_log_link(f->log, from, old, to, new))
FAULT_CALL(unlinkat, (Io *io, int dirfd, const char *path), (io_system(), dirfd, path),
           power_log_unlink(f->log, dirfd, path))
FAULT_CALL(mkdirat, (Io *io, int dirfd, const char *path, mode_t mode), (io_system(), dirfd, path, mode),
           power_log_mkdir(f->log, dirfd, path))

void fault_io_init(FaultIo *f, FaultKind kind, uint64_t at)
{
        *f = (FaultIo){
                .io = {
                        .openat = fault_openat,
                        .close = fault_close,
                        .pwritev = fault_pwritev,
                        .pread = fault_pread,
                        .fdatasync = fault_fdatasync,
                        .fsync = fault_fsync,
                        .ftruncate = fault_ftruncate,
                        .renameat = fault_renameat,
                        .linkat = fault_linkat,
                        .unlinkat = fault_unlinkat,
                        .mkdirat = fault_mkdirat,
                },
                .kind = kind,
                .at = at,
        };
}

void fault_io_record(FaultIo *f, const char *root)
{
        f->log = power_log_new(root);
        assert_non_null(f->log);
}

void fault_io_done(FaultIo *f)
{
        f->log = power_log_free(f->log);
}

size_t fault_io_record_size(const FaultIo *f)
{
        return power_log_size(f->log);
}

void fault_io_power_cut(const FaultIo *f, size_t n_done, uint64_t seed, const char *target)
{
        power_log_replay(f->log, n_done, seed, target);
}
