/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/verify.h"

#define ATTEMPTS 5u

typedef int (*CopyFunc)(const char *data_dir, const char *destination, BackupResult *ret, char **ret_path);

static int copy_into_folder(const char *data_dir, const char *destination, BackupResult *ret, char **ret_path)
{
        return backup_copy(data_dir, destination, ctl_now_usec(), ret, ret_path);
}

static int stage(const char *data_dir, const char *destination, BackupResult *ret, char **ret_path)
{
        int r = backup_unstage(data_dir);

        *ret_path = NULL;
        return r < 0 ? r : backup_stage(data_dir, ctl_now_usec(), ret, ret_path);
}

/* *ret_path: what the function has said. */
static ExitStatus copy(const Ctl *ctl, CopyFunc function, const char *destination, BackupResult *ret, char **ret_path)
{
        _cleanup_free_ char *path = NULL;
        int r = -EAGAIN;

        for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS; i++) {
                free(path);
                path = NULL;
                r = function(ctl->data_dir, destination, ret, &path);
        }
        if (r == -EAGAIN)
                return ctl_fail(ctl, CTL_FAILED, "the log is being compacted all the time: try again later");
        if (r < 0)
                return ctl_fail(ctl, r == -EACCES ? CTL_REFUSED : CTL_FAILED, "cannot copy %s: %s", path ?: ctl->data_dir,
                                strerror(-r));
        *ret_path = TAKE_PTR(path);
        return CTL_OK;
}

static ExitStatus verify_copy(const Ctl *ctl, char *path, uint64_t *ret_damaged)
{
        Ctl there = *ctl;

        there.data_dir = path;
        return verify_everything(&there, ret_damaged);
}

static ExitStatus backup_here(const Ctl *ctl, const char *destination, BackupResult *ret, uint64_t *ret_damaged)
{
        _cleanup_free_ char *path = NULL;
        ExitStatus status = copy(ctl, copy_into_folder, destination, ret, &path);

        if (status == CTL_OK && asprintf(&path, "%s/%s", destination, ret->name) < 0) {
                path = NULL;
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        return status == CTL_OK ? verify_copy(ctl, path, ret_damaged) : status;
}

/* A damaged copy is sent as well, beside the whole ones before it: most of it is better than nothing of it. */
static ExitStatus backup_there(const Ctl *ctl, const char *destination, BackupResult *ret, uint64_t *ret_damaged)
{
        _cleanup_free_ char *path = NULL;
        ExitStatus status = copy(ctl, stage, destination, ret, &path);

        if (status == CTL_OK)
                status = verify_copy(ctl, path, ret_damaged);
        if (status == CTL_OK)
                status = backup_send(ctl, path, destination, ret);
        if (backup_unstage(ctl->data_dir) < 0 && status == CTL_OK)
                status = ctl_fail(ctl, CTL_FAILED, "the copy is complete, but %s/.backup cannot be removed", ctl->data_dir);
        return status;
}

/* One at a time into a folder, or out of one: held until *ret_fd is closed. */
static ExitStatus lock_folder(const Ctl *ctl, const char *path, bool make, int *ret_fd)
{
        int fd = make && mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return ctl_fail(ctl, errno == EACCES ? CTL_REFUSED : CTL_FAILED, "cannot use the folder %s: %s", path,
                                strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                ExitStatus status = errno == EWOULDBLOCK
                                            ? ctl_fail(ctl, CTL_REFUSED, "another backup is at work in %s: wait for its end", path)
                                            : ctl_fail(ctl, CTL_FAILED, "cannot lock %s: %s", path, strerror(errno));

                close(fd);
                return status;
        }
        *ret_fd = fd;
        return CTL_OK;
}

ExitStatus verb_backup(Ctl *ctl)
{
        const char *destination = ctl->arguments[0];
        _cleanup_store_ Store *store = NULL;
        BackupResult result;
        char size[FORMAT_SIZE_MAX], copied[FORMAT_SIZE_MAX];
        bool local = backup_is_local(destination);
        uint64_t damaged = 0;
        ExitStatus status = source_open_store(ctl, &store);
        int lock = -1;

        if (status == CTL_OK)
                status = lock_folder(ctl, local ? destination : ctl->data_dir, local, &lock);
        if (status == CTL_OK)
                status = local ? backup_here(ctl, destination, &result, &damaged)
                               : backup_there(ctl, destination, &result, &damaged);
        if (lock >= 0)
                close(lock);
        if (status == CTL_OK && damaged > 0)
                status = ctl_fail(ctl, CTL_DEGRADED, "%s is copied to %s, but %llu records of it are damaged: see `scenekeepctl "
                                                     "verify --all` for the session itself",
                                  result.name, destination, (unsigned long long)damaged);
        if (status != CTL_OK)
                return status;
        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_add_text(o, "destination", destination);
                json_add_text(o, "name", result.name);
                json_add_int(o, "files", result.n_files);
                json_add_int(o, "linked", result.n_linked);
                json_add_int(o, "bytes", result.bytes);
                json_add_int(o, "copied_bytes", result.copied_bytes);
                ctl_print_json(o);
        } else {
                printf("%s: %s in %llu files, %s of it new.\n%s.\n", result.name,
                       format_size(size, sizeof(size), result.bytes), (unsigned long long)result.n_files,
                       format_size(copied, sizeof(copied), result.copied_bytes),
                       local ? "Every digest is right" : "Every byte was compared there");
        }
        return CTL_OK;
}
