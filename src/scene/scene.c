/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <sys/random.h>

#include "base/pages.h"
#include "scene/dependencies.h"
#include "scene/node.h"

/* The signatures of one block's nodes. */
#define SIGNATURES_BLOCK (NODE_BLOCK_SIZE * sizeof(uint64_t))

/* ---- the table ---- */

Scene *scene_new(const SceneConfig *config)
{
        _cleanup_scene_ Scene *s = malloc(sizeof *s);
        if (!s)
                return NULL;
        *s = (Scene){
                .config = *config,
                .free_slot = NODE_NONE,
                .first = NODE_NONE,
                .last = NODE_NONE,
                .newest = NODE_NONE,
                .oldest = NODE_NONE,
        };
        if (getrandom(s->hash_key, sizeof s->hash_key, 0) != (ssize_t)sizeof s->hash_key)
                return NULL;
        s->no_dependencies = bytes_new_copy("\x80\x04].", 4);
        _cleanup_bytes_ Bytes *common = bytes_new_copy(SCENE_OWNER_COMMON, strlen(SCENE_OWNER_COMMON));
        uint32_t index;
        if (!s->no_dependencies || !common || scene_owner_index(s, common, &index) < 0)
                return NULL;
        return TAKE_PTR(s);
}

/* Those without any share a list. */
static size_t dependencies_size(const Scene *s, const Node *n)
{
        return n->dependencies && n->dependencies != s->no_dependencies ? n->dependencies->size : 0;
}

static void node_done(Node *n)
{
        bytes_unref(n->dependencies);
        node_uuid_done(n);
        *n = (Node){ .slot = n->slot, .region = REGION_NONE };
}

/* Takes the node out of everything, and its slot back. */
static void scene_forget(Scene *s, Node *n)
{
        scene_graph_drop(s, n);
        if (n->edit) {
                s->payload_bytes -= n->edit->delta_bytes;
                for (uint32_t i = 0; i < n->edit->n_deltas; i++)
                        bytes_unref(n->edit->deltas[i]);
                n->edit->n_deltas = 0;
                n->edit->folding = false;
                node_edit_tidy(n);
        }
        s->payload_bytes -= node_base_size(n);
        s->dependency_bytes -= dependencies_size(s, n);
        scene_drop_base(s, n);
        scene_owner_unlink(s, n);
        if (n->previous != NODE_NONE)
                scene_slot(s, n->previous)->next = n->next;
        else
                s->first = n->next;
        if (n->next != NODE_NONE)
                scene_slot(s, n->next)->previous = n->previous;
        else
                s->last = n->previous;
        node_index_remove(s, n);
        s->n_nodes--;
        node_done(n);
        n->next = s->free_slot;
        s->free_slot = n->slot;
        s->signatures[n->slot] = 0;
}

void scene_clear(Scene *s)
{
        for (Node *n = scene_first(s), *next; n; n = next) {
                next = scene_next(s, n);
                scene_snapshot_before_change(s, n);
                scene_note_removed(s, n);
                scene_forget(s, n);
        }
}

Scene *scene_free(Scene *s)
{
        if (!s)
                return NULL;
        assert(!s->snapshot);
        for (Node *n = scene_first(s), *next; n; n = next) {
                next = scene_next(s, n);
                scene_forget(s, n);
        }
        for (uint32_t i = 0; i < s->n_blocks; i++)
                pages_free(s->blocks[i], NODE_BLOCK_SIZE * sizeof(Node));
        for (uint32_t i = 0; i < s->n_owners; i++)
                bytes_unref(s->owners[i].name);
        scene_notes_clear(s);
        bytes_unref(s->no_dependencies);
        free(s->blocks);
        pages_free(s->signatures, (size_t)s->n_blocks * SIGNATURES_BLOCK);
        node_index_done(s);
        free(s->owners);
        scene_regions_done(s);
        free(s);
        return NULL;
}

void scene_reconfigure(Scene *s, const SceneConfig *config)
{
        s->config = *config;
        scene_graph_shrink(s);
}

size_t scene_n_nodes(const Scene *s)
{
        return s->n_nodes;
}

uint64_t scene_dependency_bytes(const Scene *s)
{
        return s->dependency_bytes;
}

uint64_t scene_payload_bytes(const Scene *s)
{
        return s->payload_bytes;
}

uint64_t scene_cache_bytes(const Scene *s)
{
        return s->cache_bytes;
}

