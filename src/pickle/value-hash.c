/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "pickle/siphash.h"
#include "pickle/value-private.h"
#include "pickle/value.h"

static uint8_t hash_key[16];

__attribute__((__constructor__)) static void draw_hash_key(void)
{
        if (getrandom(hash_key, sizeof hash_key, 0) != sizeof hash_key) {
                fputs("scenekeep: the kernel gives no random numbers (getrandom failed); cannot start\n",
                      stderr);
                abort();
        }
}

/* ---- numbers: all types that compare equal share one form ---- */

size_t double_to_twos_complement(double number, uint8_t ret[static DOUBLE_INTEGER_SIZE_MAX])
{
        int exponent;
        uint64_t mantissa = (uint64_t)ldexp(frexp(fabs(number), &exponent), 53);
        int shift = exponent - 53;
        if (shift < 0) {
                mantissa >>= -shift;
                shift = 0;
        }

        memset(ret, 0, DOUBLE_INTEGER_SIZE_MAX);
        for (int bit = 0; bit < 53; bit++)
                if (mantissa >> bit & 1)
                        ret[(shift + bit) / 8] |= (uint8_t)(1u << ((shift + bit) % 8));
        if (number < 0) {
                unsigned carry = 1;
                for (size_t i = 0; i < DOUBLE_INTEGER_SIZE_MAX; i++) {
                        carry += (uint8_t)~ret[i];
                        ret[i] = (uint8_t)carry;
                        carry >>= 8;
                }
        }
        return twos_complement_shorten(ret, DOUBLE_INTEGER_SIZE_MAX);
}

static bool float_equal_other(double number, const Value *other)
{
        int64_t integer;
        if (other->type == VALUE_FLOAT)
                return number == value_float_get(other);
        if (other->type != VALUE_BIGINT)
                return double_as_int64(number, &integer) && integer == value_int_get(other);
        if (!isfinite(number) || number != trunc(number))
                return false;
        uint8_t digits[DOUBLE_INTEGER_SIZE_MAX];
        size_t size = double_to_twos_complement(number, digits);
        return size == value_size(other) && memcmp(digits, value_data(other), size) == 0;
}

bool value_number_equal(const Value *a, const Value *b)
{
        if (a->type == VALUE_FLOAT)
                return float_equal_other(value_float_get(a), b);
        if (b->type == VALUE_FLOAT)
                return float_equal_other(value_float_get(b), a);
        if (a->type == VALUE_BIGINT || b->type == VALUE_BIGINT)
                return a->type == b->type && value_size(a) == value_size(b) &&
                       memcmp(value_data(a), value_data(b), value_size(a)) == 0;
        return value_int_get(a) == value_int_get(b);
}

/* ---- digests ---- */

static ValueDigest digest_of(char kind, const void *data, size_t size)
{
        SipHash state;
        uint64_t result[2];

        siphash_begin(&state, hash_key);
        siphash_add(&state, data, size);
        siphash_add(&state, &kind, 1);
        siphash_end(&state, result);
        return (ValueDigest){ result[0], result[1] };
}

static ValueDigest digest_float(const Value *v)
{
        double number = value_float_get(v);
        int64_t integer;

        if (isnan(number))
                return digest_of('n', &v, sizeof v);
        if (double_as_int64(number, &integer))
                return digest_of('i', &integer, sizeof integer);
        if (isfinite(number) && number == trunc(number)) {
                uint8_t digits[DOUBLE_INTEGER_SIZE_MAX];
                size_t size = double_to_twos_complement(number, digits);
                return digest_of('I', digits, size);
        }
        return digest_of('f', &number, sizeof number);
}

static ValueDigest digest_string(const Value *v)
{
        char kind = v->type == VALUE_STR ? 's' : v->type == VALUE_BYTES ? 'b' : 'I';
        if (value_size(v) <= VALUE_SHORT_MAX)
                return digest_of(kind, value_data(v), value_size(v));

        ValueLongString *string = (ValueLongString *)v;
        if (!(v->flags & VALUE_FLAG_DIGEST)) {
                string->digest = digest_of(kind, value_data(v), value_size(v));
                string->string.base.flags |= VALUE_FLAG_DIGEST;
        }
        return string->digest;
}

