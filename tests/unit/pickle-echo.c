/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * For tests that have Python as the other half. Reads records from standard
 * input until its end: one byte (profile: 'd' data, 'D' delta, 'p' plain), u32
 * size, pickle. Answers each with one byte (PickleError, or 255 for a failure
 * of the writer), u32 size and canonical dump, u32 size and ordered dump, u32
 * size and the pickle written anew. All little endian.
 */

#include <endian.h>
#include <stdio.h>

#include "pickle/dump.h"
#include "pickle/reader.h"
#include "pickle/writer.h"

#define DUMP_SIZE_MAX ((size_t)64 << 20)

static void put_blob(const Bytes *b)
{
        uint32_t size = htole32(b ? (uint32_t)b->size : 0);
        fwrite(&size, sizeof size, 1, stdout);
        if (b && b->size > 0)
                fwrite(b->data, b->size, 1, stdout);
}

static void answer(Bytes *pickle, PickleProfile profile)
{
        _cleanup_value_ Value *value = NULL;
        _cleanup_bytes_ Bytes *dump = NULL, *ordered = NULL, *written = NULL;

        int r = pickle_read(pickle, profile, &pickle_limits_default, &value, NULL);
        int scanned = pickle_scan(pickle->data, pickle->size, profile, &pickle_limits_default, NULL);
        if (scanned != r)
                r = 255;
        if (r == 0 && (value_dump(value, VALUE_DUMP_SORTED, DUMP_SIZE_MAX, &dump) < 0 ||
                       value_dump(value, VALUE_DUMP_ORDERED, DUMP_SIZE_MAX, &ordered) < 0 ||
                       pickle_write(value, SIZE_MAX, &written) < 0))
                r = 255;
        putchar(r < 0 ? 255 : r);
        put_blob(dump);
        put_blob(ordered);
        put_blob(written);
        fflush(stdout);
}

int main(void)
{
        int kind;
        while ((kind = getchar()) != EOF) {
                uint32_t size;
                uint8_t *data;
                if (fread(&size, sizeof size, 1, stdin) != 1)
                        return 1;
                size = le32toh(size);
                _cleanup_bytes_ Bytes *pickle = bytes_new_uninitialised(size, &data);
                if (!pickle || (size > 0 && fread(data, size, 1, stdin) != 1))
                        return 1;
                answer(pickle, kind == 'D' ? PICKLE_PROFILE_DELTA : kind == 'p' ? PICKLE_PROFILE_PLAIN :
                                                                                  PICKLE_PROFILE_DATA);
        }
        return 0;
}
