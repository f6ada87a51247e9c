/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "store/snapshot-internal.h"

#define FILE_NAME_SIZE (STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX_TWIN))

static int unlink_file(Store *s, const char *name, const char *suffix)
{
        char file[FILE_NAME_SIZE];
        int r;

        snprintf(file, sizeof(file), "%s%s", name, suffix);
        r = s->io->unlinkat(s->io, s->snapshots_dirfd, file);
        return r == -ENOENT ? 0 : r;
}

/* The twin first: a twin without its brother would be taken for a snapshot that was just being made. */
static int remove_manifest(Store *s, const SnapshotItem *item)
{
        int r = unlink_file(s, item->info.name, MANIFEST_SUFFIX_TWIN);

        if (r >= 0)
                r = unlink_file(s, item->info.name, item->base ? MANIFEST_SUFFIX_BASE : MANIFEST_SUFFIX);
        if (r >= 0)
                r = unlink_file(s, item->info.name, MANIFEST_SUFFIX_PIN);
        return r;
}

static int make_base(Store *s, const SnapshotItem *item)
{
        static const char *const from[] = { MANIFEST_SUFFIX, MANIFEST_SUFFIX_TWIN };
        char old[FILE_NAME_SIZE], new[FILE_NAME_SIZE];
        int r = -ENOENT;

        snprintf(new, sizeof(new), "%s%s", item->info.name, MANIFEST_SUFFIX_BASE);
        for (unsigned i = 0; i < ELEMENTSOF(from) && r == -ENOENT; i++) {
                snprintf(old, sizeof(old), "%s%s", item->info.name, from[i]);
                r = s->io->renameat(s->io, s->snapshots_dirfd, old, s->snapshots_dirfd, new);
        }
        return r;
}

/* A snapshot counts as one that verifies only after it has been read. */
static void verify_unknown(Store *s, uint64_t number)
{
        _cleanup_manifest_set_ ManifestSet *set = NULL;

        (void)store_read_snapshot_set(s, number, &set);
        worker_progress(s->worker);
}

static int collect(Store *s, RetentionItem **ret, size_t *ret_n)
{
        size_t n = 0;

        store_lock(s);
        *ret = calloc(s->snapshots.n_items + 1, sizeof(RetentionItem));
        for (size_t i = 0; i < s->snapshots.n_items && *ret; i++) {
                const SnapshotItem *item = &s->snapshots.items[i];

                if (item->base)
                        continue;
                (*ret)[n++] = (RetentionItem){
                        .time_usec = item->info.time_usec,
                        .number = item->info.number,
                        .pinned = item->info.pinned,
                        .verified = item->condition == SNAPSHOT_INTACT,
                };
        }
        store_unlock(s);
        *ret_n = n;
        return *ret ? 0 : -ENOMEM;
}

/* Lets one go: to be removed, or kept under another name as long as others build on it. */
static int let_go(Store *s, uint64_t number)
{
        SnapshotItem *found, item;
        bool needed;
        int r;

        store_lock(s);
        found = snapshot_table_find(&s->snapshots, number);
        if (found)
                item = *found;
        needed = found && snapshot_table_is_needed(&s->snapshots, number);
        if (found && found->info.pinned && !found->base)
                found = NULL; /* since the policy was applied */
        else if (found)
                found->leaving = true;
        store_unlock(s);
        if (!found || (needed && item.base))
                return 0;
        r = needed ? make_base(s, &item) : remove_manifest(s, &item);
        if (r < 0)
                return r;
        store_lock(s);
        if (!needed)
                snapshot_table_remove(&s->snapshots, number);
        else {
                found = snapshot_table_find(&s->snapshots, number);
                if (found)
                        found->base = true;
        }
        store_unlock(s);
        return 1;
}

/* Newest first, so that whatever builds on another goes before it. */
static int remove_bases(Store *s)
{
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;
        int r = 0;

        store_lock(s);
        numbers = calloc(s->snapshots.n_items + 1, sizeof(uint64_t));
        for (size_t i = s->snapshots.n_items; i-- > 0 && numbers;)
                if (s->snapshots.items[i].base)
                        numbers[n++] = s->snapshots.items[i].info.number;
        store_unlock(s);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = let_go(s, numbers[i]);
        return numbers ? r : -ENOMEM;
}

int snapshot_retention_plan(Store *s, RetentionItem **ret, size_t *ret_n)
{
        _cleanup_free_ RetentionItem *unread = NULL;
        RetentionPolicy policy;
        size_t n;
        int r;

        r = collect(s, &unread, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (!unread[i].verified)
                        verify_unknown(s, unread[i].number);
        r = collect(s, ret, ret_n);
        if (r < 0)
                return r;
        store_lock(s);
        policy = s->retention;
        store_unlock(s);
        retention_apply(&policy, *ret, *ret_n);
        return 0;
}

int snapshot_retention_apply(Store *s, RetentionItem *items, size_t n)
{
        bool changed = false;
        int r;

        for (size_t i = n; i-- > 0;) {
                if (items[i].keep)
                        continue;
                r = let_go(s, items[i].number);
                if (r < 0)
                        return r;
                items[i].keep = r == 0;
                changed = true;
        }
        if (!changed)
                return 0;
        r = remove_bases(s);
        return r < 0 ? r : s->io->fsync(s->io, s->snapshots_dirfd);
}

int snapshot_retention(Store *s)
{
        _cleanup_free_ RetentionItem *items = NULL;
        size_t n;
        int r;

        r = snapshot_retention_plan(s, &items, &n);
        return r < 0 ? r : snapshot_retention_apply(s, items, n);
}
