/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The network side of a session: three ZeroMQ ROUTER sockets (command, data,
 * ttl) as sources of one sd-event loop, an outbox for every peer that has
 * logged in, the presence of peers, and the standing of their addresses.
 *
 * Everything here belongs to the loop's thread. libzmq has its own I/O thread
 * beside it; what it reports reaches the loop through file descriptors.
 *
 * Callbacks are called from the loop only, never from inside net_send() and
 * its kin, so that the caller may be in the middle of executing effects. Every
 * function of this header may be called from inside a callback, but net_free().
 *
 * Routing ids are secrets: whoever presents one is its peer, and takes over
 * the connection (ROUTER_HANDOVER: otherwise a client whose connection died
 * without a word could not come back until the dead one times out). Stock
 * clients use 16 random bytes that are never shown to other clients; do not
 * log them.
 */

#include <systemd/sd-event.h>

#include "base/frames.h"
#include "base/routing-id.h"
#include "session/effect.h"

typedef struct Net Net;

/* Why a connection or message was refused before the session could see it. */
typedef enum NetBadPeer {
        NET_BAD_HANDSHAKE,     /* what it spoke is not ZMTP 3: TLS, HTTP, a port scan, silence */
        NET_BAD_ROUTING_ID,    /* a routing id longer than ROUTING_ID_SIZE_MAX */
        NET_BAD_TOO_MANY,      /* over the limit of connections, in all or of this address */
        NET_BAD_HOARDING,      /* an unfinished message that outgrew every limit */
        NET_BAD_BANNED,        /* came back while banned */
        _NET_BAD_MAX,
} NetBadPeer;

/* "does not speak ZMTP" and the like: fits behind "ADDRESS ", for the log. */
const char *net_bad_peer_to_string(NetBadPeer what);

/* What can be changed while running. Durations are microseconds, sizes bytes; 0 takes the default. */
typedef struct NetLimits {
        size_t max_client_backlog;    /* held for one peer, everything libzmq holds included; default 64 MiB */
        unsigned max_connections;     /* TCP connections in all; default 4096, at most what RLIMIT_NOFILE allows */
        unsigned max_connections_per_address; /* default 256 */
        unsigned penalty_limit;       /* weight of penalties within ban_usec that bans an address; 0: never ban */
        uint64_t ban_usec;            /* how long, and the time over which penalties fade; default 10 min */
        const char *const *allow;     /* NULL-terminated, may be NULL: addresses and prefixes ("192.0.2.0/24",
                                       * "2001:db8::/32") never banned nor limited; copied */
} NetLimits;

typedef struct NetConfig {
        /* Listen by itself: on `port` (command), port + 1 (data), port + 2 (ttl); port 0 takes three free ones,
         * see net_port(). `listen` is "*" (IPv4 and IPv6), an address, an interface, or several with commas
         * between; NULL: "*". */
        const char *listen;
        uint16_t port;

        /* Or on listening TCP sockets that were handed over. When n_fds[CHANNEL_COMMAND] is not 0, listen and
         * port are ignored and each channel must have at least one. Net serves duplicates; the originals stay
         * the caller's, and are set non-blocking. */
        const int *fds[_CHANNEL_MAX];
        size_t n_fds[_CHANNEL_MAX];

        size_t max_message_size;      /* of one frame, on command and data; 0: 256 MiB. Larger ones cost the sender
                                       * its connection. */
        size_t window;                /* bytes of one peer and channel that libzmq may hold; 0: 1 MiB. One message
                                       * may exceed it. */
        unsigned turn_messages;       /* read from one channel before what they led to is sent; 0: 32. A turn ends
                                       * at 8 MiB as well. */
        uint64_t handshake_timeout;   /* microseconds; 0: 5 s */
        bool start_paused;            /* all channels, until net_resume_reading(): sending works at once */
        NetLimits limits;
} NetConfig;

