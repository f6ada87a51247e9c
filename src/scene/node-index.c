/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/pages.h"
#include "pickle/siphash.h"
#include "scene/node.h"

/* Linear probing bears a table that is nearly full, and what grows by a quarter is never half empty. */
#define NODE_INDEX_SIZE_MIN 64u
#define NODE_INDEX_IS_FULL(n, size) ((uint64_t)(n) * 20 > (uint64_t)(size) * 17)

/* Kept whole with the entry, so that growing does not have to look at the nodes. */
uint32_t node_index_hash(const Scene *s, const void *uuid, size_t uuid_size)
{
        SipHash h;
        uint64_t digest[2];
        siphash_begin(&h, s->hash_key);
        siphash_add(&h, uuid, uuid_size);
        siphash_end(&h, digest);
        return (uint32_t)digest[0];
}

static uint32_t node_index_home(uint32_t hash, uint32_t size)
{
        return (uint32_t)((uint64_t)hash * size >> 32);
}

static uint32_t node_index_next(uint32_t i, uint32_t size)
{
        return i + 1 < size ? i + 1 : 0;
}

uint32_t node_index_find(const Scene *s, const NodeKey *key)
{
        if (s->n_nodes == 0)
                return NODE_NONE;
        for (uint32_t i = node_index_home(key->hash, s->index_size);; i = node_index_next(i, s->index_size)) {
                const NodeIndexEntry *e = &s->index[i];
                if (e->slot == NODE_NONE)
                        return NODE_NONE;
                if (e->hash == key->hash && node_has_key(scene_slot(s, e->slot), key))
                        return e->slot;
        }
}

static void node_index_insert(NodeIndexEntry *index, uint32_t size, NodeIndexEntry entry)
{
        uint32_t i = node_index_home(entry.hash, size);
        while (index[i].slot != NODE_NONE)
                i = node_index_next(i, size);
        index[i] = entry;
}

int node_index_reserve(Scene *s, size_t n_more)
{
        uint64_t n = s->n_nodes + n_more, size = MAX(s->index_size, NODE_INDEX_SIZE_MIN);
        if (s->index && !NODE_INDEX_IS_FULL(n, size))
                return 0;
        while (NODE_INDEX_IS_FULL(n, size))
                size += size / 4;
        if (n > SCENE_NODES_MAX)
                return -ENOMEM;
        NodeIndexEntry *index = pages_new(size * sizeof *index);
        if (!index)
                return -ENOMEM;
        memset(index, 0xff, size * sizeof *index);
        for (uint32_t i = 0; i < s->index_size; i++)
                if (s->index[i].slot != NODE_NONE)
                        node_index_insert(index, (uint32_t)size, s->index[i]);
        node_index_done(s);
        s->index = index;
        s->index_size = (uint32_t)size;
        return 0;
}

void node_index_done(Scene *s)
{
        pages_free(s->index, s->index_size * sizeof *s->index);
        s->index = NULL;
        s->index_size = 0;
}

int scene_reserve(Scene *s, size_t n_more)
{
        return node_index_reserve(s, n_more);
}

void node_index_add(Scene *s, const Node *n, uint32_t hash)
{
        node_index_insert(s->index, s->index_size, (NodeIndexEntry){ .hash = hash, .slot = n->slot });
}

/* How far i lies behind `from`, around the end. */
static uint32_t node_index_distance(uint32_t from, uint32_t i, uint32_t size)
{
        return i >= from ? i - from : i + (size - from);
}

/* Shifts the rest of the cluster back over the hole. */
void node_index_remove(Scene *s, const Node *n)
{
        uint32_t size = s->index_size;
        uint32_t hole = node_index_home(node_index_hash(s, node_uuid(n).text, node_uuid_size(n)), size);
        while (s->index[hole].slot != n->slot)
                hole = node_index_next(hole, size);
        for (uint32_t i = node_index_next(hole, size); s->index[i].slot != NODE_NONE; i = node_index_next(i, size)) {
                uint32_t home = node_index_home(s->index[i].hash, size);
                if (node_index_distance(home, i, size) >= node_index_distance(hole, i, size)) {
                        s->index[hole] = s->index[i];
                        hole = i;
                }
        }
        s->index[hole].slot = NODE_NONE;
}
