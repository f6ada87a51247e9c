/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "session/task-sync.h"
#include "test.h"

#define WALL (UINT64_C(1795443300) * 1000000)

/* The board as text, "id:status ...", and how often it was changed. */
typedef struct Fixture {
        TaskBoard *board;
        size_t n_changes;
        uint64_t wall;
        char text[400];
} Fixture;

static int on_changed(void *userdata, const char *id, const Task *task)
{
        Fixture *f = userdata;
        f->n_changes++;
        assert_true(task == task_board_find(f->board, id));
        assert_int_equal(task_board_was_deleted(f->board, id), !task);
        return 0;
}

/* "id:status id:status", as a client sends it. */
static int sync(Fixture *f, TaskHolder *h, const char *user, const char *tasks)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        for (const char *p = tasks; *p; p += strspn(p, " ")) {
                char id[8] = "", status[16] = "";
                int n = 0;
                assert_int_equal(sscanf(p, "%7[^:]:%15[^ ]%n", id, status, &n), 2);
                json_object *task = json_object_new_object();
                json_object_object_add(task, "id", json_object_new_string(id));
                json_object_object_add(task, "title", json_object_new_string(id));
                json_object_object_add(task, "status", json_object_new_string(status));
                json_object_object_add(o, id, task);
                p += n;
        }
        return task_sync(f->board, h, o, user, f->wall, on_changed, f);
}

static const char *board(Fixture *f)
{
        size_t n = 0;
        f->text[0] = '\0';
        for (size_t i = 0; i < task_board_length(f->board); i++) {
                const Task *t = task_board_get(f->board, i);
                _cleanup_json_ json_object *o = json_item_parse_text(t->text, t->text_size);
                n += (size_t)snprintf(f->text + n, sizeof f->text - n, "%s%s:%s", i ? " " : "", t->id,
                                      json_object_get_string(json_object_object_get(o, "status")));
        }
        return f->text;
}

static TaskHolder joins(const Fixture *f, const TaskHolder *before)
{
        TaskHolder h = { .joined = task_board_stamp(f->board) };
        if (before) {
                _cleanup_bytes_ Bytes *kept = task_holder_save(before);
                assert_int_equal(task_holder_load(&h, kept), 0);
                task_holder_return(&h, task_board_stamp(f->board), task_board_stamp(f->board));
        }
        return h;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof *f);
        f->board = task_board_new();
        f->wall = WALL;
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;
        task_board_free(f->board);
        free(f);
        return 0;
}

static void test_adding_and_changing(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL);
        assert_int_equal(sync(f, &a, "a", "1:todo"), TASK_SYNC_WHOLE);
        sync(f, &b, "b", "1:todo 2:todo");
        assert_string_equal(board(f), "1:todo 2:todo");
        sync(f, &b, "b", "1:done 2:todo");
        sync(f, &b, "b", "1:todo 2:todo");
        sync(f, &b, "b", "1:done 2:todo");
        assert_string_equal(board(f), "1:done 2:todo");
        size_t n = f->n_changes;
        /* Its own copy is old, and does not know the second. */
        sync(f, &a, "a", "1:todo");
        sync(f, &a, "a", "1:todo");
        assert_int_equal(f->n_changes, n);
        sync(f, &a, "a", "1:todo 3:todo");
        assert_string_equal(board(f), "1:done 2:todo 3:todo");
        /* But a change of it is one, whatever it was. */
        sync(f, &a, "a", "1:in_progress 3:todo");
        assert_string_equal(board(f), "1:in_progress 2:todo 3:todo");
        task_holder_done(&a);
        task_holder_done(&b);
}

static void test_reopened_by_one_who_knows_no_other_version(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL);
        sync(f, &a, "a", "1:todo 2:todo");
        sync(f, &a, "a", "1:done 2:todo");
        TaskHolder b = joins(f, NULL);
        sync(f, &b, "b", "1:todo 2:todo");
        assert_string_equal(board(f), "1:todo 2:todo");
        /* One who remembers it does not change it by bringing it along, but by changing it. */
        TaskHolder c = joins(f, &a);
        sync(f, &c, "a", "1:done 2:todo");
        assert_string_equal(board(f), "1:todo 2:todo");
        TaskHolder d = joins(f, &a);
        sync(f, &d, "a", "1:in_progress 2:todo");
        assert_string_equal(board(f), "1:in_progress 2:todo");
        task_holder_done(&a);
        task_holder_done(&b);
        task_holder_done(&c);
        task_holder_done(&d);
}

