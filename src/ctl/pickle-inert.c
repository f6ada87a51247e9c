/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/pickle-inert.h"

#define NAME_MAX_SIZE 255u

/* How the operand of an opcode is found. */
typedef enum Operand {
        OPERAND_UNKNOWN, /* no opcode that a snapshot can hold */
        OPERAND_NONE,
        OPERAND_1,
        OPERAND_2,
        OPERAND_4,
        OPERAND_8,
        OPERAND_LINE,
        OPERAND_SIZE1,
        OPERAND_SIZE4,
        OPERAND_SIZE8,
} Operand;

static const uint8_t operands[256] = {
        [0x80] = OPERAND_1,    ['.'] = OPERAND_NONE,   ['('] = OPERAND_NONE,  ['0'] = OPERAND_NONE,
        ['1'] = OPERAND_NONE,  ['2'] = OPERAND_NONE,   ['g'] = OPERAND_LINE,  ['h'] = OPERAND_1,
        ['j'] = OPERAND_4,     ['p'] = OPERAND_LINE,   ['q'] = OPERAND_1,     ['r'] = OPERAND_4,
        [0x94] = OPERAND_NONE, ['N'] = OPERAND_NONE,   [0x88] = OPERAND_NONE, [0x89] = OPERAND_NONE,
        ['I'] = OPERAND_LINE,  ['J'] = OPERAND_4,      ['K'] = OPERAND_1,     ['M'] = OPERAND_2,
        ['L'] = OPERAND_LINE,  [0x8a] = OPERAND_SIZE1, [0x8b] = OPERAND_SIZE4, ['F'] = OPERAND_LINE,
        ['G'] = OPERAND_8,     ['V'] = OPERAND_LINE,   [0x8c] = OPERAND_SIZE1, ['X'] = OPERAND_SIZE4,
        [0x8d] = OPERAND_SIZE8, ['C'] = OPERAND_SIZE1, ['B'] = OPERAND_SIZE4, [0x8e] = OPERAND_SIZE8,
        [0x96] = OPERAND_SIZE8, [']'] = OPERAND_NONE,  ['a'] = OPERAND_NONE,  ['e'] = OPERAND_NONE,
        ['l'] = OPERAND_NONE,  [')'] = OPERAND_NONE,   [0x85] = OPERAND_NONE, [0x86] = OPERAND_NONE,
        [0x87] = OPERAND_NONE, ['t'] = OPERAND_NONE,   ['}'] = OPERAND_NONE,  ['s'] = OPERAND_NONE,
        ['u'] = OPERAND_NONE,  ['d'] = OPERAND_NONE,   [0x8f] = OPERAND_NONE, [0x90] = OPERAND_NONE,
        [0x91] = OPERAND_NONE,
};

#define OP_FRAME 0x95
#define OP_GLOBAL 'c'
#define OP_STACK_GLOBAL 0x93
#define OP_REDUCE 'R'
#define OP_NEWOBJ 0x81
#define OP_BUILD 'b'
#define OP_TUPLE2 0x86
#define OP_SHORT_BINUNICODE 0x8c
#define OP_MEMOIZE 0x94
#define OP_BINGET 'h'
#define OP_LONG_BINGET 'j'
#define OP_BINPUT 'q'
#define OP_LONG_BINPUT 'r'

/* A short text of the input: a name that a STACK_GLOBAL may use. */
typedef struct Text {
        size_t offset;
        uint8_t size;
        bool valid;
} Text;

typedef struct Rewriter {
        const uint8_t *data;
        size_t size, position;
        uint8_t *out;
        size_t out_size, out_allocated;
        const char *const *allowed;
        Text *memo; /* of the numbered memo: only texts are of interest */
        size_t n_memo, n_memo_allocated, n_memoized;
        Text last[2]; /* what the two newest values on the stack are, as long as they are texts */
        PickleInertFault *fault;
} Rewriter;

static _printf_(2, 3) int refuse(Rewriter *w, const char *format, ...)
{
        va_list ap;

        w->fault->offset = w->position;
        va_start(ap, format);
        vsnprintf(w->fault->what, sizeof(w->fault->what), format, ap);
        va_end(ap);
        return 1;
}

