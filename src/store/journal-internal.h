/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "store/internal.h"

struct Pending {
        Pending *next;
        Segment *segment;
        uint64_t offset; /* of the record in it */
        uint64_t head_size;
        uint64_t held; /* bytes of memory that it costs us */
        FormatRecord header;
        Bytes *blob; /* what is written behind the head; NULL: nothing */
        uint8_t head[];
};

static inline uint64_t pending_blob_size(const Pending *p)
{
        return p->blob ? format_align(p->blob->size) : 0;
}

static inline uint64_t pending_size(const Pending *p)
{
        return p->head_size + pending_blob_size(p);
}

/* Whether what is unwritten will be so for a while: nobody waits for it then. */
static inline bool journal_is_behind(const Journal *j)
{
        return j->refusing || j->overdue;
}

/* journal.c: gives every record from `from` on a new place, in a new segment. */
int journal_replace_from(Store *s, Pending *from);
void journal_set_degraded(Store *s, const char *what, const char *segment, int error);
/* The same for a call that takes its time, and for one that seems not to return. */
void journal_set_slow(Store *s, const char *what, const char *consequence);
void journal_set_unanswered(Store *s, const char *what, const char *consequence);
/* It is as slow as it was said to be. */
void journal_still_slow(Store *s);
void journal_clear_degraded(Store *s);

/* journal-write.c */
JournalFile *journal_find_file(Journal *j, const Segment *segment);
int journal_add_file(Journal *j, Segment *segment, int fd);
void journal_close_file(Store *s, JournalFile *file);
/* Writes what is unwritten. 0, STORE_WRITING when the writer's thread has got it to do, or a negative errno after having
 * put the rest aside for another segment. */
int journal_write(Store *s);
/* journal-sync.c: of a sync that failed while a write was under way. */
void journal_sync_failed(Store *s, int error);

/* store_commit() without the sync that it begins when much is owed to the disk. */
int journal_commit(Store *s);
/* Forgets abandoned segments whose records are all in the kernel again, elsewhere, and has them unlinked. */
void journal_unlink_abandoned(Store *s);
int journal_abandon(Store *s, Segment *segment);
