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
} Endpoint;

typedef struct Client {
        void *command, *data, *ttl; /* DEALERs; raw ones only have data */
        const Endpoint *endpoint;
        char name[16];
        bool in_session;
        uint64_t n_received;
        uint64_t *last_sequence;    /* by node */
        unsigned n_nodes;
} Client;

/* What a message that was pushed says of itself, at the start of its payload. */
typedef struct Stamp {
        uint64_t sequence; /* from 1 */
        uint64_t sent_at;  /* nanoseconds, CLOCK_MONOTONIC */
        uint64_t node;
} Stamp;

void client_connect(Client *c, void *context, const Endpoint *endpoint, unsigned number, unsigned n_nodes);
void client_close(Client *c);

/* Logs in; the first one initialises the session with n_nodes small nodes, others join. Returns when done. */
void client_enter(Client *c, bool first);

/* Pushes a node; false when the socket does not take it now. */
bool client_push(Client *c, NodeMessage *m, const Stamp *stamp);

/* Takes one message off the data channel; false when there is none. */
bool client_take(Client *c, Stamp *ret);

/* Answers heartbeats and discards what comes on the command channel. */
void client_attend(Client *c);

int socket_fd(void *socket); /* ZMQ_FD: announces changes only */
uint64_t now_nsec(void);
