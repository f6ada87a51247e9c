/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/bytes.h"
#include "base/frames.h"
#include "base/routing-id.h"

/* A login under the name of a user who may yet come back from before a restart. It waits until that is known: the very
 * connection that starts the server may be that of the user, whose Blender was started anew meanwhile. A user has one at
 * most. */
typedef struct Heir {
        RoutingId id;
        char *address;
        Frames *frames; /* of the login, without routing id */
} Heir;

/* References at most FRAMES_MAX frames. NULL when memory is short. */
Heir *heir_new(const RoutingId *id, const char *address, Bytes *const *frames, size_t n_frames);
Heir *heir_free(Heir *h); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(Heir *, heir_free)
#define _cleanup_heir_ _cleanup_(heir_freep)
