/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Every pickle of the recorded sessions and of the delta corpus. The data lie
 * beside the source tree; without them the tests skip.
 */

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "pickle/dump.h"
#include "pickle/reader.h"
#include "pickle/writer.h"
#include "shared.h"
#include "test.h"

static Bytes *load_file(const char *path)
{
        FILE *f = fopen(path, "rbe");
        if (!f)
                return NULL;
        uint8_t *data;
        fseek(f, 0, SEEK_END);
        size_t size = (size_t)ftell(f);
        rewind(f);
        Bytes *b = bytes_new_uninitialised(size, &data);
        assert_int_equal(fread(data, 1, size, f), size);
        fclose(f);
        return b;
}

/* A reader of length-prefixed records; fails the test where the file is cut off. */
typedef struct Cursor {
        const Bytes *file;
        size_t offset;
} Cursor;

static uint64_t take_number(Cursor *c, size_t size)
{
        uint64_t number = 0;
        assert_true(size <= c->file->size - c->offset);
        for (size_t i = size; i-- > 0;)
                number = number << 8 | c->file->data[c->offset + i];
        c->offset += size;
        return number;
}

static Bytes *take_blob(Cursor *c)
{
        size_t size = take_number(c, 4);
        assert_true(size <= c->file->size - c->offset);
        Bytes *b = bytes_new_copy(c->file->data + c->offset, size);
        c->offset += size;
        return b;
}

static Value *read_ok(Bytes *pickle, PickleProfile profile)
{
        Value *value = NULL;
        size_t offset = 0;
        int r = pickle_read(pickle, profile, &pickle_limits_default, &value, &offset);
        if (r != 0)
                fail_msg("refused at offset %zu: %s", offset, pickle_error_to_string(r));
        assert_int_equal(pickle_scan(pickle->data, pickle->size, profile, &pickle_limits_default, NULL), 0);
        return value;
}

/* Reads it, writes it, reads that, and compares. */
static void check_round_trip(Bytes *pickle)
{
        _cleanup_value_ Value *a = read_ok(pickle, PICKLE_PROFILE_DATA);
        _cleanup_bytes_ Bytes *written = NULL, *dump_a = NULL, *dump_b = NULL;
        assert_int_equal(pickle_write(a, SIZE_MAX, &written), 0);
        _cleanup_value_ Value *b = read_ok(written, PICKLE_PROFILE_DATA);
        assert_int_equal(value_equal(a, b), 1);
        assert_int_equal(value_dump(a, VALUE_DUMP_ORDERED, SIZE_MAX, &dump_a), 0);
        assert_int_equal(value_dump(b, VALUE_DUMP_ORDERED, SIZE_MAX, &dump_b), 0);
        assert_true(bytes_equal(dump_a, dump_b));
        /* Without frames, and with fewer memo entries, it is not longer. */
        assert_true(written->size <= pickle->size);
}

/* The five frames of a node inside the SET of a snapshot. */
static unsigned check_nested_node(Bytes *command)
{
        _cleanup_value_ Value *value = read_ok(command, PICKLE_PROFILE_DATA);
        Value *frames = value_dict_get_string(value, "DATA");
        if (!value_is_string_equal(value_dict_get_string(value, "STATE"), "SET") || !value_is_list(frames))
                return 0;
        assert_int_equal(value_list_length(frames), 5);
        for (uint32_t i = 0; i < 5; i++)
                if (i != 1 && i != 2) {
                        _cleanup_bytes_ Bytes *frame = value_to_bytes(value_list_get(frames, i));
                        check_round_trip(frame);
                }
        return 3;
}

static unsigned check_message(unsigned channel, unsigned n, Bytes **frames)
{
        if (channel == 2)
                return 0;
        if (channel == 0) {
                assert_int_equal(n, 3);
                check_round_trip(frames[0]);
                check_round_trip(frames[2]);
                return 2 + check_nested_node(frames[2]);
        }
        check_round_trip(frames[0]);
        check_round_trip(frames[n == 4 ? 2 : 3]);
        if (n == 5) {
                check_round_trip(frames[4]);
        } else {
                assert_int_equal(n, 4);
                value_unref(read_ok(frames[3], PICKLE_PROFILE_DELTA));
        }
        return 3;
}

