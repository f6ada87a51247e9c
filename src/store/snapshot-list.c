/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
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
                    strcmp(item->info.name, name) == 0 || (*name && strcmp(item->info.pin_name, name) == 0)) {
                        r = store_snapshot_info_copy(item, ret);
                        break;
                }
        }
        store_unlock(s);
        return r;
}

/* Before the file is there, so that retention cannot come between. */
static int note_pin(Store *s, uint64_t number, const Pin *pin)
{
        SnapshotItem *item;
        bool found;

        store_lock(s);
        item = snapshot_table_find(&s->snapshots, number);
        found = item && !item->leaving;
        if (found)
                snapshot_item_set_pin(item, *pin);
        store_unlock(s);
        return found ? 0 : -ENOENT;
}

typedef struct PinJob {
        WorkerJob job;
        Store *store;
        StorePinFunc func;
        void *userdata;
        uint64_t number;
        Pin was, pin;
        char name[STORE_SNAPSHOT_NAME_MAX];
} PinJob;

static int pin_run(WorkerJob *job)
{
        PinJob *p = CONTAINER_OF(job, PinJob, job);

        return pin_write(p->store, p->name, &p->pin);
}

static void pin_done(WorkerJob *job, int result)
{
        PinJob *p = CONTAINER_OF(job, PinJob, job);

        if (result < 0)
                (void)note_pin(p->store, p->number, &p->was);
        p->func(p->userdata, result);
        free(p);
}

/* Fills in what it is and what it becomes. Returns 0 if it is so already. */
static int plan_pin(Store *s, const char *name, bool pinned, const char *pin_name, PinJob *p)
{
        StoreSnapshotInfo info, holder;
        int r;

        if (pin_name && !store_pin_name_is_valid(pin_name))
                return -EINVAL;
        r = store_snapshot_find(s, name, &info);
        if (r < 0)
                return r;
        p->number = info.number;
        p->was.pinned = info.pinned;
        memcpy(p->was.name, info.pin_name, sizeof(p->was.name));
        memcpy(p->name, info.name, sizeof(p->name));
        store_snapshot_info_done(&info);
        p->pin.pinned = pinned;
        if (pinned)
                snprintf(p->pin.name, sizeof(p->pin.name), "%s", pin_name ?: p->was.name);
        if (pinned && pin_name && store_snapshot_find(s, pin_name, &holder) == 0) {
                bool other = holder.number != p->number;

                store_snapshot_info_done(&holder);
                if (other)
                        return -EEXIST;
        }
        return p->was.pinned != pinned || strcmp(p->was.name, p->pin.name) != 0;
}

/* Notes it, and makes the job that writes it down. */
static int prepare_pin(Store *s, const char *name, bool pinned, const char *pin_name, PinJob **ret)
{
        _cleanup_free_ PinJob *p = calloc(1, sizeof(PinJob));
        int changes, r;

        if (!p)
                return -ENOMEM;
        p->job = (WorkerJob){ .run = pin_run, .done = pin_done };
        p->store = s;
        changes = plan_pin(s, name, pinned, pin_name, p);
        if (changes < 0)
                return changes;
        r = note_pin(s, p->number, &p->pin);
        if (r < 0 || changes == 0)
                return r;
        *ret = TAKE_PTR(p);
        return 1;
}

int store_snapshot_pin_begin(Store *s, const char *name, bool pinned, const char *pin_name, StorePinFunc func,
                             void *userdata)
{
        PinJob *p;
        int r = prepare_pin(s, name, pinned, pin_name, &p);

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

int store_snapshot_pin(Store *s, const char *name, bool pinned, const char *pin_name)
{
        PinJob *p;
        int r = prepare_pin(s, name, pinned, pin_name, &p);

        if (r <= 0)
                return r;
        p->func = ignore_result;
        r = pin_run(&p->job);
        pin_done(&p->job, r);
        return r < 0 ? r : 1;
}
