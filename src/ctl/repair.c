/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/import.h"
#include "ctl/repair.h"
#include "ctl/source.h"
#include "ctl/tree.h"
#include "ctl/verify.h"
#include "store/maintain.h"

#define PROBLEMS_MAX 20u

static void on_problem(void *userdata, StoreLevel level, const char *damaged, const char *text)
{
        Repair *r = userdata;

        if (level == STORE_NOTICE)
                return;
        if (r->n_problems++ < PROBLEMS_MAX)
                json_object_array_add(r->problems, json_object_new_string(text));
}

/* ---- the old folder ---- */

/* No daemon may come to serve it meanwhile. */
static ExitStatus lock_old(Repair *r)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/lock", r->old) < 0) {
                path = NULL;
                return ctl_fail(r->ctl, CTL_FAILED, "out of memory");
        }
        r->lock_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (r->lock_fd < 0 && errno == ENOENT)
                return CTL_OK;
        if (r->lock_fd < 0)
                return ctl_fail(r->ctl, errno == EACCES ? CTL_REFUSED : CTL_FAILED,
                                "cannot lock %s: %s; run this as root or as the user scenekeep", r->old, strerror(errno));
        if (fcntl(r->lock_fd, F_OFD_SETLK, &lock) < 0)
                return ctl_fail(r->ctl, CTL_REFUSED,
                                "%s is being served: stop its sockets and its daemon first (systemctl stop "
                                "scenekeep.socket, or scenekeep@NAME.socket), then repair it",
                                r->old);
        return CTL_OK;
}

static ExitStatus find_old(Repair *r)
{
        r->old = realpath(r->ctl->data_dir, NULL);
        if (!r->old || stat(r->old, &r->st) < 0 || !S_ISDIR(r->st.st_mode))
                return ctl_fail(r->ctl, errno == EACCES ? CTL_REFUSED : CTL_NOT_FOUND,
                                "there is no session in %s: name it with -i NAME or --data-dir DIR", r->ctl->data_dir);
        return lock_old(r);
}

static ExitStatus open_old(Repair *r)
{
        StoreOptions options = {
                .path = r->old,
                .flags = STORE_OPEN_READ_ONLY | STORE_OPEN_BESIDE,
                .events = {.problem = on_problem, .userdata = r},
        };
        _cleanup_free_ char *error = NULL;
        int k = worker_new_inline(&r->worker);

        options.worker = r->worker;
        if (k == 0)
                k = store_open(&options, &r->from, &error);
        if (k == -EACCES || k == -EPERM)
                return ctl_fail(r->ctl, CTL_REFUSED, "%s may not be read by you: run this as root or as the user scenekeep",
                                r->old);
        if (k == -EUCLEAN)
                return ctl_fail(r->ctl, CTL_FAILED, "nothing in %s is intact, neither a snapshot nor a change: go back to a "
                                                    "backup; the folder is as it was",
                                r->old);
        if (k == 0 && store_is_empty(r->from))
                return ctl_fail(r->ctl, CTL_NOT_FOUND, "there is nothing in %s yet: there is nothing to repair", r->old);
        return k == 0 ? CTL_OK : ctl_fail(r->ctl, CTL_FAILED, "%s", error ?: strerror(-k));
}

static void on_scrubbed(void *userdata, int result, uint64_t n_records, uint64_t n_bytes, uint64_t n_damaged)
{
        Repair *r = userdata;

        r->scrub_error = result;
        r->n_damaged = n_damaged;
}

/* What a session always has; reading goes on without. */
static void look_for_parts(Repair *r)
{
        static const char *const parts[] = {"store", "log", "snapshots"};

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                _cleanup_free_ char *path = NULL, *text = NULL;

                if (asprintf(&path, "%s/%s", r->old, parts[i]) < 0)
                        path = NULL;
                if (!path || access(path, F_OK) == 0 || asprintf(&text, "%s is missing.", path) < 0)
                        text = NULL;
                if (text)
                        on_problem(r, STORE_ERROR, NULL, text);
        }
}

