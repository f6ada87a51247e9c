/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The opcodes of pickle protocols 0 to 5: which operand follows each, and what
 * it does, in the classes that scanner and reader distinguish. Both walk this
 * one table, so they cannot differ about where an opcode ends.
 */

#include "pickle/scanner.h"
#include "pickle/value.h"

/* The persistent id by which deepdiff writes the type of None. */
#define PICKLE_NONE_TYPE_ID "<<NoneType>>"

typedef enum OpcodeOperand {
        OPERAND_FIXED,         /* OpcodeInfo.size bytes */
        OPERAND_COUNTED,       /* unsigned count of OpcodeInfo.size bytes, then that many bytes */
        OPERAND_COUNTED_SIGNED, /* the same, but a negative count is an error */
        OPERAND_LINE,          /* up to and without 0x0a */
        OPERAND_TWO_LINES,
} OpcodeOperand;

typedef enum OpcodeAction {
        OPCODE_UNKNOWN,
        OPCODE_FORBIDDEN,   /* could run code, or never occurs in plain data */
        OPCODE_LEAF,        /* pushes None, bool, int, float or bytes */
        OPCODE_TEXT_LEAF,   /* pushes a number written as text */
        OPCODE_STR,         /* pushes a str of UTF-8 */
        OPCODE_TEXT_STR,    /* pushes a str written in one of the forms of protocols 0 and 1 */
        OPCODE_BYTEARRAY,
        OPCODE_EMPTY,       /* pushes an empty container */
        OPCODE_APPEND,
        OPCODE_APPENDS,
        OPCODE_LIST,
        OPCODE_TUPLE_FIXED, /* OpcodeInfo.n items */
        OPCODE_TUPLE,
        OPCODE_SETITEM,
        OPCODE_SETITEMS,
        OPCODE_DICT,
        OPCODE_ADDITEMS,
        OPCODE_FROZENSET,
        OPCODE_MARK,
        OPCODE_POP,
        OPCODE_POP_MARK,
        OPCODE_DUP,
        OPCODE_GET,
        OPCODE_PUT,
        OPCODE_MEMOIZE,
        OPCODE_PROTO,
        OPCODE_FRAME,
        OPCODE_STOP,
        OPCODE_GLOBAL,
        OPCODE_STACK_GLOBAL,
        OPCODE_CALL,        /* REDUCE, NEWOBJ */
        OPCODE_BINPERSID,
} OpcodeAction;

typedef struct OpcodeInfo {
        uint8_t action;
        uint8_t operand;
        uint8_t size;
        uint8_t n;    /* OPCODE_TUPLE_FIXED */
        uint8_t type; /* ValueType of what is pushed, where the opcode tells */
} OpcodeInfo;

extern const OpcodeInfo opcode_table[256];

/* The operand of one opcode: the bytes behind the count, or the (first) line. */
typedef struct Operand {
        const uint8_t *data;
        size_t size;
        const uint8_t *data2; /* second line */
        size_t size2;
        const uint8_t *end;   /* next opcode */
} Operand;

/* Those of variable size, and those that are cut off. */
int opcode_operand_slow(const OpcodeInfo *info, const uint8_t *p, const uint8_t *end, Operand *ret);

/* Decodes the operand that starts at p. Returns 0, PICKLE_TRUNCATED or PICKLE_BAD_SIZE. */
static inline int opcode_operand(const OpcodeInfo *info, const uint8_t *p, const uint8_t *end, Operand *ret)
{
        if (info->operand != OPERAND_FIXED || end - p < info->size)
                return opcode_operand_slow(info, p, end, ret);
        ret->data = p;
        ret->size = info->size;
        ret->end = p + info->size;
        return 0;
}

/* The memo number of a GET or PUT opcode: 0, or PICKLE_BAD_TEXT. */
int opcode_memo_number(const OpcodeInfo *info, const Operand *operand, uint64_t *ret);

/* Little-endian number of up to 8 bytes. */
static inline uint64_t opcode_unsigned(const uint8_t *p, size_t size)
{
        uint64_t number = 0;
        for (size_t i = size; i-- > 0;)
                number = number << 8 | p[i];
        return number;
}

/* Is a global on the list of a profile? */
bool opcode_find_global(PickleProfile profile, const uint8_t *module, size_t module_size, const uint8_t *name,
                        size_t name_size, ValueGlobal *ret);

/* The bytes of the opcodes that code here names. */
enum {
        OP_MARK = '(',
        OP_STOP = '.',
        OP_INT = 'I',
        OP_FLOAT = 'F',
        OP_LONG = 'L',
        OP_NONE = 'N',
        OP_BININT = 'J',
        OP_BININT1 = 'K',
        OP_BININT2 = 'M',
        OP_BINFLOAT = 'G',
        OP_STRING = 'S',
        OP_BINSTRING = 'T',
        OP_SHORT_BINSTRING = 'U',
        OP_UNICODE = 'V',
        OP_BINUNICODE = 'X',
        OP_BINBYTES = 'B',
        OP_SHORT_BINBYTES = 'C',
        OP_EMPTY_DICT = '}',
        OP_EMPTY_LIST = ']',
        OP_EMPTY_TUPLE = ')',
        OP_APPEND = 'a',
        OP_APPENDS = 'e',
        OP_SETITEM = 's',
        OP_SETITEMS = 'u',
        OP_TUPLE = 't',
        OP_BINGET = 'h',
        OP_LONG_BINGET = 'j',
        OP_REDUCE = 'R',
        OP_PROTO = 0x80,
        OP_NEWOBJ = 0x81,
        OP_TUPLE1 = 0x85,
        OP_TUPLE2 = 0x86,
        OP_TUPLE3 = 0x87,
        OP_NEWTRUE = 0x88,
        OP_NEWFALSE = 0x89,
        OP_LONG1 = 0x8a,
        OP_LONG4 = 0x8b,
        OP_SHORT_BINUNICODE = 0x8c,
        OP_BINUNICODE8 = 0x8d,
        OP_BINBYTES8 = 0x8e,
        OP_EMPTY_SET = 0x8f,
        OP_ADDITEMS = 0x90,
        OP_FROZENSET = 0x91,
        OP_MEMOIZE = 0x94,
        OP_BYTEARRAY8 = 0x96,
};
