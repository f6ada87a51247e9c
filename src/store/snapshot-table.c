/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/snapshot-table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"

void store_snapshot_info_done(StoreSnapshotInfo *info)
{
        free(info->reason);
        free(info->user);
        *info = (StoreSnapshotInfo){ 0 };
}

void snapshot_table_done(SnapshotTable *t)
{
        for (size_t i = 0; i < t->n_items; i++)
                store_snapshot_info_done(&t->items[i].info);
        free(t->items);
        *t = (SnapshotTable){ 0 };
}

SnapshotItem *snapshot_table_find(SnapshotTable *t, uint64_t number)
{
        for (size_t i = t->n_items; i-- > 0;)
                if (t->items[i].info.number == number)
                        return &t->items[i];
        return NULL;
}

void snapshot_item_set_pin(SnapshotItem *item, Pin pin)
{
        item->info.pinned = pin.pinned;
        memcpy(item->info.pin_name, pin.name, sizeof(pin.name));
}

int snapshot_table_add(SnapshotTable *t, const SnapshotItem *item)
{
        SnapshotItem *items = reallocarray(t->items, t->n_items + 1, sizeof(SnapshotItem));
        size_t i;

        if (!items)
                return -ENOMEM;
        t->items = items;
        for (i = t->n_items; i > 0 && items[i - 1].info.number > item->info.number; i--)
                items[i] = items[i - 1];
        items[i] = *item;
        t->n_items++;
        t->next_number = MAX(t->next_number, item->info.number + 1);
        return 0;
}

void snapshot_table_remove(SnapshotTable *t, uint64_t number)
{
        SnapshotItem *item = snapshot_table_find(t, number);

        if (!item)
                return;
        store_snapshot_info_done(&item->info);
        memmove(item, item + 1, (size_t)(t->items + t->n_items - item - 1) * sizeof(SnapshotItem));
        t->n_items--;
}

bool snapshot_table_is_needed(const SnapshotTable *t, uint64_t number)
{
        /* Ascending: whoever builds on it comes later, and chains never branch. */
        for (size_t i = 0; i < t->n_items; i++)
                if (t->items[i].headless && t->items[i].info.number > number)
                        return true; /* for all that is known */
                else if (t->items[i].previous == number && t->items[i].info.number > number) {
                        if (!t->items[i].base)
                                return true;
                        number = t->items[i].info.number;
                }
        return false;
}

bool snapshot_table_has_successor(const SnapshotTable *t, uint64_t number)
{
        for (size_t i = 0; i < t->n_items; i++)
                if (t->items[i].previous == number && t->items[i].info.number > number)
                        return true;
        return false;
}

void snapshot_make_name(uint64_t number, uint64_t time_usec, char ret[static STORE_SNAPSHOT_NAME_MAX])
{
        time_t t = (time_t)(time_usec / 1000000);
        struct tm tm;
        size_t n;

        if (!gmtime_r(&t, &tm) || tm.tm_year > 8099)
                tm = (struct tm){ .tm_year = 70, .tm_mday = 1 };
        n = strftime(ret, STORE_SNAPSHOT_NAME_MAX, "%Y%m%dT%H%M%SZ", &tm);
        snprintf(ret + n, STORE_SNAPSHOT_NAME_MAX - n, "-%05" PRIu32, (uint32_t)number);
}

int store_snapshot_info_copy(const SnapshotItem *item, StoreSnapshotInfo *ret)
{
        StoreSnapshotInfo copy = item->info;

        copy.reason = strdup(item->info.reason);
        copy.user = strdup(item->info.user);
        if (!copy.reason || !copy.user) {
                store_snapshot_info_done(&copy);
                return -ENOMEM;
        }
        copy.intact = item->condition != SNAPSHOT_DAMAGED;
        *ret = copy;
        return 0;
}

/* ---- reading the folder ---- */

static void adopt_header(SnapshotItem *item, const FormatManifest *header)
{
        item->headless = false;
        item->previous = header->previous_number;
        item->info.time_usec = header->time_usec;
        item->info.sequence = header->sequence;
        item->info.node_count = header->node_count;
        item->info.user_count = header->user_count;
        item->info.payload_bytes = header->payload_bytes;
}

static int add_file(Store *s, const char *file, uint64_t number, size_t stem, bool base)
{
        SnapshotItem item = { .base = base };
        ManifestHead head = { 0 };
        int r;

        if (stem >= sizeof(item.info.name) || snapshot_table_find(&s->snapshots, number))
                return 0;
        memcpy(item.info.name, file, stem);
        r = manifest_read_head(s->io, s->snapshots_dirfd, file, &head);
        if (r < 0 && r != -ENOMEM && r != -EPROTONOSUPPORT) { /* its twin may do better */
                char twin[STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX_TWIN)];

                snprintf(twin, sizeof(twin), "%s%s", item.info.name, MANIFEST_SUFFIX_TWIN);
                r = manifest_read_head(s->io, s->snapshots_dirfd, twin, &head);
        }
        if (r == -ENOMEM || r == -EPROTONOSUPPORT)
                return r;
        item.condition = r < 0 ? SNAPSHOT_DAMAGED : SNAPSHOT_UNKNOWN;
        item.headless = r < 0;
        item.info.number = number;
        if (r >= 0)
                adopt_header(&item, &head.header);
        item.info.manifest_bytes = head.size;
        item.info.reason = head.reason ?: strdup("");
        item.info.user = head.user ?: strdup("");
        r = item.info.reason && item.info.user ? snapshot_table_add(&s->snapshots, &item) : -ENOMEM;
        if (r < 0)
                store_snapshot_info_done(&item.info);
        return r;
}

