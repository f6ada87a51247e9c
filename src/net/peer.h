/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Peers that have an outbox, found by routing id, and what the loop still has to tell about each. */

#include "net/address.h"
#include "net/outbox.h"

typedef enum PeerDue {
        PEER_DUE_LOST = 1 << 0, /* shifted by the channel */
        PEER_DUE_CONNECTED = 1 << _CHANNEL_MAX,
        PEER_DUE_OVERFLOW = 1 << (2 * _CHANNEL_MAX),
        PEER_DUE_DRAINED = 1 << (2 * _CHANNEL_MAX + 1),
        PEER_DUE_DELIVERED = 1 << (2 * _CHANNEL_MAX + 2),
} PeerDue;

typedef struct Peer Peer;

struct Peer {
        RoutingId id;
        Outbox box[_CHANNEL_MAX];
        bool closing;           /* forgotten by the owner; only its command channel is emptied */
        uint64_t closing_until; /* CLOCK_MONOTONIC */
        bool refusing;          /* SEND_BULK, until it has drained */
        size_t refused_charge;  /* of what was refused first since */
        bool owes_drained;      /* something was refused, or bulk data waits */
        bool overflown;
        uint64_t refusing_since;
        uint64_t bytes_sent;
        bool has_address;
        Address address;
        unsigned due;           /* PeerDue */
        Peer *next_due, *previous_due;
        Peer *next, *previous;  /* all peers */
        Peer *next_in_bucket;
};

#define PEER_TABLE_BUCKETS 1024

typedef struct PeerTable {
        Peer *bucket[PEER_TABLE_BUCKETS];
        Peer *first;
        Peer *first_due;
        Outbox *first_pending;
        size_t n_peers;
} PeerTable;

/* Frees all peers and what they had queued. */
void peer_table_done(PeerTable *t);

Peer *peer_table_find(const PeerTable *t, const RoutingId *id);
Peer *peer_table_add(PeerTable *t, const RoutingId *id, size_t window, int wake_fd); /* NULL: memory is short */
void peer_table_remove(PeerTable *t, Peer *p);

/* Notes that the loop has to call back about the peer; takes note of a lost connection before its return. */
void peer_table_set_due(PeerTable *t, Peer *p, unsigned due);
void peer_table_clear_due(PeerTable *t, Peer *p, unsigned due);

/* Keeps the list of outboxes in which something waits; to be called when one became empty or no longer is. */
void peer_table_update_pending(PeerTable *t, Outbox *o);

size_t peer_queued(const Peer *p);
size_t peer_in_flight(const Peer *p);
size_t peer_outstanding(const Peer *p); /* of it, what has certainly not left */
