/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a delta costs on a large node: a mesh-like node of 24 000 float
 * triples and some bytes, 1 MB, as tests/bench/bench-delta.py makes for Python. Prints
 * CPU times and how the time grows with the size of a delta for shapes that
 * invite quadratic work.
 */

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "delta/delta.h"
#include "pickle/writer.h"

#define TRIPLES 24000
#define EDGES_SIZE (256u << 10)
#define REPETITIONS 9
#define FURTHER_DELTAS 20000

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(bool ok, const char *what)
{
        if (ok)
                return;
        fprintf(stderr, "bench-delta: %s\n", what);
        exit(EXIT_FAILURE);
}

/* ---- values: every reference is handed over, memory is not short ---- */

static Value *add(Value *list, Value *item)
{
        must(item && value_list_append(list, item) == 0, "out of memory");
        value_unref(item);
        return list;
}

static Value *put(Value *dict, const char *key, Value *v)
{
        must(v && value_dict_set_string(dict, key, v) >= 0, "out of memory");
        value_unref(v);
        return dict;
}

static Bytes *encode(Value *v)
{
        Bytes *b = NULL;

        must(pickle_write(v, SIZE_MAX, &b) == 0, "a value for the benchmark cannot be written");
        value_unref(v);
        return b;
}

static Value *triples(uint32_t n)
{
        Value *list = value_list_new();

        for (uint32_t i = 0; i < n; i++) {
                Value *triple = value_list_new();

                for (int k = 0; k < 3; k++)
                        add(triple, value_float_new(i * 0.37 + k * 1.13));
                add(list, triple);
        }
        return list;
}

static Bytes *mesh_node(void)
{
        _cleanup_free_ uint8_t *edges = calloc(1, EDGES_SIZE);

        must(edges, "out of memory");
        return encode(put(put(value_dict_new(), "edges", value_bytes_new(edges, EDGES_SIZE)), "vertices",
                          triples(TRIPLES)));
}

static Bytes *value_delta(uint32_t i, double number)
{
        char path[64];

        snprintf(path, sizeof(path), "root['vertices'][%u][%u]", i % TRIPLES, i % 3);
        return encode(
            put(value_dict_new(), "values_changed",
                put(value_dict_new(), path, put(value_dict_new(), "new_value", value_float_new(number)))));
}

static Value *read_node(Bytes *b)
{
        Value *v;

        must(pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL) == 0,
             "the node cannot be read");
        return v;
}

static void apply(Value **node, Bytes *delta)
{
        must(delta_apply(node, delta, &pickle_limits_default, NULL) == 0, "a delta was refused");
}

/* ---- the node of 24 000 triples ---- */

static void print(const char *what, double seconds, double limit)
{
        printf("%-48s %10.3f ms   limit %7.3f ms   %s\n", what, seconds * 1e3, limit * 1e3,
               seconds < limit ? "ok" : "TOO SLOW");
}

static void bench_mesh(void)
{
        _cleanup_bytes_ Bytes *bytes = mesh_node(), *delta = value_delta(12345, 0.5);
        _cleanup_value_ Value *node = NULL;
        double first = INFINITY, further, encoding = INFINITY, start;

        printf("node of %zu bytes, %d float triples\n", bytes->size, TRIPLES);
        for (int i = 0; i < REPETITIONS; i++) {
                value_unref(node);
                start = now();
                node = read_node(bytes);
                apply(&node, delta);
                first = MIN(first, now() - start);
        }
        start = now();
        for (uint32_t i = 0; i < FURTHER_DELTAS; i++) {
                _cleanup_bytes_ Bytes *next = value_delta(i * 7919, i);

                apply(&node, next);
        }
        further = (now() - start) / FURTHER_DELTAS;
        for (int i = 0; i < REPETITIONS; i++) {
                _cleanup_bytes_ Bytes *encoded = NULL;

                start = now();
                must(pickle_write(node, SIZE_MAX, &encoded) == 0, "the node cannot be written");
                encoding = MIN(encoding, now() - start);
        }
        print("first delta: decode and apply", first, 20e-3);
        print("each further delta (its encoding included)", further, 100e-6);
        print("encode the node", encoding, 10e-3);
}

