/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of a Net share. Functions here run in the loop's thread. */

#include "base/clock.h"
#include "net/address-table.h"
#include "net/connection.h"
#include "net/inbound.h"
#include "net/monitor.h"
#include "net/net.h"
#include "net/peer.h"
#include "net/zap.h"

typedef struct NetChannel {
        Net *net;
        Channel channel;
        void *socket; /* ROUTER */
        Monitor monitor;
        sd_event_source *source, *monitor_source;
        unsigned n_paused;
        bool is_ready;     /* owed a turn that its file descriptor may not announce */
        bool must_look;    /* sending may have swallowed the announcement of something to read */
        bool has_handshake_failure; /* reported, without saying whose; the next end of a connection is it */
        bool failure_is_protocol;
        Connection *first_lost; /* gone, but their last messages may not have been read */
} NetChannel;

/* While deliveries are checked: what the kernel holds for silent connections from each address, sorted by that. */
typedef struct SilentAddress {
        Address address;
        uint64_t kernel_holds; /* the most of any of them */
        uint64_t moving_holds; /* the most of those on which something was acknowledged lately */
} SilentAddress;

typedef struct SilentAddresses {
        SilentAddress *addresses;
        size_t n, n_allocated;
        uint64_t now;
} SilentAddresses;

/* How memory has grown beside what has been received, see net-memory.c. All in bytes. */
typedef struct MemoryWatch {
        uint64_t memory;   /* of the process, when it was looked at last */
        uint64_t received; /* by then: in whole messages, and those of which unfinished ones were looked at */
        uint64_t excess;   /* growth that what was received does not explain */
} MemoryWatch;

struct Net {
        sd_event *event;
        void *context;
        Zap zap;
        int wake_fd;
        NetChannel channel[_CHANNEL_MAX];
        ConnectionTable connections;
        AddressTable *addresses;
        PeerTable peers;
        sd_event_source *zap_source, *wake_source, *post_source;
        sd_event_source *retry_source, *sweep_source, *strangers_source, *memory_source, *hold_source;
        bool post_armed, retry_armed, sweep_armed, strangers_armed, memory_armed, hold_armed;
        SilentAddresses silent;
        MemoryWatch watch;
        bool has_laden; /* some outbox is, or was not long ago */
        unsigned depth; /* of calls from the loop */
        NetCallbacks callbacks;
        void *userdata;
        FlightCache cache;
        size_t max_backlog, max_message_size, window;
        unsigned max_connections, turn_messages;
        uint64_t handshake_timeout;
        uint64_t n_received[_CHANNEL_MAX], bytes_received[_CHANNEL_MAX];
        uint64_t n_sent[_CHANNEL_MAX], bytes_sent[_CHANNEL_MAX];
        uint64_t n_refused, n_bad[_NET_BAD_MAX];
        uint64_t bulk_taken, bulk_sent, bulk_void; /* messages, see NetStatus */
};

/* Around everything that the loop calls: callbacks that have become due, and turns that nobody will announce, are
 * seen to when the outermost one is left. */
void net_enter(Net *n);
void net_leave(Net *n);

/* Has net_leave()'s work done from the loop when nobody is inside. */
void net_arm_post(Net *n);
void net_arm_retry(Net *n);
void net_arm_sweep(Net *n);
void net_arm_strangers(Net *n);
void net_arm_memory(Net *n);
void net_arm_hold(Net *n);

/* net-listen.c: makes, configures, binds the sockets. Returns 0 or -errno with *ret_error. */
int net_listen(Net *n, const NetConfig *config, char **ret_error);

/* net-receive.c */
int net_channel_turn(NetChannel *c, bool even_if_paused, unsigned *ret_n_read);
bool net_channel_has_input(NetChannel *c);
/* Has the socket take note of connections made and lost since; it does so by itself only now and then. */
void net_channel_catch_up(NetChannel *c);
/* Whether some channel is not read from. */
bool net_is_paused(const Net *n);

/* net-presence.c */
void net_monitor_drain(NetChannel *c);
/* The connection that a message came over, be it gone meanwhile; NULL when nothing is known of it. */
Connection *net_attribute(NetChannel *c, Inbound *in);
/* Reports the lost connections of a channel whose messages have all been read. */
void net_settle_lost(NetChannel *c);
void net_sweep(Net *n);
bool net_admit(void *net, const char *address);
bool net_is_banned(const Net *n, const Connection *c);
/* Whether the peer's address, as far as it is known, is the connection's. */
bool net_may_be_from(const Connection *c, const Peer *p);
/* Shuts it down; libzmq then finds it ended. */
void net_refuse(Connection *c);
void net_report_bad(Net *n, const Connection *c, NetBadPeer what, unsigned weight);

/* net-strangers.c */
/* Whether a logged-in user has spoken over it. */
bool net_is_users(const Net *n, const Connection *c);
/* Parts with those who make libzmq hold too much. While there are strangers it is done again soon. */
void net_check_strangers(Net *n);
/* When every place is taken: parts with the stranger who has been there longest, first with one that has not even greeted,
 * or users who come back would find no place. False: there is none. */
bool net_make_room(Net *n, uint64_t now);
/* Notes how much libzmq holds of what it has received, and whether it could be a user's. */
void net_look_at(const Net *n, Connection *c);
/* Parts with one that makes libzmq hold too much, and counts it against its address when that is its own doing. */
void net_cut_hoarder(Net *n, Connection *c, bool guilty);

/* net-memory.c */
/* Parts with users who make libzmq hold far more than they send; to be called four times a second. */
void net_check_memory(Net *n);

/* net-send.c */
void net_outbox_heard(Net *n, Outbox *o, const Connection *c);
void net_outbox_lost(Net *n, Outbox *o);
/* Tries again what is held back: for one channel, or all when c is NULL, in the given states (1u << OutboxState). */
void net_pump(Net *n, const NetChannel *c, unsigned states);
void net_wake(Net *n);
/* Lets go of closing peers that have nothing left to send, or whose time is over; true when some remain. */
bool net_reap(Net *n, uint64_t now);
bool net_needs_retry(const Net *n);

/* net-hold.c */
/* The connection over which a peer has spoken on this channel; NULL: it is not known. */
Connection *net_find_connection(const Net *n, const RoutingId *peer, Channel channel);
/* Lets those go on whose time is over; true when some remain. */
bool net_hold_check(Net *n);
/* Reading has been paused: holds back those of whom much is unread, from time to time until it goes on. */
void net_hold_unread(Net *n);

/* net-gather.c */
/* The same for those of whom several messages are taken together. */
bool net_gather_check(Net *n);
/* Takes at once what has come from all of them. */
void net_gather_end(Net *n);

/* net-delivery.c */
/* Bulk data has been handed to libzmq or to the outbox; true when that has made the outbox laden. */
bool net_delivery_note(Net *n, Outbox *o);
/* The connection is gone. */
void net_delivery_lost(Outbox *o);
/* Looks what has arrived of what laden outboxes have sent. */
void net_delivery_check(Net *n);
