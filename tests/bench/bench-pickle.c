/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Prints how fast pickles are scanned, read and written, beside Python where
 * it is installed, and how the work grows with adversarial input: each shape
 * at three sizes, with the exponent of the growth (1.0 is linear).
 */

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "pickle/builder.h"
#include "pickle/opcode.h"
#include "pickle/reader.h"
#include "pickle/writer.h"

#define REPETITIONS 7

static double now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
        fprintf(stderr, "bench-pickle: %s\n", what);
        exit(EXIT_FAILURE);
}

/* ---- measuring: best of some repetitions, seconds of CPU time, so that a busy machine disturbs little ---- */

static double time_scan(const Bytes *b, int *ret_error)
{
        double best = INFINITY;
        for (int i = 0; i < REPETITIONS; i++) {
                double start = now();
                *ret_error = pickle_scan(b->data, b->size, PICKLE_PROFILE_DATA, &pickle_limits_default, NULL);
                best = MIN(best, now() - start);
        }
        return best;
}

static double time_read(Bytes *b)
{
        double best = INFINITY;
        for (int i = 0; i < REPETITIONS; i++) {
                _cleanup_value_ Value *v = NULL;
                double start = now();
                if (pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL) != 0)
                        fail("a pickle made for the benchmark is refused");
                best = MIN(best, now() - start);
        }
        return best;
}

static double time_write(Bytes *b)
{
        double best = INFINITY;
        _cleanup_value_ Value *v = NULL;
        if (pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL) != 0)
                fail("a pickle made for the benchmark is refused");
        for (int i = 0; i < REPETITIONS; i++) {
                _cleanup_bytes_ Bytes *written = NULL;
                double start = now();
                if (pickle_write(v, SIZE_MAX, &written) < 0)
                        fail("out of memory");
                best = MIN(best, now() - start);
        }
        return best;
}

static double time_free(Bytes *b)
{
        double best = INFINITY;
        for (int i = 0; i < REPETITIONS; i++) {
                Value *v = NULL;
                if (pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL) != 0)
                        fail("a pickle made for the benchmark is refused");
                double start = now();
                value_unref(v);
                best = MIN(best, now() - start);
        }
        return best;
}

/* Python's loads and dumps of the same pickle; false without Python. */
static bool time_python(const Bytes *b, double *ret_loads, double *ret_dumps)
{
        static const char program[] =
            "/usr/bin/python3 -c 'import sys,pickle,time\n"
            "b=sys.stdin.buffer.read()\n"
            "def best(f):\n"
            "    t=[]\n"
            "    for _ in range(7):\n"
            "        s=time.process_time(); x=f(); t.append(time.process_time()-s); del x\n"
            "    return min(t)\n"
            "v=pickle.loads(b)\n"
            "open(sys.argv[1],\"w\").write(\"%g "
            "%g\"%(best(lambda:pickle.loads(b)),best(lambda:pickle.dumps(v,4))))"
            "' ";
        char result[] = "/tmp/bench-pickle-XXXXXX", command[1024];
        int fd = mkstemp(result);
        if (fd < 0)
                return false;
        FILE *answer = fdopen(fd, "r");
        snprintf(command, sizeof command, "%s %s 2>/dev/null", program, result);
        FILE *python = popen(command, "w");
        bool ok = answer && python && fwrite(b->data, b->size, 1, python) == 1;
        if (python && pclose(python) != 0)
                ok = false;
        ok = ok && fscanf(answer, "%lf %lf", ret_loads, ret_dumps) == 2;
        if (answer)
                fclose(answer);
        remove(result);
        return ok;
}

/* ---- payloads ---- */

static Bytes *finish(PickleBuilder *b)
{
        Bytes *bytes;
        if (pickle_builder_finish(b, &bytes) < 0)
                fail("out of memory");
        return bytes;
}

