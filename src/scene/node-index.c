/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/siphash.h"
#include "scene/node.h"

#define NODE_INDEX_SIZE_MIN 64u

static uint64_t node_index_hash(const Scene *s, const void *uuid, size_t uuid_size)
{
        SipHash h;
        uint64_t digest[2];
        siphash_begin(&h, s->hash_key);
        siphash_add(&h, uuid, uuid_size);
        siphash_end(&h, digest);
        return digest[0];
}

uint32_t node_index_find(const Scene *s, const void *uuid, size_t uuid_size)
{
        if (s->n_nodes == 0)
                return NODE_NONE;
        uint64_t hash = node_index_hash(s, uuid, uuid_size);
        for (uint32_t i = (uint32_t)hash & s->index_mask;; i = (i + 1) & s->index_mask) {
                const NodeIndexEntry *e = &s->index[i];
                if (e->slot == NODE_NONE)
                        return NODE_NONE;
                if (e->hash != (uint32_t)(hash >> 32))
                        continue;
                const Node *n = scene_slot(s, e->slot);
                if (node_uuid_size(n) == uuid_size && memcmp(node_uuid(n), uuid, uuid_size) == 0)
                        return e->slot;
        }
}

static void node_index_insert(NodeIndexEntry *index, uint32_t mask, uint64_t hash, uint32_t slot)
{
        uint32_t i = (uint32_t)hash & mask;
        while (index[i].slot != NODE_NONE)
                i = (i + 1) & mask;
        index[i] = (NodeIndexEntry){ .hash = (uint32_t)(hash >> 32), .slot = slot };
}

int node_index_reserve(Scene *s)
{
        if (s->index && s->n_nodes + 1 <= (s->index_mask + 1) / 4 * 3)
                return 0;
        uint32_t size = s->index ? (s->index_mask + 1) * 2 : NODE_INDEX_SIZE_MIN;
        NodeIndexEntry *index = malloc(size * sizeof *index);
        if (!index)
                return -ENOMEM;
        memset(index, 0xff, size * sizeof *index);
        for (Node *n = scene_first(s); n; n = scene_next(s, n))
                node_index_insert(index, size - 1, node_index_hash(s, node_uuid(n), node_uuid_size(n)), n->slot);
        free(s->index);
        s->index = index;
        s->index_mask = size - 1;
        return 0;
}

void node_index_add(Scene *s, const Node *n)
{
        node_index_insert(s->index, s->index_mask, node_index_hash(s, node_uuid(n), node_uuid_size(n)), n->slot);
}

/* Shifts the rest of the cluster back over the hole. */
void node_index_remove(Scene *s, const Node *n)
{
        uint32_t mask = s->index_mask;
        uint32_t hole = (uint32_t)node_index_hash(s, node_uuid(n), node_uuid_size(n)) & mask;
        while (s->index[hole].slot != n->slot)
                hole = (hole + 1) & mask;
        for (uint32_t i = (hole + 1) & mask; s->index[i].slot != NODE_NONE; i = (i + 1) & mask) {
                const Node *other = scene_slot(s, s->index[i].slot);
                uint32_t home = (uint32_t)node_index_hash(s, node_uuid(other), node_uuid_size(other)) & mask;
                if (((i - home) & mask) >= ((i - hole) & mask)) {
                        s->index[hole] = s->index[i];
                        hole = i;
                }
        }
        s->index[hole].slot = NODE_NONE;
}
