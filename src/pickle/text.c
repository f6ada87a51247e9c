/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "pickle/scanner.h"
#include "pickle/text.h"

/* ---- character sets ---- */

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the run of ASCII at p. */
static size_t ascii_run(const uint8_t *p, size_t size)
{
        size_t i = 0;
        for (; size - i >= 32; i += 32) {
                uint64_t words[4];
                memcpy(words, p + i, sizeof words);
                if ((words[0] | words[1] | words[2] | words[3]) & HIGH_BITS)
                        break;
        }
        while (i < size && p[i] < 0x80)
                i++;
        return i;
}

static bool is_tail(uint8_t c)
{
        return (c & 0xc0) == 0x80;
}

/* Size of the character at p, which is not ASCII; 0 when it is malformed. */
static size_t utf8_character(const uint8_t *p, size_t left)
{
        if (p[0] >= 0xc2 && p[0] <= 0xdf)
                return left >= 2 && is_tail(p[1]) ? 2 : 0;
        if (p[0] >= 0xe0 && p[0] <= 0xef) {
                bool overlong = p[0] == 0xe0 && left >= 2 && p[1] < 0xa0;
                return left >= 3 && is_tail(p[1]) && is_tail(p[2]) && !overlong ? 3 : 0;
        }
        if (p[0] >= 0xf0 && p[0] <= 0xf4) {
                bool out_of_range =
                    left >= 2 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f));
                return left >= 4 && is_tail(p[1]) && is_tail(p[2]) && is_tail(p[3]) && !out_of_range ? 4 : 0;
        }
        return 0;
}

