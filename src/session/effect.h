/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the session wants done. The session is pure: it takes a message or an
 * event and answers with a list of effects; the manager executes them in
 * order. So the rule that durability rests on, journal before relay, is a
 * matter of order in this list and can be tested without a socket or a disk.
 */

#include "base/bytes.h"
#include "base/frames.h"
#include "base/routing-id.h"
#include "scene/fold.h"
#include "session/record.h"

typedef enum EffectKind {
        EFFECT_JOURNAL, /* append a record; when it carries a node's payload, report its place with
                         * session_stored() */
        EFFECT_SEND,
        EFFECT_OPEN,    /* the peer has logged in (or is expected back): keep an outbox for it on all channels. When it
                         * has one already: call session_peer_found() again for the channels that are connected */
        EFFECT_CLOSE,   /* forget the peer; what is queued on the command channel (a Disconnect) still goes out */
        EFFECT_SAVE,    /* take a snapshot */
        EFFECT_ENCODE,  /* encode this node's bytes anew in the background, then session_encoded(), always */
        EFFECT_LOG,
        EFFECT_PENALTY, /* malformed traffic or a failed login: count it against the peer's address */
        EFFECT_HOLD,    /* the peer sends more than it may: take nothing more from it on this channel for a while */
        EFFECT_GATHER,  /* more will come from the peer on this channel, and none of it is waited for: take several messages
                         * together for a while; or no longer */
} EffectKind;

/* How an outbox treats a message when its receiver is slow. */
typedef enum SendClass {
        SEND_CONTROL,  /* in order, never dropped; too many of them end the connection */
        SEND_BULK,     /* Node and Commit: refused when the outbox is full, see session_send_refused(); taken but
                        * not handed to the socket at once, see session_send_queued() */
        SEND_TABLE,    /* UpdateClientsState: goes to the end of the command channel's queue; tables and presence
                        * queued before it are dropped, as it holds everything that they say. Nothing else may be
                        * done: a client fails on the presence of a user whom its table does not list, so a table
                        * must not move in front of presence, nor presence past a table */
        SEND_PRESENCE, /* UpdateUserMetadata: dropped when the outbox is not empty enough, then
                        * session_send_refused() as well */
        SEND_PING,     /* heartbeat: at most one queued, never waits behind anything */
        SEND_ANSWER,   /* to a peer that is not logged in: best effort, nothing is kept for it */
} SendClass;

typedef enum LogLevel {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
} LogLevel;

/* One operator-facing event each; the daemon maps them to MESSAGE_IDs. */
typedef enum SessionEvent {
        SESSION_EVENT_NONE,
        SESSION_EVENT_LOGIN,
        SESSION_EVENT_LOGIN_REFUSED,
        SESSION_EVENT_LEFT,
        SESSION_EVENT_KICKED,
        SESSION_EVENT_RETURNED,
        SESSION_EVENT_INIT_STARTED,
        SESSION_EVENT_INIT_DONE,
        SESSION_EVENT_INIT_ROLLED_BACK,
        SESSION_EVENT_JOINED,
        SESSION_EVENT_MALFORMED,
        SESSION_EVENT_FORBIDDEN,
        SESSION_EVENT_DIVERGED,
        SESSION_EVENT_BEHIND,
        SESSION_EVENT_CAUGHT_UP,
        SESSION_EVENT_HELD,
        _SESSION_EVENT_MAX,
} SessionEvent;

typedef struct Effect {
        EffectKind kind;
        union {
                struct {
                        SessionRecord record; /* owned */
                        uint64_t node_id;     /* RECORD_NODE that was accepted: tell session_stored() where its */
                        uint64_t version;     /* payload is, with these two; node_id 0: nothing to tell */
                } journal;
                struct {
                        RoutingId to;
                        Channel channel;
                        SendClass class;
                        Frames *frames;   /* owned */
                        uint64_t node_id; /* SEND_BULK: the scene's handle of the node, for
                                           * session_send_refused() */
                } send;
                struct {
                        RoutingId peer;
                } open, close;
                struct {
                        char *reason; /* owned: "user_disconnect:NAME" */
                } save;
                struct {
                        uint64_t node_id;
                        uint64_t version;
                        SceneFold *fold; /* owned: what to run on another thread, scene_fold_run() */
                } encode;
                struct {
                        LogLevel level;
                        SessionEvent event;
                        char *user;    /* owned, may be NULL */
                        char *address; /* owned, may be NULL */
                        char *reason;  /* likewise: why */
                        char *node;    /* likewise: uuid */
                        char *admin;   /* likewise: who did it to the user */
                        uint64_t n_nodes; /* 0: it is not about a number of them */
                        char *text;    /* owned */
                } log;
                struct {
                        char *address; /* owned */
                        unsigned weight;
                } penalty;
                struct {
                        RoutingId peer;
                        Channel channel;
                        uint64_t until; /* CLOCK_MONOTONIC, microseconds */
                } hold;
                struct {
                        RoutingId peer;
                        Channel channel;
                        size_t bytes; /* 0: no longer */
                } gather;
        };
} Effect;

typedef struct EffectList {
        Effect *items;
        size_t n_items, n_allocated;
        size_t bytes; /* of all messages in it, one that goes to several counted for each */
} EffectList;

/* Empties the list, releasing what the effects own; keeps the allocation. */
void effect_list_clear(EffectList *list);
/* Releases everything. */
void effect_list_done(EffectList *list);
/* A new zeroed effect at the end, NULL when memory is short. */
Effect *effect_list_push(EffectList *list, EffectKind kind);
