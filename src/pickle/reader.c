/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The scanner decides; what it passes is built here without asking again.
 * Assertions stand where scanner and reader would have to disagree.
 */

#include <errno.h>

#include "pickle/opcode.h"
#include "pickle/reader.h"
#include "pickle/scanner-private.h"
#include "pickle/text.h"
#include "pickle/value-private.h"

typedef struct Reader {
        Bytes *pickle;
        Value **stack;
        size_t n_stack;
        size_t *marks;
        size_t n_marks;
        Value **memo;
        size_t n_memo; /* entries */
        PickleShape shape;
} Reader;

static int reader_init(Reader *r, Bytes *pickle, const PickleShape *shape)
{
        *r = (Reader){ .pickle = pickle, .shape = *shape };
        r->stack = malloc(MAX(shape->max_stack, 1u) * sizeof *r->stack);
        r->marks = malloc(MAX(shape->max_marks, 1u) * sizeof *r->marks);
        r->memo = calloc(MAX(shape->memo_size, 1u), sizeof *r->memo);
        return r->stack && r->marks && r->memo ? 0 : -ENOMEM;
}

static void drop_above(Reader *r, size_t height)
{
        while (r->n_stack > height)
                value_unref(r->stack[--r->n_stack]);
}

static void reader_clear(Reader *r)
{
        drop_above(r, 0);
        for (size_t i = 0; r->memo && i < r->shape.memo_size; i++)
                value_unref(r->memo[i]);
        free(r->stack);
        free(r->marks);
        free(r->memo);
}

/* Takes the reference over; NULL is lack of memory. */
static inline int push_take(Reader *r, Value *v)
{
        if (unlikely(!v))
                return -ENOMEM;
        assert(r->n_stack < r->shape.max_stack);
        r->stack[r->n_stack++] = v;
        return 0;
}

static inline Value *top(const Reader *r)
{
        assert(r->n_stack > 0);
        return r->stack[r->n_stack - 1];
}

static size_t pop_mark(Reader *r)
{
        assert(r->n_marks > 0);
        return r->marks[--r->n_marks];
}

/* ---- leaves ---- */

static Value *read_float(const uint8_t *p)
{
        uint64_t bits = 0;
        double number;
        for (int i = 0; i < 8; i++)
                bits = bits << 8 | p[i];
        memcpy(&number, &bits, sizeof number);
        return value_float_new(number);
}

static Value *read_leaf(Reader *r, uint8_t opcode, const Operand *operand)
{
        switch (opcode) {
        case OP_NONE:
                return value_none();
        case OP_NEWTRUE:
                return value_bool(true);
        case OP_NEWFALSE:
                return value_bool(false);
        case OP_BININT1:
                return value_int_new(operand->data[0]);
        case OP_BININT2:
                return value_int_new((int64_t)opcode_unsigned(operand->data, 2));
        case OP_BININT:
                return value_int_new((int32_t)opcode_unsigned(operand->data, 4));
        case OP_BINFLOAT:
                return read_float(operand->data);
        case OP_LONG1:
        case OP_LONG4:
                return value_bigint_new(operand->data, operand->size);
        default:
                return value_bytes_slice_new(r->pickle, (size_t)(operand->data - r->pickle->data),
                                             operand->size);
        }
}

static int read_text_number(Reader *r, uint8_t opcode, const Operand *operand)
{
        if (opcode == OP_FLOAT) {
                double number = 0;
                int error = text_parse_float(operand->data, operand->size, &number);
                assert(error == 0);
                return push_take(r, value_float_new(number));
        }
        _cleanup_free_ uint8_t *digits = NULL;
        size_t size = 0;
        bool is_bool = false;
        int error = text_parse_int(operand->data, operand->size, opcode == OP_INT ? TEXT_INT : TEXT_LONG,
                                   &is_bool, &digits, &size);
        assert(error <= 0);
        if (error < 0)
                return error;
        return push_take(r, is_bool ? value_bool(digits[0]) : value_bigint_new(digits, size));
}

static int read_text_str(Reader *r, uint8_t opcode, const Operand *operand)
{
        _cleanup_free_ uint8_t *text = NULL;
        size_t size = 0;
        int error = 0;

        if (opcode == OP_UNICODE)
                error = text_unescape_unicode(operand->data, operand->size, &text, &size);
        else if (opcode == OP_STRING)
                error = text_unescape_string(operand->data, operand->size, &text, &size);
        else
                return push_take(r, value_str_new(operand->data, operand->size));
        assert(error <= 0);
        return error < 0 ? error : push_take(r, value_str_new(text, size));
}

/* ---- containers ---- */

static int push_empty(Reader *r, ValueType type)
{
        return push_take(r, type == VALUE_LIST ? value_list_new() :
                            type == VALUE_DICT ? value_dict_new() :
                                                 value_set_new());
}

static int fill_list(Reader *r, size_t start)
{
        int error =
            value_list_extend_take(r->stack[start - 1], r->stack + start, (uint32_t)(r->n_stack - start));
        if (error == 0)
                r->n_stack = start;
        return error;
}

