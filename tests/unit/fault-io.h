/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A disk that fails on demand. Every call goes through to the real one and is counted; at a chosen call the
 * world stops (as if the process had been killed there), or the call fails or is cut short. With a record of
 * everything that was done, a folder can be made as a power cut would have left it.
 */

#include "store/io.h"

typedef enum FaultKind {
        FAULT_NONE,
        FAULT_STOP_BEFORE, /* nothing from this call on reaches the disk */
        FAULT_STOP_AFTER,
        FAULT_STOP_TORN, /* a write gets through in part, then the world stops */
        FAULT_ENOSPC,    /* this call fails, and is made good later */
        FAULT_EIO,
        FAULT_SHORT,     /* a write gets through in part, and says so */
        _FAULT_MAX,
} FaultKind;

typedef struct FaultIo {
        Io io;
        uint64_t n_calls;
        FaultKind kind;
        uint64_t at;    /* call number, from 1; 0: never */
        uint64_t until; /* failing kinds: calls up to this one fail too */
        bool dead;
        bool hit;
        struct PowerLog *log; /* NULL: none is kept */
} FaultIo;

void fault_io_init(FaultIo *f, FaultKind kind, uint64_t at);

/* Keeps a record of everything from now on, for the folder `root` and those below it. */
void fault_io_record(FaultIo *f, const char *root);
void fault_io_done(FaultIo *f);
size_t fault_io_record_size(const FaultIo *f);

/* Makes the folder `target` (missing) as it may look when the power goes after n_done recorded steps: what
 * was synced is there, of everything else any part. seed decides which. */
void fault_io_power_cut(const FaultIo *f, size_t n_done, uint64_t seed, const char *target);
