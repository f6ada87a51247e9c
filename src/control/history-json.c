/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/history-json.h"

json_object *history_chat_json(const Session *s, uint64_t after)
{
        const ChatLog *log = session_chat(s);
        json_object *o = json_object_new_object(), *list = json_object_new_array();

        for (size_t i = 0; list && i < chat_log_length(log); i++) {
                const ChatMessage *m = chat_log_get(log, i);
                json_object *message = m->number > after ? json_item_parse_text(m->text, m->text_size) : NULL;

                if (!message)
                        continue;
                json_object_object_add(message, "number", json_object_new_uint64(m->number));
                json_object_array_add(list, message);
        }
        if (json_item_add(o, "messages", list) < 0 ||
            json_item_add(o, "last", json_object_new_uint64(chat_log_last_number(log))) < 0) {
                json_object_put(o);
                return NULL;
        }
        return o;
}

json_object *history_tasks_json(const Session *s)
{
        const TaskBoard *board = session_tasks(s);
        json_object *o = json_object_new_object(), *list = json_object_new_array();

        for (size_t i = 0; list && i < task_board_length(board); i++) {
                const Task *t = task_board_get(board, i);
                json_object *task = json_item_parse_text(t->text, t->text_size);

                if (task)
                        json_object_array_add(list, task);
        }
        if (json_item_add(o, "tasks", list) < 0) {
                json_object_put(o);
                return NULL;
        }
        return o;
}
