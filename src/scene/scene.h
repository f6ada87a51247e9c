/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Scene: the nodes of a session, in the order in which they came (a client
 * that joins is told of them in this order). A node holds its bytes as they
 * were last received or encoded, and the deltas accepted since; a node that
 * is being edited has its decoded graph beside them, in a cache bounded in
 * bytes. The graph can always be dropped: base and deltas make it anew.
 *
 * Pure state: no fd, no clock (`wall` is handed in: CLOCK_REALTIME, microseconds), one thread.
 */

#include "base/bytes.h"
#include "delta/delta.h"
#include "pickle/scanner.h"
#include "scene/fold.h"
#include "store/store.h"

typedef struct Scene Scene;
typedef struct Node Node;

/* The owner that stands for "anyone may edit". */
#define SCENE_OWNER_COMMON "COMMON"
#define SCENE_UUID_MAX 128u /* bytes, none of them 0 */

typedef struct SceneConfig {
        PickleLimits limits;
        size_t graph_cache_bytes;
} SceneConfig;

/* ---- the table ---- */

Scene *scene_new(const SceneConfig *config);
Scene *scene_free(Scene *s); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(Scene *, scene_free)
#define _cleanup_scene_ _cleanup_(scene_freep)

/* A smaller cache is emptied down to its new size at once. */
void scene_reconfigure(Scene *s, const SceneConfig *config);

/* Makes room for so many more nodes at once, instead of again and again as they come. 0 or -ENOMEM. */
int scene_reserve(Scene *s, size_t n_more);

/* Drops every node. */
void scene_clear(Scene *s);

size_t scene_n_nodes(const Scene *s);
uint64_t scene_payload_bytes(const Scene *s); /* of all nodes, deltas included */
uint64_t scene_dependency_bytes(const Scene *s); /* of all nodes: what each scene_remove() looks through at worst */
uint64_t scene_cache_bytes(const Scene *s);

Node *scene_find(const Scene *s, const void *uuid, size_t uuid_size); /* NULL: not there */
Node *scene_find_id(const Scene *s, uint64_t node_id);

/* Nodes by where they lie, for walks that others interrupt: a node keeps its slot as long as it lives. NULL: free. */
Node *scene_at_slot(const Scene *s, uint32_t slot);
uint32_t scene_n_slots(const Scene *s);
uint32_t node_slot(const Node *n);

/* In order of arrival; NULL at the end. */
Node *scene_first(const Scene *s);
Node *scene_next(const Scene *s, const Node *n);
Node *scene_last(const Scene *s);

/* ---- changes ---- */

/* A whole node: a new one gets `owner`, one that is there keeps its owner. `dependencies` is a pickle of a list of str,
 * or of None; kept is one of the same meaning. References the payload. -ENOMEM: nothing has changed. */
int scene_put(Scene *s, const void *uuid, size_t uuid_size, Bytes *owner, Bytes *dependencies, Bytes *payload,
              uint64_t wall, Node **ret);

/* Applies a delta to the node's graph, decoding it first where needed. 0, a positive DeltaError (nothing has
 * changed), -ENOMEM (likewise). ret_report may be NULL. */
int scene_apply(Scene *s, Node *n, Bytes *dependencies, Bytes *delta, uint64_t wall, DeltaReport *ret_report);

/* The same for a delta that has been accepted before (replay): kept, not applied until somebody needs the graph. */
int scene_append(Scene *s, Node *n, Bytes *dependencies, Bytes *delta, uint64_t wall);

/* -ENOMEM: nothing has changed. */
int scene_set_owner(Scene *s, Node *n, Bytes *owner);

/* Replaces the dependencies alone; not counted as a change of the content (no new version). */
int scene_set_dependencies(Scene *s, Node *n, Bytes *dependencies);

/* Calls func for each node whose dependencies name this one; func must not change the scene. 0, -ENOMEM, or the first
 * value other than 0 from func. */
