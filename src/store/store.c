/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/digest.h"
#include "store/identity.h"
#include "store/internal.h"
#include "store/journal-scan.h"
#include "store/reclaim.h"
#include "store/scrub.h"

#define SEGMENT_SIZE_DEFAULT (UINT64_C(64) << 20)
#define RETRY_USEC_DEFAULT UINT64_C(1000000)
#define SLOW_USEC_DEFAULT UINT64_C(1000000)
#define CALM_USEC_DEFAULT UINT64_C(10000000)
#define QUEUE_LIMIT_DEFAULT (UINT64_C(1) << 30)
#define DIRECT_BYTES_DEFAULT (UINT64_C(2) << 20) /* a millisecond */

_printf_(4, 0) static void tell(Store *s, StoreLevel level, const char *damaged, const char *format, va_list ap)
{
        char *text;

        if (!s->events.problem || vasprintf(&text, format, ap) < 0)
                return;
        s->events.problem(s->events.userdata, level, damaged, text);
        free(text);
}

void store_problem(Store *s, StoreLevel level, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        tell(s, level, NULL, format, ap);
        va_end(ap);
}

void store_damage(Store *s, StoreLevel level, const char *folder, const char *name, const char *format, ...)
{
        char file[128];
        va_list ap;

        snprintf(file, sizeof(file), "%s%s%s", folder ?: "", folder ? "/" : "", name);
        va_start(ap, format);
        tell(s, level, file, format, ap);
        va_end(ap);
}

void store_set_aside(Store *s, int from_dirfd, const char *name, bool move)
{
        int fd;

        if (s->flags & STORE_OPEN_READ_ONLY)
                return;
        fd = io_open_directory(s->io, s->dirfd, "aside", 0700);
        if (fd < 0)
                return;
        if (move)
                (void)s->io->renameat(s->io, from_dirfd, name, fd, name);
        else
                (void)s->io->linkat(s->io, from_dirfd, name, fd, name);
        (void)s->io->fsync(s->io, fd);
        s->io->close(s->io, fd);
}

const char *store_rotten_is(const Store *s)
{
        return s->flags & STORE_OPEN_READ_ONLY ? "left in place" : "kept in aside/";
}

static Store *store_new(const StoreOptions *options)
{
        Store *s = calloc(1, sizeof(Store));

        if (!s)
                return NULL;
        s->io = options->io ?: io_system();
        s->worker = options->worker;
        s->writer = options->writer;
        s->direct_bytes = options->direct_bytes ?: DIRECT_BYTES_DEFAULT;
        s->slow_usec = options->slow_usec ?: SLOW_USEC_DEFAULT;
        s->calm_usec = options->calm_usec ?: CALM_USEC_DEFAULT;
        s->events = options->events;
        s->now_usec = options->now_usec ?: clock_realtime_usec;
        s->flags = options->flags;
        s->segment_size = options->segment_size ?: SEGMENT_SIZE_DEFAULT;
        s->queue_limit = options->queue_limit ?: QUEUE_LIMIT_DEFAULT;
        s->journal_keep_usec = options->journal_keep_usec;
        s->journal_keep_bytes = options->journal_keep_bytes;
        s->retention = options->retention;
        journal_init(&s->journal, options->retry_usec ?: RETRY_USEC_DEFAULT);
        s->dirfd = s->log_dirfd = s->snapshots_dirfd = s->lock_fd = -1;
        s->next_segment = 1;
        s->snapshot_wants_all = true;
        pthread_mutex_init(&s->mutex, NULL);
        index_init(&s->index);
        s->path = strdup(options->path);
        return s;
}

static void close_fd(Store *s, int fd)
{
        if (fd >= 0)
                s->io->close(s->io, fd);
}

static void leave_folders(Store *s)
{
        close_fd(s, s->snapshots_dirfd);
        close_fd(s, s->log_dirfd);
        close_fd(s, s->dirfd);
        close_fd(s, s->lock_fd); /* last: the lock goes with it */
        s->dirfd = s->lock_fd = s->log_dirfd = s->snapshots_dirfd = -1;
}

static Store *store_free(Store *s)
{
        journal_done(s);
        journal_scan_free(s->scan);
        manifest_set_free(s->initial);
        for (size_t i = 0; i < s->n_segments; i++)
                segment_free(s->segments[i]);
        free(s->segments);
        index_done(&s->index);
        snapshot_table_done(&s->snapshots);
        leave_folders(s);
        pthread_mutex_destroy(&s->mutex);
        free(s->path);
        free(s);
        return NULL;
}

Store *store_close(Store *s)
{
        if (!s)
                return NULL;
        if (!(s->flags & STORE_OPEN_READ_ONLY) && s->worker) {
                s->closing = true;
                store_scrub_cancel(s);
                reclaim_cancel(s);
                journal_finish(s);
        }
        return store_free(s);
}

static int open_folder(Store *s, const char *name)
{
        if (s->flags & STORE_OPEN_READ_ONLY)
                return s->io->openat(s->io, s->dirfd, name, O_RDONLY | O_DIRECTORY, 0);
        return io_open_directory(s->io, s->dirfd, name, 0700);
}