static ValueDigest digest_leaf(const Value *v)
{
        switch (v->type) {
        case VALUE_NONE:
                return digest_of('N', "", 0);
        case VALUE_BOOL:
        case VALUE_INT:
                return digest_of('i', &((const ValueInt *)v)->number, sizeof(int64_t));
        case VALUE_FLOAT:
                return digest_float(v);
        default:
                return digest_string(v);
        }
}

/* One tuple or frozenset whose members are being digested. */
typedef struct Frame {
        Value *container;
        uint32_t position; /* next index, or slot */
        SipHash state;     /* tuples */
        ValueDigest sum;   /* frozensets: independent of order */
} Frame;

static void frame_begin(Frame *f, Value *container)
{
        *f = (Frame){ .container = container };
        if (container->type == VALUE_TUPLE)
                siphash_begin(&f->state, hash_key);
        else
                f->position = value_table_first(container);
}

static Value *frame_next(Frame *f)
{
        if (f->container->type == VALUE_TUPLE) {
                bool more = f->position < value_tuple_length(f->container);
                return more ? value_tuple_get(f->container, f->position++) : NULL;
        }
        if (f->position == VALUE_SLOT_END)
                return NULL;
        Value *member = value_table_key(f->container, f->position);
        f->position = value_table_next(f->container, f->position);
        return member;
}

static void frame_add(Frame *f, ValueDigest d)
{
        if (f->container->type == VALUE_TUPLE) {
                siphash_add_u64(&f->state, d.low);
                siphash_add_u64(&f->state, d.high);
                return;
        }
        f->sum.low += d.low;
        f->sum.high += d.high;
}

static ValueDigest frame_end(Frame *f)
{
        ValueDigest *digest;
        if (f->container->type == VALUE_TUPLE) {
                uint64_t result[2];
                siphash_add(&f->state, "t", 1);
                siphash_end(&f->state, result);
                digest = &((ValueTuple *)f->container)->digest;
                *digest = (ValueDigest){ result[0], result[1] };
        } else {
                digest = &((ValueTable *)f->container)->digest;
                *digest = digest_of('z', &f->sum, sizeof f->sum);
        }
        f->container->flags |= VALUE_FLAG_DIGEST;
        return *digest;
}

static bool known_digest(const Value *v, ValueDigest *ret)
{
        if (v->type != VALUE_TUPLE && v->type != VALUE_FROZENSET)
                *ret = digest_leaf(v);
        else if (!(v->flags & VALUE_FLAG_DIGEST))
                return false;
        else
                *ret = v->type == VALUE_TUPLE ? ((const ValueTuple *)v)->digest
                                              : ((const ValueTable *)v)->digest;
        return true;
}

ValueDigest value_digest(const Value *v)
{
        ValueDigest digest;
        Frame frames[VALUE_HASH_DEPTH_MAX];
        size_t n = 0;

        assert(value_is_hashable(v));
        if (known_digest(v, &digest))
                return digest;

        frame_begin(&frames[n++], (Value *)v);
        while (n > 0) {
                Frame *f = &frames[n - 1];
                Value *member = frame_next(f);
                if (member && !known_digest(member, &digest)) {
                        frame_begin(&frames[n++], member);
                        continue;
                }
                if (!member) {
                        digest = frame_end(f);
                        n--;
                }
                if (n > 0)
                        frame_add(&frames[n - 1], digest);
        }
        return digest;
}

/* ---- key equality ---- */

bool value_key_equal(const Value *a, const Value *b)
{
        if (a == b)
                return true;
        if (value_is_number(a))
                return value_is_number(b) && value_number_equal(a, b);
        if (a->type != b->type)
                return false;

        bool by_digest = true;
        switch (a->type) {
        case VALUE_STR:
        case VALUE_BYTES:
                if (value_size(a) != value_size(b))
                        return false;
                if (value_size(a) <= VALUE_SHORT_MAX)
                        return memcmp(value_data(a), value_data(b), value_size(a)) == 0;
                break;
        case VALUE_TUPLE:
                by_digest = value_tuple_length(a) == value_tuple_length(b);
                break;
        case VALUE_FROZENSET:
                by_digest = value_table_length(a) == value_table_length(b);
                break;
        default:
                return a->type == VALUE_NONE;
        }
        if (!by_digest)
                return false;
        ValueDigest x = value_digest(a), y = value_digest(b);
        return x.low == y.low && x.high == y.high;
}
