/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/dump.h"

/* One member of a dict or set in the output: [start, end), of which [start, middle) is the key. */
typedef struct Piece {
        size_t start;
        size_t middle;
        size_t end;
} Piece;

typedef struct Frame {
        const Value *container;
        uint32_t position; /* next index, or slot */
        bool value_next;   /* dict: the key of position is out, its value is not */
        Piece *pieces;     /* dict and sets: in the order of writing */
        uint32_t n_pieces;
} Frame;

typedef struct Dump {
        uint8_t *text;
        size_t size;
        size_t n_allocated;
        size_t max_size;
        ValueDumpOrder order;
        Frame *frames;
        size_t n_frames;
        size_t n_frames_allocated;
} Dump;

static void dump_clear(Dump *d)
{
        for (size_t i = 0; i < d->n_frames; i++)
                free(d->frames[i].pieces);
        free(d->frames);
        free(d->text);
}

static int put(Dump *d, const void *data, size_t size)
{
        if (size > d->max_size - d->size)
                return -E2BIG;
        if (size > d->n_allocated - d->size) {
                size_t n = MAX(2 * d->n_allocated, d->size + size + 256);
                uint8_t *text = realloc(d->text, n);
                if (!text)
                        return -ENOMEM;
                d->text = text;
                d->n_allocated = n;
        }
        memcpy(d->text + d->size, data, size);
        d->size += size;
        return 0;
}

static int put_text(Dump *d, const char *text)
{
        return put(d, text, strlen(text));
}

static int put_quoted(Dump *d, char kind, const uint8_t *data, size_t size)
{
        static const char hex[] = "0123456789abcdef";
        int r = put(d, (char[]){ kind, '"' }, 2);
        for (size_t i = 0; i < size && r == 0; i++) {
                uint8_t c = data[i];
                if (c >= 0x20 && c <= 0x7e && c != '"' && c != '\\')
                        r = put(d, &c, 1);
                else
                        r = put(d, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
        }
        return r == 0 ? put_text(d, "\"") : r;
}

/* Hex of a big-endian run of bytes without leading zeros. */
static int put_magnitude(Dump *d, const uint8_t *little_endian, size_t size)
{
        static const char hex[] = "0123456789abcdef";
        bool started = false;
        int r = 0;
        for (size_t i = 2 * size; i-- > 0 && r == 0;) {
                unsigned digit = little_endian[i / 2] >> (i % 2 * 4) & 15;
                started = started || digit > 0 || i == 0;
                if (started)
                        r = put(d, &hex[digit], 1);
        }
        return r;
}

static int put_int(Dump *d, const uint8_t *twos_complement, size_t size)
{
        int r = put_text(d, "i");
        if (r < 0)
                return r;
        if (!(twos_complement[size - 1] & 0x80))
                return put_magnitude(d, twos_complement, size);

        _cleanup_free_ uint8_t *magnitude = malloc(size);
        if (!magnitude)
                return -ENOMEM;
        unsigned carry = 1;
        for (size_t i = 0; i < size; i++) {
                carry += (uint8_t)~twos_complement[i];
                magnitude[i] = (uint8_t)carry;
                carry >>= 8;
        }
        r = put_text(d, "-");
        return r == 0 ? put_magnitude(d, magnitude, size) : r;
}

static int put_small_int(Dump *d, int64_t number)
{
        uint8_t bytes[8];
        for (int i = 0; i < 8; i++)
                bytes[i] = (uint8_t)((uint64_t)number >> (8 * i));
        return put_int(d, bytes, sizeof bytes);
}

static int put_float(Dump *d, double number)
{
        static const char hex[] = "0123456789abcdef";
        uint64_t bits;
        char text[17] = "f";
        memcpy(&bits, &number, sizeof bits);
        for (int i = 0; i < 16; i++)
                text[1 + i] = hex[bits >> (60 - 4 * i) & 15];
        return put(d, text, sizeof text);
}

static const char *opening(const Value *v)
{
        switch (v->type) {
        case VALUE_LIST:
                return "[";
        case VALUE_TUPLE:
                return "(";
        case VALUE_OPCODE:
                return "O(";
        case VALUE_DICT:
                return "{";
        case VALUE_SET:
                return "<";
        default:
                return "{|";
        }
}

static const char *closing(const Value *v)
{
        switch (v->type) {
        case VALUE_LIST:
                return "]";
        case VALUE_TUPLE:
        case VALUE_OPCODE:
                return ")";
        case VALUE_DICT:
                return "}";
        case VALUE_SET:
                return ">";
        default:
                return "|}";
        }
}

static bool is_table(const Value *v)
{
        return v->type == VALUE_DICT || value_is_set(v);
}

static int begin_container(Dump *d, const Value *v)
{
        if (d->n_frames == d->n_frames_allocated) {
                size_t n = MAX(2 * d->n_frames_allocated, 16u);
                Frame *frames = realloc(d->frames, n * sizeof *frames);
                if (!frames)
                        return -ENOMEM;
                d->frames = frames;
                d->n_frames_allocated = n;
        }
        Frame frame = { .container = v, .position = is_table(v) ? value_table_first(v) : 0 };
        if (is_table(v)) {
                frame.pieces = malloc(MAX(value_table_length(v), 1u) * sizeof *frame.pieces);
                if (!frame.pieces)
                        return -ENOMEM;
        }
        d->frames[d->n_frames++] = frame;
        return put_text(d, opening(v));
}

static int put_value(Dump *d, const Value *v)
{
        switch (v->type) {
        case VALUE_NONE:
                return put_text(d, "N");
        case VALUE_BOOL:
                return put_text(d, value_bool_get(v) ? "T" : "F");
        case VALUE_INT:
                return put_small_int(d, value_int_get(v));
        case VALUE_BIGINT:
                return put_int(d, value_data(v), value_size(v));
        case VALUE_FLOAT:
                return put_float(d, value_float_get(v));
        case VALUE_STR:
                return put_quoted(d, 's', value_data(v), value_size(v));
        case VALUE_BYTES:
                return put_quoted(d, 'b', value_data(v), value_size(v));
        case VALUE_BYTEARRAY:
                return put_quoted(d, 'B', value_data(v), value_size(v));
        case VALUE_GLOBAL: {
                const char *name = value_global_to_string(value_global_get(v));
                return put_quoted(d, 'g', (const uint8_t *)name, strlen(name));
        }
        default:
                return begin_container(d, v);
        }
}

static int compare_runs(const uint8_t *text, size_t a, size_t a_end, size_t b, size_t b_end)
{
        size_t n = MIN(a_end - a, b_end - b);
        int r = memcmp(text + a, text + b, n);
        return r != 0 ? r : (a_end - a > b_end - b) - (a_end - a < b_end - b);
}

static int compare_pieces(const void *a, const void *b, void *text)
{
        const Piece *x = a, *y = b;
        int r = compare_runs(text, x->start, x->middle, y->start, y->middle);
        return r != 0 ? r : compare_runs(text, x->middle, x->end, y->middle, y->end);
}

/* The members were written one after the other without separators: put them in order, a comma after each. */
static int end_table(Dump *d, Frame *f)
{
        if (f->n_pieces > 0) {
                size_t start = f->pieces[0].start, size = d->size - start;
                _cleanup_free_ uint8_t *copy = malloc(size);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, d->text + start, size);
                if (f->container->type != VALUE_DICT || d->order == VALUE_DUMP_SORTED)
                        qsort_r(f->pieces, f->n_pieces, sizeof *f->pieces, compare_pieces, d->text);
                d->size = start;
                for (uint32_t i = 0; i < f->n_pieces; i++) {
                        const Piece *p = &f->pieces[i];
                        int r = put(d, copy + (p->start - start), p->end - p->start);
                        if (r == 0)
                                r = put_text(d, ",");
                        if (r < 0)
                                return r;
                }
        }
        return put_text(d, closing(f->container));
}

