/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The inside of the scene, for the files of this room only. */

#include "base/bit-set.h"
#include "base/u64-map.h"
#include "pickle/value.h"
#include "scene/scene.h"
#include "scene/snapshot.h"

#define NODE_NONE UINT32_MAX /* no slot */

/* What only a node that is being edited needs. */
typedef struct NodeEdit {
        Bytes **deltas;
        uint32_t n_deltas, n_allocated;
        size_t delta_bytes;
        Value *graph; /* the node as it is now; NULL: not decoded */
        size_t graph_bytes;
        uint32_t newer, older; /* slots of the graph cache's neighbours */
        bool folding;          /* a fold of it is under way */
} NodeEdit;

#define NODE_UUID_PACKED 16u

/* Nodes lie in blocks, by slot, without an allocation of their own: with a hundred thousands of them, mostly idle,
 * every byte counts. */
struct Node {
        union {
                Bytes *base;
                uint64_t size; /* mapped: of the base, which is a slice of its region */
        };
        Bytes *dependencies;
        NodeEdit *edit;
        uint32_t region : 30; /* index in the scene's regions; REGION_NONE: the base is not in the log */
        bool mapped : 1;
        bool uuid_is_packed : 1;
        uint32_t offset; /* in its segment, see region.c */
        uint32_t owner;  /* index in the scene's owners */
        uint32_t slot;
        uint32_t serial; /* the upper half of the id; 0: this slot is free */
        uint32_t next, previous; /* order of arrival; next also links free slots */
        uint32_t next_owned, previous_owned; /* not linked when the owner is COMMON */
        uint32_t version;
        uint32_t changed;     /* wall time, seconds */
        NodeTraffic traffic;
        uint8_t location_digest[STORE_DIGEST_SIZE];
        union {
                uint8_t uuid_packed[NODE_UUID_PACKED];
                char *uuid_text; /* owned, NUL-terminated */
        };
};

_Static_assert(sizeof(Node) <= 128, "every byte counts");

#define NODE_BLOCK_SHIFT 10u
#define NODE_BLOCK_SIZE (1u << NODE_BLOCK_SHIFT)

/* uuid -> slot: open addressing with the upper half of the hash beside the slot, so that a lookup touches no other
 * node's memory. */
typedef struct NodeIndexEntry {
        uint32_t hash;
        uint32_t slot; /* NODE_NONE: free */
} NodeIndexEntry;

/* A segment of the log in which bases lie. */
typedef struct SceneRegion {
        Bytes *whole;     /* all of it, mapped; NULL: not known */
        uint32_t segment; /* 0: what is there stays as it is, but is in the log no more */
        uint32_t n_nodes; /* 0: this place is free */
} SceneRegion;

#define REGION_NONE ((UINT32_C(1) << 30) - 1)

typedef struct SceneOwner {
        Bytes *name; /* NULL: this place is free */
        uint32_t first;
        uint32_t n_nodes;
} SceneOwner;

struct Scene {
        SceneConfig config;
        uint8_t hash_key[16];
        Bytes *no_dependencies; /* the pickle of [], shared */

        Node **blocks; /* each in pages of its own */
        uint64_t *signatures; /* pages; by slot: which uuids its dependencies may name */
        uint32_t n_blocks;
        uint32_t n_slots;     /* ever used */
        uint32_t free_slot;
        uint32_t n_nodes;
        uint32_t serial;
        NodeIndexEntry *index;
        uint32_t index_size;
        uint32_t first, last; /* order of arrival */

        SceneOwner *owners; /* the first is COMMON */
        uint32_t n_owners;

        SceneRegion *regions;
        uint32_t n_regions;
        U64Map region_by_segment; /* index */

        uint64_t payload_bytes, dependency_bytes;
        size_t cache_bytes;
        uint32_t newest, oldest; /* graph cache, by last use */

        /* Towards the snapshots. */
        bool lost_notes;  /* what is below is not complete */
        SceneSnapshot *snapshot;
        BitSet dirty;    /* slots of nodes changed since the last one was begun */
        char **removed;  /* uuids of nodes removed since */
        size_t n_removed, n_removed_allocated;
};

/* Upper bound of nodes, so that no slot number runs out. */
#define SCENE_NODES_MAX (UINT32_C(1) << 28)

static inline Node *scene_slot(const Scene *s, uint32_t slot)
{
        return slot == NODE_NONE ? NULL : &s->blocks[slot >> NODE_BLOCK_SHIFT][slot % NODE_BLOCK_SIZE];
}

/* ---- node-uuid.c ---- */

/* A uuid to look for, or of a new node. */
typedef struct NodeKey {
        const void *text;
        size_t size;
        uint32_t hash; /* of the index */
        bool is_packed;
        uint8_t packed[NODE_UUID_PACKED];
} NodeKey;

void node_key_init(const Scene *s, NodeKey *key, const void *text, size_t size);
bool node_has_key(const Node *n, const NodeKey *key);
int node_set_uuid(Node *n, const NodeKey *key); /* 0 or -ENOMEM */
void node_uuid_done(Node *n);

/* ---- node-index.c ---- */

uint32_t node_index_hash(const Scene *s, const void *uuid, size_t uuid_size);
uint32_t node_index_find(const Scene *s, const NodeKey *key); /* NODE_NONE */
/* Room for so many more. 0 or -ENOMEM. */
int node_index_reserve(Scene *s, size_t n_more);
void node_index_add(Scene *s, const Node *n, uint32_t hash);
void node_index_remove(Scene *s, const Node *n);
void node_index_done(Scene *s);

/* ---- region.c ---- */

/* Replaces the base by bytes of its own, which are nowhere in the log. */
void scene_hold_base(Scene *s, Node *n, Bytes *base);
void scene_drop_base(Scene *s, Node *n);
void scene_regions_done(Scene *s);

/* ---- owner.c ---- */

/* The index of an owner, made when it is new. */
int scene_owner_index(Scene *s, Bytes *name, uint32_t *ret);
void scene_owner_link(Scene *s, Node *n, uint32_t owner);
void scene_owner_unlink(Scene *s, Node *n);

/* ---- graph.c ---- */

/* Base, then deltas; on any thread. 0, -ENOMEM, -EBADMSG. */
int scene_graph_make(Bytes *base, Bytes *const *deltas, size_t n_deltas, const PickleLimits *limits, Value **ret);

/* Decodes the node where that has not been done: base, then deltas. 0, -ENOMEM, -EBADMSG. */
int scene_graph_load(Scene *s, Node *n);
void scene_graph_drop(Scene *s, Node *n);
/* The graph has been used, and has grown by so much; older ones make room. */
void scene_graph_used(Scene *s, Node *n, int64_t growth);
/* Drops the least recently used graphs until the cache is within its limit. */
void scene_graph_shrink(Scene *s);
/* scene_fold(), without saying that it is under way: what a snapshot makes may come back late or not at all. */
int scene_fold_make(Scene *s, Node *n, SceneFold **ret);
/* Frees an edit record that holds neither graph nor deltas. */
void node_edit_tidy(Node *n);

/* ---- snapshot.c ---- */

/* To be called before a node is changed in any way that a snapshot would show, and before it is removed. */
void scene_snapshot_before_change(Scene *s, Node *n);
/* What the next snapshot has to tell. When memory is short for it, that one will be of all nodes. */
void scene_note_created(Scene *s, Node *n);
void scene_note_changed(Scene *s, Node *n);
void scene_note_removed(Scene *s, Node *n);
void scene_notes_clear(Scene *s);
