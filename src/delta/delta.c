/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/delta.h"

#include <errno.h>

#include "delta/run.h"
#include "delta/shape.h"
#include "delta/steps.h"
#include "delta/tuples.h"

const char *delta_error_to_string(int error)
{
        switch (error) {
        case DELTA_OK:
                return "applied";
        case DELTA_MALFORMED:
                return "malformed delta";
        case DELTA_ABORTED:
                return "delta does not fit the node";
        case DELTA_LIMIT:
                return "delta beyond limits";
        case DELTA_UNSUPPORTED:
                return "unsupported construct in delta";
        default:
                return "unknown error";
        }
}

static int read_delta(Bytes *bytes, const PickleLimits *limits, Value **ret, DeltaReport *report)
{
        _cleanup_value_ Value *delta = NULL;
        size_t offset = 0;
        int r = pickle_read(bytes, PICKLE_PROFILE_DELTA, limits, &delta, &offset);

        if (r < 0)
                return r;
        if (r > 0) {
                report->detail = pickle_error_to_string(r);
                report->offset = offset;
                return r == PICKLE_LIMIT || r == PICKLE_CYCLE ? DELTA_LIMIT : DELTA_MALFORMED;
        }
        if (!value_is_dict(delta)) {
                report->detail = "not a dict of categories";
                return DELTA_MALFORMED;
        }
        *ret = TAKE_PTR(delta);
        return 0;
}

static int check_numpy(DeltaRun *run)
{
        const Value *paths = value_dict_get_string(run->delta, "_numpy_paths");

        if (paths && run_truth(paths))
                return run_refuse(run, DELTA_UNSUPPORTED, "numpy arrays");
        return 0;
}

static int check_root(DeltaRun *run)
{
        return run->root ? 0 : run_refuse(run, DELTA_ABORTED, "root removed");
}

static int run_steps(DeltaRun *run)
{
        static int (*const steps[])(DeltaRun *) = {
                check_numpy,
                step_values_changed,
                step_set_items_added,
                step_set_items_removed,
                step_type_changes,
                step_opcodes,
                step_iterable_items_removed,
                step_iterable_items_added,
                step_items_at_indexes,
                step_dict_items_added,
                step_dict_items_removed,
                step_attributes_added,
                step_attributes_removed,
                tuples_restore,
                check_root,
                shape_check,
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(steps); i++)
                r = steps[i](run);
        return r;
}

int delta_apply(Value **root, Bytes *delta_bytes, const PickleLimits *limits, DeltaReport *ret_report)
{
        _cleanup_value_ Value *delta = NULL;
        DeltaReport report = {};
        DeltaRun run = { .root = *root, .limits = limits };
        int r = read_delta(delta_bytes, limits, &delta, &report);

        if (r == 0) {
                run.delta = delta;
                r = run_steps(&run);
                report.detail = r != 0 ? run.detail : NULL;
        }
        /* A list or dict would get more items than it can have. */
        if (r == -E2BIG)
                r = DELTA_LIMIT;
        if (r == 0) {
                report.n_skipped = run.n_skipped;
                report.size_change = run.size_change - (int64_t)undo_commit(&run.undo);
        } else {
                undo_rollback(&run.undo, &run.root);
                assert(run.root == *root);
        }
        if (r != 0 && !report.detail)
                report.detail = delta_error_to_string(r);
        *root = run.root;
        tuples_free(run.notes);
        identity_map_clear(&run.heights);
        if (ret_report)
                *ret_report = report;
        return r;
}
