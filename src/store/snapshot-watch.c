/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/internal.h"

/*
 * What happens when somebody removes files from snapshots/ while the session is running. Snapshots are on disk only, so
 * one that is gone stays gone; but nothing more may be built on it, and its owner should know before it is needed.
 */

static bool is_there(const Store *s, const SnapshotItem *item, const char *suffix)
{
        char file[STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX_TWIN)];

        snprintf(file, sizeof(file), "%s%s", item->info.name, suffix);
        return faccessat(s->snapshots_dirfd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static const char *main_suffix(const SnapshotItem *item)
{
        return item->base ? MANIFEST_SUFFIX_BASE : MANIFEST_SUFFIX;
}

/* Of the two copies. */
static unsigned count_files(const Store *s, const SnapshotItem *item)
{
        return (unsigned)is_there(s, item, main_suffix(item)) + (unsigned)is_there(s, item, MANIFEST_SUFFIX_TWIN);
}

/* Whether the manifest `number` builds on `base`, or is it. */
static bool builds_on(SnapshotTable *t, uint64_t number, uint64_t base)
{
        while (number > base) {
                const SnapshotItem *item = snapshot_table_find(t, number);

                if (!item || item->previous >= number)
                        return false;
                number = item->previous;
        }
        return number == base;
}

/* Takes one that is gone out of the table, and notes which others are of no use without it. */
static size_t lose_item(SnapshotTable *t, uint64_t lost)
{
        size_t n = 0;

        for (size_t i = 0; i < t->n_items; i++) {
                SnapshotItem *item = &t->items[i];

                if (item->info.number == lost || !builds_on(t, item->info.number, lost))
                        continue;
                item->condition = SNAPSHOT_DAMAGED;
                n += !item->base;
        }
        snapshot_table_remove(t, lost);
        return n;
}

static uint64_t newest_snapshot(const SnapshotTable *t)
{
        for (size_t i = t->n_items; i-- > 0;)
                if (!t->items[i].base)
                        return t->items[i].info.number;
        return 0;
}

/* Whether that was what the next start, and the next snapshot, would have begun with. */
static bool lose_snapshot(Store *s, const SnapshotItem *item)
{
        bool wanted;
        size_t n;

        store_lock(s);
        wanted = builds_on(&s->snapshots, newest_snapshot(&s->snapshots), item->info.number);
        n = lose_item(&s->snapshots, item->info.number);
        store_unlock(s);
        if (n > 0)
                store_damage(s, STORE_ERROR, "snapshots", item->info.name,
                             "Snapshot %s in %s/snapshots was removed while the session was running. %zu other snapshots "
                             "build on it and cannot be restored without it: put it back from a backup before the next "
                             "start, or prune them.",
                             item->info.name, s->path, n);
        else
                store_damage(s, STORE_ERROR, "snapshots", item->info.name,
                             "Snapshot %s in %s/snapshots was removed while the session was running. Only a backup has it "
                             "still; the session itself and all other snapshots are not affected.",
                             item->info.name, s->path);
        return wanted;
}

static void note_copies(Store *s, uint64_t number, bool single, bool say)
{
        char name[STORE_SNAPSHOT_NAME_MAX] = "";
        SnapshotItem *item;

        store_lock(s);
        item = snapshot_table_find(&s->snapshots, number);
        if (item && item->single != single) {
                item->single = single;
                if (single && say)
                        memcpy(name, item->info.name, sizeof(name));
        }
        store_unlock(s);
        if (*name)
                store_damage(s, STORE_WARNING, "snapshots", name,
                             "One of the two copies of snapshot %s in %s/snapshots was removed while the session was running. "
                             "The other one is used; nothing can stand in for it when it rots.",
                             name, s->path);
}

static void note_pin(Store *s, const SnapshotItem *item)
{
        SnapshotItem *there;

        if (!item->info.pinned || is_there(s, item, MANIFEST_SUFFIX_PIN))
                return;
        store_lock(s);
        there = snapshot_table_find(&s->snapshots, item->info.number);
        if (there)
                snapshot_item_set_pin(there, (Pin){ 0 });
        store_unlock(s);
        store_problem(s, STORE_WARNING,
                      "The pin of snapshot %s in %s/snapshots was removed while the session was running: it goes when "
                      "its time has come, unless it is pinned again.",
                      item->info.name, s->path);
}

static SnapshotItem *copy_items(Store *s, size_t *ret_n)
{
        SnapshotItem *items;

        store_lock(s);
        *ret_n = s->snapshots.n_items;
        items = calloc(*ret_n + 1, sizeof(*items));
        if (items && *ret_n > 0)
                memcpy(items, s->snapshots.items, *ret_n * sizeof(*items));
        store_unlock(s);
        return items;
}

void store_watch_snapshots(Store *s)
{
        _cleanup_free_ SnapshotItem *items = NULL; /* but not what they point to */
        bool first = s->snapshots_mtime.tv_sec == 0, wanted = false;
        struct stat st;
        size_t n;

        if (fstat(s->snapshots_dirfd, &st) < 0 || !store_folder_changed(&st, &s->snapshots_mtime))
                return;
        items = copy_items(s, &n);
        for (size_t i = 0; items && i < n; i++) {
                unsigned n_files = count_files(s, &items[i]);

                if (n_files == 0)
                        wanted |= lose_snapshot(s, &items[i]);
                else
                        note_copies(s, items[i].info.number, n_files == 1, !first);
                if (n_files > 0)
                        note_pin(s, &items[i]);
        }
        if (!wanted)
                return;
        s->snapshot_wants_all = true;
        if (s->events.snapshot_removed)
                s->events.snapshot_removed(s->events.userdata);
}
