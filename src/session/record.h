/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/bytes.h"
#include "base/routing-id.h"

/*
 * What the session writes to the journal. Kinds and the forms of `meta` are
 * part of the on-disk format, scenekeep-store(5). Numbers are little-endian;
 * "short text" is one byte of length and so many bytes.
 */

typedef enum RecordKind {
        RECORD_NODE = 1,     /* key uuid; meta: owner (short text), then the dependency pickle; blob: data pickle */
        RECORD_COMMIT = 2,   /* key uuid; meta: the dependency pickle; blob: delta pickle */
        RECORD_DELETE = 3,   /* key uuid */
        RECORD_RIGHT = 4,    /* meta: the new owner, then uuids (short texts) */
        RECORD_STATE = 5,    /* meta: one byte, RecordState */
        RECORD_USER = 6,     /* key name; meta: RecordUser; at login and when something of it has changed */
        RECORD_METADATA = 7, /* key name; blob: pickle of the metadata fields that last, as they are now */
        RECORD_LEFT = 8,     /* key name */
        RECORD_CHAT = 9,     /* key id; meta: its number and the time that places it (u64 each), then the message (JSON) */
        RECORD_TASK = 10,    /* key id; meta: the task as it now is (JSON); none: it is deleted */
        RECORD_HOLDER = 11,  /* key name; meta: what is known of the tasks that the user's client holds, see task-holder.h */
} RecordKind;

/* RECORD_NODEs of an init count from RECORD_STATE_RUNNING on, if that comes. */
typedef enum RecordState {
        RECORD_STATE_INIT = 1,      /* author has begun to fill the session */
        RECORD_STATE_RUNNING = 2,   /* it is complete */
        RECORD_STATE_ABANDONED = 3, /* it is not: its nodes are dropped */
} RecordState;

enum {
        RECORD_USER_ADMIN = 1 << 0,
        RECORD_USER_EXPECTED = 1 << 1,   /* was told RUNNING and has not asked for the catalog yet */
        RECORD_USER_INITIATING = 1 << 2, /* waits for the outcome of an init */
        RECORD_USER_FETCHING = 1 << 3,   /* has asked for the first node of its catalog */
        RECORD_USER_ASKED_ALL = 1 << 4,  /* and for the last one */
};

/* On disk: u8 version 1, u8 flags, u8 status, u64 since, u64 behind_since, then routing id and address (short texts). */
#define RECORD_ADDRESS_MAX 63u

typedef struct RecordUser {
        uint8_t flags;
        uint8_t status;
        uint64_t since;        /* wall time of the login, microseconds */
        uint64_t behind_since; /* wall time from which it is owed changes; 0: it is not */
        RoutingId id;
        char address[RECORD_ADDRESS_MAX + 1]; /* "" when it is not known */
} RecordUser;

typedef struct SessionRecord {
        RecordKind kind;
        bool refused;  /* kept for `scenekeepctl log` only: changes nothing when replayed; meta begins with the
                        * reason (short text), then as above */
        Bytes *author; /* user name, may be NULL */
        Bytes *key;    /* may be NULL */
        Bytes *meta;   /* may be NULL */
        Bytes *blob;   /* may be NULL */
} SessionRecord;

void session_record_done(SessionRecord *record);

/* The forms of meta; NULL when memory is short. Texts are cut at 255 bytes. */
Bytes *record_meta_node(const Bytes *owner, const Bytes *dependencies);
Bytes *record_meta_refused(const char *reason, const Bytes *meta); /* meta may be NULL */
Bytes *record_meta_state(RecordState state);
Bytes *record_meta_user(const RecordUser *user);
Bytes *record_meta_chat(uint64_t number, uint64_t time, const char *text, size_t size);

/* And back: 0, 1 when it has another form, -ENOMEM. */
int record_read_node(Bytes *meta, Bytes **ret_owner, Bytes **ret_dependencies);
int record_read_state(const Bytes *meta, RecordState *ret);
int record_read_user(const Bytes *meta, RecordUser *ret);
int record_read_chat(const Bytes *meta, uint64_t *ret_number, uint64_t *ret_time, const char **ret_text, size_t *ret_size);

/* The next short text at *offset, which moves behind it. False at the end or when it is cut off. */
bool record_read_text(const Bytes *meta, size_t *offset, const uint8_t **ret, size_t *ret_size);
