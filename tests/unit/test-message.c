/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>

#include "pickle/writer.h"
#include "session/message.h"
#include "test.h"

static const MessageLimits limits = {
        .pickle = { .max_size = 1 << 20, .max_depth = 100, .max_memo = 10000, .max_values = 100000 },
        .max_guest_bytes = 4096,
        .max_name = 63,
};

static Bytes *raw(const void *data, size_t size)
{
        return bytes_new_copy(data, size);
}

static Bytes *text(const char *s)
{
        return raw(s, strlen(s));
}

static Bytes *type(char number)
{
        const char pickle[] = { '\x80', 4, 'K', number, '.' };
        return raw(pickle, sizeof pickle);
}

static Value *with(Value *dict, const char *key, Value *value)
{
        assert_true(value_dict_set_string(dict, key, value) >= 0);
        value_unref(value);
        return dict;
}

static Bytes *dump_take(Value *v)
{
        Bytes *b = NULL;
        assert_int_equal(pickle_write(v, SIZE_MAX, &b), 0);
        value_unref(v);
        return b;
}

static Value *list_of(size_t n, Value *const *items)
{
        Value *list = value_list_new();
        for (size_t i = 0; i < n; i++) {
                value_list_append(list, items[i]);
                value_unref(items[i]);
        }
        return list;
}

/* Parses, takes the frames. */
static int parse(Message *m, Channel channel, bool guest, size_t n, Bytes *const *frames)
{
        const char *reason = NULL;
        int r = message_parse(m, &limits, channel, frames, n, guest, &reason);
        assert_true(r == 0 || r == 1);
        assert_true(r == 0 || reason);
        for (size_t i = 0; i < n; i++)
                bytes_unref(frames[i]);
        return r;
}

#define PARSE(m, channel, guest, ...)                                                 \
        ({                                                                            \
                Bytes *_f[] = { __VA_ARGS__ };                                        \
                parse(m, channel, guest, sizeof _f / sizeof _f[0], _f);               \
        })

/* m stays empty when the message is refused. */
#define REFUSED(channel, guest, ...)                                                  \
        do {                                                                          \
                Message _m;                                                           \
                assert_int_equal(PARSE(&_m, channel, guest, __VA_ARGS__), 1);         \
        } while (0)

static Bytes *empty_list(void)
{
        return raw("\x80\x04].", 4);
}

static Bytes *empty_dict(void)
{
        return raw("\x80\x04}.", 4);
}

static void test_node(void **state)
{
        Message m;
        assert_int_equal(PARSE(&m, CHANNEL_DATA, false, type(2), text("uuid"), text("COMMON"), empty_list(), empty_dict()), 0);
        assert_int_equal(m.type, MESSAGE_NODE);
        assert_true(bytes_equal_string(m.node.uuid, "uuid"));
        assert_true(bytes_equal_string(m.node.owner, "COMMON"));
        message_done(&m);
        /* Other writers' ways to say 2. */
        assert_int_equal(PARSE(&m, CHANNEL_DATA, false, text("I2\n."), text("u"), text("o"), text("N."), empty_dict()), 0);
        message_done(&m);

        REFUSED(CHANNEL_DATA, false, type(2), text("uuid"), text("COMMON"), empty_list());
        REFUSED(CHANNEL_DATA, false, type(2), text(""), text("COMMON"), empty_list(), empty_dict());
        REFUSED(CHANNEL_DATA, false, type(2), text("a\nb"), text("COMMON"), empty_list(), empty_dict());
        REFUSED(CHANNEL_DATA, false, type(2), text("uuid"), text("a\xff"), empty_list(), empty_dict());
        REFUSED(CHANNEL_DATA, false, type(2), text("uuid"), text("COMMON"), empty_dict(), empty_dict());
        REFUSED(CHANNEL_DATA, false, type(2), text("uuid"), text("COMMON"), empty_list(), text(""));
        REFUSED(CHANNEL_DATA, false, type(2), text("uuid"), text("COMMON"), empty_list(), text("cos\nsystem\n(S'x'\ntR."));
        REFUSED(CHANNEL_COMMAND, false, type(2), text("uuid"), text("COMMON"), empty_list(), empty_dict());
        REFUSED(CHANNEL_DATA, true, type(2), text("uuid"), text("COMMON"), empty_list(), empty_dict());
}

