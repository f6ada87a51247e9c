/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/shape.h"

#include <errno.h>

/* In the map of heights: a container that the walk is in. */
#define IN_PROGRESS UINT64_MAX

typedef struct Frame {
        ValueCursor cursor;
        uint32_t height;   /* of the highest member so far */
} Frame;

typedef struct Walk {
        DeltaRun *run;
        IdentityMap *heights;
        bool is_delta; /* the values come from the delta */
        Frame *frames;
        size_t n;
        size_t capacity;
} Walk;

static bool is_container(const Value *v)
{
        return value_type(v) >= VALUE_LIST && value_type(v) <= VALUE_FROZENSET;
}

/* Steps walk over the dicts of categories while they edit the graph; nothing genuine puts one into it. */
static bool is_category(const DeltaRun *run, const Value *v)
{
        if (!value_is_dict(v) || v->n_ref == 1)
                return false;
        for (uint32_t s = value_table_first(run->delta); s != VALUE_SLOT_END;
             s = value_table_next(run->delta, s))
                if (value_dict_value(run->delta, s) == v)
                        return true;
        return v == run->delta;
}

static int check_kind(Walk *w, const Value *v)
{
        DeltaRun *run = w->run;

        if (value_type(v) == VALUE_GLOBAL || value_type(v) == VALUE_OPCODE)
                return run_refuse(run, DELTA_UNSUPPORTED, "type or Opcode as a value");
        if (w->is_delta && is_category(run, v))
                return run_refuse(run, DELTA_UNSUPPORTED, "delta that inserts its own categories");
        return 0;
}

static int enter(Walk *w, Value *v)
{
        int r;

        if (w->n >= w->run->limits->max_depth)
                return run_refuse(w->run, DELTA_LIMIT, "values nested too deep");
        r = identity_map_put(w->heights, v, IN_PROGRESS, NULL);
        if (r < 0)
                return r;
        if (w->n == w->capacity) {
                size_t capacity = MAX(w->capacity * 2, (size_t)16);
                Frame *frames = reallocarray(w->frames, capacity, sizeof(Frame));

                if (!frames)
                        return -ENOMEM;
                w->frames = frames;
                w->capacity = capacity;
        }
        w->frames[w->n++] = (Frame){ .cursor = value_cursor(v) };
        return 0;
}

/* Looks at one value from its container, or from outside when there is no frame yet. */
static int meet(Walk *w, Value *v, uint32_t *ret_height)
{
        IdentityEntry *known = is_container(v) ? identity_map_find(w->heights, v) : NULL;
        int r;

        if (known && known->number == IN_PROGRESS)
                return run_refuse(w->run, DELTA_LIMIT, "value that would contain itself");
        if (known) {
                *ret_height = (uint32_t)known->number;
                return 0;
        }
        r = check_kind(w, v);
        if (r == 0)
                r = run_charge(w->run, 1);
        if (r != 0)
                return r;
        if (w->is_delta)
                w->run->size_change += (int64_t)value_own_size(v);
        *ret_height = 0;
        return is_container(v) ? enter(w, v) : 0;
}

static uint32_t leave(Walk *w)
{
        Frame *f = &w->frames[--w->n];
        uint32_t height = f->height + 1;

        identity_map_find(w->heights, f->cursor.container)->number = height;
        if (w->n > 0)
                w->frames[w->n - 1].height = MAX(w->frames[w->n - 1].height, height);
        return height;
}

/* Levels of containers in v, itself included: 0 for a number. */
static int height_of(DeltaRun *run, IdentityMap *heights, bool is_delta, Value *v, uint32_t *ret)
{
        Walk w = { .run = run, .heights = heights, .is_delta = is_delta };
        uint32_t height;
        int r = meet(&w, v, &height);

        while (r == 0 && w.n > 0) {
                Value *member = value_cursor_next(&w.frames[w.n - 1].cursor);
                uint32_t known;

                if (!member) {
                        height = leave(&w);
                        continue;
                }
                r = meet(&w, member, &known);
                if (r == 0 && known > 0)
                        w.frames[w.n - 1].height = MAX(w.frames[w.n - 1].height, known);
        }
        free(w.frames);
        if (r == 0)
                *ret = height;
        return r;
}

static int admit_height(DeltaRun *run, const Place *place, uint32_t below, uint32_t height)
{
        if (height == 0)
                return 0;
        if (place->is_shared)
                run->check_shape = true;
        else if (place->depth + below - 1 + height > run->limits->max_depth)
                return run_refuse(run, DELTA_LIMIT, "result nested too deep");
        return 0;
}

int shape_admit(DeltaRun *run, const Place *place, uint32_t below, Value *v)
{
        uint32_t height;
        int r = height_of(run, &run->heights, true, v, &height);

        return r != 0 ? r : admit_height(run, place, below, height);
}

int shape_admit_container(DeltaRun *run, const Place *place, uint32_t below)
{
        return admit_height(run, place, below, 1);
}

int shape_check(DeltaRun *run)
{
        _cleanup_identity_map_ IdentityMap heights = {};
        uint32_t height;
        int r;

        if (!run->check_shape || !run->root)
                return 0;
        r = height_of(run, &heights, false, run->root, &height);
        if (r == 0 && height > run->limits->max_depth)
                return run_refuse(run, DELTA_LIMIT, "result nested too deep");
        return r;
}