/* Left over from a write that was cut short: it never had its name. */
static void remove_unfinished(Store *s, const char *file)
{
        size_t n = strlen(file);

        if (n > 4 && strcmp(file + n - 4, ".tmp") == 0)
                (void)s->io->unlinkat(s->io, s->snapshots_dirfd, file);
}

enum { PASS_MANIFESTS, PASS_TWINS, PASS_PINS, _PASS_MAX };

static int read_entry(Store *s, const char *file, unsigned pass)
{
        SnapshotItem *item;
        const char *suffix;
        uint64_t number;

        if (pass == PASS_MANIFESTS && file[0] == '.' && !(s->flags & STORE_OPEN_READ_ONLY))
                remove_unfinished(s, file);
        if (!manifest_parse_name(file, &number, &suffix))
                return 0;
        if (pass == PASS_PINS) {
                item = snapshot_table_find(&s->snapshots, number);
                if (item && strcmp(suffix, MANIFEST_SUFFIX_PIN) == 0)
                        snapshot_item_set_pin(item, pin_read(s, file));
                return 0;
        }
        s->snapshots.next_number = MAX(s->snapshots.next_number, number + 1);
        if (pass == PASS_TWINS) /* alone, when the machine stopped between the two: as good as the other */
                return strcmp(suffix, MANIFEST_SUFFIX_TWIN) == 0
                        ? add_file(s, file, number, (size_t)(suffix - file), false) : 0;
        if (strcmp(suffix, MANIFEST_SUFFIX) == 0)
                return add_file(s, file, number, (size_t)(suffix - file), false);
        if (strcmp(suffix, MANIFEST_SUFFIX_BASE) == 0)
                return add_file(s, file, number, (size_t)(suffix - file), true);
        return 0;
}

int store_read_snapshots(Store *s)
{
        int fd, r = 0;
        DIR *dir;

        s->snapshots.next_number = 1;
        if (s->snapshots_dirfd < 0)
                return 0;
        fd = openat(s->snapshots_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir)
                return -errno;
        for (unsigned pass = 0; pass < _PASS_MAX && r >= 0; pass++) {
                struct dirent *entry;

                rewinddir(dir);
                while (r >= 0 && (errno = 0, entry = readdir(dir)))
                        r = read_entry(s, entry->d_name, pass);
                if (r >= 0 && errno != 0)
                        r = -errno;
        }
        closedir(dir);
        return r;
}

/* ---- reading what a snapshot holds ---- */

static int name_of(void *userdata, uint64_t number, char ret[static STORE_SNAPSHOT_NAME_MAX])
{
        Store *s = userdata;
        const SnapshotItem *item;

        store_lock(s);
        item = snapshot_table_find(&s->snapshots, number);
        if (item)
                memcpy(ret, item->info.name, STORE_SNAPSHOT_NAME_MAX);
        store_unlock(s);
        return item ? 0 : -ENOENT;
}

int store_read_snapshot_set(Store *s, uint64_t number, ManifestSet **ret)
{
        char name[STORE_SNAPSHOT_NAME_MAX];
        SnapshotItem *item;
        int r;

        if (name_of(s, number, name) < 0)
                return -ENOENT;
        r = manifest_set_read(s->io, s->snapshots_dirfd, name, name_of, s, ret);
        if (r < 0 && r != -EUCLEAN)
                return r;
        store_lock(s);
        item = snapshot_table_find(&s->snapshots, number);
        if (item)
                item->condition = r < 0 ? SNAPSHOT_DAMAGED : SNAPSHOT_INTACT;
        if (item && item->headless && r >= 0)
                adopt_header(item, &(*ret)->chain[0]->header);
        store_unlock(s);
        return r;
}

/* Only the file that is itself rotten is set aside: one that builds on it is intact, and whole again should
 * its base be brought back. */
static void report_damaged(Store *s, const char *name)
{
        _cleanup_manifest_ Manifest *m = NULL;
        char file[STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX)];

        snprintf(file, sizeof(file), "%s%s", name, MANIFEST_SUFFIX);
        store_damage(s, STORE_ERROR, "snapshots", file,
                     "Snapshot %s in %s/snapshots is damaged, or one that it builds on is: an older one is "
                     "used, with the journal after it. Damaged files are %s; check the disk.",
                     name, s->path, store_rotten_is(s));
        if (manifest_read_file(s->io, s->snapshots_dirfd, file, &m) == -EUCLEAN)
                store_set_aside(s, s->snapshots_dirfd, file, false);
}

/* The newest snapshot older than `before` (0: any) and within the limits. */
static bool next_older(Store *s, uint64_t before, uint64_t time_usec, uint64_t sequence, StoreSnapshotInfo *ret)
{
        bool found = false;

        store_lock(s);
        for (size_t i = s->snapshots.n_items; i-- > 0 && !found;) {
                const SnapshotItem *item = &s->snapshots.items[i];

                if (item->base || (before > 0 && item->info.number >= before) ||
                    (time_usec > 0 && item->info.time_usec > time_usec) ||
                    (sequence > 0 && item->info.sequence > sequence))
                        continue;
                *ret = item->info; /* without its texts */
                ret->reason = ret->user = NULL;
                found = true;
        }
        store_unlock(s);
        return found;
}

int store_find_intact_set(Store *s, uint64_t before, uint64_t time_usec, uint64_t sequence, bool report,
                          ManifestSet **ret)
{
        StoreSnapshotInfo info;

        while (next_older(s, before, time_usec, sequence, &info)) {
                int r = store_read_snapshot_set(s, info.number, ret);

                if (r != -EUCLEAN)
                        return r;
                if (report)
                        report_damaged(s, info.name);
                before = info.number;
        }
        return -ENOENT;
}
