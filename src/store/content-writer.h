/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * ContentWriter: writes payloads from the worker's thread into content segments of
 * its own, so that it never shares a file with the journal. Nothing written is known to anybody else before
 * content_writer_finish().
 */

#include "store/internal.h"

typedef struct ContentWriter {
        Store *store;
        Segment *segment; /* being written; NULL: none yet */
        int fd;
        uint64_t end;
        uint64_t unsynced_bytes;
        uint64_t written_bytes;
        bool folder_dirty;
        Segment **segments; /* all that it made */
        size_t n_segments;
        StoreLocation *locations; /* all that it wrote */
        size_t n_locations;
        size_t n_allocated;
} ContentWriter;

void content_writer_init(ContentWriter *w, Store *s);

/* Writes a payload. `ret` gets its location. Syncs by itself every 16 MiB, so that no sync takes long. */
int content_writer_put(ContentWriter *w, uint16_t kind, const void *key, size_t key_size, const Bytes *blob,
                       const uint8_t digest[static STORE_DIGEST_SIZE], StoreLocation *ret);

/* Syncs everything, closes, and enters the payloads into the index. */
int content_writer_finish(ContentWriter *w);

/* Releases what it holds; on the main thread. What was not finished is removed from the disk. */
void content_writer_done(ContentWriter *w);
