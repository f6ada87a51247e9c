/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Repair: a new store beside a damaged one, made of all that is intact in it. The old folder is read and never written;
 * the new one has a name that ends in ".partial" until it is complete, verified and compared with what was read.
 */

#include <sys/stat.h>

#include "ctl/salvage.h"
#include "ctl/verb.h"

/* What the folders are called: the session's, then this, then the time. */
#define REPAIR_NEW ".repaired-"
#define REPAIR_OLD ".damaged-"

typedef struct Repair {
        const Ctl *ctl;
        char *old, *partial, *repaired, *damaged; /* paths */
        struct stat st; /* of the old folder */
        int lock_fd;
        Worker *worker;
        Store *from;
        Session *session; /* what the new store has */
        SalvageReport report;
        json_object *problems; /* what reading the old store complained of; the first ones */
        size_t n_problems;
        int scrub_error;
        uint64_t n_damaged; /* records, payloads and manifests */
        bool begun;    /* `partial` is there */
        bool intact;   /* nothing was damaged: there is no new store */
        bool in_place;
} Repair;

/* Tells what was found and done. CTL_OK, or CTL_DEGRADED when something of the session is lost. */
ExitStatus repair_print(const Repair *r);