/* Writes the next member of the innermost container, or closes it. */
static int step_table(Dump *d, Frame *f)
{
        if (f->value_next) {
                f->value_next = false;
                f->pieces[f->n_pieces - 1].middle = d->size;
                int r = put_text(d, ":");
                if (r < 0)
                        return r;
                const Value *value = value_dict_value(f->container, f->position);
                f->position = value_table_next(f->container, f->position);
                return put_value(d, value);
        }
        if (f->n_pieces > 0) {
                f->pieces[f->n_pieces - 1].end = d->size;
                if (f->container->type != VALUE_DICT)
                        f->pieces[f->n_pieces - 1].middle = d->size;
        }
        if (f->position == VALUE_SLOT_END) {
                int r = end_table(d, f);
                free(f->pieces);
                d->n_frames--;
                return r;
        }
        f->pieces[f->n_pieces++] = (Piece){ .start = d->size };
        const Value *key = value_table_key(f->container, f->position);
        if (f->container->type == VALUE_DICT)
                f->value_next = true;
        else
                f->position = value_table_next(f->container, f->position);
        return put_value(d, key);
}

static int step_sequence(Dump *d, Frame *f)
{
        int r = f->position > 0 ? put_text(d, ",") : 0;
        if (r < 0)
                return r;
        if (f->position == value_sequence_length(f->container)) {
                d->n_frames--;
                return put_text(d, closing(f->container));
        }
        return put_value(d, value_sequence_get(f->container, f->position++));
}

int value_dump(const Value *v, ValueDumpOrder order, size_t max_size, Bytes **ret)
{
        _cleanup_(dump_clear) Dump d = { .max_size = max_size, .order = order };

        int r = put_value(&d, v);
        while (r == 0 && d.n_frames > 0) {
                Frame *f = &d.frames[d.n_frames - 1];
                r = is_table(f->container) ? step_table(&d, f) : step_sequence(&d, f);
        }
        if (r < 0)
                return r;
        *ret = bytes_new_copy(d.text, d.size);
        return *ret ? 0 : -ENOMEM;
}
