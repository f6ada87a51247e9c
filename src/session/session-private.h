/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The inside of the session, for the files of this room only. */

#include "base/bit-set.h"
#include "base/clock.h"
#include "base/u64-map.h"
#include "session/absent.h"
#include "session/chat-log.h"
#include "session/message.h"
#include "session/node-list.h"
#include "session/session.h"
#include "session/user.h"

/* A Delete or Right goes to a receiver on another connection than the data before it. A client handles one message of
 * each per turn, so a short while after the data was taken is enough, unless Blender stalls for longer than this; a
 * Commit for a node already deleted would make it leave the session. */
#define ORDER_DELAY (1 * USEC_PER_SEC)

/* Data that a user sends so soon after it was sent data of the same node may have been made without it: round trip
 * and a stall of Blender included. */
#define RACE_WINDOW (2 * USEC_PER_SEC)

/* A user who has said nothing for so long may have been stalled all the while: what was sent to it then counts as sent
 * when it speaks again, since it may first send its own changes and then read. */
#define STALL_SILENCE (1 * USEC_PER_SEC)

/* Whose heartbeat has not been heard for so long either had a line that stood still. TCP repeats what is missing on each
 * connection in its own time, which is up to as long again. */
#define LINE_SILENCE (PING_INTERVAL + USEC_PER_SEC)

/* A stale node waits until its user has left it alone for so long, but not longer than the second. */
#define STALE_QUIET (500 * USEC_PER_MSEC)
#define STALE_WAIT_MAX (3 * USEC_PER_SEC)

/* Data for a node deleted this short a time ago was on its way then; it brings nothing back. */
#define LATE_DATA_WINDOW (2 * USEC_PER_SEC)

/* What may have been lost with a connection or with the process: changes up to so long before. */
#define DOUBT_WINDOW (60 * USEC_PER_SEC)

/* And what a client that does not read has not taken for longer than that. Deletes and Rights are remembered for so
 * long, to be repeated. */
#define DOUBT_MAX (60 * DOUBT_WINDOW)

/* When data has waited for a user for so long, it is noted in the journal: what waits is lost with the process. */
#define QUEUE_NOTED (10 * USEC_PER_SEC)

/* Changes are remembered for so long, to be found without a search through all nodes. Longer than the former, as
 * the time without a server comes on top. */
#define CHANGES_KEPT (3 * DOUBT_WINDOW)

/* A returning user is brought up to date after its data channel was quiet for so long, but within the second. */
#define RETURN_QUIET (300 * USEC_PER_MSEC)
#define RETURN_WAIT_MAX (1 * USEC_PER_SEC)

/* A joining or initiating user that says nothing for so long after having been away is told again. */
#define STUCK_WAIT (5 * USEC_PER_SEC)

/* Clients that are alive reconnect to a restarted server in less than this. */
#define RECONNECT_TIME (1 * USEC_PER_SEC)

#define PING_INTERVAL (1 * USEC_PER_SEC)
/* After a restart, until a user answers. */
#define PING_INTERVAL_AWAY (100 * USEC_PER_MSEC)

/* A data channel that is taken for lost, while the command channel stands, is tried after so long, again and again. */
#define KNOCK_INTERVAL (300 * USEC_PER_MSEC)
/* With the smallest of so many nodes that nobody has changed lately when nothing is due to it. */
#define KNOCK_CHOICE 64u
/* The same for the command channel of one whose heartbeat goes on. */
#define COMMAND_KNOCK_INTERVAL (1 * USEC_PER_SEC)

/* Changes of the users' table in quick succession are sent together: the table grows with the number of users, as does
 * the number of those it goes to, so that one for each of a crowd of logins would keep everybody waiting. */
#define TABLE_INTERVAL (100 * USEC_PER_MSEC)

/* Whole nodes sent to one user in one turn. */
#define RESEND_BATCH_BYTES (4u << 20)
#define RESEND_BATCH_NODES 256u

/* Nodes of an init looked at in one turn: well under a millisecond. */
#define INIT_SLICE 512u

