/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A session without sockets, disk or clock: the manager's part is played here,
 * and clients with the semantics of the stock library (what it does with each
 * message, and when it raises) sit at the other end of slow connections.
 */

#include "session/session.h"

#define SIM_CLIENTS_MAX 40
#define SIM_MSEC UINT64_C(1000)
#define SIM_SEC UINT64_C(1000000)

typedef enum SimState {
        SIM_OUT, /* not connected */
        SIM_AUTH,
        SIM_LOBBY,
        SIM_SRV_SYNC,
        SIM_SYNCING,
        SIM_ACTIVE,
} SimState;

typedef struct SimNode {
        Bytes *uuid;
        Bytes *owner;
        Value *data;
        Value *dependencies; /* list or None */
} SimNode;

/* One direction of one channel. */
typedef struct SimQueue {
        struct SimPacket {
                uint64_t arrives;
                uint64_t laden; /* bulk data of this server: when it was sent, and is to be told of when it arrives; else 0 */
                Frames *frames;
        } *packets;
        size_t n, n_allocated;
} SimQueue;

typedef struct SimClient {
        struct Sim *sim;
        unsigned index;
        char name[64];
        char address[32];
        RoutingId id;
        bool admin;
        SimState state;
        bool connected;      /* its TCP connections stand */
        uint64_t links_at[_CHANNEL_MAX]; /* but to this server not before: what the last one sent is read first */
        bool told[_CHANNEL_MAX];         /* the session knows of that */
        bool pending[_CHANNEL_MAX];      /* something waits for that */
        bool has_outbox;     /* EFFECT_OPEN without EFFECT_CLOSE */
        uint64_t frozen_until; /* reads nothing */
        bool ttl_runs;
        char reason[128];    /* why it is out: "raised: ..." would be a client thrown out by a message */
        bool raised;
        bool dismissed;      /* the server has sent it a Disconnect, which may be lost with that */
        uint64_t auth_sent, last_ping, last_progress;

        SimNode *nodes;
        size_t n_nodes, n_allocated;
        Value *catalog;      /* list */
        Bytes *wanted;       /* the node asked for */
        SimQueue late;
        Value *users;        /* the table */

        SimQueue up[_CHANNEL_MAX], down[_CHANNEL_MAX];
        size_t backlog_limit; /* packets on the data channel before SEND_BULK is refused; 0: none */
        bool refusing, owed; /* the session waits to hear that it is drained */
        bool laden;          /* and what of its data has arrived, as told last until then */
        uint64_t delivered_until;
        uint64_t held_until[_CHANNEL_MAX];
        size_t gathered[_CHANNEL_MAX]; /* bytes that the server takes together, as told last */
        size_t n_tables, n_data, n_rights, n_deletes, n_removed, n_catalogs;
        char last_answer[64]; /* text of the last Auth or ServerSnapshot */
} SimClient;

typedef struct SimRecord {
        SessionRecord record;
        uint64_t wall;
} SimRecord;

typedef struct Sim {
        Session *session;
        SessionConfig config;
        uint64_t now, wall_offset;
        uint64_t random;
        uint64_t delay_min, delay_max; /* one way, microseconds */
        bool up;            /* the server runs */
        bool found_early;   /* it hears of its clients' connections while it is still loading, and not again */

        SimClient clients[SIM_CLIENTS_MAX];
        size_t n_clients;

        SimRecord *records; /* the journal, from the last snapshot on */
        size_t n_records, n_records_allocated;
        Bytes *snapshot_state;
        struct SimEntry {
                Bytes *uuid, *owner, *dependencies, *payload;
                uint64_t changed;
        } *entries;
        size_t n_entries;

        struct SimJob {
                uint64_t node_id, version, due;
                SceneFold *fold;
        } *jobs;
        size_t n_jobs;

        uint64_t check_max; /* some messages are on their way into the session for up to so long; 0: none */
        struct SimCheck {
                RoutingId from;
                uint64_t due;
                SessionIntake *intake;
        } *checks;
        size_t n_checks;

        /* What the session has said. */
        size_t n_penalties, n_saves, n_opens, n_closes, n_journalled, n_refused_records, n_logs[_SESSION_EVENT_MAX];
        size_t n_tables, n_tables_built; /* sent; and made for that, one sent to several counted once */
        Frames *last_table;
        char last_save[128], last_log[512], last_held[512];
} Sim;

void sim_init(Sim *sim, uint64_t seed);
void sim_done(Sim *sim);
uint64_t sim_random(Sim *sim, uint64_t below);

SessionTime sim_time(const Sim *sim);
/* Lets time pass: packets arrive, clients and server work. */
void sim_run(Sim *sim, uint64_t usec);
/* Runs what the session wants done. */
void sim_execute(Sim *sim, EffectList *effects);

/* A new one, not connected. */
SimClient *sim_client(Sim *sim, const char *name, bool admin);
/* A fresh connection with a new routing id, and the login with `version`, "0.9.10" when NULL. */
void sim_login(SimClient *c, const char *version);
void sim_login_with(SimClient *c, const char *version, const char *server_password, const char *admin_password);
/* Connects and runs until it is in the lobby, or active when there is a scene. */
void sim_enter(SimClient *c);
/* Closes its sockets; crashed: leaves its heartbeat behind. */
void sim_leave(SimClient *c, bool crashed);
/* The network side takes a connection of its for lost, be it so or not. */
void sim_lose(SimClient *c, Channel channel);

/* The server. stop: what is on its way to clients is lost from a random point on. start: clients reconnect within 300 ms,
 * or at links_at when that is later. */
void sim_stop(Sim *sim);
void sim_start(Sim *sim);
/* A snapshot of everything; the journal begins anew. */
void sim_snapshot(Sim *sim);

/* What a user does. */
void sim_add_local(SimClient *c, const char *uuid, const char *owner); /* before an init */
void sim_init_session(SimClient *c);
void sim_new_node(SimClient *c, const char *uuid, const char *dependency);
void sim_set(SimClient *c, const char *uuid, const char *key, int64_t value); /* a Commit */
void sim_append(SimClient *c, const char *uuid, int64_t value);               /* a Commit that adds to the list 'l' */
void sim_push_whole(SimClient *c, const char *uuid);
void sim_delete(SimClient *c, const char *uuid);
void sim_right(SimClient *c, const char *uuid, const char *owner);
void sim_metadata(SimClient *c, const char *key, int64_t value);
void sim_kick(SimClient *c, const char *name);
void sim_send(SimClient *c, Channel channel, Bytes *const *frames, size_t n_frames); /* takes the references */
void sim_command(SimClient *c, int type, const char *owner, Value *data);            /* takes data */

SimNode *sim_find(const SimClient *c, const void *uuid, size_t size);
SimNode *sim_find_text(const SimClient *c, const char *uuid);
/* The integer at a key, -1 when there is none; the length of the list 'l'. */
int64_t sim_get(const SimClient *c, const char *uuid, const char *key);
int64_t sim_length(const SimClient *c, const char *uuid);

/* NULL when every active client's scene equals the server's, else what differs (static). */
const char *sim_compare(Sim *sim);