static unsigned check_capture(const Bytes *file)
{
        unsigned n_pickles = 0;
        Cursor c = { .file = file, .offset = 8 };
        assert_memory_equal(file->data, "MUCAP001", 8);
        while (c.offset < file->size) {
                Bytes *frames[16] = {};
                unsigned channel = (unsigned)take_number(&c, 1);
                take_number(&c, 1);
                unsigned n = (unsigned)take_number(&c, 2);
                take_number(&c, 4);
                take_number(&c, 8);
                assert_true(n <= ELEMENTSOF(frames));
                for (unsigned i = 0; i < n; i++)
                        frames[i] = take_blob(&c);
                n_pickles += check_message(channel, n, frames);
                for (unsigned i = 0; i < n; i++)
                        bytes_unref(frames[i]);
        }
        return n_pickles;
}

static unsigned check_node_file(const Bytes *file)
{
        Cursor c = { .file = file };
        for (unsigned i = 0; i < 5; i++) {
                _cleanup_bytes_ Bytes *frame = take_blob(&c);
                if (i != 1 && i != 2)
                        check_round_trip(frame);
        }
        assert_int_equal(c.offset, file->size);
        return 3;
}

static unsigned check_folder(const char *name, const char *suffix, unsigned (*check)(const Bytes *file))
{
        _cleanup_free_ char *path = shared_path(name);
        unsigned n_pickles = 0;
        DIR *folder = opendir(path);
        assert_non_null(folder);
        for (struct dirent *entry; (entry = readdir(folder));) {
                size_t n = strlen(entry->d_name), n_suffix = strlen(suffix);
                if (n < n_suffix || strcmp(entry->d_name + n - n_suffix, suffix) != 0)
                        continue;
                _cleanup_free_ char *file_path = NULL;
                assert_true(asprintf(&file_path, "%s/%s", path, entry->d_name) > 0);
                _cleanup_bytes_ Bytes *file = load_file(file_path);
                assert_non_null(file);
                n_pickles += check(file);
        }
        closedir(folder);
        print_message("# %s: %u pickles\n", name, n_pickles);
        assert_true(n_pickles > 0);
        return n_pickles;
}

static void test_captures(void **state)
{
        check_folder("captures", ".frames", check_capture);
}

static void test_nodes(void **state)
{
        check_folder("captures/nodes", ".frames5", check_node_file);
}

static uint64_t fnv1a(const Bytes *b)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < b->size; i++)
                hash = (hash ^ b->data[i]) * UINT64_C(0x100000001b3);
        return hash;
}

/* Before, delta, after: that all load, and that "after" dumps as Python said. */
static unsigned check_corpus(const Bytes *file)
{
        Cursor c = { .file = file, .offset = 8 };
        assert_memory_equal(file->data, "MUDC0001", 8);
        unsigned n = (unsigned)take_number(&c, 4);
        for (unsigned i = 0; i < n; i++) {
                bool aborted = take_number(&c, 4) & 1;
                uint64_t order = take_number(&c, 8);
                Bytes *fields[5];
                for (unsigned j = 0; j < ELEMENTSOF(fields); j++)
                        fields[j] = take_blob(&c);
                value_unref(read_ok(fields[1], PICKLE_PROFILE_PLAIN));
                if (!aborted) {
                        _cleanup_value_ Value *delta = read_ok(fields[2], PICKLE_PROFILE_DELTA);
                        _cleanup_value_ Value *after = read_ok(fields[3], PICKLE_PROFILE_PLAIN);
                        _cleanup_bytes_ Bytes *dump = NULL, *ordered = NULL;
                        assert_true(value_is_dict(delta));
                        assert_int_equal(value_dump(after, VALUE_DUMP_SORTED, SIZE_MAX, &dump), 0);
                        assert_int_equal(value_dump(after, VALUE_DUMP_ORDERED, SIZE_MAX, &ordered), 0);
                        if (!bytes_equal(dump, fields[4]))
                                fail_msg("record %u (%.*s): %.*s is not %.*s", i, (int)fields[0]->size,
                                         fields[0]->data, (int)dump->size, dump->data, (int)fields[4]->size,
                                         fields[4]->data);
                        assert_true(fnv1a(ordered) == order);
                }
                for (unsigned j = 0; j < ELEMENTSOF(fields); j++)
                        bytes_unref(fields[j]);
        }
        return n;
}

static void test_corpus(void **state)
{
        check_folder("corpus", ".mudc", check_corpus);
}

int main(void)
{
        if (shared_is_absent("captures") || shared_is_absent("corpus"))
                return 0;

        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_captures),
                cmocka_unit_test(test_nodes),
                cmocka_unit_test(test_corpus),
        };
        return cmocka_run_group_tests_name("recorded pickles", tests, NULL, NULL);
}
