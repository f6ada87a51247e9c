/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a client means when it sends its tasks. It sends all that it knows, each
 * time its user adds, changes or deletes one, and only then. It never takes over
 * another's change of a task that it knows, and never forgets one that another
 * has deleted: so most of what it sends is old. Read as follows:
 *
 * - An id that is neither on the board nor has been deleted is a new task.
 * - A task that differs from what this client sent before is changed. Where it
 *   has not sent it before: if it is no version that the board has had, it is
 *   changed; a version that was replaced since the client joined, or may be known
 *   to the user from a time before, is an old copy; any other is taken for a
 *   change when nothing else explains the message.
 * - A task that this client sent before, and now does not, is deleted. One that
 *   it never sent may not be known to it; it counts as deleted when nothing else
 *   explains the message and the client must have known it. That is so when it
 *   was there before a task that the client can have only from here, now or when
 *   the user was there before, or when nothing at all is sent.
 */

#include "session/task-board.h"

/* More in one message are not looked at. */
#define TASK_LIST_MAX 1000u

/* What is known of what a client knows. */
typedef struct TaskHolder {
        uint64_t joined; /* stamp of the board at its login */
        uint64_t before; /* stamp up to which the user of that name had been there before */
        uint64_t read;   /* what was there at this stamp it has read */
        bool synced;     /* has sent its tasks since */
        struct TaskHeld {
                uint64_t id_hash;
                uint64_t digest;
        } *held;         /* what it sent then */
        size_t n_held;
} TaskHolder;

void task_holder_done(TaskHolder *h);

/* Does it hold the task as it now is? Such need not be told to it. */
bool task_holder_has(const TaskHolder *h, const Task *task);

/* Called after each change of the board: the task as it is now, or NULL when `id` has been deleted. Returns 0 or
 * -errno. */
typedef int (*TaskChangedFunc)(void *userdata, const char *id, const Task *task);

typedef enum TaskSyncResult {
        TASK_SYNC_WHOLE,
        TASK_SYNC_PARTLY,    /* some do not fit on the board */
        TASK_SYNC_MALFORMED, /* nothing has been changed */
} TaskSyncResult;

/* Merges what a user's client has sent. wall: CLOCK_REALTIME in microseconds. Returns a TaskSyncResult, -ENOMEM, or what
 * func returned. */
int task_sync(TaskBoard *b, TaskHolder *h, json_object *tasks, const char *user, uint64_t wall, TaskChangedFunc func,
              void *userdata);
