/* SPDX-License-Identifier: GPL-3.0-or-later */

/* set_item_added and set_item_removed. Sets are replaced, not edited: other references to the old one keep
 * it. */

#include <errno.h>

#include "delta/convert.h"
#include "delta/place.h"
#include "delta/shape.h"
#include "delta/steps.h"

typedef struct SetChange {
        DeltaRun *run;
        const Place *place;
        Value *set;
        bool removes;
} SetChange;

static int change_member(void *userdata, Value *member)
{
        SetChange *change = userdata;
        uint32_t slot;
        int r;

        if (!value_is_hashable(member))
                return run_refuse(change->run, DELTA_ABORTED, "set member that cannot be one");
        slot = value_table_find(change->set, member);
        if (change->removes) {
                if (slot != VALUE_SLOT_END)
                        value_table_remove(change->set, slot, NULL, NULL, NULL);
                return 0;
        }
        if (slot != VALUE_SLOT_END)
                return 0;
        r = shape_admit(change->run, change->place, 2, member);
        return r != 0 ? r : MIN(value_set_add(change->set, member), 0);
}

static int change_set(DeltaRun *run, const Value *text, const Value *members, bool removes)
{
        SetChange change = { .run = run, .removes = removes };
        _cleanup_place_ Place place = {};
        _cleanup_path_ Path *path = NULL;
        _cleanup_value_ Value *current = NULL, *set = NULL;
        int r;

        r = place_find_text(run, text, &path, &place);
        if (r == 0)
                r = slot_read(run, &place.slot, &current);
        if (r == 0 && !value_is_set(current))
                r = DELTA_SKIP;
        if (r == DELTA_SKIP)
                return run_refuse(run, DELTA_ABORTED, "set change of something that is no set");
        if (r == 0)
                r = run_grow(run, value_table_length(current) * sizeof(ValueEntry));
        if (r != 0)
                return r;
        change.place = &place;
        change.set = set = value_shallow_copy(current);
        if (!set)
                return -ENOMEM;
        r = convert_for_each(run, members, change_member, &change);
        if (r == DELTA_SKIP)
                return run_refuse(run, DELTA_ABORTED, "set change without members");
        return r != 0 ? r : slot_store(run, &place.slot, set);
}

static int change_sets(DeltaRun *run, const char *category_name, bool removes)
{
        const Value *category;
        int r = run_category(run, category_name, &category);

        if (r != 0 || !category)
                return r;
        for (uint32_t s = value_table_first(category); s != VALUE_SLOT_END;
             s = value_table_next(category, s)) {
                r = change_set(run, value_table_key(category, s), value_dict_value(category, s), removes);
                if (r != 0)
                        return r;
        }
        return 0;
}

int step_set_items_added(DeltaRun *run)
{
        return change_sets(run, "set_item_added", false);
}

int step_set_items_removed(DeltaRun *run)
{
        return change_sets(run, "set_item_removed", true);
}
