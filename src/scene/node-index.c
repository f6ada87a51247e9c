/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/siphash.h"
#include "scene/node.h"

#define NODE_INDEX_SIZE_MIN 64u

/* Kept whole with the entry, so that growing does not have to look at the nodes. */
static uint32_t node_index_hash(const Scene *s, const void *uuid, size_t uuid_size)
{
        SipHash h;
        uint64_t digest[2];
        siphash_begin(&h, s->hash_key);
        siphash_add(&h, uuid, uuid_size);
        siphash_end(&h, digest);
        return (uint32_t)digest[0];
}

uint32_t node_index_find(const Scene *s, const void *uuid, size_t uuid_size)
{
        if (s->n_nodes == 0)
                return NODE_NONE;
        uint32_t hash = node_index_hash(s, uuid, uuid_size);
        NodeKey key;
        node_key_init(&key, uuid, uuid_size);
        for (uint32_t i = hash & s->index_mask;; i = (i + 1) & s->index_mask) {
                const NodeIndexEntry *e = &s->index[i];
                if (e->slot == NODE_NONE)
                        return NODE_NONE;
                if (e->hash != hash)
                        continue;
                if (node_has_key(scene_slot(s, e->slot), &key))
                        return e->slot;
        }
}

static void node_index_insert(NodeIndexEntry *index, uint32_t mask, NodeIndexEntry entry)
{
        uint32_t i = entry.hash & mask;
        while (index[i].slot != NODE_NONE)
                i = (i + 1) & mask;
        index[i] = entry;
}

int node_index_reserve(Scene *s, size_t n_more)
{
        uint64_t size = s->index ? (uint64_t)s->index_mask + 1 : NODE_INDEX_SIZE_MIN;
        while (s->n_nodes + n_more > size / 4 * 3)
                size *= 2;
        if (size > UINT32_MAX)
                return -ENOMEM;
        if (s->index && size == (uint64_t)s->index_mask + 1)
                return 0;
        NodeIndexEntry *index = malloc(size * sizeof *index);
        if (!index)
                return -ENOMEM;
        memset(index, 0xff, size * sizeof *index);
        for (uint32_t i = 0; s->index && i <= s->index_mask; i++)
                if (s->index[i].slot != NODE_NONE)
                        node_index_insert(index, (uint32_t)size - 1, s->index[i]);
        free(s->index);
        s->index = index;
        s->index_mask = (uint32_t)size - 1;
        return 0;
}

int scene_reserve(Scene *s, size_t n_more)
{
        return node_index_reserve(s, n_more);
}

void node_index_add(Scene *s, const Node *n)
{
        uint32_t hash = node_index_hash(s, node_uuid(n).text, node_uuid_size(n));
        node_index_insert(s->index, s->index_mask, (NodeIndexEntry){ .hash = hash, .slot = n->slot });
}

/* Shifts the rest of the cluster back over the hole. */
void node_index_remove(Scene *s, const Node *n)
{
        uint32_t mask = s->index_mask;
        uint32_t hole = node_index_hash(s, node_uuid(n).text, node_uuid_size(n)) & mask;
        while (s->index[hole].slot != n->slot)
                hole = (hole + 1) & mask;
        for (uint32_t i = (hole + 1) & mask; s->index[i].slot != NODE_NONE; i = (i + 1) & mask) {
                uint32_t home = s->index[i].hash & mask;
                if (((i - home) & mask) >= ((i - hole) & mask)) {
                        s->index[hole] = s->index[i];
                        hole = i;
                }
        }
        s->index[hole].slot = NODE_NONE;
}
