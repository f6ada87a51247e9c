/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/identity-map.h"

#define SIZE_MIN 64u

void identity_map_clear(IdentityMap *m)
{
        free(m->entries);
        *m = (IdentityMap){};
}

static size_t slot_of(const IdentityMap *m, const void *object)
{
        uint64_t h = (uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15);
        return (h >> 24) & m->mask;
}

static IdentityEntry *probe(const IdentityMap *m, const void *object)
{
        size_t i = slot_of(m, object);
        while (m->entries[i].object && m->entries[i].object != object)
                i = (i + 1) & m->mask;
        return &m->entries[i];
}

static int grow(IdentityMap *m)
{
        size_t size = m->entries ? 2 * (m->mask + 1) : SIZE_MIN;
        IdentityMap bigger = { .mask = size - 1, .n = m->n };

        bigger.entries = calloc(size, sizeof *bigger.entries);
        if (!bigger.entries)
                return -ENOMEM;
        for (size_t i = 0; m->entries && i <= m->mask; i++)
                if (m->entries[i].object)
                        *probe(&bigger, m->entries[i].object) = m->entries[i];
        free(m->entries);
        *m = bigger;
        return 0;
}

IdentityEntry *identity_map_find(const IdentityMap *m, const void *object)
{
        if (!m->entries)
                return NULL;
        IdentityEntry *entry = probe(m, object);
        return entry->object ? entry : NULL;
}

int identity_map_put(IdentityMap *m, const void *object, uint64_t number, IdentityEntry **ret_entry)
{
        if (!m->entries || m->n + 1 > (m->mask + 1) / 2) {
                int r = grow(m);
                if (r < 0)
                        return r;
        }

        IdentityEntry *entry = probe(m, object);
        int found = entry->object != NULL;
        if (!found) {
                *entry = (IdentityEntry){ .object = object, .number = number };
                m->n++;
        }
        if (ret_entry)
                *ret_entry = entry;
        return found;
}