/* {0: bytes, 1: bytes, ...} of 64 MB in all */
static Bytes *many_bytes(size_t size)
{
        size_t n = ((size_t)64 << 20) / size;
        _cleanup_free_ uint8_t *zeros = calloc(1, size);
        if (!zeros)
                fail("out of memory");
        PickleBuilder b;
        pickle_builder_init(&b, n * (size + 10) + 16);
        pickle_builder_dict(&b);
        pickle_builder_mark(&b);
        for (size_t i = 0; i < n; i++) {
                pickle_builder_int(&b, (int64_t)i);
                pickle_builder_bytes(&b, zeros, size);
        }
        pickle_builder_setitems(&b);
        return finish(&b);
}

/* {0: [x, y, z], ...} */
static Bytes *float_triples(int n)
{
        PickleBuilder b;
        pickle_builder_init(&b, 0);
        pickle_builder_dict(&b);
        pickle_builder_mark(&b);
        for (int i = 0; i < n; i++) {
                pickle_builder_int(&b, i);
                pickle_builder_list(&b);
                pickle_builder_mark(&b);
                for (int j = 0; j < 3; j++)
                        pickle_builder_float(&b, i + j * 0.1);
                pickle_builder_appends(&b);
        }
        pickle_builder_setitems(&b);
        return finish(&b);
}

/* [0.0, 1.0, ...] */
static Bytes *floats(int n)
{
        PickleBuilder b;
        pickle_builder_init(&b, 0);
        pickle_builder_list(&b);
        pickle_builder_mark(&b);
        for (int i = 0; i < n; i++)
                pickle_builder_float(&b, i);
        pickle_builder_appends(&b);
        return finish(&b);
}

/* [{'name': 'item 7', 'index': 7, 'hide': False, 'factor': 3.5}, ...] */
static Bytes *small_dicts(int n)
{
        PickleBuilder b;
        pickle_builder_init(&b, 0);
        pickle_builder_list(&b);
        pickle_builder_mark(&b);
        for (int i = 0; i < n; i++) {
                char name[32];
                snprintf(name, sizeof name, "item %d", i);
                pickle_builder_dict(&b);
                pickle_builder_mark(&b);
                pickle_builder_string(&b, "name");
                pickle_builder_string(&b, name);
                pickle_builder_string(&b, "index");
                pickle_builder_int(&b, i);
                pickle_builder_string(&b, "hide");
                pickle_builder_bool(&b, false);
                pickle_builder_string(&b, "factor");
                pickle_builder_float(&b, i / 2.0);
                pickle_builder_setitems(&b);
        }
        pickle_builder_appends(&b);
        return finish(&b);
}

/* [None, True, 5, 7, None, ...]: opcodes of one and two bytes, appended 1000 at a time as Python does */
static Bytes *tiny_values(int n_batches)
{
        uint8_t *text = malloc((size_t)n_batches * 1502 + 4), *p = text;
        if (!text)
                fail("out of memory");
        memcpy(p, "\x80\x04]", 3);
        p += 3;
        for (int i = 0; i < n_batches; i++) {
                *p++ = OP_MARK;
                for (int j = 0; j < 250; j++) {
                        memcpy(p, "N\x88K\x05K\x07", 6);
                        p += 6;
                }
                *p++ = OP_APPENDS;
        }
        *p++ = OP_STOP;
        return bytes_new_take(text, (size_t)(p - text));
}

static void report(const char *name, Bytes *b)
{
        int error;
        double scan = time_scan(b, &error), size = (double)b->size;
        if (error != 0)
                fail("a pickle made for the benchmark is refused");
        double loads, dumps;
        printf("%-22s %9.3f MB  scan %9.2f GB/s (%9.4f ms)  read %7.2f ms  write %7.2f ms  free %6.2f ms",
               name, size / 1e6, size / scan / 1e9, scan * 1e3, time_read(b) * 1e3, time_write(b) * 1e3,
               time_free(b) * 1e3);
        if (time_python(b, &loads, &dumps))
                printf("  Python loads %7.2f ms  dumps %7.2f ms", loads * 1e3, dumps * 1e3);
        printf("\n");
        bytes_unref(b);
}

