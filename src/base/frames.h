/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The frames of one message on the wire, without the routing id; immutable and reference-counted, so that
 * one message can stand in many outboxes. Not atomic: belongs to the event loop's thread (the Bytes inside
 * may be referenced elsewhere). */

#include "base/bytes.h"

#define FRAMES_MAX 5

typedef enum Channel {
        CHANNEL_COMMAND,
        CHANNEL_DATA,
        CHANNEL_TTL,
        _CHANNEL_MAX,
} Channel;

typedef struct Frames {
        uint32_t n_ref;
        uint32_t n_frames;
        size_t size; /* payload bytes of all frames */
        Bytes *frame[FRAMES_MAX];
} Frames;

/* Takes over n_frames references from `frames` (only on success; NULL when memory is short). */
Frames *frames_new(Bytes *const *frames, size_t n_frames);
Frames *frames_ref(Frames *f);
Frames *frames_unref(Frames *f);
DEFINE_CLEANUP(Frames *, frames_unref)
#define _cleanup_frames_ _cleanup_(frames_unrefp)
