/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Nodes in a plain file, as scenekeepctl hands them to the daemon: one after the other u32 size of the uuid, u32 of
 * the dependencies, u64 of the payload, little-endian, and then these three. The reader believes nothing: everything
 * is scanned as if it came from a client.
 */

#include "base/bytes.h"
#include "pickle/scanner.h"

typedef struct StreamedNode {
        Bytes *uuid, *dependencies, *payload;
} StreamedNode;

void streamed_node_done(StreamedNode *n);

/* Appends to a file at its offset. Returns 0 or -errno. */
int node_stream_write(int fd, const void *uuid, size_t uuid_size, const Bytes *dependencies, const Bytes *payload);

/* The next node from *offset on, which moves behind it. 1; 0 at the end; -EBADMSG for what is no node that clients
 * could load; -E2BIG for a payload beyond limits->max_size; -errno. */
int node_stream_read(int fd, uint64_t *offset, const PickleLimits *limits, StreamedNode *ret);
