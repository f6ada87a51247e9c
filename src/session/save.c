/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/writer.h"
#include "session/marks.h"
#include "session/session-private.h"

/*
 * Nobody may have to wait while what a minute has changed in a large session is written down, so that goes in slices.
 * What happens between two of them may be in the state or not: it is in the journal after it in any case, and replaying
 * it over a state that has it makes no difference.
 */

struct SessionSave {
        Session *session;
        Value *state;
        uint64_t *rights; /* ids of the nodes to look at */
        size_t n_rights, i_right;
        uint64_t grave; /* number of the next one */
        Marks graves, rights_changed;
};

SessionSave *session_save_free(SessionSave *save)
{
        if (!save)
                return NULL;
        value_unref(save->state);
        free(save->rights);
        marks_done(&save->graves);
        marks_done(&save->rights_changed);
        free(save);
        return NULL;
}

static int take_ids(const U64Map *map, uint64_t **ret, size_t *ret_n)
{
        uint64_t *ids = reallocarray(NULL, map->n + 1, sizeof *ids);
        size_t n = 0;
        if (!ids)
                return -ENOMEM;
        for (const U64MapEntry *e = u64_map_next(map, NULL); e; e = u64_map_next(map, e))
                ids[n++] = e->key;
        *ret = ids;
        *ret_n = n;
        return 0;
}

int session_save_begin(Session *s, SessionTime t, SessionSave **ret)
{
        if (s->init)
                return -EBUSY;
        _cleanup_session_save_ SessionSave *save = calloc(1, sizeof *save);
        if (!save)
                return -ENOMEM;
        save->session = s;
        save->grave = s->n_graves_dropped;
        int r = state_save_head(s, t, &save->state);
        if (r >= 0)
                r = take_ids(&s->recent_rights, &save->rights, &save->n_rights);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(save);
        return 0;
}

static int save_node(Marks *marks, const Node *n)
{
        return n ? marks_add(marks, node_uuid(n).text, node_uuid_size(n), node_changed(n)) : 0;
}

/* Each of these does one of its kind. 1: did; 0: there is none left. */

static int save_grave(SessionSave *save)
{
        const Session *s = save->session;
        save->grave = MAX(save->grave, s->n_graves_dropped);
        if (save->grave >= s->n_graves_dropped + s->n_graves)
                return 0;
        const Grave *g = grave_at(s, save->grave++ - s->n_graves_dropped);
        if (grave_find(s, g->uuid->data, g->uuid->size) != g)
                return 1;
        int r = marks_add(&save->graves, g->uuid->data, g->uuid->size, g->deleted_wall);
        return r < 0 ? r : 1;
}

static int save_right(SessionSave *save)
{
        if (save->i_right >= save->n_rights)
                return 0;
        int r = save_node(&save->rights_changed,
                          scene_find_id(save->session->scene, save->rights[save->i_right++]));
        return r < 0 ? r : 1;
}

int session_save_step(SessionSave *save, size_t max)
{
        for (; max > 0; max--) {
                int r = save_grave(save);
                if (r == 0)
                        r = save_right(save);
                if (r <= 0)
                        return r;
        }
        return 1;
}

static Value *take_value(Marks *m)
{
        if (m->size == 0)
                return value_bytes_new("", 0);
        _cleanup_bytes_ Bytes *bytes = marks_take(m);
        return bytes ? value_bytes_slice_new(bytes, 0, bytes->size) : NULL;
}

int session_save_finish(SessionSave *save, Bytes **ret)
{
        Value *state = answer_set(TAKE_PTR(save->state), "graves", take_value(&save->graves));
        state = answer_set(state, "changes", value_bytes_new("", 0));
        save->state = answer_set(state, "rights", take_value(&save->rights_changed));
        return save->state ? pickle_write(save->state, SIZE_MAX, ret) : -ENOMEM;
}
