/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/digest.h"

#define LOCK_NAME "lock"

int identity_lock(Store *s, char **ret_error)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        bool read_only = s->flags & STORE_OPEN_READ_ONLY;
        int fd, r;

        if (read_only && (s->flags & STORE_OPEN_BESIDE))
                return 0;
        fd = s->io->openat(s->io, s->dirfd, LOCK_NAME, read_only ? O_RDONLY : O_RDWR | O_CREAT | O_NOFOLLOW,
                           0600);
        if (fd == -ENOENT && read_only)
                return 0;
        if (fd < 0)
                return fd;
        /* Open-file-description locks: they work over NFS, and no other close() in this process drops them. */
        if (read_only) {
                lock.l_type = F_RDLCK;
                r = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : lock.l_type == F_UNLCK ? 0 : -EAGAIN;
                s->io->close(s->io, fd);
        } else {
                r = fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
                s->lock_fd = fd;
        }
        if (r == -EAGAIN || r == -EACCES) {
                if (asprintf(ret_error,
                             "Another process has the store in %s open. Two may not: stop the other one, or "
                             "give this one a folder of its own.",
                             s->path) < 0)
                        *ret_error = NULL;
                return -EBUSY;
        }
        return r;
}

static int look_at_folder(Store *s, FormatIdentity *ret)
{
        struct statx stx;

        if (statx(s->dirfd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stx) < 0)
                return -errno;
        ret->folder_inode = stx.stx_ino;
        ret->folder_birth_usec = 0;
        if (stx.stx_mask & STATX_BTIME)
                ret->folder_birth_usec =
                        (uint64_t)stx.stx_btime.tv_sec * 1000000 + stx.stx_btime.tv_nsec / 1000;
        return 0;
}

/* `identity` in host order. */
static int write_identity(Store *s, const FormatIdentity *identity)
{
        FormatIdentity f = *identity;
        struct iovec iov = { .iov_base = &f, .iov_len = sizeof(f) };

        memcpy(f.magic, FORMAT_IDENTITY_MAGIC, sizeof(f.magic));
        f.created_usec = htole64(f.created_usec);
        f.folder_inode = htole64(f.folder_inode);
        f.folder_birth_usec = htole64(f.folder_birth_usec);
        f.flags = htole32(f.flags);
        f.durable = htole64(f.durable);
        digest_buffer(&f, offsetof(FormatIdentity, digest), f.digest);
        return io_write_file_atomic(s->io, s->dirfd, FORMAT_IDENTITY_NAME, &iov, 1, 0600);
}

static int make_identity(Store *s, const FormatIdentity *copied_from)
{
        FormatIdentity f = { .created_usec = s->now_usec() };
        int r;

        if (getrandom(f.store_id, sizeof(f.store_id), 0) != sizeof(f.store_id))
                return -EIO;
        if (copied_from) {
                memcpy(f.copied_from, copied_from->store_id, sizeof(f.copied_from));
                f.flags = copied_from->flags;
                f.durable = copied_from->durable;
        }
        r = look_at_folder(s, &f);
        if (r >= 0)
                r = write_identity(s, &f);
        if (r >= 0)
                memcpy(s->id, f.store_id, sizeof(s->id));
        return r;
}

static int read_identity(Store *s, FormatIdentity *ret)
{
        uint8_t digest[DIGEST_SIZE];
        FormatIdentity f;
        int fd, r;

        fd = s->io->openat(s->io, s->dirfd, FORMAT_IDENTITY_NAME, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
                return fd;
        r = io_pread_all(s->io, fd, &f, sizeof(f), 0);
        s->io->close(s->io, fd);
        if (r < 0)
                return r;
        digest_buffer(&f, offsetof(FormatIdentity, digest), digest);
        if (memcmp(f.magic, FORMAT_IDENTITY_MAGIC, sizeof(f.magic)) != 0 ||
            memcmp(f.digest, digest, sizeof(digest)) != 0)
                return -EUCLEAN;
        if (le32toh(f.incompatible) & ~FORMAT_INCOMPATIBLE_KNOWN)
                return -EPROTONOSUPPORT;
        f.created_usec = le64toh(f.created_usec);
        f.folder_inode = le64toh(f.folder_inode);
        f.folder_birth_usec = le64toh(f.folder_birth_usec);
        f.flags = le32toh(f.flags);
        f.durable = le64toh(f.durable);
        *ret = f;
        return 0;
}

static int check_copy(Store *s, const FormatIdentity *f)
{
        FormatIdentity here;
        int r = look_at_folder(s, &here);

        if (r < 0)
                return r;
        if (here.folder_inode == f->folder_inode &&
            (here.folder_birth_usec == f->folder_birth_usec || f->folder_birth_usec == 0))
                return 0;
        s->copied = true;
        if (!(s->flags & STORE_OPEN_ADOPT_COPY))
                store_problem(s, STORE_NOTICE, "The store in %s is a copy: it was made in another folder. %s",
                              s->path,
                              s->flags & STORE_OPEN_READ_ONLY
                                      ? "It is read as it is."
                                      : "It goes on as a store of its own, under a new id.");
        return s->flags & STORE_OPEN_READ_ONLY ? 0 : make_identity(s, f);
}

int identity_open(Store *s, char **ret_error)
{
        FormatIdentity f;
        int r = read_identity(s, &f);

        if (r == -EPROTONOSUPPORT &&
            asprintf(ret_error,
                     "The store in %s was written by a newer version of scenekeep, in a "
                     "format that this one does not know. Nothing was touched; install the newer "
                     "version.",
                     s->path) < 0)
                *ret_error = NULL;
        if (r == 0) {
                memcpy(s->id, f.store_id, sizeof(s->id));
                s->begun = f.flags & FORMAT_IDENTITY_BEGUN;
                s->closed_durable = f.durable;
                return check_copy(s, &f);
        }
        if (s->flags & STORE_OPEN_READ_ONLY)
                return r == -EUCLEAN || (r == -ENOENT && !(s->flags & STORE_OPEN_EXISTING)) ? 0 : r;
        if (r == -ENOENT && (s->flags & STORE_OPEN_EXISTING))
                return r;
        if (r == -EUCLEAN || r == -EIO) {
                store_damage(s, STORE_WARNING, NULL, FORMAT_IDENTITY_NAME,
                             "%s/%s is damaged: it is kept in aside/ and made anew, and the store gets a "
                             "new id.",
                             s->path, FORMAT_IDENTITY_NAME);
                store_set_aside(s, s->dirfd, FORMAT_IDENTITY_NAME, false);
                r = -ENOENT;
        }
        return r == -ENOENT ? make_identity(s, NULL) : r;
}

int identity_set_begun(Store *s, bool begun)
{
        FormatIdentity f;
        int r;

        if (s->begun == begun)
                return 0;
        r = read_identity(s, &f);
        if (r < 0)
                return r;
        f.durable = begun ? f.durable : 0;
        f.flags = begun ? f.flags | FORMAT_IDENTITY_BEGUN : f.flags & ~FORMAT_IDENTITY_BEGUN;
        r = write_identity(s, &f);
        if (r < 0)
                return r;
        s->begun = begun;
        s->closed_durable = f.durable;
        return 0;
}

int identity_set_durable(Store *s, uint64_t durable)
{
        FormatIdentity f;
        int r;

        if (s->closed_durable >= durable)
                return 0;
        r = read_identity(s, &f);
        if (r < 0)
                return r;
        f.durable = durable;
        return write_identity(s, &f);
}
