/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/literal.h"

#include <ctype.h>
#include <errno.h>

#include "delta/display.h"
#include "delta/number.h"
#include "delta/unicode.h"

static bool is_quote(uint8_t c)
{
        return c == '\'' || c == '"';
}

static bool is_blank(uint8_t c)
{
        return c == ' ' || c == '\t';
}

static bool contains(const uint8_t *text, size_t size, const char *part)
{
        return memmem(text, size, part, strlen(part)) != NULL;
}

static int str_value(const uint8_t *text, size_t size, Value **ret)
{
        Value *v = value_str_new(text, size);

        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

/* The text itself, or what is between its quotes. */
static int raw_value(const uint8_t *text, size_t size, Value **ret)
{
        if (is_quote(text[0]) && text[0] == text[size - 1])
                return str_value(text + 1, size >= 2 ? size - 2 : 0, ret);
        return str_value(text, size, ret);
}

static int keyword_value(const uint8_t *text, size_t size, Value **ret)
{
        if (size == 4 && memcmp(text, "None", 4) == 0)
                *ret = value_none();
        else if (size == 4 && memcmp(text, "True", 4) == 0)
                *ret = value_bool(true);
        else if (size == 5 && memcmp(text, "False", 5) == 0)
                *ret = value_bool(false);
        else
                return NOT_A_LITERAL;
        return 0;
}

/* Digits of a base with single underscores between them; after a prefix one may also come first. */
static bool are_digits(const uint8_t *text, size_t size, unsigned base)
{
        for (size_t i = 0; i < size; i++) {
                bool is_digit = base == 16 ? isxdigit(text[i]) : text[i] >= '0' && text[i] < '0' + (int)base;

                if (!is_digit && (text[i] != '_' || (i == 0 && base == 10) || (i > 0 && text[i - 1] == '_')))
                        return false;
        }
        return size > 0 && text[size - 1] != '_';
}

static unsigned prefix_base(const uint8_t *text, size_t size)
{
        if (size < 2 || text[0] != '0')
                return 10;
        switch (text[1] | 0x20) {
        case 'x':
                return 16;
        case 'o':
                return 8;
        case 'b':
                return 2;
        default:
                return 10;
        }
}

static int integer_value(const uint8_t *text, size_t size, bool negative, Value **ret)
{
        unsigned base = prefix_base(text, size);
        size_t i = 0;
        int r;

        if (base != 10) {
                if (!are_digits(text + 2, size - 2, base))
                        return NOT_A_LITERAL;
                /* May have too many decimal digits for Python to write it into a log message. */
                if (size > NUMBER_DIGITS_MAX / 2)
                        return OPAQUE_LITERAL;
                return number_from_digits(text + 2, size - 2, base, negative, ret);
        }
        if (!are_digits(text, size, 10))
                return NOT_A_LITERAL;
        while (i < size && (text[i] == '0' || text[i] == '_'))
                i++;
        /* Any number of zeros is 0, but no other number starts with one. */
        if (i == size)
                return number_from_digits(text, 1, 10, false, ret);
        if (i > 0)
                return NOT_A_LITERAL;
        r = number_from_digits(text, size, 10, negative, ret);
        return r == NUMBER_INVALID ? NOT_A_LITERAL : r;
}

static int float_value(const uint8_t *text, size_t size, bool negative, Value **ret)
{
        bool is_float = false;
        double number;
        Value *v;
        int r;

        /* Excludes inf, nan, blanks and integers, which float() would take. */
        for (size_t i = 0; i < size; i++) {
                if (!isdigit(text[i]) && !strchr("+-._eE", text[i]))
                        return NOT_A_LITERAL;
                is_float |= text[i] == '.' || text[i] == 'e' || text[i] == 'E';
        }
        if (!is_float || text[0] == '+' || text[0] == '-')
                return NOT_A_LITERAL;
        r = number_parse_float(text, size, &number);
        if (r != 0)
                return r == NUMBER_INVALID ? NOT_A_LITERAL : r;
        v = value_float_new(negative ? -number : number);
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static int number_value(const uint8_t *text, size_t size, Value **ret)
{
        bool negative = size > 0 && text[0] == '-';
        int r;

        if (size > 0 && (text[0] == '-' || text[0] == '+')) {
                do {
                        text++;
                        size--;
                } while (size > 0 && (is_blank(*text) || *text == '\f'));
        }
        if (size == 0)
                return NOT_A_LITERAL;
        r = integer_value(text, size, negative, ret);
        return r == NOT_A_LITERAL ? float_value(text, size, negative, ret) : r;
}

/* A quoted text with an optional prefix. The grammar of paths leaves no quote of the same kind inside, and
 * texts with a backslash do not come here. */
static int quoted_value(const uint8_t *text, size_t size, Value **ret)
{
        bool is_bytes = false, is_ascii = true;
        size_t n_prefix = 0;
        Value *v;

        while (n_prefix < size && n_prefix < 2 && isalpha(text[n_prefix]))
                n_prefix++;
        if (n_prefix == 1 && !strchr("bBrRuU", text[0]))
                return NOT_A_LITERAL;
        for (size_t i = 0; i < n_prefix; i++)
                is_bytes |= (text[i] | 0x20) == 'b';
        if (n_prefix == 2 && (!is_bytes || ((text[0] | 0x20) != 'r') == ((text[1] | 0x20) != 'r')))
                return NOT_A_LITERAL;
        text += n_prefix;
        size -= n_prefix;
        if (size < 2 || !is_quote(text[0]) || text[0] != text[size - 1])
                return NOT_A_LITERAL;
        text++;
        size -= 2;
        for (size_t i = 0; i < size; i++) {
                is_ascii &= text[i] < 0x80;
                if (text[i] == '\n' || text[i] == '\r')
                        return NOT_A_LITERAL;
        }
        if (!is_bytes)
                return str_value(text, size, ret);
        if (!is_ascii)
                return NOT_A_LITERAL;
        v = value_bytes_new(text, size);
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static bool is_word(uint8_t c)
{
        return isalnum(c) || c == '_' || c == '.';
}

/* Is the text made of nothing but numbers, punctuation and the few words that literals without text may have?
 * Texts with other things in them are str, whatever they start with. */
static bool may_be_literal(const uint8_t *text, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                size_t start = i;
                Value *v;

                if (!is_word(text[i])) {
                        if (!strchr("(){},:+- \t\n\r\f", text[i]))
                                return false;
                        continue;
                }
                while (i + 1 < size && is_word(text[i + 1]))
                        i++;
                if ((isalpha(text[start]) || text[start] == '_') &&
                    keyword_value(text + start, i + 1 - start, &v) != 0 &&
                    !(i + 1 - start == 3 && memcmp(text + start, "set", 3) == 0))
                        return false;
        }
        return true;
}

static int scalar_value(const uint8_t *text, size_t size, Value **ret)
{
        int r = keyword_value(text, size, ret);

        return r == NOT_A_LITERAL ? number_value(text, size, ret) : r;
}

/* Line ends before a quoted text are no part of it. */
static bool is_quoted_after_line_end(const uint8_t *text, size_t size)
{
        size_t i = 0;
        _cleanup_value_ Value *v = NULL;

        while (i < size && strchr(" \t\n\r\f", text[i]))
                i++;
        return i > 0 && quoted_value(text + i, size - i, &v) == 0;
}

/* The length of a text without comment and without the blanks before it. */
static size_t stripped_size(const uint8_t *text, size_t size, bool *ret_has_lines_behind)
{
        const uint8_t *comment = memchr(text, '#', size);
        size_t n = comment ? (size_t)(comment - text) : size;

        *ret_has_lines_behind = memchr(text + n, '\n', size - n) || memchr(text + n, '\r', size - n);
        while (n > 0 && (is_blank(text[n - 1]) || text[n - 1] == '\f'))
                n--;
        return n;
}

int literal_parse(const uint8_t *text, size_t size, Value **ret, bool *ret_is_opaque)
{
        const uint8_t *start = text;
        size_t n = size, n_stripped;
        bool has_lines_behind;
        int r;

        assert(size > 0);

        /* deepdiff does not try the first two, and Python cannot compile the others. */
        if (contains(text, size, "\\") || contains(text, size, LITERAL_ESCAPE) || memchr(text, 0, size) ||
            unicode_has_surrogate(text, size))
                return raw_value(text, size, ret);
        while (n > 0 && is_blank(*start)) {
                start++;
                n--;
        }
        r = quoted_value(start, n, ret);
        if (r == NOT_A_LITERAL) {
                n_stripped = stripped_size(start, n, &has_lines_behind);
                if (may_be_literal(start, n_stripped))
                        r = has_lines_behind ? OPAQUE_LITERAL :
                                               display_parse(start, n_stripped, scalar_value, ret);
        }
        if (r <= 0)
                return r;
        if (r == OPAQUE_LITERAL || is_quoted_after_line_end(start, n)) {
                *ret_is_opaque = true;
                *ret = value_none();
                return 0;
        }
        return raw_value(text, size, ret);
}