/* Nodes up to this size are encoded on the spot, which takes a millisecond or two; larger ones by EFFECT_ENCODE. */
#define ENCODE_SYNC_LIMIT (1u << 20)

#define GRAVES_MAX (1u << 17)
#define GUESTS_MAX 1024u
#define GUEST_TIMEOUT (10 * USEC_PER_SEC)

/* A node deleted within the last minute. */
typedef struct Grave {
        Bytes *uuid;
        uint64_t hash;
        uint64_t deleted_wall;
        uint64_t closed; /* data that arrives before is late, and refused */
} Grave;

/* Rights that have come before their node. */
typedef struct EarlyRight {
        Bytes *owner;   /* that the author of the node wants, borrowed; NULL: nothing, or what nobody may */
        bool by_others; /* somebody else has sent one */
} EarlyRight;

/* A routing id that is not logged in: its heartbeat came before its login, or it has just been let go. */
typedef struct Guest {
        RoutingId id;
        uint64_t until;
        uint64_t ping_sent;
        Heartbeat heartbeat;
        bool has_ttl;
        bool left; /* was a user: what it still sends is nobody's fault */
} Guest;

typedef struct StagedNode {
        Bytes *uuid;
        Bytes *owner, *dependencies;
        Bytes *payload; /* NULL: has not come yet */
        uint64_t version; /* how often it has come */
        StoreLocation location;
        bool has_location;
} StagedNode;

typedef enum InitPhase {
        INIT_ANNOUNCED, /* its uuids are being looked at, and it has not been answered */
        INIT_FILLING,
        INIT_ADOPTING,  /* all is there and journalled, and on its way into the scene */
} InitPhase;

/* An init under way. Its nodes do not count before it is complete. */
typedef struct Init {
        uint32_t user; /* serial of the initiator; 0: while replaying */
        InitPhase phase;
        Bytes *author;
        Value *uuids;     /* INIT_ANNOUNCED: the first n_nodes of them have been looked at */
        size_t n_adopted; /* INIT_ADOPTING: those before are in the scene */
        StagedNode *nodes;
        size_t n_nodes, n_allocated, n_received;
        U64Map by_uuid; /* keyed hash -> index */
        Bytes *dependencies; /* of the node that came last */
        size_t bytes; /* of everything that is held for it */
} Init;

/* node ids of staged nodes, in effects and session_stored() */
#define STAGED_ID(index) (UINT64_C(1) << 63 | (index))
#define STAGED_ID_IS(id) ((id) >> 63)
#define STAGED_ID_INDEX(id) ((id) & ~(UINT64_C(1) << 63))

/* Which nodes were made lately, at most DOUBT_WINDOW ago, or twice that; their ids grow. */
typedef struct NewNodes {
        uint64_t first, middle; /* ids; 0: there are none. The latter is the first that was made at `since` or later */
        uint64_t since, latest; /* latest: when the last one was made */
} NewNodes;

typedef struct Sender {
        uint32_t serial; /* of a user; 0: nobody */
        uint64_t at;     /* CLOCK_MONOTONIC of its last message */
} Sender;

/* Whose nodes are, as somebody has been told in the call being executed. */
typedef struct ToldRights {
        bool all;          /* what rights_tell_all() tells; else */
        Value *uuids;      /* of these; NULL: nobody has been told */
        size_t first, end; /* effects */
} ToldRights;

struct Session {
        SessionConfig config; /* texts are owned */
        MessageLimits limits;
        Scene *scene;
        uint8_t hash_key[16];
        Bytes *type_frames[_MESSAGE_TYPE_MAX];
        Bytes *server, *common;

        bool running;
        bool loading;
        Init *init; /* NULL: none */

        User **users; /* in order of login */
        size_t n_users;
        uint32_t serial;
        bool table_dirty; /* the users' table has changed: due TABLE_INTERVAL after the one before */
        uint64_t table_told;
        uint64_t latency_changed; /* since when the table is wrong about somebody's latency; 0: it is not */
        Value **table_rows;   /* of all users, as far as they have been made in this call */
        size_t n_table_rows;
        Frames *table_common; /* what most users are sent, if it has been made in this call */

