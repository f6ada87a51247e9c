/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* The users' table, UpdateClientsState: what clients know of each other. */

static Value *table_row(const User *u)
{
        Value *row = value_dict_new();
        row = answer_set(row, "id", answer_text(u->name));
        row = answer_set(row, "admin", value_bool(u->admin));
        row = answer_set(row, "latency", value_int_new(u->latency_told));
        row = answer_set(row, "status", value_int_new(u->status));
        return answer_set(row, "metadata", metadata_value(u));
}

static int table_build(Session *s, Frames **ret)
{
        _cleanup_value_ Value *table = value_dict_new();
        for (size_t i = 0; table && i < s->n_users; i++) {
                _cleanup_value_ Value *key = answer_text(s->users[i]->name);
                _cleanup_value_ Value *row = table_row(s->users[i]);
                if (!key || !row || value_dict_set(table, key, row, NULL) < 0)
                        return -ENOMEM;
        }
        return answer_new(s, MESSAGE_CLIENTS_STATE, TAKE_PTR(table), ret);
}

int table_send_all(Session *s)
{
        _cleanup_frames_ Frames *frames = NULL;
        int r = table_build(s, &frames);
        if (r < 0)
                return r;
        s->table_dirty = false;
        for (size_t i = 0; i < s->n_users; i++)
                s->users[i]->owes_table = false;
        return emit_frames_all(s, NULL, SEND_TABLE, frames);
}

int table_send(Session *s, const User *u)
{
        _cleanup_frames_ Frames *frames = NULL;
        int r = table_build(s, &frames);
        return r < 0 ? r : emit_send(s, u, CHANNEL_COMMAND, SEND_TABLE, frames, 0);
}
