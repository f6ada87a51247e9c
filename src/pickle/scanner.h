/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Checks a pickle without building anything: complete, well-formed (stack,
 * marks, memo, container kinds, hashability), within budgets, and free of
 * every opcode and global that the caller's profile does not list. What
 * passes here can be loaded by any Python without running code, and by our
 * reader without surprise.
 *
 * Source of the opcode semantics: CPython 3.11 Modules/_pickle.c behaviour,
 * PEP 3154, PEP 574.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

typedef enum PickleProfile {
        PICKLE_PROFILE_DATA,  /* node data, dependencies, command data: no globals at all */
        PICKLE_PROFILE_DELTA, /* exactly what deepdiff 8.1.1 lets its own unpickler load and needs */
        PICKLE_PROFILE_PLAIN, /* for files, never for relay: as DATA, and the calls by which protocols 0 to 4
                               * write bytes, bytearray, set and frozenset */
} PickleProfile;

typedef struct PickleLimits {
        size_t max_size;     /* bytes of the pickle */
        uint32_t max_depth;  /* nesting of containers; at most 250 in any case */
        uint32_t max_memo; /* the highest number in the memo; it may never be above its byte offset either */
        uint32_t max_values; /* opcodes that push a value */
} PickleLimits;

extern const PickleLimits pickle_limits_default;

/* Why a pickle is refused; positive, so that it can be returned where 0 is success. */
typedef enum PickleError {
        PICKLE_OK = 0,
        PICKLE_TRUNCATED,
        PICKLE_BAD_OPCODE,      /* not an opcode at all */
        PICKLE_FORBIDDEN_OPCODE,
        PICKLE_FORBIDDEN_GLOBAL,
        PICKLE_STACK,           /* underflow, stray mark, wrong container, odd count */
        PICKLE_MEMO,            /* reference to a number that was never stored */
        PICKLE_UNHASHABLE,      /* dict key or set member that Python would refuse */
        PICKLE_BAD_TEXT,        /* not UTF-8, not a number, bad escape */
        PICKLE_BAD_SIZE,        /* negative or unrepresentable length */
        PICKLE_CYCLE,           /* a container that holds itself, or changes after it was referred to */
        PICKLE_LIMIT,           /* depth, size, memo or count beyond the limits */
        _PICKLE_ERROR_MAX,
} PickleError;

/* A lower-case phrase for people, such as "forbidden global". */
const char *pickle_error_to_string(int error);

/* Returns 0 when the pickle may pass, a positive PickleError when not (then *ret_offset, which may be NULL,
 * is the byte at which it was noticed), or -ENOMEM. Work is linear in size. */
int pickle_scan(const void *data, size_t size, PickleProfile profile, const PickleLimits *limits,
                size_t *ret_offset);