        Guest guests[GUESTS_MAX]; /* a ring */
        size_t first_guest, n_guests;

        Grave *graves; /* a queue, oldest first */
        size_t first_grave, n_graves, n_graves_allocated;
        U64Map grave_by_uuid; /* keyed hash -> number of the grave: index + n_graves_dropped */
        uint64_t n_graves_dropped;

        BitSet recent_changes; /* places in the scene of nodes changed within CHANGES_KEPT, and maybe before */
        uint64_t changes_since; /* what has changed since this wall time is in it */
        ChatLog *chat;
        TaskBoard *tasks;
        bool chat_changed, tasks_changed; /* since they were told */
        uint64_t history_told;
        AbsentList absent;

        NewNodes new_nodes;
        U64Map recent_rights; /* node id -> wall time of the last change of its owner, for DOUBT_WINDOW at least */
        uint64_t notes_expired;  /* when those of long ago were dropped last, and what is noted with each user */

        uint64_t last_tick;
        bool sends_wait; /* for the disk */
        uint64_t next_tick; /* when something is due next */
        uint64_t last_wall;    /* of the last loaded state or record: what the process before has seen last */
        U64Map loaded_changes; /* while loading: keyed hash of uuid -> wall time of the node's last change */
        U64Map loaded_rights;  /* the same for its owner */
        bool loaded_gap;       /* while loading: records were missing */
        U64Map loaded_whole;   /* ids of nodes that have come whole since */

        uint64_t bytes_received;
        Sender senders[2]; /* who has sent last, and who was the last one before that was somebody else */
        bool disk_busy;      /* see session_set_disk() */
        uint64_t disk_rate;
        uint64_t n_held;
        uint64_t n_updates, n_refused, n_malformed, n_diverged, n_logins, n_failed_logins, n_joins;
        size_t n_expected, n_kept;

        /* The call being executed. */
        SessionTime now;
        uint64_t set_on, set_on_at; /* by how much somebody has set on the clock of late; when last */
        bool overtakes; /* see session_set_overtaking() */
        uint64_t arrived; /* when the message in hand did: its sender cannot have known what was sent since */
        EffectList *effects;
        ToldRights told;
};

/* Every function below that returns int returns 0, or -ENOMEM unless more is said. */

/* ---- emit.c: effects ---- */

int emit_send(Session *s, const User *u, Channel channel, SendClass class, Frames *frames, uint64_t node_id);
int emit_send_guest(Session *s, const RoutingId *to, Channel channel, Frames *frames);
/* A command of the server. data is taken over, also on failure; NULL is -ENOMEM. */
int emit_command(Session *s, const User *u, MessageType type, Value *data);
int emit_command_all(Session *s, MessageType type, const User *except, Value *data);
int emit_frames_all(Session *s, const User *except, SendClass class, Frames *frames);
int emit_open(Session *s, User *u);
int emit_close(Session *s, const RoutingId *id);
/* So many commands more are known to come from the user, none of which is waited for: while they are many, takes so many bytes
 * of them together. */
int emit_gather(Session *s, const User *u, size_t n_coming, size_t bytes);
/* What a message tells in fields of its own; NULL or 0: nothing. */
typedef struct LogDetails {
        const char *user;    /* when it is none who is logged in */
        const char *address; /* when it is not the user's */
        const char *reason, *node, *admin;
        size_t n_nodes;
} LogDetails;
int emit_log(Session *s, LogLevel level, SessionEvent event, const User *u, const LogDetails *details,
             const char *format, ...) _printf_(6, 7);
int emit_penalty(Session *s, const char *address, unsigned weight);
int emit_save(Session *s, const char *reason);
int emit_encode(Session *s, Node *n);
int emit_ping(Session *s, const RoutingId *to, bool known);

/* The frames of a command of the server; data as above. */
int answer_new(Session *s, MessageType type, Value *data, Frames **ret);
/* The same in the name of a user. */
int answer_from(Session *s, MessageType type, Bytes *owner, Value *data, Frames **ret);
/* Takes over a key-value pair; returns dict, or NULL after releasing everything when any is NULL. */
Value *answer_set(Value *dict, const char *key, Value *value);
/* Takes over an item, NULL for memory. 0 or -ENOMEM. */
int answer_append(Value *list, Value *item);

