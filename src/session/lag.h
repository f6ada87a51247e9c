/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Whether a user is behind the others, as people want to be told. While a large file is appended the outbox of everybody
 * is full and empty again several times a second, which is of interest to nobody: somebody is behind when that has gone
 * on for a while, and up to date when it has not happened for a while. A zeroed Lag is that of one who keeps up.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* A burst of some hundred megabytes to a client with a fast line is over within the first. */
#define LAG_BEHIND (5 * USEC_PER_SEC)
#define LAG_CALM (10 * USEC_PER_SEC)

typedef struct Lag {
        uint64_t since;     /* it has been behind, at least now and then; 0: it has not */
        uint64_t caught_up; /* it is not behind since; 0: it is */
        bool told;
} Lag;

typedef enum LagNews {
        LAG_NO_NEWS,
        LAG_IS_BEHIND,
        LAG_HAS_CAUGHT_UP,
} LagNews;

void lag_note_behind(Lag *lag, uint64_t now);
void lag_note_caught_up(Lag *lag, uint64_t now);

/* What is to be told now, once; else *ret_next is when to ask again, UINT64_MAX: there is no need to. */
LagNews lag_news(Lag *lag, uint64_t now, uint64_t *ret_next);
