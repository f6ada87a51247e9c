/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "scene/node.h"

/*
 * Where the bases of the nodes lie. One that has just come is bytes of its own. One that lies in the log is the same
 * bytes again in a mapped segment, of which the scene keeps one reference for all nodes in it, and each node only its
 * offset: an object of its own for every payload would take a third of what an idle node takes.
 */

/* Payloads are aligned to this in a segment. */
#define OFFSET_UNIT 8u

static SceneRegion *node_region(const Scene *s, const Node *n)
{
        return n->region == REGION_NONE ? NULL : &s->regions[n->region];
}

static uint64_t node_offset(const Node *n)
{
        return (uint64_t)n->offset * OFFSET_UNIT;
}

/* The region of a segment, made when it is new. 0 or -ENOMEM. */
static int region_find(Scene *s, uint32_t segment, uint32_t *ret)
{
        const uint64_t *there = u64_map_find(&s->region_by_segment, segment);
        if (there) {
                *ret = (uint32_t)*there;
                return 0;
        }
        uint32_t i = 0;
        while (i < s->n_regions && s->regions[i].n_nodes > 0)
                i++;
        if (i == REGION_NONE)
                return -ENOMEM;
        if (i == s->n_regions) {
                SceneRegion *regions = reallocarray(s->regions, s->n_regions + 1, sizeof *regions);
                if (!regions)
                        return -ENOMEM;
                s->regions = regions;
                s->n_regions++;
        }
        s->regions[i] = (SceneRegion){ .segment = segment };
        int r = u64_map_set(&s->region_by_segment, segment, i);
        if (r < 0)
                return r;
        *ret = i;
        return 0;
}

static void region_forget(Scene *s, SceneRegion *region)
{
        if (region->segment != 0)
                u64_map_remove(&s->region_by_segment, region->segment);
        region->segment = 0;
}

static void region_leave(Scene *s, Node *n)
{
        SceneRegion *region = node_region(s, n);
        n->region = REGION_NONE;
        if (!region || --region->n_nodes > 0)
                return;
        region_forget(s, region);
        region->whole = bytes_unref(region->whole);
}

void scene_regions_done(Scene *s)
{
        free(s->regions);
        u64_map_done(&s->region_by_segment);
}

void scene_drop_base(Scene *s, Node *n)
{
        if (!n->mapped)
                n->base = bytes_unref(n->base);
        region_leave(s, n);
        n->mapped = false;
        n->base = NULL;
}

void scene_hold_base(Scene *s, Node *n, Bytes *base)
{
        bytes_ref(base);
        scene_drop_base(s, n);
        n->base = base;
}

size_t node_base_size(const Node *n)
{
        return n->mapped ? n->size : n->base ? n->base->size : 0;
}

bool node_is_mapped(const Node *n)
{
        return n->mapped;
}

Bytes *scene_base(const Scene *s, const Node *n)
{
        return n->mapped ? bytes_new_slice(node_region(s, n)->whole, node_offset(n), n->size) : bytes_ref(n->base);
}

bool node_location(const Scene *s, const Node *n, StoreLocation *ret)
{
        const SceneRegion *region = node_region(s, n);
        if (!region || region->segment == 0)
                return false;
        *ret = (StoreLocation){ .segment = region->segment, .offset = node_offset(n), .size = node_base_size(n) };
        memcpy(ret->digest, n->location_digest, sizeof ret->digest);
        return true;
}

/* Whether `mapped` is where all of the region's payloads lie. */
static bool region_takes(SceneRegion *region, uint64_t offset, const Bytes *mapped)
{
        size_t at;
        Bytes *whole = bytes_parent(mapped, &at);
        if (!whole || at != offset || (region->whole && region->whole != whole))
                return false;
        if (!region->whole)
                region->whole = bytes_ref(whole);
        return true;
}

void scene_set_location(Scene *s, Node *n, uint64_t version, const StoreLocation *location, Bytes *mapped)
{
        if (node_base_version(n) != version || location->size != node_base_size(n))
                return;
        bool known = location->segment > 0 && location->segment <= UINT32_MAX && location->offset % OFFSET_UNIT == 0 &&
                     location->offset / OFFSET_UNIT <= UINT32_MAX;
        _cleanup_bytes_ Bytes *base = mapped && mapped->size == location->size ? bytes_ref(mapped) : scene_base(s, n);
        uint32_t i = REGION_NONE;
        if (!base || (known && region_find(s, (uint32_t)location->segment, &i) < 0))
                return; /* no memory: it stays as it was, and is found by its digest when it is to be saved */
        if (known)
                s->regions[i].n_nodes++;
        scene_hold_base(s, n, base);
        if (!known)
                return;
        n->region = i;
        n->offset = (uint32_t)(location->offset / OFFSET_UNIT);
        memcpy(n->location_digest, location->digest, sizeof n->location_digest);
        if (mapped && region_takes(&s->regions[i], location->offset, base)) {
                bytes_unref(n->base);
                n->mapped = true;
                n->size = base->size;
        }
}

void scene_forget_locations(Scene *s, uint64_t segment)
{
        for (uint32_t i = 0; i < s->n_regions; i++)
                if (segment == 0 || s->regions[i].segment == segment)
                        region_forget(s, &s->regions[i]);
}
