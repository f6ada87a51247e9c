/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "control/history-json.h"
#include "control/protocol.h"
#include "daemon/manager-control.h"

/* Chat and tasks: looked at, and written in the name of the server. */

static int turn(Manager *m, int k)
{
        return manager_check(m, k < 0 ? k : manager_turn(m));
}

static bool is_serving(Manager *m, ControlCall *call)
{
        if (m->state == MANAGER_SERVING)
                return true;
        control_refuse_loading(call);
        return false;
}

static int done(ControlCall *call, const char *key, const char *value)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, key, json_object_new_string(value));
        control_answer(call, o);
        return 0;
}

int control_chat(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;

        if (is_serving(c->manager, call))
                control_answer(call, history_chat_json(c->manager->session,
                                                       json_object_get_uint64(json_object_object_get(arguments, "after"))));
        return 0;
}

int control_say(void *userdata, ControlCall *call, json_object *arguments)
{
        Manager *m = ((ManagerControl *)userdata)->manager;
        const char *text = control_text(arguments, "text");
        int k;

        if (!is_serving(m, call))
                return 0;
        k = session_say(m->session, manager_time(), text ?: "", executor_effects(m->executor));
        if (k == 1) {
                control_refuse(call, CONTROL_ERROR_REFUSED, "no chat is kept here: chat_history is 0 in the configuration");
                return 0;
        }
        if (k == 2) {
                control_refuse(call, CONTROL_ERROR_USAGE, "that cannot be said: it is empty, or too long");
                return 0;
        }
        return turn(m, k) < 0 ? k : done(call, "said", text);
}

int control_tasks(void *userdata, ControlCall *call, json_object *arguments)
{
        ManagerControl *c = userdata;

        if (is_serving(c->manager, call))
                control_answer(call, history_tasks_json(c->manager->session));
        return 0;
}

int control_task_put(void *userdata, ControlCall *call, json_object *arguments)
{
        Manager *m = ((ManagerControl *)userdata)->manager;
        json_object *task = json_object_object_get(arguments, "task");
        _cleanup_free_ char *id = NULL;
        int k;

        if (!is_serving(m, call))
                return 0;
        k = json_object_is_type(task, json_type_object)
                    ? session_put_task(m->session, manager_time(), task, executor_effects(m->executor), &id)
                    : 2;
        if (k == 1) {
                control_refuse(call, CONTROL_ERROR_REFUSED, "no more tasks fit: remove some (scenekeepctl tasks rm)");
                return 0;
        }
        if (k == 2) {
                control_refuse(call, CONTROL_ERROR_USAGE, "that is no task, or it is too large");
                return 0;
        }
        return turn(m, k) < 0 ? k : done(call, "id", id);
}

int control_task_remove(void *userdata, ControlCall *call, json_object *arguments)
{
        Manager *m = ((ManagerControl *)userdata)->manager;
        const char *id = control_text(arguments, "id");
        int k;

        if (!is_serving(m, call))
                return 0;
        k = id ? session_delete_task(m->session, manager_time(), id, executor_effects(m->executor)) : 1;
        if (k == 1) {
                control_refuse(call, CONTROL_ERROR_NOT_FOUND, "there is no task %s: see `scenekeepctl tasks`", id ?: "");
                return 0;
        }
        return turn(m, k) < 0 ? k : done(call, "id", id);
}
