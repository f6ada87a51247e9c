/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "pickle/writer.h"
#include "scene/node.h"

/* The decoded graphs of nodes being edited, in a cache bounded in bytes; and what turns graphs into bytes. */

/* Deltas are folded into the bytes when they outgrow the base, but not for each of the first few. */
#define FOLD_BYTES_MIN (256u << 10)
#define FOLD_DELTAS_MAX 4096u

/* Applying a delta takes about as long as decoding and encoding so many bytes. */
#define DELTA_COST 512u

void node_edit_tidy(Node *n)
{
        NodeEdit *e = n->edit;
        if (!e || e->graph || e->n_deltas > 0)
                return;
        free(e->deltas);
        free(e);
        n->edit = NULL;
}

static void scene_graph_unlink(Scene *s, Node *n)
{
        NodeEdit *e = n->edit;
        if (e->newer != NODE_NONE)
                scene_slot(s, e->newer)->edit->older = e->older;
        else
                s->newest = e->older;
        if (e->older != NODE_NONE)
                scene_slot(s, e->older)->edit->newer = e->newer;
        else
                s->oldest = e->newer;
        e->newer = e->older = NODE_NONE;
}

static void scene_graph_link(Scene *s, Node *n)
{
        n->edit->older = s->newest;
        if (s->newest != NODE_NONE)
                scene_slot(s, s->newest)->edit->newer = n->slot;
        else
                s->oldest = n->slot;
        s->newest = n->slot;
}

void scene_graph_drop(Scene *s, Node *n)
{
        if (!n->edit || !n->edit->graph)
                return;
        scene_graph_unlink(s, n);
        s->cache_bytes -= n->edit->graph_bytes;
        n->edit->graph_bytes = 0;
        n->edit->graph = value_unref(n->edit->graph);
}

void scene_graph_shrink(Scene *s)
{
        while (s->cache_bytes > s->config.graph_cache_bytes && s->oldest != NODE_NONE) {
                Node *n = scene_slot(s, s->oldest);
                scene_graph_drop(s, n);
                node_edit_tidy(n);
        }
}

void scene_graph_used(Scene *s, Node *n, int64_t growth)
{
        NodeEdit *e = n->edit;
        size_t bytes = growth < 0 && (uint64_t)-growth > e->graph_bytes ? 0 : e->graph_bytes + (size_t)growth;
        s->cache_bytes += bytes - e->graph_bytes;
        e->graph_bytes = bytes;
        scene_graph_unlink(s, n);
        scene_graph_link(s, n);
        scene_graph_shrink(s);
}

int scene_graph_make(Bytes *base, Bytes *const *deltas, size_t n_deltas, const PickleLimits *limits, Value **ret)
{
        _cleanup_value_ Value *graph = NULL;
        int r = pickle_read(base, PICKLE_PROFILE_DATA, limits, &graph, NULL);
        for (size_t i = 0; r == 0 && i < n_deltas; i++)
                r = delta_apply(&graph, deltas[i], limits, NULL);
        if (r != 0)
                return r < 0 ? r : -EBADMSG;
        *ret = TAKE_PTR(graph);
        return 0;
}

int scene_graph_load(Scene *s, Node *n)
{
        NodeEdit *e = n->edit;
        if (e->graph)
                return 0;
        _cleanup_bytes_ Bytes *base = scene_base(s, n);
        if (!base)
                return -ENOMEM;
        _cleanup_value_ Value *graph = NULL;
        int r = scene_graph_make(base, e->deltas, e->n_deltas, &s->config.limits, &graph);
        if (r < 0)
                return r;
        size_t bytes;
        r = value_heap_size(graph, &bytes);
        if (r < 0)
                return r;
        e->graph = TAKE_PTR(graph);
        e->graph_bytes = bytes;
        s->cache_bytes += bytes;
        scene_graph_link(s, n);
        return 0;
}

/* ---- bytes of a node with deltas ---- */

static void scene_adopt_base(Scene *s, Node *n, uint32_t n_folded, Bytes *payload)
{
        NodeEdit *e = n->edit;
        for (uint32_t i = 0; i < n_folded; i++) {
                e->delta_bytes -= e->deltas[i]->size;
                s->payload_bytes -= e->deltas[i]->size;
                bytes_unref(e->deltas[i]);
        }
        e->n_deltas -= n_folded;
        memmove(e->deltas, e->deltas + n_folded, e->n_deltas * sizeof *e->deltas);
        s->payload_bytes += payload->size;
        s->payload_bytes -= node_base_size(n);
        scene_hold_base(s, n, payload);
}

/* With its graph at hand a node is only written: as much as its base, or what deltas have brought instead. */
static size_t node_encode_cost(const Node *n)
{
        const NodeEdit *e = n->edit;
        if (e->graph)
                return MAX(node_base_size(n), e->delta_bytes);
        return node_base_size(n) + e->delta_bytes + e->n_deltas * (size_t)DELTA_COST;
}

int scene_payload(Scene *s, Node *n, size_t sync_limit, Bytes **ret)
{
        NodeEdit *e = n->edit;
        if (e && e->n_deltas > 0) {
                if (node_encode_cost(n) > sync_limit)
                        return 1;
                int r = scene_graph_load(s, n);
                if (r < 0)
                        return r;
                _cleanup_bytes_ Bytes *payload = NULL;
                r = pickle_write(e->graph, s->config.limits.max_size, &payload);
                if (r < 0)
                        return r == -EINVAL ? -EBADMSG : r;
                scene_adopt_base(s, n, e->n_deltas, payload);
                scene_graph_used(s, n, 0);
        }
        *ret = scene_base(s, n);
        return *ret ? 0 : -ENOMEM;
}

int scene_fold_make(Scene *s, Node *n, SceneFold **ret)
{
        NodeEdit *e = n->edit;
        _cleanup_bytes_ Bytes *base = scene_base(s, n);
        if (!base)
                return -ENOMEM;
        SceneFold *f = scene_fold_new(base, e ? e->deltas : NULL, e ? e->n_deltas : 0, &s->config.limits);
        if (!f)
                return -ENOMEM;
        *ret = f;
        return 0;
}

int scene_fold(Scene *s, Node *n, SceneFold **ret)
{
        int r = scene_fold_make(s, n, ret);
        if (r == 0 && n->edit)
                n->edit->folding = true;
        return r;
}

bool node_is_folding(const Node *n)
{
        return n->edit && n->edit->folding;
}

bool node_wants_fold(const Node *n)
{
        const NodeEdit *e = n->edit;
        if (!e || e->folding)
                return false;
        return e->n_deltas > FOLD_DELTAS_MAX || e->delta_bytes > MAX(node_base_size(n), (size_t)FOLD_BYTES_MIN);
}

/* The location goes to whichever base stands for that version, be it folded now or before. */
void scene_folded(Scene *s, Node *n, uint64_t version, Bytes *payload, const StoreLocation *location)
{
        NodeEdit *e = n->edit;
        if (e)
                e->folding = false;
        uint64_t base_version = node_base_version(n);
        if (!payload || version < base_version || version > node_version(n))
                return;
        if (version > base_version)
                scene_adopt_base(s, n, (uint32_t)(version - base_version), payload);
        if (location)
                scene_set_location(s, n, version, location, payload);
        node_edit_tidy(n);
}
