/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What is known of the tasks that a client holds in its memory. Nothing but what it
 * sends tells of that, so it is kept over a restart of the server, and for a user who
 * comes back with the same Blender. Pure.
 */

#include "base/bytes.h"
#include "session/task-board.h"

typedef struct TaskHeld {
        uint64_t id_hash;
        uint64_t digest;
} TaskHeld;

typedef struct TaskHolder {
        uint64_t joined;   /* stamp of the board at its login */
        uint64_t before;   /* stamp up to which the user of that name had been there before */
        uint64_t read;     /* what was there at this stamp it has read since */
        bool synced;       /* has sent its tasks since */
        TaskHeld *held;    /* what it sent last; unless synced, what the user sent when there before */
        size_t n_held;
        uint64_t doubtful; /* hash of the id that its last message may have deleted; 0: none */
        uint64_t doubtful_since; /* CLOCK_REALTIME in microseconds */
} TaskHolder;

void task_holder_done(TaskHolder *h);

/* What was sent of the task whose id has that hash; NULL: it was not. */
const TaskHeld *task_holder_find(const TaskHolder *h, uint64_t id_hash);
/* Has it sent the task as it now is, since its login? Such need not be told to it. */
bool task_holder_has(const TaskHolder *h, const Task *task);

/* Everything but the doubt, as in the journal and snapshots: joined, before, read (u64 each), synced (u8), then hash and
 * digest (u64 each) of what is held. NULL: memory. */
Bytes *task_holder_save(const TaskHolder *h);
/* And back. 0, 1 when it has another form, -ENOMEM. */
int task_holder_load(TaskHolder *h, const Bytes *bytes);
/* The user has left at that stamp and is back: with the memory of then, or with none. */
void task_holder_return(TaskHolder *h, uint64_t left, uint64_t joined);
