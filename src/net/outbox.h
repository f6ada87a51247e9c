/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What waits for one peer on one channel, in order, and what libzmq already holds of it. */

#include "net/flight.h"
#include "session/effect.h"

typedef struct OutboxEntry OutboxEntry;

typedef enum OutboxState {
        OUTBOX_OPEN,   /* nothing known that would hold a message back */
        OUTBOX_WINDOW, /* enough is on its way; the flight wakes us */
        OUTBOX_FULL,   /* the socket's high-water mark */
        OUTBOX_AWAY,   /* the peer is not connected */
} OutboxState;

typedef struct Outbox Outbox;

struct Outbox {
        struct Peer *peer;     /* whose it is */
        Channel channel;
        OutboxEntry *first, *last;
        size_t n_queued;       /* bytes */
        size_t n_control;      /* bytes of these that are SEND_CONTROL */
        size_t n_bulk;         /* messages of these that are SEND_BULK */
        Flight *flight;
        OutboxState state;
        bool connected;        /* as far as known */
        uint64_t serial;       /* of the connection it was last heard on; 0: never heard */
        int fd;                /* of that connection */
        uint64_t heard_at;     /* CLOCK_MONOTONIC: when it was heard on that first */
        uint64_t silent_from;  /* CLOCK_MONOTONIC: when it was found, without having been heard; 0: it was heard first, or
                                * no other connection can have been its own then */
        uint64_t silent_until; /* the connection that it was found on then was accepted before this */
        uint64_t wire_found;   /* n_wire at the first sweep since */
        uint64_t wire_settled, wire_settling; /* bytes since that libzmq no longer held: at the sweep before the last, and
                                               * at that one */
        /* Of the data channel, see net-delivery.c. Bytes are counted as they are on the wire, or a little less. */
        uint64_t n_wire;       /* handed to libzmq */
        uint64_t arrived_wire; /* so many of these have arrived, as far as known */
        bool laden;
        uint64_t laden_since;
        uint64_t mark_time;    /* CLOCK_MONOTONIC; 0: no mark */
        uint64_t mark_wire;
        uint64_t arrived_until; /* what was sent before has arrived */
        Outbox *next_pending, *previous_pending; /* for the owner's list of outboxes that are not empty */
        bool is_pending;
};

/* Drops what is queued. */
void outbox_clear(Outbox *o);

/* Drops what is of this class. */
void outbox_drop(Outbox *o, SendClass class);

/* Takes its own reference. Returns 0 or -ENOMEM. */
int outbox_push(Outbox *o, SendClass class, Frames *frames);

/* The message to send next; NULL when the outbox is empty. */
Frames *outbox_head(const Outbox *o);
bool outbox_head_is(const Outbox *o, SendClass class);
void outbox_pop(Outbox *o);

/* Puts a SEND_TABLE in the place of one that is last in the queue; false when there is none. */
bool outbox_replace_table(Outbox *o, Frames *frames);

/* Is a message of this class waiting? Looks at the whole queue. */
bool outbox_has(const Outbox *o, SendClass class);

static inline bool outbox_is_empty(const Outbox *o)
{
        return !o->first;
}
