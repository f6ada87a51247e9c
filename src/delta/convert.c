/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/convert.h"

#include <errno.h>

#include "delta/number.h"
#include "delta/repr.h"
#include "delta/unicode.h"

/* Zero bytes that bytes(n) may make; deepdiff never asks for more than one. */
#define ZEROES_MAX (INT64_C(1) << 20)

/* So many no machine has, and Python raises. */
#define ZEROES_IMPOSSIBLE (INT64_C(1) << 47)

/* Bytes of a text that is read as a number: blanks and zeros could make it any size. */
#define NUMBER_TEXT_MAX (1u << 20)

/* Heap of a one-character str, and of its place in a list. */
#define CHARACTER_COST 56

static int from_number(int r)
{
        return r == NUMBER_INVALID ? DELTA_SKIP : r;
}

static int give(Value *v, Value **ret)
{
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

/* A str as int() and float() read it: digits and blanks of all scripts become ASCII. */
static int to_ascii(DeltaRun *run, const Value *v, Text *text)
{
        bool is_text = value_type(v) == VALUE_STR;
        int r = run_charge(run, value_size(v));

        if (value_size(v) > NUMBER_TEXT_MAX)
                return run_refuse(run, DELTA_LIMIT, "conversion of a huge text to a number");
        for (size_t at = 0; r == 0 && at < value_size(v);) {
                uint32_t code = is_text ? unicode_next(value_data(v), &at) : value_data(v)[at++];
                int digit = is_text ? unicode_decimal(code) : -1;

                if (code < 0x7f)
                        r = text_append_byte(text, (uint8_t)code);
                else if (digit >= 0)
                        r = text_append_byte(text, (uint8_t)('0' + digit));
                else if (is_text && unicode_is_space(code))
                        r = text_append_byte(text, ' ');
                else
                        r = DELTA_SKIP;
        }
        return r;
}

static int to_int(DeltaRun *run, Value *v, Value **ret)
{
        _cleanup_text_ Text text = {};
        int r;

        switch (value_type(v)) {
        case VALUE_INT:
        case VALUE_BIGINT:
                *ret = value_ref(v);
                return 0;
        case VALUE_BOOL:
                return give(value_int_new(value_int_get(v)), ret);
        case VALUE_FLOAT:
                return from_number(number_from_double(value_float_get(v), ret));
        case VALUE_STR:
        case VALUE_BYTES:
        case VALUE_BYTEARRAY:
                r = to_ascii(run, v, &text);
                return r != 0 ? r : from_number(number_parse_int(text_data(&text), text.size, ret));
        default:
                return DELTA_SKIP;
        }
}

static int to_float(DeltaRun *run, Value *v, Value **ret)
{
        _cleanup_text_ Text text = {};
        double number;
        int r;

        switch (value_type(v)) {
        case VALUE_FLOAT:
                *ret = value_ref(v);
                return 0;
        case VALUE_INT:
        case VALUE_BIGINT:
        case VALUE_BOOL:
                r = number_to_double(v, &number);
                break;
        case VALUE_STR:
        case VALUE_BYTES:
        case VALUE_BYTEARRAY:
                r = to_ascii(run, v, &text);
                if (r == 0)
                        r = number_parse_float(text_data(&text), text.size, &number);
                break;
        default:
                return DELTA_SKIP;
        }
        return r != 0 ? from_number(r) : give(value_float_new(number), ret);
}

static int to_str(DeltaRun *run, Value *v, Value **ret)
{
        _cleanup_text_ Text text = {};
        int r;

        if (value_type(v) == VALUE_STR) {
                *ret = value_ref(v);
                return 0;
        }
        r = repr_str(v, &text);
        if (r == 0)
                r = run_grow(run, text.size);
        return r != 0 ? from_number(r) : give(value_str_new(text_data(&text), text.size), ret);
}

/* ---- iterables ---- */

static int for_each_character(const Value *v, ConvertFunc function, void *userdata)
{
        int r = 0;

        for (size_t at = 0, next; r == 0 && at < value_size(v); at = next) {
                _cleanup_value_ Value *character = NULL;

                next = at;
                unicode_next(value_data(v), &next);
                character = value_str_new(value_data(v) + at, next - at);
                r = character ? function(userdata, character) : -ENOMEM;
        }
        return r;
}

static int for_each_byte(const Value *v, ConvertFunc function, void *userdata)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < value_size(v); i++) {
                _cleanup_value_ Value *byte = value_int_new(value_data(v)[i]);

                r = byte ? function(userdata, byte) : -ENOMEM;
        }
        return r;
}

