/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/heartbeat.h"

#include "base/clock.h"
#include "base/macros.h"

#define SLOW (500 * USEC_PER_MSEC)

/* Not just after the client has come back, when it may have been without a PING for long; and well below the six seconds
 * that it lives without one. */
#define REST_AFTER (10 * USEC_PER_SEC)
#define REST (3 * USEC_PER_SEC)

void heartbeat_found(Heartbeat *h, uint64_t now)
{
        if (h->connected)
                return;
        bool waiting = h->waiting;
        *h = (Heartbeat){ .connected = true, .unsure = true, .found = now };
        if (waiting)
                heartbeat_ping(h, now);
}

void heartbeat_lost(Heartbeat *h)
{
        *h = (Heartbeat){};
}

void heartbeat_begun(Heartbeat *h)
{
        h->unsure = false;
}

static bool rests(const Heartbeat *h, uint64_t now)
{
        return h->unsure && h->slow && now - h->found >= REST_AFTER;
}

uint64_t heartbeat_interval(const Heartbeat *h, uint64_t now, uint64_t interval)
{
        return rests(h, now) ? MAX(interval, REST) : interval;
}

void heartbeat_ping(Heartbeat *h, uint64_t now)
{
        if (rests(h, now))
                *h = (Heartbeat){ .connected = true };
        if (!h->connected)
                h->waiting = true;
        else if (h->n == HEARTBEAT_PINGS || h->n_beyond > 0)
                h->n_beyond++;
        else
                h->sent[(h->first + h->n++) % HEARTBEAT_PINGS] = now;
}

void heartbeat_refused(Heartbeat *h)
{
        if (h->n_beyond > 0)
                h->n_beyond--;
        else
                h->n -= h->n > 0;
}

bool heartbeat_pong(Heartbeat *h, uint64_t now, uint64_t *ret_usec)
{
        if (h->n == 0) {
                h->n_beyond -= h->n_beyond > 0;
                return false;
        }
        *ret_usec = now - h->sent[h->first];
        h->first = (uint8_t)((h->first + 1) % HEARTBEAT_PINGS);
        h->n--;
        h->slow |= *ret_usec >= SLOW;
        if (h->n == 0 && !h->slow)
                h->unsure = false;
        return !h->unsure;
}
