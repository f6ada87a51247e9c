/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "store/internal.h"

int store_snapshot_list(Store *s, StoreSnapshotInfo **ret, size_t *ret_n)
{
        StoreSnapshotInfo *infos;
        size_t n = 0;
        int r = 0;

        store_lock(s);
        infos = calloc(s->snapshots.n_items + 1, sizeof(StoreSnapshotInfo));
        if (!infos)
                r = -ENOMEM;
        for (size_t i = s->snapshots.n_items; i-- > 0 && r >= 0;) {
                if (s->snapshots.items[i].base)
                        continue;
                r = store_snapshot_info_copy(&s->snapshots.items[i], &infos[n]);
                if (r >= 0)
                        n++;
        }
        store_unlock(s);
        if (r < 0) {
                while (n > 0)
                        store_snapshot_info_done(&infos[--n]);
                free(infos);
                return r;
        }
        *ret = infos;
        *ret_n = n;
        return 0;
}

static bool parse_number(const char *name, uint64_t *ret)
{
        uint64_t number = 0;
        size_t n;

        for (n = 0; name[n] >= '0' && name[n] <= '9' && n < 11; n++)
                number = number * 10 + (uint64_t)(name[n] - '0');
        *ret = number;
        return n > 0 && name[n] == '\0';
}

int store_snapshot_find(Store *s, const char *name, StoreSnapshotInfo *ret)
{
        bool latest = strcmp(name, "latest") == 0;
        uint64_t number = 0;
        bool by_number = parse_number(name, &number);
        int r = -ENOENT;

        store_lock(s);
        for (size_t i = s->snapshots.n_items; i-- > 0;) {
                const SnapshotItem *item = &s->snapshots.items[i];

                if (item->base)
                        continue;
                if (latest || (by_number && item->info.number == number) ||
                    strcmp(item->info.name, name) == 0) {
                        r = store_snapshot_info_copy(item, ret);
                        break;
                }
        }
        store_unlock(s);
        return r;
}

/* The presence of an empty file says it, so that pinning never touches a manifest and survives a copy of the
 * folder. */
static int write_pin(Store *s, const char *name, bool pinned)
{
        char file[STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX_PIN)];
        int fd, r;

        snprintf(file, sizeof(file), "%s%s", name, MANIFEST_SUFFIX_PIN);
        if (pinned) {
                fd = s->io->openat(s->io, s->snapshots_dirfd, file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
                if (fd < 0)
                        return fd;
                r = s->io->fsync(s->io, fd);
                s->io->close(s->io, fd);
        } else {
                r = s->io->unlinkat(s->io, s->snapshots_dirfd, file);
                if (r == -ENOENT)
                        r = 0;
        }
        return r < 0 ? r : s->io->fsync(s->io, s->snapshots_dirfd);
}

/* Before the file is there, so that retention cannot come between. */
static int note_pin(Store *s, uint64_t number, bool pinned)
{
        SnapshotItem *item;
        bool found;

        store_lock(s);
        item = snapshot_table_find(&s->snapshots, number);
        found = item && !item->leaving;
        if (found)
                item->info.pinned = pinned;
        store_unlock(s);
        return found ? 0 : -ENOENT;
}

typedef struct PinJob {
        WorkerJob job;
        Store *store;
        StorePinFunc func;
        void *userdata;
        uint64_t number;
        bool pinned;
        char name[STORE_SNAPSHOT_NAME_MAX];
} PinJob;

static int pin_run(WorkerJob *job)
{
        PinJob *p = CONTAINER_OF(job, PinJob, job);

        return write_pin(p->store, p->name, p->pinned);
}

static void pin_done(WorkerJob *job, int result)
{
        PinJob *p = CONTAINER_OF(job, PinJob, job);

        if (result < 0)
                (void)note_pin(p->store, p->number, !p->pinned);
        p->func(p->userdata, result);
        free(p);
}

/* Notes it, and makes the job that writes it down. Returns 0 if it was so already. */
static int prepare_pin(Store *s, const char *name, bool pinned, PinJob **ret)
{
        _cleanup_free_ PinJob *p = NULL;
        StoreSnapshotInfo info;
        bool was;
        int r;

        p = calloc(1, sizeof(PinJob));
        if (!p)
                return -ENOMEM;
        r = store_snapshot_find(s, name, &info);
        if (r < 0)
                return r;
        was = info.pinned;
        p->job = (WorkerJob){ .run = pin_run, .done = pin_done };
        p->store = s;
        p->number = info.number;
        p->pinned = pinned;
        snprintf(p->name, sizeof(p->name), "%s", info.name);
        store_snapshot_info_done(&info);
        r = note_pin(s, p->number, pinned);
        if (r < 0 || was == pinned)
                return r;
        *ret = TAKE_PTR(p);
        return 1;
}

int store_snapshot_pin_begin(Store *s, const char *name, bool pinned, StorePinFunc func, void *userdata)
{
        PinJob *p;
        int r = prepare_pin(s, name, pinned, &p);

        if (r <= 0)
                return r;
        p->func = func;
        p->userdata = userdata;
        worker_submit(s->worker, &p->job, WORKER_NORMAL);
        return 1;
}

static void ignore_result(void *userdata, int result)
{
}

int store_snapshot_pin(Store *s, const char *name, bool pinned)
{
        PinJob *p;
        int r = prepare_pin(s, name, pinned, &p);

        if (r <= 0)
                return r;
        p->func = ignore_result;
        r = pin_run(&p->job);
        pin_done(&p->job, r);
        return r < 0 ? r : 1;
}