/* What a user sent with another Blender tells nothing of what this one has read. */
static void test_an_old_copy_read_by_another_client_of_the_user(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL);
        sync(f, &a, "a", "1:todo");
        sync(f, &b, "b", "1:four");
        /* Read since it came, with none of the memory of before. */
        TaskHolder fresh = joins(f, &a);
        sync(f, &b, "b", "1:done 2:todo");
        sync(f, &fresh, "a", "1:four 2:done");
        assert_string_equal(board(f), "1:done 2:done");
        /* Read when it was there the last time, and never sent. */
        TaskHolder again = joins(f, &a);
        sync(f, &again, "a", "1:four 2:done 3:todo");
        assert_string_equal(board(f), "1:done 2:done 3:todo");
        task_holder_done(&a);
        task_holder_done(&b);
        task_holder_done(&fresh);
        task_holder_done(&again);
}

static void test_changed_to_what_it_was_only_while_the_user_was_away(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL);
        sync(f, &a, "a", "1:todo 2:todo");
        TaskHolder again = joins(f, &a);
        sync(f, &b, "b", "1:four 2:todo");
        sync(f, &b, "b", "1:done 2:todo");
        again.joined = task_board_stamp(f->board);
        sync(f, &again, "a", "1:four 2:todo");
        assert_string_equal(board(f), "1:four 2:todo");
        task_holder_done(&a);
        task_holder_done(&b);
        task_holder_done(&again);
}

static void test_deleting(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL), c = joins(f, NULL);
        sync(f, &a, "a", "1:todo 2:todo 3:todo");
        sync(f, &b, "b", "1:todo 2:todo 3:todo 4:todo");
        /* By one who has sent it. */
        sync(f, &a, "a", "2:todo 3:todo");
        assert_string_equal(board(f), "2:todo 3:todo 4:todo");
        /* Others still have it. */
        sync(f, &b, "b", "1:done 2:todo 3:todo 4:todo");
        assert_string_equal(board(f), "2:todo 3:todo 4:todo");
        /* By one who has only read it: the third was there later, and is known. */
        sync(f, &c, "c", "1:todo 3:todo 4:todo");
        assert_string_equal(board(f), "3:todo 4:todo");
        /* What comes along with something else is not deleted. */
        TaskHolder d = joins(f, NULL);
        sync(f, &d, "d", "5:todo");
        assert_string_equal(board(f), "3:todo 4:todo 5:todo");
        task_holder_done(&a);
        task_holder_done(&b);
        task_holder_done(&c);
        task_holder_done(&d);
}

static void test_what_may_not_be_known_is_not_deleted(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL);
        sync(f, &a, "a", "1:todo");
        sync(f, &a, "a", "1:todo 2:todo");
        /* The last message of one who had not looked again. */
        sync(f, &b, "b", "1:todo");
        assert_string_equal(board(f), "1:todo 2:todo");
        /* Nothing at all is sent by who has deleted the only one it knew, which is the oldest. */
        TaskHolder c = { .joined = 1 };
        sync(f, &c, "c", "");
        assert_string_equal(board(f), "2:todo");
        /* Two that were there before it joined: either. */
        sync(f, &a, "a", "1:todo 2:todo 3:todo");
        TaskHolder d = joins(f, NULL);
        sync(f, &d, "d", "");
        assert_string_equal(board(f), "2:todo 3:todo");
        /* The own task of before is no sign of having looked. */
        sync(f, &b, "b", "1:todo 4:todo");
        TaskHolder again = joins(f, &b);
        sync(f, &again, "b", "4:todo");
        assert_string_equal(board(f), "2:todo 3:todo 4:todo");
        task_holder_done(&a);
        task_holder_done(&b);
        task_holder_done(&c);
        task_holder_done(&d);
        task_holder_done(&again);
}