static void test_commit(void **state)
{
        Message m;
        assert_int_equal(PARSE(&m, CHANNEL_DATA, false, type(1), text("uuid"), empty_list(), empty_dict()), 0);
        assert_int_equal(m.type, MESSAGE_COMMIT);
        message_done(&m);
        REFUSED(CHANNEL_DATA, false, type(1), text("uuid"), empty_list());
        REFUSED(CHANNEL_DATA, false, type(1), text("uuid"), text("x"), empty_dict());
        uint8_t *data;
        Bytes *large = bytes_new_uninitialised((1 << 20) + 1, &data);
        memset(data, 0, large->size);
        REFUSED(CHANNEL_DATA, false, type(1), text("uuid"), empty_list(), large);
}

static void test_types(void **state)
{
        REFUSED(CHANNEL_COMMAND, false, text(""));
        REFUSED(CHANNEL_COMMAND, false, type(0), text("a"), empty_dict());
        REFUSED(CHANNEL_COMMAND, false, type(15), text("a"), empty_dict());
        REFUSED(CHANNEL_COMMAND, false, type(3), text("a"), empty_dict());
        REFUSED(CHANNEL_COMMAND, false, type(6), text("a"), empty_dict());
        REFUSED(CHANNEL_COMMAND, false, type(10), text("a"), empty_dict());
        REFUSED(CHANNEL_COMMAND, false, type(12), text("a"), empty_dict());
        REFUSED(CHANNEL_COMMAND, false, text("\x16\x03\x01"), text("a"), empty_dict());
        Message m;
        const char *reason;
        assert_int_equal(message_parse(&m, &limits, CHANNEL_COMMAND, NULL, 0, false, &reason), 1);
        REFUSED(CHANNEL_DATA, false, type(5), text("a"), empty_dict());
}

static Value *auth(const char *kind)
{
        Value *v = with(value_dict_new(), "AUTH_TYPE", value_string_new(kind));
        with(v, "AUTH_ID", value_string_new("anna"));
        with(v, "S_PWD", value_string_new(""));
        with(v, "A_PWD", value_ref(value_none()));
        return with(v, "VERSION", value_string_new("0.9.10"));
}

static void test_auth(void **state)
{
        Message m;
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, true, type(9), text("anna"), dump_take(auth("CLIENT"))), 0);
        assert_false(m.auth.admin);
        assert_int_equal(m.name.size, 4);
        assert_non_null(m.auth.server_password.data);
        assert_int_equal(m.auth.server_password.size, 0);
        assert_null(m.auth.admin_password.data);
        message_done(&m);
        REFUSED(CHANNEL_COMMAND, true, type(9), text("anna"), dump_take(auth("ROOT")));
        REFUSED(CHANNEL_COMMAND, true, type(9), text("anna"), dump_take(with(auth("ADMIN"), "A_PWD", value_int_new(1))));
        REFUSED(CHANNEL_COMMAND, true, type(9), text("anna"), dump_take(with(auth("ADMIN"), "AUTH_ID", value_int_new(1))));
        REFUSED(CHANNEL_COMMAND, true, type(9), text("anna"), dump_take(value_string_new("anna")));
        /* Guests may do nothing else, and not at length. */
        REFUSED(CHANNEL_COMMAND, true, type(13), text("anna"), empty_dict());
        char *long_text = calloc(1, 5001);
        memset(long_text, 'x', 5000);
        REFUSED(CHANNEL_COMMAND, true, type(9), text("anna"), dump_take(with(auth("ADMIN"), "A_PWD", value_string_new(long_text))));
        free(long_text);
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, true, type(14), text("guest"), dump_take(value_string_new("RQ_INFO"))), 0);
        message_done(&m);
}

