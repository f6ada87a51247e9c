/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Items, keys and attributes added, removed and moved. */

#include <errno.h>
#include <math.h>

#include "delta/changes.h"
#include "delta/number.h"
#include "delta/place.h"
#include "delta/shape.h"
#include "delta/steps.h"
#include "delta/unicode.h"

/* ---- adding ---- */

/* len(v) */
static bool length_of(const Value *v, size_t *ret)
{
        switch (value_type(v)) {
        case VALUE_LIST:
        case VALUE_TUPLE:
                *ret = value_sequence_length(v);
                return true;
        case VALUE_DICT:
        case VALUE_SET:
        case VALUE_FROZENSET:
                *ret = value_table_length(v);
                return true;
        case VALUE_STR:
                *ret = unicode_length(value_data(v), value_size(v));
                return true;
        case VALUE_BYTES:
        case VALUE_BYTEARRAY:
                *ret = value_size(v);
                return true;
        default:
                return false;
        }
}

/* Makes room for an item that goes before the end of a list. */
static int insert_placeholder(DeltaRun *run, const Place *place)
{
        const Value *key = place->slot.key;
        _cleanup_value_ Value *end = NULL;
        size_t length;
        int64_t i;

        if (!place->slot.container || !number_is(key) || !length_of(place->slot.container, &length))
                return run_refuse(run, DELTA_ABORTED, "item added to something that is no list");
        end = value_int_new((int64_t)length);
        if (!end)
                return -ENOMEM;
        if (number_compare(key, end) >= 0)
                return run_charge(run, length / 4);
        if (!value_is_list(place->slot.container) ||
            (value_type(key) != VALUE_INT && value_type(key) != VALUE_BOOL))
                return run_refuse(run, DELTA_ABORTED, "item inserted into something that is no list");
        i = value_int_get(key);
        if (i < 0)
                i = MAX(i + (int64_t)length, 0);
        return undo_list_insert(&run->undo, place->slot.container, (uint32_t)i, value_none());
}

static int add_at(DeltaRun *run, const Path *path, Value *v, bool inserts)
{
        _cleanup_place_ Place place = {};
        int r;

        r = place_find(run, path, &place);
        if (r == 0 && inserts)
                r = insert_placeholder(run, &place);
        if (r == 0)
                r = shape_admit(run, &place, 1, v);
        return r != 0 ? r : place_put(run, path, &place, v);
}

static int add_changes(DeltaRun *run, Changes *changes, bool inserts)
{
        int r = changes_sort(run, changes, false);

        for (size_t i = 0; r == 0 && i < changes->n; i++) {
                const Change *change = &changes->items[i];

                r = change->path ? add_at(run, change->path, change->value, inserts) : DELTA_SKIP;
                if (r == DELTA_SKIP) {
                        run_skip(run);
                        r = 0;
                }
        }
        return r;
}

int step_dict_items_added(DeltaRun *run)
{
        const Value *category;
        int r = run_category(run, "dictionary_item_added", &category);

        if (r != 0 || !category)
                return r;
        for (uint32_t s = value_table_first(category); s != VALUE_SLOT_END;
             s = value_table_next(category, s)) {
                _cleanup_path_ Path *path = NULL;

                r = run_parse_path(run, value_table_key(category, s), &path);
                if (r == 0)
                        r = add_at(run, path, value_dict_value(category, s), false);
                if (r == DELTA_SKIP)
                        run_skip(run);
                else if (r != 0)
                        return r;
        }
        return 0;
}

int step_attributes_added(DeltaRun *run)
{
        _cleanup_changes_ Changes changes = {};
        const Value *category;
        int r = run_category(run, "attribute_added", &category);

        if (r == 0)
                r = changes_append_all(run, &changes, category);
        return r != 0 ? r : add_changes(run, &changes, false);
}

/* ---- removing ---- */

/* Nothing is found at an infinite distance. */
static long double distance(uint32_t i, const Value *last)
{
        if (value_type(last) == VALUE_FLOAT)
                return fabs((double)i - value_float_get(last));
        if (value_type(last) == VALUE_BIGINT)
                return value_bigint_is_negative(last) ? 0x1p64L + i : 0x1p64L - i;
        return fabsl((long double)i - (long double)value_int_get(last));
}

/* Steps that a comparison with this value may take, if types agree. */
static int comparison_cost(const Value *v, uint64_t *ret)
{
        size_t size;
        int r = value_heap_size(v, &size);

        if (r == 0)
                *ret = 1 + size / 32;
        return r;
}

/* Python's v == want */
static int compare_wanted(DeltaRun *run, const Value *v, const Value *want, uint64_t cost, bool *ret)
{
        int r = run_charge(run, value_type(v) == value_type(want) ? cost : 1);

        if (r != 0)
                return r;
        r = value_equal(v, want);
        if (r >= 0)
                *ret = r > 0;
        return MIN(r, 0);
}

/* The index at which the wanted value lies nearest to the last element of the path, the lower of two;
 * DELTA_SKIP when it is nowhere. */
static int find_nearest(DeltaRun *run, const Value *list, const Value *last, const Value *want, uint64_t cost,
                        uint32_t *ret)
{
        long double best = INFINITY;

        if (value_list_length(list) == 0)
                return DELTA_SKIP;
        if (!number_is(last))
                return run_refuse(run, DELTA_ABORTED,
                                  "item removed from a list by something that is no index");
        for (uint32_t i = 0; i < value_list_length(list); i++) {
                long double here = distance(i, last);
                bool is_equal = false;
                int r;

                if (here > best)
                        break;
                if (here == best)
                        continue;
                r = compare_wanted(run, value_list_get(list, i), want, cost, &is_equal);
                if (r != 0)
                        return r;
                if (is_equal) {
                        best = here;
                        *ret = i;
                }
        }
        return isinf(best) ? DELTA_SKIP : 0;
}