typedef struct NetCallbacks {
        /* A message. frames are borrowed (bytes_ref() what is kept), without the routing id; n_frames is the real
         * number, only the first FRAMES_MAX are there. address is the peer's, without port, never NULL, borrowed.
         * Returns 0, or -errno, which ends the loop with that code. */
        int (*message)(void *userdata, Channel channel, const RoutingId *from, const char *address,
                       Bytes *const *frames, size_t n_frames);

        /* After the messages of one turn of one channel (at least one): commit the journal, then send. Returns as
         * message does. */
        int (*turn_end)(void *userdata);

        /* The connection that carried this peer's channel is gone, or another took its place. What libzmq held for
         * it (up to the window) may be lost, and SEND_BULK and SEND_PRESENCE that were queued here, as they may build
         * upon that; everything else is kept while the peer is open. No SEND_BULK is taken from the loss to this call.
         * Called after the last message of that connection. The peer need not be open. It may already be connected anew, or be
         * taken for another one at its address that never spoke: send it something (SEND_TABLE, say) to find out;
         * that waits in its outbox until it is there, and then peer_connected is called. */
        void (*peer_lost)(void *userdata, Channel channel, const RoutingId *peer);

        /* An open peer can be reached on this channel: after net_open_peer(), or again after peer_lost. After a
         * loss, bring it up to date: what was under way is not repeated by Net. libzmq does not say who has
         * connected, so this comes with the first message from the peer, or the first that could be handed over to
         * it: to learn whether a silent peer is back, send it something. */
        void (*peer_connected)(void *userdata, Channel channel, const RoutingId *peer);

        /* Refused bytes or a refused connection; already counted against the address. Not rate-limited. The address is
         * "unknown" for a connection that libzmq closed faster than it could be looked at. */
        void (*bad_peer)(void *userdata, const char *address, NetBadPeer what);

        /* What bad_peer reported has added up to a ban of the address. (For bans that net_penalise() leads to, its
         * return value says so.) */
        void (*banned)(void *userdata, const char *address);

        /* SEND_CONTROL messages alone have outgrown twice the backlog limit: let the peer go. Called once. */
        void (*overflow)(void *userdata, const RoutingId *peer);

        /* The data queue has become empty after net_send() returned NET_FULL or NET_QUEUED for this peer (once, for
         * all of them): everything has been handed to libzmq. */
        void (*drained)(void *userdata, const RoutingId *peer);

        /* After net_send() returned NET_LADEN or NET_QUEUED: what was sent to the peer as SEND_BULK before that
         * CLOCK_MONOTONIC time, microseconds, has reached the peer's machine. Called again and again until `all`
         * has; not called when the connection is lost. */
        void (*delivered)(void *userdata, const RoutingId *peer, uint64_t until, bool all);
} NetCallbacks;

/* Positive results of net_send(). */
enum {
        NET_FULL = 1,  /* SEND_BULK, SEND_PRESENCE: not taken. From now on all SEND_BULK to this peer is refused until
                        * `drained` is called, so that nothing overtakes what it depends on. */
        NET_NO_PEER,   /* not SEND_ANSWER, and the peer is not open */
        NET_QUEUED,    /* SEND_BULK: taken, but it waits in the outbox. The session must know, since what it sends on
                        * the command channel would overtake it; `drained` is called when nothing waits any more. */
        NET_LADEN,    /* SEND_BULK: taken, the first after everything had arrived. Commands would overtake it, see
                       * `delivered`; until then 0 is returned for others. */
};

/* Opens the sockets and adds them to the loop (referenced). Copies config and callbacks. Returns 0; -EINVAL,
 * -EADDRINUSE, ... with *ret_error (may be NULL), a line that says what failed and what to do, that the caller
 * frees; -ENOMEM. */
int net_new(Net **ret, sd_event *event, const NetConfig *config, const NetCallbacks *callbacks, void *userdata,
            char **ret_error);

/* Closes everything; what libzmq already holds has a quarter of a second to leave. Queued messages are dropped:
 * net_flush() first. Accepts NULL; returns NULL. */
Net *net_free(Net *n);
DEFINE_CLEANUP(Net *, net_free)

/* The port that a channel listens on (of the first address); 0 when that cannot be told. */
uint16_t net_port(const Net *n, Channel channel);

/* Applies changed limits to the running sockets. Returns 0, -EINVAL for an entry of `allow` that is no address,
 * -ENOMEM; upon failure nothing is changed. */
int net_set_limits(Net *n, const NetLimits *limits);

/* Keeps an outbox for the peer on all channels, and tries to deliver from now on, whether it is connected yet
 * or not. Opened again, it calls peer_connected again for each channel that is connected: so whoever is in doubt
 * asks. Returns 0 or -ENOMEM. */
int net_open_peer(Net *n, const RoutingId *peer);

/* Forgets the peer. What is queued for its command channel still goes out for up to five seconds while it is
 * connected; the rest is dropped. Unknown peers are ignored. */
void net_close_peer(Net *n, const RoutingId *peer);

/* Sends, or queues, one message; takes its own reference to frames. See SendClass:
 *   SEND_CONTROL   taken always, in order
 *   SEND_BULK      NET_FULL beyond max_client_backlog. One larger than the whole limit is taken when nothing else is
 *                  queued.
 *   SEND_TABLE     takes the place of a queued one that nothing was queued behind (with metadata in between, either
 *                  place would show the client a user too late or too early)
 *   SEND_PRESENCE  NET_FULL when more than 64 KiB wait on the channel
 *   SEND_PING      NET_FULL when one is still queued
 *   SEND_ANSWER    dropped, with 0, when it cannot be delivered at once; to an open peer as SEND_CONTROL
 * Returns 0, NET_LADEN, NET_QUEUED, NET_FULL, NET_NO_PEER or -ENOMEM. */
