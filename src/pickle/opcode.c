/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pickle/opcode.h"

#define LEAF(fixed_size, value_type) { .action = OPCODE_LEAF, .size = (fixed_size), .type = (value_type) }
#define COUNTED(what, count_size, value_type) \
        { .action = (what), .operand = OPERAND_COUNTED, .size = (count_size), .type = (value_type) }
#define LINE(what, value_type) { .action = (what), .operand = OPERAND_LINE, .type = (value_type) }
#define PLAIN(what) { .action = (what) }

const OpcodeInfo opcode_table[256] = {
        /* values */
        [OP_NONE] = LEAF(0, VALUE_NONE),
        [OP_NEWTRUE] = LEAF(0, VALUE_BOOL),
        [OP_NEWFALSE] = LEAF(0, VALUE_BOOL),
        [OP_BININT] = LEAF(4, VALUE_INT),
        [OP_BININT1] = LEAF(1, VALUE_INT),
        [OP_BININT2] = LEAF(2, VALUE_INT),
        [OP_BINFLOAT] = LEAF(8, VALUE_FLOAT),
        [OP_LONG1] = COUNTED(OPCODE_LEAF, 1, VALUE_BIGINT),
        [OP_LONG4] = { OPCODE_LEAF, OPERAND_COUNTED_SIGNED, .size = 4, .type = VALUE_BIGINT },
        [OP_SHORT_BINBYTES] = COUNTED(OPCODE_LEAF, 1, VALUE_BYTES),
        [OP_BINBYTES] = COUNTED(OPCODE_LEAF, 4, VALUE_BYTES),
        [OP_BINBYTES8] = COUNTED(OPCODE_LEAF, 8, VALUE_BYTES),
        [OP_BYTEARRAY8] = COUNTED(OPCODE_BYTEARRAY, 8, VALUE_BYTEARRAY),
        [OP_INT] = LINE(OPCODE_TEXT_LEAF, VALUE_INT),
        [OP_LONG] = LINE(OPCODE_TEXT_LEAF, VALUE_BIGINT),
        [OP_FLOAT] = LINE(OPCODE_TEXT_LEAF, VALUE_FLOAT),
        [OP_SHORT_BINUNICODE] = COUNTED(OPCODE_STR, 1, VALUE_STR),
        [OP_BINUNICODE] = COUNTED(OPCODE_STR, 4, VALUE_STR),
        [OP_BINUNICODE8] = COUNTED(OPCODE_STR, 8, VALUE_STR),
        [OP_UNICODE] = LINE(OPCODE_TEXT_STR, VALUE_STR),
        [OP_STRING] = LINE(OPCODE_TEXT_STR, VALUE_STR),
        [OP_SHORT_BINSTRING] = COUNTED(OPCODE_TEXT_STR, 1, VALUE_STR),
        [OP_BINSTRING] = { OPCODE_TEXT_STR, OPERAND_COUNTED_SIGNED, .size = 4, .type = VALUE_STR },

        /* containers */
        [OP_EMPTY_LIST] = { OPCODE_EMPTY, .type = VALUE_LIST },
        [OP_EMPTY_DICT] = { OPCODE_EMPTY, .type = VALUE_DICT },
        [OP_EMPTY_SET] = { OPCODE_EMPTY, .type = VALUE_SET },
        [OP_EMPTY_TUPLE] = { OPCODE_TUPLE_FIXED, .n = 0 },
        [OP_TUPLE1] = { OPCODE_TUPLE_FIXED, .n = 1 },
        [OP_TUPLE2] = { OPCODE_TUPLE_FIXED, .n = 2 },
        [OP_TUPLE3] = { OPCODE_TUPLE_FIXED, .n = 3 },
        [OP_TUPLE] = PLAIN(OPCODE_TUPLE),
        [OP_APPEND] = PLAIN(OPCODE_APPEND),
        [OP_APPENDS] = PLAIN(OPCODE_APPENDS),
        ['l'] = PLAIN(OPCODE_LIST),
        [OP_SETITEM] = PLAIN(OPCODE_SETITEM),
        [OP_SETITEMS] = PLAIN(OPCODE_SETITEMS),
        ['d'] = PLAIN(OPCODE_DICT),
        [OP_ADDITEMS] = PLAIN(OPCODE_ADDITEMS),
        [OP_FROZENSET] = PLAIN(OPCODE_FROZENSET),

        /* stack, memo, frames */
        [OP_MARK] = PLAIN(OPCODE_MARK),
        ['0'] = PLAIN(OPCODE_POP),
        ['1'] = PLAIN(OPCODE_POP_MARK),
        ['2'] = PLAIN(OPCODE_DUP),
        ['g'] = LINE(OPCODE_GET, 0),
        [OP_BINGET] = { OPCODE_GET, .size = 1 },
        [OP_LONG_BINGET] = { OPCODE_GET, .size = 4 },
        ['p'] = LINE(OPCODE_PUT, 0),
        ['q'] = { OPCODE_PUT, .size = 1 },
        ['r'] = { OPCODE_PUT, .size = 4 },
        [OP_MEMOIZE] = PLAIN(OPCODE_MEMOIZE),
        [OP_PROTO] = { OPCODE_PROTO, .size = 1 },
        [0x95] = { OPCODE_FRAME, .size = 8 },
        [OP_STOP] = PLAIN(OPCODE_STOP),

        /* globals and calls: allowed by few profiles, in few combinations */
        ['c'] = { OPCODE_GLOBAL, .operand = OPERAND_TWO_LINES },
        [0x93] = PLAIN(OPCODE_STACK_GLOBAL),
        [OP_REDUCE] = PLAIN(OPCODE_CALL),
        [OP_NEWOBJ] = PLAIN(OPCODE_CALL),
        ['Q'] = PLAIN(OPCODE_BINPERSID),

        /* BUILD, INST, OBJ, PERSID, NEWOBJ_EX, EXT1, EXT2, EXT4, NEXT_BUFFER, READONLY_BUFFER */
        ['b'] = PLAIN(OPCODE_FORBIDDEN),
        ['i'] = PLAIN(OPCODE_FORBIDDEN),
        ['o'] = PLAIN(OPCODE_FORBIDDEN),
        ['P'] = PLAIN(OPCODE_FORBIDDEN),
        [0x92] = PLAIN(OPCODE_FORBIDDEN),
        [0x82] = PLAIN(OPCODE_FORBIDDEN),
        [0x83] = PLAIN(OPCODE_FORBIDDEN),
        [0x84] = PLAIN(OPCODE_FORBIDDEN),
        [0x97] = PLAIN(OPCODE_FORBIDDEN),
        [0x98] = PLAIN(OPCODE_FORBIDDEN),
};

