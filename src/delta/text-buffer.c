/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/text-buffer.h"

#include <errno.h>

#include "delta/delta.h"

static int text_grow(Text *t, size_t needed)
{
        size_t capacity = MAX(t->capacity, (size_t)32);
        uint8_t *data;

        while (capacity < needed)
                capacity *= 2;
        data = realloc(t->data, capacity);
        if (!data)
                return -ENOMEM;
        t->data = data;
        t->capacity = capacity;
        return 0;
}

int text_append(Text *t, const void *data, size_t size)
{
        int r;

        if (size > DELTA_TEXT_MAX - t->size)
                return DELTA_LIMIT;
        if (t->size + size > t->capacity) {
                r = text_grow(t, t->size + size);
                if (r < 0)
                        return r;
        }
        if (size > 0)
                memcpy(t->data + t->size, data, size);
        t->size += size;
        return 0;
}

int text_append_string(Text *t, const char *string)
{
        return text_append(t, string, strlen(string));
}

int text_append_byte(Text *t, uint8_t byte)
{
        return text_append(t, &byte, 1);
}
