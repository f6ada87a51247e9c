/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any text is a path: reading it must end, and give the same elements for an equal text. */

#include "delta/path.h"
#include "delta/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_text(const uint8_t *data, size_t size)
{
        /* The pickle reader lets nothing else through, but for surrogates. */
        return unicode_is_valid(data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_path_ Path *path = NULL, *again = NULL, *prefix = NULL;

        if (!is_text(data, size) || path_parse(data, size, &path) != 0 || path_parse(data, size, &again) != 0)
                return 0;
        assert(path->n == again->n && path->is_opaque == again->is_opaque && path->n <= size);
        for (uint32_t i = 0; i < path->n; i++) {
                assert(value_key_equal(path->elements[i].value, again->elements[i].value));
                assert(path->elements[i].is_attribute == again->elements[i].is_attribute);
        }
        prefix = path_prefix(path, path->n / 2);
        assert(!prefix || prefix->n == path->n / 2);
        return 0;
}
