/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The first two bytes are the size of a node's pickle, which follows; the rest
 * is a delta. Applied, the node must still be one that can be encoded and read
 * again as the same value; refused, nothing of it may have changed.
 */

#include "delta/delta.h"
#include "pickle/dump.h"
#include "pickle/writer.h"

#define HEADER_SIZE 2
#define DUMP_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Bytes *dump(const Value *v)
{
        Bytes *b;

        return value_dump(v, VALUE_DUMP_ORDERED, DUMP_MAX, &b) == 0 ? b : NULL;
}

static void check_result(const Value *v)
{
        _cleanup_bytes_ Bytes *encoded = NULL, *before = dump(v), *after = NULL;
        _cleanup_value_ Value *again = NULL;
        int r;

        assert(pickle_write(v, SIZE_MAX, &encoded) == 0);
        r = pickle_read(encoded, PICKLE_PROFILE_PLAIN, &pickle_limits_default, &again, NULL);
        assert(r == 0);
        after = dump(again);
        assert(!before == !after && (!before || bytes_equal(before, after)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_bytes_ Bytes *node = NULL, *delta = NULL, *before = NULL, *after = NULL;
        _cleanup_value_ Value *v = NULL;
        const Value *root;
        size_t node_size;
        int r;

        if (size < HEADER_SIZE)
                return 0;
        node_size = MIN((size_t)(data[0] | data[1] << 8), size - HEADER_SIZE);
        node = bytes_new_copy(data + HEADER_SIZE, node_size);
        delta = bytes_new_copy(data + HEADER_SIZE + node_size, size - HEADER_SIZE - node_size);
        if (!node || !delta || pickle_read(node, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL) != 0)
                return 0;
        before = dump(v);
        root = v;
        r = delta_apply(&v, delta, &pickle_limits_default, NULL);
        if (r == 0) {
                check_result(v);
                return 0;
        }
        after = dump(v);
        assert(v == root && !before == !after && (!before || bytes_equal(before, after)));
        return 0;
}
