/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The session: its state, its users, and what every message does to them.
 * Pure: no fd, no clock, no log; `now` is CLOCK_MONOTONIC in microseconds,
 * `wall` is CLOCK_REALTIME in microseconds, and everything that has to happen
 * outside comes back as effects, in the order in which it has to happen.
 *
 * Return values: 0, or -ENOMEM, upon which the state may be half changed: end
 * the process and start again from the journal. Bad input is not an error: it
 * is answered, counted and logged by effects.
 */

#include "pickle/scanner.h"
#include "scene/scene.h"
#include "session/budget.h"
#include "session/chat-log.h"
#include "session/effect.h"
#include "session/task-board.h"

typedef struct Session Session;

typedef struct SessionConfig {
        const char *server_password; /* NULL: none; accepts None and '' */
        const char *admin_password;  /* NULL: no one becomes admin by password, None and '' accepted */
        const char *const *accepted_versions; /* NULL-terminated */
        uint64_t timeout_usec;         /* silence on the ttl channel after which a client has left */
        uint64_t reconnect_grace_usec; /* after its command connection is gone */
        size_t max_users, max_user_name, max_metadata, max_nodes;
        size_t max_init_bytes;         /* held for an init under way, everything included */
        size_t max_node_bytes;
        size_t chat_history;           /* messages told to those who join; 0: chat is passed on and not kept */
        size_t graph_cache_bytes;
        size_t join_ahead_bytes;       /* nodes sent to a joining client before it asks; 0: one node a round trip */
        BudgetRate rate;               /* of one client on each of command and data */
        PickleLimits pickle_limits;
} SessionConfig;

typedef struct SessionTime {
        uint64_t now;
        uint64_t wall;
} SessionTime;

/* Copies the configuration. */
int session_new(Session **ret, const SessionConfig *config);
Session *session_free(Session *s);
DEFINE_CLEANUP(Session *, session_free)

/* Applies a changed configuration to the running session. */
int session_reconfigure(Session *s, const SessionConfig *config);

Scene *session_scene(Session *s);

/* A message from the wire. `frames` without routing id; n_frames may be anything, 0 and above FRAMES_MAX
 * included (then only the first FRAMES_MAX are there). `address` is the peer's, for log and penalties. */
int session_receive(Session *s, SessionTime t, Channel channel, const RoutingId *from, const char *address,
                    Bytes *const *frames, size_t n_frames, EffectList *effects);

/* What carrying out a message has cost, CPU time in microseconds, where that is much. A small one can cost as much as the
 * node it changes is large. Whoever takes more than half of the time is held back, and put out when that is not enough. */
int session_charge_work(Session *s, SessionTime t, const RoutingId *from, uint64_t usec, EffectList *effects);

/* To be said before a Delete is handed over, and good for that: part of the sender's data has come whose rest is still on
 * its way, so that nodes that it has made and deleted since may come after this. */
void session_set_overtaking(Session *s, bool overtakes);

/* A message on its way into the session. What takes time with a large one is checking its pickles, which can be done on
 * another thread while the session goes on with what others send; what the same peer sends has to wait behind it. */
typedef struct SessionIntake SessionIntake;

/* References the frames, and notes that the peer was heard: later, when its connection may be gone, this says nothing about
 * it any more. 1: the peer is not logged in, so there is nothing to be gained. */
int session_intake_new(Session *s, SessionTime t, Channel channel, const RoutingId *from, const char *address,
                       Bytes *const *frames, size_t n_frames, EffectList *effects, SessionIntake **ret);
/* Does that work; on any thread. */
void session_intake_run(SessionIntake *i);
/* The payload of the node that it carries, borrowed; NULL: it carries none. */
Bytes *session_intake_payload(const SessionIntake *i);
/* The rest of session_receive(). What somebody sent who has left since is dropped. */
int session_receive_intake(Session *s, SessionTime t, SessionIntake *i, EffectList *effects);
SessionIntake *session_intake_free(SessionIntake *i); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(SessionIntake *, session_intake_free)

/* The connection that carried this channel of the peer is gone (NetCallbacks.peer_lost), or is there (again)
 * (peer_connected); unknown peers are ignored. Losing the command channel begins the grace time; losing any makes what
 * was under way on it doubtful: when the channel is back, the session sends again what may have been lost. */
int session_peer_lost(Session *s, SessionTime t, Channel channel, const RoutingId *peer, EffectList *effects);
int session_peer_found(Session *s, SessionTime t, Channel channel, const RoutingId *peer, EffectList *effects);