/* state.c: the dict of a session's state, all but what save.c adds in slices. */
int state_save_head(const Session *s, SessionTime t, Value **ret);
Value *answer_text(const Bytes *b);
/* A message of these frames, which it references. */
int answer_of(Bytes *const *parts, size_t n_parts, Frames **ret);
/* The frames of a whole Node. */
int answer_node(Session *s, Node *n, Bytes *payload, Frames **ret);
/* The same for one that joins, as {'STATE': 'SET', 'DATA': [frames]}. Its pickle is written down and not built of values: it
 * is made once for each node and each user. */
int answer_node_set(Session *s, Node *n, Bytes *payload, Frames **ret);

/* ---- journal.c: records ---- */

/* Each takes references of its own; NULL where there is nothing. */
int journal(Session *s, RecordKind kind, const User *author, Bytes *key, Bytes *meta, Bytes *blob);
int journal_node(Session *s, const User *author, const MessageNode *node, Bytes *owner, uint64_t node_id,
                 uint64_t version);
int journal_refused(Session *s, const User *author, const MessageNode *node, const char *reason);
int journal_right(Session *s, const User *author, const Bytes *owner, const NodeList *nodes);
int journal_user(Session *s, const User *u);
RecordUser user_record(const User *u);
int journal_state(Session *s, const User *author, RecordState state);

/* ---- session.c ---- */

/* Around every public call. */
void session_enter(Session *s, SessionTime t, EffectList *effects);
void session_note_time(Session *s, SessionTime t);

/* The wall time of so long ago, as what happened then has noted it: earlier where somebody has set on the clock since. */
uint64_t session_wall_before(const Session *s, uint64_t usec);
int session_leave(Session *s, int r);

/* What a message says before it is looked at: that its sender (NULL: a stranger) is there. 0; 1: it is not to be looked
 * at; or -errno. */
int session_greet(Session *s, Channel channel, const RoutingId *from, User *u, const char *address,
                  Bytes *const *frames, size_t n_frames);
/* A message whose parsing has ended with `parsed`; takes over m. */
int session_take(Session *s, Channel channel, const RoutingId *from, User *u, const char *address, int parsed,
                 const char *reason, Message *m, Bytes *const *frames, size_t n_frames);

uint64_t session_hash(const Session *s, const void *data, size_t size); /* keyed, never 0 */
User *session_find_user(const Session *s, const RoutingId *id);
User *session_find_name(const Session *s, const void *name, size_t size);
User *session_find_serial(const Session *s, uint32_t serial);
/* Something is due at this time. */
static inline void session_need(Session *s, uint64_t when)
{
        s->next_tick = MIN(s->next_tick, when);
}
int session_add_user(Session *s, User *u); /* takes it over on success */
void session_remove_user(Session *s, User *u); /* does not free it */
bool session_has_scene(const Session *s);  /* running, with nodes */
/* Counts, logs and penalises a message. */
int session_malformed(Session *s, const User *u, const char *address, const char *reason);
/* The same for one that is well-formed but not allowed; not penalised where an honest client can come to send it. */
int session_forbidden(Session *s, User *u, const char *reason, bool honest);

/* ---- charge.c ---- */

/* What a user sends is charged to it; one who sends too much is held back. */
int charge_message(Session *s, User *u, Channel channel, Bytes *const *frames, size_t n_frames);
bool charge_holds(const Session *s, const User *u); /* now */

/* ---- login.c ---- */

int login_auth(Session *s, const RoutingId *from, const char *address, const Message *m, Bytes *const *frames);
/* Decides about the logins that have waited for whether the holder of their name comes back. */
int login_tick(Session *s);
/* The peer is gone before it was decided about its login. */
void login_forget(Session *s, const RoutingId *from);
int login_server_info(Session *s, const RoutingId *from, User *u);
/* The user is gone: locks, journal, table, save. reason fits behind "NAME has left: ". */
int login_leave(Session *s, User *u, const char *reason);
/* Tells it why, and lets go. */
int login_kick(Session *s, User *u, const char *reason);
int login_kick_message(Session *s, User *u, const Message *m);
Guest *guest_find(Session *s, const RoutingId *id);
Guest *guest_add(Session *s, const RoutingId *id);

