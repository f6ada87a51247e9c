/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Sessions of a real Blender, recorded between clients and reference server:
 * every Commit must apply to the state that the Nodes before it built, and
 * whoever joins must have been handed by the reference exactly that state.
 * File format: ../shared/captures/README.md.
 */

#include <errno.h>
#include <stdio.h>

#include "delta/delta.h"
#include "pickle/dump.h"
#include "shared.h"
#include "test.h"

#define FRAMES_MAX 8
#define DUMP_MAX (256u << 20)

enum { CHANNEL_COMMAND, CHANNEL_DATA };
enum { FROM_CLIENT, FROM_SERVER };
enum { TYPE_COMMIT = 1, TYPE_NODE = 2, TYPE_DELETE = 4, TYPE_SNAPSHOT = 7, TYPE_SERVER_SNAPSHOT = 8 };

/* The session as the reference must see it: a dict of node id to node data. */
typedef struct Session {
        Value *nodes;
        int n_commits;
        int n_skipped;
        int n_compared;
} Session;

static void session_done(Session *s)
{
        value_unref(s->nodes);
}

static Value *read_pickle(Bytes *b)
{
        Value *v = NULL;

        assert_int_equal(pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL), 0);
        return v;
}

static void set_node(Session *s, Bytes *id, Bytes *data)
{
        _cleanup_value_ Value *key = value_str_new(id->data, id->size), *v = read_pickle(data);

        assert_true(value_dict_set(s->nodes, key, v, NULL) >= 0);
}

static void apply_commit(Session *s, Bytes *id, Bytes *delta)
{
        _cleanup_value_ Value *key = value_str_new(id->data, id->size), *v = NULL, *stored = NULL;
        uint32_t slot = value_table_find(s->nodes, key);
        DeltaReport report;
        int r;

        /* The node was deleted by somebody else: ordinary, and forwarded all the same. */
        if (slot == VALUE_SLOT_END)
                return;
        /* Taken out for the while, as an edited node has one owner. */
        value_table_remove(s->nodes, slot, &stored, &v, NULL);
        r = delta_apply(&v, delta, &pickle_limits_default, &report);
        if (r != 0)
                print_message("# %.*s: %s: %s\n", (int)id->size, (const char *)id->data,
                              delta_error_to_string(r), report.detail);
        assert_int_equal(r, 0);
        s->n_commits++;
        s->n_skipped += report.n_skipped > 0;
        assert_int_equal(value_dict_set(s->nodes, key, v, NULL), 0);
}

static void delete_node(Session *s, Bytes *data)
{
        _cleanup_value_ Value *id = read_pickle(data);
        uint32_t slot = value_table_find(s->nodes, id);

        if (slot != VALUE_SLOT_END)
                value_table_remove(s->nodes, slot, NULL, NULL, NULL);
}

static Bytes *frame_of(const Value *frames, uint32_t i)
{
        return value_to_bytes(value_list_get(frames, i));
}

/* A whole Node inside a Snapshot or ServerSnapshot; NULL where the message has none. */
static const Value *snapshot_frames(const Value *command)
{
        const Value *data = value_dict_get_string(command, "DATA");

        return data && value_is_list(data) &&
                       value_is_string_equal(value_dict_get_string(command, "STATE"), "SET") ?
                   data :
                   NULL;
}

static void take_initial_node(Session *s, Bytes *data)
{
        _cleanup_value_ Value *command = read_pickle(data);
        const Value *frames = snapshot_frames(command);
        _cleanup_bytes_ Bytes *id = frames ? frame_of(frames, 1) : NULL,
                              *content = frames ? frame_of(frames, 4) : NULL;

        if (frames)
                set_node(s, id, content);
}

static void compare_joined_node(Session *s, Bytes *data)
{
        _cleanup_value_ Value *command = read_pickle(data), *theirs = NULL, *key = NULL;
        _cleanup_bytes_ Bytes *id = NULL, *content = NULL, *our_dump = NULL, *their_dump = NULL;
        const Value *frames = snapshot_frames(command), *ours;

        if (!frames)
                return;
        id = frame_of(frames, 1);
        content = frame_of(frames, 4);
        theirs = read_pickle(content);
        key = value_str_new(id->data, id->size);
        ours = value_dict_get(s->nodes, key);
        assert_non_null(ours);
        assert_int_equal(value_dump(ours, VALUE_DUMP_ORDERED, DUMP_MAX, &our_dump), 0);
        assert_int_equal(value_dump(theirs, VALUE_DUMP_ORDERED, DUMP_MAX, &their_dump), 0);
        assert_true(bytes_equal(our_dump, their_dump));
        s->n_compared++;
}

