/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The page that `report` writes: HTML with its style and pictures inside, without scripts. */

#include <stdio.h>

#include "control/restarts.h"
#include "ctl/history.h"
#include "ctl/node-label.h"
#include "store/snapshot.h"

typedef struct ReportData {
        const char *title;
        const History *history;
        const StoreSnapshotInfo *snapshots; /* newest first */
        size_t n_snapshots;
        const Restarts *restarts;
        const Listing *nodes; /* of the session as it is now */
        uint64_t now_usec;
} ReportData;

/* -ENOMEM; what the stream refuses is left to ferror(). */
int report_page_write(FILE *f, const ReportData *d);
