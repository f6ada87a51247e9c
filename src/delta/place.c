/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/place.h"

#include <errno.h>

#include "delta/attribute.h"
#include "delta/tuples.h"
#include "delta/unicode.h"

void place_done(Place *p)
{
        p->slot.container = value_unref(p->slot.container);
        p->parent.container = value_unref(p->parent.container);
}

static bool is_index(const Value *key)
{
        return value_type(key) == VALUE_INT || value_type(key) == VALUE_BOOL ||
               value_type(key) == VALUE_BIGINT;
}

bool index_of(const Value *key, size_t length, size_t *ret)
{
        int64_t i;

        if (value_type(key) != VALUE_INT && value_type(key) != VALUE_BOOL)
                return false;
        i = value_int_get(key);
        if (i < 0)
                i += (int64_t)length;
        if (i < 0 || (uint64_t)i >= length)
                return false;
        *ret = (size_t)i;
        return true;
}

static int read_character(DeltaRun *run, const Value *text, const Value *key, Value **ret)
{
        size_t length, wanted, from = 0, to;
        int r;

        r = run_charge(run, value_size(text) / 4);
        if (r != 0)
                return r;
        length = unicode_length(value_data(text), value_size(text));
        if (!index_of(key, length, &wanted))
                return DELTA_SKIP;
        while (wanted-- > 0)
                unicode_next(value_data(text), &from);
        to = from;
        unicode_next(value_data(text), &to);
        *ret = value_str_new(value_data(text) + from, to - from);
        return *ret ? 0 : -ENOMEM;
}

static int read_item(DeltaRun *run, const Value *container, const Value *key, Value **ret)
{
        Value *v = NULL;
        size_t i;

        switch (value_type(container)) {
        case VALUE_DICT:
                v = value_ref(value_dict_get(container, key));
                break;
        case VALUE_LIST:
        case VALUE_TUPLE:
                if (index_of(key, value_sequence_length(container), &i))
                        v = value_ref(value_sequence_get(container, (uint32_t)i));
                break;
        case VALUE_BYTES:
        case VALUE_BYTEARRAY:
                if (!index_of(key, value_size(container), &i))
                        break;
                v = value_int_new(value_data(container)[i]);
                if (!v)
                        return -ENOMEM;
                break;
        case VALUE_STR:
                return read_character(run, container, key, ret);
        default:
                break;
        }
        if (!v)
                return DELTA_SKIP;
        *ret = v;
        return 0;
}

int slot_read(DeltaRun *run, const Slot *slot, Value **ret)
{
        int r = run_charge(run, 1);

        if (r != 0)
                return r;
        if (!slot->container) {
                if (!run->root)
                        return DELTA_SKIP;
                *ret = value_ref(run->root);
                return 0;
        }
        return slot->is_attribute ? DELTA_SKIP : read_item(run, slot->container, slot->key, ret);
}

bool slot_names_attribute(const Slot *slot)
{
        return slot->is_attribute && slot->container && attribute_exists(slot->container, slot->key);
}

int place_find(DeltaRun *run, const Path *path, Place *ret)
{
        _cleanup_place_ Place place = { .depth = path->n };
        int r;

        for (uint32_t i = 0; i < path->n; i++) {
                Value *container;

                if (slot_names_attribute(&place.slot))
                        return run_refuse(run, DELTA_UNSUPPORTED, "path through a method or attribute");
                r = slot_read(run, &place.slot, &container);
                if (r != 0)
                        return r;
                /* One reference is ours; the root's other one is its owner's. */
                place.is_shared |= container->n_ref > 2;
                value_unref(place.parent.container);
                place.parent = place.slot;
                place.slot = (Slot){ .container = container,
                                     .key = path->elements[i].value,
                                     .is_attribute = path->elements[i].is_attribute };
        }
        *ret = place;
        place = (Place){};
        return 0;
}

int place_find_text(DeltaRun *run, const Value *text, Path **ret_path, Place *ret)
{
        _cleanup_path_ Path *path = NULL;
        int r;

        r = run_parse_path(run, text, &path);
        if (r != 0)
                return r;
        r = place_find(run, path, ret);
        if (r != 0)
                return r;
        *ret_path = TAKE_PTR(path);
        return 0;
}

static int skip(DeltaRun *run)
{
        run_skip(run);
        return 0;
}

static int store_list_item(DeltaRun *run, Value *list, const Value *key, Value *v)
{
        uint32_t n = value_list_length(list);
        size_t i;

        if (index_of(key, n, &i))
                return undo_list_set(&run->undo, list, (uint32_t)i, v);
        if (value_type(key) != VALUE_BIGINT && is_index(key) && value_int_get(key) == n)
                return undo_list_insert(&run->undo, list, n, v);
        return skip(run);
}

