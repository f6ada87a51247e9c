/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Nodes that something is done with in one call, so that each is looked up once. A zeroed NodeList is empty and owns
 * nothing; the nodes are the scene's. */

#include "pickle/value.h"
#include "scene/scene.h"

typedef struct NodeList {
        Node **items;
        size_t n, n_allocated;
} NodeList;

/* Of one; owns nothing. */
#define NODE_LIST_OF(node) ((NodeList){ .items = (Node *[]){ node }, .n = 1 })

int node_list_add(NodeList *list, Node *n); /* 0 or -ENOMEM */
bool node_list_equal(const NodeList *a, const NodeList *b);
/* Their uuids, a new list of str; NULL: memory. */
Value *node_list_uuids(const NodeList *list);
void node_list_done(NodeList *list);
#define _cleanup_node_list_ _cleanup_(node_list_done)