Node *scene_find(const Scene *s, const void *uuid, size_t uuid_size)
{
        NodeKey key;
        node_key_init(s, &key, uuid, uuid_size);
        return scene_slot(s, node_index_find(s, &key));
}

Node *scene_find_id(const Scene *s, uint64_t id)
{
        uint32_t slot = (uint32_t)id;
        if (slot >= s->n_slots)
                return NULL;
        Node *n = scene_slot(s, slot);
        return n->serial != 0 && n->serial == id >> 32 ? n : NULL;
}

Node *scene_at_slot(const Scene *s, uint32_t slot)
{
        Node *n = slot < s->n_slots ? scene_slot(s, slot) : NULL;
        return n && n->serial != 0 ? n : NULL;
}

uint32_t scene_n_slots(const Scene *s)
{
        return s->n_slots;
}

uint32_t node_slot(const Node *n)
{
        return n->slot;
}

Node *scene_first(const Scene *s)
{
        return scene_slot(s, s->first);
}

Node *scene_next(const Scene *s, const Node *n)
{
        return scene_slot(s, n->next);
}

Node *scene_last(const Scene *s)
{
        return scene_slot(s, s->last);
}

/* ---- one node ---- */

uint64_t node_id(const Node *n)
{
        return (uint64_t)n->serial << 32 | n->slot;
}

Bytes *node_dependencies(const Node *n)
{
        return n->dependencies;
}

uint64_t node_version(const Node *n)
{
        return n->version;
}

uint64_t node_changed(const Node *n)
{
        return (uint64_t)n->changed * UINT64_C(1000000);
}

size_t node_n_deltas(const Node *n)
{
        return n->edit ? n->edit->n_deltas : 0;
}

uint64_t node_base_version(const Node *n)
{
        return n->version - node_n_deltas(n);
}

NodeTraffic *node_traffic(Node *n)
{
        return &n->traffic;
}

/* ---- changes ---- */

/* A compact copy, of [] when it is no list at all; the many nodes without dependencies share one. */
static int scene_copy_dependencies(Scene *s, Bytes *dependencies, Bytes **ret, uint64_t *ret_signature)
{
        *ret_signature = 0;
        int r = 1;
        if (!dependencies_are_none(dependencies))
                r = dependencies_normalise(dependencies, ret, ret_signature);
        if (r == 0 && bytes_equal(*ret, s->no_dependencies)) {
                *ret = bytes_unref(*ret);
                r = 1;
        }
        if (r == 1)
                *ret = bytes_ref(s->no_dependencies);
        return MIN(r, 0);
}

static void scene_place_dependencies(Scene *s, Node *n, Bytes *dependencies, uint64_t signature)
{
        s->dependency_bytes -= dependencies_size(s, n);
        bytes_unref(n->dependencies);
        n->dependencies = dependencies;
        s->dependency_bytes += dependencies_size(s, n);
        s->signatures[n->slot] = signature;
}

/* Every slot has a place in blocks and signatures before it is used. */
static int scene_take_slot(Scene *s, Node **ret)
{
        if (s->free_slot != NODE_NONE) {
                Node *n = scene_slot(s, s->free_slot);
                s->free_slot = n->next;
                *ret = n;
                return 0;
        }
        if (s->n_slots >= SCENE_NODES_MAX)
                return -ENOMEM;
        if (s->n_slots == s->n_blocks * NODE_BLOCK_SIZE) {
                Node **blocks = reallocarray(s->blocks, s->n_blocks + 1, sizeof *blocks);
                if (!blocks)
                        return -ENOMEM;
                s->blocks = blocks;
                Node *block = pages_new(NODE_BLOCK_SIZE * sizeof *block);
                if (!block)
                        return -ENOMEM;
                uint64_t *signatures = pages_resize(s->signatures, (size_t)s->n_blocks * SIGNATURES_BLOCK,
                                                    (size_t)(s->n_blocks + 1) * SIGNATURES_BLOCK);
                if (!signatures) {
                        pages_free(block, NODE_BLOCK_SIZE * sizeof *block);
                        return -ENOMEM;
                }
                s->signatures = signatures;
                s->blocks[s->n_blocks++] = block;
        }
        Node *n = scene_slot(s, s->n_slots);
        n->slot = s->n_slots++;
        *ret = n;
        return 0;
}

