/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/backup.h"
#include "ctl/tree.h"
#include "store/segment.h"

#define PARTIAL ".partial"
#define STAGE ".backup" /* in the session's folder */

/* Of a session's folder; the rest (lock, socket, passwords, what was set aside) is of no use elsewhere. Snapshots come before
 * the log that they point into: a copy must not have one without the other. */
static const char *const folders[] = {"snapshots", "log"};

typedef struct Copy {
        int from, to, before; /* folders; before: of the copy before, -1: none */
        bool link; /* what no longer changes may be a hard link to the session's own file */
        uint64_t newest[2]; /* numbers of the newest segments of each type: they may still grow */
        BackupResult *result;
        char **path; /* what it is about, when something fails */
} Copy;

static int fail(Copy *c, int error, const char *folder, const char *name)
{
        free(*c->path);
        if (asprintf(c->path, "%s%s%s", folder ?: "", folder ? "/" : "", name) < 0)
                *c->path = NULL;
        return error;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
        return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
               a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Manifests are made by renaming; segments are written to until the next one of their type is begun. */
static bool may_change(const Copy *c, const char *name)
{
        uint64_t number;

        if (segment_parse_name(name, &number))
                return number == c->newest[0] || number == c->newest[1];
        return !strstr(name, ".snap") && !strstr(name, ".twin") && !strstr(name, ".base");
}

static void note_segment(Copy *c, int folder, const char *name)
{
        FormatSegment header;
        uint64_t number, *newest;
        int fd;

        if (!segment_parse_name(name, &number))
                return;
        fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header)) {
                newest = &c->newest[le32toh(header.type) == FORMAT_SEGMENT_CONTENT];
                *newest = MAX(*newest, number);
        }
        if (fd >= 0)
                close(fd);
}

