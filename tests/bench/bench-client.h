/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One client of a session, or one connection of the raw forwarder. Logs in,
 * initialises or joins, answers heartbeats, and counts what arrives on its
 * data channel. Failure ends the program with a message.
 */

#include "bench-wire.h"

typedef struct Endpoint {
        const char *address;
        unsigned port;              /* of the command channel; of the only one when raw */
        bool raw;
        const char *admin_password; /* NULL: none */
        size_t max_unread;          /* messages the client's socket may hold; 0: any number */
        int reconnect_msec;         /* 0: as long as libzmq waits */
        uint64_t pace_nsec;         /* a joining client handles no more than one message in this time */
} Endpoint;

/* What a session is initialised with. */
typedef struct Scene {
        unsigned n_nodes;
        size_t size;        /* of each node's payload */
        unsigned n_triples; /* not 0: nodes like a mesh, with so many vertices */
} Scene;

typedef enum Entry {
        ENTER_INIT, /* log in to an empty session and initialise it */
        ENTER_JOIN, /* log in to a running session and join it */
} Entry;

typedef struct Client {
        void *command, *data, *ttl; /* DEALERs; raw ones only have data */
        const Endpoint *endpoint;
        char name[16];
        bool in_session;
        uint64_t n_received;
        uint64_t *last_sequence;    /* by node that is pushed */
        unsigned n_nodes;
        uint64_t n_commands, command_bytes, n_pings; /* received since it entered */
        double entry_seconds;       /* what client_enter() took */
        uint64_t answered_at;       /* as now_nsec(): the first node of a join, or the leave to initialise */
        uint64_t pinged_at;         /* ... the first since the measurement began */
} Client;

/* What a message that was pushed says of itself, at the start of its payload. */
typedef struct Stamp {
        uint64_t sequence; /* from 1 */
        uint64_t sent_at;  /* nanoseconds, CLOCK_MONOTONIC */
        uint64_t node;
} Stamp;

void client_connect(Client *c, void *context, const Endpoint *endpoint, const char *name, unsigned n_nodes);
void client_close(Client *c);

/* Returns when the client is active. */
void client_enter(Client *c, Entry entry, const Scene *scene);

/* Push one thing on the data channel; false when the socket does not take it now. */
bool client_push(Client *c, NodeMessage *m, const Stamp *stamp);
bool client_push_commit(Client *c, CommitMessage *m, uint64_t sequence);

/* Tells metadata: a pickle of a dict. */
bool client_tell(Client *c, const Pickle *metadata);

/* Takes one message off the data channel; false when there is none. Of a Commit only the sequence is known. */
bool client_take(Client *c, Stamp *ret);

/* The socket that carries commands: of a raw connection its only one. */
void *client_command_socket(const Client *c);

/* Takes one message off the command channel; false when there is none. *ret_sent_at: of a view, else 0. */
bool client_take_command(Client *c, uint64_t *ret_sent_at);

/* Answers heartbeats. */
void client_attend(Client *c);

int socket_fd(void *socket); /* ZMQ_FD: announces changes only */
uint64_t now_nsec(void);
