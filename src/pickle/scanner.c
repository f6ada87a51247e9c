/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/scan.h"

const PickleLimits pickle_limits_default = {
        .max_size = (size_t)1 << 30,
        .max_depth = 200,
        .max_memo = UINT32_C(1) << 24,
        .max_values = UINT32_C(1) << 24,
};

static void scan_init(Scan *s, const uint8_t *data, size_t size, PickleProfile profile,
                      const PickleLimits *limits)
{
        s->data = data;
        s->end = data + size;
        s->limits = limits;
        s->profile = profile;
        s->max_depth = MIN(limits->max_depth, VALUE_HASH_DEPTH_MAX);
        s->n_values = 0;
        s->stack = s->inline_stack;
        s->stack_allocated = ELEMENTSOF(s->inline_stack);
        s->marks = s->inline_marks;
        s->marks_allocated = ELEMENTSOF(s->inline_marks);
        s->memo = s->inline_memo;
        s->memo_allocated = ELEMENTSOF(s->inline_memo);
        s->records = s->inline_records;
        s->records_allocated = ELEMENTSOF(s->inline_records);
        s->n_stack = s->fence = s->n_marks = s->memo_size = s->n_memo = s->n_records = 0;
        s->shape = (PickleShape){};
}

static void scan_clear(Scan *s)
{
        if (s->stack != s->inline_stack)
                free(s->stack);
        if (s->marks != s->inline_marks)
                free(s->marks);
        if (s->memo != s->inline_memo)
                free(s->memo);
        if (s->records != s->inline_records)
                free(s->records);
}

int scan_grow(void *array, const void *inline_array, size_t *allocated, size_t n, size_t element)
{
        void **p = array;
        size_t size = MAX(2 * *allocated, n);
        void *bigger = realloc(*p == inline_array ? NULL : *p, size * element);
        if (!bigger)
                return -ENOMEM;
        if (*p == inline_array)
                memcpy(bigger, inline_array, *allocated * element);
        *p = bigger;
        *allocated = size;
        return 0;
}

/* ---- stack ---- */

static int push_mark(Scan *s)
{
        if (s->n_marks == s->marks_allocated) {
                int r = scan_grow(&s->marks, s->inline_marks, &s->marks_allocated, s->n_marks + 1,
                                  sizeof *s->marks);
                if (r < 0)
                        return r;
        }
        if (s->n_stack >= UINT32_MAX || s->n_marks >= s->limits->max_values)
                return PICKLE_LIMIT;
        s->marks[s->n_marks++] = (uint32_t)s->n_stack;
        s->fence = s->n_stack;
        s->shape.max_marks = MAX(s->shape.max_marks, s->n_marks);
        return 0;
}

int scan_pop_mark(Scan *s, size_t *ret)
{
        if (s->n_marks == 0)
                return PICKLE_STACK;
        *ret = s->marks[--s->n_marks];
        s->fence = s->n_marks > 0 ? s->marks[s->n_marks - 1] : 0;
        return 0;
}

static int pop(Scan *s)
{
        if (s->n_marks > 0 && s->n_stack == s->fence) {
                size_t height;
                return scan_pop_mark(s, &height);
        }
        if (!scan_has(s, 1))
                return PICKLE_STACK;
        s->n_stack--;
        return 0;
}

/* ---- memo ---- */

static int store(Scan *s, uint64_t number, const uint8_t *opcode)
{
        if (!scan_has(s, 1))
                return PICKLE_STACK;
        /* A pickler numbers what it wrote, and each of those took a byte: so the memo cannot outgrow the
         * input. */
        if (number > s->limits->max_memo || number > (size_t)(opcode - s->data))
                return PICKLE_LIMIT;
        if (number >= s->memo_allocated) {
                int r = scan_grow(&s->memo, s->inline_memo, &s->memo_allocated, number + 1, sizeof *s->memo);
                if (r < 0)
                        return r;
        }
        if (number >= s->memo_size) {
                memset(s->memo + s->memo_size, 0, (number + 1 - s->memo_size) * sizeof *s->memo);
                s->memo_size = number + 1;
        }
        s->n_memo += s->memo[number].type == 0;
        s->memo[number] = s->stack[s->n_stack - 1];
        s->memo[number].flags &= (uint8_t)~TAG_OWNER;
        return 0;
}