/* A client that has read a task and deletes it, and one that has not read it and sends what it sent before, send the same. */
static void test_what_cannot_be_decided_stays_until_it_is_meant(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL);
        sync(f, &b, "b", "2:todo");
        sync(f, &a, "a", "1:todo");
        sync(f, &b, "b", "2:todo");
        assert_string_equal(board(f), "2:todo 1:todo");
        /* The same message once more, and again after something else has happened. */
        sync(f, &b, "b", "2:todo");
        assert_string_equal(board(f), "2:todo 1:todo");
        f->wall += TASK_DOUBT_MIN;
        sync(f, &b, "b", "2:done");
        sync(f, &b, "b", "2:done");
        assert_string_equal(board(f), "2:done 1:todo");
        /* It came back to the panel, and is deleted again. */
        f->wall += TASK_DOUBT_MIN;
        sync(f, &b, "b", "2:done");
        assert_string_equal(board(f), "2:done");
        /* Of two that were told together a client knows both or none. */
        sync(f, &a, "a", "1:todo 3:todo 4:todo");
        TaskHolder c = joins(f, NULL);
        for (int i = 0; i < 3; i++, f->wall += TASK_DOUBT_MIN)
                sync(f, &c, "c", "2:done");
        assert_string_equal(board(f), "2:done 3:todo 4:todo");
        sync(f, &c, "c", "2:done 4:todo");
        assert_string_equal(board(f), "2:done 4:todo");
        task_holder_done(&a);
        task_holder_done(&b);
        task_holder_done(&c);
}

static void test_nothing_is_sent_when_the_last_is_deleted(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL);
        sync(f, &a, "a", "1:todo");
        sync(f, &b, "b", "");
        assert_string_equal(board(f), "");
        /* It holds nothing, so what it has deleted now is what it has read. */
        sync(f, &a, "a", "1:todo 2:todo");
        sync(f, &b, "b", "");
        assert_string_equal(board(f), "");
        /* One who was here before may have deleted something of then. */
        sync(f, &a, "a", "1:todo 2:todo 3:todo");
        TaskHolder again = joins(f, &b);
        sync(f, &again, "b", "");
        assert_string_equal(board(f), "3:todo");
        /* Something of another that is gone already. */
        sync(f, &b, "b", "3:todo");
        sync(f, &a, "a", "1:todo 2:todo");
        assert_string_equal(board(f), "");
        sync(f, &a, "a", "1:todo 2:todo 5:todo");
        sync(f, &b, "b", "");
        assert_string_equal(board(f), "5:todo");
        task_holder_done(&a);
        task_holder_done(&b);
        task_holder_done(&again);
}

static void test_deleting_by_one_who_has_come_back(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL);
        sync(f, &a, "a", "1:todo 2:todo 3:todo");
        /* With the memory of then, no word from anybody else. */
        TaskHolder again = joins(f, &a);
        sync(f, &again, "a", "1:todo 3:todo");
        assert_string_equal(board(f), "1:todo 3:todo");
        /* With none: what comes along with something new is not deleted, nor does what was sent then change anything. */
        TaskHolder fresh = joins(f, &again);
        sync(f, &fresh, "a", "4:todo");
        assert_string_equal(board(f), "1:todo 3:todo 4:todo");
        TaskHolder b = joins(f, NULL);
        sync(f, &b, "b", "1:done 3:todo 4:todo");
        TaskHolder old = joins(f, &again);
        sync(f, &old, "a", "1:todo 3:todo 5:todo");
        assert_string_equal(board(f), "1:done 3:todo 4:todo 5:todo");
        task_holder_done(&a);
        task_holder_done(&again);
        task_holder_done(&fresh);
        task_holder_done(&old);
        task_holder_done(&b);
}

static void test_a_holder_is_kept(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), again = { 0 };
        sync(f, &a, "a", "1:todo 2:todo");
        _cleanup_bytes_ Bytes *kept = task_holder_save(&a);
        assert_int_equal(task_holder_load(&again, kept), 0);
        assert_int_equal(again.n_held, 2);
        sync(f, &again, "a", "2:todo");
        assert_string_equal(board(f), "2:todo");
        _cleanup_bytes_ Bytes *cut = bytes_new_copy(kept->data, kept->size - 1);
        assert_int_equal(task_holder_load(&again, cut), 1);
        assert_int_equal(task_holder_load(&again, NULL), 1);
        task_holder_done(&a);
        task_holder_done(&again);
}

