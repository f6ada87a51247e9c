/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Addresses that the operator has shut out, until when: they outlast the daemon in a small file beside the store, see
 * scenekeep-store(5). What the daemon has banned by itself is not among them, and ends with it. */

#include <stddef.h>
#include <stdint.h>

#define BANS_NAME "bans.json"

/* Of more, those that end first are forgotten. */
#define BANS_MAX 1024u

typedef struct Ban {
        char address[64];
        uint64_t until_usec; /* CLOCK_REALTIME */
} Ban;

typedef struct Bans {
        Ban *bans;
        size_t n;
} Bans;

/* What the file says, without what has ended by `now_usec`. One that is not there or makes no sense says nothing. */
void bans_read(Bans *ret, const char *data_dir, uint64_t now_usec);
void bans_done(Bans *b);

/* In place of what there was of the address; until_usec 0: takes it out. 0 or -ENOMEM. */
int bans_set(Bans *b, const char *address, uint64_t until_usec);

/* 0 or -errno. */
int bans_write(const Bans *b, const char *data_dir, uint64_t now_usec);