/* A SEND_BULK or SEND_PRESENCE was not taken: the outbox is full; or a SEND_PING, as one waits there. The node is stale for
 * that user from now on, until session_outbox_drained(). */
int session_send_refused(Session *s, SessionTime t, const RoutingId *peer, SendClass class, uint64_t node_id,
                         EffectList *effects);

/* A SEND_BULK was taken but waits in the outbox. Until session_outbox_drained() the session holds back Deletes and
 * Rights that would overtake, on the command channel, what waits there. */
void session_send_queued(Session *s, SessionTime t, const RoutingId *peer);

/* SEND_BULK is on its way to the peer, and commands would overtake it; what waits in the outbox is, later.
 * session_delivered(): what was sent before that time has arrived; `all` of it, or the rest is still to come. */
void session_send_laden(Session *s, SessionTime t, const RoutingId *peer);
void session_delivered(Session *s, SessionTime t, const RoutingId *peer, uint64_t until, bool all);

/* The peer's data queue has become empty, after session_send_queued() or session_send_refused(). */
int session_outbox_drained(Session *s, SessionTime t, const RoutingId *peer, EffectList *effects);

/* The peer stayed over its limit for too long: tell it why and let go. */
int session_disconnect(Session *s, SessionTime t, const RoutingId *peer, const char *reason,
                       EffectList *effects);
/* By user name, for the operator; 1 when there is no such user. */
int session_kick(Session *s, SessionTime t, const char *name, const char *reason, EffectList *effects);

/* ---- the operator's hand: journalled and sent as if a user had done it, without an author ---- */

/* A whole node, new or in place of the one with this uuid, whose owner stays. `dependencies` is a scanned pickle of a list
 * of str or of None, `payload` a scanned pickle. 0; 1 while an init is under way. */
int session_put(Session *s, SessionTime t, const void *uuid, size_t uuid_size, Bytes *dependencies, Bytes *payload,
                EffectList *effects);

/* After the last session_put() of several: sends them, and lets those in who wait in the lobby of a session that was
 * empty. */
int session_put_done(Session *s, SessionTime t, EffectList *effects);

/* 1: there is no such node. */
int session_delete(Session *s, SessionTime t, const void *uuid, size_t uuid_size, EffectList *effects);

/* Locks a node for a user who is there, or releases it (SCENE_OWNER_COMMON). 1: no such node, 2: no such user. */
int session_set_owner(Session *s, SessionTime t, const void *uuid, size_t uuid_size, const char *owner,
                      EffectList *effects);

/* What is said to all users in the name of the server. 1: chat is not kept here (chat_history is 0), 2: the text is empty,
 * too long or no UTF-8. */
int session_say(Session *s, SessionTime t, const char *text, EffectList *effects);

/* A new task, as clients write them, in which the id and what else is missing is filled in; or a new state of the one with
 * its id. 1: the board is full, 2: it is no task, or too large. *ret_id: a new text. */
int session_put_task(Session *s, SessionTime t, json_object *task, EffectList *effects, char **ret_id);
/* 1: there is no such task. */
int session_delete_task(Session *s, SessionTime t, const char *id, EffectList *effects);

/* To look at; never NULL. */
const ChatLog *session_chat(const Session *s);
const TaskBoard *session_tasks(const Session *s);

/* ---- time ---- */

/* To be said before each tick: whether what is to be sent waits for the disk. A client that is sought cannot be found
 * then, so that time does not count against it. */
void session_sends_wait(Session *s, bool wait);

/* Heartbeats, timeouts, latency, and everything else that waits for its time. *ret_next is the CLOCK_MONOTONIC time at
 * which it wants to be called again; any other call may bring that nearer, see session_next_tick(). */
int session_tick(Session *s, SessionTime t, EffectList *effects, uint64_t *ret_next);
uint64_t session_next_tick(const Session *s);

/* The journal has placed a node's payload: `location` is where it can be mapped from later, `mapped` (may be
 * NULL) the same bytes in the log, to hold instead of the ones received. Ignored when the node is another by now. */
void session_stored(Session *s, uint64_t node_id, uint64_t version, const StoreLocation *location, Bytes *mapped);

/* Where the journal has placed that payload; false when the session no longer holds it. A node of an init that has
 * become the session meanwhile goes by another id and version, which then are in *node_id and *version. */
bool session_location(const Session *s, const Bytes *uuid, uint64_t *node_id, uint64_t *version, StoreLocation *ret);

/* The background has run the fold of an EFFECT_ENCODE, or of a SceneImage that went into a snapshot: `payload` is the
 * node as it was at `version`, NULL when that failed; `location` is where it lies in the log, NULL when nowhere. */
