/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "session/chat-log.h"
#include "test.h"

#define WALL (UINT64_C(1795443300) * 1000000)

static int merge(ChatLog *log, const char *text, bool last)
{
        const ChatMessage *m;
        _cleanup_json_ json_object *o = json_item_parse_text(text, strlen(text));
        assert_non_null(o);
        return chat_log_merge(log, o, NULL, WALL, last, &m);
}

static int add(ChatLog *log, unsigned id, uint64_t seconds)
{
        char text[200];
        snprintf(text, sizeof text, "{\"id\":\"%u\",\"username\":\"bert\",\"message\":\"m%u\",\"timestamp\":%llu.5}", id, id,
                 (unsigned long long)seconds);
        return merge(log, text, false);
}

static void assert_told(const ChatLog *log, size_t max_messages, size_t max_bytes, const char *ids)
{
        _cleanup_value_ Value *text = chat_log_tell(log, max_messages, max_bytes);
        _cleanup_json_ json_object *list = json_item_parse(text);
        char got[200] = "";
        size_t n = 0;
        assert_true(json_item_is_own(text));
        assert_true(value_size(text) <= MAX(max_bytes, (size_t)3));
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *item = json_object_array_get_idx(list, i);
                n += (size_t)snprintf(got + n, sizeof got - n, "%s ",
                                      json_object_get_string(json_object_object_get(item, "id")));
        }
        assert_string_equal(got, ids);
}

static void test_each_once_and_in_order(void **state)
{
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        assert_int_equal(add(log, 1, 100000), CHAT_NEW);
        assert_int_equal(add(log, 3, 300000), CHAT_NEW);
        assert_int_equal(add(log, 2, 200000), CHAT_NEW);
        assert_int_equal(add(log, 3, 300000), CHAT_KNOWN);
        assert_int_equal(add(log, 1, 900000), CHAT_KNOWN);
        assert_told(log, 100, 10000, "1 2 3 ");
        assert_told(log, 2, 10000, "2 3 ");
        assert_told(log, 0, 10000, "");
        assert_told(log, 100, 150, "3 ");
        assert_told(log, 100, 10, "");
}

static void test_clocks_of_authors(void **state)
{
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        /* Ahead: not later than it came. What its author has just said goes to the end in any case. */
        assert_int_equal(add(log, 1, 4000000000), CHAT_NEW);
        assert_int_equal(chat_log_get(log, 0)->time, WALL);
        assert_int_equal(merge(log, "{\"id\":\"2\",\"username\":\"a\",\"message\":\"\",\"timestamp\":100000}", true), CHAT_NEW);
        assert_int_equal(add(log, 3, 100000), CHAT_NEW);
        assert_told(log, 100, 10000, "3 1 2 ");
        assert_int_equal(chat_log_last_number(log), 3);
}

static void test_form(void **state)
{
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        assert_int_equal(merge(log, "{\"timestamp\":1700000000.1234567, \"message\":\"a/\\u00e4\\ud83d\\ude00\", \"x\":5,"
                                    "\"username\":\"u\", \"id\":\"7\", \"metadata\":{\"code\":\"c\"}}", false), CHAT_NEW);
        assert_string_equal(chat_log_get(log, 0)->text,
                            "{\"id\":\"7\",\"username\":\"u\",\"message\":\"a/\xc3\xa4\xf0\x9f\x98\x80\",\"msg_type\":\"text\","
                            "\"metadata\":{\"code\":\"c\"},\"timestamp\":1700000000.1234567}");
}

#define HEAD "\"username\":\"u\",\"message\":\"m\""

static void test_malformed(void **state)
{
        static const char *const bad[] = {
                "[]", "{}", "{" HEAD ",\"timestamp\":1700000000}", "{\"id\":\"\"," HEAD ",\"timestamp\":1700000000}",
                "{\"id\":5," HEAD ",\"timestamp\":1700000000}", "{\"id\":\"a\\nb\"," HEAD ",\"timestamp\":1700000000}",
                "{\"id\":\"1\"," HEAD "}", "{\"id\":\"1\"," HEAD ",\"timestamp\":\"1\"}",
                "{\"id\":\"1\"," HEAD ",\"timestamp\":-5}", "{\"id\":\"1\"," HEAD ",\"timestamp\":1e300}",
                "{\"id\":\"1\"," HEAD ",\"timestamp\":1700000000,\"msg_type\":5}",
                "{\"id\":\"1\"," HEAD ",\"timestamp\":1700000000,\"metadata\":[]}",
                "{\"id\":\"1\"," HEAD ",\"timestamp\":1700000000,\"metadata\":{\"code\":1}}",
                "{\"id\":\"1\",\"username\":\"u\",\"message\":\"\\u0000\",\"timestamp\":1700000000}",
                "{\"id\":\"1\",\"username\":\"\",\"message\":\"m\",\"timestamp\":1700000000}",
        };
        static const char *const no_json[] = { "", "[", "{} {}", "nul", "[1,]", "[\"\xff\"]", "5" };
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(merge(log, bad[i], false), CHAT_MALFORMED);
        for (size_t i = 0; i < ELEMENTSOF(no_json); i++)
                assert_null(json_item_parse_text(no_json[i], strlen(no_json[i])));
        char deep[101];
        memset(deep, '[', 50);
        memset(deep + 50, ']', 50);
        assert_null(json_item_parse_text(deep, 100));
        assert_int_equal(chat_log_length(log), 0);
}

