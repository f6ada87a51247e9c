/* SPDX-License-Identifier: GPL-3.0-or-later */

/* iterable_items_added_at_indexes and iterable_items_removed_at_indexes: lists that were compared as bags. */

#include <errno.h>

#include "delta/convert.h"
#include "delta/fingerprint.h"
#include "delta/place.h"
#include "delta/repr.h"
#include "delta/shape.h"
#include "delta/steps.h"

/* Steps that looking at an old item takes at least. */
#define ITEM_COST 8

/* One list that is put together anew. */
typedef struct Merge {
        DeltaRun *run;
        const Value *added;   /* dict: new index to value; or NULL */
        const Value *removed; /* dict: old index to value; or NULL */
        AnySet *added_set;
        Value *kept;    /* list: the old items that stay */
        uint32_t n_old; /* old items looked at */
        Value *result;
        bool *is_used; /* by slot of `added` */
        uint32_t n_used;
} Merge;

/* ---- the old items that stay ---- */

static int is_removed(Merge *m, const Value *item, const Value *index, bool *ret)
{
        const Value *want = m->removed ? value_dict_get(m->removed, index) : NULL;
        size_t size;
        int r;

        *ret = false;
        if (!want)
                return 0;
        r = value_heap_size(want, &size);
        if (r == 0)
                r = run_charge(m->run, 1 + size / 32);
        if (r != 0)
                return r;
        r = value_equal(item, want);
        if (r < 0)
                return r;
        *ret = r > 0;
        if (r > 0)
                return 0;
        run_skip(m->run);
        r = run_log_value(m->run, want);
        return r != 0 ? r : run_log_value(m->run, item);
}

static int keep_item(void *userdata, Value *item)
{
        Merge *m = userdata;
        _cleanup_value_ Value *index = NULL;
        bool is_gone = false;
        int r;

        r = run_charge(m->run, ITEM_COST);
        if (r == 0)
                r = any_set_contains(m->run, m->added_set, item, &is_gone);
        if (r == 0 && !is_gone) {
                index = value_int_new(m->n_old);
                r = index ? is_removed(m, item, index, &is_gone) : -ENOMEM;
        }
        m->n_old++;
        return r != 0 || is_gone ? r : value_list_append(m->kept, item);
}