/* Deletes what the place names, or where a list has something else there, the nearest equal item. */
static int remove_at(DeltaRun *run, const Path *path, Value *want, bool searches)
{
        _cleanup_place_ Place place = {};
        _cleanup_value_ Value *current = NULL, *nearest = NULL;
        bool is_equal = false;
        uint32_t i = 0;
        uint64_t cost;
        int r;

        r = place_find(run, path, &place);
        if (r != 0)
                return r;
        r = comparison_cost(want, &cost);
        if (r != 0)
                return r;
        r = slot_read(run, &place.slot, &current);
        if (r == 0)
                r = compare_wanted(run, current, want, cost, &is_equal);
        if (r != 0 && r != DELTA_SKIP)
                return r;
        if (!is_equal && searches && place.slot.container && value_is_list(place.slot.container)) {
                r = find_nearest(run, place.slot.container, place.slot.key, want, cost, &i);
                if (r != 0)
                        return r == DELTA_SKIP ? 0 : r;
                place.slot.key = nearest = value_int_new(i);
                if (!nearest)
                        return -ENOMEM;
        } else if (!current) {
                return slot_names_attribute(&place.slot) ? DELTA_SKIP : 0;
        }
        if (place.slot.is_attribute)
                return DELTA_SKIP;
        if (place.slot.container && value_type(place.slot.key) == VALUE_NONE)
                return 0;
        return place_delete(run, path, &place);
}

static int remove_changes(DeltaRun *run, Changes *changes)
{
        const Value *compared = value_dict_get_string(run->delta, "_iterable_compare_func_was_used");
        bool searches = !compared || !run_truth(compared);
        int r = changes_sort(run, changes, true);

        for (size_t i = 0; r == 0 && i < changes->n; i++) {
                const Change *change = &changes->items[i];

                r = change->path ? remove_at(run, change->path, change->value, searches) : DELTA_SKIP;
                if (r == DELTA_SKIP) {
                        run_skip(run);
                        r = 0;
                }
        }
        return r;
}

static int remove_category(DeltaRun *run, const char *name)
{
        _cleanup_changes_ Changes changes = {};
        const Value *category;
        int r = run_category(run, name, &category);

        if (r == 0)
                r = changes_append_all(run, &changes, category);
        return r != 0 ? r : remove_changes(run, &changes);
}

int step_dict_items_removed(DeltaRun *run)
{
        return remove_category(run, "dictionary_item_removed");
}

int step_attributes_removed(DeltaRun *run)
{
        return remove_category(run, "attribute_removed");
}

/* ---- moving: out of the list with the removed items, and back with the added ones ---- */

/* A category that moved items are merged into: it may be absent or empty, but nothing else than a dict. */
static int merge_category(DeltaRun *run, const char *name, Changes *changes)
{
        const Value *category = value_dict_get_string(run->delta, name);

        if (category && !value_is_dict(category))
                return run_refuse(run, DELTA_ABORTED, "category that is no dict");
        return changes_merge_all(run, changes, category);
}

static int moved_field(DeltaRun *run, const Value *moved, const char *name, Value **ret)
{
        *ret = value_dict_get_string(moved, name);
        return *ret ? 0 : run_refuse(run, DELTA_ABORTED, "moved item without value or new path");
}

int step_iterable_items_removed(DeltaRun *run)
{
        _cleanup_changes_ Changes changes = {};
        const Value *moved;
        int r = run_category(run, "iterable_item_moved", &moved);

        if (r != 0)
                return r;
        if (!moved)
                return remove_category(run, "iterable_item_removed");
        r = merge_category(run, "iterable_item_removed", &changes);
        for (uint32_t s = value_table_first(moved); r == 0 && s != VALUE_SLOT_END;
             s = value_table_next(moved, s)) {
                Value *v;

                r = moved_field(run, value_dict_value(moved, s), "value", &v);
                if (r == 0)
                        r = changes_merge(run, &changes, value_table_key(moved, s), v);
        }
        return r != 0 ? r : remove_changes(run, &changes);
}

static int add_moved(DeltaRun *run, const Value *moved, Changes *changes, bool is_placeholder)
{
        for (uint32_t s = value_table_first(moved); s != VALUE_SLOT_END; s = value_table_next(moved, s)) {
                const Value *entry = value_dict_value(moved, s);
                Value *path, *v = value_none();
                int r;

                r = moved_field(run, entry, "new_path", &path);
                if (r == 0 && !is_placeholder)
                        r = moved_field(run, entry, "value", &v);
                if (r == 0)
                        r = changes_merge(run, changes, path, v);
                if (r != 0)
                        return r;
        }
        return add_changes(run, changes, is_placeholder);
}

int step_iterable_items_added(DeltaRun *run)
{
        _cleanup_changes_ Changes changes = {}, values = {};
        const Value *moved, *category;
        int r = run_category(run, "iterable_item_moved", &moved);

        if (r != 0)
                return r;
        if (!moved) {
                r = run_category(run, "iterable_item_added", &category);
                if (r == 0)
                        r = changes_append_all(run, &changes, category);
                return r != 0 ? r : add_changes(run, &changes, true);
        }
        r = merge_category(run, "iterable_item_added", &changes);
        if (r == 0)
                r = add_moved(run, moved, &changes, true);
        return r != 0 ? r : add_moved(run, moved, &values, false);
}
