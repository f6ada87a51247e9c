/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "scene/node.h"

/*
 * Nothing is copied when a snapshot begins. It notes which nodes it has seen;
 * a change to one that it has yet to see hands it out first. A node that is
 * made meanwhile counts as seen, so the snapshot never sees what came after it.
 */

/* Removed nodes remembered for the next snapshot; with more of them it is told everything. */
#define REMOVED_MAX (1u << 20)

struct SceneSnapshot {
        Scene *scene;
        bool all;
        bool finished;
        int error;
        SceneSnapshotFuncs funcs;
        void *userdata;
        uint32_t n_slots; /* at the beginning; what is behind them is new */
        BitSet seen;
        uint32_t cursor;  /* the slot to look at next */
        BitSet dirty;     /* not all: these */
        char **removed;
        size_t n_removed, i_removed;
};

static void snapshot_note_seen(SceneSnapshot *sn, const Node *n)
{
        if (n->slot < sn->n_slots)
                (void)bit_set_add(&sn->seen, n->slot); /* for which there is room */
}

/* ---- notes ---- */

void scene_notes_clear(Scene *s)
{
        for (size_t i = 0; i < s->n_removed; i++)
                free(s->removed[i]);
        free(s->removed);
        bit_set_done(&s->dirty);
        s->removed = NULL;
        s->n_removed = s->n_removed_allocated = 0;
        s->lost_notes = false;
}

void scene_note_created(Scene *s, Node *n)
{
        if (s->snapshot)
                snapshot_note_seen(s->snapshot, n);
}

void scene_note_changed(Scene *s, Node *n)
{
        if (bit_set_add(&s->dirty, n->slot) < 0)
                s->lost_notes = true;
}

void scene_note_removed(Scene *s, Node *n)
{
        if (s->snapshot && s->snapshot->all && s->snapshot->cursor == n->slot)
                s->snapshot->cursor = n->next;
        if (s->n_removed == s->n_removed_allocated) {
                size_t n_allocated = s->n_removed_allocated * 2 + 64;
                char **removed = n_allocated > REMOVED_MAX ? NULL : reallocarray(s->removed, n_allocated,
                                                                                sizeof *removed);
                if (!removed) {
                        s->lost_notes = true;
                        return;
                }
                s->removed = removed;
                s->n_removed_allocated = n_allocated;
        }
        char *uuid = strdup(node_uuid(n).text);
        if (!uuid) {
                s->lost_notes = true;
                return;
        }
        s->removed[s->n_removed++] = uuid;
}

/* ---- handing out ---- */

static bool snapshot_wants(const SceneSnapshot *sn, const Node *n)
{
        return n->slot < sn->n_slots && !bit_set_has(&sn->seen, n->slot) &&
               (sn->all || bit_set_has(&sn->dirty, n->slot));
}

static int snapshot_emit_removed(SceneSnapshot *sn, size_t max)
{
        for (; max > 0 && sn->i_removed < sn->n_removed; max--, sn->i_removed++) {
                const char *uuid = sn->removed[sn->i_removed];
                int r = sn->funcs.removed(sn->userdata, uuid, strlen(uuid));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int snapshot_emit(SceneSnapshot *sn, Node *n)
{
        Scene *s = sn->scene;
        snapshot_note_seen(sn, n);
        _cleanup_scene_fold_ SceneFold *fold = NULL;
        if (node_n_deltas(n) > 0) {
                int r = scene_fold_make(s, n, &fold);
                if (r < 0)
                        return r;
        }
        NodeUuid uuid = node_uuid(n);
        StoreLocation location;
        bool in_log = node_location(s, n, &location);
        bool is_needed = !in_log || !n->mapped;
        _cleanup_bytes_ Bytes *payload = is_needed ? scene_base(s, n) : NULL;
        if (is_needed && !payload)
                return -ENOMEM;
        SceneImage image = {
                .uuid = uuid.text,
                .uuid_size = node_uuid_size(n),
                .owner = node_owner(s, n),
                .dependencies = n->dependencies,
                .node_id = node_id(n),
                .changed = node_changed(n),
                .version = n->version,
                .payload = payload,
                .location = in_log ? &location : NULL,
                .fold = fold,
        };
        int r = sn->funcs.node(sn->userdata, &image);
        fold = image.fold;
        return r;
}

void scene_snapshot_before_change(Scene *s, Node *n)
{
        SceneSnapshot *sn = s->snapshot;
        if (!sn || sn->error < 0 || !snapshot_wants(sn, n))
                return;
        sn->error = snapshot_emit_removed(sn, SIZE_MAX);
        if (sn->error == 0)
                sn->error = snapshot_emit(sn, n);
}

bool scene_snapshot_wants_all(const Scene *s)
{
        return s->lost_notes;
}

int scene_snapshot_begin(Scene *s, bool all, const SceneSnapshotFuncs *funcs, void *userdata, SceneSnapshot **ret)
{
        if (s->snapshot)
                return -EBUSY;
        if (!all && s->lost_notes)
                return -EINVAL;
        SceneSnapshot *sn = malloc(sizeof *sn);
        if (!sn)
                return -ENOMEM;
        *sn = (SceneSnapshot){
                .scene = s,
                .all = all,
                .funcs = *funcs,
                .userdata = userdata,
                .n_slots = s->n_slots,
                .cursor = all ? s->first : 0,
        };
        if (bit_set_reserve(&sn->seen, s->n_slots) < 0) {
                free(sn);
                return -ENOMEM;
        }
        if (!all) {
                sn->dirty = s->dirty;
                s->dirty = (BitSet){};
                sn->removed = TAKE_PTR(s->removed);
                sn->n_removed = s->n_removed;
                s->n_removed = 0;
        }
        scene_notes_clear(s);
        s->snapshot = sn;
        *ret = sn;
        return 0;
}

/* The next node to look at, whether it is wanted or not. */
static Node *snapshot_advance(SceneSnapshot *sn)
{
        Scene *s = sn->scene;
        if (sn->all) {
                Node *n = scene_slot(s, sn->cursor);
                if (n)
                        sn->cursor = n->next;
                return n;
        }
        while (bit_set_next(&sn->dirty, &sn->cursor)) {
                Node *n = scene_at_slot(s, sn->cursor++);
                if (n)
                        return n;
        }
        return NULL;
}

int scene_snapshot_step(SceneSnapshot *sn, size_t max_nodes)
{
        if (sn->error == 0)
                sn->error = snapshot_emit_removed(sn, max_nodes);
        if (sn->error < 0)
                return sn->error;
        if (sn->i_removed < sn->n_removed)
                return 1;
        while (max_nodes-- > 0) {
                Node *n = snapshot_advance(sn);
                if (!n) {
                        sn->finished = true;
                        return 0;
                }
                if (snapshot_wants(sn, n)) {
                        sn->error = snapshot_emit(sn, n);
                        if (sn->error < 0)
                                return sn->error;
                }
        }
        return 1;
}

SceneSnapshot *scene_snapshot_free(SceneSnapshot *sn)
{
        if (!sn)
                return NULL;
        if (!sn->finished)
                sn->scene->lost_notes = true;
        sn->scene->snapshot = NULL;
        for (size_t i = 0; i < sn->n_removed; i++)
                free(sn->removed[i]);
        free(sn->removed);
        bit_set_done(&sn->dirty);
        bit_set_done(&sn->seen);
        free(sn);
        return NULL;
}
