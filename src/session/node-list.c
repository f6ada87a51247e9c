/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/node-list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int node_list_add(NodeList *list, Node *n)
{
        if (list->n == list->n_allocated) {
                size_t n_allocated = list->n_allocated * 2 + 8;
                Node **items = reallocarray(list->items, n_allocated, sizeof *items);
                if (!items)
                        return -ENOMEM;
                list->items = items;
                list->n_allocated = n_allocated;
        }
        list->items[list->n++] = n;
        return 0;
}

bool node_list_equal(const NodeList *a, const NodeList *b)
{
        return a->n == b->n && (a->n == 0 || memcmp(a->items, b->items, a->n * sizeof(Node *)) == 0);
}

Value *node_list_uuids(const NodeList *list)
{
        Value *uuids = value_list_new();
        for (size_t i = 0; uuids && i < list->n; i++) {
                const Node *n = list->items[i];
                _cleanup_value_ Value *uuid = value_str_new(node_uuid(n).text, node_uuid_size(n));
                if (!uuid || value_list_append(uuids, uuid) < 0)
                        uuids = value_unref(uuids);
        }
        return uuids;
}

void node_list_done(NodeList *list)
{
        free(list->items);
        *list = (NodeList){};
}
