/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "scene/node.h"

/* Owners are user names, of whom there are few; the nodes of each hang on a list, so that a leaving user's locks are
 * found without a search. Those of COMMON, nearly all, do not. */

#define OWNER_COMMON 0u

static bool owner_is(const SceneOwner *o, const void *name, size_t size)
{
        return o->name && o->name->size == size && memcmp(o->name->data, name, size) == 0;
}

int scene_owner_index(Scene *s, Bytes *name, uint32_t *ret)
{
        uint32_t free_index = NODE_NONE;
        for (uint32_t i = 0; i < s->n_owners; i++) {
                if (owner_is(&s->owners[i], name->data, name->size)) {
                        *ret = i;
                        return 0;
                }
                if (!s->owners[i].name)
                        free_index = i;
        }
        _cleanup_bytes_ Bytes *copy = bytes_new_copy(name->data, name->size);
        if (!copy)
                return -ENOMEM;
        if (free_index == NODE_NONE) {
                SceneOwner *owners = reallocarray(s->owners, s->n_owners + 1, sizeof *owners);
                if (!owners)
                        return -ENOMEM;
                s->owners = owners;
                free_index = s->n_owners++;
        }
        s->owners[free_index] = (SceneOwner){ .name = TAKE_PTR(copy), .first = NODE_NONE };
        *ret = free_index;
        return 0;
}

void scene_owner_link(Scene *s, Node *n, uint32_t owner)
{
        SceneOwner *o = &s->owners[owner];
        n->owner = owner;
        n->next_owned = n->previous_owned = NODE_NONE;
        o->n_nodes++;
        if (owner == OWNER_COMMON)
                return;
        n->next_owned = o->first;
        if (o->first != NODE_NONE)
                scene_slot(s, o->first)->previous_owned = n->slot;
        o->first = n->slot;
}

void scene_owner_unlink(Scene *s, Node *n)
{
        SceneOwner *o = &s->owners[n->owner];
        if (n->next_owned != NODE_NONE)
                scene_slot(s, n->next_owned)->previous_owned = n->previous_owned;
        if (n->previous_owned != NODE_NONE)
                scene_slot(s, n->previous_owned)->next_owned = n->next_owned;
        else if (n->owner != OWNER_COMMON)
                o->first = n->next_owned;
        if (--o->n_nodes == 0 && n->owner != OWNER_COMMON)
                o->name = bytes_unref(o->name);
}

int scene_set_owner(Scene *s, Node *n, Bytes *owner)
{
        if (bytes_equal(owner, node_owner(s, n)))
                return 0;
        uint32_t index;
        int r = scene_owner_index(s, owner, &index);
        if (r < 0)
                return r;
        scene_snapshot_before_change(s, n);
        scene_owner_unlink(s, n);
        scene_owner_link(s, n, index);
        scene_note_changed(s, n);
        return 0;
}

static const SceneOwner *scene_find_owner(const Scene *s, const void *name, size_t size)
{
        for (uint32_t i = OWNER_COMMON + 1; i < s->n_owners; i++)
                if (owner_is(&s->owners[i], name, size))
                        return &s->owners[i];
        return NULL;
}

Node *scene_owned(const Scene *s, const void *owner, size_t owner_size, const Node *after)
{
        if (after)
                return scene_slot(s, after->next_owned);
        const SceneOwner *o = scene_find_owner(s, owner, owner_size);
        return o ? scene_slot(s, o->first) : NULL;
}

size_t scene_n_owned(const Scene *s, const void *owner, size_t owner_size)
{
        const SceneOwner *o = scene_find_owner(s, owner, owner_size);
        return o ? o->n_nodes : 0;
}

size_t scene_n_owners(const Scene *s)
{
        return s->n_owners - 1;
}

Bytes *scene_owner_at(const Scene *s, size_t i)
{
        const SceneOwner *o = &s->owners[OWNER_COMMON + 1 + i];
        return o->n_nodes > 0 ? o->name : NULL;
}

Bytes *node_owner(const Scene *s, const Node *n)
{
        return s->owners[n->owner].name;
}

bool node_is_common(const Node *n)
{
        return n->owner == OWNER_COMMON;
}