static int counted_operand(const OpcodeInfo *info, const uint8_t *p, size_t left, Operand *ret)
{
        if (left < info->size)
                return PICKLE_TRUNCATED;
        uint64_t count = opcode_unsigned(p, info->size);
        if (count > INT64_MAX || (info->operand == OPERAND_COUNTED_SIGNED && count > INT32_MAX))
                return PICKLE_BAD_SIZE;
        if (count > left - info->size)
                return PICKLE_TRUNCATED;
        ret->data = p + info->size;
        ret->size = (size_t)count;
        ret->end = ret->data + count;
        return 0;
}

static int line_operand(const uint8_t *p, size_t left, const uint8_t **ret_data, size_t *ret_size,
                        const uint8_t **ret_end)
{
        const uint8_t *newline = memchr(p, '\n', left);
        if (!newline)
                return PICKLE_TRUNCATED;
        *ret_data = p;
        *ret_size = (size_t)(newline - p);
        *ret_end = newline + 1;
        return 0;
}

int opcode_operand_slow(const OpcodeInfo *info, const uint8_t *p, const uint8_t *end, Operand *ret)
{
        size_t left = (size_t)(end - p);
        int r;

        switch (info->operand) {
        case OPERAND_FIXED:
                return PICKLE_TRUNCATED;
        case OPERAND_COUNTED:
        case OPERAND_COUNTED_SIGNED:
                return counted_operand(info, p, left, ret);
        case OPERAND_LINE:
                return line_operand(p, left, &ret->data, &ret->size, &ret->end);
        default:
                r = line_operand(p, left, &ret->data, &ret->size, &ret->end);
                if (r != 0)
                        return r;
                return line_operand(ret->end, (size_t)(end - ret->end), &ret->data2, &ret->size2, &ret->end);
        }
}