static int fill_dict(Reader *r, size_t start)
{
        Value *dict = r->stack[start - 1];
        int error = value_table_reserve(dict, (uint32_t)((r->n_stack - start) / 2));
        for (size_t i = start; i < r->n_stack && error >= 0; i += 2)
                error = value_dict_set(dict, r->stack[i], r->stack[i + 1], NULL);
        drop_above(r, start);
        return MIN(error, 0);
}

/* Into a set or frozenset, which need not be on the stack. */
static int fill_set(Reader *r, Value *set, size_t start)
{
        int error = value_table_reserve(set, (uint32_t)(r->n_stack - start));
        for (size_t i = start; i < r->n_stack && error >= 0; i++)
                error = value_set_add(set, r->stack[i]);
        drop_above(r, start);
        return MIN(error, 0);
}

/* LIST and DICT come after their members: put the container below them. */
static int open_below(Reader *r, Value *container, size_t start)
{
        int error = push_take(r, container);
        if (error < 0)
                return error;
        memmove(r->stack + start + 1, r->stack + start, (r->n_stack - 1 - start) * sizeof *r->stack);
        r->stack[start] = container;
        return 0;
}

static int build_list(Reader *r, size_t start)
{
        int error = open_below(r, value_list_new(), start);
        return error < 0 ? error : fill_list(r, start + 1);
}

static int build_dict(Reader *r, size_t start)
{
        int error = open_below(r, value_dict_new(), start);
        return error < 0 ? error : fill_dict(r, start + 1);
}

static int build_tuple(Reader *r, size_t start)
{
        Value *tuple = value_tuple_take(r->stack + start, (uint32_t)(r->n_stack - start));
        if (!tuple)
                return -ENOMEM;
        r->n_stack = start;
        return push_take(r, tuple);
}

static int build_frozenset(Reader *r, size_t start)
{
        _cleanup_value_ Value *set = value_frozenset_new();
        if (!set)
                return -ENOMEM;
        int error = fill_set(r, set, start);
        return error < 0 ? error : push_take(r, TAKE_PTR(set));
}

/* ---- memo ---- */

static int store(Reader *r, uint64_t number)
{
        assert(number < r->shape.memo_size);
        Value *old = r->memo[number];
        r->n_memo += !old;
        r->memo[number] = value_ref(top(r));
        value_unref(old);
        return 0;
}

static int fetch(Reader *r, uint64_t number)
{
        assert(number < r->shape.memo_size && r->memo[number]);
        return push_take(r, value_ref(r->memo[number]));
}

static uint64_t memo_number(const OpcodeInfo *info, const Operand *operand)
{
        uint64_t number = 0;
        int error = opcode_memo_number(info, operand, &number);
        assert(error == 0);
        return number;
}

/* ---- globals and calls ---- */

static int push_global(Reader *r, PickleProfile profile, const uint8_t *module, size_t module_size,
                       const uint8_t *name, size_t name_size)
{
        ValueGlobal global = _VALUE_GLOBAL_MAX;
        bool found = opcode_find_global(profile, module, module_size, name, name_size, &global);
        assert(found);
        return push_take(r, value_global(global));
}

static int stack_global(Reader *r, PickleProfile profile)
{
        assert(r->n_stack >= 2);
        Value *module = r->stack[r->n_stack - 2], *name = r->stack[r->n_stack - 1];
        r->n_stack -= 2;
        int error = push_global(r, profile, value_data(module), value_size(module), value_data(name),
                                value_size(name));
        value_unref(module);
        value_unref(name);
        return error;
}

/* str.encode('latin1') */
static Value *encode_latin1(const Value *text)
{
        const uint8_t *p = value_data(text);
        _cleanup_free_ uint8_t *bytes = malloc(MAX(value_size(text), 1u));
        size_t n = 0;
        if (!bytes)
                return NULL;
        for (size_t i = 0; i < value_size(text); i++) {
                uint8_t c = p[i];
                if (c >= 0x80)
                        c = (uint8_t)(c << 6 | (p[++i] & 0x3f));
                bytes[n++] = c;
        }
        return value_bytes_new(bytes, n);
}

static Value *set_of_list(const Value *list, bool frozen)
{
        _cleanup_value_ Value *set = frozen ? value_frozenset_new() : value_set_new();
        if (!set)
                return NULL;
        for (uint32_t i = 0; i < value_list_length(list); i++)
                if (value_set_add(set, value_list_get(list, i)) < 0)
                        return NULL;
        return TAKE_PTR(set);
}

/* The result of one of the few calls that the scanner lets pass. */
static Value *call_result(ValueGlobal callable, const Value *arguments)
{
        Value *first = value_tuple_length(arguments) > 0 ? value_tuple_get(arguments, 0) : NULL;
        switch (callable) {
        case VALUE_GLOBAL_OPCODE:
                return value_opcode_new(arguments);
        case VALUE_GLOBAL_BYTEARRAY:
                return first ? value_bytearray_new(value_data(first), value_size(first)) :
                               value_bytearray_new(NULL, 0);
        case VALUE_GLOBAL_BYTES:
                return value_bytes_new(NULL, 0);
        case VALUE_GLOBAL_ENCODE:
                return encode_latin1(first);
        default:
                return set_of_list(first, callable == VALUE_GLOBAL_FROZENSET);
        }
}