/* ---- adversarial shapes: n repetitions of a text between a head and a tail ---- */

typedef struct Shape {
        const char *name;
        const char *head;
        const char *middle; /* '#': a little-endian u32 that counts, '%': eight bytes i << 40 */
        const char *tail;
        size_t sizes[5]; /* of head, middle, tail */
} Shape;

#define SHAPE(n, h, m, t) { .name = (n), .head = (h), .middle = (m), .tail = (t), \
                            .sizes = { sizeof(h) - 1, sizeof(m) - 1, sizeof(t) - 1 } }

static const Shape shapes[] = {
        SHAPE("open marks", "", "(", ""),
        SHAPE("open lists", "", "]", "."),
        SHAPE("memoize", "N", "\x94", "."),
        SHAPE("duplicate", "N", "2", "."),
        SHAPE("mark, drop", "", "(1", "N."),
        SHAPE("append one by one", "]", "Na", "."),
        SHAPE("lists of lists", "](", "(((((((((lllllllll", "e."),
        SHAPE("pairs of itself", "N", "\x94h\x00\x86\x94h\x00\x86\x30N", "."),
        SHAPE("int keys, high bits", "}(", "\x8a\x08%N", "u."),
        SHAPE("float keys", "}(", "G%N", "u."),
        SHAPE("int list, one key", "](", "}K\x01Ns", "e."),
        SHAPE("text numbers", "](", "I123456789012345678901234567890\n", "e."),
        SHAPE("nested keys", "}(", "(J#((tttN", "u."),
        SHAPE("frozensets", "\x8f(", "(J#\x91", "\x90."),
};

static Bytes *make_shape(const Shape *s, uint32_t n)
{
        size_t unit = s->sizes[1] + 16;
        uint8_t *text = malloc(s->sizes[0] + n * unit + s->sizes[2]), *p = text;
        if (!text)
                fail("out of memory");
        memcpy(p, s->head, s->sizes[0]);
        p += s->sizes[0];
        for (uint32_t i = 0; i < n; i++)
                for (size_t j = 0; j < s->sizes[1]; j++) {
                        uint64_t high = (uint64_t)i << 40;
                        if (s->middle[j] == '#') {
                                memcpy(p, &i, 4);
                                p += 4;
                        } else if (s->middle[j] == '%') {
                                memcpy(p, &high, 8);
                                p += 8;
                        } else {
                                *p++ = (uint8_t)s->middle[j];
                        }
                }
        memcpy(p, s->tail, s->sizes[2]);
        p += s->sizes[2];
        return bytes_new_take(text, (size_t)(p - text));
}

/* A tuple or string of half the size, then used as a key in dict after dict: hashed and compared over and
 * over. */
static Bytes *make_large_key(bool tuple, uint32_t n)
{
        PickleBuilder b;
        pickle_builder_init(&b, 0);
        pickle_builder_list(&b);
        pickle_builder_mark(&b);
        _cleanup_free_ char *string = calloc(1, 4 * (size_t)n + 1);
        if (!string)
                fail("out of memory");
        memset(string, 'x', 4 * (size_t)n);
        for (int copy = 0; copy < 2; copy++) {
                if (tuple) {
                        pickle_builder_mark(&b);
                        for (uint32_t i = 0; i < n; i++)
                                pickle_builder_int(&b, i);
                        pickle_builder_tuple(&b);
                } else {
                        pickle_builder_string(&b, string);
                }
                uint8_t *opcode = b.text + b.size;
                pickle_builder_none(&b);
                *opcode = OP_MEMOIZE;
        }
        for (uint32_t i = 0; i < n; i++) {
                static const char text[] = "}(h\x00Nh\x01Nu";
                for (size_t j = 0; j < sizeof text - 1; j++) {
                        pickle_builder_none(&b);
                        b.text[b.size - 1] = (uint8_t)text[j];
                }
        }
        pickle_builder_appends(&b);
        return finish(&b);
}

