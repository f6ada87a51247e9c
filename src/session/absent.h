/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What is kept of users who have left, for when they come back. Pure. */

#include "base/bytes.h"
#include "base/macros.h"

/* Of so many users, those who left last. */
#define ABSENT_MAX 256u

typedef struct Absent {
        Bytes *name;
        Bytes *metadata;      /* pickle of a dict, as User.metadata_kept; may be NULL */
        Bytes *tasks;         /* as task_holder_save(); may be NULL */
        uint64_t tasks_stamp; /* of the board when the user left */
} Absent;

typedef struct AbsentList {
        Absent items[ABSENT_MAX]; /* who left first comes first */
        size_t n;
} AbsentList;

void absent_list_done(AbsentList *list);

/* Remembers a user, in place of what there was of the name; takes references. */
void absent_put(AbsentList *list, Bytes *name, Bytes *metadata, Bytes *tasks, uint64_t tasks_stamp);

/* Takes out what there is of a name, to be released with absent_done(). False: nothing. */
bool absent_take(AbsentList *list, const void *name, size_t size, Absent *ret);
void absent_done(Absent *a);