int convert_for_each(DeltaRun *run, const Value *v, ConvertFunc function, void *userdata)
{
        int r;

        switch (value_type(v)) {
        case VALUE_LIST:
        case VALUE_TUPLE:
        case VALUE_OPCODE:
                r = run_charge(run, value_sequence_length(v));
                for (uint32_t i = 0; r == 0 && i < value_sequence_length(v); i++)
                        r = function(userdata, value_sequence_get(v, i));
                return r;
        case VALUE_DICT:
        case VALUE_SET:
        case VALUE_FROZENSET:
                r = run_charge(run, value_table_length(v));
                for (uint32_t s = value_table_first(v); r == 0 && s != VALUE_SLOT_END;
                     s = value_table_next(v, s))
                        r = function(userdata, value_table_key(v, s));
                return r;
        case VALUE_STR:
                r = run_grow(run, value_size(v) * CHARACTER_COST);
                return r != 0 ? r : for_each_character(v, function, userdata);
        case VALUE_BYTES:
        case VALUE_BYTEARRAY:
                r = run_grow(run, value_size(v) * sizeof(Value *));
                return r != 0 ? r : for_each_byte(v, function, userdata);
        default:
                return DELTA_SKIP;
        }
}

static int append_item(void *userdata, Value *element)
{
        return value_list_append(userdata, element);
}

static int to_list(DeltaRun *run, Value *v, Value **ret)
{
        _cleanup_value_ Value *list = value_list_new();
        int r;

        if (!list)
                return -ENOMEM;
        r = convert_for_each(run, v, append_item, list);
        if (r == 0)
                r = run_grow(run, value_list_length(list) * sizeof(Value *));
        if (r != 0)
                return r;
        *ret = TAKE_PTR(list);
        return 0;
}

static int to_tuple(DeltaRun *run, Value *v, Value **ret)
{
        _cleanup_value_ Value *list = NULL;
        int r;

        if (value_type(v) == VALUE_TUPLE) {
                *ret = value_ref(v);
                return 0;
        }
        r = to_list(run, v, &list);
        return r != 0 ? r : give(value_tuple_slice_new(list, 0, value_list_length(list)), ret);
}

static int add_member(void *userdata, Value *element)
{
        int r = value_set_add(userdata, element);

        return r == -EINVAL ? DELTA_SKIP : MIN(r, 0);
}

static int to_set(DeltaRun *run, ValueGlobal type, Value *v, Value **ret)
{
        _cleanup_value_ Value *set = NULL;
        int r;

        if (type == VALUE_GLOBAL_FROZENSET && value_type(v) == VALUE_FROZENSET) {
                *ret = value_ref(v);
                return 0;
        }
        set = type == VALUE_GLOBAL_SET ? value_set_new() : value_frozenset_new();
        if (!set)
                return -ENOMEM;
        r = convert_for_each(run, v, add_member, set);
        if (r == 0)
                r = run_grow(run, value_table_length(set) * sizeof(ValueEntry));
        if (r != 0)
                return r;
        *ret = TAKE_PTR(set);
        return 0;
}

/* ---- dict ---- */

typedef struct Pair {
        Value *parts[2];
        size_t n;
} Pair;

typedef struct DictBuilder {
        DeltaRun *run;
        Value *dict;
} DictBuilder;

static int add_part(void *userdata, Value *element)
{
        Pair *pair = userdata;

        if (pair->n == ELEMENTSOF(pair->parts))
                return DELTA_SKIP;
        pair->parts[pair->n++] = value_ref(element);
        return 0;
}

static int add_pair(void *userdata, Value *element)
{
        DictBuilder *builder = userdata;
        Pair pair = {};
        int r = convert_for_each(builder->run, element, add_part, &pair);

        if (r == 0 && pair.n < ELEMENTSOF(pair.parts))
                r = DELTA_SKIP;
        if (r == 0) {
                r = value_dict_set(builder->dict, pair.parts[0], pair.parts[1], NULL);
                r = r == -EINVAL ? DELTA_SKIP : MIN(r, 0);
        }
        for (size_t i = 0; i < pair.n; i++)
                value_unref(pair.parts[i]);
        return r;
}

