/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The first byte chooses profile and limits, the rest is the pickle. Scanner and reader must agree about
 * everything. */

#include "pickle/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        PickleLimits limits = pickle_limits_default;
        limits.max_values = 100000;
        limits.max_memo = 100000;
        if (data[0] & 4)
                limits.max_depth = 3;
        PickleProfile profile = (PickleProfile)(data[0] % 3);

        size_t scan_offset = 0, read_offset = 0;
        _cleanup_value_ Value *value = NULL;
        _cleanup_bytes_ Bytes *pickle = bytes_new_wrap(data + 1, size - 1, NULL, NULL);
        int scanned = pickle_scan(data + 1, size - 1, profile, &limits, &scan_offset);
        int read = pickle_read(pickle, profile, &limits, &value, &read_offset);
        assert(scanned == read && scan_offset == read_offset && scan_offset <= size - 1);
        assert((read == 0) == (value != NULL));

        /* Whatever is allowed in node data is allowed elsewhere. */
        if (scanned == 0 && profile == PICKLE_PROFILE_DATA) {
                assert(pickle_scan(data + 1, size - 1, PICKLE_PROFILE_DELTA, &limits, NULL) == 0);
                assert(pickle_scan(data + 1, size - 1, PICKLE_PROFILE_PLAIN, &limits, NULL) == 0);
        }
        return 0;
}
