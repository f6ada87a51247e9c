/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/attribute.h"

/* Public names of CPython 3.11's types: dir(type) without dunders. Each is between spaces. */
#define INT_NAMES \
        " as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag numerator " \
        "real to_bytes "

#define BYTES_NAMES \
        " capitalize center count decode endswith expandtabs find fromhex hex index isalnum " \
        "isalpha isascii isdigit islower isspace istitle isupper join ljust lower lstrip " \
        "maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition " \
        "rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill "

static const char *const names[] = {
        [VALUE_BOOL] = INT_NAMES,
        [VALUE_INT] = INT_NAMES,
        [VALUE_BIGINT] = INT_NAMES,
        [VALUE_FLOAT] = " as_integer_ratio conjugate fromhex hex imag is_integer real ",
        [VALUE_STR] = " capitalize casefold center count encode endswith expandtabs find "
                      "format format_map index isalnum isalpha isascii isdecimal isdigit "
                      "isidentifier islower isnumeric isprintable isspace istitle isupper "
                      "join ljust lower lstrip maketrans partition removeprefix removesuffix "
                      "replace rfind rindex rjust rpartition rsplit rstrip split splitlines "
                      "startswith strip swapcase title translate upper zfill ",
        [VALUE_BYTES] = BYTES_NAMES,
        [VALUE_BYTEARRAY] = BYTES_NAMES "append clear copy extend insert pop remove reverse ",
        [VALUE_LIST] = " append clear copy count extend index insert pop remove reverse sort ",
        [VALUE_TUPLE] = " count index ",
        [VALUE_DICT] = " clear copy fromkeys get items keys pop popitem setdefault update "
                       "values ",
        [VALUE_SET] = " add clear copy difference difference_update discard intersection "
                      "intersection_update isdisjoint issubset issuperset pop remove "
                      "symmetric_difference symmetric_difference_update union update ",
        [VALUE_FROZENSET] = " copy difference intersection isdisjoint issubset issuperset "
                            "symmetric_difference union ",
};

bool attribute_exists(const Value *v, const Value *name)
{
        const char *known = value_type(v) < ELEMENTSOF(names) ? names[value_type(v)] : NULL;
        const char *at;
        size_t size;

        if (!known || value_type(name) != VALUE_STR)
                return false;
        size = value_size(name);
        if (size == 0 || memchr(value_data(name), ' ', size))
                return false;
        at = memmem(known, strlen(known), value_data(name), size);
        for (; at; at = memmem(at + 1, strlen(at + 1), value_data(name), size))
                if (at > known && at[-1] == ' ' && at[size] == ' ')
                        return true;
        return false;
}