int opcode_memo_number(const OpcodeInfo *info, const Operand *operand, uint64_t *ret)
{
        if (info->operand == OPERAND_FIXED) {
                *ret = opcode_unsigned(operand->data, operand->size);
                return 0;
        }
        /* Leading zeros aside, longer numbers are beyond every limit. */
        uint64_t number = 0;
        if (operand->size == 0 || operand->size > 18)
                return PICKLE_BAD_TEXT;
        for (size_t i = 0; i < operand->size; i++) {
                if (operand->data[i] < '0' || operand->data[i] > '9')
                        return PICKLE_BAD_TEXT;
                number = number * 10 + (operand->data[i] - '0');
        }
        *ret = number;
        return 0;
}

typedef struct GlobalRule {
        PickleProfile profile;
        const char *module;
        const char *name;
        ValueGlobal global;
} GlobalRule;

/* DELTA: of the names that deepdiff 8.1.1 lets its unpickler load, those that plain data needs. PLAIN: the
 * callables by which protocols 0 to 4 write bytes, bytearray, set and frozenset. */
static const GlobalRule global_rules[] = {
        { PICKLE_PROFILE_DELTA, "builtins", "str", VALUE_GLOBAL_STR },
        { PICKLE_PROFILE_DELTA, "builtins", "bytes", VALUE_GLOBAL_BYTES },
        { PICKLE_PROFILE_DELTA, "builtins", "list", VALUE_GLOBAL_LIST },
        { PICKLE_PROFILE_DELTA, "builtins", "tuple", VALUE_GLOBAL_TUPLE },
        { PICKLE_PROFILE_DELTA, "builtins", "int", VALUE_GLOBAL_INT },
        { PICKLE_PROFILE_DELTA, "builtins", "float", VALUE_GLOBAL_FLOAT },
        { PICKLE_PROFILE_DELTA, "builtins", "dict", VALUE_GLOBAL_DICT },
        { PICKLE_PROFILE_DELTA, "builtins", "bool", VALUE_GLOBAL_BOOL },
        { PICKLE_PROFILE_DELTA, "builtins", "set", VALUE_GLOBAL_SET },
        { PICKLE_PROFILE_DELTA, "builtins", "frozenset", VALUE_GLOBAL_FROZENSET },
        { PICKLE_PROFILE_DELTA, "builtins", "complex", VALUE_GLOBAL_COMPLEX },
        { PICKLE_PROFILE_DELTA, "builtins", "range", VALUE_GLOBAL_RANGE },
        { PICKLE_PROFILE_DELTA, "builtins", "slice", VALUE_GLOBAL_SLICE },
        { PICKLE_PROFILE_DELTA, "deepdiff.helper", "Opcode", VALUE_GLOBAL_OPCODE },

        { PICKLE_PROFILE_PLAIN, "builtins", "bytearray", VALUE_GLOBAL_BYTEARRAY },
        { PICKLE_PROFILE_PLAIN, "builtins", "bytes", VALUE_GLOBAL_BYTES },
        { PICKLE_PROFILE_PLAIN, "builtins", "set", VALUE_GLOBAL_SET },
        { PICKLE_PROFILE_PLAIN, "builtins", "frozenset", VALUE_GLOBAL_FROZENSET },
        { PICKLE_PROFILE_PLAIN, "__builtin__", "bytearray", VALUE_GLOBAL_BYTEARRAY },
        { PICKLE_PROFILE_PLAIN, "__builtin__", "bytes", VALUE_GLOBAL_BYTES },
        { PICKLE_PROFILE_PLAIN, "__builtin__", "set", VALUE_GLOBAL_SET },
        { PICKLE_PROFILE_PLAIN, "__builtin__", "frozenset", VALUE_GLOBAL_FROZENSET },
        { PICKLE_PROFILE_PLAIN, "_codecs", "encode", VALUE_GLOBAL_ENCODE },
};

static bool text_is(const uint8_t *data, size_t size, const char *text)
{
        return size == strlen(text) && memcmp(data, text, size) == 0;
}

bool opcode_find_global(PickleProfile profile, const uint8_t *module, size_t module_size, const uint8_t *name,
                        size_t name_size, ValueGlobal *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(global_rules); i++) {
                const GlobalRule *rule = &global_rules[i];
                if (rule->profile == profile && text_is(name, name_size, rule->name) &&
                    text_is(module, module_size, rule->module)) {
                        *ret = rule->global;
                        return true;
                }
        }
        return false;
}