/* ---- init.c ---- */

int init_message(Session *s, User *u, Message *m);
int init_abandon(Session *s, const User *u, const char *reason);
int init_answer(Session *s, User *u, const char *state);
/* The initiator has heard that its init is complete. */
int init_proved(Session *s, User *u);
/* For replay. */
Init *init_new(Bytes *author, uint32_t serial);
int init_replay_node(Session *s, Init *init, const MessageNode *node, const StoreLocation *location);
/* Puts what has been staged into the scene, at most `max` more; running when that is all. 1: there are more. */
int init_adopt(Session *s, Init *init, size_t max, uint64_t wall);
/* Goes on with what takes too long to be done at once. */
int init_step(Session *s);
/* Whoever is about to change the scene finds all of it there. */
int init_settle(Session *s);
/* session_stored() of a staged node; init may be NULL. */
void init_stored(Init *init, size_t index, uint64_t version, const StoreLocation *location, Bytes *mapped);
bool init_location(const Init *init, size_t index, uint64_t version, StoreLocation *ret);
Init *init_free(Init *init);
DEFINE_CLEANUP(Init *, init_free)

/* ---- join.c ---- */

int join_message(Session *s, User *u, const Message *m);
/* Sends the catalog to one who is in the lobby. */
int join_offer(Session *s, User *u);
int join_offer_lobby(Session *s);
int join_done(Session *s, User *u);
/* The user, whose DONE may have been lost, sends what only an active client sends; or, also_lobby, what one in the
 * lobby sends as well but not one that fetches its nodes. */
int join_evidence(Session *s, User *u, bool also_lobby);
/* A node that somebody waits for has been encoded, or could not be, or is gone. */
int join_answer_waiting(Session *s, uint64_t node_id, bool failed);
/* For a user that has come back: what it had asked for last, and what was sent ahead, may be lost. Goes on from there with a
 * new catalog where it is sure that the user takes one. */
int join_resume(Session *s, User *u);
/* Says again what a client that has come back seems not to have got. */
int join_retry(Session *s, User *u);

/* ---- relay.c ---- */

int relay_message(Session *s, User *u, const Message *m, Bytes *const *frames, size_t n_frames);

/* ---- stale.c: users who are owed whole nodes ---- */

bool stale_has(const User *u, const Node *n);
/* Not before `due`. A mark that is there already is put off, within bounds. */
int stale_mark(Session *s, User *u, const Node *n, uint64_t due);
/* Marks each node changed since that wall time; 0: every node. */
int stale_mark_changed_since(Session *s, User *u, uint64_t wall);
/* The node is gone. */
void stale_forget(Session *s, uint64_t node_id);
/* The node has changed, at the wall time that it says. */
int stale_note_changed(Session *s, const Node *n);
/* Are all changes since that wall time among recent_changes? Else each node has to be asked. */
bool stale_knows_since(const Session *s, uint64_t wall);
bool stale_has_changed_since(const Node *n, uint64_t wall);
/* The next of recent_changes from this place on, which moves on behind it; NULL: there is none. Begins at 0. */
Node *stale_next_change(const Session *s, uint32_t *place);
void stale_expire_changes(Session *s);
/* May data go to this user now? */
bool stale_can_send(const Session *s, const User *u);
/* Sends what is due and can be sent. */
int stale_send(Session *s, User *u);
/* Logs that it has fallen behind, or has caught up with the others, where that is worth a line. */
int stale_tell_lag(Session *s, User *u);
/* A client that only listens never announces its data channel, so whether it stands shows only when something is sent.
 * Sends one node that the user may lack, which all come once the channel is found to stand. */