static void take_message(Session *s, int channel, int direction, Bytes **frames, unsigned n)
{
        _cleanup_value_ Value *type = n >= 3 ? read_pickle(frames[0]) : NULL;
        int64_t number = type && value_type(type) == VALUE_INT ? value_int_get(type) : -1;

        if (channel == CHANNEL_DATA && direction == FROM_CLIENT && number == TYPE_NODE)
                set_node(s, frames[1], frames[4]);
        if (channel == CHANNEL_DATA && direction == FROM_CLIENT && number == TYPE_COMMIT)
                apply_commit(s, frames[1], frames[3]);
        if (channel != CHANNEL_COMMAND)
                return;
        if (direction == FROM_CLIENT && number == TYPE_SERVER_SNAPSHOT)
                take_initial_node(s, frames[2]);
        if (direction == FROM_CLIENT && number == TYPE_DELETE)
                delete_node(s, frames[2]);
        if (direction == FROM_SERVER && number == TYPE_SNAPSHOT)
                compare_joined_node(s, frames[2]);
}

static uint64_t get_number(FILE *f, size_t size)
{
        uint8_t bytes[8];
        uint64_t number = 0;

        assert_int_equal(fread(bytes, 1, size, f), size);
        while (size-- > 0)
                number = number << 8 | bytes[size];
        return number;
}

static void play(Session *s, FILE *f)
{
        int channel;

        while ((channel = getc(f)) != EOF) {
                int direction = (int)get_number(f, 1);
                unsigned n = (unsigned)get_number(f, 2);
                Bytes *frames[FRAMES_MAX] = {};

                assert_true(n <= FRAMES_MAX);
                get_number(f, 4);
                get_number(f, 8);
                for (unsigned i = 0; i < n; i++) {
                        size_t size = get_number(f, 4);
                        uint8_t *data;

                        frames[i] = bytes_new_uninitialised(size, &data);
                        assert_non_null(frames[i]);
                        assert_int_equal(fread(data, 1, size, f), size);
                }
                take_message(s, channel, direction, frames, n);
                for (unsigned i = 0; i < n; i++)
                        bytes_unref(frames[i]);
        }
}

static void check_session(const char *name, int n_commits, int n_compared)
{
        _cleanup_(session_done) Session s = { .nodes = value_dict_new() };
        _cleanup_free_ char *folder = shared_path("captures"), *file_name = NULL;
        char magic[8];
        FILE *f;

        assert_true(asprintf(&file_name, "%s/%s.frames", folder, name) > 0);
        f = fopen(file_name, "rbe");
        assert_non_null(f);
        assert_int_equal(fread(magic, 1, sizeof(magic), f), sizeof(magic));
        assert_memory_equal(magic, "MUCAP001", sizeof(magic));
        play(&s, f);
        fclose(f);
        print_message("# %s: %d deltas applied, %d of them with skipped entries, %d joined nodes equal\n",
                      name, s.n_commits, s.n_skipped, s.n_compared);
        assert_int_equal(s.n_commits, n_commits);
        assert_int_equal(s.n_compared, n_compared);
}

static void test_edit_session(void **state)
{
        check_session("edit_session_then_join", 238, 81);
}

static void test_big_mesh(void **state)
{
        check_session("big_mesh_then_join", 4, 14);
}

static void test_fcurves(void **state)
{
        check_session("fcurve_list_opcodes", 16, 0);
}

static void test_two_users(void **state)
{
        check_session("gui_two_users", 220, 85);
}

int main(void)
{
        if (shared_is_absent("captures"))
                return 0;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_edit_session),
                cmocka_unit_test(test_big_mesh),
                cmocka_unit_test(test_fcurves),
                cmocka_unit_test(test_two_users),
        };
        return cmocka_run_group_tests_name("delta-captures", tests, NULL, NULL);
}
