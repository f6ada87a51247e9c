/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * When has arrived what was sent to a peer as SEND_BULK? On a slow line it
 * lies for many seconds in libzmq (up to the window) and in the kernel (up to
 * some megabytes), while a command overtakes all of it. Nothing on the wire
 * acknowledges data; TCP does, and the kernel tells how much it still holds.
 *
 * An outbox is laden from the first message on until all has arrived. While it
 * is, a mark is put at what has been sent, and looked at now and then: what was
 * sent before the mark has arrived when no more than what came after it is left
 * with libzmq and the kernel. A single message counts, too: when a line that
 * was dead for some seconds is there again, TCP repeats what is missing on each
 * of its connections in its own time.
 */

#include <stdlib.h>
#include <string.h>

#include "net/net-private.h"

/* Of a connection that has never spoken only the address is known. When another silent one from there does not read, so
 * that nothing is acknowledged on it, its neighbours wait for it for no longer than this. A slow line may well be their own. */
#define SILENT_WAIT (10 * UINT64_C(1000000))

bool net_delivery_note(Net *n, Outbox *o)
{
        if (o->laden)
                return false;
        o->laden = true;
        o->laden_since = clock_monotonic_usec();
        o->mark_time = 0;
        n->has_laden = true;
        net_arm_retry(n);
        return true;
}

void net_delivery_lost(Outbox *o)
{
        o->laden = false;
        o->arrived_wire = o->n_wire;
        o->mark_time = 0;
}

static bool is_silent(const Outbox *o)
{
        return o->laden && o->serial == 0 && o->peer->has_address;
}

static int compare_addresses(const void *a, const void *b)
{
        return memcmp(((const SilentAddress *)a)->address.bytes, ((const SilentAddress *)b)->address.bytes, sizeof(Address));
}

static SilentAddress *find_silent(const Net *n, const Address *address)
{
        SilentAddress key = { .address = *address };
        return n->silent.n == 0 ? NULL :
                bsearch(&key, n->silent.addresses, n->silent.n, sizeof key, compare_addresses);
}

static void merge_equal(SilentAddresses *s)
{
        size_t n = 0;
        for (size_t i = 0; i < s->n; i++)
                if (n == 0 || !address_equal(&s->addresses[n - 1].address, &s->addresses[i].address))
                        s->addresses[n++] = s->addresses[i];
        s->n = n;
}

/* Gathers the addresses that silent outboxes wait for, and asks the kernel about each silent connection from there
 * once: many clients behind one address would each ask about all of them. False: no memory. */
static bool look_at_silent(Net *n)
{
        SilentAddresses *s = &n->silent;
        s->n = 0;
        for (const Peer *p = n->peers.first; p; p = p->next) {
                if (!is_silent(&p->box[CHANNEL_DATA]))
                        continue;
                if (s->n == s->n_allocated) {
                        size_t wanted = MAX(2 * s->n, (size_t)16);
                        SilentAddress *more = reallocarray(s->addresses, wanted, sizeof *more);
                        if (!more)
                                return false;
                        s->addresses = more;
                        s->n_allocated = wanted;
                }
                s->addresses[s->n++] = (SilentAddress){ .address = p->address };
        }
        if (s->n == 0)
                return true;
        qsort(s->addresses, s->n, sizeof *s->addresses, compare_addresses);
        merge_equal(s);
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                const Connection *c = n->connections.by_fd[i];
                if (!c || c->channel != CHANNEL_DATA || c->has_id || !c->is_ip ||
                    (c->state != CONNECTION_MAYBE && c->state != CONNECTION_ESTABLISHED))
                        continue;
                SilentAddress *a = find_silent(n, &c->address);
                uint64_t holds = a ? connection_bytes_unsent(c) : 0;
                if (holds == 0)
                        continue;
                a->kernel_holds = MAX(a->kernel_holds, holds);
                if (c->acked_after + SILENT_WAIT >= s->now)
                        a->moving_holds = MAX(a->moving_holds, holds);
        }
        return true;
}

/* Bytes that the kernel holds of what was sent to the peer. */
static uint64_t kernel_holds(const Net *n, const Outbox *o)
{
        if (o->serial != 0) {
                const Connection *c = connection_table_find(&n->connections, o->fd);
                return c && c->serial == o->serial ? connection_bytes_unsent(c) : 0;
        }
        const SilentAddress *a = is_silent(o) ? find_silent(n, &o->peer->address) : NULL;
        if (!a)
                return 0;
        return n->silent.now - o->laden_since <= SILENT_WAIT ? a->kernel_holds : a->moving_holds;
}

static void check(Net *n, Outbox *o, uint64_t now)
{
        /* A mark says something about all that was sent only when nothing waits here. */
        if (!outbox_is_empty(o))
                return;
        if (o->mark_time == 0) {
                o->mark_time = now;
                o->mark_wire = o->n_wire;
        }
        uint64_t kernel = kernel_holds(n, o);
        bool all = kernel == 0 && flight_outstanding(o->flight) == 0;
        uint64_t left = all ? 0 : kernel + flight_bytes(o->flight);
        uint64_t arrived = left < o->n_wire ? o->n_wire - left : 0;
        o->arrived_wire = MAX(o->arrived_wire, arrived);
        if (!all && o->arrived_wire < o->mark_wire)
                return;
        o->arrived_until = all ? now : o->mark_time;
        o->laden = !all;
        o->mark_time = 0;
        peer_table_set_due(&n->peers, o->peer, PEER_DUE_DELIVERED);
}

void net_delivery_check(Net *n)
{
        if (!n->has_laden)
                return;
        uint64_t now = clock_monotonic_usec();
        n->silent.now = now;
        if (!look_at_silent(n)) /* the next one will do */
                return;
        n->has_laden = false;
        for (Peer *p = n->peers.first; p; p = p->next) {
                Outbox *o = &p->box[CHANNEL_DATA];
                if (o->laden)
                        check(n, o, now);
                n->has_laden = n->has_laden || o->laden;
        }
}