/* Also what nothing points to: a repaired store has no damage at all. */
static ExitStatus look_for_damage(Repair *r)
{
        int k;

        look_for_parts(r);
        k = store_scrub_begin(r->from, on_scrubbed, r);
        if (k == 0) {
                worker_drain(r->worker, true);
                k = r->scrub_error;
        }
        return k < 0 ? ctl_fail(r->ctl, CTL_FAILED, "%s could not be read through: %s", r->old, strerror(-k)) : CTL_OK;
}

/* ---- the new one ---- */

static bool is_taken(const Repair *r)
{
        return access(r->repaired, F_OK) == 0 || access(r->partial, F_OK) == 0 || access(r->damaged, F_OK) == 0;
}

/* After the time, or the first second after it of which there is no repair yet. */
static ExitStatus name_new(Repair *r)
{
        time_t now = (time_t)(ctl_now_usec() / 1000000);

        do {
                struct tm tm;
                char stamp[32];

                free(TAKE_PTR(r->repaired));
                free(TAKE_PTR(r->partial));
                free(TAKE_PTR(r->damaged));
                if (!gmtime_r(&now, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) == 0 ||
                    asprintf(&r->repaired, "%s" REPAIR_NEW "%s", r->old, stamp) < 0 ||
                    asprintf(&r->partial, "%s.partial", r->repaired) < 0 ||
                    asprintf(&r->damaged, "%s" REPAIR_OLD "%s", r->old, stamp) < 0)
                        return ctl_fail(r->ctl, CTL_FAILED, "out of memory");
                now++;
        } while (is_taken(r));
        if (mkdir(r->partial, 0700) < 0)
                return ctl_fail(r->ctl, errno == EACCES ? CTL_REFUSED : CTL_FAILED, "cannot make %s: %s", r->partial,
                                strerror(errno));
        r->begun = true;
        return CTL_OK;
}