bool text_is_utf8(const uint8_t *data, size_t size)
{
        size_t i = ascii_run(data, size);
        while (i < size) {
                if (data[i] < 0x80) {
                        i += ascii_run(data + i, size - i);
                        continue;
                }
                size_t n = utf8_character(data + i, size - i);
                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}

bool text_is_latin1(const uint8_t *utf8, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (utf8[i] > 0xc3)
                        return false;
        return true;
}

bool text_is_ascii(const uint8_t *data, size_t size)
{
        return ascii_run(data, size) == size;
}

/* ---- integers ---- */

static int digit_value(uint8_t c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return 16;
}

/* number = number * radix + digit, in 32-bit limbs, of which *n are in use */
static void multiply_add(uint32_t *limbs, size_t *n, uint32_t radix, uint32_t digit)
{
        uint64_t carry = digit;
        for (size_t i = 0; i < *n; i++) {
                carry += (uint64_t)limbs[i] * radix;
                limbs[i] = (uint32_t)carry;
                carry >>= 32;
        }
        if (carry > 0)
                limbs[(*n)++] = (uint32_t)carry;
}

/* Checked digits to two's complement, with room for the sign. */
static int convert_digits(const uint8_t *digits, size_t n_digits, unsigned radix, bool negative,
                          uint8_t **ret, size_t *ret_size)
{
        /* No 8 digits fill more than a limb; one for the rest, one for the sign. */
        size_t n_limbs = n_digits / 8 + 2, n = 0;
        _cleanup_free_ uint32_t *limbs = calloc(n_limbs, sizeof *limbs);
        if (!limbs)
                return -ENOMEM;
        if (radix == 16)
                for (size_t i = 0; i < n_digits; i++)
                        limbs[i / 8] |= (uint32_t)digit_value(digits[n_digits - 1 - i]) << (4 * (i % 8));
        else
                for (size_t i = 0; i < n_digits; i++)
                        multiply_add(limbs, &n, radix, (uint32_t)digit_value(digits[i]));

        size_t size = n_limbs * 4;
        uint8_t *bytes = malloc(size);
        if (!bytes)
                return -ENOMEM;
        unsigned carry = negative;
        for (size_t i = 0; i < size; i++) {
                uint8_t byte = (uint8_t)(limbs[i / 4] >> (8 * (i % 4)));
                carry += negative ? (uint8_t)~byte : byte;
                bytes[i] = (uint8_t)carry;
                carry >>= 8;
        }
        *ret = bytes;
        *ret_size = size;
        return 0;
}

/* Octal of C, which Python takes only as far as it fits a long. */
static bool octal_fits(const uint8_t *digits, size_t n)
{
        while (n > 1 && *digits == '0') {
                digits++;
                n--;
        }
        return n <= 21;
}

int text_parse_int(const uint8_t *text, size_t size, TextIntForm form, bool *ret_is_bool,
                   uint8_t **ret_digits, size_t *ret_size)
{
        const uint8_t *p = text, *end = text + size;
        unsigned radix = 10;

        if (form == TEXT_LONG && p < end && end[-1] == 'L')
                end--;
        bool negative = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+'))
                p++;
        if (form == TEXT_INT && end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
                radix = 16;
                p += 2;
        } else if (form == TEXT_INT && end - p > 1 && p[0] == '0') {
                radix = 8;
        }

        size_t n = (size_t)(end - p);
        bool only_zeros = true;
        for (const uint8_t *d = p; d < end; d++) {
                if (digit_value(*d) >= (int)radix)
                        return PICKLE_BAD_TEXT;
                only_zeros = only_zeros && *d == '0';
        }
        if (n == 0 || (radix == 8 && !octal_fits(p, n)) ||
            (form == TEXT_LONG && n > 1 && p[0] == '0' && !only_zeros))
                return PICKLE_BAD_TEXT;
        if (radix == 10 && n > TEXT_NUMBER_SIZE_MAX)
                return PICKLE_LIMIT;

        if (ret_is_bool)
                *ret_is_bool = form == TEXT_INT && size == 2 &&
                               (only_zeros || (n == 2 && p[0] == '0' && p[1] == '1') ||
                                (n == 1 && !negative && p[0] == '1'));
        return ret_digits ? convert_digits(p, n, radix, negative, ret_digits, ret_size) : 0;
}

/* ---- floats ---- */

static bool is_word(const char *text, const char *word)
{
        return strcasecmp(text, word) == 0;
}

static const char *skip_digits(const char *p)
{
        while (*p >= '0' && *p <= '9')
                p++;
        return p;
}

/* Python's float syntax, which knows no hex and no blanks. */
static bool is_float(const char *p)
{
        if (*p == '-' || *p == '+')
                p++;
        if (is_word(p, "inf") || is_word(p, "infinity") || is_word(p, "nan"))
                return true;
        const char *digits = p;
        p = skip_digits(p);
        size_t n = (size_t)(p - digits);
        if (*p == '.') {
                digits = ++p;
                p = skip_digits(p);
                n += (size_t)(p - digits);
        }
        if (n == 0)
                return false;
        if (*p == 'e' || *p == 'E') {
                p++;
                if (*p == '-' || *p == '+')
                        p++;
                digits = p;
                p = skip_digits(p);
                if (p == digits)
                        return false;
        }
        return *p == '\0';
}

int text_parse_float(const uint8_t *text, size_t size, double *ret)
{
        char copy[TEXT_NUMBER_SIZE_MAX + 1];

        if (size > TEXT_NUMBER_SIZE_MAX)
                return PICKLE_LIMIT;
        memcpy(copy, text, size);
        copy[size] = '\0';
        if (strlen(copy) != size || !is_float(copy))
                return PICKLE_BAD_TEXT;

        /* No program of this project leaves the C locale for numbers. */
        double number = strtod(copy, NULL);
        bool digits = memchr("0123456789.", copy[copy[0] == '-' || copy[0] == '+'], 11);
        if (digits && isinf(number))
                return PICKLE_BAD_TEXT;
        if (ret)
                *ret = number;
        return 0;
}

/* ---- strings ---- */

static size_t put_utf8(uint8_t *out, uint32_t c)
{
        if (c < 0x80) {
                out[0] = (uint8_t)c;
                return 1;
        }
        if (c < 0x800) {
                out[0] = (uint8_t)(0xc0 | c >> 6);
                out[1] = (uint8_t)(0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                out[0] = (uint8_t)(0xe0 | c >> 12);
                out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
                out[2] = (uint8_t)(0x80 | (c & 0x3f));
                return 3;
        }
        out[0] = (uint8_t)(0xf0 | c >> 18);
        out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[3] = (uint8_t)(0x80 | (c & 0x3f));
        return 4;
}

static bool parse_hex(const uint8_t *p, size_t left, size_t n, uint32_t *ret)
{
        uint32_t number = 0;
        if (left < n)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (digit_value(p[i]) >= 16)
                        return false;
                number = number << 4 | (uint32_t)digit_value(p[i]);
        }
        *ret = number;
        return true;
}

int text_unescape_unicode(const uint8_t *text, size_t size, uint8_t **ret, size_t *ret_size)
{
        const uint8_t *p = text, *end = text + size;
        _cleanup_free_ uint8_t *out = NULL;
        uint8_t character[4];
        size_t n_out = 0;

        if (ret) {
                out = malloc(MAX(2 * size, 1u));
                if (!out)
                        return -ENOMEM;
        }
        while (p < end) {
                uint32_t c = *p++;
                bool escape = c == '\\' && p < end && (*p == 'u' || *p == 'U');
                if (escape) {
                        size_t n = *p++ == 'u' ? 4 : 8;
                        if (!parse_hex(p, (size_t)(end - p), n, &c) || c > 0x10ffff)
                                return PICKLE_BAD_TEXT;
                        p += n;
                }
                size_t n = put_utf8(character, c);
                if (out)
                        memcpy(out + n_out, character, n);
                n_out += n;
                /* A backslash that starts no escape takes the next character with it. */
                if (!escape && c == '\\' && p < end) {
                        n = put_utf8(character, *p++);
                        if (out)
                                memcpy(out + n_out, character, n);
                        n_out += n;
                }
        }
        if (ret) {
                *ret = TAKE_PTR(out);
                *ret_size = n_out;
        }
        return 0;
}

/* One escape behind a backslash; *ret_two is set when it is none and the backslash stands for itself. Returns
 * the characters taken, 0 when malformed. */
static size_t string_escape(const uint8_t *p, size_t left, uint32_t *ret, bool *ret_two)
{
        static const char letters[] = "abtnvfr\\'\"", values[] = "\a\b\t\n\v\f\r\\'\"";

        if (left == 0)
                return 0;
        const char *letter = memchr(letters, p[0], sizeof letters - 1);
        if (letter) {
                *ret = (uint8_t)values[letter - letters];
                return 1;
        }
        if (p[0] == 'x')
                return parse_hex(p + 1, left - 1, 2, ret) ? 3 : 0;
        if (p[0] >= '0' && p[0] <= '7') {
                size_t n = 0;
                uint32_t number = 0;
                for (; n < 3 && n < left && p[n] >= '0' && p[n] <= '7'; n++)
                        number = number * 8 + (uint32_t)(p[n] - '0');
                *ret = number & 0xff;
                return n;
        }
        *ret = p[0];
        *ret_two = true;
        return 1;
}

int text_unescape_string(const uint8_t *text, size_t size, uint8_t **ret, size_t *ret_size)
{
        if (size < 2 || text[0] != text[size - 1] || (text[0] != '\'' && text[0] != '"'))
                return PICKLE_BAD_TEXT;

        const uint8_t *p = text + 1, *end = text + size - 1;
        _cleanup_free_ uint8_t *out = NULL;
        size_t n_out = 0;
        if (ret) {
                out = malloc(size);
                if (!out)
                        return -ENOMEM;
        }
        while (p < end) {
                uint32_t c = *p++;
                bool two = false;
                if (c == '\\') {
                        size_t n = string_escape(p, (size_t)(end - p), &c, &two);
                        if (n == 0)
                                return PICKLE_BAD_TEXT;
                        p += n;
                }
                if (c >= 0x80)
                        return PICKLE_BAD_TEXT;
                if (out && two)
                        out[n_out] = '\\';
                n_out += two;
                if (out)
                        out[n_out] = (uint8_t)c;
                n_out++;
        }
        if (ret) {
                *ret = TAKE_PTR(out);
                *ret_size = n_out;
        }
        return 0;
}