static void find_newest(Copy *c)
{
        int fd = openat(c->from, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *e;

        while (d && (e = readdir(d)))
                note_segment(c, dirfd(d), e->d_name);
        if (d)
                closedir(d);
        else if (fd >= 0)
                close(fd);
}

static int copy_file(Copy *c, int from, int to, int before, const char *name)
{
        struct stat st, old;
        struct timespec times[2];
        int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out, r;

        if (in < 0)
                return errno == ENOENT ? -EAGAIN : -errno;
        if (fstat(in, &st) < 0) {
                r = -errno;
                close(in);
                return r;
        }
        c->result->n_files++;
        c->result->bytes += (uint64_t)st.st_size;
        if (before >= 0 && fstatat(before, name, &old, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(old.st_mode) &&
            is_same(&st, &old) && linkat(before, name, to, name, 0) == 0) {
                close(in);
                c->result->n_linked++;
                return 0;
        }
        if (c->link && !may_change(c, name) && linkat(from, name, to, name, 0) == 0) {
                close(in);
                c->result->n_linked++;
                return 0;
        }
        out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        /* What a running daemon appends from now on is not part of this copy. */
        r = out < 0 ? -errno : file_copy(in, out, (uint64_t)st.st_size, &c->result->copied_bytes);
        times[0] = times[1] = st.st_mtim;
        if (r == 0 && (futimens(out, times) < 0 || fsync(out) < 0))
                r = -errno;
        if (out >= 0 && close(out) < 0 && r == 0)
                r = -errno;
        close(in);
        return r;
}

static int open_folder(int at, const char *name)
{
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int copy_folder(Copy *c, const char *name)
{
        int from = open_folder(c->from, name), to, before, r;
        struct dirent *e;
        DIR *d;

        if (from < 0)
                return from == -ENOENT ? 0 : fail(c, from, NULL, name);
        r = mkdirat(c->to, name, 0700) < 0 ? -errno : 0;
        to = r < 0 ? r : open_folder(c->to, name);
        before = c->before < 0 ? -1 : open_folder(c->before, name);
        d = to < 0 ? NULL : fdopendir(from);
        if (!d) {
                r = to < 0 ? to : -errno;
                close(from);
        }
        while (r == 0 && d && (e = readdir(d))) {
                /* Regular files; a temporary one is not part of the session yet. */
                if (e->d_name[0] == '.' || e->d_type != DT_REG || strstr(e->d_name, ".tmp"))
                        continue;
                r = copy_file(c, dirfd(d), to, before, e->d_name);
                if (r < 0)
                        r = fail(c, r, name, e->d_name);
        }
        if (r == 0 && fsync(to) < 0)
                r = fail(c, -errno, NULL, name);
        if (d)
                closedir(d);
        if (to >= 0)
                close(to);
        if (before >= 0)
                close(before);
        return r;
}

static int copy_top(Copy *c)
{
        static const char *const names[] = {"session_metadata.json", "store"};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(names); i++) {
                r = copy_file(c, c->from, c->to, c->before, names[i]);
                if (r == -EAGAIN)
                        r = 0;
                else if (r < 0)
                        r = fail(c, r, NULL, names[i]);
        }
        return r;
}

bool backup_is_name(const char *name)
{
        return strlen(name) == 16 && name[8] == 'T' && name[15] == 'Z' && strspn(name, "0123456789TZ") == 16;
}

/* The newest complete copy; -1: none. */
static int open_before(int destination)
{
        char newest[BACKUP_NAME_MAX] = "";
        int fd = openat(destination, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *e;

        while (d && (e = readdir(d)))
                if (backup_is_name(e->d_name) && strcmp(e->d_name, newest) > 0)
                        snprintf(newest, sizeof(newest), "%.16s", e->d_name);
        if (d)
                closedir(d);
        else if (fd >= 0)
                close(fd);
        return newest[0] ? MAX(open_folder(destination, newest), -1) : -1;
}

static void empty_folder(int at, const char *name)
{
        int fd = open_folder(at, name);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *e;

        while (d && (e = readdir(d)))
                if (e->d_type == DT_REG)
                        (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        else if (fd >= 0)
                close(fd);
        (void)unlinkat(at, name, AT_REMOVEDIR);
}

static void remove_partial(int destination, const char *name)
{
        int fd = open_folder(destination, name);

        for (size_t i = 0; fd >= 0 && i < ELEMENTSOF(folders); i++)
                empty_folder(fd, folders[i]);
        if (fd >= 0)
                close(fd);
        empty_folder(destination, name);
}

static int copy_all(Copy *c)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(folders); i++)
                r = copy_folder(c, folders[i]);
        if (r == 0)
                r = copy_top(c);
        if (r == 0 && fsync(c->to) < 0)
                r = -errno;
        return r;
}

/* What a backup that was ended half-way has left: nobody else is at work here. */
static void remove_leftovers(int destination)
{
        int fd = openat(destination, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *e;

        while (d && (e = readdir(d))) {
                char stem[BACKUP_NAME_MAX];

                snprintf(stem, sizeof(stem), "%.16s", e->d_name);
                if (backup_is_name(stem) && strcmp(e->d_name + 16, PARTIAL) == 0)
                        remove_partial(destination, e->d_name);
        }
        if (d)
                closedir(d);
        else if (fd >= 0)
                close(fd);
}

/* The time, or the first second after it of which there is no copy yet. */
static int choose_name(int destination, uint64_t now_usec, char name[static BACKUP_NAME_MAX])
{
        struct stat st;
        struct tm tm;

        for (time_t seconds = (time_t)(now_usec / 1000000);; seconds++) {
                if (!gmtime_r(&seconds, &tm) || strftime(name, BACKUP_NAME_MAX, "%Y%m%dT%H%M%SZ", &tm) == 0)
                        return -EINVAL;
                if (fstatat(destination, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return errno == ENOENT ? 0 : -errno;
        }
}

static int copy_into(Copy *c, int destination, uint64_t now_usec)
{
        char partial[BACKUP_NAME_MAX + sizeof(PARTIAL)];
        int r = choose_name(destination, now_usec, c->result->name);

        if (r < 0)
                return r;
        remove_leftovers(destination);
        snprintf(partial, sizeof(partial), "%.16s" PARTIAL, c->result->name);
        r = mkdirat(destination, partial, 0700) < 0 ? -errno : 0;
        c->to = r < 0 ? -1 : open_folder(destination, partial);
        if (c->to < 0)
                return fail(c, r < 0 ? r : c->to, NULL, partial);
        r = copy_all(c);
        if (r == 0 && renameat(destination, partial, destination, c->result->name) < 0)
                r = fail(c, -errno, NULL, c->result->name);
        if (r == 0 && fsync(destination) < 0)
                r = -errno;
        if (r < 0)
                remove_partial(destination, partial);
        return r;
}

static int copy_to(const char *data_dir, const char *destination, bool stage, uint64_t now_usec, BackupResult *ret,
                   char **ret_path)
{
        BackupResult result = {0};
        Copy c = {.from = -1, .to = -1, .before = -1, .link = stage, .result = &result, .path = ret_path};
        int to, r = 0;

        *ret_path = NULL;
        if (mkdir(destination, 0700) < 0 && errno != EEXIST)
                r = fail(&c, -errno, NULL, destination);
        to = r < 0 ? r : open_folder(AT_FDCWD, destination);
        c.from = open_folder(AT_FDCWD, data_dir);
        if (r == 0 && (to < 0 || c.from < 0))
                r = fail(&c, to < 0 ? to : c.from, NULL, to < 0 ? destination : data_dir);
        if (r == 0) {
                if (stage)
                        find_newest(&c);
                else
                        c.before = open_before(to);
                r = copy_into(&c, to, now_usec);
        }
        if (c.before >= 0)
                close(c.before);
        if (c.to >= 0)
                close(c.to);
        if (c.from >= 0)
                close(c.from);
        if (to >= 0)
                close(to);
        if (r == 0)
                *ret = result;
        return r;
}

int backup_copy(const char *data_dir, const char *destination, uint64_t now_usec, BackupResult *ret, char **ret_path)
{
        return copy_to(data_dir, destination, false, now_usec, ret, ret_path);
}

static char *stage_folder(const char *data_dir)
{
        char *path;

        return asprintf(&path, "%s/" STAGE, data_dir) < 0 ? NULL : path;
}

int backup_stage(const char *data_dir, uint64_t now_usec, BackupResult *ret, char **ret_path)
{
        _cleanup_free_ char *folder = stage_folder(data_dir);
        int r = folder ? copy_to(data_dir, folder, true, now_usec, ret, ret_path) : -ENOMEM;

        return r == 0 && asprintf(ret_path, "%s/%s", folder, ret->name) < 0 ? -ENOMEM : r;
}

int backup_unstage(const char *data_dir)
{
        _cleanup_free_ char *folder = stage_folder(data_dir);

        return folder ? tree_remove(folder) : -ENOMEM;
}
