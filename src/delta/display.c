/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/display.h"

#include <ctype.h>
#include <errno.h>

/* Parentheses inside each other; deeper ones are not looked at. */
#define NESTING_MAX 16

/* What stands between one pair of parentheses, or outside all of them. */
typedef struct Frame {
        Value *items; /* list */
        bool has_comma;
        bool has_item; /* since the last comma */
} Frame;

typedef struct Parser {
        const uint8_t *text;
        size_t size;
        size_t at;
        ScalarFunc scalar;
        Frame frames[NESTING_MAX];
        size_t n;
} Parser;

static int push(Parser *p)
{
        Value *items;

        if (p->n == NESTING_MAX)
                return OPAQUE_LITERAL;
        items = value_list_new();
        if (!items)
                return -ENOMEM;
        p->frames[p->n++] = (Frame){ .items = items };
        return 0;
}

static void parser_done(Parser *p)
{
        while (p->n > 0)
                value_unref(p->frames[--p->n].items);
}

/* The value of the innermost parentheses: a tuple if there was a comma or nothing. */
static int pop(Parser *p, Value **ret)
{
        Frame *f = &p->frames[p->n - 1];
        uint32_t n = value_list_length(f->items);
        Value *v = f->has_comma || n == 0 ? value_tuple_slice_new(f->items, 0, n) :
                                            value_ref(value_list_get(f->items, 0));

        if (!v)
                return -ENOMEM;
        p->n--;
        value_unref(f->items);
        *ret = v;
        return 0;
}

static int add(Parser *p, Value *v)
{
        Frame *f = &p->frames[p->n - 1];

        if (f->has_item)
                return NOT_A_LITERAL;
        f->has_item = true;
        return value_list_append(f->items, v);
}

static bool is_blank(uint8_t c)
{
        return c == ' ' || c == '\t' || c == '\f';
}

static bool is_word(uint8_t c)
{
        return isalnum(c) || c == '_' || c == '.';
}

/* Imaginary numbers, the ellipsis and the start of set(). */
static bool is_other_literal(const uint8_t *text, size_t size)
{
        if (size == 3 && (memcmp(text, "...", 3) == 0 || memcmp(text, "set", 3) == 0))
                return true;
        return (text[size - 1] | 0x20) == 'j' && !isalpha(text[0]) && text[0] != '_';
}

/* One number or keyword, with its sign. */
static int parse_scalar(Parser *p)
{
        size_t start = p->at;
        _cleanup_value_ Value *v = NULL;
        int r;

        if (p->text[p->at] == '+' || p->text[p->at] == '-')
                for (p->at++; p->at < p->size && is_blank(p->text[p->at]);)
                        p->at++;
        if (p->at < p->size && p->text[p->at] == '(')
                return OPAQUE_LITERAL;
        for (; p->at < p->size; p->at++) {
                bool is_exponent =
                    p->at > start && (p->text[p->at - 1] | 0x20) == 'e' && !isalpha(p->text[start]);

                if (!is_word(p->text[p->at]) &&
                    !(is_exponent && (p->text[p->at] == '+' || p->text[p->at] == '-')))
                        break;
        }
        if (p->at == start)
                return NOT_A_LITERAL;
        r = p->scalar(p->text + start, p->at - start, &v);
        if (r == NOT_A_LITERAL && is_other_literal(p->text + start, p->at - start))
                return OPAQUE_LITERAL;
        return r != 0 ? r : add(p, v);
}

static int parse_one(Parser *p)
{
        Frame *f = &p->frames[p->n - 1];
        _cleanup_value_ Value *v = NULL;
        int r;

        switch (p->text[p->at]) {
        case ' ':
        case '\t':
        case '\f':
                p->at++;
                /* Python minds at the start of a line, but not always. */
                return p->at == 1 && p->text[0] == '\f' ? OPAQUE_LITERAL : 0;
        case '\n':
        case '\r':
        case '{':
                return OPAQUE_LITERAL;
        case '(':
                p->at++;
                return f->has_item ? NOT_A_LITERAL : push(p);
        case ')':
                p->at++;
                if (p->n == 1 || (f->has_comma && value_list_length(f->items) == 0))
                        return NOT_A_LITERAL;
                r = pop(p, &v);
                return r != 0 ? r : add(p, v);
        case ',':
                p->at++;
                if (!f->has_item)
                        return NOT_A_LITERAL;
                f->has_comma = true;
                f->has_item = false;
                return 0;
        default:
                if (f->has_item)
                        return p->text[p->at] == '+' || p->text[p->at] == '-' ? OPAQUE_LITERAL :
                                                                                NOT_A_LITERAL;
                return parse_scalar(p);
        }
}

int display_parse(const uint8_t *text, size_t size, ScalarFunc scalar, Value **ret)
{
        _cleanup_(parser_done) Parser p = { .text = text, .size = size, .scalar = scalar };
        int r = push(&p);

        while (r == 0 && p.at < size)
                r = parse_one(&p);
        if (r != 0)
                return r;
        if (p.n > 1 || value_list_length(p.frames[0].items) == 0)
                return NOT_A_LITERAL;
        return pop(&p, ret);
}
