/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/run.h"

#include "delta/number.h"
#include "delta/repr.h"

int run_refuse(DeltaRun *run, DeltaError error, const char *detail)
{
        run->detail = detail;
        return error;
}

int run_charge(DeltaRun *run, uint64_t work)
{
        run->work += work;
        if (run->work > DELTA_WORK_MAX)
                return run_refuse(run, DELTA_LIMIT, "too much work for one delta");
        return 0;
}

int run_grow(DeltaRun *run, uint64_t bytes)
{
        run->growth += bytes;
        if (run->growth > DELTA_GROWTH_MAX)
                return run_refuse(run, DELTA_LIMIT, "a conversion or copy that is too large");
        run->size_change += (int64_t)bytes;
        return run_charge(run, bytes / sizeof(Value *));
}

int run_log_value(DeltaRun *run, const Value *v)
{
        _cleanup_text_ Text text = {};
        int r;

        if (value_type(v) != VALUE_BIGINT && value_type(v) < VALUE_LIST)
                return 0;
        r = repr_append(v, &text);
        if (r == NUMBER_INVALID)
                return run_refuse(run, DELTA_ABORTED, "number too long for a log message");
        return r != 0 ? r : run_charge(run, text.size);
}

int run_parse_path(DeltaRun *run, const Value *key, Path **ret)
{
        _cleanup_path_ Path *path = NULL;
        int r;

        /* deepdiff takes tuples for parsed paths, and very short bytes for the root; nobody writes such. */
        if (value_type(key) == VALUE_TUPLE || (value_type(key) == VALUE_BYTES && value_size(key) <= 4))
                return run_refuse(run, DELTA_UNSUPPORTED, "path that is no text");
        if (value_type(key) != VALUE_STR)
                return DELTA_SKIP;
        r = run_charge(run, value_size(key));
        if (r != 0)
                return r;
        r = path_parse(value_data(key), value_size(key), &path);
        if (r < 0)
                return r;
        if (path->is_opaque)
                return run_refuse(run, DELTA_UNSUPPORTED, "path element that is an unusual literal");
        *ret = TAKE_PTR(path);
        return 0;
}

bool run_truth(const Value *v)
{
        switch (value_type(v)) {
        case VALUE_NONE:
                return false;
        case VALUE_BOOL:
        case VALUE_INT:
                return value_int_get(v) != 0;
        case VALUE_FLOAT:
                return value_float_get(v) != 0;
        case VALUE_STR:
        case VALUE_BYTES:
        case VALUE_BYTEARRAY:
                return value_size(v) > 0;
        case VALUE_LIST:
        case VALUE_TUPLE:
                return value_sequence_length(v) > 0;
        case VALUE_DICT:
        case VALUE_SET:
        case VALUE_FROZENSET:
                return value_table_length(v) > 0;
        case VALUE_BIGINT:
        case VALUE_GLOBAL:
        case VALUE_OPCODE:
                return true;
        }
        return true;
}

int run_category(DeltaRun *run, const char *name, const Value **ret)
{
        const Value *category = value_dict_get_string(run->delta, name);

        if (!category || !run_truth(category)) {
                *ret = NULL;
                return 0;
        }
        if (!value_is_dict(category))
                return run_refuse(run, DELTA_ABORTED, "category that is no dict");
        *ret = category;
        return 0;
}
