/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session/session-private.h"

struct SessionIntake {
        uint32_t user; /* serial */
        uint64_t arrived;
        char *address;
        MessageLimits limits;
        Channel channel;
        Bytes *frames[FRAMES_MAX];
        size_t n_frames;
        Message message; /* from here: what has become of it */
        int parsed;
        const char *reason;
};

static int intake_new(const Session *s, const User *u, Channel channel, const char *address, Bytes *const *frames,
                      size_t n_frames, SessionIntake **ret)
{
        _cleanup_(session_intake_freep) SessionIntake *i = calloc(1, sizeof *i);
        if (!i)
                return -ENOMEM;
        i->address = strdup(address);
        if (!i->address)
                return -ENOMEM;
        i->user = u->serial;
        i->arrived = s->now.now;
        i->limits = s->limits;
        i->channel = channel;
        i->n_frames = n_frames;
        for (size_t k = 0; k < MIN(n_frames, (size_t)FRAMES_MAX); k++)
                i->frames[k] = bytes_ref(frames[k]);
        *ret = TAKE_PTR(i);
        return 0;
}

int session_intake_new(Session *s, SessionTime t, Channel channel, const RoutingId *from, const char *address,
                       Bytes *const *frames, size_t n_frames, EffectList *effects, SessionIntake **ret)
{
        User *u = session_find_user(s, from);
        if (!u || s->loading)
                return 1;
        session_enter(s, t, effects);
        int r = session_greet(s, channel, from, u, address, frames, n_frames);
        if (r == 0)
                r = intake_new(s, u, channel, address, frames, n_frames, ret);
        return session_leave(s, r);
}

void session_intake_run(SessionIntake *i)
{
        i->parsed = message_parse(&i->message, &i->limits, i->channel, i->frames, i->n_frames, false, &i->reason);
}

Bytes *session_intake_payload(const SessionIntake *i)
{
        return i->message.node.payload;
}

int session_receive_intake(Session *s, SessionTime t, SessionIntake *i, EffectList *effects)
{
        User *u = session_find_serial(s, i->user);
        if (!u)
                return 0;
        Message m = i->message;
        i->message = (Message){};
        RoutingId from = u->id;
        session_enter(s, t, effects);
        s->arrived = i->arrived;
        return session_leave(s, session_take(s, i->channel, &from, u, i->address, i->parsed, i->reason, &m, i->frames,
                                             i->n_frames));
}

SessionIntake *session_intake_free(SessionIntake *i)
{
        if (!i)
                return NULL;
        message_done(&i->message);
        for (size_t k = 0; k < FRAMES_MAX; k++)
                bytes_unref(i->frames[k]);
        free(i->address);
        free(i);
        return NULL;
}
