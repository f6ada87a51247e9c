/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/marks.h"

#include <endian.h>
#include <errno.h>

#include "base/pages.h"

void marks_done(Marks *m)
{
        pages_free(m->data, m->n_allocated);
        *m = (Marks){};
}

int marks_add(Marks *m, const void *uuid, size_t size, uint64_t wall)
{
        assert(size <= UINT8_MAX);
        size_t needed = m->size + 1 + size + sizeof wall;
        if (needed > m->n_allocated) {
                size_t n_allocated = needed * 2;
                uint8_t *data = pages_resize(m->data, m->n_allocated, n_allocated);
                if (!data)
                        return -ENOMEM;
                m->data = data;
                m->n_allocated = n_allocated;
        }
        uint8_t *p = m->data + m->size;
        wall = htole64(wall);
        *p++ = (uint8_t)size;
        memcpy(p, uuid, size);
        memcpy(p + size, &wall, sizeof wall);
        m->size = needed;
        return 0;
}

Bytes *marks_take(Marks *m)
{
        uint8_t *data = pages_resize(m->data, m->n_allocated, m->size);
        if (!data)
                return NULL;
        m->data = data;
        m->n_allocated = m->size;
        Bytes *b = bytes_new_take_pages(data, m->size);
        if (b)
                *m = (Marks){};
        return b;
}

bool marks_next(const void *data, size_t size, size_t *offset, Mark *ret)
{
        size_t left = size - *offset;
        const uint8_t *p = (const uint8_t *)data + *offset;
        uint64_t wall;
        if (left == 0 || left < 1 + (size_t)*p + sizeof wall || *p == 0)
                return false;
        memcpy(&wall, p + 1 + *p, sizeof wall);
        *ret = (Mark){ .uuid = p + 1, .size = *p, .wall = le64toh(wall) };
        *offset += 1 + ret->size + sizeof wall;
        return true;
}