static void test_bounds(void **state)
{
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        for (unsigned i = 0; i < CHAT_LOG_MAX + 100; i++)
                assert_int_equal(add(log, i, 1000000 + i), CHAT_NEW);
        assert_int_equal(chat_log_length(log), CHAT_LOG_MAX);
        assert_string_equal(chat_log_get(log, 0)->id, "100");
        /* What has been dropped does not come back. */
        assert_int_equal(add(log, 5, 1000005), CHAT_PAST);
        assert_int_equal(add(log, 99, 1000099), CHAT_PAST);
        assert_int_equal(chat_log_length(log), CHAT_LOG_MAX);

        _cleanup_free_ char *large = malloc(JSON_ITEM_SIZE_MAX + 1);
        memset(large, 'x', JSON_ITEM_SIZE_MAX);
        large[JSON_ITEM_SIZE_MAX] = '\0';
        _cleanup_json_ json_object *item = chat_message_new("u", large, WALL);
        const ChatMessage *m;
        assert_int_equal(chat_log_merge(log, item, NULL, WALL, true, &m), CHAT_MALFORMED);
        large[15000] = '\0';
        size_t bytes = 0;
        for (unsigned i = 0; i < 30; i++) {
                _cleanup_json_ json_object *o = chat_message_new("u", large, WALL + i);
                assert_int_equal(chat_log_merge(log, o, NULL, WALL + i, true, &m), CHAT_NEW);
        }
        for (size_t i = 0; i < chat_log_length(log); i++)
                bytes += chat_log_get(log, i)->text_size;
        assert_true(bytes <= CHAT_LOG_BYTES_MAX && bytes > CHAT_LOG_BYTES_MAX - 20000);
}

/* Signed by `user`, in the list of `author`. */
static int bring(ChatLog *log, const char *author, const char *user, const char *message, uint64_t wall)
{
        const ChatMessage *m;
        _cleanup_json_ json_object *o = chat_message_new(user, message, wall);
        return chat_log_merge(log, o, author, wall, true, &m);
}

static size_t count(const ChatLog *log, const char *author)
{
        size_t n = 0;
        for (size_t i = 0; i < chat_log_length(log); i++)
                n += strcmp(chat_log_get(log, i)->author, author) == 0;
        return n;
}

static void test_share_of_one(void **state)
{
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        for (unsigned i = 0; i < 300; i++)
                assert_int_equal(bring(log, i % 3 ? "anna" : "carl", "x", "said", WALL + i), CHAT_NEW);
        /* Under whatever name. */
        char user[16];
        for (unsigned i = 0; i < 3000; i++) {
                snprintf(user, sizeof user, "user %u", i);
                assert_int_equal(bring(log, "bert", user, "flood", WALL + 1000 + i), CHAT_NEW);
        }
        assert_int_equal(count(log, "bert"), CHAT_LOG_MAX / 2);
        assert_int_equal(count(log, "anna") + count(log, "carl"), CHAT_LOG_MAX / 2);
        assert_true(count(log, "carl") >= 80);
        /* What the flood has pushed out is not the past of others, whose clock may be behind. */
        assert_true(chat_log_floor(log) < WALL + 300);
        assert_int_equal(bring(log, "dora", "dora", "late", WALL + 500), CHAT_NEW);

        _cleanup_value_ Value *text = chat_log_tell(log, 100, 1000000);
        _cleanup_json_ json_object *list = json_item_parse(text);
        size_t n_flood = 0;
        assert_int_equal(json_object_array_length(list), 100);
        for (size_t i = 0; i < 100; i++) {
                json_object *o = json_object_array_get_idx(list, i);
                n_flood += strcmp(json_object_get_string(json_object_object_get(o, "message")), "flood") == 0;
        }
        assert_int_equal(n_flood, 50);
}

static void test_share_in_bytes(void **state)
{
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        _cleanup_free_ char *large = calloc(1, 12001);
        memset(large, 'x', 12000);
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(bring(log, "anna", "anna", "small", WALL + i), CHAT_NEW);
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(bring(log, "bert", "bert", large, WALL + 100 + i), CHAT_NEW);
        assert_int_equal(count(log, "anna"), 10);
        assert_int_equal(count(log, "bert"), chat_log_length(log) - 10);
        /* There is room for it beside all that others have said. */
        _cleanup_value_ Value *text = chat_log_tell(log, 200, 60000);
        _cleanup_json_ json_object *list = json_item_parse(text);
        assert_int_equal(json_object_array_length(list), 10 + 4);
}

static void test_loading(void **state)
{
        _cleanup_chat_log_ ChatLog *log = chat_log_new(), *again = chat_log_new();
        for (unsigned i = 0; i < 5; i++)
                add(log, i, 1000000 - i);
        for (size_t i = 0; i < 5; i++) {
                const ChatMessage *m = chat_log_get(log, i);
                assert_int_equal(chat_log_load(again, m->author, m->number, m->time, m->text, m->text_size), 0);
                assert_int_equal(chat_log_load(again, m->author, m->number, m->time, m->text, m->text_size), 0);
        }
        assert_told(again, 10, 10000, "4 3 2 1 0 ");
        assert_int_equal(chat_log_last_number(again), 5);
        assert_int_equal(chat_log_load(again, NULL, 6, WALL, "[]", 2), 1);
        assert_int_equal(chat_log_load(again, NULL, 6, WALL, "{", 1), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_once_and_in_order), cmocka_unit_test(test_clocks_of_authors),
                cmocka_unit_test(test_form), cmocka_unit_test(test_malformed), cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_share_of_one), cmocka_unit_test(test_share_in_bytes), cmocka_unit_test(test_loading),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
