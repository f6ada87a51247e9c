/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Bytes of the largest int that has NUMBER_DIGITS_MAX digits, and one for the sign. */
#define DECIMAL_BYTES_MAX 1787

/* Bytes that hold every finite double as an integer, sign included. */
#define DOUBLE_BYTES_MAX 136

/* The next decimal of the same length; false at 9.99...9, where it has another exponent. */
static bool increment_decimal(char *text)
{
        for (char *p = strchr(text, 'e'); p-- > text;) {
                if (*p == '.')
                        continue;
                if (*p < '9') {
                        ++*p;
                        return true;
                }
                *p = '0';
        }
        return false;
}

/* Writes the number with so many digits; whether they read back as the same number. */
static bool is_decimal(double number, int precision, char text[NUMBER_FLOAT_TEXT_MAX])
{
        int exponent;

        snprintf(text, NUMBER_FLOAT_TEXT_MAX, "%.*e", precision - 1, number);
        if (precision >= 17 || strtod(text, NULL) == number)
                return true;
        /* Below a power of two the next number is nearer than above: the nearest decimal may lie there,
         * outside the range that reads back, and the one above inside. */
        return frexp(number, &exponent) == 0.5 && increment_decimal(text) && strtod(text, NULL) == number;
}

/* Digits and exponent of the shortest decimal: 0.DDDD * 10^point; at most 17 digits. */
static size_t shortest_digits(double number, char digits[18], int *ret_point)
{
        /* Every decimal of up to 15 digits survives the way through a normal double; subnormals have fewer.
         */
        int precision = fabs(number) < 2.2250738585072014e-308 ? 1 : 15;
        char text[NUMBER_FLOAT_TEXT_MAX];
        size_t n = 0;

        while (!is_decimal(number, precision, text))
                precision++;
        *ret_point = (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
        for (const char *p = text; *p != 'e'; p++)
                if (*p != '.')
                        digits[n++] = *p;
        while (n > 1 && digits[n - 1] == '0')
                n--;
        digits[n] = 0;
        return n;
}

void number_float_text(double number, char ret[NUMBER_FLOAT_TEXT_MAX])
{
        const char *sign = signbit(number) ? "-" : "";
        char digits[18];
        size_t n;
        int point;

        if (isnan(number)) {
                snprintf(ret, NUMBER_FLOAT_TEXT_MAX, "nan");
                return;
        }
        if (isinf(number)) {
                snprintf(ret, NUMBER_FLOAT_TEXT_MAX, "%sinf", sign);
                return;
        }
        if (number == 0) {
                snprintf(ret, NUMBER_FLOAT_TEXT_MAX, "%s0.0", sign);
                return;
        }
        n = shortest_digits(fabs(number), digits, &point);
        if (point <= -4 || point > 16)
                snprintf(ret, NUMBER_FLOAT_TEXT_MAX, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "",
                         digits + 1, point > 0 ? '+' : '-', abs(point - 1));
        else if (point <= 0)
                snprintf(ret, NUMBER_FLOAT_TEXT_MAX, "%s0.%.*s%s", sign, -point, "0000", digits);
        else if ((size_t)point >= n)
                snprintf(ret, NUMBER_FLOAT_TEXT_MAX, "%s%s%.*s.0", sign, digits, (int)(point - n),
                         "0000000000000000");
        else
                snprintf(ret, NUMBER_FLOAT_TEXT_MAX, "%s%.*s.%s", sign, point, digits, digits + point);
}

/* Two's complement negation, little endian. */
static void negate(uint8_t *bytes, size_t size)
{
        unsigned carry = 1;

        for (size_t i = 0; i < size; i++) {
                carry += bytes[i] ^ 0xffu;
                bytes[i] = (uint8_t)carry;
                carry >>= 8;
        }
}

static BIGNUM *bignum_from_value(const Value *v)
{
        size_t size = value_size(v);
        uint8_t magnitude[DECIMAL_BYTES_MAX];
        bool negative = value_bigint_is_negative(v);
        BIGNUM *n;

        memcpy(magnitude, value_data(v), size);
        if (negative)
                negate(magnitude, size);
        n = BN_lebin2bn(magnitude, (int)size, NULL);
        if (n)
                BN_set_negative(n, negative);
        return n;
}

static int bigint_text(const Value *v, Text *text)
{
        BIGNUM *n;
        char *decimal;
        int r;

        if (value_size(v) > DECIMAL_BYTES_MAX)
                return NUMBER_INVALID;
        n = bignum_from_value(v);
        if (!n)
                return -ENOMEM;
        decimal = BN_bn2dec(n);
        BN_free(n);
        if (!decimal)
                return -ENOMEM;
        if (strlen(decimal) - (decimal[0] == '-') > NUMBER_DIGITS_MAX)
                r = NUMBER_INVALID;
        else
                r = text_append_string(text, decimal);
        OPENSSL_free(decimal);
        return r;
}

int number_int_text(const Value *v, Text *text)
{
        char decimal[24];

        if (value_type(v) == VALUE_BIGINT)
                return bigint_text(v, text);
        snprintf(decimal, sizeof(decimal), "%" PRId64, value_int_get(v));
        return text_append_string(text, decimal);
}

static bool is_blank(uint8_t c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

static void strip_blanks(const uint8_t **text, size_t *size)
{
        while (*size > 0 && is_blank(**text)) {
                (*text)++;
                (*size)--;
        }
        while (*size > 0 && is_blank((*text)[*size - 1]))
                (*size)--;
}

/* Length of the leading digits with single underscores between them; 0 where there are none or one is
 * misplaced. */
static size_t digit_run(const uint8_t *text, size_t size)
{
        size_t i = 0;

        while (i < size && (isdigit(text[i]) || text[i] == '_')) {
                if (text[i] == '_' && (i == 0 || text[i - 1] == '_'))
                        return 0;
                i++;
        }
        return i > 0 && text[i - 1] == '_' ? 0 : i;
}

static int decimal_from_digits(const uint8_t *digits, size_t size, bool negative, Value **ret)
{
        char plain[NUMBER_DIGITS_MAX + 1];
        uint8_t bytes[DECIMAL_BYTES_MAX + 1];
        BIGNUM *number = NULL;
        size_t n = 0;
        Value *v;
        int length;

        for (size_t i = 0; i < size; i++) {
                if (digits[i] == '_')
                        continue;
                if (n == NUMBER_DIGITS_MAX)
                        return NUMBER_INVALID;
                plain[n++] = (char)digits[i];
        }
        plain[n] = 0;
        if (n <= 18) {
                int64_t small = strtoll(plain, NULL, 10);

                v = value_int_new(negative ? -small : small);
        } else {
                if (BN_dec2bn(&number, plain) == 0)
                        return -ENOMEM;
                length = BN_bn2lebinpad(number, bytes, sizeof(bytes));
                BN_free(number);
                if (length < 0)
                        return -ENOMEM;
                if (negative)
                        negate(bytes, sizeof(bytes));
                v = value_bigint_new(bytes, sizeof(bytes));
        }
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static unsigned hex_value(uint8_t digit)
{
        return isdigit(digit) ? digit - (unsigned)'0' : (digit | 0x20u) - 'a' + 10;
}

/* Bases that are powers of two. */
static int binary_from_digits(const uint8_t *digits, size_t size, unsigned base, bool negative, Value **ret)
{
        unsigned width = base == 16 ? 4 : base == 8 ? 3 : 1, held = 0, n_held = 0;
        size_t n_bytes = size * width / 8 + 2, at = 0;
        _cleanup_free_ uint8_t *bytes = calloc(1, n_bytes);
        Value *v;

        if (!bytes)
                return -ENOMEM;
        for (size_t i = size; i-- > 0;) {
                if (digits[i] == '_')
                        continue;
                held |= hex_value(digits[i]) << n_held;
                n_held += width;
                if (n_held >= 8) {
                        bytes[at++] = (uint8_t)held;
                        held >>= 8;
                        n_held -= 8;
                }
        }
        bytes[at] = (uint8_t)held;
        if (negative)
                negate(bytes, n_bytes);
        v = value_bigint_new(bytes, n_bytes);
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

int number_from_digits(const uint8_t *digits, size_t size, unsigned base, bool negative, Value **ret)
{
        return base == 10 ? decimal_from_digits(digits, size, negative, ret) :
                            binary_from_digits(digits, size, base, negative, ret);
}

int number_parse_int(const uint8_t *text, size_t size, Value **ret)
{
        bool negative;

        strip_blanks(&text, &size);
        negative = size > 0 && *text == '-';
        if (size > 0 && (*text == '-' || *text == '+')) {
                text++;
                size--;
        }
        if (size == 0 || digit_run(text, size) != size)
                return NUMBER_INVALID;
        return decimal_from_digits(text, size, negative, ret);
}

static bool is_word(const uint8_t *text, size_t size, const char *word)
{
        return size == strlen(word) && strncasecmp((const char *)text, word, size) == 0;
}

/* Checks [digits][.digits][e[sign]digits] with at least one digit before the exponent. */
static bool is_float_syntax(const uint8_t *text, size_t size)
{
        size_t i = digit_run(text, size), fraction = 0;

        if (i == 0 && size > 0 && text[0] != '.')
                return false;
        if (i < size && text[i] == '.') {
                fraction = digit_run(text + i + 1, size - i - 1);
                if (i + fraction == 0)
                        return false;
                i += 1 + fraction;
        }
        if (i < size && (text[i] == 'e' || text[i] == 'E')) {
                size_t run;

                i++;
                if (i < size && (text[i] == '+' || text[i] == '-'))
                        i++;
                run = digit_run(text + i, size - i);
                if (run == 0)
                        return false;
                i += run;
        }
        return i == size && size > 0;
}

int number_parse_float(const uint8_t *text, size_t size, double *ret)
{
        _cleanup_free_ char *plain = NULL;
        bool negative;
        double number;
        size_t n = 0;

        strip_blanks(&text, &size);
        negative = size > 0 && *text == '-';
        if (size > 0 && (*text == '-' || *text == '+')) {
                text++;
                size--;
        }
        if (is_word(text, size, "inf") || is_word(text, size, "infinity")) {
                number = INFINITY;
        } else if (is_word(text, size, "nan")) {
                number = NAN;
        } else if (is_float_syntax(text, size)) {
                plain = malloc(size + 1);
                if (!plain)
                        return -ENOMEM;
                for (size_t i = 0; i < size; i++)
                        if (text[i] != '_')
                                plain[n++] = (char)text[i];
                plain[n] = 0;
                number = strtod(plain, NULL);
        } else {
                return NUMBER_INVALID;
        }
        *ret = copysign(number, negative ? -1.0 : 1.0);
        return 0;
}

/* Two's complement of a finite double without fraction: its 53 bits, shifted. */
static void double_to_bytes(double number, uint8_t ret[DOUBLE_BYTES_MAX])
{
        int exponent;
        uint64_t mantissa = (uint64_t)ldexp(frexp(fabs(number), &exponent), 53);

        memset(ret, 0, DOUBLE_BYTES_MAX);
        for (int bit = 0; bit < 53; bit++)
                if (mantissa >> bit & 1)
                        ret[(exponent - 53 + bit) / 8] |= (uint8_t)(1u << (exponent - 53 + bit) % 8);
        if (number < 0)
                negate(ret, DOUBLE_BYTES_MAX);
}

int number_from_double(double number, Value **ret)
{
        uint8_t bytes[DOUBLE_BYTES_MAX];
        Value *v;

        if (!isfinite(number))
                return NUMBER_INVALID;
        if (fabs(number) < 0x1p63) {
                v = value_int_new((int64_t)number);
        } else {
                double_to_bytes(number, bytes);
                v = value_bigint_new(bytes, sizeof(bytes));
        }
        if (!v)
                return -ENOMEM;
        *ret = v;
        return 0;
}

static int bigint_to_double(const Value *v, double *ret)
{
        bool negative = value_bigint_is_negative(v);
        uint8_t bytes[DOUBLE_BYTES_MAX];
        size_t size = value_size(v), top;
        uint64_t head = 0;
        double number;

        if (size > sizeof(bytes))
                return NUMBER_INVALID;
        memcpy(bytes, value_data(v), size);
        if (negative)
                negate(bytes, size);
        for (top = size; top > 0 && bytes[top - 1] == 0;)
                top--;
        /* The highest 57 to 64 bits, and one bit below for whether anything is left: it decides the rounding.
         */
        for (size_t i = 0; i < 8; i++)
                head = head << 8 | (top > i ? bytes[top - 1 - i] : 0);
        for (size_t i = 8; i < top; i++)
                head |= bytes[top - 1 - i] != 0;
        number = ldexp((double)head, ((int)top - 8) * 8);
        if (isinf(number))
                return NUMBER_INVALID;
        *ret = negative ? -number : number;
        return 0;
}

int number_to_double(const Value *v, double *ret)
{
        if (value_type(v) == VALUE_BIGINT)
                return bigint_to_double(v, ret);
        *ret = value_type(v) == VALUE_FLOAT ? value_float_get(v) : (double)value_int_get(v);
        return 0;
}

static int compare_int64(int64_t a, int64_t b)
{
        return (a > b) - (a < b);
}

/* Both outside int64_t. */
static int compare_bigints(const Value *a, const Value *b)
{
        bool negative = value_bigint_is_negative(a);
        size_t size = value_size(a);

        if (negative != value_bigint_is_negative(b))
                return negative ? -1 : 1;
        if (size != value_size(b))
                return (size < value_size(b)) != negative ? -1 : 1;
        for (size_t i = size; i-- > 0;)
                if (value_data(a)[i] != value_data(b)[i])
                        return value_data(a)[i] < value_data(b)[i] ? -1 : 1;
        return 0;
}

/* An int that fits against a float. */
static int compare_int_double(int64_t a, double b)
{
        double whole;
        double fraction = modf(b, &whole);

        if (whole >= 0x1p63)
                return -1;
        if (whole < -0x1p63)
                return 1;
        if (a != (int64_t)whole)
                return compare_int64(a, (int64_t)whole);
        return (fraction < 0) - (fraction > 0);
}

static int compare_bigint_double(const Value *a, double b)
{
        int sign = value_bigint_is_negative(a) ? -1 : 1;
        uint8_t bytes[DOUBLE_BYTES_MAX];

        if (isinf(b))
                return b < 0 ? 1 : -1;
        /* Otherwise both are integers of the same sign. */
        if (fabs(b) < 0x1p63 || (b < 0) != (sign < 0) || value_size(a) > sizeof(bytes))
                return sign;
        double_to_bytes(b, bytes);
        for (size_t i = sizeof(bytes); i-- > 0;) {
                uint8_t byte = i < value_size(a) ? value_data(a)[i] : sign < 0 ? 0xff : 0;

                if (byte != bytes[i])
                        return byte < bytes[i] ? -1 : 1;
        }
        return 0;
}

int number_compare(const Value *a, const Value *b)
{
        bool float_a = value_type(a) == VALUE_FLOAT, float_b = value_type(b) == VALUE_FLOAT;
        bool big_a = value_type(a) == VALUE_BIGINT, big_b = value_type(b) == VALUE_BIGINT;

        if (float_a && float_b)
                return (value_float_get(a) > value_float_get(b)) - (value_float_get(a) < value_float_get(b));
        if (float_a)
                return -number_compare(b, a);
        if (float_b)
                return big_a ? compare_bigint_double(a, value_float_get(b)) :
                               compare_int_double(value_int_get(a), value_float_get(b));
        if (big_a && big_b)
                return compare_bigints(a, b);
        if (big_a)
                return value_bigint_is_negative(a) ? -1 : 1;
        if (big_b)
                return value_bigint_is_negative(b) ? 1 : -1;
        return compare_int64(value_int_get(a), value_int_get(b));
}