static int sync_text(Fixture *f, TaskHolder *h, const char *text)
{
        _cleanup_json_ json_object *o = json_item_parse_text(text, strlen(text));
        return task_sync(f->board, h, o, "a", WALL, on_changed, f);
}

static void test_malformed(void **state)
{
        static const char *const bad[] = {
                "[]", "x", "{\"1\":5}", "{\"1\":{\"id\":\"1\"}}", "{\"1\":{\"id\":\"2\",\"title\":\"\"}}",
                "{\"2\":{\"id\":\"2\",\"title\":\"\"},\"3\":{\"id\":\"3\",\"title\":null}}",
                "{\"2\":{\"id\":\"2\",\"title\":\"\",\"status\":5}}", "{\"2\":{\"id\":\"2\",\"title\":\"\",\"created_at\":\"x\"}}",
                "{\"2\":{\"id\":\"2\",\"title\":\"\\u0000\"}}",
        };
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL);
        sync(f, &a, "a", "1:todo");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(sync_text(f, &a, bad[i]), TASK_SYNC_MALFORMED);
        assert_string_equal(board(f), "1:todo");
        assert_int_equal(f->n_changes, 1);
        task_holder_done(&a);
}

static void test_bounds(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL);
        _cleanup_json_ json_object *o = json_object_new_object();
        for (unsigned i = 0; i < TASK_BOARD_MAX + 10; i++) {
                char id[16];
                snprintf(id, sizeof id, "%u", i);
                json_object *task = json_object_new_object();
                json_object_object_add(task, "id", json_object_new_string(id));
                json_object_object_add(task, "title", json_object_new_string("t"));
                json_object_object_add(o, id, task);
        }
        assert_int_equal(task_sync(f->board, &a, o, "a", WALL, on_changed, f), TASK_SYNC_PARTLY);
        assert_int_equal(task_board_length(f->board), TASK_BOARD_MAX);
        for (unsigned i = 0; i < 2 * TASK_DELETED_MAX; i++) {
                char id[16];
                snprintf(id, sizeof id, "%u", i);
                assert_int_equal(task_board_delete(f->board, id), 0);
        }
        assert_int_equal(task_board_length(f->board), 0);
        assert_non_null(task_board_deleted(f->board, TASK_DELETED_MAX - 1));
        assert_null(task_board_deleted(f->board, TASK_DELETED_MAX));
        assert_false(task_board_was_deleted(f->board, "5"));
        assert_true(task_board_was_deleted(f->board, "1999"));
        task_holder_done(&a);
}

static bool held_by(const void *userdata, const Task *task)
{
        return task_holder_has(userdata, task);
}

static void test_telling(void **state)
{
        Fixture *f = *state;
        TaskHolder a = joins(f, NULL), b = joins(f, NULL);
        sync(f, &a, "a", "1:todo");
        sync(f, &b, "b", "1:done 2:todo");
        _cleanup_value_ Value *all = task_board_tell(f->board, NULL, NULL);
        _cleanup_value_ Value *to_a = task_board_tell(f->board, held_by, &a), *to_b = task_board_tell(f->board, held_by, &b);
        _cleanup_json_ json_object *all_json = json_item_parse(all), *a_json = json_item_parse(to_a);
        assert_true(json_item_is_own(all));
        assert_int_equal(json_object_object_length(all_json), 2);
        /* Its own copy of the first is old. */
        assert_int_equal(json_object_object_length(a_json), 2);
        assert_true(value_is_string_equal(to_b, " {}"));
        task_holder_done(&a);
        task_holder_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_adding_and_changing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reopened_by_one_who_knows_no_other_version, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_old_copy_read_by_another_client_of_the_user, setup, teardown),
                cmocka_unit_test_setup_teardown(test_changed_to_what_it_was_only_while_the_user_was_away, setup, teardown),
                cmocka_unit_test_setup_teardown(test_deleting, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_may_not_be_known_is_not_deleted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_cannot_be_decided_stays_until_it_is_meant, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nothing_is_sent_when_the_last_is_deleted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_deleting_by_one_who_has_come_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_holder_is_kept, setup, teardown),
                cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
                cmocka_unit_test_setup_teardown(test_telling, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
