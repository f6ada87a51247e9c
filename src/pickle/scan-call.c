/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pickle/scan.h"

int scan_push_global(Scan *s, const uint8_t *module, size_t module_size, const uint8_t *name,
                     size_t name_size)
{
        ValueGlobal global;
        if (!opcode_find_global(s->profile, module, module_size, name, name_size, &global))
                return PICKLE_FORBIDDEN_GLOBAL;
        return scan_push(s, (Tag){ .type = VALUE_GLOBAL + 1, .number = global });
}

int scan_stack_global(Scan *s)
{
        const uint8_t *module, *name;
        size_t module_size, name_size;

        if (!scan_has(s, 2))
                return PICKLE_STACK;
        if (!scan_text_of(s, s->stack[s->n_stack - 2], &module, &module_size) ||
            !scan_text_of(s, s->stack[s->n_stack - 1], &name, &name_size))
                return PICKLE_FORBIDDEN_GLOBAL;
        s->n_stack -= 2;
        return scan_push_global(s, module, module_size, name, name_size);
}

/* What a permitted call gives. */
static bool call_result(const Scan *s, uint8_t opcode, ValueGlobal callable, TupleShape shape, ValueType *ret)
{
        if (s->profile == PICKLE_PROFILE_DELTA) {
                *ret = VALUE_OPCODE;
                return callable == VALUE_GLOBAL_OPCODE && shape == SHAPE_OPCODE;
        }
        switch (callable) {
        case VALUE_GLOBAL_BYTEARRAY:
                *ret = VALUE_BYTEARRAY;
                return opcode == OP_REDUCE && (shape == SHAPE_EMPTY || shape == SHAPE_BYTES);
        case VALUE_GLOBAL_BYTES:
                *ret = VALUE_BYTES;
                return opcode == OP_REDUCE && shape == SHAPE_EMPTY;
        case VALUE_GLOBAL_ENCODE:
                *ret = VALUE_BYTES;
                return opcode == OP_REDUCE && shape == SHAPE_TEXT_LATIN1;
        case VALUE_GLOBAL_SET:
        case VALUE_GLOBAL_FROZENSET:
                *ret = callable == VALUE_GLOBAL_SET ? VALUE_SET : VALUE_FROZENSET;
                return opcode == OP_REDUCE && shape == SHAPE_HASHABLES;
        default:
                return false;
        }
}

int scan_call(Scan *s, uint8_t opcode)
{
        if (!scan_has(s, 2))
                return PICKLE_STACK;
        Tag callable = s->stack[s->n_stack - 2], arguments = s->stack[s->n_stack - 1];
        ValueType type;
        if (!tag_is(callable, VALUE_GLOBAL) || !tag_is(arguments, VALUE_TUPLE) ||
            !call_result(s, opcode, (ValueGlobal)callable.number, (TupleShape)arguments.number, &type))
                return PICKLE_FORBIDDEN_OPCODE;

        unsigned depth = arguments.depth;
        s->n_stack -= 2;
        if (type == VALUE_SET) {
                int r = scan_push_container(s, type);
                if (r == 0)
                        s->records[s->n_records - 1].depth = (uint16_t)(depth - 1);
                return r;
        }
        Tag tag = { .type = (uint8_t)(type + 1) };
        if (type == VALUE_BYTES || type == VALUE_FROZENSET)
                tag.flags = TAG_HASHABLE;
        if (type == VALUE_FROZENSET)
                tag.depth = (uint16_t)(depth - 1);
        if (type == VALUE_OPCODE)
                tag.depth = (uint16_t)depth;
        return scan_push(s, tag);
}

int scan_persistent_id(Scan *s)
{
        const uint8_t *text;
        size_t size;

        if (s->profile != PICKLE_PROFILE_DELTA)
                return PICKLE_FORBIDDEN_OPCODE;
        if (!scan_has(s, 1))
                return PICKLE_STACK;
        Tag id = s->stack[--s->n_stack];
        bool known = scan_text_of(s, id, &text, &size);
        if (tag_is(id, VALUE_STR) && !known)
                return PICKLE_FORBIDDEN_OPCODE;
        /* deepdiff's unpickler answers every other id with None. */
        if (!known || size != strlen(PICKLE_NONE_TYPE_ID) || memcmp(text, PICKLE_NONE_TYPE_ID, size) != 0)
                return scan_push(s, tag_leaf(VALUE_NONE));
        return scan_push(s, (Tag){ .type = VALUE_GLOBAL + 1, .number = VALUE_GLOBAL_NONE_TYPE });
}