/* Passwords and what else is kept beside the session. */
static int carry_over(Repair *r)
{
        static const char *const own[] = {"store", "lock", "control", "session_metadata.json", "last_scrub.json"};
        DIR *d = opendir(r->old);
        int to = open(r->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC), k = d && to >= 0 ? 0 : -errno;
        const struct dirent *e;

        while (k == 0 && (e = readdir(d))) {
                bool skip = e->d_name[0] == '.' || e->d_type != DT_REG;
                uint64_t copied = 0;
                struct stat st;
                int in, out;

                for (size_t i = 0; i < ELEMENTSOF(own); i++)
                        skip = skip || strcmp(e->d_name, own[i]) == 0;
                if (skip)
                        continue;
                in = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                k = in < 0 || fstat(in, &st) < 0 ? -errno : 0;
                out = k < 0 ? -1 : openat(to, e->d_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
                if (k == 0)
                        k = out < 0 ? -errno : file_copy(in, out, UINT64_MAX, &copied);
                if (k == 0 && fsync(out) < 0)
                        k = -errno;
                if (in >= 0)
                        close(in);
                if (out >= 0)
                        close(out);
        }
        if (d)
                closedir(d);
        if (to >= 0)
                close(to);
        return k;
}

/* The daemon's user has to be able to serve it. */
static int adopt_owner(Repair *r)
{
        int k = chmod(r->partial, r->st.st_mode & 07777) < 0 ? -errno : 0;

        return k == 0 && geteuid() == 0 ? tree_give(r->partial, r->st.st_uid, r->st.st_gid) : k;
}

/* What a daemon would load. */
static ExitStatus compare(const Repair *r, const Ctl *there)
{
        _cleanup_store_ Store *store = NULL;
        Source s = {0};
        ExitStatus status = source_open(there, "now", &store, &s);

        if (status == CTL_OK && s.n_damaged > 0)
                status = ctl_fail(r->ctl, CTL_FAILED, "read back, the new store is damaged as well: the disk is not to be trusted");
        if (status == CTL_OK)
                status = import_compare(r->ctl, session_scene(r->session), s.scene);
        source_done(&s);
        return status;
}

static ExitStatus verify_new(const Repair *r)
{
        Ctl there = *r->ctl;
        uint64_t damaged = 0;
        ExitStatus status;

        there.data_dir = r->partial;
        status = verify_everything(&there, &damaged);
        if (status == CTL_OK && damaged > 0)
                status = ctl_fail(r->ctl, CTL_FAILED, "read back, the new store is damaged as well: the disk is not to be trusted");
        return status == CTL_OK ? compare(r, &there) : status;
}

static int sync_parent(const char *path)
{
        _cleanup_free_ char *copy = strdup(path);
        int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, k = fd < 0 ? -errno : 0;

        if (fd >= 0) {
                k = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
                close(fd);
        }
        return k;
}

static ExitStatus make_new(Repair *r)
{
        _cleanup_free_ char *error = NULL;
        ExitStatus status = name_new(r);
        int k;

        if (status != CTL_OK)
                return status;
        k = salvage(r->from, r->partial, &r->report, &r->session, &error);
        if (k == -ENODATA)
                return ctl_fail(r->ctl, CTL_FAILED, "nothing in %s is intact: go back to a backup; the folder is as it was",
                                r->old);
        if (k < 0)
                return ctl_fail(r->ctl, CTL_FAILED, "cannot write %s: %s", r->repaired, error ?: strerror(-k));
        status = verify_new(r);
        if (status != CTL_OK)
                return status;
        k = carry_over(r);
        if (k == 0)
                k = adopt_owner(r);
        if (k == 0 && rename(r->partial, r->repaired) < 0)
                k = -errno;
        if (k == 0) {
                r->begun = false;
                k = sync_parent(r->repaired);
        }
        return k == 0 ? CTL_OK : ctl_fail(r->ctl, CTL_FAILED, "cannot complete %s: %s", r->repaired, strerror(-k));
}

/* In one step for whoever looks: there is no moment without a session. */
static ExitStatus put_in_place(Repair *r)
{
        if (renameat2(AT_FDCWD, r->old, AT_FDCWD, r->repaired, RENAME_EXCHANGE) < 0)
                return ctl_fail(r->ctl, CTL_FAILED, "%s is complete, but cannot be put in place (%s): move %s away and rename it "
                                                    "yourself",
                                r->repaired, strerror(errno), r->old);
        r->in_place = true;
        if (rename(r->repaired, r->damaged) < 0)
                return ctl_fail(r->ctl, CTL_FAILED, "the repaired session is in place; the old one is in %s: %s", r->repaired,
                                strerror(errno));
        (void)sync_parent(r->old);
        return CTL_OK;
}

/* ---- the verb ---- */

static bool has_damage(const Repair *r)
{
        return r->n_damaged > 0 || r->n_problems > 0 || salvage_report_has_loss(&r->report);
}

static void repair_done(Repair *r)
{
        session_free(r->session);
        salvage_report_done(&r->report);
        store_close(r->from);
        worker_free(r->worker);
        if (r->lock_fd >= 0)
                close(r->lock_fd);
        if (r->begun)
                (void)tree_remove(r->partial);
        json_object_put(r->problems);
        free(r->old);
        free(r->partial);
        free(r->repaired);
        free(r->damaged);
}

ExitStatus verb_repair(Ctl *ctl)
{
        Repair r = {.ctl = ctl, .lock_fd = -1, .problems = json_object_new_array()};
        ExitStatus status = find_old(&r);

        if (status == CTL_OK)
                status = open_old(&r);
        if (status == CTL_OK)
                status = look_for_damage(&r);
        if (status == CTL_OK)
                status = make_new(&r);
        if (status == CTL_OK && !has_damage(&r)) {
                int k = tree_remove(r.repaired);

                r.intact = true;
                if (k < 0)
                        status = ctl_fail(ctl, CTL_FAILED, "cannot remove %s: %s", r.repaired, strerror(-k));
        } else if (status == CTL_OK && ctl_has(ctl, OPT_SWAP)) {
                status = put_in_place(&r);
        }
        if (status == CTL_OK)
                status = repair_print(&r);
        repair_done(&r);
        return status;
}