static int scene_add(Scene *s, const NodeKey *key, Bytes *owner, Node **ret)
{
        uint32_t owner_index;
        int r = scene_owner_index(s, owner, &owner_index);
        if (r < 0)
                return r;
        r = node_index_reserve(s, 1);
        if (r < 0)
                return r;
        Node *n;
        r = scene_take_slot(s, &n);
        if (r < 0)
                return r;
        uint32_t slot = n->slot;
        *n = (Node){ .slot = slot, .region = REGION_NONE };
        r = node_set_uuid(n, key);
        if (r < 0) {
                n->next = s->free_slot;
                s->free_slot = slot;
                return r;
        }
        n->serial = ++s->serial;
        n->next = NODE_NONE;
        n->previous = s->last;
        if (s->last != NODE_NONE)
                scene_slot(s, s->last)->next = slot;
        else
                s->first = slot;
        s->last = slot;
        scene_owner_link(s, n, owner_index);
        node_index_add(s, n, key->hash);
        s->n_nodes++;
        scene_note_created(s, n);
        *ret = n;
        return 0;
}

/* A new base: what was built on the old one goes. */
static void scene_replace_base(Scene *s, Node *n, Bytes *payload)
{
        scene_graph_drop(s, n);
        if (n->edit) {
                s->payload_bytes -= n->edit->delta_bytes;
                for (uint32_t i = 0; i < n->edit->n_deltas; i++)
                        bytes_unref(n->edit->deltas[i]);
                n->edit->n_deltas = 0;
                n->edit->delta_bytes = 0;
                node_edit_tidy(n);
        }
        s->payload_bytes -= node_base_size(n);
        scene_hold_base(s, n, payload);
        s->payload_bytes += payload->size;
}

int scene_put(Scene *s, const void *uuid, size_t uuid_size, Bytes *owner, Bytes *dependencies, Bytes *payload,
              uint64_t wall, Node **ret)
{
        uint64_t signature;
        _cleanup_bytes_ Bytes *copy = NULL;
        int r = scene_copy_dependencies(s, dependencies, &copy, &signature);
        if (r < 0)
                return r;
        NodeKey key;
        node_key_init(s, &key, uuid, uuid_size);
        Node *n = scene_slot(s, node_index_find(s, &key));
        if (n) {
                scene_snapshot_before_change(s, n);
        } else {
                r = scene_add(s, &key, owner, &n);
                if (r < 0)
                        return r;
        }
        scene_replace_base(s, n, payload);
        scene_place_dependencies(s, n, TAKE_PTR(copy), signature);
        n->version++;
        n->changed = (uint32_t)(wall / UINT64_C(1000000));
        scene_note_changed(s, n);
        if (ret)
                *ret = n;
        return 0;
}

static int node_edit_reserve(Node *n)
{
        if (!n->edit) {
                n->edit = malloc(sizeof *n->edit);
                if (!n->edit)
                        return -ENOMEM;
                *n->edit = (NodeEdit){ .newer = NODE_NONE, .older = NODE_NONE };
        }
        if (n->edit->n_deltas < n->edit->n_allocated)
                return 0;
        uint32_t n_allocated = n->edit->n_allocated * 2 + 4;
        Bytes **deltas = reallocarray(n->edit->deltas, n_allocated, sizeof *deltas);
        if (!deltas)
                return -ENOMEM;
        n->edit->deltas = deltas;
        n->edit->n_allocated = n_allocated;
        return 0;
}

/* Applies when `apply`, else only keeps. */
static int scene_add_delta(Scene *s, Node *n, Bytes *dependencies, Bytes *delta, uint64_t wall, bool apply,
                           DeltaReport *report)
{
        uint64_t signature;
        _cleanup_bytes_ Bytes *copy = NULL;
        int r = scene_copy_dependencies(s, dependencies, &copy, &signature);
        if (r < 0)
                return r;
        r = node_edit_reserve(n);
        if (r < 0)
                return r;
        if (apply) {
                r = scene_graph_load(s, n);
                if (r == -EBADMSG)
                        return *report = (DeltaReport){ .detail = "the node's data cannot be decoded" }, DELTA_ABORTED;
                if (r < 0)
                        return r;
                r = delta_apply(&n->edit->graph, delta, &s->config.limits, report);
                if (r != 0) {
                        scene_graph_used(s, n, 0);
                        return r;
                }
        } else {
                scene_graph_drop(s, n);
        }
        scene_snapshot_before_change(s, n);
        n->edit->deltas[n->edit->n_deltas++] = bytes_ref(delta);
        n->edit->delta_bytes += delta->size;
        s->payload_bytes += delta->size;
        scene_place_dependencies(s, n, TAKE_PTR(copy), signature);
        n->version++;
        n->changed = (uint32_t)(wall / UINT64_C(1000000));
        scene_note_changed(s, n);
        if (apply)
                scene_graph_used(s, n, report->size_change);
        return 0;
}