int net_send(Net *n, const RoutingId *to, Channel channel, SendClass class, Frames *frames);

/* Stops and goes on reading of the channels whose bits (1u << Channel) are set. libzmq then holds little, TCP holds
 * the senders back. Pausing counts: as many resumes as pauses. */
#define NET_ALL_CHANNELS ((1u << _CHANNEL_MAX) - 1)
void net_pause_reading(Net *n, unsigned channels);
void net_resume_reading(Net *n, unsigned channels);

/* Takes nothing more from an open peer on this channel until that CLOCK_MONOTONIC time, microseconds: TCP holds it back.
 * What has arrived already is still handed on. Nothing where its connection is not known. */
void net_hold(Net *n, const RoutingId *peer, Channel channel, uint64_t until);

/* More is known to come from an open peer on this channel, and none of it is waited for: takes what comes when it is so many
 * bytes, but no later than in some 40 ms. To be asked for again with what comes; 0 ends it. Nothing where its connection is
 * not known. */
void net_gather(Net *n, const RoutingId *peer, Channel channel, size_t bytes);

/* Whether part of a message of the peer has come on this channel whose rest is still on its way. false as well where its
 * connection is not known. */
bool net_has_unfinished(const Net *n, const RoutingId *peer, Channel channel);

/* For shutdown, after net_pause_reading(): hands everything queued for connected peers to the kernel, for at most
 * timeout_usec; runs without the loop, and calls no callback. Returns the number of bytes left over. */
size_t net_flush(Net *n, uint64_t timeout_usec);

/* Whether a large message of a user is on its way, and coming in still: to be asked again and again. Whose connection ends
 * then does not send it another time. */
bool net_is_receiving(Net *n);

/* For shutdown, before net_flush(): reads what has already arrived, paused or not, for at most timeout_usec, and
 * hands it to the callbacks. Returns 0 or what a callback returned. */
int net_drain(Net *n, uint64_t timeout_usec);

/* Counts misbehaviour against an address (EFFECT_PENALTY); at penalty_limit it is banned: its connections that
 * belong to no open peer are cut, new ones never get through their handshake. Returns 1 when this banned it, else 0. */
int net_penalise(Net *n, const char *address, unsigned weight);

/* Bans an address for so many microseconds from now, whatever was counted, and cuts the same connections. Returns 0; 1: it
 * is in `allow`; -EINVAL: it is no address; -ENOMEM. */
int net_ban(Net *n, const char *address, uint64_t usec);

/* Lifts a ban and forgets all penalties of the address; 1 when there were none. */
int net_forgive(Net *n, const char *address);

typedef struct NetPeerStatus {
        bool connected[_CHANNEL_MAX];
        char address[64];           /* "" while unknown */
        size_t queued;              /* bytes waiting here */
        size_t in_flight;           /* bytes that libzmq may hold */
        size_t outstanding;         /* bytes of them that it certainly does */
        uint64_t backlog_since;     /* CLOCK_MONOTONIC microseconds since when SEND_BULK has been refused without
                                     * pause; 0: it is not */
        uint64_t bytes_sent;        /* handed to libzmq */
} NetPeerStatus;

/* Returns 0, or NET_NO_PEER. */
int net_peer_status(const Net *n, const RoutingId *peer, NetPeerStatus *ret);

typedef struct NetStatus {
        unsigned n_connections;     /* TCP, handshake done or not */
        unsigned n_peers;           /* open */
        unsigned n_banned;          /* addresses, now */
        uint64_t n_received[_CHANNEL_MAX], bytes_received[_CHANNEL_MAX];
        uint64_t n_sent[_CHANNEL_MAX], bytes_sent[_CHANNEL_MAX];
        uint64_t n_refused;         /* SEND_BULK and SEND_PRESENCE */
        uint64_t bulk_taken;        /* messages of SEND_BULK that were not refused */
        uint64_t bulk_sent;         /* of them, those handed to libzmq */
        uint64_t bulk_void;         /* dropped with the connection or the peer they waited for, which the owner is told of */
        uint64_t bulk_queued;       /* that wait now */
        uint64_t n_bad[_NET_BAD_MAX];
        size_t queued, in_flight, outstanding; /* bytes, all peers */
} NetStatus;

void net_get_status(const Net *n, NetStatus *ret);