/* ---- growth ---- */

typedef Bytes *(*DeltaFunc)(uint32_t n);
typedef Bytes *(*NodeFunc)(uint32_t n);

static Bytes *number_list(uint32_t n)
{
        Value *list = value_list_new();

        for (uint32_t i = 0; i < n; i++)
                add(list, value_int_new(i));
        return encode(put(value_dict_new(), "l", list));
}

static Bytes *triple_list(uint32_t n)
{
        return encode(put(value_dict_new(), "l", triples(n)));
}

/* One entry per item, with the path of the item and a value. */
static Bytes *per_item(const char *category, uint32_t n, bool is_key, Value *(*value)(uint32_t i))
{
        Value *entries = value_dict_new();

        for (uint32_t i = 0; i < n; i++) {
                char path[64];

                if (is_key)
                        snprintf(path, sizeof(path), "root['key%u']", i);
                else
                        snprintf(path, sizeof(path), "root['l'][%u]", i);
                put(entries, path, value(i));
        }
        return encode(put(value_dict_new(), category, entries));
}

static Value *number(uint32_t i)
{
        return value_int_new(i);
}

static Value *new_value(uint32_t i)
{
        return put(value_dict_new(), "new_value", value_int_new(i + 1));
}

static Bytes *all_removed(uint32_t n)
{
        return per_item("iterable_item_removed", n, false, number);
}

static Bytes *all_inserted(uint32_t n)
{
        return per_item("iterable_item_added", n, false, number);
}

static Bytes *all_changed(uint32_t n)
{
        return per_item("values_changed", n, false, new_value);
}

static Bytes *keys_added(uint32_t n)
{
        return per_item("dictionary_item_added", n, true, number);
}

static Bytes *all_at_indexes(uint32_t n)
{
        Value *added = value_dict_new();

        for (uint32_t i = 0; i < n; i += 2) {
                _cleanup_value_ Value *index = value_int_new(i), *triple = value_list_new();

                add(triple, value_float_new(-1.0 * i));
                must(value_dict_set(added, index, triple, NULL) == 0, "out of memory");
        }
        return encode(put(value_dict_new(), "iterable_items_added_at_indexes",
                          put(value_dict_new(), "root['l']", added)));
}

static void bench_growth(const char *what, NodeFunc make_node, DeltaFunc make_delta)
{
        static const uint32_t sizes[] = { 4000, 8000, 16000 };
        double times[ELEMENTSOF(sizes)];

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_bytes_ Bytes *bytes = make_node(sizes[i]), *delta = make_delta(sizes[i]);

                times[i] = INFINITY;
                for (int k = 0; k < REPETITIONS; k++) {
                        _cleanup_value_ Value *node = read_node(bytes);
                        double start = now();

                        apply(&node, delta);
                        times[i] = MIN(times[i], now() - start);
                }
        }
        printf("%-48s %8.2f %8.2f %8.2f ms   growth %.2f\n", what, times[0] * 1e3, times[1] * 1e3,
               times[2] * 1e3, log2(times[2] / times[0]) / 2);
}

int main(void)
{
        bench_mesh();
        printf("\ndeltas of 4000, 8000 and 16000 entries; growth 1.0 is linear\n");
        bench_growth("every item of a list changed", number_list, all_changed);
        bench_growth("every item of a list removed", number_list, all_removed);
        bench_growth("an item inserted before each", number_list, all_inserted);
        bench_growth("keys added", number_list, keys_added);
        bench_growth("every second triple at an index", triple_list, all_at_indexes);
        return EXIT_SUCCESS;
}
