/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/pages.h"

#include <string.h>
#include <sys/mman.h>

/* Less is not worth two system calls. */
#define PAGES_SIZE_MIN ((size_t)64 << 10)

void *pages_new(size_t size)
{
        if (size < PAGES_SIZE_MIN)
                return calloc(1, MAX(size, (size_t)1));
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? NULL : p;
}

void *pages_resize(void *pages, size_t old_size, size_t size)
{
        if (old_size >= PAGES_SIZE_MIN && size >= PAGES_SIZE_MIN) {
                void *p = mremap(pages, old_size, size, MREMAP_MAYMOVE);
                return p == MAP_FAILED ? NULL : p;
        }
        if (pages && old_size < PAGES_SIZE_MIN && size < PAGES_SIZE_MIN) {
                uint8_t *p = realloc(pages, MAX(size, (size_t)1));
                if (p && size > old_size)
                        memset(p + old_size, 0, size - old_size);
                return p;
        }
        void *p = pages_new(size);
        if (!p)
                return NULL;
        if (pages)
                memcpy(p, pages, MIN(old_size, size));
        pages_free(pages, old_size);
        return p;
}

void pages_free(void *pages, size_t size)
{
        if (size < PAGES_SIZE_MIN)
                free(pages);
        else if (pages)
                munmap(pages, size);
}
