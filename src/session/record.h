/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/bytes.h"

/* What the session writes to the journal. The numbers are part of the on-disk format, scenekeep-store(5). */
typedef enum RecordKind {
        RECORD_NODE = 1,     /* key uuid, meta owner + dependencies, blob data pickle */
        RECORD_COMMIT = 2,   /* key uuid, meta dependencies, blob delta pickle */
        RECORD_DELETE = 3,   /* key uuid */
        RECORD_RIGHT = 4,    /* meta owner + uuids */
        RECORD_STATE = 5,    /* lobby, initialising, running; meta says which */
        RECORD_USER = 6,     /* key name, meta routing id, admin, status, presence: login and every change */
        RECORD_METADATA = 7, /* key name, blob metadata pickle as it is after the change */
        RECORD_LEFT = 8,     /* key name */
} RecordKind;

typedef struct SessionRecord {
        RecordKind kind;
        bool refused;  /* kept for `scenekeepctl log` only: changes nothing when replayed; meta starts with the
                        * reason */
        Bytes *author; /* user name, may be NULL */
        Bytes *key;
        Bytes *meta;   /* may be NULL */
        Bytes *blob;   /* may be NULL */
} SessionRecord;

void session_record_done(SessionRecord *record);