static int call(Reader *r)
{
        assert(r->n_stack >= 2);
        Value *arguments = r->stack[--r->n_stack], *callable = r->stack[--r->n_stack];
        int error = push_take(r, call_result(value_global_get(callable), arguments));
        value_unref(arguments);
        value_unref(callable);
        return error;
}

static int persistent_id(Reader *r)
{
        Value *id = r->stack[--r->n_stack];
        bool none_type = value_is_string_equal(id, PICKLE_NONE_TYPE_ID);
        value_unref(id);
        return push_take(r, none_type ? value_global(VALUE_GLOBAL_NONE_TYPE) : value_none());
}

/* ---- the loop ---- */

static int step_stack(Reader *r, PickleProfile profile, const OpcodeInfo *info, const Operand *operand)
{
        switch (info->action) {
        case OPCODE_MARK:
                assert(r->n_marks < r->shape.max_marks);
                r->marks[r->n_marks++] = r->n_stack;
                return 0;
        case OPCODE_POP:
                if (r->n_marks > 0 && r->marks[r->n_marks - 1] == r->n_stack)
                        r->n_marks--;
                else
                        drop_above(r, r->n_stack - 1);
                return 0;
        case OPCODE_POP_MARK:
                drop_above(r, pop_mark(r));
                return 0;
        case OPCODE_DUP:
                return push_take(r, value_ref(top(r)));
        case OPCODE_GET:
                return fetch(r, memo_number(info, operand));
        case OPCODE_PUT:
                return store(r, memo_number(info, operand));
        case OPCODE_MEMOIZE:
                return store(r, r->n_memo);
        case OPCODE_GLOBAL:
                return push_global(r, profile, operand->data, operand->size, operand->data2, operand->size2);
        case OPCODE_STACK_GLOBAL:
                return stack_global(r, profile);
        case OPCODE_CALL:
                return call(r);
        case OPCODE_BINPERSID:
                return persistent_id(r);
        default:
                assert(info->action == OPCODE_PROTO || info->action == OPCODE_FRAME);
                return 0;
        }
}

static int step(Reader *r, PickleProfile profile, uint8_t opcode, const OpcodeInfo *info,
                const Operand *operand)
{
        switch (info->action) {
        case OPCODE_LEAF:
                return push_take(r, read_leaf(r, opcode, operand));
        case OPCODE_TEXT_LEAF:
                return read_text_number(r, opcode, operand);
        case OPCODE_STR:
                return push_take(r, value_str_slice_new(r->pickle, (size_t)(operand->data - r->pickle->data),
                                                        operand->size));
        case OPCODE_TEXT_STR:
                return read_text_str(r, opcode, operand);
        case OPCODE_BYTEARRAY:
                return push_take(r, value_bytearray_new(operand->data, operand->size));
        case OPCODE_EMPTY:
                return push_empty(r, info->type);
        case OPCODE_APPEND:
                return fill_list(r, r->n_stack - 1);
        case OPCODE_APPENDS:
                return fill_list(r, pop_mark(r));
        case OPCODE_LIST:
                return build_list(r, pop_mark(r));
        case OPCODE_TUPLE_FIXED:
                return build_tuple(r, r->n_stack - info->n);
        case OPCODE_TUPLE:
                return build_tuple(r, pop_mark(r));
        case OPCODE_SETITEM:
                return fill_dict(r, r->n_stack - 2);
        case OPCODE_SETITEMS:
                return fill_dict(r, pop_mark(r));
        case OPCODE_DICT:
                return build_dict(r, pop_mark(r));
        case OPCODE_ADDITEMS: {
                size_t start = pop_mark(r);
                return fill_set(r, r->stack[start - 1], start);
        }
        case OPCODE_FROZENSET:
                return build_frozenset(r, pop_mark(r));
        default:
                return step_stack(r, profile, info, operand);
        }
}

int pickle_read(Bytes *pickle, PickleProfile profile, const PickleLimits *limits, Value **ret,
                size_t *ret_offset)
{
        PickleShape shape;
        int error = pickle_scan_shape(pickle->data, pickle->size, profile, limits, &shape, ret_offset);
        if (error != 0)
                return error;

        _cleanup_(reader_clear) Reader r = {};
        error = reader_init(&r, pickle, &shape);
        const uint8_t *p = pickle->data, *end = p + pickle->size;
        while (error == 0 && *p != OP_STOP) {
                const OpcodeInfo *info = &opcode_table[*p];
                Operand operand = {};
                error = opcode_operand(info, p + 1, end, &operand);
                assert(error == 0);
                error = step(&r, profile, *p, info, &operand);
                p = operand.end;
        }
        if (error < 0)
                return error;
        *ret = value_ref(top(&r));
        return 0;
}
