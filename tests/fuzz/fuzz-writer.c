/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Read, write, read: the same value, and the same bytes from then on. */

#include <errno.h>

#include "pickle/dump.h"
#include "pickle/reader.h"
#include "pickle/writer.h"

#define DUMP_SIZE_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_bytes_ Bytes *pickle = bytes_new_wrap(data, size, NULL, NULL);
        _cleanup_bytes_ Bytes *first = NULL, *second = NULL, *dump1 = NULL, *dump2 = NULL;
        _cleanup_value_ Value *a = NULL, *b = NULL;
        PickleLimits limits = pickle_limits_default;
        limits.max_values = 100000;

        if (pickle_read(pickle, PICKLE_PROFILE_PLAIN, &limits, &a, NULL) != 0)
                return 0;
        int r = pickle_write(a, (size_t)64 << 20, &first);
        if (r == -EINVAL)
                return 0; /* names a global */
        assert(r == 0);
        r = pickle_read(first, PICKLE_PROFILE_DATA, &limits, &b, NULL);
        assert(r == 0);

        int r1 = value_dump(a, VALUE_DUMP_ORDERED, DUMP_SIZE_MAX, &dump1);
        int r2 = value_dump(b, VALUE_DUMP_ORDERED, DUMP_SIZE_MAX, &dump2);
        assert(r1 == r2 && (r1 < 0 || bytes_equal(dump1, dump2)));
        r = pickle_write(b, (size_t)64 << 20, &second);
        assert(r == 0 && bytes_equal(first, second));
        Bytes *none = NULL;
        assert(pickle_write(b, first->size - 1, &none) == -E2BIG && !none);
        return 0;
}
