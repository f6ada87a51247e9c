/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/tuples.h"

#include <errno.h>

#include "delta/convert.h"
#include "delta/place.h"

struct TupleNotes {
        Value *known; /* set: the elements of each path, as a tuple */
        Path **paths;
        uint32_t n;
        uint32_t capacity;
};

TupleNotes *tuples_free(TupleNotes *notes)
{
        if (!notes)
                return NULL;
        for (uint32_t i = 0; i < notes->n; i++)
                path_free(notes->paths[i]);
        free(notes->paths);
        value_unref(notes->known);
        free(notes);
        return NULL;
}

static TupleNotes *tuples_new(void)
{
        TupleNotes *notes = calloc(1, sizeof(TupleNotes));

        if (!notes)
                return NULL;
        notes->known = value_set_new();
        return notes->known ? notes : tuples_free(notes);
}

/* Paths are the same note when all their elements are equal in Python: 1, 1.0 and True name the same. */
static Value *path_to_key(const Path *path, uint32_t n)
{
        Value **items = calloc(MAX(2 * n, 1u), sizeof(Value *));
        Value *key;

        if (!items)
                return NULL;
        for (uint32_t i = 0; i < n; i++) {
                items[2 * i] = path->elements[i].value;
                items[2 * i + 1] = value_bool(path->elements[i].is_attribute);
        }
        key = value_tuple_new(items, 2 * n);
        free(items);
        return key;
}

int tuples_note(DeltaRun *run, const Path *path)
{
        _cleanup_value_ Value *key = NULL;
        _cleanup_path_ Path *prefix = NULL;
        TupleNotes *notes;
        int r;

        assert(path->n > 0);

        if (!run->notes)
                run->notes = tuples_new();
        notes = run->notes;
        if (!notes)
                return -ENOMEM;
        key = path_to_key(path, path->n - 1);
        if (!key)
                return -ENOMEM;
        if (value_set_contains(notes->known, key))
                return 0;
        prefix = path_prefix(path, path->n - 1);
        if (!prefix)
                return -ENOMEM;
        if (notes->n == notes->capacity) {
                uint32_t capacity = MAX(notes->capacity * 2, 8u);
                Path **paths = reallocarray(notes->paths, capacity, sizeof(Path *));

                if (!paths)
                        return -ENOMEM;
                notes->paths = paths;
                notes->capacity = capacity;
        }
        r = value_set_add(notes->known, key);
        if (r < 0)
                return r;
        notes->paths[notes->n++] = TAKE_PTR(prefix);
        return 0;
}

static bool has_only_str_elements(const Path *path)
{
        for (uint32_t i = 0; i < path->n; i++)
                if (value_type(path->elements[i].value) != VALUE_STR)
                        return false;
        return true;
}

static int restore_one(DeltaRun *run, const Path *path)
{
        _cleanup_place_ Place place = {};
        _cleanup_value_ Value *current = NULL, *tuple = NULL;
        int r;

        r = place_find(run, path, &place);
        if (r != 0)
                return r;
        r = slot_read(run, &place.slot, &current);
        if (r == DELTA_SKIP && !has_only_str_elements(path))
                return run_refuse(run, DELTA_ABORTED, "edited tuple that is gone");
        if (r != 0)
                return r;
        r = convert(run, VALUE_GLOBAL_TUPLE, current, &tuple);
        if (r == DELTA_SKIP && !place.slot.container)
                return run_refuse(run, DELTA_ABORTED, "edited tuple that became something else");
        if (r == DELTA_SKIP) {
                r = run_log_value(run, current);
                return r != 0 ? r : DELTA_SKIP;
        }
        if (r != 0)
                return r;
        return place_put(run, path, &place, tuple);
}

int tuples_restore(DeltaRun *run)
{
        uint32_t n = run->notes ? run->notes->n : 0;

        for (uint32_t i = 0; i < n; i++) {
                int r = restore_one(run, run->notes->paths[i]);

                if (r == DELTA_SKIP)
                        run_skip(run);
                else if (r != 0)
                        return r;
                /* deepdiff walks the notes while this adds one, which Python refuses. */
                if (run->notes->n != n)
                        return run_refuse(run, DELTA_ABORTED, "edited tuple inside a tuple");
        }
        return 0;
}
