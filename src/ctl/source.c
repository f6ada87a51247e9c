/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/source.h"

#include <errno.h>
#include <string.h>

#include "ctl/session-file.h"
#include "ctl/time-spec.h"
#include "store/snapshot.h"

#define STEP 4096u

ExitStatus source_open_store(const Ctl *ctl, Store **ret)
{
        StoreOptions options = {
                .path = ctl->data_dir,
                .flags = STORE_OPEN_READ_ONLY | STORE_OPEN_EXISTING | STORE_OPEN_BESIDE,
        };
        _cleanup_free_ char *error = NULL;
        int r = store_open(&options, ret, &error);

        switch (r) {
        case 0:
                return CTL_OK;
        case -ENOENT:
                return ctl_fail(ctl, CTL_NOT_FOUND,
                                "there is no session in %s, or nobody has connected to it yet: name it with -i NAME or "
                                "--data-dir DIR",
                                ctl->data_dir);
        case -EACCES:
        case -EPERM:
                return ctl_fail(ctl, CTL_REFUSED, "%s may not be read by you: run this as root or as the user scenekeep",
                                ctl->data_dir);
        case -ENOMEM:
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        default:
                return ctl_fail(ctl, CTL_FAILED, "%s", error ?: strerror(-r));
        }
}

bool source_is_file(const char *what)
{
        size_t n = strlen(what);

        return strchr(what, '/') || (n > 3 && strcmp(what + n - 3, ".db") == 0) ||
               (n > 4 && strcmp(what + n - 4, ".pkl") == 0);
}

bool source_point(const Ctl *ctl, Store *store, const char *what, StorePoint *ret)
{
        StoreSnapshotInfo info;
        StorePoint point = {0};

        if (strcmp(what, "now") == 0) {
                *ret = point;
                return true;
        }
        if (store_snapshot_find(store, what, &info) == 0) {
                store_snapshot_info_done(&info);
                point.snapshot = what;
        } else if (time_spec_parse(what, ctl_now_usec(), &point.time_usec) < 0) {
                ctl_fail(ctl, CTL_NOT_FOUND,
                         "there is no snapshot \"%s\", and it is no time either: see `scenekeepctl snapshots`", what);
                return false;
        }
        *ret = point;
        return true;
}

static ExitStatus open_moment(const Ctl *ctl, const char *what, Store *store, Source *s)
{
        StorePoint point;
        int r;

        if (!source_point(ctl, store, what, &point))
                return CTL_NOT_FOUND;
        r = moment_begin(store, &point, &s->moment);
        while (r == 0 && (r = moment_step(s->moment, STEP)) == 1)
                r = 0;
        if (r == -ENOENT)
                return ctl_fail(ctl, CTL_NOT_FOUND, "nothing is kept from before that time: see `scenekeepctl snapshots`");
        if (r == -EUCLEAN)
                return ctl_fail(ctl, CTL_DEGRADED, "snapshot %s is damaged: take another, and see `scenekeepctl verify`",
                                what);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot read the session in %s: %s", ctl->data_dir, strerror(-r));
        s->scene = moment_scene(s->moment);
        s->n_damaged = moment_n_damaged(s->moment);
        s->time_usec = moment_time(s->moment);
        return CTL_OK;
}

ExitStatus source_open(const Ctl *ctl, const char *what, Store **store, Source *ret)
{
        Source s = {.title = strdup(what)};
        ExitStatus status = CTL_OK;

        if (!s.title)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (source_is_file(what)) {
                _cleanup_free_ char *error = NULL;
                int r = session_file_read(what, NULL, NULL, &s.owned, &error);

                if (r != 0)
                        status = ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s", error ?: "out of memory");
                s.scene = s.owned;
        } else {
                if (!*store)
                        status = source_open_store(ctl, store);
                if (status == CTL_OK)
                        status = open_moment(ctl, what, *store, &s);
        }
        if (status != CTL_OK) {
                source_done(&s);
                return status;
        }
        *ret = s;
        return CTL_OK;
}

void source_done(Source *s)
{
        moment_free(s->moment);
        scene_free(s->owned);
        free(s->title);
        *s = (Source){0};
}

Listed *source_find_node(const Ctl *ctl, const Listing *l, const char *name, ExitStatus *ret_status)
{
        Listed *found = NULL;
        size_t n = listing_find(l, name, &found);

        if (n == 1)
                return found;
        if (n == 0)
                *ret_status = ctl_fail(ctl, CTL_NOT_FOUND, "there is no node named \"%s\" and none with that uuid", name);
        else
                *ret_status = ctl_fail(ctl, CTL_NOT_FOUND,
                                       "\"%s\" may mean %zu nodes: name one by the beginning of its uuid, see `scenekeepctl "
                                       "show`",
                                       name, n);
        return NULL;
}
