/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the reader builds is put through the operations that delta application uses, with undo. */

#include "pickle/dump.h"
#include "pickle/reader.h"

#define DUMP_SIZE_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Bytes *dump(const Value *v)
{
        Bytes *text = NULL;
        int r = value_dump(v, VALUE_DUMP_ORDERED, DUMP_SIZE_MAX, &text);
        assert(r == 0 || text == NULL);
        return text;
}

/* Removes entry after entry, then puts all back. */
static void edit_dict(Value *dict)
{
        struct {
                Value *key;
                Value *value;
                uint32_t position;
        } undo[64];
        size_t n = 0;

        for (uint32_t slot = value_table_first(dict); slot != VALUE_SLOT_END && n < ELEMENTSOF(undo); n++) {
                uint32_t next = value_table_next(dict, slot);
                _cleanup_value_ Value *key = value_ref(value_table_key(dict, slot));
                assert(value_table_find(dict, key) == slot);
                value_table_remove(dict, slot, &undo[n].key, &undo[n].value, &undo[n].position);
                assert(value_table_find(dict, key) == VALUE_SLOT_END);
                slot = next;
        }
        while (n-- > 0)
                value_table_insert_at_take(dict, undo[n].position, undo[n].key, undo[n].value);
}

static void edit_list(Value *list)
{
        uint32_t n = value_list_length(list);
        if (n == 0)
                return;
        Value *item, *last;
        value_list_remove(list, n / 2, &item);
        int r = value_list_append(list, value_none());
        assert(r == 0);
        value_list_remove(list, n - 1, &last);
        assert(last == value_none());
        r = value_list_insert(list, n / 2, item);
        assert(r == 0 && value_list_get(list, n / 2) == item);
        value_unref(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_bytes_ Bytes *pickle = bytes_new_wrap(data, size, NULL, NULL);
        _cleanup_value_ Value *a = NULL, *b = NULL, *copy = NULL;
        PickleLimits limits = pickle_limits_default;
        limits.max_values = 100000;

        if (pickle_read(pickle, PICKLE_PROFILE_DELTA, &limits, &a, NULL) != 0)
                return 0;
        int r = pickle_read(pickle, PICKLE_PROFILE_DELTA, &limits, &b, NULL);
        assert(r == 0);
        _cleanup_bytes_ Bytes *before = dump(a), *twin = dump(b);
        assert(!before == !twin && (!before || bytes_equal(before, twin)));

        int equal = value_equal(a, b);
        assert(equal == 0 || equal == 1);
        if (value_is_dict(a))
                edit_dict(a);
        else if (value_is_list(a))
                edit_list(a);
        copy = value_shallow_copy(a);
        assert(copy && value_equal(a, copy) == (a->type == VALUE_FLOAT ? value_equal(a, a) : 1));
        _cleanup_bytes_ Bytes *after = dump(a);
        assert(!before == !after && (!before || bytes_equal(before, after)));

        size_t heap;
        r = value_heap_size(a, &heap);
        assert(r == 0);
        return 0;
}
