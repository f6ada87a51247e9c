/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "store/internal.h"

typedef struct Metadata {
        const StoreSnapshotInfo *info; /* of the newest snapshot */
        uint64_t time_usec;            /* of the save, which may have found nothing to write */
        const char *reason;
        const char *user;
        uint64_t user_count;
        bool initialized;
} Metadata;

/* Writes session_metadata.json, for people and scripts. In the worker. */
int metadata_write(Store *s, const Metadata *m);
