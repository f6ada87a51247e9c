/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/u64-map.h"

/* Linear probing; removal shifts the rest of the cluster back, so there are no tombstones to wade through. */

#define U64_MAP_SIZE_MIN 16u

static uint32_t u64_map_home(uint64_t key, uint32_t mask)
{
        /* The finaliser of SplitMix64 (Steele, Lea, Flood, 2014). */
        key = (key ^ (key >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        key = (key ^ (key >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (uint32_t)(key ^ (key >> 31)) & mask;
}

void u64_map_done(U64Map *m)
{
        free(m->entries);
        *m = (U64Map){};
}

static uint32_t u64_map_slot(const U64Map *m, uint64_t key)
{
        uint32_t i = u64_map_home(key, m->mask);
        while (m->entries[i].key != 0 && m->entries[i].key != key)
                i = (i + 1) & m->mask;
        return i;
}

uint64_t *u64_map_find(const U64Map *m, uint64_t key)
{
        if (m->n == 0)
                return NULL;
        uint32_t i = u64_map_slot(m, key);
        return m->entries[i].key == key ? &m->entries[i].value : NULL;
}

static int u64_map_resize(U64Map *m, uint32_t size)
{
        U64Map fresh = { .entries = calloc(size, sizeof(U64MapEntry)), .n = m->n, .mask = size - 1 };
        if (!fresh.entries)
                return -ENOMEM;
        for (const U64MapEntry *e = u64_map_next(m, NULL); e; e = u64_map_next(m, e))
                fresh.entries[u64_map_slot(&fresh, e->key)] = *e;
        free(m->entries);
        *m = fresh;
        return 0;
}

static bool u64_map_is_full(size_t n, uint32_t size)
{
        return n >= size / 4 * 3;
}

int u64_map_reserve(U64Map *m, size_t n)
{
        uint32_t before = m->entries ? m->mask + 1 : 0, size = MAX(before, U64_MAP_SIZE_MIN);
        while (u64_map_is_full(n, size) && size <= UINT32_MAX / 2)
                size *= 2;
        return size > before ? u64_map_resize(m, size) : 0;
}

int u64_map_set(U64Map *m, uint64_t key, uint64_t value)
{
        assert(key != 0);
        uint64_t *there = u64_map_find(m, key);
        if (there) {
                *there = value;
                return 1;
        }
        int r = u64_map_reserve(m, m->n);
        if (r < 0)
                return r;
        m->entries[u64_map_slot(m, key)] = (U64MapEntry){ .key = key, .value = value };
        m->n++;
        return 0;
}

bool u64_map_remove(U64Map *m, uint64_t key)
{
        if (m->n == 0)
                return false;
        uint32_t hole = u64_map_slot(m, key);
        if (m->entries[hole].key != key)
                return false;
        for (uint32_t i = (hole + 1) & m->mask; m->entries[i].key != 0; i = (i + 1) & m->mask) {
                uint32_t home = u64_map_home(m->entries[i].key, m->mask);
                if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
                        m->entries[hole] = m->entries[i];
                        hole = i;
                }
        }
        m->entries[hole] = (U64MapEntry){};
        if (--m->n == 0)
                u64_map_done(m);
        return true;
}

const U64MapEntry *u64_map_next(const U64Map *m, const U64MapEntry *e)
{
        if (m->n == 0)
                return NULL;
        for (e = e ? e + 1 : m->entries; e <= m->entries + m->mask; e++)
                if (e->key != 0)
                        return e;
        return NULL;
}

const U64MapEntry *u64_map_take(U64Map *m, const U64MapEntry *e)
{
        /* What moves into the hole comes from behind it: from the rest of the walk, or around the end, seen already. */
        u64_map_remove(m, e->key);
        if (m->n == 0)
                return NULL;
        return e->key != 0 ? e : u64_map_next(m, e);
}
