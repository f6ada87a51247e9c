/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a client means when it sends its tasks. It sends all that it holds, each
 * time its user adds, changes or deletes one, and only then; one message is one
 * such act, if none was lost on the way. Setting a task to what it is already
 * sends the same once more. It never takes over another's change of a task that it
 * knows, and never forgets one that another has deleted: so most of what it sends is
 * old. And what it reads it reads in order: who knows a task knows all that were
 * told no later. Read as follows:
 *
 * - An id that is neither on the board nor has been deleted, and that the client has
 *   not sent before, is a new task.
 * - A task that differs from what this client sent before is changed. Where it
 *   has not sent it before, whatever its user sent when there the last time, perhaps
 *   from another Blender: if it is no version that the board has had, it is changed;
 *   a version that was there while the client, or its user at a time before, was,
 *   may have been read, so is an old copy; any other is taken for a change
 *   when nothing else explains the message.
 * - A task that this client sent before, and now does not, is deleted.
 * - One that it never sent may not be known to it. If nothing else explains the
 *   message, it is deleted when it is the only one that the client must know: from a
 *   message in which there is a task that was told no earlier, or because the user
 *   sent it when there before; or when the message is empty, and nothing else
 *   can have been deleted.
 * - What is left cannot be decided: a client that has read a task and deletes it
 *   sends the very bytes of one that has not read it and sets another to what it
 *   is. The task stays, so no one's is lost by that. It is told to the
 *   client again, which so shows it again at once; who then deletes it again,
 *   means it.
 */

#include "session/task-holder.h"

/* More in one message are not looked at. */
#define TASK_LIST_MAX 1000u

/* So long after the first a second deletion is not the same message once more, CLOCK_REALTIME in microseconds. */
#define TASK_DOUBT_MIN (UINT64_C(1) * 1000 * 1000)

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
