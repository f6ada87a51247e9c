/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/journal-internal.h"
#include "store/reclaim.h"
#include "store/scrub.h"

/*
 * What happens when somebody removes the folder of a running session, or moves it, or mounts something over it. A file
 * that is removed while it is open or mapped lives on for whoever has it, so the session would go on writing into
 * nothing and never notice. All payloads can still be read, so a removed store is made anew from memory; one that was
 * moved is complete, and only its owner can say where it belongs. The same goes for a single file of the log; for the
 * snapshots see snapshot-watch.c.
 */

typedef enum Home {
        HOME_THERE,
        HOME_MOVED,
        HOME_REMOVED,      /* the whole folder */
        HOME_PART_REMOVED, /* log/ or snapshots/ */
} Home;

/* The clock of a file's times may be coarse: a change so shortly before may be followed by another of the same time. */
#define SAME_TIME_USEC UINT64_C(1000000)

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
        s->log_mtime = s->snapshots_mtime = (struct timespec){ 0 };
        if (s->events.removed)
                s->events.removed(s->events.userdata, true);
}

bool store_folder_changed(const struct stat *folder, struct timespec *seen)
{
        if (folder->st_mtim.tv_sec == seen->tv_sec && folder->st_mtim.tv_nsec == seen->tv_nsec)
                return false;
        if (clock_realtime_usec() > (uint64_t)folder->st_mtim.tv_sec * 1000000 + SAME_TIME_USEC)
                *seen = folder->st_mtim;
        return true;
}

/* ---- a file of the log ---- */

/* The first one that is not there; 0: all are. */
static Segment *find_missing(Store *s)
{
        Segment *missing = NULL;

        store_lock(s);
        for (size_t i = 0; i < s->n_segments && !missing; i++) {
                char name[SEGMENT_NAME_SIZE];

                segment_name(s->segments[i]->number, name);
                if (s->segments[i]->size > 0 && faccessat(s->log_dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
                    errno == ENOENT)
                        missing = s->segments[i];
        }
        store_unlock(s);
        return missing;
}

/* What was in it is still mapped where somebody needs it, and all of that goes into the next snapshot. Records that only
 * it had make a hole in the journal until then. */
static void lose_segment(Store *s, Segment *segment)
{
        uint64_t number = segment->number;

        store_problem(s, STORE_ERROR,
                      "%s/log/%010" PRIu64 ".seg was removed while the session was running. All that the session needs of it "
                      "is saved anew from memory now; older snapshots may need more of it: put it back from a backup before "
                      "the next start, and see `scenekeepctl verify`.",
                      s->path, number);
        if (segment->type == FORMAT_SEGMENT_JOURNAL) {
                journal_start_over(s);
                set_degraded(s, "%s/log/%010" PRIu64 ".seg was removed: a part of the journal is missing until the session is "
                                "saved.",
                             s->path, number);
        }
        store_forget_segment(s, segment);
        s->snapshot_wants_all = true;
        if (s->events.segment_removed)
                s->events.segment_removed(s->events.userdata, number);
}

static void watch_log(Store *s)
{
        Segment *missing;
        struct stat st;

        if (fstat(s->log_dirfd, &st) < 0 || !store_folder_changed(&st, &s->log_mtime))
                return;
        while ((missing = find_missing(s)))
                lose_segment(s, missing);
}

/* ---- all of it ---- */

void home_watch(Store *s)
{
        Home home = look(s);

        if (home == HOME_THERE) {
                if (s->astray) {
                        s->astray = false;
                        journal_clear_degraded(s);
                }
                /* Only while nobody is about to make or remove a file. */
                if (!s->homeless && is_idle(s))
                        watch_log(s);
                if (!s->homeless && is_idle(s))
                        store_watch_snapshots(s);
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
