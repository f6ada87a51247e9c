/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The scene at one moment, handed out in slices while it goes on changing. A
 * node that is changed or removed before its turn is handed out first, as it
 * was. Costs nothing at the beginning, whatever the number of nodes.
 */

#include "scene/scene.h"

typedef struct SceneSnapshot SceneSnapshot;

/* A node at the moment of the snapshot. Everything is borrowed for the time of the call. */
typedef struct SceneImage {
        const char *uuid;
        size_t uuid_size;
        Bytes *owner;
        Bytes *dependencies;
        uint64_t node_id;
        uint64_t changed;              /* node_changed() */
        uint64_t version;              /* for session_encoded(), when `fold` has been run */
        const StoreLocation *location; /* of the node's bytes in the log; with deltas, of those under them */
        Bytes *payload;                /* these bytes; NULL where they are only in the log */
        SceneFold *fold;               /* NULL, or the job that makes the node's bytes: take it with TAKE_PTR */
} SceneImage;

/* Both may be called from within any function that changes the scene, and must not change it. */
typedef struct SceneSnapshotFuncs {
        int (*node)(void *userdata, SceneImage *image);                     /* 0 or -errno */
        int (*removed)(void *userdata, const char *uuid, size_t uuid_size); /* only when not all; always comes before
                                                                             * a node of this uuid */
} SceneSnapshotFuncs;

/* True: the scene does not know all that changed since the last one, so the next must be of all nodes. */
bool scene_snapshot_wants_all(const Scene *s);

/* Begins with the scene as it is now. all: every node; else those changed, added or removed since the last
 * snapshot was begun. -EBUSY while another is under way, -EINVAL when all are wanted, -ENOMEM. When a
 * snapshot is given up or has failed, the next one must be of all. */
int scene_snapshot_begin(Scene *s, bool all, const SceneSnapshotFuncs *funcs, void *userdata, SceneSnapshot **ret);

/* Hands out up to max_nodes. 1: there are more; 0: that was all; or the first error that a function returned, or
 * -ENOMEM, after which the snapshot is of no use. */
int scene_snapshot_step(SceneSnapshot *sn, size_t max_nodes);

/* Ends it, finished or not; accepts NULL; returns NULL. */
SceneSnapshot *scene_snapshot_free(SceneSnapshot *sn);
DEFINE_CLEANUP(SceneSnapshot *, scene_snapshot_free)
#define _cleanup_scene_snapshot_ _cleanup_(scene_snapshot_freep)
