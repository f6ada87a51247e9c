/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* The users' table, UpdateClientsState: what clients know of each other. */

static Value *table_row(const User *u, Value *metadata)
{
        Value *row = value_dict_new();
        row = answer_set(row, "id", answer_text(u->name));
        row = answer_set(row, "admin", value_bool(u->admin));
        row = answer_set(row, "latency", value_int_new(u->latency_told));
        row = answer_set(row, "status", value_int_new(u->status));
        return answer_set(row, "metadata", metadata);
}

static int table_add(const Session *s, Value *table, const User *u, const User *to)
{
        _cleanup_value_ Value *key = answer_text(u->name);
        Value *metadata = metadata_value(u);
        /* A client whose own entry has a colour takes it that the rest is there as well, and fails on what is not:
         * without, it tells everything anew. So what is known from before is for the others. */
        if (u == to && !u->told_colour)
                value_dict_remove_string(metadata, "color");
        if (u == history_carrier(s, to) && metadata && history_put(s, to, metadata) < 0)
                metadata = value_unref(metadata);
        _cleanup_value_ Value *row = table_row(u, metadata);
        return key && row ? MIN(value_dict_set(table, key, row, NULL), 0) : -ENOMEM;
}

static int table_build(Session *s, const User *to, Frames **ret)
{
        _cleanup_value_ Value *table = value_dict_new();
        for (size_t i = 0; table && i < s->n_users; i++) {
                int r = table_add(s, table, s->users[i], to);
                if (r < 0)
                        return r;
        }
        return answer_new(s, MESSAGE_CLIENTS_STATE, TAKE_PTR(table), ret);
}

int table_send_all(Session *s)
{
        _cleanup_frames_ Frames *common = NULL;
        s->table_dirty = false;
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                _cleanup_frames_ Frames *own = NULL;
                bool is_common = u->told_colour && history_is_common(s, u);
                int r = 0;
                u->owes_table = false;
                if (!is_common)
                        r = table_build(s, u, &own);
                else if (!common)
                        r = table_build(s, u, &common);
                if (r == 0)
                        r = emit_send(s, u, CHANNEL_COMMAND, SEND_TABLE, is_common ? common : own, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

int table_send(Session *s, const User *u)
{
        _cleanup_frames_ Frames *frames = NULL;
        int r = table_build(s, u, &frames);
        return r < 0 ? r : emit_send(s, u, CHANNEL_COMMAND, SEND_TABLE, frames, 0);
}
