/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A progress bar on stderr, when that is a terminal; otherwise nothing. */

#include "ctl/verb.h"

typedef struct Progress {
        const char *what;
        uint64_t total;
        uint64_t drawn_usec;
        bool shown;
} Progress;

/* `what` must outlive it; total in bytes, 0: not known. */
Progress progress_begin(const Ctl *ctl, const char *what, uint64_t total);
void progress_update(Progress *p, uint64_t done);
void progress_end(Progress *p);