static Bytes *step(const char *name, const char *key, Value *value)
{
        Value *v = with(value_dict_new(), "STATE", value_string_new(name));
        return dump_take(key ? with(v, key, value) : v);
}

static void test_snapshot(void **state)
{
        Message m;
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(7), text("a"), step("GET", "ID", value_string_new("u"))), 0);
        assert_int_equal(m.step, MESSAGE_STEP_GET);
        message_done(&m);
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(7), text("a"), step("DONE", NULL, NULL)), 0);
        message_done(&m);
        REFUSED(CHANNEL_COMMAND, false, type(7), text("a"), step("GET", NULL, NULL));
        REFUSED(CHANNEL_COMMAND, false, type(7), text("a"), step("GET", "ID", value_int_new(1)));
        REFUSED(CHANNEL_COMMAND, false, type(7), text("a"), step("FETCH", NULL, NULL));
        REFUSED(CHANNEL_COMMAND, false, type(7), text("a"), dump_take(value_list_new()));
}

static Value *init_data(const char *uuid, Value *payload)
{
        Bytes *data = dump_take(payload);
        Value *items[] = { value_bytes_new("\x80\x04K\x02.", 5), value_bytes_new(uuid, strlen(uuid)),
                           value_bytes_new("COMMON", 6), value_bytes_new("\x80\x04].", 4),
                           value_bytes_new(data->data, data->size) };
        bytes_unref(data);
        return list_of(5, items);
}

static void test_server_snapshot(void **state)
{
        Message m;
        Value *two[] = { value_string_new("u"), value_string_new("v") };
        Value *uuids = list_of(2, two);
        Value *init = with(with(with(value_dict_new(), "STATE", value_string_new("INIT")), "SIZE", value_int_new(2)),
                           "NODES", value_ref(uuids));
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(8), text("server"), dump_take(value_ref(init))), 0);
        assert_int_equal(value_list_length(m.uuids), 2);
        message_done(&m);
        REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), dump_take(with(init, "SIZE", value_int_new(3))));
        value_unref(uuids);
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(8), text("server"),
                               step("SET", "DATA", init_data("u", value_dict_new()))), 0);
        assert_true(bytes_equal_string(m.node.uuid, "u"));
        message_done(&m);
        REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), step("SET", "DATA", init_data("", value_dict_new())));
        REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), step("SET", "DATA", value_list_new()));
        REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), step("SET", NULL, NULL));
}

#define PUT(p, literal) mempcpy(p, literal, sizeof(literal) - 1)

/* As Python writes it: in a frame, with a memo. The parts that a mistake may be in. */
static size_t python_set(uint8_t *p, const char *uuid, const char *last)
{
        uint8_t *start = p;
        p = PUT(p, "\x80\x04\x95");
        uint8_t *size = p;
        p += 8;
        uint8_t *frame = p;
        p = PUT(p, "}\x94(\x8c\x05STATE\x94\x8c\x03SET\x94\x8c\x04" "DATA\x94]\x94(");
        p = PUT(p, "C\x05\x80\x04K\x02.\x94" "B\x01\0\0\0");
        *p++ = (uint8_t)*uuid;
        p = PUT(p, "\x94" "C\x06" "COMMON\x94" "C\x04\x80\x04].\x94" "C\x04\x80\x04}.");
        p = mempcpy(p, last, strlen(last));
        uint64_t n = htole64((uint64_t)(p - frame));
        memcpy(size, &n, sizeof n);
        return (size_t)(p - start);
}

