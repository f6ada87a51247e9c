/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Writes a pickle (protocol 4) opcode by opcode, for the answers of the server
 * that are simpler to write down than to build as values:
 *
 *     pickle_builder_init(&b, 0);
 *     pickle_builder_dict(&b);                 {
 *     pickle_builder_mark(&b);
 *     pickle_builder_string(&b, "STATE");          'STATE':
 *     pickle_builder_string(&b, "DONE");           'DONE'
 *     pickle_builder_setitems(&b);             }
 *     r = pickle_builder_finish(&b, &bytes);
 *
 * Appending never fails: lack of memory is kept and reported by finish().
 * Whether the calls make a sensible pickle is the caller's business.
 */

#include "base/bytes.h"
#include "base/macros.h"

typedef struct PickleBuilder {
        /* private */
        uint8_t *text;
        size_t size;
        size_t allocated;
        int error;
} PickleBuilder;

/* size_hint: bytes expected in all, so that large payloads are copied exactly once; 0 when small. */
void pickle_builder_init(PickleBuilder *b, size_t size_hint);

void pickle_builder_none(PickleBuilder *b);
void pickle_builder_bool(PickleBuilder *b, bool value);
void pickle_builder_int(PickleBuilder *b, int64_t value);
void pickle_builder_float(PickleBuilder *b, double value);
void pickle_builder_string(PickleBuilder *b, const char *text);
void pickle_builder_str(PickleBuilder *b, const void *utf8, size_t size);
void pickle_builder_bytes(PickleBuilder *b, const void *data, size_t size);

/* Empty containers, to be filled with mark, members, appends or setitems; both work without members, too. */
void pickle_builder_list(PickleBuilder *b);
void pickle_builder_dict(PickleBuilder *b);
void pickle_builder_mark(PickleBuilder *b);
void pickle_builder_appends(PickleBuilder *b);
void pickle_builder_setitems(PickleBuilder *b);

/* A tuple of what stands above the newest mark. */
void pickle_builder_tuple(PickleBuilder *b);

/* Returns 0 and the pickle, or -ENOMEM; either way the builder is empty afterwards. */
int pickle_builder_finish(PickleBuilder *b, Bytes **ret);

/* Gives up; only needed where finish() is not called. */
void pickle_builder_clear(PickleBuilder *b);
#define _cleanup_pickle_builder_ _cleanup_(pickle_builder_clear)
