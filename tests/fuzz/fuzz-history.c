/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any text may come as chat or tasks: lines are what clients send, one after the other. What is kept stays within its bounds,
 * can be read again, and is told as clients can read it. The first byte of a line says what it is and whose, and whether
 * that user has come back before it. */

#include <string.h>

#include "session/chat-log.h"
#include "session/task-sync.h"

#define N_USERS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_changed(void *userdata, const char *id, const Task *task)
{
        TaskBoard *b = userdata;
        assert(task == task_board_find(b, id));
        return 0;
}

static void send_chat(ChatLog *log, json_object *list, uint64_t wall)
{
        for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
                const ChatMessage *m;
                if (chat_log_merge(log, json_object_array_get_idx(list, i), NULL, wall, i % 2, &m) == CHAT_NEW)
                        assert(m->text_size <= JSON_ITEM_SIZE_MAX && strlen(m->text) == m->text_size);
        }
}

static void check_chat(const ChatLog *log)
{
        _cleanup_chat_log_ ChatLog *again = chat_log_new();
        _cleanup_value_ Value *text = chat_log_tell(log, CHAT_LOG_MAX, SIZE_MAX);
        _cleanup_json_ json_object *told = json_item_parse(text);
        assert(json_object_array_length(told) == chat_log_length(log));
        for (size_t i = 0; i < chat_log_length(log); i++) {
                const ChatMessage *m = chat_log_get(log, i);
                assert(i == 0 || chat_log_get(log, i - 1)->time <= m->time);
                int r = chat_log_load(again, m->author, m->number, m->time, m->text, m->text_size);
                assert(r == 0 && strcmp(chat_log_get(again, i)->text, m->text) == 0);
        }
        assert(chat_log_length(again) == chat_log_length(log) && chat_log_length(log) <= CHAT_LOG_MAX);
}

/* What is known of its client is kept, and what is kept is nothing else. */
static void come_back(TaskHolder *h, const TaskBoard *b)
{
        _cleanup_bytes_ Bytes *kept = task_holder_save(h);
        int r = task_holder_load(h, kept);
        _cleanup_bytes_ Bytes *again = task_holder_save(h);
        assert(r == 0 && bytes_equal(kept, again));
        task_holder_return(h, task_board_stamp(b), task_board_stamp(b));
}

static void check_holder(const TaskHolder *h, const TaskBoard *b)
{
        assert(h->n_held <= TASK_LIST_MAX && h->read <= MAX(task_board_stamp(b), h->joined));
}

static void check_tasks(const TaskBoard *b)
{
        _cleanup_value_ Value *text = task_board_tell(b, NULL, NULL);
        _cleanup_json_ json_object *told = json_item_parse(text);
        assert((size_t)json_object_object_length(told) == task_board_length(b));
        assert(task_board_length(b) <= TASK_BOARD_MAX);
        for (size_t i = 0; i < task_board_length(b); i++) {
                const Task *t = task_board_get(b, i);
                _cleanup_json_ json_object *o = json_item_parse_text(t->text, t->text_size);
                _cleanup_task_item_ TaskItem item = { 0 };
                int r = task_item_read(o, 0, &item);
                assert(r == 0 && strcmp(item.text, t->text) == 0 && item.digest == t->digest);
                assert(!task_board_was_deleted(b, t->id));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const names[N_USERS] = { "a", "b", "c" };
        _cleanup_chat_log_ ChatLog *log = chat_log_new();
        _cleanup_task_board_ TaskBoard *board = task_board_new();
        TaskHolder holders[N_USERS] = { 0 };
        uint64_t wall = UINT64_C(1795443300) * 1000000;

        while (size > 0) {
                const uint8_t *end = memchr(data, '\n', size);
                size_t n = end ? (size_t)(end - data) : size;
                if (n > 0) {
                        _cleanup_json_ json_object *o = json_item_parse_text((const char *)data + 1, n - 1);
                        size_t user = data[0] % N_USERS;
                        if (data[0] & 0x08)
                                come_back(&holders[user], board);
                        if (data[0] & 0x40)
                                send_chat(log, o, wall++);
                        else if (task_sync(board, &holders[user], o, names[user], wall += TASK_DOUBT_MIN / 2, on_changed, board) < 0)
                                abort();
                        check_holder(&holders[user], board);
                }
                n += end ? 1 : 0;
                data += n;
                size -= n;
        }
        check_chat(log);
        check_tasks(board);
        for (size_t i = 0; i < N_USERS; i++)
                task_holder_done(&holders[i]);
        return 0;
}
