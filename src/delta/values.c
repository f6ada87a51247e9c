/* SPDX-License-Identifier: GPL-3.0-or-later */

/* values_changed and type_changes */

#include "delta/convert.h"
#include "delta/place.h"
#include "delta/shape.h"
#include "delta/steps.h"

static bool is_container(const Value *v)
{
        return value_type(v) >= VALUE_LIST && value_type(v) <= VALUE_FROZENSET;
}

/* A type change comes without the value where converting what is there gives it. */
static int converted_value(DeltaRun *run, const Value *change, const Place *place, Value *current,
                           Value **ret)
{
        const Value *type = value_dict_get_string(change, "new_type");
        int r = DELTA_SKIP;

        if (type && value_type(type) == VALUE_GLOBAL)
                r = convert(run, value_global_get(type), current, ret);
        /* deepdiff fails to write its error message there. */
        if (r == DELTA_SKIP && !place->slot.container)
                return run_refuse(run, DELTA_ABORTED, "impossible type change of the root");
        if (r == DELTA_SKIP) {
                r = run_log_value(run, current);
                return r != 0 ? r : DELTA_SKIP;
        }
        if (r == 0 && is_container(*ret) && !is_container(current))
                r = shape_admit_container(run, place, 1);
        return r;
}

static int change_value(DeltaRun *run, const Value *text, const Value *change, bool is_type_change)
{
        _cleanup_place_ Place place = {};
        _cleanup_path_ Path *path = NULL;
        _cleanup_value_ Value *current = NULL, *v = NULL;
        int r;

        r = place_find_text(run, text, &path, &place);
        if (r != 0)
                return r;
        if (!value_is_dict(change))
                return run_refuse(run, DELTA_ABORTED, "change that is no dict");
        if (is_type_change && slot_names_attribute(&place.slot) &&
            !value_dict_get_string(change, "new_value"))
                return run_refuse(run, DELTA_UNSUPPORTED, "type change of a method or attribute");
        r = slot_read(run, &place.slot, &current);
        if (r != 0)
                return r;
        v = value_ref(value_dict_get_string(change, "new_value"));
        if (v)
                r = shape_admit(run, &place, 1, v);
        else if (is_type_change)
                r = converted_value(run, change, &place, current, &v);
        else
                r = run_refuse(run, DELTA_ABORTED, "changed value without a new one");
        return r != 0 ? r : place_put(run, path, &place, v);
}

static int change_values(DeltaRun *run, const char *category_name, bool is_type_change)
{
        const Value *category;
        int r = run_category(run, category_name, &category);

        if (r != 0 || !category)
                return r;
        for (uint32_t s = value_table_first(category); s != VALUE_SLOT_END;
             s = value_table_next(category, s)) {
                r = change_value(run, value_table_key(category, s), value_dict_value(category, s),
                                 is_type_change);
                if (r == DELTA_SKIP)
                        run_skip(run);
                else if (r != 0)
                        return r;
        }
        return 0;
}

int step_values_changed(DeltaRun *run)
{
        return change_values(run, "values_changed", false);
}

int step_type_changes(DeltaRun *run)
{
        return change_values(run, "type_changes", true);
}
