/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/outbox.h"

#include <errno.h>

struct OutboxEntry {
        OutboxEntry *next;
        Frames *frames;
        SendClass class;
};

static void count(Outbox *o, const OutboxEntry *e, bool add)
{
        size_t charge = flight_charge(e->frames);
        o->n_queued += add ? charge : -charge;
        if (e->class == SEND_CONTROL)
                o->n_control += add ? charge : -charge;
        if (e->class == SEND_BULK)
                o->n_bulk += add ? 1 : -1;
}

int outbox_push(Outbox *o, SendClass class, Frames *frames)
{
        OutboxEntry *e = malloc(sizeof *e);
        if (!e)
                return -ENOMEM;
        *e = (OutboxEntry){ .frames = frames_ref(frames), .class = class };
        *(o->last ? &o->last->next : &o->first) = e;
        o->last = e;
        count(o, e, true);
        return 0;
}

Frames *outbox_head(const Outbox *o)
{
        return o->first ? o->first->frames : NULL;
}

bool outbox_head_is(const Outbox *o, SendClass class)
{
        return o->first && o->first->class == class;
}

void outbox_pop(Outbox *o)
{
        OutboxEntry *e = o->first;
        o->first = e->next;
        if (!o->first)
                o->last = NULL;
        count(o, e, false);
        frames_unref(e->frames);
        free(e);
}

void outbox_clear(Outbox *o)
{
        while (o->first)
                outbox_pop(o);
}

void outbox_drop(Outbox *o, SendClass class)
{
        OutboxEntry *kept = NULL;
        for (OutboxEntry **p = &o->first; *p;) {
                OutboxEntry *e = *p;
                if (e->class != class) {
                        kept = e;
                        p = &e->next;
                        continue;
                }
                *p = e->next;
                count(o, e, false);
                frames_unref(e->frames);
                free(e);
        }
        o->last = kept;
}

bool outbox_replace_table(Outbox *o, Frames *frames)
{
        OutboxEntry *e = o->last;
        if (!e || e->class != SEND_TABLE)
                return false;
        count(o, e, false);
        frames_ref(frames);
        frames_unref(e->frames);
        e->frames = frames;
        count(o, e, true);
        return true;
}

bool outbox_has(const Outbox *o, SendClass class)
{
        for (const OutboxEntry *e = o->first; e; e = e->next)
                if (e->class == class)
                        return true;
        return false;
}
