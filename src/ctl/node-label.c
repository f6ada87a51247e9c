/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/node-label.h"
#include "pickle/reader.h"

static char *text_of(const Value *v)
{
        return v && value_is_string(v) ? log_escape((const char *)value_data(v), value_size(v)) : strdup("");
}

int node_label_read(Bytes *payload, NodeLabel *ret)
{
        _cleanup_value_ Value *v = NULL;
        NodeLabel l;
        int r = pickle_read(payload, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL);

        if (r < 0)
                return r;
        if (r > 0)
                v = value_ref(value_none());
        l.name = text_of(value_dict_get_string(v, "name"));
        /* Some data-blocks carry their class under another key only. */
        l.type = text_of(value_dict_get_string(v, "type_id"));
        if (!l.name || !l.type) {
                node_label_done(&l);
                return -ENOMEM;
        }
        *ret = l;
        return 0;
}

void node_label_done(NodeLabel *l)
{
        free(l->name);
        free(l->type);
        *l = (NodeLabel){0};
}

void listing_done(Listing *l)
{
        for (size_t i = 0; i < l->n_items; i++) {
                bytes_unref(l->items[i].payload);
                node_label_done(&l->items[i].label);
        }
        free(l->items);
        free(l->by_node);
        *l = (Listing){0};
}

static int compare_nodes(const void *a, const void *b)
{
        uintptr_t x = (uintptr_t)(*(Listed *const *)a)->node, y = (uintptr_t)(*(Listed *const *)b)->node;

        return x < y ? -1 : x > y;
}

static int listing_sort(Listing *l)
{
        l->by_node = calloc(l->n_items + 1, sizeof(*l->by_node));
        if (!l->by_node)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_items; i++)
                l->by_node[i] = &l->items[i];
        qsort(l->by_node, l->n_items, sizeof(*l->by_node), compare_nodes);
        return 0;
}

int listing_new(Scene *scene, Listing *ret)
{
        Listing l = {.scene = scene, .items = calloc(scene_n_nodes(scene) ?: 1, sizeof(Listed))};
        int r;

        if (!l.items)
                return -ENOMEM;
        for (Node *n = scene_first(scene); n; n = scene_next(scene, n)) {
                Listed *item = &l.items[l.n_items++];

                item->node = n;
                r = scene_payload(scene, n, SIZE_MAX, &item->payload);
                if (r == 0)
                        r = node_label_read(item->payload, &item->label);
                else if (r != -ENOMEM)
                        r = (item->label.name = strdup("")) && (item->label.type = strdup("")) ? 0 : -ENOMEM;
                if (r < 0) {
                        listing_done(&l);
                        return r;
                }
        }
        r = listing_sort(&l);
        if (r < 0) {
                listing_done(&l);
                return r;
        }
        *ret = l;
        return 0;
}

Listed *listing_find_uuid(const Listing *l, const void *uuid, size_t size)
{
        Listed key = {.node = scene_find(l->scene, uuid, size)}, *pointer = &key;
        Listed **found = key.node ? bsearch(&pointer, l->by_node, l->n_items, sizeof(*l->by_node), compare_nodes) : NULL;

        return found ? *found : NULL;
}

size_t listing_find(const Listing *l, const char *name, Listed **ret)
{
        size_t size = strlen(name), n = 0;
        Listed *exact = listing_find_uuid(l, name, size);

        if (exact) {
                *ret = exact;
                return 1;
        }
        for (size_t i = 0; i < l->n_items; i++)
                if (strcmp(l->items[i].label.name, name) == 0 ||
                    (size >= 4 && strncmp(node_uuid(l->items[i].node).text, name, size) == 0)) {
                        if (n++ == 0)
                                *ret = &l->items[i];
                }
        return n;
}