static void report_growth(const char *name, Bytes *pickles[static 3])
{
        double scan[3], read[3];
        int error = 0;
        for (int i = 0; i < 3; i++) {
                scan[i] = time_scan(pickles[i], &error);
                read[i] = error == 0 ? time_read(pickles[i]) : NAN;
        }
        double growth = log((double)pickles[2]->size / (double)pickles[0]->size);
        printf("%-22s %8.2f MB  scan %9.3f %9.3f %9.3f ms  exponent %5.2f", name,
               (double)pickles[2]->size / 1e6, scan[0] * 1e3, scan[1] * 1e3, scan[2] * 1e3,
               log(scan[2] / scan[0]) / growth);
        if (error == 0)
                printf("   read %9.3f %9.3f %9.3f ms  exponent %5.2f\n", read[0] * 1e3, read[1] * 1e3,
                       read[2] * 1e3, log(read[2] / read[0]) / growth);
        else
                printf("   refused: %s\n", pickle_error_to_string(error));
        for (int i = 0; i < 3; i++)
                bytes_unref(pickles[i]);
}

/* Deep equality of two ladders in which every rung is shared: [x, x] of [y, y] of ... */
static double time_equal(uint32_t n_rungs, uint32_t n_repeats)
{
        Value *ladders[2];
        for (int i = 0; i < 2; i++) {
                Value *rung = value_int_new(5), *all = value_list_new();
                for (uint32_t k = 0; k < n_repeats; k++)
                        for (uint32_t j = 0; j < n_rungs; j++) {
                                Value *pair = value_list_new();
                                value_list_append(pair, rung);
                                value_list_append(pair, rung);
                                value_unref(rung);
                                rung = j + 1 < n_rungs ? pair : value_int_new(5);
                                if (j + 1 == n_rungs) {
                                        value_list_append(all, pair);
                                        value_unref(pair);
                                }
                        }
                value_unref(rung);
                ladders[i] = all;
        }
        double start = now();
        if (value_equal(ladders[0], ladders[1]) != 1)
                fail("equal graphs differ");
        double seconds = now() - start;
        value_unref(ladders[0]);
        value_unref(ladders[1]);
        return seconds;
}

int main(void)
{
        printf("CPU time, best of %d:\n", REPETITIONS);
        report("bytes of 1 MB", many_bytes((size_t)1 << 20));
        report("bytes of 1 kB", many_bytes(1000));
        report("floats", floats(1000000));
        report("tiny values", tiny_values(4000));
        report("small dicts", small_dicts(50000));
        report("24000 float triples", float_triples(24000));

        printf("\nAdversarial shapes, sizes 1 : 4 : 16:\n");
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++) {
                Bytes *pickles[3];
                for (uint32_t k = 0; k < 3; k++)
                        pickles[k] = make_shape(&shapes[i], 20000u << (2 * k));
                report_growth(shapes[i].name, pickles);
        }
        for (int tuple = 0; tuple < 2; tuple++) {
                Bytes *pickles[3];
                for (uint32_t k = 0; k < 3; k++)
                        pickles[k] = make_large_key(tuple, 5000u << (2 * k));
                report_growth(tuple ? "large tuple keys" : "large str keys", pickles);
        }
        double equal[3];
        for (uint32_t k = 0; k < 3; k++)
                equal[k] = time_equal(190, 20u << (2 * k));
        printf("%-22s equal %8.3f %9.3f %9.3f ms  exponent %5.2f\n", "shared ladders", equal[0] * 1e3,
               equal[1] * 1e3, equal[2] * 1e3, log(equal[2] / equal[0]) / log(16));
        return 0;
}
