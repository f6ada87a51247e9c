/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A logged-in user: what it may do, what it has been sent, and whether it is there. Pure data; the rules are in the
 * files that are named after them. Times are `now` of SessionTime in microseconds, 0: never. */

#include "base/bytes.h"
#include "base/clock.h"
#include "base/frames.h"
#include "base/routing-id.h"
#include "base/u64-map.h"
#include "pickle/value.h"
#include "session/budget.h"
#include "session/heartbeat.h"
#include "session/heir.h"
#include "session/lag.h"
#include "session/pace.h"
#include "session/task-sync.h"

/* Milliseconds; what the reference says of a client that has not been measured. */
#define LATENCY_UNKNOWN 999u

/* Metadata of one that is not announced yet. */
#define USER_UNTOLD_MAX 8u

/* As clients know them. */
typedef enum UserStatus {
        USER_SYNCING = 1,
        USER_ACTIVE = 2,
        USER_LOBBY = 10,
} UserStatus;

/* A Delete or Right that has to wait until the data sent before has been taken, see order.c. */
typedef struct HeldCommand {
        uint64_t since;
        uint64_t due;   /* UINT64_MAX: when what was sent before it has been delivered */
        Bytes *deleted; /* uuid of a node; NULL: it is no Delete */
        Value *uuids;   /* list of str: whose owners are told, as they are then; NULL: no Delete, what rights_tell_all() tells */
} HeldCommand;

void held_command_done(HeldCommand *h);

/* A node of a catalog. */
typedef struct JoinStep {
        uint64_t node_id; /* 0: it cannot be had */
        size_t place;     /* of its uuid in the catalog's pickle */
        uint64_t sent;
        size_t size;      /* of what was sent */
} JoinStep;

/* What a joining user fetches, in the order in which it asks, see join.c. */
typedef struct JoinCatalog {
        Bytes *pickle;      /* what it was sent */
        JoinStep *steps;
        size_t n_steps;
        size_t n_asked;     /* it has asked for so many */
        size_t n_sent;      /* and been sent so many */
        size_t ahead_bytes; /* of those sent that it has not asked for */
        size_t window;      /* how many there may be */
        bool is_second;     /* questions about the one before may still come */
        bool is_disordered; /* it does not keep to the order: every node is sent when it is asked for, and no other */
} JoinCatalog;

