/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/repr.h"

#include <errno.h>

#include "delta/delta.h"
#include "delta/number.h"
#include "delta/unicode.h"

/* Python itself gives up at about a thousand. */
#define NESTING_MAX 1000

typedef struct Frame {
        ValueCursor cursor;
        bool is_first;
} Frame;

typedef struct Writer {
        Text *text;
        Frame *frames;
        size_t n;
        size_t capacity;
} Writer;

/* \xhh, \uhhhh or \Uhhhhhhhh */
static int append_escape(Text *text, uint32_t code)
{
        static const char digits[] = "0123456789abcdef";
        unsigned n = code < 0x100 ? 2 : code < 0x10000 ? 4 : 8;
        char escape[10] = { '\\', n == 2 ? 'x' : n == 4 ? 'u' : 'U' };

        for (unsigned i = 0; i < n; i++)
                escape[2 + i] = digits[code >> 4 * (n - 1 - i) & 15];
        return text_append(text, escape, 2 + n);
}

/* One character of a str or bytes that is not copied as it is; NULL when it has no short form. */
static const char *short_escape(uint32_t code, char quote)
{
        switch (code) {
        case '\\':
                return "\\\\";
        case '\n':
                return "\\n";
        case '\r':
                return "\\r";
        case '\t':
                return "\\t";
        case '\'':
                return quote == '\'' ? "\\'" : "'";
        default:
                return NULL;
        }
}

/* Single quotes, unless double ones save escaping. */
static char choose_quote(const Value *v)
{
        bool has_single = memchr(value_data(v), '\'', value_size(v)) != NULL;
        bool has_double = memchr(value_data(v), '"', value_size(v)) != NULL;

        return has_single && !has_double ? '"' : '\'';
}

static int append_quoted(const Value *v, Text *text)
{
        bool is_text = value_type(v) == VALUE_STR;
        char quote = value_size(v) > 0 ? choose_quote(v) : '\'';
        int r = text_append_byte(text, (uint8_t)quote);

        for (size_t at = 0, next; r == 0 && at < value_size(v); at = next) {
                uint32_t code = value_data(v)[at];
                const char *escape;

                next = at + 1;
                if (is_text) {
                        next = at;
                        code = unicode_next(value_data(v), &next);
                }
                escape = short_escape(code, quote);
                if (escape)
                        r = text_append_string(text, escape);
                else if (is_text ? unicode_is_printable(code) : code >= 0x20 && code < 0x7f)
                        r = text_append(text, value_data(v) + at, next - at);
                else
                        r = append_escape(text, code);
        }
        return r != 0 ? r : text_append_byte(text, (uint8_t)quote);
}

static int append_bytearray(const Value *v, Text *text)
{
        int r = text_append_string(text, "bytearray(b");

        if (r == 0)
                r = append_quoted(v, text);
        return r != 0 ? r : text_append_byte(text, ')');
}

static int append_scalar(const Value *v, Text *text)
{
        char number[NUMBER_FLOAT_TEXT_MAX];
        int r;

        switch (value_type(v)) {
        case VALUE_NONE:
                return text_append_string(text, "None");
        case VALUE_BOOL:
                return text_append_string(text, value_bool_get(v) ? "True" : "False");
        case VALUE_INT:
        case VALUE_BIGINT:
                return number_int_text(v, text);
        case VALUE_FLOAT:
                number_float_text(value_float_get(v), number);
                return text_append_string(text, number);
        case VALUE_STR:
                return append_quoted(v, text);
        case VALUE_BYTES:
                r = text_append_byte(text, 'b');
                return r != 0 ? r : append_quoted(v, text);
        case VALUE_BYTEARRAY:
                return append_bytearray(v, text);
        default:
                /* Types and Opcodes are never part of a node. */
                return NUMBER_INVALID;
        }
}

static bool is_container(const Value *v)
{
        return value_type(v) >= VALUE_LIST && value_type(v) <= VALUE_FROZENSET;
}

static int open_container(Writer *w, const Value *v)
{
        static const char *const openings[] = {
                [VALUE_LIST] = "[",
                [VALUE_TUPLE] = "(",
                [VALUE_DICT] = "{",
                [VALUE_SET] = "{",
                [VALUE_FROZENSET] = "frozenset({",
        };

        if (value_is_set(v) && value_table_length(v) == 0)
                return text_append_string(w->text, value_type(v) == VALUE_SET ? "set()" : "frozenset()");
        if (w->n == NESTING_MAX)
                return DELTA_LIMIT;
        if (w->n == w->capacity) {
                size_t capacity = MAX(w->capacity * 2, (size_t)16);
                Frame *frames = reallocarray(w->frames, capacity, sizeof(Frame));

                if (!frames)
                        return -ENOMEM;
                w->frames = frames;
                w->capacity = capacity;
        }
        w->frames[w->n++] = (Frame){ .cursor = value_cursor(v), .is_first = true };
        return text_append_string(w->text, openings[value_type(v)]);
}

static int close_container(Writer *w)
{
        const Value *v = w->frames[--w->n].cursor.container;

        switch (value_type(v)) {
        case VALUE_LIST:
                return text_append_byte(w->text, ']');
        case VALUE_TUPLE:
                return text_append_string(w->text, value_tuple_length(v) == 1 ? ",)" : ")");
        case VALUE_FROZENSET:
                return text_append_string(w->text, "})");
        default:
                return text_append_byte(w->text, '}');
        }
}

/* The next member of the innermost container, or NULL at its end; *ret_lead is what stands before it. */
static const Value *next_member(Writer *w, const char **ret_lead)
{
        Frame *f = &w->frames[w->n - 1];

        *ret_lead = f->is_first ? "" : f->cursor.at_value ? ": " : ", ";
        f->is_first = false;
        return value_cursor_next(&f->cursor);
}

int repr_append(const Value *v, Text *text)
{
        Writer w = { .text = text };
        int r = is_container(v) ? open_container(&w, v) : append_scalar(v, text);

        while (r == 0 && w.n > 0) {
                const char *lead;
                const Value *member = next_member(&w, &lead);

                if (!member) {
                        r = close_container(&w);
                        continue;
                }
                r = text_append_string(text, lead);
                if (r == 0)
                        r = is_container(member) ? open_container(&w, member) : append_scalar(member, text);
        }
        free(w.frames);
        return r;
}

int repr_str(const Value *v, Text *text)
{
        if (value_type(v) == VALUE_STR)
                return text_append(text, value_data(v), value_size(v));
        return repr_append(v, text);
}
