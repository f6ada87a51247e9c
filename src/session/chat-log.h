/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The session's chat: the newest messages, each once, in order. Clients send
 * their last ten known messages with every new one; what is new among them goes
 * into the log, by its id. Pure.
 *
 * Order: a message is placed by the time stamp that its author gave it, but not
 * later than it came; the one that its own author has just sent goes to the end,
 * whatever the author's clock says.
 *
 * Shares: when there is no room for all, one client that has brought more than
 * half of it makes room itself, so that nobody pushes out what others said.
 */

#include "session/json-item.h"

/* As many as a client keeps. */
#define CHAT_LOG_MAX 500u
#define CHAT_LOG_BYTES_MAX (256u << 10)

/* Of one list from a client, so many from its end are looked at. */
#define CHAT_LIST_MAX 500u

typedef struct ChatMessage {
        uint64_t number; /* in order of arrival, from 1, never used again */
        uint64_t time;   /* by which it is placed, CLOCK_REALTIME in microseconds */
        char *id;
        char *author;    /* name of the user who brought it */
        char *text;      /* JSON object: id, username, message, msg_type, metadata, timestamp */
        size_t text_size;
} ChatMessage;

typedef struct ChatLog ChatLog;

ChatLog *chat_log_new(void);
ChatLog *chat_log_free(ChatLog *log); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(ChatLog *, chat_log_free)
#define _cleanup_chat_log_ _cleanup_(chat_log_freep)

/* Oldest first; borrowed until the next change. */
size_t chat_log_length(const ChatLog *log);
const ChatMessage *chat_log_get(const ChatLog *log, size_t i);
uint64_t chat_log_last_number(const ChatLog *log);
/* Everything up to this time has been dropped, and does not come back; 0: nothing. */
uint64_t chat_log_floor(const ChatLog *log);
void chat_log_set_floor(ChatLog *log, uint64_t floor);

typedef enum ChatResult {
        CHAT_NEW,
        CHAT_KNOWN,
        CHAT_MALFORMED, /* a client would fail on it, or it is too large */
        CHAT_PAST,      /* as old as what has been dropped already */
} ChatResult;

/* Merges an item of a client's list. `author`: whose list, NULL: the one who has signed it; `wall`: now, in microseconds;
 * last: it is the last of the list and the sender's own, so it has just been written. Returns a ChatResult (*ret: the
 * message, when CHAT_NEW; borrowed), or -ENOMEM. */
int chat_log_merge(ChatLog *log, json_object *item, const char *author, uint64_t wall, bool last, const ChatMessage **ret);

/* A message as it was in the journal or a snapshot; author NULL: who has signed it; number 0: the next. 0, 1 when it is no
 * message, -ENOMEM. */
int chat_log_load(ChatLog *log, const char *author, uint64_t number, uint64_t time, const char *text, size_t size);

/* A new message in the form of clients, to be merged; NULL: memory. */
json_object *chat_message_new(const char *username, const char *message, uint64_t wall);

/* What clients are told: a JSON list of the newest messages, at most so many and so many bytes; of one author no more than
 * half as long as there is something by others. NULL: memory. */
Value *chat_log_tell(const ChatLog *log, size_t max_messages, size_t max_bytes);
