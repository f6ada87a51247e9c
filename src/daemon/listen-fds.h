/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Listening sockets handed over by systemd. They are recognised by name
 * (FileDescriptorName=command, data, ttl), or, where none of them is named so
 * because one unit lists all three, by order. What does not fit is closed and
 * named in the log: a descriptor that nobody owns would accept connections
 * that nobody answers.
 */

#include "base/macros.h"

typedef struct ListenFds {
        int command, data, ttl; /* listening TCP sockets, non-blocking, close-on-exec */
        unsigned port;          /* of command; clients assume that data and ttl are the two ports after it */
} ListenFds;

#define LISTEN_FDS_INIT ((ListenFds){.command = -1, .data = -1, .ttl = -1})

/* Takes what was handed over and removes it from the environment. Returns 1 with *ret owned by the caller, 0 when nothing
 * was handed over at all, -EINVAL (already logged) when the three are not complete or not usable. */
int listen_fds_take(ListenFds *ret);
void listen_fds_close(ListenFds *fds);
