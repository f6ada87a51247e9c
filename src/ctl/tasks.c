/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "ctl/call.h"
#include "ctl/table.h"
#include "ctl/talk.h"

/* Those that the add-on's panel knows. */
static bool is_status(const char *text)
{
        static const char *const names[] = {"todo", "in_progress", "done"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(names[i], text) == 0)
                        return true;
        return false;
}

static bool is_wanted(const Ctl *ctl, json_object *task)
{
        const char *status = ctl->value[OPT_STATUS], *assigned = ctl->value[OPT_ASSIGNED];

        return (!status || strcmp(status, answer_text_of(task, "status")) == 0) &&
               (!assigned || strcmp(assigned, answer_text_of(task, "assigned_to")) == 0);
}

static ExitStatus show_tasks(const Ctl *ctl, json_object *tasks)
{
        _cleanup_table_ Table *t = table_new("ID|STATUS|~ASSIGNED|~TITLE|~OBJECT");
        json_object *list = json_object_new_array(), *answer = json_object_new_object();

        for (size_t i = 0; t && i < json_object_array_length(tasks); i++) {
                json_object *task = json_object_array_get_idx(tasks, i);

                if (!is_wanted(ctl, task))
                        continue;
                json_object_array_add(list, json_object_get(task));
                table_row(t);
                table_cell(t, "%s", answer_text_of(task, "id"));
                table_cell(t, "%s", answer_text_of(task, "status"));
                table_cell(t, "%s", answer_text_of(task, "assigned_to"));
                table_cell(t, "%s", answer_text_of(task, "title"));
                table_cell(t, "%s", answer_text_of(task, "object_name"));
        }
        json_object_object_add(answer, "tasks", list);
        if (ctl->json) {
                ctl_print_json(answer);
                return CTL_OK;
        }
        json_object_put(answer);
        if (t && table_n_rows(t) == 0)
                puts(json_object_array_length(tasks) == 0 ? "There are no tasks." : "There is no such task.");
        else if (!t || table_print(t, stdout, ctl->width, ctl->colour) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        return CTL_OK;
}

/* By id, the beginning of one, or title; NULL: none or several, and said so. Borrowed from tasks. */
static json_object *find_task(const Ctl *ctl, json_object *tasks, const char *name)
{
        json_object *found = NULL;
        size_t n = 0;

        for (size_t i = 0; i < json_object_array_length(tasks); i++) {
                json_object *task = json_object_array_get_idx(tasks, i);
                const char *id = answer_text_of(task, "id");

                if (strcmp(id, name) == 0)
                        return task;
                if (strncmp(id, name, strlen(name)) != 0 && strcmp(answer_text_of(task, "title"), name) != 0)
                        continue;
                found = task;
                n++;
        }
        if (n == 1)
                return found;
        if (n == 0)
                ctl_fail(ctl, CTL_NOT_FOUND, "there is no task \"%s\": see `scenekeepctl tasks`", name);
        else
                ctl_fail(ctl, CTL_NOT_FOUND, "\"%s\" may mean %zu tasks: name one by its id, see `scenekeepctl tasks`", name, n);
        return NULL;
}

static ExitStatus change(const Ctl *ctl, const char *verb, json_object *arguments, const char *what)
{
        json_object *o = NULL;
        ExitStatus status = ctl_call(ctl, verb, arguments, -1, &o);

        if (o && ctl->json)
                ctl_print_json(json_object_get(o));
        else if (o)
                printf("Task %s %s.\n", answer_text_of(o, "id"), what);
        json_object_put(o);
        return status;
}

static ExitStatus add_task(const Ctl *ctl, const char *title)
{
        json_object *arguments = json_object_new_object(), *task = json_object_new_object();

        json_object_object_add(task, "title", json_object_new_string(title));
        json_object_object_add(task, "status", json_object_new_string(ctl->value[OPT_STATUS] ?: "todo"));
        json_object_object_add(task, "assigned_to", json_object_new_string(ctl->value[OPT_ASSIGNED] ?: ""));
        json_object_object_add(arguments, "task", task);
        return change(ctl, "task-put", arguments, "is on the board");
}

static ExitStatus finish_task(const Ctl *ctl, json_object *task)
{
        json_object *arguments = json_object_new_object();

        json_object_object_add(task, "status", json_object_new_string("done"));
        json_object_object_add(arguments, "task", json_object_get(task));
        return change(ctl, "task-put", arguments, "is done");
}

static ExitStatus remove_task(const Ctl *ctl, json_object *task)
{
        json_object *arguments = json_object_new_object();

        json_object_object_add(arguments, "id", json_object_new_string(answer_text_of(task, "id")));
        return change(ctl, "task-remove", arguments, "is removed");
}

ExitStatus verb_tasks(Ctl *ctl)
{
        const char *what = ctl->n_arguments > 0 ? ctl->arguments[0] : NULL;
        const char *wanted = ctl->value[OPT_STATUS];
        bool is_done = what && strcmp(what, "done") == 0;
        json_object *o = NULL, *tasks, *task;
        ExitStatus status;

        if (what && strcmp(what, "add") != 0 && strcmp(what, "rm") != 0 && !is_done)
                return ctl_fail(ctl, CTL_USAGE, "tasks are added, done or removed (add, done, rm), not \"%s\"", what);
        if (what && ctl->n_arguments != 2)
                return ctl_fail(ctl, CTL_USAGE, "`tasks %s` needs one task: put a title of several words in quotes", what);
        if (wanted && !is_status(wanted))
                return ctl_fail(ctl, CTL_USAGE, "\"%s\" is no status of a task: todo, in_progress and done are", wanted);
        if (what && strcmp(what, "add") == 0)
                return add_task(ctl, ctl->arguments[1]);
        status = what ? ctl_call(ctl, "tasks", NULL, -1, &o) : ctl_history(ctl, "tasks", NULL, &o);
        if (status != CTL_OK)
                return status;
        tasks = json_object_object_get(o, "tasks");
        if (!what) {
                status = show_tasks(ctl, tasks);
        } else {
                task = find_task(ctl, tasks, ctl->arguments[1]);
                status = !task ? CTL_NOT_FOUND : is_done ? finish_task(ctl, task) : remove_task(ctl, task);
        }
        json_object_put(o);
        return status;
}