int stale_knock(Session *s, User *u);
/* Was data of the node sent to the user so recently that what it sends may have been made without it? */
bool stale_is_race(const Session *s, const User *u, Node *n);
/* When data of the node was last sent to the user, within the last minute; 0: before. */
uint64_t stale_last_sent(const Session *s, const User *u, Node *n);
/* Was data of the node passed on within that time, to whomever? */
bool stale_was_passed_on(const Session *s, Node *n);
/* Data of the node by this author is being passed on. */
void stale_note_sent(Session *s, Node *n, const User *author);
/* Drops what no longer matters. */
void stale_expire(Session *s, User *u);

/* ---- order.c: Deletes and Rights behind data ---- */

/* Sends the Delete now, or when it cannot overtake data any more. *ret_when: which is then. */
int order_delete(Session *s, User *u, Node *n, Frames *frames, uint64_t *ret_when);
/* One that a client may have missed, behind the data that may still be on its way to it. */
int order_repeat_delete(Session *s, User *u, const Bytes *uuid);
/* A user has made the node. */
void order_note_new(Session *s, const Node *n);
/* Rights for the nodes have just been sent to everybody: they are said again later to those to whom they may have overtaken
 * a node itself. */
int order_rights_sent(Session *s, const NodeList *nodes);
/* Tells another user what is in s->told. */
int order_repeat_told(Session *s, const User *u);
/* What has been told in this call is out of date, or the call at its end. */
void order_forget_told(Session *s);
/* All Rights that a client may have missed, now, and again behind the data that may still be on its way to it. */
int order_rights(Session *s, User *u);
/* Whether it has not been told yet that the node is deleted. */
bool order_holds_delete(const Session *s, const User *u, const void *uuid, size_t size);
int order_send_due(Session *s, User *u);
/* What waits has to wait until the data channel is found again. */
void order_suspend(User *u);
/* Something has arrived that others may have waited for. */
void order_drained(Session *s, User *u);

/* ---- grave.c ---- */

int grave_dig(Session *s, const void *uuid, size_t size, uint64_t closed);
const Grave *grave_find(const Session *s, const void *uuid, size_t size);
int grave_add(Session *s, Bytes *uuid, uint64_t wall, uint64_t closed);
void grave_remove(Session *s, const void *uuid, size_t size);
/* Somebody is being told only now: what arrives before then is late. */
void grave_keep_closed(Session *s, const void *uuid, size_t size, uint64_t until);
void grave_expire(Session *s);
/* i below n_graves, oldest first. */
const Grave *grave_at(const Session *s, size_t i);
/* The list without those deleted lately; 1 when there are none in it. */
int grave_clean_dependencies(Session *s, Bytes *dependencies, Bytes **ret);

/* ---- rights.c ---- */

int rights_message(Session *s, User *u, const Message *m, Bytes *const *frames);
int rights_delete(Session *s, User *u, const Message *m, Bytes *const *frames);
/* The node's owner has changed at that wall time. */
int rights_note(Session *s, const Node *n, uint64_t wall);
/* Tells one user who owns a node. */
int rights_tell(Session *s, const User *u, Node *n);
/* The same of several, in one message for each owner; the list is empty then. */
int rights_tell_owners(Session *s, const User *u, NodeList *nodes);
/* Tells one user of all nodes whose owner may not be known to a client that was away. 1: there were some. */
int rights_tell_all(Session *s, const User *u);
/* A node has been made, with the owner that it was sent with (`as_sent`) or another one: tells those who do not know by the
 * Node itself. */
int rights_created(Session *s, const User *author, Node *n, const EarlyRight *early, bool as_sent);
/* Releases every lock of a name; `except` is not told. */
int rights_release(Session *s, Bytes *owner, const User *except);
bool rights_may_edit(const Session *s, const User *u, const Node *n);
/* By the server itself: checks nothing, tells all. */
int rights_give(Session *s, Node *n, Bytes *owner);
/* u: who deletes, NULL for the server. frames: the Delete to pass on. */
int rights_remove(Session *s, User *u, Node *n, Frames *frames);

/* ---- early-right.c ---- */

