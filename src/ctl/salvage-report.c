/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/salvage-report.h"

#include <errno.h>
#include <string.h>

static int compare(const SalvageLoss *l, const void *uuid, size_t size)
{
        size_t n = strlen(l->uuid);
        int c = memcmp(l->uuid, uuid, MIN(n, size));

        return c != 0 ? c : (n > size) - (n < size);
}

/* Where it is, or would have to be. */
static size_t place_of(const SalvageReport *r, const void *uuid, size_t size)
{
        size_t low = 0, high = r->n_losses;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare(&r->losses[middle], uuid, size) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

SalvageLoss *salvage_find(const SalvageReport *r, const void *uuid, size_t size)
{
        size_t i = place_of(r, uuid, size);

        return i < r->n_losses && compare(&r->losses[i], uuid, size) == 0 ? &r->losses[i] : NULL;
}

SalvageLoss *salvage_note(SalvageReport *r, const void *uuid, size_t size)
{
        SalvageLoss *l = salvage_find(r, uuid, size), *losses;
        size_t i = place_of(r, uuid, size), n = MAX(r->n_allocated * 2, (size_t)16);

        if (l)
                return l;
        if (r->n_losses == r->n_allocated) {
                losses = reallocarray(r->losses, n, sizeof(*losses));
                if (!losses)
                        return NULL;
                r->losses = losses;
                r->n_allocated = n;
        }
        l = &r->losses[i];
        memmove(l + 1, l, (r->n_losses - i) * sizeof(*l));
        *l = (SalvageLoss){.uuid = strndup(uuid, size)};
        if (!l->uuid) {
                memmove(l, l + 1, (r->n_losses - i) * sizeof(*l));
                return NULL;
        }
        r->n_losses++;
        return l;
}

static void loss_done(SalvageLoss *l)
{
        free(l->uuid);
        node_label_done(&l->label);
}

void salvage_forget(SalvageReport *r, const void *uuid, size_t size)
{
        SalvageLoss *l = salvage_find(r, uuid, size);

        if (!l)
                return;
        loss_done(l);
        r->n_losses--;
        memmove(l, l + 1, (r->n_losses - (size_t)(l - r->losses)) * sizeof(*l));
}

void salvage_forget_all(SalvageReport *r)
{
        for (size_t i = 0; i < r->n_losses; i++)
                loss_done(&r->losses[i]);
        r->n_losses = 0;
}

int salvage_note_snapshot(SalvageReport *r, const char *name)
{
        char **names = reallocarray(r->lost_snapshots, r->n_lost_snapshots + 1, sizeof(*names));

        if (!names)
                return -ENOMEM;
        r->lost_snapshots = names;
        names[r->n_lost_snapshots] = strdup(name);
        if (!names[r->n_lost_snapshots])
                return -ENOMEM;
        r->n_lost_snapshots++;
        return 0;
}

bool salvage_report_has_loss(const SalvageReport *r)
{
        return r->n_losses > 0 || r->n_lost_snapshots > 0 || r->n_touched > 0 || r->n_records_lost > 0 ||
               r->n_records_dropped > 0;
}

void salvage_report_done(SalvageReport *r)
{
        salvage_forget_all(r);
        free(r->losses);
        for (size_t i = 0; i < r->n_lost_snapshots; i++)
                free(r->lost_snapshots[i]);
        free(r->lost_snapshots);
        *r = (SalvageReport){0};
}