/* Items of a dict with the keys 0..n-1. */
static int keep_dict_values(Merge *m, const Value *dict)
{
        for (uint32_t i = 0; i < value_table_length(dict); i++) {
                _cleanup_value_ Value *index = value_int_new(i);
                Value *item;
                int r;

                if (!index)
                        return -ENOMEM;
                item = value_dict_get(dict, index);
                if (!item)
                        return run_refuse(m->run, DELTA_ABORTED, "indexes for a dict that is no list");
                r = run_charge(m->run, 1);
                if (r == 0)
                        r = keep_item(m, item);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int keep_items(Merge *m, const Value *target)
{
        int r;

        if (!run_truth(target))
                return 0;
        if (value_is_dict(target))
                return keep_dict_values(m, target);
        r = value_is_set(target) ? DELTA_SKIP : convert_for_each(m->run, target, keep_item, m);
        return r == DELTA_SKIP ? run_refuse(m->run, DELTA_ABORTED, "indexes for something that is no list") :
                                 r;
}

/* ---- merging ---- */

static int add_slots(Merge *m)
{
        uint32_t n_slots = 0;

        if (!m->added)
                return 0;
        for (uint32_t s = value_table_first(m->added); s != VALUE_SLOT_END;
             s = value_table_next(m->added, s)) {
                int r = any_set_add(m->run, m->added_set, value_dict_value(m->added, s));

                if (r != 0)
                        return r;
                n_slots = MAX(n_slots, s + 1);
        }
        m->is_used = calloc(MAX(n_slots, 1u), sizeof(bool));
        return m->is_used ? 0 : -ENOMEM;
}

/* What is left over is logged, every time with all of it. */
static int log_stragglers(Merge *m)
{
        for (uint32_t s = value_table_first(m->added); s != VALUE_SLOT_END;
             s = value_table_next(m->added, s)) {
                int r = m->is_used[s] ? 0 : run_log_value(m->run, value_table_key(m->added, s));

                if (r == 0 && !m->is_used[s])
                        r = run_log_value(m->run, value_dict_value(m->added, s));
                if (r != 0)
                        return r;
        }
        return 0;
}

static int use_slot(Merge *m, uint32_t slot)
{
        m->is_used[slot] = true;
        m->n_used++;
        return value_list_append(m->result, value_dict_value(m->added, slot));
}

/* The slot of the value that was added at the index behind the result so far. */
static int next_added(Merge *m, uint32_t *ret)
{
        _cleanup_value_ Value *index = NULL;

        *ret = VALUE_SLOT_END;
        if (!m->added)
                return 0;
        index = value_int_new(value_list_length(m->result));
        if (!index)
                return -ENOMEM;
        *ret = value_table_find(m->added, index);
        if (*ret != VALUE_SLOT_END && m->is_used[*ret])
                *ret = VALUE_SLOT_END;
        return 0;
}

/* Added values stand at their indexes, kept items fill the places between; what is left closes up in dict
 * order. */
static int merge(Merge *m)
{
        uint32_t n_added = m->added ? value_table_length(m->added) : 0, n_kept = value_list_length(m->kept);
        uint32_t straggler = VALUE_SLOT_END, slot, i = 0;
        int r = 0;

        while (r == 0 && (i < n_kept || m->n_used < n_added)) {
                r = next_added(m, &slot);
                if (r != 0)
                        break;
                if (slot != VALUE_SLOT_END) {
                        r = use_slot(m, slot);
                } else if (i < n_kept) {
                        r = value_list_append(m->result, value_list_get(m->kept, i++));
                } else {
                        if (straggler == VALUE_SLOT_END) {
                                r = log_stragglers(m);
                                straggler = value_table_first(m->added);
                        }
                        while (m->is_used[straggler])
                                straggler = value_table_next(m->added, straggler);
                        run_skip(m->run);
                        r = r != 0 ? r : use_slot(m, straggler);
                }
        }
        return r;
}

static void merge_done(Merge *m)
{
        any_set_free(m->added_set);
        value_unref(m->kept);
        value_unref(m->result);
        free(m->is_used);
}

/* ---- places ---- */

/* deepdiff points at the container by the path of its first item. */
static int item_path(DeltaRun *run, const Value *key, Path **ret)
{
        _cleanup_text_ Text text = {};
        _cleanup_value_ Value *joined = NULL;
        int r = repr_str(key, &text);

        if (r == 0)
                r = text_append_string(&text, "[0]");
        if (r != 0)
                return r == DELTA_LIMIT || r < 0 ? r :
                                                   run_refuse(run, DELTA_ABORTED, "path that has no text");
        joined = value_str_new(text_data(&text), text.size);
        return joined ? run_parse_path(run, joined, ret) : -ENOMEM;
}

static int inner_dict(DeltaRun *run, const Value *category, const Value *key, const Value **ret)
{
        const Value *inner = category ? value_dict_get(category, key) : NULL;

        if (inner && !value_is_dict(inner))
                return run_refuse(run, DELTA_ABORTED, "indexes that are no dict");
        *ret = inner;
        return 0;
}

static int admit(Merge *m, const Place *place, const Value *target)
{
        int r = 0;

        /* The list itself is one level above its items. */
        if (value_type(target) < VALUE_LIST)
                r = shape_admit_container(m->run, place, 0);
        if (!m->added)
                return r;
        for (uint32_t s = value_table_first(m->added); r == 0 && s != VALUE_SLOT_END;
             s = value_table_next(m->added, s))
                r = shape_admit(m->run, place, 1, value_dict_value(m->added, s));
        return r;
}

static int store(Merge *m, const Place *place, const Value *target)
{
        _cleanup_value_ Value *tuple = NULL;
        uint32_t n = value_list_length(m->result);
        int r = run_grow(m->run, n * sizeof(Value *));

        if (r != 0)
                return r;
        if (value_type(target) != VALUE_TUPLE)
                return slot_store(m->run, &place->parent, m->result);
        tuple = value_tuple_slice_new(m->result, 0, n);
        return tuple ? slot_store(m->run, &place->parent, tuple) : -ENOMEM;
}

static int merge_at(DeltaRun *run, const Value *key, const Value *all_added, const Value *all_removed)
{
        _cleanup_(merge_done) Merge m = { .run = run };
        _cleanup_path_ Path *path = NULL;
        _cleanup_place_ Place place = {};
        const Value *target;
        int r;

        r = item_path(run, key, &path);
        if (r == 0)
                r = place_find(run, path, &place);
        if (r == 0 && path->n == 0)
                r = run_refuse(run, DELTA_ABORTED, "indexes without a path");
        if (r == 0)
                r = inner_dict(run, all_added, key, &m.added);
        if (r == 0)
                r = inner_dict(run, all_removed, key, &m.removed);
        if (r != 0)
                return r;
        target = place.slot.container;
        m.added_set = any_set_new();
        m.kept = value_list_new();
        m.result = value_list_new();
        if (!m.added_set || !m.kept || !m.result)
                return -ENOMEM;
        r = add_slots(&m);
        if (r == 0)
                r = keep_items(&m, target);
        if (r == 0)
                r = merge(&m);
        if (r == 0)
                r = admit(&m, &place, target);
        return r != 0 ? r : store(&m, &place, target);
}

static int optional_dict(DeltaRun *run, const char *name, const Value **ret)
{
        const Value *category = value_dict_get_string(run->delta, name);

        /* Unlike the other categories it may not be falsy. */
        if (category && !value_is_dict(category))
                return run_refuse(run, DELTA_ABORTED, "category that is no dict");
        *ret = category;
        return 0;
}

static int merge_all(DeltaRun *run, const Value *keys, const Value *except, const Value *added,
                     const Value *removed)
{
        if (!keys)
                return 0;
        for (uint32_t s = value_table_first(keys); s != VALUE_SLOT_END; s = value_table_next(keys, s)) {
                const Value *key = value_table_key(keys, s);
                int r;

                if (except && value_table_find(except, key) != VALUE_SLOT_END)
                        continue;
                r = merge_at(run, key, added, removed);
                if (r == DELTA_SKIP)
                        run_skip(run);
                else if (r != 0)
                        return r;
        }
        return 0;
}

int step_items_at_indexes(DeltaRun *run)
{
        const Value *added = NULL, *removed = NULL;
        int r = optional_dict(run, "iterable_items_added_at_indexes", &added);

        if (r == 0)
                r = optional_dict(run, "iterable_items_removed_at_indexes", &removed);
        if (r == 0)
                r = merge_all(run, added, NULL, added, removed);
        return r != 0 ? r : merge_all(run, removed, added, added, removed);
}
