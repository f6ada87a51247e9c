/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Connections: what is known of each TCP connection that libzmq has accepted,
 * found by its file descriptor.
 *
 * libzmq tells of connections through a monitor (accepted, disconnected, with
 * the descriptor's number; handshake done or failed, without it) and of
 * descriptors through messages. Numbers are reused at once, so a message read
 * late could be taken for one of the next connection with that number.
 * Therefore every connection gets a serial during its handshake (zap.h), which
 * each of its messages carries, and remembers the lowest serial (`floor`)
 * that it can have been given.
 *
 * Not every end is reported: a connection whose routing id was taken over by
 * another is closed without a word. So the socket's inode is remembered, and
 * compared now and then.
 */

#include <sys/types.h>

#include "base/frames.h"
#include "base/routing-id.h"
#include "net/address.h"

typedef enum ConnectionState {
        CONNECTION_HANDSHAKING,
        CONNECTION_MAYBE,       /* one of several whose handshake may have been the one that succeeded */
        CONNECTION_ESTABLISHED,
        CONNECTION_REFUSED,     /* shut down by us, not gone yet */
} ConnectionState;

typedef struct Connection Connection;

struct Connection {
        int fd; /* libzmq's; never closed nor written here */
        Channel channel;
        ConnectionState state;
        uint64_t floor;
        uint64_t serial;      /* 0: has not sent a message */
        uint64_t accepted_at;
        ino_t inode;
        bool is_ip;
        bool is_counted;      /* in the address table */
        Address address;
        char text[ADDRESS_TEXT_MAX];
        bool has_greeted;     /* looked at when room was needed, and was past ZMTP's greeting */
        uint64_t spared_until; /* nor has it to give way before, CLOCK_MONOTONIC */
        bool is_strangers, was_users; /* when looked at last, and before */
        uint64_t held;        /* bytes received and not handed on then */
        bool has_id;
        RoutingId id;
        uint64_t n_delivered; /* bytes of whole messages handed on, as on the wire */
        uint64_t received, received_at; /* bytes when looked at for a message on its way, and when there were fewer */
        uint64_t acked;       /* bytes sent on it that had been acknowledged when it was looked at last */
        uint64_t looked_at;   /* CLOCK_MONOTONIC; 0: not yet */
        bool all_acked;       /* and that was all; false as well when it is not known */
        uint64_t acked_after; /* some of it was acknowledged later than this; 0: not known */
        int window;           /* what the kernel had for it before it was bounded; 0: it is not */
        uint64_t held_until;  /* CLOCK_MONOTONIC; 0: it is not held back */
        uint64_t unread_until; /* the same for what nobody reads */
        uint64_t narrow_until;
        size_t low_water;      /* bytes that are taken together; 0: whatever has come */
        uint64_t gather_until; /* CLOCK_MONOTONIC */
        Connection *next_lost;
};

typedef struct ConnectionTable {
        Connection **by_fd;
        size_t n_slots;
        size_t n_connections;
} ConnectionTable;

/* Bytes that its kernel holds: not sent yet, or not acknowledged. 0 when it is gone. */
uint64_t connection_bytes_unsent(const Connection *c);

/* Asks the kernel how much of what was sent on it the other side has acknowledged, and notes what that tells. */
void connection_look(Connection *c, uint64_t now);

void connection_table_done(ConnectionTable *t);

/* NULL when there is none. */
Connection *connection_table_find(const ConnectionTable *t, int fd);

/* Makes the connection that libzmq has accepted as fd, and looks up its address: that is too late, and the address
 * "unknown", when the first bytes were such that libzmq has closed it at once. The slot must be free; NULL when memory
 * is short. */
Connection *connection_table_add(ConnectionTable *t, int fd, Channel channel, uint64_t floor, uint64_t now);

/* Takes it out of the table; the caller owns it from now on. */
void connection_table_remove(ConnectionTable *t, Connection *c);

/* Is the descriptor still the socket that was accepted? */
bool connection_is_alive(const Connection *c);

/* Bounds what the other side may send without being read (TCP_WINDOW_CLAMP, tcp(7)); what it was allowed before may still
 * come. Bytes; the kernel has a minimum of about a thousand. 0: as before it was bounded. */
void connection_bound_window(Connection *c, int bytes);

/* Has what comes announced only when so many bytes are there (SO_RCVLOWAT); 0: as soon as it is there. Takes a descriptor for
 * a moment: where none is free, c->low_water stays as it is. */
void connection_set_low_water(Connection *c, size_t bytes);

/* Ends the connection for both sides, and drops what has come and was not read; libzmq then finds it ended and closes it. */
void connection_shut_down(Connection *c);

/* Bytes the kernel has received on it so far; 0 when that cannot be told. */
uint64_t connection_bytes_received(const Connection *c);

/* Those of them that have not been handed on as whole messages. */
uint64_t connection_bytes_held(const Connection *c);
