/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "store/store.h"

/* What becomes of a whole scrub: a file for people, scripts and the next start. Any thread. */
#define SCRUB_FILE "last_scrub.json"
int scrub_note_write(Store *s, const StoreStats *stats);
/* Fills the figures of scrubs from it; what cannot be read counts as not there. */
void scrub_note_read(Store *s, StoreStats *stats);

/* How far a scrub under way has come. */
struct Scrub;
void scrub_get_progress(const struct Scrub *scrub, uint64_t *ret_bytes, uint64_t *ret_damaged);