typedef struct User {
        uint32_t serial; /* never 0, names the author in NodeTraffic */
        RoutingId id;
        Bytes *name;     /* a NUL follows */
        char *address;   /* may be NULL after a restart */
        Heir *heir;      /* who waits for its place; NULL: nobody */
        bool admin;
        UserStatus status;
        uint64_t since_wall;
        uint64_t n_updates, n_refused;
        uint64_t received, received_at; /* bytes of late, see user_received() */
        struct UserChannel {
                Budget budget;
                uint64_t held_until;
        } sends[_CHANNEL_MAX];          /* see charge.c */
        uint64_t held_usec;             /* in all */
        uint64_t held_told;             /* when it was logged last */

        /* Towards joining, see join.c and init.c. */
        bool expected;          /* was told RUNNING: its request for the catalog is on its way */
        bool initiating;        /* waits for the outcome of its init */
        bool unproved;          /* has been told that it is done with that, and may not have heard it */
        bool got_any;           /* has asked for a node since the catalog was sent */
        bool asked_all;         /* and for the last one */
        JoinCatalog catalog;    /* n_steps 0: it has one from a server before this, or none */
        uint64_t waiting_node;  /* the next to send, being encoded; 0: none */

        /* Towards whole nodes, see stale.c. */
        U64Map stale;        /* node id -> when it may be sent */
        U64Map repaired;     /* node id -> when it was sent whole */
        bool refused;        /* the outbox has refused data since it was last drained */
        bool queued;         /* the outbox holds data */
        uint64_t queued_since; /* the last time that it did; 0: never */
        uint64_t drained;      /* and when it did no more */
        bool laden;            /* data is on its way to it */
        uint64_t laden_since;  /* the last time that it was; 0: never */
        uint64_t delivered_until; /* what was sent before had arrived */
        uint64_t delivered;       /* at this time */
        bool owes_table;     /* presence was dropped */
        bool announced;      /* every other user has been sent a table with it */
        struct UntoldMetadata {
                Frames *frames;
                uint32_t last_user; /* serial of the last who was there when it came */
        } untold[USER_UNTOLD_MAX];  /* metadata to be passed on then */
        size_t n_untold;
        uint64_t behind_since_wall;
        Lag lag;             /* what is told of that */
        uint64_t work, worked_at; /* CPU microseconds that it has cost and that have not faded then, see charge.c */
        uint64_t data_from;  /* it takes no data before */
        uint64_t knock_due;  /* when its lost data channel is tried */
        Pace *pace;          /* of what is sent to it, by a pointer since that is no change of the user */
        U64Map early_rights[2]; /* see early-right.c; the younger first */
        HeldCommand *held;
        size_t n_held, n_held_allocated;
        size_t n_held_nodes; /* that are named in them */
        U64Map held_deletes; /* keyed hash of a uuid -> how many of them are its Delete */
        uint64_t pad_due;    /* when more commands that do nothing may go before them */

        /* Towards presence, see presence.c. */
        bool opened;             /* EFFECT_OPEN is out */
        bool away;               /* expected back after a restart */
        uint64_t away_since;
        bool lost[_CHANNEL_MAX]; /* this connection is gone */
        uint64_t lost_since;     /* the command connection */
        uint64_t command_knock_due;
        bool found_loading;      /* its command connection was, before the session could take notice */
        bool old_data;           /* what was sent over an earlier data connection may still be on its way */
        uint64_t old_lost;       /* when that was taken for lost; 0: it was one to a server before this one */
        uint64_t lost_doubt[_CHANNEL_MAX]; /* what was sent after this wall time may have been lost with it */
        uint64_t returning;      /* is back since; brought up to date when its data channel has been quiet */
        uint64_t returned;       /* when it was back from being away */
        uint64_t doubt_wall;     /* what changed after this wall time may not have reached it */
        uint64_t data_heard, command_heard;
        uint64_t silent_since;   /* last command; for joins that do not go on after a lost connection */
        uint64_t awake_since;    /* it has not been silent for long since then; 0: from the start */
        uint64_t heard_before;   /* when it had been heard last before that */
        uint64_t line_back;      /* when its line was heard again, heartbeat and all; 0: it never stood still */
        uint64_t line_still;     /* and how long it had stood still */
        bool maybe_stuck;        /* what it was sent last may have been lost */
        uint64_t login;          /* 0: by a server before this one */
        bool has_ttl;            /* its heartbeat has been heard */
        bool uncounted;          /* from before a restart, and not back yet */
        bool from_before;        /* from before a restart: its heartbeat waits for a PING, and says nothing before */
        uint64_t ttl_heard;
        uint64_t ping_sent;
        Heartbeat heartbeat;
        uint32_t latency;        /* microseconds, smoothed */
        uint32_t latency_deviation; /* of single round trips from it, likewise */
        bool has_latency;
        uint32_t latency_told;   /* milliseconds, as in the last table */
        bool has_told_latency;

        /* Metadata, see metadata.c. */
        Bytes *metadata;         /* pickle of a dict */
        Bytes *metadata_kept;    /* what of it was journalled last; NULL: nothing */
        bool metadata_dirty;
        bool metadata_moved;     /* only what changes often has changed */
        uint64_t metadata_journalled;
        bool told_colour;        /* since its login, or since the restart: its client knows that it has */
        TaskHolder tasks;        /* what of them its client holds, see history.c */
} User;

/* Nothing but its name and id; 0 or NULL. */
User *user_new(const RoutingId *id, const void *name, size_t name_size);
User *user_free(User *u); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(User *, user_free)
#define _cleanup_user_ _cleanup_(user_freep)

static inline bool user_is_named(const User *u, const void *name, size_t size)
{
        return u->name->size == size && memcmp(u->name->data, name, size) == 0;
}

/* Takes a measured round trip, in microseconds, into latency and its deviation. */
void user_add_round_trip(User *u, uint32_t usec);

static inline uint32_t user_latency_msec(const User *u)
{
        return u->latency / USEC_PER_MSEC;
}

/* Data sent to it waits. */
static inline bool user_is_queued(const User *u)
{
        return u->queued || u->refused;
}

static inline void user_set_laden(User *u, uint64_t now)
{
        if (!u->laden && u->old_lost == 0)
                u->laden_since = now;
        u->laden = true;
}

/* Is data sent at that time, which is known within a millisecond, still on its way? */
static inline bool user_awaits(const User *u, uint64_t sent)
{
        return u->old_data || user_is_queued(u) || (u->laden && sent + USEC_PER_MSEC > u->delivered_until);
}

/* Is data still on its way to it that was sent longer ago than this? */
static inline bool user_awaits_old(const User *u, uint64_t now, uint64_t age)
{
        uint64_t since = MAX(u->laden_since, u->delivered_until);
        return (user_is_queued(u) && now - u->queued_since > age) || (u->laden && now - MIN(since, now) > age);
}

void user_forget_untold(User *u);
/* Bytes that it has sent, halved with each minute since. */
void user_add_received(User *u, uint64_t now, uint64_t bytes);
uint64_t user_received(const User *u, uint64_t now);

/* Address of the peer; keeps the old one when memory is short. */
void user_set_address(User *u, const char *address);