/* From now on the container may be part of something else, and must not change any more. */
static void close_container(Scan *s, Tag tag)
{
        if (!(tag.flags & TAG_RECORD))
                return;
        size_t i = s->records[tag.number].owner;
        if (i < s->n_stack && (s->stack[i].flags & TAG_OWNER) && s->stack[i].number == tag.number)
                s->stack[i].flags &= (uint8_t)~TAG_OWNER;
}

static int fetch(Scan *s, uint64_t number)
{
        if (number >= s->memo_size || s->memo[number].type == 0)
                return PICKLE_MEMO;
        close_container(s, s->memo[number]);
        return scan_push(s, s->memo[number]);
}

static int duplicate(Scan *s)
{
        if (!scan_has(s, 1))
                return PICKLE_STACK;
        close_container(s, s->stack[s->n_stack - 1]);
        return scan_push(s, s->stack[s->n_stack - 1]);
}

/* ---- the loop ---- */

static int step_stack(Scan *s, const uint8_t *opcode, const OpcodeInfo *info, const Operand *operand)
{
        uint64_t number;
        int r;

        switch (info->action) {
        case OPCODE_MARK:
                return push_mark(s);
        case OPCODE_POP:
                return pop(s);
        case OPCODE_POP_MARK:
                return scan_pop_mark(s, &s->n_stack);
        case OPCODE_DUP:
                return duplicate(s);
        case OPCODE_GET:
                r = opcode_memo_number(info, operand, &number);
                return r != 0 ? r : fetch(s, number);
        case OPCODE_PUT:
                r = opcode_memo_number(info, operand, &number);
                return r != 0 ? r : store(s, number, opcode);
        case OPCODE_MEMOIZE:
                return store(s, s->n_memo, opcode);
        case OPCODE_PROTO:
                return operand->data[0] <= 5 ? 0 : PICKLE_BAD_OPCODE;
        case OPCODE_FRAME:
                number = opcode_unsigned(operand->data, 8);
                return number <= (size_t)(s->end - operand->end) ? 0 : PICKLE_TRUNCATED;
        case OPCODE_GLOBAL:
                return scan_push_global(s, operand->data, operand->size, operand->data2, operand->size2);
        case OPCODE_STACK_GLOBAL:
                return s->profile == PICKLE_PROFILE_DATA ? PICKLE_FORBIDDEN_GLOBAL : scan_stack_global(s);
        case OPCODE_CALL:
                return s->profile == PICKLE_PROFILE_DATA ? PICKLE_FORBIDDEN_OPCODE : scan_call(s, *opcode);
        case OPCODE_BINPERSID:
                return scan_persistent_id(s);
        case OPCODE_FORBIDDEN:
                return PICKLE_FORBIDDEN_OPCODE;
        default:
                return PICKLE_BAD_OPCODE;
        }
}

static int step(Scan *s, const uint8_t *opcode, const OpcodeInfo *info, const Operand *operand)
{
        switch (info->action) {
        case OPCODE_LEAF:
                return scan_push(s, tag_leaf(info->type));
        case OPCODE_TEXT_LEAF:
                return scan_push_text_number(s, opcode, operand);
        case OPCODE_STR:
                return scan_push_str(s, opcode, operand);
        case OPCODE_TEXT_STR:
                return scan_push_text_str(s, opcode, operand);
        case OPCODE_BYTEARRAY:
                return scan_push(s, (Tag){ .type = VALUE_BYTEARRAY + 1 });
        case OPCODE_EMPTY:
                return scan_push_container(s, info->type);
        case OPCODE_APPEND:
                return scan_fill_few(s, VALUE_LIST, 1);
        case OPCODE_APPENDS:
                return scan_fill_from_mark(s, VALUE_LIST);
        case OPCODE_LIST:
                return scan_build_from_mark(s, VALUE_LIST);
        case OPCODE_TUPLE_FIXED:
                return scan_build_immutable(s, VALUE_TUPLE, info->n);
        case OPCODE_TUPLE:
                return scan_build_immutable_from_mark(s, VALUE_TUPLE);
        case OPCODE_SETITEM:
                return scan_fill_few(s, VALUE_DICT, 2);
        case OPCODE_SETITEMS:
                return scan_fill_from_mark(s, VALUE_DICT);
        case OPCODE_DICT:
                return scan_build_from_mark(s, VALUE_DICT);
        case OPCODE_ADDITEMS:
                return scan_fill_from_mark(s, VALUE_SET);
        case OPCODE_FROZENSET:
                return scan_build_immutable_from_mark(s, VALUE_FROZENSET);
        default:
                return step_stack(s, opcode, info, operand);
        }
}