static int open_folders(Store *s)
{
        if (s->flags & (STORE_OPEN_READ_ONLY | STORE_OPEN_EXISTING))
                s->dirfd = s->io->openat(s->io, AT_FDCWD, s->path, O_RDONLY | O_DIRECTORY, 0);
        else
                s->dirfd = io_open_directory(s->io, AT_FDCWD, s->path, 0700);
        return s->dirfd < 0 ? s->dirfd : 0;
}

static int open_subfolder(Store *s, const char *name, int *ret)
{
        bool lenient = s->flags & STORE_OPEN_READ_ONLY && !(s->flags & STORE_OPEN_EXISTING);
        int fd = open_folder(s, name);

        *ret = MAX(fd, -1);
        return fd >= 0 || (fd == -ENOENT && lenient) ? 0 : fd;
}

static int open_subfolders(Store *s)
{
        int r = open_subfolder(s, "log", &s->log_dirfd);

        return r < 0 ? r : open_subfolder(s, "snapshots", &s->snapshots_dirfd);
}

/* Payloads of the snapshot and of the journal after it: what a new one is most likely to be equal to. */
static void fill_index(Store *s)
{
        for (size_t i = 0; s->initial && i < s->initial->n_entries; i++) {
                StoreEntry e;
                bool removed;

                manifest_decode_entry(s->initial->entries[i], SIZE_MAX, &e, &removed);
                if (e.blob.size >= DEDUPLICATE_SIZE_MIN && store_find_segment(s, e.blob.segment))
                        store_index_payload(s, &e.blob, false);
        }
        for (size_t i = 0; i < s->scan->n_items; i++) {
                _cleanup_segment_map_ SegmentMap *map = NULL;
                StoreLocation location;
                RecordHead head;

                if (journal_item_read(s, &s->scan->items[i], &map, &head) < 0)
                        continue;
                s->journal.time_usec = head.header.time_usec;
                record_get_location(&head, &location);
                if (location.size >= DEDUPLICATE_SIZE_MIN && !(head.header.flags & STORE_RECORD_REFERENCE))
                        store_index_payload(s, &location, false);
        }
}

/* A store of which nothing at all can be read, while it says that there was something. */
static bool is_beyond_use(const Store *s)
{
        bool had_snapshots = false;

        for (size_t i = 0; i < s->snapshots.n_items; i++)
                had_snapshots |= !s->snapshots.items[i].base;
        return !s->initial && s->scan->n_items == 0 && (had_snapshots || s->begun);
}

/* Segments with records that are not known to be durable are synced with the first sync; and should that
 * fail, their records are written anew like those of this process. */