static int to_dict(DeltaRun *run, Value *v, Value **ret)
{
        DictBuilder builder = { .run = run };
        _cleanup_value_ Value *dict = NULL;
        int r;

        if (value_is_dict(v)) {
                r = run_grow(run, value_table_length(v) * sizeof(ValueEntry));
                return r != 0 ? r : give(value_shallow_copy(v), ret);
        }
        builder.dict = dict = value_dict_new();
        if (!dict)
                return -ENOMEM;
        r = convert_for_each(run, v, add_pair, &builder);
        if (r == 0)
                r = run_grow(run, value_table_length(dict) * sizeof(ValueEntry));
        if (r != 0)
                return r;
        *ret = TAKE_PTR(dict);
        return 0;
}

/* ---- bytes ---- */

static int add_byte(void *userdata, Value *element)
{
        if ((value_type(element) != VALUE_INT && value_type(element) != VALUE_BOOL) ||
            value_int_get(element) < 0 || value_int_get(element) > 255)
                return DELTA_SKIP;
        return text_append_byte(userdata, (uint8_t)value_int_get(element));
}

static int to_bytes(DeltaRun *run, Value *v, Value **ret)
{
        _cleanup_text_ Text bytes = {};
        _cleanup_free_ uint8_t *zeroes = NULL;
        int r;

        switch (value_type(v)) {
        case VALUE_BYTES:
                *ret = value_ref(v);
                return 0;
        case VALUE_BYTEARRAY:
                r = run_grow(run, value_size(v));
                return r != 0 ? r : give(value_bytes_new(value_data(v), value_size(v)), ret);
        case VALUE_BOOL:
        case VALUE_INT:
                if (value_int_get(v) < 0 || value_int_get(v) >= ZEROES_IMPOSSIBLE)
                        return DELTA_SKIP;
                if (value_int_get(v) > ZEROES_MAX)
                        return run_refuse(run, DELTA_LIMIT, "bytes() of a huge number");
                r = run_grow(run, (uint64_t)value_int_get(v));
                if (r != 0)
                        return r;
                zeroes = calloc((size_t)value_int_get(v) + 1, 1);
                return zeroes ? give(value_bytes_new(zeroes, (size_t)value_int_get(v)), ret) : -ENOMEM;
        case VALUE_STR:
                return DELTA_SKIP;
        default:
                r = convert_for_each(run, v, add_byte, &bytes);
                if (r == 0)
                        r = run_grow(run, bytes.size);
                return r != 0 ? r : give(value_bytes_new(text_data(&bytes), bytes.size), ret);
        }
}

/* Types that the delta's reader lets through, but whose instances no node can hold: refused unless Python
 * raises. */
static int to_unknown(DeltaRun *run, ValueGlobal type, const Value *v)
{
        if ((type == VALUE_GLOBAL_COMPLEX && !number_is(v) && value_type(v) != VALUE_STR) ||
            (type == VALUE_GLOBAL_RANGE && !number_is_integer(v)))
                return DELTA_SKIP;
        return run_refuse(run, DELTA_UNSUPPORTED, "conversion to a type that no node has");
}

int convert(DeltaRun *run, ValueGlobal type, Value *current, Value **ret)
{
        switch (type) {
        case VALUE_GLOBAL_BOOL:
                *ret = value_bool(run_truth(current));
                return 0;
        case VALUE_GLOBAL_INT:
                return to_int(run, current, ret);
        case VALUE_GLOBAL_FLOAT:
                return to_float(run, current, ret);
        case VALUE_GLOBAL_STR:
                return to_str(run, current, ret);
        case VALUE_GLOBAL_BYTES:
                return to_bytes(run, current, ret);
        case VALUE_GLOBAL_LIST:
                return to_list(run, current, ret);
        case VALUE_GLOBAL_TUPLE:
                return to_tuple(run, current, ret);
        case VALUE_GLOBAL_DICT:
                return to_dict(run, current, ret);
        case VALUE_GLOBAL_SET:
        case VALUE_GLOBAL_FROZENSET:
                return to_set(run, type, current, ret);
        case VALUE_GLOBAL_COMPLEX:
        case VALUE_GLOBAL_RANGE:
        case VALUE_GLOBAL_SLICE:
                return to_unknown(run, type, current);
        default:
                return DELTA_SKIP;
        }
}
