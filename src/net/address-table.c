/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/address-table.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define N_BUCKETS 1024
#define EVICTION_SPAN 32

typedef struct Entry Entry;

struct Entry {
        Address network;
        unsigned n_connections;
        double penalty;      /* as of penalty_at */
        uint64_t penalty_at;
        uint64_t banned_until; /* 0: not banned */
        Entry *next_in_bucket;
        Entry *newer, *older; /* only while it has no connections */
};

struct AddressTable {
        size_t max_idle, n_idle;
        unsigned limit, max_connections;
        uint64_t ban_usec;
        AddressPrefix *allow;
        size_t n_allow;
        uint64_t seed;
        Entry *newest, *oldest;
        Entry *bucket[N_BUCKETS];
};

AddressTable *address_table_new(size_t max_entries)
{
        AddressTable *t = calloc(1, sizeof *t);
        if (!t)
                return NULL;
        t->max_idle = MAX(max_entries, (size_t)1);
        t->max_connections = UINT32_MAX;
        if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) < 0)
                t->seed = (uintptr_t)t;
        return t;
}

AddressTable *address_table_free(AddressTable *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < N_BUCKETS; i++) {
                for (Entry *e = t->bucket[i], *next; e; e = next) {
                        next = e->next_in_bucket;
                        free(e);
                }
        }
        free(t->allow);
        free(t);
        return NULL;
}

int address_table_set_policy(AddressTable *t, const AddressPolicy *policy)
{
        size_t n = 0;
        while (policy->allow && policy->allow[n])
                n++;
        _cleanup_free_ AddressPrefix *allow = calloc(n ?: 1, sizeof *allow);
        if (!allow)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = address_prefix_parse(policy->allow[i], &allow[i]);
                if (r < 0)
                        return r;
        }
        free(t->allow);
        t->allow = TAKE_PTR(allow);
        t->n_allow = n;
        t->limit = policy->limit;
        t->ban_usec = MAX(policy->ban_usec, (uint64_t)1);
        t->max_connections = policy->max_connections;
        return 0;
}

bool address_table_is_allowed(const AddressTable *t, const Address *a)
{
        for (size_t i = 0; i < t->n_allow; i++)
                if (address_prefix_contains(&t->allow[i], a))
                        return true;
        return false;
}

static size_t bucket_of(const AddressTable *t, const Address *network)
{
        uint64_t high, low;
        memcpy(&high, network->bytes, 8);
        memcpy(&low, network->bytes + 8, 8);
        uint64_t h = (high ^ t->seed) * 0x9e3779b97f4a7c15u;
        h = (h ^ (h >> 32) ^ low) * 0xd6e8feb86659fd93u;
        return (h ^ (h >> 32)) % N_BUCKETS;
}

static Entry *find(const AddressTable *t, const Address *a)
{
        Address network = address_network(a);
        for (Entry *e = t->bucket[bucket_of(t, &network)]; e; e = e->next_in_bucket)
                if (address_equal(&e->network, &network))
                        return e;
        return NULL;
}

static void idle_remove(AddressTable *t, Entry *e)
{
        *(e->newer ? &e->newer->older : &t->newest) = e->older;
        *(e->older ? &e->older->newer : &t->oldest) = e->newer;
        e->newer = e->older = NULL;
        t->n_idle--;
}

static void idle_add(AddressTable *t, Entry *e)
{
        e->older = t->newest;
        *(t->newest ? &t->newest->newer : &t->oldest) = e;
        t->newest = e;
        t->n_idle++;
}

static void entry_forget(AddressTable *t, Entry *e)
{
        idle_remove(t, e);
        Entry **p = &t->bucket[bucket_of(t, &e->network)];
        while (*p != e)
                p = &(*p)->next_in_bucket;
        *p = e->next_in_bucket;
        free(e);
}

