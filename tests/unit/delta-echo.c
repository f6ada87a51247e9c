/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The C half of test-delta-deepdiff.py. Reads records from standard input until
 * its end: u32 size and pickle of a node, u32 size and delta. Answers each with
 * one byte (DeltaError, or 255 where the node itself cannot be read or written),
 * u32 number of skipped entries, and four times u32 size and bytes: detail of a
 * refusal, canonical dump, ordered dump, and the pickle of the node afterwards.
 * All little endian.
 */

#include <endian.h>
#include <stdio.h>

#include "delta/delta.h"
#include "pickle/dump.h"
#include "pickle/writer.h"

#define DUMP_SIZE_MAX ((size_t)64 << 20)

static void put_number(uint32_t number)
{
        number = htole32(number);
        fwrite(&number, sizeof(number), 1, stdout);
}

static void put_blob(const void *data, size_t size)
{
        put_number((uint32_t)size);
        if (size > 0)
                fwrite(data, size, 1, stdout);
}

static Bytes *get_blob(void)
{
        uint32_t size;
        uint8_t *data;
        Bytes *b;

        if (fread(&size, sizeof(size), 1, stdin) != 1)
                return NULL;
        size = le32toh(size);
        b = bytes_new_uninitialised(size, &data);
        if (b && size > 0 && fread(data, size, 1, stdin) != 1)
                b = bytes_unref(b);
        return b;
}

static void answer(Bytes *node, Bytes *delta)
{
        _cleanup_value_ Value *v = NULL;
        _cleanup_bytes_ Bytes *dump = NULL, *ordered = NULL, *written = NULL;
        DeltaReport report = {};
        int r = pickle_read(node, PICKLE_PROFILE_PLAIN, &pickle_limits_default, &v, NULL) == 0 ? 0 : 255;

        if (r == 0)
                r = delta_apply(&v, delta, &pickle_limits_default, &report);
        if (r >= 0 && r != 255 &&
            (value_dump(v, VALUE_DUMP_SORTED, DUMP_SIZE_MAX, &dump) < 0 ||
             value_dump(v, VALUE_DUMP_ORDERED, DUMP_SIZE_MAX, &ordered) < 0 ||
             pickle_write(v, SIZE_MAX, &written) < 0))
                r = 255;
        putchar(r < 0 ? 255 : r);
        put_number(report.n_skipped);
        put_blob(report.detail, report.detail ? strlen(report.detail) : 0);
        put_blob(dump ? dump->data : NULL, dump ? dump->size : 0);
        put_blob(ordered ? ordered->data : NULL, ordered ? ordered->size : 0);
        put_blob(written ? written->data : NULL, written ? written->size : 0);
        fflush(stdout);
}

int main(void)
{
        for (;;) {
                _cleanup_bytes_ Bytes *node = get_blob(), *delta = NULL;

                if (!node)
                        return 0;
                delta = get_blob();
                if (!delta)
                        return 1;
                answer(node, delta);
        }
}