/* The node is not there, and the user wants it to have that owner. */
int early_right_note(Session *s, User *u, const void *uuid, size_t size, const Bytes *owner);
/* The author is about to make the node: what has been said of it, all of which is forgotten. */
EarlyRight early_right_take(Session *s, const User *author, const void *uuid, size_t size);
/* The user has deleted the node, which is still on its way. */
int early_delete_note(Session *s, User *u, const void *uuid, size_t size);
/* This is that node; its next one is not. */
bool early_delete_take(const Session *s, User *u, const void *uuid, size_t size);
/* The node is gone, for everybody or (not NULL) for one. */
void early_right_forget(Session *s, User *author, const void *uuid, size_t size);

/* ---- metadata.c ---- */

int metadata_message(Session *s, User *u, const Message *m, Bytes *const *frames);
int metadata_flush(Session *s, User *u);
/* All others have a table with it: passes on what has waited for that. */
int metadata_announced(Session *s, User *u);
Value *metadata_value(const User *u); /* new; an empty dict when there is none; NULL: memory */
/* Everything that lasts, now. */
int metadata_settle(Session *s, User *u);
bool metadata_is_good(Bytes *pickle); /* can be read, and is a dict */

/* ---- history.c: chat and tasks ---- */

int history_new(Session *s);
void history_free(Session *s);
/* Takes chat and tasks out of the fields that a user has sent, and out of its metadata what is replaced by that. 1: fields
 * have been removed, 0: none. */
int history_take(Session *s, User *u, Value *fields, Value *metadata);
/* Bytes in the fields that the user was told by the server. */
size_t history_own_size(const Value *fields);
int history_adopt(Session *s, User *u);
/* A ChatResult, or the change of a task that has been made: journals, to be told. author NULL: the server. */
int history_chat(Session *s, const User *author, json_object *item, bool last);
int history_task(Session *s, const User *author, const char *id, const Task *task);
/* The user in whose entry another one is told. */
const User *history_carrier(const Session *s, const User *to);
/* Is it told the same, in the same place, as most others? */
bool history_is_common(const Session *s, const User *to);
/* Adds what `to` is told to the metadata of its carrier, and takes out what would make it send that back. */
int history_put(const Session *s, const User *to, Value *metadata);
/* Sends what has changed, when it is time. */
int history_tell(Session *s);
int history_came(Session *s, User *u);
int history_left(Session *s, const User *u);
/* 0, 1 when it makes no sense, -ENOMEM. */
int history_replay_chat(Session *s, const SessionRecord *record);
int history_replay_task(Session *s, const SessionRecord *record);
int history_replay_holder(Session *s, const void *name, size_t name_size, const Bytes *holder);
int history_load_task(Session *s, const void *text, size_t size, const char *author);

/* ---- history-state.c ---- */

Value *history_save(const Session *s, Value *state); /* takes it over and returns it, or NULL */
int history_load(Session *s, const Value *state);

/* ---- table.c ---- */

/* To everybody, at once, which announces those who are new. */
int table_send_all(Session *s);
int table_send(Session *s, const User *u);
/* The latency of a user has been measured. */
void table_note_latency(Session *s, const User *u);
/* Sends what has changed, when it is time. */
int table_tell(Session *s);
/* One user has been let in: it needs the table now. */
int table_send_login(Session *s, const User *u);
/* What has been made of the table in this call is out of date. */
void table_forget(Session *s);

/* ---- replay.c ---- */

/* As in the journal. 0, 1 when it makes no sense, -ENOMEM. */
int replay_user(Session *s, const void *name, size_t name_size, const RecordUser *record);
int replay_metadata(Session *s, const void *name, size_t name_size, Bytes *metadata);

/* ---- presence.c ---- */

int presence_ttl(Session *s, const RoutingId *from, User *u, const char *address, Bytes *const *frames,
                 size_t n_frames);
/* A message on the command or ttl channel, or a found connection: the user is there. */
int presence_heard(Session *s, User *u, Channel channel);
int presence_lost(Session *s, User *u, Channel channel);
int presence_found(Session *s, User *u, Channel channel);
int presence_tick(Session *s);
/* What was sent to the user after this wall time may still lie somewhere on the way. */
uint64_t presence_doubt_wall(const Session *s, const User *u);
/* Deletes and Rights before this wall time have reached everybody. */
uint64_t presence_settled_wall(const Session *s);
