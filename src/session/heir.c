/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session/heir.h"

Heir *heir_new(const RoutingId *id, const char *address, Bytes *const *frames, size_t n_frames)
{
        _cleanup_heir_ Heir *h = calloc(1, sizeof *h);
        if (!h)
                return NULL;
        h->id = *id;
        h->address = strdup(address);
        Bytes *copy[FRAMES_MAX] = {};
        for (size_t i = 0; i < n_frames; i++)
                copy[i] = bytes_ref(frames[i]);
        h->frames = frames_new(copy, n_frames);
        for (size_t i = 0; !h->frames && i < n_frames; i++)
                bytes_unref(copy[i]);
        return h->address && h->frames ? TAKE_PTR(h) : NULL;
}

Heir *heir_free(Heir *h)
{
        if (!h)
                return NULL;
        frames_unref(h->frames);
        free(h->address);
        free(h);
        return NULL;
}
