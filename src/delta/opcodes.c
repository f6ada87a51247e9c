/* SPDX-License-Identifier: GPL-3.0-or-later */

/* _iterable_opcodes: a list rebuilt from slices of itself and new values, as difflib writes it. */

#include <errno.h>

#include "delta/convert.h"
#include "delta/place.h"
#include "delta/shape.h"
#include "delta/steps.h"

/* Fields of an Opcode. */
enum {
        OPCODE_TAG,
        OPCODE_FROM,
        OPCODE_TO,
        OPCODE_NEW_VALUES = 6,
};

typedef struct Rebuild {
        DeltaRun *run;
        const Place *place;
        const Value *target;
        Value *result; /* list */
} Rebuild;

static int append_new(void *userdata, Value *element)
{
        Rebuild *rebuild = userdata;
        int r = shape_admit(rebuild->run, rebuild->place, 2, element);

        return r != 0 ? r : value_list_append(rebuild->result, element);
}

static int append_old(void *userdata, Value *element)
{
        Rebuild *rebuild = userdata;

        return value_list_append(rebuild->result, element);
}

/* A bound of a Python slice: clipped, from the end when negative; None leaves it open. */
static bool slice_bound(const Value *v, size_t length, size_t open, size_t *ret)
{
        int64_t i;

        switch (value_type(v)) {
        case VALUE_NONE:
                *ret = open;
                return true;
        case VALUE_BIGINT:
                *ret = value_bigint_is_negative(v) ? 0 : length;
                return true;
        case VALUE_INT:
        case VALUE_BOOL:
                i = value_int_get(v);
                if (i < 0)
                        i += (int64_t)length;
                *ret = i < 0 ? 0 : MIN((size_t)i, length);
                return true;
        default:
                return false;
        }
}

static int append_bytes(Rebuild *rebuild, size_t from, size_t to)
{
        int r = run_grow(rebuild->run, (to - from) * sizeof(Value *));

        for (size_t i = from; r == 0 && i < to; i++) {
                _cleanup_value_ Value *byte = value_int_new(value_data(rebuild->target)[i]);

                r = byte ? append_old(rebuild, byte) : -ENOMEM;
        }
        return r;
}

static int append_slice(Rebuild *rebuild, const Value *opcode)
{
        const Value *target = rebuild->target;
        bool is_bytes = value_type(target) == VALUE_BYTEARRAY;
        size_t length = is_bytes ? value_size(target) : value_sequence_length(target), from, to;
        int r;

        if (!slice_bound(value_tuple_get(opcode, OPCODE_FROM), length, 0, &from) ||
            !slice_bound(value_tuple_get(opcode, OPCODE_TO), length, length, &to))
                return run_refuse(rebuild->run, DELTA_ABORTED, "Opcode with bad indexes");
        to = MAX(from, to);
        if (is_bytes)
                return append_bytes(rebuild, from, to);
        r = run_grow(rebuild->run, (to - from) * sizeof(Value *));
        for (size_t i = from; r == 0 && i < to; i++)
                r = append_old(rebuild, value_sequence_get(target, (uint32_t)i));
        return r;
}

static int append_opcode(void *userdata, Value *opcode)
{
        Rebuild *rebuild = userdata;
        const Value *tag;
        int r;

        if (value_type(opcode) != VALUE_OPCODE)
                return run_refuse(rebuild->run, DELTA_ABORTED, "list of Opcodes with something else in it");
        tag = value_tuple_get(opcode, OPCODE_TAG);
        if (value_is_string_equal(tag, "equal"))
                return append_slice(rebuild, opcode);
        if (!value_is_string_equal(tag, "replace") && !value_is_string_equal(tag, "insert"))
                return 0;
        r = DELTA_SKIP;
        if (value_tuple_length(opcode) > OPCODE_NEW_VALUES)
                r = convert_for_each(rebuild->run, value_tuple_get(opcode, OPCODE_NEW_VALUES), append_new,
                                     rebuild);
        if (r == DELTA_SKIP)
                return run_refuse(rebuild->run, DELTA_ABORTED, "Opcode without new values");
        return r;
}

static int store_bytes(DeltaRun *run, Value *bytearray, Value *items)
{
        _cleanup_value_ Value *bytes = NULL;
        int r = convert(run, VALUE_GLOBAL_BYTES, items, &bytes);

        if (r == DELTA_SKIP)
                return run_refuse(run, DELTA_ABORTED, "number that is no byte for a bytearray");
        if (r != 0)
                return r;
        return undo_bytearray_splice(&run->undo, bytearray, 0, value_size(bytearray), value_data(bytes),
                                     value_size(bytes));
}

static int rebuild_target(DeltaRun *run, const Value *text, const Value *opcodes)
{
        _cleanup_place_ Place place = {};
        _cleanup_path_ Path *path = NULL;
        _cleanup_value_ Value *target = NULL, *result = NULL;
        Rebuild rebuild = { .run = run, .place = &place };
        int r;

        r = place_find_text(run, text, &path, &place);
        if (r != 0)
                return r;
        r = slot_read(run, &place.slot, &target);
        if (r == DELTA_SKIP || (r == 0 && value_type(target) != VALUE_LIST &&
                                value_type(target) != VALUE_TUPLE && value_type(target) != VALUE_BYTEARRAY))
                return run_refuse(run, DELTA_ABORTED, "Opcodes for something that is no list");
        if (r != 0)
                return r;
        place.is_shared |= target->n_ref > 2;
        rebuild.target = target;
        rebuild.result = result = value_list_new();
        if (!result)
                return -ENOMEM;
        r = convert_for_each(run, opcodes, append_opcode, &rebuild);
        if (r == DELTA_SKIP)
                return run_refuse(run, DELTA_ABORTED, "Opcodes that are no list");
        if (r != 0)
                return r;
        if (value_type(target) == VALUE_LIST)
                return undo_list_replace(&run->undo, target, result);
        if (value_type(target) == VALUE_BYTEARRAY)
                return store_bytes(run, target, result);
        /* deepdiff's slip: the tuple stays as it is, and is stored where its container was. */
        return slot_store(run, &place.parent, target);
}

int step_opcodes(DeltaRun *run)
{
        const Value *category;
        int r = run_category(run, "_iterable_opcodes", &category);

        if (r != 0 || !category)
                return r;
        for (uint32_t s = value_table_first(category); s != VALUE_SLOT_END;
             s = value_table_next(category, s)) {
                r = rebuild_target(run, value_table_key(category, s), value_dict_value(category, s));
                if (r == DELTA_SKIP)
                        run_skip(run);
                else if (r != 0)
                        return r;
        }
        return 0;
}
