/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One message as it is read from a ROUTER. */

#include <zmq.h>

#include "base/frames.h"
#include "base/routing-id.h"

typedef struct Inbound {
        zmq_msg_t head;  /* the frame with the routing id */
        zmq_msg_t first; /* the first frame after it: unlike the head it always has the connection's properties */
        size_t n_frames; /* real number; only the first FRAMES_MAX are kept */
        size_t size;     /* bytes of all frames */
        size_t wire_size; /* with their headers */
        Bytes *frames[FRAMES_MAX];
} Inbound;

/* Reads a message without waiting. Returns 1, and *in is to be given to inbound_done(); 0 when there is none; -errno.
 * Small frames are copied, so that they do not pin libzmq's receive buffers; large ones stay where libzmq received
 * them. */
int inbound_read(Inbound *in, void *socket);
void inbound_done(Inbound *in);

/* The sender as the socket names it; false when that is longer than a RoutingId can hold. */
bool inbound_routing_id(Inbound *in, RoutingId *ret);

/* The descriptor and serial of the connection it came over; -1 and 0 when unknown. */
int inbound_fd(const Inbound *in);
uint64_t inbound_serial(const Inbound *in);

/* The sender's address as libzmq knows it. */
const char *inbound_address(const Inbound *in);
