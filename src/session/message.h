/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Frames from the wire as typed messages: the only place that looks into what
 * peers send. What comes out of here is well-formed: text is UTF-8 without
 * control characters and of bounded length, every pickle has been checked, every
 * field has its type. Formats: scenekeep's wire protocol notes, replication 0.9.10.
 */

#include "base/frames.h"
#include "pickle/scanner.h"
#include "pickle/value.h"

typedef enum MessageType {
        MESSAGE_COMMIT = 1,
        MESSAGE_NODE = 2,
        MESSAGE_COMMAND = 3,
        MESSAGE_DELETE = 4,
        MESSAGE_RIGHT = 5,
        MESSAGE_CONFIG = 6,
        MESSAGE_SNAPSHOT = 7,
        MESSAGE_SERVER_SNAPSHOT = 8,
        MESSAGE_AUTH = 9,
        MESSAGE_DISCONNECT = 10,
        MESSAGE_KICK = 11,
        MESSAGE_CLIENTS_STATE = 12,
        MESSAGE_METADATA = 13,
        MESSAGE_SERVER_INFO = 14,
        _MESSAGE_TYPE_MAX,
} MessageType;

/* The steps of a join (Snapshot) and of an init (ServerSnapshot), as far as clients send them. */
typedef enum MessageStep {
        MESSAGE_STEP_NONE,
        MESSAGE_STEP_REQUEST_INIT,
        MESSAGE_STEP_GET,
        MESSAGE_STEP_DONE,
        MESSAGE_STEP_INIT,
        MESSAGE_STEP_SET,
        MESSAGE_STEP_END,
} MessageStep;

/* Part of a decoded message; a NULL data is Python's None. Not NUL-terminated. */
typedef struct MessageText {
        const uint8_t *data;
        size_t size;
} MessageText;

typedef struct MessageNode {
        Bytes *uuid;
        Bytes *owner;        /* NULL in a Commit */
        Bytes *dependencies; /* pickle of a list of str, or of None */
        Bytes *payload;      /* Node: scanned pickle of a dict; Commit: delta, not looked at */
} MessageNode;

typedef struct Message {
        MessageType type;
        MessageStep step;
        Bytes *owner; /* commands: the second frame, borrowed */
        MessageNode node; /* Commit, Node, ServerSnapshot SET; each owned */
        Value *data;  /* commands: the decoded pickle */
        MessageText uuid; /* Delete, Snapshot GET */
        MessageText name; /* Auth: AUTH_ID, any text; Right: the new owner; Kick: the user, any text */
        Value *uuids; /* Right, ServerSnapshot INIT: list of str, each a possible uuid; borrowed */
        struct {
                bool admin;
                MessageText server_password, admin_password, version;
        } auth;
} Message;

typedef struct MessageLimits {
        PickleLimits pickle;    /* of Node data and whole commands */
        size_t max_guest_bytes; /* all frames of a message from a peer that is not logged in */
        size_t max_name;        /* bytes of a user name */
} MessageLimits;

/* Returns 0, 1 when the message is malformed (*ret_reason: static text that fits behind "sent a message that "), or
 * -ENOMEM. n_frames may be larger than FRAMES_MAX; guest: from a peer that is not logged in. */
int message_parse(Message *m, const MessageLimits *limits, Channel channel, Bytes *const *frames, size_t n_frames,
                  bool guest, const char **ret_reason);
void message_done(Message *m);

/* The type of a message, without judging the rest; _MESSAGE_TYPE_MAX when there is none. */
MessageType message_peek_type(Bytes *const *frames, size_t n_frames);

/* UTF-8 without control characters, 1 to max bytes? */
bool message_text_is_clean(const void *data, size_t size, size_t max);