static int adopt_tail(Store *s)
{
        const JournalScan *scan = s->scan;

        for (size_t i = 0; i < scan->n_items; i++) {
                _cleanup_segment_map_ SegmentMap *map = NULL;
                RecordHead head;
                int r;

                if (scan->items[i].sequence <= scan->durable)
                        continue;
                r = journal_item_read(s, &scan->items[i], &map, &head);
                if (r >= 0)
                        r = journal_adopt(s, store_find_segment(s, scan->items[i].segment), &head);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int recover(Store *s, char **ret_error)
{
        uint64_t from = 0;
        int r;

        r = store_read_segments(s, ret_error);
        if (r >= 0)
                r = store_read_snapshots(s);
        if (r < 0)
                return r;
        r = store_find_intact_set(s, 0, 0, 0, true, &s->initial);
        if (r < 0 && r != -ENOENT)
                return r;
        if (s->initial)
                from = s->initial->chain[0]->header.sequence;
        r = journal_scan(s, from, true, &s->scan);
        if (r < 0)
                return r;
        if (is_beyond_use(s))
                return -EUCLEAN;
        fill_index(s);
        s->recovered_sequence = s->scan->valid;
        journal_start(s, s->scan->sequence, s->scan->valid, s->scan->durable);
        return s->flags & STORE_OPEN_READ_ONLY ? 0 : adopt_tail(s);
}

void store_forget_everything(Store *s)
{
        uint64_t next_number = s->snapshots.next_number;

        manifest_set_free(s->initial);
        s->initial = NULL;
        s->scan = journal_scan_free(s->scan);
        while (s->n_segments > 0)
                store_forget_segment(s, s->segments[0]);
        store_lock(s);
        snapshot_table_done(&s->snapshots);
        s->snapshots.next_number = next_number;
        store_unlock(s);
        close_fd(s, s->log_dirfd);
        close_fd(s, s->snapshots_dirfd);
        s->log_dirfd = s->snapshots_dirfd = -1;
}

static int move_aside(Store *s, int aside, const char *folder)
{
        char name[64];
        int r;

        snprintf(name, sizeof(name), "%s-%" PRIu64, folder, s->now_usec());
        r = s->io->renameat(s->io, s->dirfd, folder, aside, name);
        return r == -ENOENT ? 0 : r;
}

int store_make_room(Store *s)
{
        int fd, r;

        fd = io_open_directory(s->io, s->dirfd, "aside", 0700);
        if (fd < 0)
                return fd;
        r = move_aside(s, fd, "log");
        if (r >= 0)
                r = move_aside(s, fd, "snapshots");
        if (r >= 0)
                r = s->io->fsync(s->io, fd);
        s->io->close(s->io, fd);
        if (r >= 0)
                r = s->io->fsync(s->io, s->dirfd);
        if (r >= 0)
                r = identity_set_begun(s, false);
        return r >= 0 ? open_subfolders(s) : r;
}

int store_move_in(Store *s)
{
        _cleanup_free_ char *error = NULL;
        int r;

        leave_folders(s);
        s->begun = false;
        s->closed_durable = 0;
        r = open_folders(s);
        if (r >= 0 && faccessat(s->dirfd, FORMAT_IDENTITY_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                r = -EEXIST;
        if (r >= 0)
                r = identity_lock(s, &error);
        if (r >= 0)
                r = identity_open(s, &error);
        if (r >= 0)
                r = open_subfolders(s);
        if (r < 0)
                leave_folders(s); /* they are not ours */
        return r;
}

/* The user said so: what cannot be read makes room, and is kept. */
static int begin_anew(Store *s)
{
        int r;

        store_forget_everything(s);
        r = store_make_room(s);
        if (r < 0)
                return r;
        store_problem(s, STORE_WARNING,
                      "Nothing in %s could be read: it was moved to aside/ as asked, and an empty store "
                      "begun in its place.",
                      s->path);
        return recover(s, NULL);
}

static void explain(const Store *s, int error, char **ret_error)
{
        int n;

        if (!ret_error || *ret_error)
                return;
        if (error == -EPROTONOSUPPORT)
                n = asprintf(
                        ret_error,
                        "A file in %s was written by a newer version of scenekeep, in a format that this one "
                        "does not know. Nothing was touched; install the newer version.",
                        s->path);
        else if (error == -EUCLEAN)
                n = asprintf(
                        ret_error,
                        "The store in %s is damaged beyond use: there are snapshots or records, but none "
                        "that is intact. It is not started empty over them. Restore the folder from a "
                        "backup, or start once with --set-aside: then all that is there goes to aside/ in it, and a "
                        "new session begins.",
                        s->path);
        else
                n = asprintf(ret_error, "Cannot open the store in %s: %s.%s", s->path, strerror(-error),
                             error == -ENOENT ? " The folder above it must be there: make it, or name another one." :
                             error == -EACCES || error == -EPERM ?
                             " It must belong to the user that the server runs as." : "");
        if (n < 0)
                *ret_error = NULL;
}

static int open_store(Store *s, char **ret_error)
{
        int r;

        if (!s->path)
                return -ENOMEM;
        r = open_folders(s);
        if (r >= 0)
                r = identity_lock(s, ret_error);
        if (r >= 0)
                r = store_check_newer(s, ret_error);
        if (r >= 0)
                r = identity_open(s, ret_error);
        if (r >= 0)
                r = open_subfolders(s);
        if (r >= 0)
                r = recover(s, ret_error);
        if (r == -EUCLEAN && (s->flags & STORE_OPEN_SET_ASIDE) && !(s->flags & STORE_OPEN_READ_ONLY) && s->scan)
                r = begin_anew(s);
        return r;
}

int store_open(const StoreOptions *options, Store **ret, char **ret_error)
{
        Store *s = store_new(options);
        char *error = NULL;
        int r;

        if (!s)
                return -ENOMEM;
        r = open_store(s, &error);
        if (r < 0) {
                explain(s, r, &error);
                if (ret_error)
                        *ret_error = error;
                else
                        free(error);
                store_free(s);
                return r;
        }
        free(error);
        s->empty = !s->initial && s->scan->n_items == 0;
        s->stats.n_snapshots = s->snapshots.n_items;
        scrub_note_read(s, &s->stats);
        *ret = s;
        return 0;
}

bool store_was_copied(const Store *s)
{
        return s->copied;
}

bool store_is_empty(const Store *s)
{
        return s->empty;
}

void store_watch(Store *s)
{
        journal_watch(s);
        if (!(s->flags & STORE_OPEN_READ_ONLY) && !s->journal.sync && !s->journal.write)
                home_watch(s); /* might have to wait as well while those do */
}

void store_get_stats(const Store *s, StoreStats *ret)
{
        Store *shared = (Store *)s;

        *ret = s->stats;
        if (s->scrub)
                scrub_get_progress(s->scrub, &ret->scrub_bytes, &ret->scrub_damaged);
        store_lock(shared);
        ret->n_segments = s->n_segments;
        ret->log_bytes = 0;
        for (size_t i = 0; i < s->n_segments; i++)
                ret->log_bytes += s->segments[i]->size;
        ret->n_snapshots = 0;
        for (size_t i = 0; i < s->snapshots.n_items; i++) {
                if (s->snapshots.items[i].base)
                        continue;
                ret->n_snapshots++;
                ret->last_snapshot_usec = s->snapshots.items[i].info.time_usec;
        }
        store_unlock(shared);
}

void store_set_retention(Store *s, const RetentionPolicy *retention)
{
        store_lock(s);
        s->retention = *retention;
        store_unlock(s);
}
