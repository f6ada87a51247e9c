/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "session/session-private.h"

/* What the operator changes: nobody is asked, everybody is told. */

static int operator_put(Session *s, Bytes *uuid, Bytes *dependencies, Bytes *payload)
{
        Node *n = scene_find(s->scene, uuid->data, uuid->size);
        /* References first: the scene would release the owner with the node's old content. */
        _cleanup_bytes_ Bytes *owner = bytes_ref(n ? node_owner(s->scene, n) : s->common);
        const MessageNode node = {
                .uuid = uuid, .owner = owner, .dependencies = dependencies, .payload = payload,
        };
        int r = 0;
        if (!s->running) {
                s->running = true;
                r = journal_state(s, NULL, RECORD_STATE_RUNNING);
        }
        if (r == 0)
                r = scene_put(s->scene, uuid->data, uuid->size, owner, dependencies, payload, s->now.wall, &n);
        if (r == 0)
                r = journal_node(s, NULL, &node, owner, node_id(n), node_version(n));
        if (r < 0)
                return r;
        grave_remove(s, uuid->data, uuid->size);
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (u->status != USER_LOBBY && stale_mark(s, u, n, s->now.now) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int session_put(Session *s, SessionTime t, const void *uuid, size_t uuid_size, Bytes *dependencies, Bytes *payload,
                EffectList *effects)
{
        if (s->init)
                return 1;
        _cleanup_bytes_ Bytes *copy = bytes_new_copy(uuid, uuid_size);
        if (!copy)
                return -ENOMEM;
        session_enter(s, t, effects);
        return session_leave(s, operator_put(s, copy, dependencies, payload));
}

int session_put_done(Session *s, SessionTime t, EffectList *effects)
{
        session_enter(s, t, effects);
        int r = session_has_scene(s) ? join_offer_lobby(s) : 0;
        for (size_t i = 0; r == 0 && i < s->n_users; i++)
                r = stale_send(s, s->users[i]);
        return session_leave(s, r);
}

int session_delete(Session *s, SessionTime t, const void *uuid, size_t uuid_size, EffectList *effects)
{
        session_enter(s, t, effects);
        int r = init_settle(s);
        Node *n = scene_find(s->scene, uuid, uuid_size);
        if (r < 0 || !n) {
                r = session_leave(s, r);
                return r < 0 ? r : 1;
        }
        _cleanup_frames_ Frames *frames = NULL;
        r = answer_new(s, MESSAGE_DELETE, value_str_new(uuid, uuid_size), &frames);
        if (r == 0)
                r = rights_remove(s, NULL, n, frames);
        return session_leave(s, r);
}

int session_set_owner(Session *s, SessionTime t, const void *uuid, size_t uuid_size, const char *owner,
                      EffectList *effects)
{
        session_enter(s, t, effects);
        int r = session_leave(s, init_settle(s));
        Node *n = scene_find(s->scene, uuid, uuid_size);
        if (r < 0 || !n)
                return r < 0 ? r : 1;
        bool common = strcmp(owner, SCENE_OWNER_COMMON) == 0;
        const User *u = common ? NULL : session_find_name(s, owner, strlen(owner));
        if (!common && !u)
                return 2;
        Bytes *name = common ? s->common : u->name;
        if (bytes_equal(node_owner(s->scene, n), name))
                return 0;
        session_enter(s, t, effects);
        return session_leave(s, rights_give(s, n, name));
}

/* ---- chat and tasks ---- */

int session_say(Session *s, SessionTime t, const char *text, EffectList *effects)
{
        if (s->config.chat_history == 0)
                return 1;
        if (!text[0])
                return 2;
        session_enter(s, t, effects);
        int r = CHAT_KNOWN;
        for (uint64_t wall = t.wall; r == CHAT_KNOWN; wall++) {
                _cleanup_json_ json_object *item = chat_message_new("server", text, wall);
                r = item ? history_chat(s, NULL, item, true) : -ENOMEM;
        }
        /* A clock that was set back does not keep the server from speaking, but one that is far behind does. */
        bool is_said = r <= 0;
        r = session_leave(s, MIN(r, 0));
        return r < 0 || is_said ? r : 2;
}

/* The form of the add-on, with an id that is a time stamp. */
static int complete_task(const Session *s, json_object *task)
{
        char id[32];
        for (uint64_t wall = s->now.wall;; wall++) {
                snprintf(id, sizeof id, "%llu.%06u", (unsigned long long)(wall / USEC_PER_SEC),
                         (unsigned)(wall % USEC_PER_SEC));
                if (!task_board_find(s->tasks, id) && !task_board_was_deleted(s->tasks, id))
                        break;
        }
        int r = json_item_add(task, "id", json_object_new_string(id));
        return r < 0 ? r : json_item_add(task, "created_by", json_object_new_string("server"));
}

static int put_task(Session *s, json_object *task, char **ret_id)
{
        _cleanup_task_item_ TaskItem item = { 0 };
        int r = json_object_object_get_ex(task, "id", NULL) ? 0 : complete_task(s, task);
        if (r == 0)
                r = task_item_read(task, s->now.wall, &item);
        if (r != 0)
                return r < 0 ? r : 2;
        _cleanup_free_ char *id = strdup(item.id);
        if (!id)
                return -ENOMEM;
        r = task_board_put(s->tasks, &item, "");
        if (r == 0)
                r = history_task(s, NULL, id, task_board_find(s->tasks, id));
        if (r == 0)
                *ret_id = TAKE_PTR(id);
        return r;
}

int session_put_task(Session *s, SessionTime t, json_object *task, EffectList *effects, char **ret_id)
{
        session_enter(s, t, effects);
        int r = put_task(s, task, ret_id);
        int k = session_leave(s, MIN(r, 0));
        return k < 0 ? k : r;
}

int session_delete_task(Session *s, SessionTime t, const char *id, EffectList *effects)
{
        if (!task_board_find(s->tasks, id))
                return 1;
        session_enter(s, t, effects);
        int r = task_board_delete(s->tasks, id);
        if (r == 0)
                r = history_task(s, NULL, id, NULL);
        return session_leave(s, r);
}
