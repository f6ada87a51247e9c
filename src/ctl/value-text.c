/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/value-text.h"

#include <stdio.h>
#include <string.h>

#include "delta/repr.h"
#include "pickle/dump.h"

/* A dump of a number may be longer than what is shown of it, never by more than this. */
#define DUMP_FACTOR 4u

static char *kind_text(const Value *v)
{
        ValueType type = value_type(v);
        const char *name = value_type_to_string(type);
        char *s;
        int n;

        if (type == VALUE_STR || type == VALUE_BYTES || type == VALUE_BYTEARRAY)
                n = asprintf(&s, "%s of %zu bytes", name, value_size(v));
        else if (type == VALUE_LIST || type == VALUE_TUPLE)
                n = asprintf(&s, "%s of %u items", name, value_sequence_length(v));
        else if (value_is_dict(v))
                n = asprintf(&s, "%s of %u items", name, value_table_length(v));
        else
                n = asprintf(&s, "%s", name);
        return n < 0 ? NULL : s;
}

char *value_text(const Value *v, size_t max_size)
{
        _cleanup_bytes_ Bytes *dump = NULL;
        _cleanup_text_ Text text = {0};

        /* It says at once that something is too long, however deep it is and however much of it is shared. */
        if (value_dump(v, VALUE_DUMP_ORDERED, max_size * DUMP_FACTOR, &dump) != 0 || repr_append(v, &text) != 0 ||
            text.size > max_size)
                return kind_text(v);
        return strndup((const char *)text_data(&text), text.size);
}

char *value_key_text(const Value *v, size_t max_size)
{
        if (value_is_string(v) && value_size(v) <= max_size)
                return strndup((const char *)value_data(v), value_size(v));
        return value_text(v, max_size);
}
