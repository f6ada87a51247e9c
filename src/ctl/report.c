/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/report-page.h"
#include "ctl/source.h"
#include "ctl/tree.h"

/* Under another name until it is whole. */
static int write_page(const char *path, const ReportData *d)
{
        _cleanup_free_ char *partial = NULL;
        FILE *f;
        int fd, r;

        if (asprintf(&partial, "%s.XXXXXX", path) < 0) {
                partial = NULL;
                return -ENOMEM;
        }
        fd = mkostemp(partial, O_CLOEXEC);
        f = fd < 0 ? NULL : fdopen(fd, "w");
        if (!f) {
                r = -errno;
                if (fd >= 0) {
                        close(fd);
                        (void)unlink(partial);
                }
                return r;
        }
        r = fchmod(fd, file_mode()) < 0 ? -errno : report_page_write(f, d);
        if (r == 0 && (fflush(f) != 0 || ferror(f) || fsync(fd) < 0))
                r = errno > 0 ? -errno : -EIO;
        if (fclose(f) != 0 && r == 0)
                r = -errno;
        if (r == 0 && rename(partial, path) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(partial);
        return r;
}

static int read_history(Store *store, const StoreSnapshotInfo *snapshots, size_t n, uint64_t since, uint64_t until, History *ret)
{
        uint64_t first = since, last = until;
        int r = history_span(store, &first, &last);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                uint64_t at = snapshots[i].time_usec;

                if (at < since || at > until)
                        continue;
                first = first == since && since == 0 ? at : MIN(first, at);
                last = last == UINT64_MAX ? at : MAX(last, at);
        }
        if (last == UINT64_MAX)
                last = ctl_now_usec();
        return history_read(store, MIN(first, last), last, ret);
}

static size_t n_restarts(const ReportData *d)
{
        size_t n = 0;

        for (size_t i = 0; i < d->restarts->n_times; i++)
                n += d->restarts->times[i] >= d->history->first_usec && d->restarts->times[i] <= d->history->last_usec;
        return n;
}

static ExitStatus answer(const Ctl *ctl, const char *path, const ReportData *d)
{
        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_add_text(o, "file", path);
                json_add_time(o, "since", d->history->first_usec);
                json_add_time(o, "until", d->history->last_usec);
                json_add_int(o, "users", d->history->n_users);
                json_add_int(o, "snapshots", d->n_snapshots);
                json_add_int(o, "restarts", n_restarts(d));
                json_add_int(o, "nodes", d->nodes->n_items);
                json_add_int(o, "gaps", d->history->n_gaps);
                ctl_print_json(o);
        } else {
                printf("Written: %zu users, %zu snapshots, %zu restarts, %zu nodes.\n", d->history->n_users, d->n_snapshots,
                       n_restarts(d), d->nodes->n_items);
        }
        return d->history->n_gaps > 0 ? CTL_DEGRADED : CTL_OK;
}

ExitStatus verb_report(Ctl *ctl)
{
        const char *path = ctl->arguments[0];
        _cleanup_store_ Store *store = NULL;
        _cleanup_free_ char *title = NULL;
        StoreSnapshotInfo *snapshots = NULL;
        size_t n_snapshots = 0;
        Source s = {0};
        Listing l = {0};
        History h = {0};
        Restarts restarts;
        ReportData d;
        uint64_t since, until;
        ExitStatus status;
        int r;

        if (!ctl_time(ctl, OPT_SINCE, 0, &since) || !ctl_time(ctl, OPT_UNTIL, UINT64_MAX, &until))
                return CTL_USAGE;
        if (since >= MIN(until, ctl_now_usec()))
                return ctl_fail(ctl, CTL_USAGE, "there is no time between --since and %s",
                                ctl_has(ctl, OPT_UNTIL) ? "--until" : "now");
        status = source_open(ctl, "now", &store, &s);
        if (status != CTL_OK)
                return status;
        r = asprintf(&title, "Session %s", ctl->instance) < 0 ? -ENOMEM : listing_new(s.scene, &l);
        if (r == 0)
                r = store_snapshot_list(store, &snapshots, &n_snapshots);
        if (r == 0)
                r = read_history(store, snapshots, n_snapshots, since, until, &h);
        restarts_read(&restarts, ctl->data_dir);
        d = (ReportData){title, &h, snapshots, n_snapshots, &restarts, &l, ctl_now_usec()};
        if (r < 0) {
                status = ctl_fail(ctl, CTL_FAILED, "cannot read the session in %s: %s", ctl->data_dir, strerror(-r));
        } else {
                r = write_page(path, &d);
                status = r < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot write %s: %s", path, strerror(-r)) : answer(ctl, path, &d);
        }
        history_done(&h);
        for (size_t i = 0; i < n_snapshots; i++)
                store_snapshot_info_done(&snapshots[i]);
        free(snapshots);
        listing_done(&l);
        source_done(&s);
        return status;
}