int session_encoded(Session *s, SessionTime t, uint64_t node_id, uint64_t version, Bytes *payload,
                    const StoreLocation *location, EffectList *effects);

/* Starting. First the state of the snapshot, if there is one (then session_tick() and ttl messages may come already:
 * its users get their PINGs, nothing else happens), then the snapshot's nodes, then the journal after it, then done.
 * `wall` is when the record was written. A record that does not make sense is skipped and returns 1; a state that
 * does not, -EBADMSG: nothing of it is then used. session_load_gap(): records are missing between the one before
 * and the one after; Commits to nodes that are not known whole from after the gap are then left out. */
int session_load_state(Session *s, Bytes *state);
int session_load_node(Session *s, Bytes *uuid, Bytes *owner, Bytes *dependencies, Bytes *payload,
                      const StoreLocation *location, uint64_t changed); /* wall time; 0: not known */
int session_load_record(Session *s, const SessionRecord *record, uint64_t wall, const StoreLocation *location);
int session_load_gap(Session *s);
int session_load_done(Session *s, SessionTime t, EffectList *effects);

/* Everything but the nodes, as one blob for a snapshot, gathered in slices: to be begun in the same turn as
 * scene_snapshot_begin(). -EBUSY while an init is under way: its nodes are in the journal
 * only, so no snapshot may come between them. */
typedef struct SessionSave SessionSave;
int session_save_begin(Session *s, SessionTime t, SessionSave **ret);

/* Looks at no more than `max` things. 1: call again; 0: all is there. */
int session_save_step(SessionSave *save, size_t max);

/* The blob, once, when all is there. Needs nothing of the session any more, and may be called in any thread. */
int session_save_finish(SessionSave *save, Bytes **ret);

SessionSave *session_save_free(SessionSave *save);
DEFINE_CLEANUP(SessionSave *, session_save_free)
#define _cleanup_session_save_ _cleanup_(session_save_freep)

typedef struct SessionStatus {
        bool running, initialising;
        size_t n_users, n_nodes;
        size_t n_away; /* of the users, those whose connection is gone and whose name and locks are kept for a while */
        uint64_t payload_bytes;
        uint64_t n_updates, n_refused, n_malformed, n_diverged, n_logins, n_failed_logins;
        uint64_t n_joins;        /* of a scene, to its last node */
        uint64_t n_held;         /* times that a user was held back */
        size_t n_expected, n_kept; /* users there when the process before ended; of them, those who are or were back */
} SessionStatus;
void session_get_status(const Session *s, SessionStatus *ret);

/* ---- what users may send, see charge.c ---- */

/* What the disk allows: with `busy` it takes less than comes in, and those who send most have to wait first; what is
 * kept of one user may not be more than `bytes` a second, 0: as configured. */
void session_set_disk(Session *s, bool busy, uint64_t bytes);

/* Of the messages that users have sent, on command and data, since the start. */
uint64_t session_bytes_received(const Session *s);

/* The user who has sent most of late, where a minute ago counts half, and the scene of an init not at all; false when there
 * is none. Pointers are borrowed until the next call that changes the session. */
typedef struct SessionHeaviest {
        RoutingId id;
        const char *name, *address;
        uint64_t bytes;
        uint64_t others; /* all others together */
} SessionHeaviest;
bool session_heaviest(const Session *s, SessionTime t, SessionHeaviest *ret);

/* One user, for the operator. Pointers are borrowed until the next call that changes the session. */
typedef struct SessionUserInfo {
        const char *name;
        const RoutingId *id;  /* a secret between it and the server */
        const char *address;  /* "" when it is not known yet */
        bool admin;
        bool connected;       /* false: within its grace time, or expected back after a restart */
        bool behind;          /* owed whole nodes */
        int status;           /* as on the wire: 10 lobby, 1 syncing, 2 active */
        uint32_t latency_msec;
        uint64_t since_wall;  /* CLOCK_REALTIME of the login, microseconds */
        uint64_t n_updates;   /* Nodes and Commits accepted from it */
        uint64_t n_refused;
        size_t n_locked;      /* nodes that it owns */
        bool held;            /* sends more than it may, and is not read from for a while */
        uint64_t held_usec;   /* for so long in all */
} SessionUserInfo;

/* Whether somebody with this id is in the session. */
bool session_has_user(const Session *s, const RoutingId *id);
/* Its name, borrowed as above; NULL: it is not. */
const char *session_user_name(const Session *s, const RoutingId *id);

/* The i-th user in order of login: 0, or -ENOENT when i is not below n_users of the status. */
int session_get_user(const Session *s, size_t i, SessionUserInfo *ret);