typedef int (*SceneNodeFunc)(void *userdata, Node *n);
int scene_each_dependant(Scene *s, const Node *n, SceneNodeFunc func, void *userdata);

/* Removes the node, and its uuid, once, from the dependencies of every node that names it, as each client does.
 * -ENOMEM: nothing has changed. */
int scene_remove(Scene *s, Node *n);

/* ---- one node ---- */

/* Never 0, never used twice in the life of a process. */
uint64_t node_id(const Node *n);
typedef struct NodeUuid {
        char text[SCENE_UUID_MAX + 1]; /* NUL-terminated */
} NodeUuid;
NodeUuid node_uuid(const Node *n);
size_t node_uuid_size(const Node *n);
Bytes *node_owner(const Scene *s, const Node *n); /* borrowed */
Bytes *node_dependencies(const Node *n);          /* borrowed pickle */
uint64_t node_version(const Node *n);    /* grows by one with every change of data or dependencies by a message */
uint64_t node_changed(const Node *n);    /* wall time of the last, to the second, in microseconds */
bool node_is_common(const Node *n);

/* The bytes that deltas build on: a new reference, NULL for memory; how many there are; for which version they stand. */
Bytes *scene_base(const Scene *s, const Node *n);
size_t node_base_size(const Node *n);
uint64_t node_base_version(const Node *n);
size_t node_n_deltas(const Node *n);

/* Where the base lies in the log; false when nowhere. */
bool node_location(const Scene *s, const Node *n, StoreLocation *ret);

/* Whether the base is held as a place in the log, and not as bytes of its own. */
bool node_is_mapped(const Node *n);

/* Notes where the base lies when it is still the one of `version`, and holds `mapped` (may be NULL) in its place: as a
 * place in what that is a slice of, where it is one of the whole segment. */
void scene_set_location(Scene *s, Node *n, uint64_t version, const StoreLocation *location, Bytes *mapped);

/* No base lies in this segment of the log any more; 0: in none. The bytes stay. */
void scene_forget_locations(Scene *s, uint64_t segment);

/* The whole node as it is now. Without deltas that is the base; else it is encoded now when that is cheap
 * (as what is done with `sync_limit` bytes at most), and becomes the base. Returns 0 and a new reference; 1: too costly, use
 * scene_fold(); or -ENOMEM, -E2BIG, -EBADMSG as scene_fold_run(). */
int scene_payload(Scene *s, Node *n, size_t sync_limit, Bytes **ret);

/* The same as a job for another thread; its result goes to scene_folded() with the node_version() of now. */
int scene_fold(Scene *s, Node *n, SceneFold **ret);

/* The bytes of `version` have been made: the deltas up to it are dropped. Ignored when they are older than the base;
 * NULL when they could not be made. */
void scene_folded(Scene *s, Node *n, uint64_t version, Bytes *payload, const StoreLocation *location);

/* A fold has been made and scene_folded() has not been called. */
bool node_is_folding(const Node *n);

/* The deltas have outgrown the base: a fold should be asked for. */
bool node_wants_fold(const Node *n);

/* Notes of the session about who was sent what when, kept here because every node has them; zero at first. Times are
 * milliseconds of a clock of the session's, 0: never. */
typedef struct NodeTraffic {
        uint32_t author;     /* who sent the newest data */
        uint32_t sent;       /* when it was passed on to all others */
        uint32_t sent_other; /* when data of another than this author was passed on last */
} NodeTraffic;
NodeTraffic *node_traffic(Node *n);

/* ---- owners ---- */

/* One after the other the nodes of an owner other than COMMON: `after` NULL is the first. Changing the owner of one
 * returned takes it out of the sequence. */
Node *scene_owned(const Scene *s, const void *owner, size_t owner_size, const Node *after);
size_t scene_n_owned(const Scene *s, const void *owner, size_t owner_size);

/* The owners other than COMMON that have nodes: i below scene_n_owners(), NULL where there is none (any more). */
size_t scene_n_owners(const Scene *s);
Bytes *scene_owner_at(const Scene *s, size_t i);
