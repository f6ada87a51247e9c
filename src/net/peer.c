/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/peer.h"

/* Only ids that have logged in are in the table, and their number is bounded: nobody can make chains long that
 * would matter. Eight bytes in each step, for every delivery looks here: the multiplier is the golden ratio's. */
static size_t bucket_of(const RoutingId *id)
{
        uint64_t h = id->size, word;
        size_t i = 0;
        for (; i + sizeof word <= id->size; i += sizeof word) {
                memcpy(&word, id->bytes + i, sizeof word);
                h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
                h ^= h >> 32;
        }
        word = 0;
        memcpy(&word, id->bytes + i, id->size - i);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        return (h ^ (h >> 32)) % PEER_TABLE_BUCKETS;
}

static Peer *peer_free(Peer *p)
{
        for (int c = 0; c < _CHANNEL_MAX; c++) {
                outbox_clear(&p->box[c]);
                flight_unref(p->box[c].flight);
        }
        free(p);
        return NULL;
}

Peer *peer_table_find(const PeerTable *t, const RoutingId *id)
{
        for (Peer *p = t->bucket[bucket_of(id)]; p; p = p->next_in_bucket)
                if (routing_id_equal(&p->id, id))
                        return p;
        return NULL;
}

Peer *peer_table_add(PeerTable *t, const RoutingId *id, size_t window, int wake_fd)
{
        Peer *p = calloc(1, sizeof *p);
        if (!p)
                return NULL;
        p->id = *id;
        for (int c = 0; c < _CHANNEL_MAX; c++) {
                p->box[c].peer = p;
                p->box[c].channel = c;
                p->box[c].flight = flight_new(window, wake_fd);
                if (!p->box[c].flight)
                        return peer_free(p);
        }
        Peer **bucket = &t->bucket[bucket_of(id)];
        p->next_in_bucket = *bucket;
        *bucket = p;
        p->next = t->first;
        if (p->next)
                p->next->previous = p;
        t->first = p;
        t->n_peers++;
        return p;
}

void peer_table_remove(PeerTable *t, Peer *p)
{
        peer_table_clear_due(t, p, p->due);
        for (int c = 0; c < _CHANNEL_MAX; c++) {
                outbox_clear(&p->box[c]);
                peer_table_update_pending(t, &p->box[c]);
        }
        Peer **bucket = &t->bucket[bucket_of(&p->id)];
        while (*bucket != p)
                bucket = &(*bucket)->next_in_bucket;
        *bucket = p->next_in_bucket;
        *(p->previous ? &p->previous->next : &t->first) = p->next;
        if (p->next)
                p->next->previous = p->previous;
        t->n_peers--;
        peer_free(p);
}

void peer_table_done(PeerTable *t)
{
        while (t->first)
                peer_table_remove(t, t->first);
        assert(!t->first_due && !t->first_pending && t->n_peers == 0);
}

void peer_table_set_due(PeerTable *t, Peer *p, unsigned due)
{
        if (p->closing)
                return;
        if (!p->due) {
                p->next_due = t->first_due;
                if (p->next_due)
                        p->next_due->previous_due = p;
                t->first_due = p;
        }
        p->due |= due;
}

void peer_table_clear_due(PeerTable *t, Peer *p, unsigned due)
{
        if (!p->due)
                return;
        p->due &= ~due;
        if (p->due)
                return;
        *(p->previous_due ? &p->previous_due->next_due : &t->first_due) = p->next_due;
        if (p->next_due)
                p->next_due->previous_due = p->previous_due;
        p->next_due = p->previous_due = NULL;
}

void peer_table_update_pending(PeerTable *t, Outbox *o)
{
        if (!outbox_is_empty(o) == o->is_pending)
                return;
        if (!o->is_pending) {
                o->next_pending = t->first_pending;
                if (o->next_pending)
                        o->next_pending->previous_pending = o;
                t->first_pending = o;
        } else {
                *(o->previous_pending ? &o->previous_pending->next_pending : &t->first_pending) = o->next_pending;
                if (o->next_pending)
                        o->next_pending->previous_pending = o->previous_pending;
                o->next_pending = o->previous_pending = NULL;
        }
        o->is_pending = !o->is_pending;
}

size_t peer_queued(const Peer *p)
{
        size_t n = 0;
        for (int c = 0; c < _CHANNEL_MAX; c++)
                n += p->box[c].n_queued;
        return n;
}

size_t peer_in_flight(const Peer *p)
{
        size_t n = 0;
        for (int c = 0; c < _CHANNEL_MAX; c++)
                n += flight_bytes(p->box[c].flight);
        return n;
}

size_t peer_outstanding(const Peer *p)
{
        size_t n = 0;
        for (int c = 0; c < _CHANNEL_MAX; c++)
                n += flight_outstanding(p->box[c].flight);
        return n;
}
