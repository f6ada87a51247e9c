/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdint.h>

/* How far a scrub under way has come. */
struct Scrub;
void scrub_get_progress(const struct Scrub *scrub, uint64_t *ret_bytes, uint64_t *ret_damaged);
