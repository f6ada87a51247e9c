/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The idiom of this code: destructors accept NULL and return NULL, so that
 * `x = x_free(x)` and the cleanup attribute read alike; ret_ parameters stay
 * untouched on failure; negative errno is fatal to the operation, positive
 * values are cases that the caller must handle.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _const_ __attribute__((__const__))
#define _pure_ __attribute__((__pure__))
#define _printf_(a, b) __attribute__((__format__(printf, a, b)))
#define _unused_ __attribute__((__unused__))
#define _warn_unused_ __attribute__((__warn_unused_result__))
#define _fallthrough_ __attribute__((__fallthrough__))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define MIN(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* Hands the value of a variable over and leaves NULL behind. */
#define TAKE_PTR(p) ({ __typeof__(p) *_pp = &(p); __typeof__(p) _v = *_pp; *_pp = NULL; _v; })

/* Hands a file descriptor over and leaves -1 behind. */
#define TAKE_FD(fd) ({ int *_fdp = &(fd); int _fd = *_fdp; *_fdp = -1; _fd; })

#define DEFINE_CLEANUP(type, func)                     \
        static inline void func##p(type *p)            \
        {                                              \
                if (*p)                                \
                        func(*p);                      \
        }

static inline void freep(void *p)
{
        free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)