static int put(Rewriter *w, const void *data, size_t size)
{
        if (w->out_allocated - w->out_size < size) {
                size_t n = w->out_allocated + w->out_allocated / 2 + size + 4096;
                uint8_t *grown = realloc(w->out, n);

                if (!grown)
                        return -ENOMEM;
                w->out = grown;
                w->out_allocated = n;
        }
        memcpy(w->out + w->out_size, data, size);
        w->out_size += size;
        return 0;
}

static int put_opcode(Rewriter *w, uint8_t opcode)
{
        return put(w, &opcode, 1);
}

static uint64_t read_le(const uint8_t *p, size_t n)
{
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++)
                v |= (uint64_t)p[i] << (8 * i);
        return v;
}

static void push_text(Rewriter *w, Text t)
{
        w->last[0] = w->last[1];
        w->last[1] = t;
}

static int memo_put(Rewriter *w, size_t number)
{
        if (number > w->size || number >= PICKLE_INERT_MEMO_MAX)
                return refuse(w, "a memo number is out of range");
        if (number >= w->n_memo_allocated) {
                size_t n = MAX(number + 1, w->n_memo_allocated * 2 + 256);
                Text *grown = reallocarray(w->memo, n, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                memset(grown + w->n_memo_allocated, 0, (n - w->n_memo_allocated) * sizeof(*grown));
                w->memo = grown;
                w->n_memo_allocated = n;
        }
        w->memo[number] = w->last[1];
        return 0;
}

static bool is_allowed(const Rewriter *w, const uint8_t *module, size_t module_size, const uint8_t *name,
                       size_t name_size)
{
        for (size_t i = 0; w->allowed[i]; i++) {
                const char *blank = strchr(w->allowed[i], ' ');

                if ((size_t)(blank - w->allowed[i]) == module_size && memcmp(w->allowed[i], module, module_size) == 0 &&
                    strlen(blank + 1) == name_size && memcmp(blank + 1, name, name_size) == 0)
                        return true;
        }
        return false;
}

static int refuse_global(Rewriter *w, const uint8_t *module, size_t module_size, const uint8_t *name, size_t name_size)
{
        return refuse(w, "it names %.*s.%.*s, which no session of the old server holds", (int)MIN(module_size, 48u),
                      (const char *)module, (int)MIN(name_size, 48u), (const char *)name);
}

static int do_stack_global(Rewriter *w)
{
        Text module = w->last[0], name = w->last[1];

        if (!module.valid || !name.valid)
                return refuse(w, "it names a global in an unusual way");
        if (!is_allowed(w, w->data + module.offset, module.size, w->data + name.offset, name.size))
                return refuse_global(w, w->data + module.offset, module.size, w->data + name.offset, name.size);
        push_text(w, (Text){0});
        return put_opcode(w, OP_TUPLE2);
}

static const uint8_t *read_line(Rewriter *w, size_t *ret_size)
{
        const uint8_t *begin = w->data + w->position;
        const uint8_t *newline = memchr(begin, '\n', w->size - w->position);

        if (!newline)
                return NULL;
        *ret_size = (size_t)(newline - begin);
        w->position += *ret_size + 1;
        return begin;
}

static int do_global(Rewriter *w)
{
        size_t module_size, name_size;
        const uint8_t *module = read_line(w, &module_size), *name = module ? read_line(w, &name_size) : NULL;
        uint8_t head[2] = {OP_SHORT_BINUNICODE, 0};
        int r;

        if (!name || module_size > NAME_MAX_SIZE || name_size > NAME_MAX_SIZE)
                return refuse(w, "a name in it is cut off or too long");
        if (!is_allowed(w, module, module_size, name, name_size))
                return refuse_global(w, module, module_size, name, name_size);
        head[1] = (uint8_t)module_size;
        if ((r = put(w, head, 2)) < 0 || (r = put(w, module, module_size)) < 0)
                return r;
        head[1] = (uint8_t)name_size;
        if ((r = put(w, head, 2)) < 0 || (r = put(w, name, name_size)) < 0)
                return r;
        push_text(w, (Text){0});
        return put_opcode(w, OP_TUPLE2);
}

/* The size of opcode and operand, or 0 when the input ends before. *ret_payload is where the operand's text begins. */
static size_t opcode_size(const Rewriter *w, uint8_t opcode, size_t *ret_payload)
{
        static const uint8_t fixed[] = {[OPERAND_NONE] = 0, [OPERAND_1] = 1, [OPERAND_2] = 2, [OPERAND_4] = 4,
                                        [OPERAND_8] = 8, [OPERAND_SIZE1] = 1, [OPERAND_SIZE4] = 4, [OPERAND_SIZE8] = 8,
                                        [OPERAND_LINE] = 0};
        size_t left = w->size - w->position - 1, head = fixed[operands[opcode]];
        const uint8_t *p = w->data + w->position + 1;
        uint64_t text = 0;

        if (operands[opcode] == OPERAND_LINE) {
                const uint8_t *newline = memchr(p, '\n', left);

                return newline ? 1 + (size_t)(newline - p) + 1 : 0;
        }
        if (head > left)
                return 0;
        if (operands[opcode] >= OPERAND_SIZE1)
                text = read_le(p, head);
        *ret_payload = w->position + 1 + head;
        return text <= left - head ? 1 + head + (size_t)text : 0;
}

/* What an opcode that is passed on does to the two newest values and the memo. */
static int follow(Rewriter *w, uint8_t opcode, size_t payload, size_t end)
{
        const uint8_t *p = w->data + w->position + 1;
        uint64_t number;

        switch (opcode) {
        case OP_SHORT_BINUNICODE:
        case 'X':
                push_text(w, (Text){payload, (uint8_t)(end - payload), end - payload <= NAME_MAX_SIZE});
                return 0;
        case OP_MEMOIZE:
                return memo_put(w, w->n_memoized++);
        case OP_BINPUT:
        case OP_LONG_BINPUT:
                w->n_memoized++;
                return memo_put(w, (size_t)read_le(p, opcode == OP_BINPUT ? 1 : 4));
        case 'p':
                return refuse(w, "it is written in protocol 0; save it anew with a current version");
        case OP_BINGET:
        case OP_LONG_BINGET:
                number = read_le(p, opcode == OP_BINGET ? 1 : 4);
                push_text(w, number < w->n_memo_allocated ? w->memo[number] : (Text){0});
                return 0;
        case 0x80:
        case OP_FRAME:
                return 0;
        default:
                push_text(w, (Text){0});
                return 0;
        }
}

static int step(Rewriter *w)
{
        uint8_t opcode = w->data[w->position];
        size_t size, payload = 0;
        int r;

        switch (opcode) {
        case OP_FRAME: /* its length would no longer be right, and it is not needed */
                if (w->size - w->position < 9)
                        return refuse(w, "it is cut off");
                w->position += 9;
                return 0;
        case OP_STACK_GLOBAL:
                r = do_stack_global(w);
                w->position++;
                return r;
        case OP_GLOBAL:
                w->position++;
                return do_global(w);
        case OP_REDUCE:
        case OP_NEWOBJ:
        case OP_BUILD:
                w->position++;
                push_text(w, (Text){0});
                return put_opcode(w, OP_TUPLE2);
        default:
                break;
        }
        if (operands[opcode] == OPERAND_UNKNOWN)
                return refuse(w, "it holds an opcode 0x%02x, which no session of the old server holds", opcode);
        size = opcode_size(w, opcode, &payload);
        if (size == 0)
                return refuse(w, "it is cut off");
        r = follow(w, opcode, payload, w->position + size);
        if (r == 0)
                r = put(w, w->data + w->position, size);
        w->position += size;
        return r;
}

int pickle_inert(const void *data, size_t size, const char *const *allowed, Bytes **ret, PickleInertFault *ret_fault)
{
        Rewriter w = {.data = data, .size = size, .allowed = allowed, .fault = ret_fault};
        bool stopped = false;
        Bytes *b = NULL;
        int r = 0;

        while (r == 0 && !stopped) {
                if (w.position >= w.size) {
                        r = refuse(&w, "it is cut off");
                        break;
                }
                stopped = w.data[w.position] == '.';
                r = step(&w);
        }
        if (r == 0) {
                b = bytes_new_take(w.out, w.out_size);
                r = b ? 0 : -ENOMEM;
        }
        free(w.memo);
        if (r != 0) {
                free(w.out);
                return r;
        }
        *ret = b;
        return 0;
}
