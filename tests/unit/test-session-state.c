/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a snapshot has of a session beside its nodes. */
#include <errno.h>
#include <string.h>

#include "pickle/writer.h"
#include "session/marks.h"
#include "session/session.h"
#include "test.h"

static Session *new_session(void)
{
        static const char *versions[] = { "0.9.10", NULL };
        SessionConfig config = {
                .admin_password = "a", .accepted_versions = versions, .max_users = 3, .max_user_name = 20,
                .max_nodes = 20, .pickle_limits = pickle_limits_default,
        };
        Session *s = NULL;
        assert_int_equal(session_new(&s, &config), 0);
        return s;
}

static void test_marks(void **state)
{
        Marks m = {};
        size_t offset = 0;
        Mark mark;
        assert_int_equal(marks_add(&m, "first", 5, 1), 0);
        assert_int_equal(marks_add(&m, "second one", 10, UINT64_C(1) << 60), 0);

        assert_true(marks_next(m.data, m.size, &offset, &mark));
        assert_int_equal(mark.size, 5);
        assert_memory_equal(mark.uuid, "first", 5);
        assert_int_equal(mark.wall, 1);
        assert_true(marks_next(m.data, m.size, &offset, &mark));
        assert_memory_equal(mark.uuid, "second one", 10);
        assert_int_equal(mark.wall, UINT64_C(1) << 60);
        assert_false(marks_next(m.data, m.size, &offset, &mark));
        assert_int_equal(offset, m.size);

        for (size_t size = 1; size < m.size; size++) {
                _cleanup_bytes_ Bytes *cut = bytes_new_copy(m.data, size);
                offset = 0;
                while (marks_next(cut->data, cut->size, &offset, &mark))
                        ;
                assert_true(offset < size || size == 5 + 9);
        }
        marks_done(&m);
}

static void put(Value *dict, const char *name, Value *value)
{
        assert_non_null(value);
        assert_int_equal(value_dict_set_string(dict, name, value), 0);
        value_unref(value);
}

/* A list of one: a uuid, or with a time the pair of both. */
static Value *list_of(const char *uuid, int64_t wall)
{
        Value *list = value_list_new(), *text = value_str_new(uuid, strlen(uuid));
        if (wall != 0) {
                Value *pair = value_list_new(), *time = value_int_new(wall);
                assert_int_equal(value_list_append(pair, text), 0);
                assert_int_equal(value_list_append(pair, time), 0);
                value_unref(time);
                value_unref(text);
                text = pair;
        }
        assert_int_equal(value_list_append(list, text), 0);
        value_unref(text);
        return list;
}

static int load(int64_t version, Value *graves, Value *changes, Value *rights)
{
        Value *dict = value_dict_new();
        put(dict, "version", value_int_new(version));
        put(dict, "wall", value_int_new(1000000));
        put(dict, "running", value_ref(value_bool(true)));
        put(dict, "users", value_list_new());
        put(dict, "graves", graves);
        put(dict, "changes", changes);
        put(dict, "rights", rights);
        _cleanup_bytes_ Bytes *bytes = NULL;
        assert_int_equal(pickle_write(dict, SIZE_MAX, &bytes), 0);
        value_unref(dict);
        Session *s = new_session();
        int r = session_load_state(s, bytes);
        session_free(s);
        return r;
}

static Value *marks_of(const char *uuid, size_t cut)
{
        Marks m = {};
        assert_int_equal(marks_add(&m, uuid, strlen(uuid), 5), 0);
        Value *v = value_bytes_new(m.data, m.size - cut);
        marks_done(&m);
        return v;
}

static void test_versions(void **state)
{
        assert_int_equal(load(1, list_of("a", 5), list_of("b", 5), list_of("c", 0)), 0);
        assert_int_equal(load(2, marks_of("a", 0), marks_of("b", 0), marks_of("c", 0)), 0);
        assert_int_equal(load(3, marks_of("a", 0), marks_of("b", 0), marks_of("c", 0)), -EBADMSG);
        assert_int_equal(load(0, marks_of("a", 0), marks_of("b", 0), marks_of("c", 0)), -EBADMSG);
}

static void test_damage(void **state)
{
        assert_int_equal(load(2, marks_of("a", 1), marks_of("b", 0), marks_of("c", 0)), -EBADMSG);
        assert_int_equal(load(2, marks_of("a", 0), marks_of("b\n", 0), marks_of("c", 0)), -EBADMSG);
        assert_int_equal(load(2, marks_of("a", 0), marks_of("b", 0), value_int_new(7)), -EBADMSG);
        assert_int_equal(load(1, list_of("a", 5), list_of("", 5), list_of("c", 0)), -EBADMSG);
}

static void test_empty(void **state)
{
        Session *s = new_session();
        SessionTime t = { .now = 1000000, .wall = 2000000 };
        SessionSave *save = NULL;
        _cleanup_bytes_ Bytes *bytes = NULL;
        assert_int_equal(session_save_begin(s, t, &save), 0);
        assert_int_equal(session_save_step(save, 1), 0);
        session_free(s);
        assert_int_equal(session_save_finish(save, &bytes), 0);
        session_save_free(save);

        s = new_session();
        assert_int_equal(session_load_state(s, bytes), 0);
        session_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_marks),
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_damage),
                cmocka_unit_test(test_empty),
        };
        return cmocka_run_group_tests_name("session-state", tests, NULL, NULL);
}