static void test_server_snapshot_of_python(void **state)
{
        Message m;
        uint8_t p[256];
        size_t n = python_set(p, "u", "\x94" "eu.");
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(8), text("server"), raw(p, n)), 0);
        assert_int_equal(m.step, MESSAGE_STEP_SET);
        assert_true(bytes_equal_string(m.node.uuid, "u"));
        assert_true(bytes_equal_string(m.node.owner, "COMMON"));
        assert_true(bytes_equal_string(m.node.dependencies, "\x80\x04]."));
        assert_true(bytes_equal_string(m.node.payload, "\x80\x04}."));
        message_done(&m);

        for (size_t i = 0; i < n; i++)
                REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), raw(p, i));
        /* Written otherwise it is read otherwise: a sixth frame, a key twice, and in the end the same again. */
        n = python_set(p, "u", "\x94" "C\x01x\x94" "eu.");
        REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), raw(p, n));
        n = python_set(p, "u", "\x94" "e\x8c\x05STATE\x8c\x03" "ENDu.");
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(8), text("server"), raw(p, n)), 0);
        assert_int_equal(m.step, MESSAGE_STEP_END);
        message_done(&m);
        n = python_set(p, "u", "\x94" "e\x8c\x01x\x8c\x01yu.");
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(8), text("server"), raw(p, n)), 0);
        assert_true(bytes_equal_string(m.node.uuid, "u"));
        message_done(&m);
        /* What is in the frames is looked at all the same, and how long the pickle says that it is. */
        n = python_set(p, "\n", "\x94" "eu.");
        REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), raw(p, n));
        n = python_set(p, "u", "\x94" "eu.");
        p[3]++;
        REFUSED(CHANNEL_COMMAND, false, type(8), text("server"), raw(p, n));
}

static void test_right_delete_kick(void **state)
{
        Message m;
        Value *one[] = { value_string_new("u") };
        Value *right = with(with(value_dict_new(), "uuid", list_of(1, one)), "owner", value_string_new("anna"));
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(5), text("a"), dump_take(value_ref(right))), 0);
        assert_int_equal(value_list_length(m.uuids), 1);
        message_done(&m);
        REFUSED(CHANNEL_COMMAND, false, type(5), text("a"), dump_take(with(value_ref(right), "owner", value_ref(value_none()))));
        REFUSED(CHANNEL_COMMAND, false, type(5), text("a"), dump_take(with(right, "uuid", value_string_new("u"))));
        assert_int_equal(PARSE(&m, CHANNEL_COMMAND, false, type(4), text("client"), dump_take(value_string_new("u"))), 0);
        message_done(&m);
        /* A client asserts that there is something to delete. */
        REFUSED(CHANNEL_COMMAND, false, type(4), text("client"), dump_take(value_string_new("")));
        REFUSED(CHANNEL_COMMAND, false, type(4), text("client"), empty_list());
        REFUSED(CHANNEL_COMMAND, false, type(11), text("a"), empty_dict());
        REFUSED(CHANNEL_COMMAND, false, type(13), text("a"), empty_list());
}

static void test_text(void **state)
{
        assert_true(message_text_is_clean("vier \xe2\x9c\x93", 8, 63));
        assert_true(message_text_is_clean("\xf0\x9f\x98\x80", 4, 63));
        static const char *const bad[] = { "", "\x1b[0m", "a\x7f", "\xc2\x85", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                                           "\xf4\x90\x80\x80", "\xff", "\xe2\x9c", "\xe2\x80\xa8", "\xf8\x88\x80\x80\x80" };
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                assert_false(message_text_is_clean(bad[i], strlen(bad[i]), 63));
        assert_false(message_text_is_clean("a\0b", 3, 63));
        assert_false(message_text_is_clean("abcd", 4, 3));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_node),
                cmocka_unit_test(test_commit),
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_auth),
                cmocka_unit_test(test_snapshot),
                cmocka_unit_test(test_server_snapshot),
                cmocka_unit_test(test_server_snapshot_of_python),
                cmocka_unit_test(test_right_delete_kick),
                cmocka_unit_test(test_text),
        };
        return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
