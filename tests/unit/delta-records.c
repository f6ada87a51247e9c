/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta-records.h"

#include <errno.h>
#include <stdio.h>

#define LABEL_MAX 200

static int read_file(const char *file_name, Bytes **ret)
{
        FILE *f = fopen(file_name, "rbe");
        uint8_t *data;
        long size;
        Bytes *b;

        if (!f)
                return -errno;
        fseek(f, 0, SEEK_END);
        size = ftell(f);
        rewind(f);
        b = bytes_new_uninitialised((size_t)size, &data);
        if (b && fread(data, 1, (size_t)size, f) != (size_t)size)
                b = bytes_unref(b);
        fclose(f);
        if (!b)
                return -EIO;
        *ret = b;
        return 0;
}

static bool read_number(const Bytes *file, size_t *at, size_t size, uint64_t *ret)
{
        uint64_t number = 0;

        if (file->size - *at < size)
                return false;
        for (size_t i = size; i-- > 0;)
                number = number << 8 | file->data[*at + i];
        *at += size;
        *ret = number;
        return true;
}

static bool read_field(Bytes *file, size_t *at, Bytes **ret)
{
        uint64_t size;

        if (!read_number(file, at, 4, &size) || file->size - *at < size)
                return false;
        *ret = bytes_new_slice(file, *at, size);
        *at += size;
        return *ret != NULL;
}

static void record_done(DeltaRecord *r)
{
        bytes_unref(r->label);
        bytes_unref(r->before);
        bytes_unref(r->delta);
        bytes_unref(r->after);
        bytes_unref(r->dump);
}

int delta_records_for_each(const char *file_name, DeltaRecordFunc function, void *userdata)
{
        _cleanup_bytes_ Bytes *file = NULL;
        uint64_t n = 0, flags;
        size_t at = 8;
        int r = read_file(file_name, &file);

        if (r < 0)
                return r;
        if (file->size < at || memcmp(file->data, "MUDC0001", 8) != 0 || !read_number(file, &at, 4, &n))
                return -EBADMSG;
        for (uint64_t i = 0; i < n; i++) {
                _cleanup_(record_done) DeltaRecord record = {};

                if (!read_number(file, &at, 4, &flags) || !read_number(file, &at, 8, &record.order_hash) ||
                    !read_field(file, &at, &record.label) || !read_field(file, &at, &record.before) ||
                    !read_field(file, &at, &record.delta) || !read_field(file, &at, &record.after) ||
                    !read_field(file, &at, &record.dump))
                        return -EBADMSG;
                record.flags = (uint32_t)flags;
                function(&record, userdata);
        }
        return (int)n;
}

const char *delta_record_label(const DeltaRecord *record)
{
        static char label[LABEL_MAX];
        size_t n = MIN(record->label->size, sizeof(label) - 1);

        memcpy(label, record->label->data, n);
        label[n] = 0;
        return label;
}

uint64_t delta_record_hash(const Bytes *text)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < text->size; i++)
                hash = (hash ^ text->data[i]) * UINT64_C(0x100000001b3);
        return hash;
}