int scene_apply(Scene *s, Node *n, Bytes *dependencies, Bytes *delta, uint64_t wall, DeltaReport *ret_report)
{
        DeltaReport report = {};
        int r = scene_add_delta(s, n, dependencies, delta, wall, true, &report);
        if (r != 0)
                node_edit_tidy(n);
        if (r >= 0 && ret_report)
                *ret_report = report;
        return r;
}

int scene_append(Scene *s, Node *n, Bytes *dependencies, Bytes *delta, uint64_t wall)
{
        int r = scene_add_delta(s, n, dependencies, delta, wall, false, NULL);
        if (r != 0)
                node_edit_tidy(n);
        return r;
}

int scene_set_dependencies(Scene *s, Node *n, Bytes *dependencies)
{
        uint64_t signature;
        _cleanup_bytes_ Bytes *copy = NULL;
        int r = scene_copy_dependencies(s, dependencies, &copy, &signature);
        if (r < 0)
                return r;
        scene_snapshot_before_change(s, n);
        scene_place_dependencies(s, n, TAKE_PTR(copy), signature);
        scene_note_changed(s, n);
        return 0;
}

/* ---- removal ---- */

int scene_each_dependant(Scene *s, const Node *n, SceneNodeFunc func, void *userdata)
{
        NodeUuid uuid = node_uuid(n);
        size_t uuid_size = node_uuid_size(n);
        uint64_t bit = dependencies_bit(uuid.text, uuid_size);
        for (uint32_t slot = 0; slot < s->n_slots; slot++) {
                if (!(s->signatures[slot] & bit) || slot == n->slot)
                        continue;
                Node *other = scene_slot(s, slot);
                if (!dependencies_have(other->dependencies, uuid.text, uuid_size))
                        continue;
                int r = func(userdata, other);
                if (r != 0)
                        return r;
        }
        return 0;
}

typedef struct Unlinked {
        uint32_t slot;
        Bytes *dependencies;
} Unlinked;

typedef struct UnlinkedList {
        Unlinked *items;
        size_t n, n_allocated;
} UnlinkedList;

static void unlinked_list_done(UnlinkedList *list)
{
        for (size_t i = 0; i < list->n; i++)
                bytes_unref(list->items[i].dependencies);
        free(list->items);
}

static int unlinked_list_add(UnlinkedList *list, Node *other, const void *uuid, size_t uuid_size)
{
        Unlinked u = { .slot = other->slot };
        int r = dependencies_without(other->dependencies, uuid, uuid_size, &u.dependencies);
        if (r == 1)
                return 0;
        if (r >= 0 && list->n == list->n_allocated) {
                size_t n_allocated = list->n_allocated * 2 + 8;
                Unlinked *items = reallocarray(list->items, n_allocated, sizeof *items);
                if (items) {
                        list->items = items;
                        list->n_allocated = n_allocated;
                } else {
                        r = -ENOMEM;
                }
        }
        if (r < 0) {
                bytes_unref(u.dependencies);
                return -ENOMEM;
        }
        list->items[list->n++] = u;
        return 0;
}

int scene_remove(Scene *s, Node *n)
{
        _cleanup_(unlinked_list_done) UnlinkedList list = {};
        NodeUuid uuid = node_uuid(n);
        size_t uuid_size = node_uuid_size(n);
        uint64_t bit = dependencies_bit(uuid.text, uuid_size);
        for (uint32_t slot = 0; slot < s->n_slots; slot++) {
                if (!(s->signatures[slot] & bit) || slot == n->slot)
                        continue;
                int r = unlinked_list_add(&list, scene_slot(s, slot), uuid.text, uuid_size);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < list.n; i++) {
                Node *other = scene_slot(s, list.items[i].slot);
                scene_snapshot_before_change(s, other);
                /* It may stand for more than the list holds, and need not be made anew. */
                scene_place_dependencies(s, other, TAKE_PTR(list.items[i].dependencies), s->signatures[other->slot]);
                scene_note_changed(s, other);
        }
        scene_snapshot_before_change(s, n);
        scene_note_removed(s, n);
        scene_forget(s, n);
        return 0;
}
