/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/journal-internal.h"
#include "store/reclaim.h"
#include "store/scrub.h"

/*
 * What happens when somebody removes the folder of a running session, or moves it, or mounts something over it. A file
 * that is removed while it is open or mapped lives on for whoever has it, so the session would go on writing into
 * nothing and never notice. All payloads can still be read, so a removed store is made anew from memory; one that was
 * moved is complete, and only its owner can say where it belongs.
 */

typedef enum Home {
        HOME_THERE,
        HOME_MOVED,
        HOME_REMOVED,      /* the whole folder */
        HOME_PART_REMOVED, /* log/ or snapshots/ */
} Home;

static bool is_removed(int fd)
{
        struct stat st;

        return fstat(fd, &st) >= 0 && st.st_nlink == 0;
}

static Home look(const Store *s)
{
        struct stat here, there;

        /* Left open by an attempt to make it anew that failed. */
        if (s->dirfd < 0 || is_removed(s->dirfd))
                return HOME_REMOVED;
        if (s->log_dirfd < 0 || s->snapshots_dirfd < 0 || is_removed(s->log_dirfd) || is_removed(s->snapshots_dirfd))
                return HOME_PART_REMOVED;
        if (fstat(s->dirfd, &here) < 0)
                return HOME_THERE;
        return stat(s->path, &there) < 0 || here.st_dev != there.st_dev || here.st_ino != there.st_ino ? HOME_MOVED :
                                                                                                       HOME_THERE;
}

static bool is_idle(Store *s)
{
        return !s->snapshot && worker_pending(s->worker) == 0 && (!s->writer || worker_pending(s->writer) == 0);
}

_printf_(2, 3) static void set_degraded(Store *s, const char *format, ...)
{
        char *text;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        journal_degrade(s, STORE_ERROR, n < 0 ? NULL : text);
}

static void leave(Store *s)
{
        journal_start_over(s);
        store_forget_everything(s);
        s->last_number = 0;
        s->reclaim_log_bytes = 0;
        s->homeless = true;
        if (s->events.removed)
                s->events.removed(s->events.userdata, false);
}

/* Tried again with the next look. */
static void settle(Store *s, Home home)
{
        int r;

        if (!s->homeless)
                leave(s);
        r = home == HOME_PART_REMOVED ? store_make_room(s) : store_move_in(s);
        if (r < 0) {
                set_degraded(s,
                             "The folder %s, with the snapshots and the journal of the running session, was removed, and "
                             "cannot be made anew: %s. The session is in memory only: make the folder, empty, for the "
                             "user whom the server runs as, and do not stop the server before it is well again.",
                             s->path, strerror(-r));
                return;
        }
        s->homeless = s->astray = false;
        store_problem(s, STORE_ERROR,
                      "%s%s was removed while the session was running, with all snapshots and the journal in it. It has been "
                      "made anew, and the session is being saved to it from memory; what was before is lost unless "
                      "there is a backup.",
                      s->path, home == HOME_PART_REMOVED ? "/log or /snapshots" : "");
        if (s->events.removed)
                s->events.removed(s->events.userdata, true);
}

void home_watch(Store *s)
{
        Home home = look(s);

        if (home == HOME_THERE) {
                if (s->astray) {
                        s->astray = false;
                        journal_clear_degraded(s);
                }
                return;
        }
        s->astray = true;
        if (home == HOME_MOVED) {
                set_degraded(s,
                             "%s is not the folder any more that the running session is kept in: that was moved, or "
                             "something was mounted over it. Everything still goes to the old one: put it back.",
                             s->path);
                return;
        }
        if (!s->homeless)
                set_degraded(s,
                             "The folder %s, or a part of it, was removed while the session was running, with its snapshots "
                             "and journal. It is made anew from memory; do not stop the server before that has ended.",
                             s->path);
        store_scrub_cancel(s);
        reclaim_cancel(s);
        if (is_idle(s))
                settle(s, home);
}