static int store_byte(DeltaRun *run, Value *bytearray, const Value *key, const Value *v)
{
        size_t n = value_size(bytearray), i;
        bool is_inside;
        uint8_t byte;
        int r;

        if (!is_index(key) || value_type(key) == VALUE_BIGINT || !is_index(v))
                return skip(run);
        if (value_type(v) == VALUE_BIGINT || value_int_get(v) < 0 || value_int_get(v) > 255)
                return run_refuse(run, DELTA_ABORTED, "number that is no byte for a bytearray");
        is_inside = index_of(key, n, &i);
        if (!is_inside && value_int_get(key) != (int64_t)n)
                return skip(run);
        byte = (uint8_t)value_int_get(v);
        r = run_charge(run, n / 64);
        if (r != 0)
                return r;
        return undo_bytearray_splice(&run->undo, bytearray, is_inside ? i : n, is_inside, &byte, 1);
}

int slot_store(DeltaRun *run, const Slot *slot, Value *v)
{
        if (!slot->container)
                return undo_root_set(&run->undo, &run->root, v);
        if (slot->is_attribute)
                return skip(run);
        switch (value_type(slot->container)) {
        case VALUE_DICT:
                return undo_dict_set(&run->undo, slot->container, slot->key, v);
        case VALUE_LIST:
                return store_list_item(run, slot->container, slot->key, v);
        case VALUE_BYTEARRAY:
                return store_byte(run, slot->container, slot->key, v);
        default:
                return skip(run);
        }
}

/* A list with the items of a tuple, which will stand in its place until the last step. */
static int thaw(DeltaRun *run, const Path *path, const Value *tuple, Value **ret)
{
        uint32_t n = value_tuple_length(tuple);
        Value *list;
        int r;

        r = tuples_note(run, path);
        if (r != 0)
                return r;
        r = run_grow(run, n * sizeof(Value *));
        if (r != 0)
                return r;
        list = value_list_slice_new(tuple, 0, n);
        if (!list)
                return -ENOMEM;
        *ret = list;
        return 0;
}

int place_put(DeltaRun *run, const Path *path, const Place *place, Value *v)
{
        _cleanup_value_ Value *list = NULL;
        const Slot *slot = &place->slot;
        uint32_t n;
        size_t i;
        int r;

        if (!slot->container || value_type(slot->container) != VALUE_TUPLE)
                return slot_store(run, slot, v);
        r = thaw(run, path, slot->container, &list);
        if (r != 0)
                return r;
        /* Edited before it becomes part of the graph, so without undo. */
        n = value_list_length(list);
        if (slot->is_attribute)
                run_skip(run);
        else if (index_of(slot->key, n, &i))
                value_list_set(list, (uint32_t)i, v, NULL);
        else if (is_index(slot->key) && value_type(slot->key) != VALUE_BIGINT &&
                 value_int_get(slot->key) == n)
                r = value_list_append(list, v);
        else
                run_skip(run);
        return r < 0 ? r : slot_store(run, &place->parent, list);
}

int place_delete(DeltaRun *run, const Path *path, const Place *place)
{
        _cleanup_value_ Value *list = NULL;
        const Slot *slot = &place->slot;
        size_t i;
        int r;

        if (!slot->container)
                return undo_root_set(&run->undo, &run->root, NULL);
        switch (value_type(slot->container)) {
        case VALUE_DICT:
                return undo_dict_remove(&run->undo, slot->container,
                                        value_table_find(slot->container, slot->key));
        case VALUE_LIST:
                if (!index_of(slot->key, value_list_length(slot->container), &i))
                        return skip(run);
                return undo_list_remove(&run->undo, slot->container, (uint32_t)i);
        case VALUE_BYTEARRAY:
                if (!index_of(slot->key, value_size(slot->container), &i))
                        return skip(run);
                r = run_charge(run, value_size(slot->container) / 64);
                return r != 0 ? r : undo_bytearray_splice(&run->undo, slot->container, i, 1, NULL, 0);
        case VALUE_TUPLE:
                if (!index_of(slot->key, value_tuple_length(slot->container), &i))
                        return skip(run);
                r = thaw(run, path, slot->container, &list);
                if (r != 0)
                        return r;
                value_list_remove(list, (uint32_t)i, NULL);
                return slot_store(run, &place->parent, list);
        default:
                return run_refuse(run, DELTA_ABORTED, "deletion inside a str or bytes");
        }
}
