/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "control/history-json.h"
#include "ctl/call.h"
#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/talk.h"

#define FOLLOW_SECONDS 1

ExitStatus ctl_history(const Ctl *ctl, const char *verb, json_object *arguments, json_object **ret)
{
        _cleanup_store_ Store *store = NULL;
        Source s = {0};
        ExitStatus status;

        if (ctl_is_running(ctl))
                return ctl_call(ctl, verb, arguments, -1, ret);
        json_object_put(arguments);
        status = source_open(ctl, "now", &store, &s);
        if (status != CTL_OK)
                return status;
        *ret = strcmp(verb, "chat") == 0 ? history_chat_json(moment_session(s.moment), 0)
                                         : history_tasks_json(moment_session(s.moment));
        source_done(&s);
        return *ret ? CTL_OK : ctl_fail(ctl, CTL_FAILED, "out of memory");
}

static uint64_t stamp_of(json_object *message)
{
        return (uint64_t)(json_object_get_double(json_object_object_get(message, "timestamp")) * 1000000);
}

static bool print_message(const Ctl *ctl, json_object *message)
{
        const char *user = answer_text_of(message, "username"), *text = answer_text_of(message, "message");
        _cleanup_free_ char *safe_user = log_escape(user, strlen(user)), *safe_text = log_escape(text, strlen(text));
        _cleanup_free_ char *line = NULL;
        char time[FORMAT_SIZE_MAX];

        if (!safe_user || !safe_text ||
            asprintf(&line, "%s  %s: %s", format_time(time, sizeof(time), stamp_of(message)), safe_user, safe_text) < 0)
                return false;
        ctl_wrap(ctl, stdout, line);
        return true;
}

/* Those of an answer that are new enough; as one document, unless more will follow. */
static ExitStatus print_messages(const Ctl *ctl, json_object *o, uint64_t since, bool follow)
{
        json_object *messages = json_object_object_get(o, "messages"), *list = json_object_new_array();
        size_t n = 0;

        for (size_t i = 0; i < json_object_array_length(messages); i++) {
                json_object *m = json_object_array_get_idx(messages, i);

                if (stamp_of(m) < since)
                        continue;
                n++;
                if (ctl->json && follow) {
                        ctl_print_json(json_object_get(m));
                } else if (ctl->json) {
                        json_object_array_add(list, json_object_get(m));
                } else if (!print_message(ctl, m)) {
                        json_object_put(list);
                        return ctl_fail(ctl, CTL_FAILED, "out of memory");
                }
        }
        if (ctl->json && !follow) {
                json_object *answer = json_object_new_object();

                json_object_object_add(answer, "messages", list);
                ctl_print_json(answer);
        } else {
                json_object_put(list);
        }
        if (n == 0 && !ctl->json && !follow)
                puts(since > 0 ? "Nothing has been said since then." : "Nothing has been said yet.");
        return CTL_OK;
}

static ExitStatus chat_after(const Ctl *ctl, uint64_t *after, uint64_t since, bool follow)
{
        json_object *arguments = json_object_new_object(), *o = NULL;
        ExitStatus status;

        json_object_object_add(arguments, "after", json_object_new_uint64(*after));
        status = follow ? ctl_call(ctl, "chat", arguments, -1, &o) : ctl_history(ctl, "chat", arguments, &o);
        if (status != CTL_OK)
                return status;
        status = print_messages(ctl, o, since, follow);
        *after = answer_int(o, "last");
        json_object_put(o);
        return status;
}

/* Goes on while the daemon is restarted. */
static ExitStatus follow_chat(const Ctl *ctl, uint64_t after)
{
        const struct timespec pause = {.tv_sec = FOLLOW_SECONDS};
        ExitStatus status = CTL_OK;
        bool gone = false;

        while (fflush(stdout) == 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL) == 0) {
                bool was_gone = gone;

                gone = !ctl_is_running(ctl);
                if (gone && !was_gone)
                        fputs("scenekeepctl: the daemon has gone; waiting for it to come back\n", stderr);
                if (gone)
                        continue;
                status = chat_after(ctl, &after, 0, true);
                if (status != CTL_OK && status != CTL_NOT_RUNNING)
                        break;
        }
        return status;
}

ExitStatus verb_chat(Ctl *ctl)
{
        bool follow = ctl_has(ctl, OPT_FOLLOW);
        uint64_t since, after = 0;
        ExitStatus status;

        if (!ctl_time(ctl, OPT_SINCE, 0, &since))
                return CTL_USAGE;
        status = chat_after(ctl, &after, since, follow);
        return follow && status == CTL_OK ? follow_chat(ctl, after) : status;
}

ExitStatus verb_say(Ctl *ctl)
{
        json_object *arguments = json_object_new_object(), *o = NULL;
        ExitStatus status;

        json_object_object_add(arguments, "text", json_object_new_string(ctl->arguments[0]));
        status = ctl_call(ctl, "say", arguments, -1, &o);
        if (o && ctl->json)
                ctl_print_json(json_object_get(o));
        else if (o)
                puts("Said to everybody, and to who joins later.");
        json_object_put(o);
        return status;
}
