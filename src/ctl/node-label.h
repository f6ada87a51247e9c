/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What Blender calls a node: its data says so itself. */

#include "scene/scene.h"

typedef struct NodeLabel {
        char *name; /* "Cube.001"; "" where the data has none */
        char *type; /* "Mesh", "Object", ...; "" likewise */
} NodeLabel;

/* Reads the payload of a node. 0, or -ENOMEM; of a payload that cannot be read, both are "". */
int node_label_read(Bytes *payload, NodeLabel *ret);
void node_label_done(NodeLabel *l);

/* One line of a listing. */
typedef struct Listed {
        Node *node;
        Bytes *payload; /* NULL when it cannot be made */
        NodeLabel label;
} Listed;

typedef struct Listing {
        Scene *scene;
        Listed *items; /* in order of the scene */
        size_t n_items;
        Listed **by_node; /* by address of the node */
} Listing;

/* Every node of a scene, with its payload as it is now. */
int listing_new(Scene *scene, Listing *ret);
void listing_done(Listing *l);

/* By uuid, by the beginning of one (at least 4 characters), or by name. Returns how many nodes it may mean; with one
 * *ret is it, with several the first. */
size_t listing_find(const Listing *l, const char *name, Listed **ret);
Listed *listing_find_uuid(const Listing *l, const void *uuid, size_t size);
