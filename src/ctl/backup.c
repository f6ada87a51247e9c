/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/backup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/verify.h"

#define ATTEMPTS 5u

static ExitStatus copy(const Ctl *ctl, const char *destination, BackupResult *ret)
{
        _cleanup_free_ char *path = NULL;
        int r = -EAGAIN;

        for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS; i++) {
                free(path);
                path = NULL;
                r = backup_copy(ctl->data_dir, destination, ctl_now_usec(), ret, &path);
        }
        if (r == -EAGAIN)
                return ctl_fail(ctl, CTL_FAILED, "the log is being compacted all the time: try again later");
        if (r == -EEXIST)
                return ctl_fail(ctl, CTL_FAILED, "a copy of this very second is in %s already: try again", destination);
        if (r < 0)
                return ctl_fail(ctl, r == -EACCES ? CTL_REFUSED : CTL_FAILED, "cannot copy %s: %s", path ?: ctl->data_dir,
                                strerror(-r));
        return CTL_OK;
}

static ExitStatus verify_copy(const Ctl *ctl, const char *destination, const BackupResult *result, uint64_t *ret_damaged)
{
        Ctl there = *ctl;
        ExitStatus status;

        there.data_dir = NULL;
        if (asprintf(&there.data_dir, "%s/%s", destination, result->name) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        status = verify_everything(&there, ret_damaged);
        if (status == CTL_OK && *ret_damaged > 0)
                status = ctl_fail(ctl, CTL_DEGRADED, "%s is copied, but %llu records of it are damaged: see `scenekeepctl "
                                                     "verify --all` for the session itself",
                                  there.data_dir, (unsigned long long)*ret_damaged);
        free(there.data_dir);
        return status;
}

ExitStatus verb_backup(Ctl *ctl)
{
        const char *destination = ctl->arguments[0];
        _cleanup_store_ Store *store = NULL;
        BackupResult result;
        char size[FORMAT_SIZE_MAX], copied[FORMAT_SIZE_MAX];
        uint64_t damaged = 0;
        ExitStatus status = source_open_store(ctl, &store);

        if (status == CTL_OK)
                status = copy(ctl, destination, &result);
        if (status == CTL_OK)
                status = verify_copy(ctl, destination, &result, &damaged);
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
                printf("%s: %s in %llu files, of which %s are new; every digest is right.\n", result.name,
                       format_size(size, sizeof(size), result.bytes), (unsigned long long)result.n_files,
                       format_size(copied, sizeof(copied), result.copied_bytes));
        }
        return CTL_OK;
}
