/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Reclaim: one round of giving disk space back. In the worker: find out what is
 * live, copy the live part of half-dead segments into a new one, sync it. Then, on the main
 * thread: unless something has come to point into a segment meanwhile, take it out of the table; its file is
 * unlinked last.
 */

#include "store/internal.h"

/* Begins a round after a snapshot if one is worth it: it reads all manifests. `idle`: nothing had changed. */
void reclaim_consider(Store *s, bool idle);

/* Makes a round under way end at its next step. */
void reclaim_cancel(Store *s);
