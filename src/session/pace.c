/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/pace.h"

#include <string.h>

#include "base/macros.h"

static void advance(Pace *p, uint64_t second)
{
        if (second <= p->newest)
                return;
        if (second - p->newest >= PACE_SECONDS)
                memset(p->second, 0, sizeof p->second);
        else
                for (uint64_t i = p->newest + 1; i <= second; i++)
                        memset(&p->second[i % PACE_SECONDS], 0, sizeof p->second[0]);
        p->newest = second;
}

void pace_note_data(Pace *p, uint64_t now)
{
        advance(p, now / USEC_PER_SEC);
        p->second[p->newest % PACE_SECONDS].n_data++;
        p->n_since++;
}

static void forget_commands(Pace *p)
{
        p->ordered = false;
        for (unsigned i = 0; i < PACE_SECONDS; i++)
                p->second[i].n_commands = 0;
}

void pace_note_late(Pace *p, uint64_t now, uint64_t since)
{
        uint64_t second = since / USEC_PER_SEC, n_data = 0;
        advance(p, now / USEC_PER_SEC);
        if (p->newest - second >= PACE_SECONDS) /* some of it has been forgotten */
                n_data = PACE_MAX;
        for (uint64_t i = p->newest; i >= second && i + PACE_SECONDS > p->newest; i--) {
                n_data += p->second[i % PACE_SECONDS].n_data;
                p->second[i % PACE_SECONDS].n_data = 0;
                if (i == 0)
                        break;
        }
        p->second[p->newest % PACE_SECONDS].n_data = (uint32_t)MIN(n_data, (uint64_t)PACE_MAX);
        forget_commands(p);
}

void pace_note_found(Pace *p, uint64_t now)
{
        p->found = now;
        forget_commands(p);
}

void pace_note_ordered(Pace *p)
{
        p->ordered = true;
        p->n_since = 0;
}

void pace_doubt(Pace *p, uint64_t now)
{
        advance(p, now / USEC_PER_SEC);
        /* As much as is made up for at most: what is known of besides adds nothing to it. */
        memset(p->second, 0, sizeof p->second);
        p->second[p->newest % PACE_SECONDS].n_data = PACE_MAX;
        p->ordered = false;
}

void pace_note_command(Pace *p, uint64_t now)
{
        advance(p, now / USEC_PER_SEC);
        p->second[p->newest % PACE_SECONDS].n_commands++;
}

unsigned pace_lacks(const Pace *p, uint64_t now, uint64_t heard)
{
        uint64_t second = now / USEC_PER_SEC, oldest = second >= PACE_SECONDS ? second - PACE_SECONDS + 1 : 0;
        /* What was sent in the second before it spoke may have been on its way to it. */
        uint64_t proved = p->found != 0 && heard < p->found + PACE_OLD_NEWS ? 0 : heard / USEC_PER_SEC;
        if (proved > 1)
                oldest = MAX(oldest, proved - 1);
        int64_t lacks = 0, most = 0;
        for (uint64_t i = MIN(p->newest, second); i >= oldest && i + PACE_SECONDS > p->newest; i--) {
                /* The client may have become busy between the commands and the data of this second. */
                lacks += p->second[i % PACE_SECONDS].n_data;
                most = MAX(most, lacks);
                lacks -= p->second[i % PACE_SECONDS].n_commands;
                if (i == 0)
                        break;
        }
        if (p->ordered)
                most = MIN(most, (int64_t)p->n_since);
        return (unsigned)MIN(most, (int64_t)PACE_MAX);
}
