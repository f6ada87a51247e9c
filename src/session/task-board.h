/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The session's tasks: each once, in the form in which the add-on knows them, and
 * what is remembered to tell a change from an old copy: the digests of the
 * versions before, and the ids of what has been deleted. Pure; who changes what
 * is decided in task-sync.h.
 *
 * Order in the life of the board is told by stamps: a counter that rises with
 * every change.
 */

#include "session/json-item.h"

#define TASK_BOARD_MAX 500u
#define TASK_BOARD_BYTES_MAX (256u << 10)
#define TASK_VERSIONS_MAX 8u
#define TASK_DELETED_MAX 1000u

typedef struct TaskVersion {
        uint64_t digest;
        uint64_t replaced; /* stamp */
} TaskVersion;

typedef struct Task {
        char *id;
        uint64_t id_hash;
        char *author; /* user who brought it; "" when it was the server */
        char *text;   /* JSON object: id, title, description, assigned_to, status, created_by, created_at, object_name */
        size_t text_size;
        uint64_t digest; /* of what can be changed */
        uint64_t added;  /* stamp */
        TaskVersion versions[TASK_VERSIONS_MAX]; /* before this one, oldest first */
        size_t n_versions;
} Task;

/* A task from somewhere, in form. */
typedef struct TaskItem {
        char *id, *text;
        size_t text_size;
        uint64_t digest;
} TaskItem;

void task_item_done(TaskItem *item);
#define _cleanup_task_item_ _cleanup_(task_item_done)

/* 0, 1 when a client would fail on it, 2 when it is too large (*ret has the id only), -ENOMEM. wall: for one that does
 * not say when it was made, CLOCK_REALTIME in microseconds. */
int task_item_read(json_object *o, uint64_t wall, TaskItem *ret);

uint64_t task_id_hash(const char *id);

typedef struct TaskBoard TaskBoard;

TaskBoard *task_board_new(void);
TaskBoard *task_board_free(TaskBoard *b); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(TaskBoard *, task_board_free)
#define _cleanup_task_board_ _cleanup_(task_board_freep)

/* In the order in which they came; borrowed until the next change. */
size_t task_board_length(const TaskBoard *b);
const Task *task_board_get(const TaskBoard *b, size_t i);
const Task *task_board_find(const TaskBoard *b, const char *id);
uint64_t task_board_stamp(const TaskBoard *b);
void task_board_set_stamp(TaskBoard *b, uint64_t stamp); /* when loading; never back */

bool task_board_was_deleted(const TaskBoard *b, const char *id);
/* i-th id that was deleted, oldest first; NULL: no more. */
const char *task_board_deleted(const TaskBoard *b, size_t i);

/* Adds it, or makes it the task's newest version; takes over what is in the item on 0. Returns 0, 1 when the board is
 * full, -ENOMEM. */
int task_board_put(TaskBoard *b, TaskItem *item, const char *author);
/* Removes it, if it is there, and remembers that. 0 or -ENOMEM. */
int task_board_delete(TaskBoard *b, const char *id);

/* When loading: the version that was replaced at a stamp, and the stamp at which it came. */
void task_board_load_version(TaskBoard *b, const char *id, uint64_t digest, uint64_t replaced);
void task_board_load_added(TaskBoard *b, const char *id, uint64_t added);

/* What a client is told: a JSON object of id and task, without those for which is_held says true (NULL: with all).
 * NULL: memory. */
Value *task_board_tell(const TaskBoard *b, bool (*is_held)(const void *userdata, const Task *task), const void *userdata);
