/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
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
        Node *n = scene_find(s->scene, uuid, uuid_size);
        if (!n)
                return 1;
        session_enter(s, t, effects);
        _cleanup_frames_ Frames *frames = NULL;
        int r = answer_new(s, MESSAGE_DELETE, value_str_new(uuid, uuid_size), &frames);
        if (r == 0)
                r = rights_remove(s, NULL, n, frames);
        return session_leave(s, r);
}

int session_set_owner(Session *s, SessionTime t, const void *uuid, size_t uuid_size, const char *owner,
                      EffectList *effects)
{
        Node *n = scene_find(s->scene, uuid, uuid_size);
        if (!n)
                return 1;
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
