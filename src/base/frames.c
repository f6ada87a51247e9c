/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/frames.h"

Frames *frames_new(Bytes *const *frames, size_t n_frames)
{
        assert(n_frames <= FRAMES_MAX);
        Frames *f = malloc(sizeof *f);
        if (!f)
                return NULL;
        *f = (Frames){ .n_ref = 1, .n_frames = n_frames };
        for (size_t i = 0; i < n_frames; i++) {
                f->frame[i] = frames[i];
                f->size += frames[i]->size;
        }
        return f;
}

Frames *frames_ref(Frames *f)
{
        if (f)
                f->n_ref++;
        return f;
}

Frames *frames_unref(Frames *f)
{
        if (!f || --f->n_ref > 0)
                return NULL;
        for (size_t i = 0; i < f->n_frames; i++)
                bytes_unref(f->frame[i]);
        free(f);
        return NULL;
}