/* Sizes of the opcodes that push None, a bool, an int or a float and are of fixed size, opcode included. */
static const uint8_t simple_size[256] = {
        [OP_NONE] = 1,    [OP_NEWTRUE] = 1, [OP_NEWFALSE] = 1, [OP_BININT1] = 2,
        [OP_BININT2] = 3, [OP_BININT] = 5,  [OP_BINFLOAT] = 9,
};

/* Takes a run of them, as far as there is room; what remains is for step(). */
static inline const uint8_t *push_simple_run(Scan *s, const uint8_t *p)
{
        size_t room = MIN(s->stack_allocated - s->n_stack, (size_t)(s->limits->max_values - s->n_values));
        Tag *start = s->stack + s->n_stack, *tag = start, *end = start + room;
        Tag simple = tag_leaf(VALUE_NONE);
        uint8_t size;

        while (tag < end && s->end - p > 9 && (size = simple_size[*p]) > 0) {
                *tag++ = simple;
                p += size;
        }
        s->n_stack += (size_t)(tag - start);
        s->n_values += (uint32_t)(tag - start);
        s->shape.max_stack = MAX(s->shape.max_stack, s->n_stack);
        return p;
}

/* Runs to STOP; *p is the opcode at fault when it returns anything but 0. */
static int run(Scan *s, const uint8_t **p)
{
        Operand operand = {};
        while (*p < s->end) {
                if (simple_size[**p] > 0)
                        *p = push_simple_run(s, *p);
                const uint8_t *opcode = *p;
                const OpcodeInfo *info = &opcode_table[*opcode];
                if (info->action == OPCODE_STOP)
                        return scan_has(s, 1) ? 0 : PICKLE_STACK;
                int r = opcode_operand(info, opcode + 1, s->end, &operand);
                if (r != 0)
                        return r;
                r = step(s, opcode, info, &operand);
                if (r != 0)
                        return r;
                *p = operand.end;
        }
        return PICKLE_TRUNCATED;
}

int pickle_scan_shape(const void *data, size_t size, PickleProfile profile, const PickleLimits *limits,
                      PickleShape *ret_shape, size_t *ret_offset)
{
        const uint8_t *p = data;
        Scan s;

        if (size > limits->max_size) {
                if (ret_offset)
                        *ret_offset = limits->max_size;
                return PICKLE_LIMIT;
        }
        scan_init(&s, data, size, profile, limits);
        int r = run(&s, &p);
        s.shape.memo_size = s.memo_size;
        scan_clear(&s);
        if (r > 0 && ret_offset)
                *ret_offset = (size_t)(p - (const uint8_t *)data);
        if (r == 0)
                *ret_shape = s.shape;
        return r;
}

int pickle_scan(const void *data, size_t size, PickleProfile profile, const PickleLimits *limits,
                size_t *ret_offset)
{
        PickleShape shape;
        return pickle_scan_shape(data, size, profile, limits, &shape, ret_offset);
}

const char *pickle_error_to_string(int error)
{
        static const char *const names[] = {
                [PICKLE_OK] = "no error",
                [PICKLE_TRUNCATED] = "truncated",
                [PICKLE_BAD_OPCODE] = "unknown opcode or protocol",
                [PICKLE_FORBIDDEN_OPCODE] = "forbidden opcode",
                [PICKLE_FORBIDDEN_GLOBAL] = "forbidden global",
                [PICKLE_STACK] = "stack, marks or container kinds do not fit",
                [PICKLE_MEMO] = "reference to a memo number that was never stored",
                [PICKLE_UNHASHABLE] = "unhashable dict key or set member",
                [PICKLE_BAD_TEXT] = "malformed text or number",
                [PICKLE_BAD_SIZE] = "impossible length",
                [PICKLE_CYCLE] = "cyclic container",
                [PICKLE_LIMIT] = "size, depth, memo or count beyond the limits",
        };
        return error >= 0 && error < _PICKLE_ERROR_MAX ? names[error] : "unknown error";
}