/* A ban should not be washed out by a stream of fresh addresses as long as something else can go. */
static void make_room(AddressTable *t, uint64_t now)
{
        while (t->n_idle > t->max_idle) {
                Entry *victim = t->oldest;
                unsigned n = 0;
                for (Entry *e = t->oldest; e && n < EVICTION_SPAN; e = e->newer, n++) {
                        if (e->banned_until <= now) {
                                victim = e;
                                break;
                        }
                }
                entry_forget(t, victim);
        }
}

/* Finds or makes the entry; a used one becomes the newest of the idle ones. */
static Entry *entry_use(AddressTable *t, const Address *a, uint64_t now)
{
        Entry *e = find(t, a);
        if (e) {
                if (e->n_connections == 0) {
                        idle_remove(t, e);
                        idle_add(t, e);
                }
                return e;
        }
        e = calloc(1, sizeof *e);
        if (!e)
                return NULL;
        e->network = address_network(a);
        Entry **bucket = &t->bucket[bucket_of(t, &e->network)];
        e->next_in_bucket = *bucket;
        *bucket = e;
        idle_add(t, e);
        make_room(t, now);
        return e;
}

int address_table_connect(AddressTable *t, const Address *a, uint64_t now)
{
        Entry *e = entry_use(t, a, now);
        if (!e)
                return -ENOMEM;
        if (e->n_connections >= t->max_connections && !address_table_is_allowed(t, a))
                return 1;
        if (e->n_connections++ == 0)
                idle_remove(t, e);
        return 0;
}

void address_table_disconnect(AddressTable *t, const Address *a, uint64_t now)
{
        Entry *e = find(t, a);
        assert(e && e->n_connections > 0);
        if (--e->n_connections > 0)
                return;
        idle_add(t, e);
        make_room(t, now);
}

static void entry_fade(const AddressTable *t, Entry *e, uint64_t now)
{
        double faded = (double)(now - e->penalty_at) * t->limit / t->ban_usec;
        e->penalty = e->penalty > faded ? e->penalty - faded : 0;
        e->penalty_at = now;
}

int address_table_penalise(AddressTable *t, const Address *a, unsigned weight, uint64_t now)
{
        if (weight == 0 || t->limit == 0 || address_table_is_allowed(t, a))
                return 0;
        Entry *e = entry_use(t, a, now);
        if (!e)
                return -ENOMEM;
        entry_fade(t, e, now);
        e->penalty += weight;
        /* Rounded up: `limit` offences of weight 1 in a row ban, though the first has faded a little by then. */
        if (e->banned_until > now || e->penalty <= t->limit - 1.0)
                return 0;
        e->banned_until = now + t->ban_usec;
        e->penalty = 0;
        return 1;
}

int address_table_ban(AddressTable *t, const Address *a, uint64_t now, uint64_t until)
{
        if (address_table_is_allowed(t, a))
                return 1;
        Entry *e = entry_use(t, a, now);
        if (!e)
                return -ENOMEM;
        e->banned_until = MAX(e->banned_until, until);
        return 0;
}

bool address_table_is_banned(const AddressTable *t, const Address *a, uint64_t now, uint64_t *ret_until)
{
        const Entry *e = find(t, a);
        if (!e || e->banned_until <= now || address_table_is_allowed(t, a))
                return false;
        if (ret_until)
                *ret_until = e->banned_until;
        return true;
}

int address_table_forgive(AddressTable *t, const Address *a)
{
        Entry *e = find(t, a);
        if (!e || (e->penalty == 0 && e->banned_until == 0))
                return 1;
        e->penalty = 0;
        e->banned_until = 0;
        return 0;
}

size_t address_table_count_banned(const AddressTable *t, uint64_t now)
{
        size_t n = 0;
        for (size_t i = 0; i < N_BUCKETS; i++)
                for (const Entry *e = t->bucket[i]; e; e = e->next_in_bucket)
                        n += e->banned_until > now;
        return n;
}
