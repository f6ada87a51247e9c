/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* The users' table, UpdateClientsState: what clients know of each other. */

/* A line that has become slower affects everybody on it, and a crowd's table is large: for their latencies alone it goes
 * out so often at most, for each ten users. */
#define LATENCY_INTERVAL (5 * USEC_PER_SEC)

/* A change of latency is worth a table when it is more than this, more than a quarter, and more than what the line does by
 * itself: two smoothed latencies of it differ by half a deviation as a rule. It takes a while to be all of the change. */
#define LATENCY_CHANGE_MSEC 20u
#define LATENCY_DEVIATIONS 2u
#define LATENCY_SETTLES (15 * USEC_PER_SEC)

static Value *table_row(const User *u, Value *metadata)
{
        Value *row = value_dict_new();
        row = answer_set(row, "id", answer_text(u->name));
        row = answer_set(row, "admin", value_bool(u->admin));
        row = answer_set(row, "latency", value_int_new(u->latency_told));
        row = answer_set(row, "status", value_int_new(u->status));
        return answer_set(row, "metadata", metadata);
}

/* ---- what is made once for all ---- */

void table_forget(Session *s)
{
        for (size_t i = 0; i < s->n_table_rows; i++)
                value_unref(s->table_rows[i]);
        free(s->table_rows);
        s->table_rows = NULL;
        s->n_table_rows = 0;
        s->table_common = frames_unref(s->table_common);
}

static int table_make_rows(Session *s)
{
        if (s->table_rows)
                return 0;
        s->table_rows = calloc(s->n_users, sizeof *s->table_rows);
        if (!s->table_rows)
                return -ENOMEM;
        for (; s->n_table_rows < s->n_users; s->n_table_rows++) {
                const User *u = s->users[s->n_table_rows];
                s->table_rows[s->n_table_rows] = table_row(u, metadata_value(u));
                if (!s->table_rows[s->n_table_rows])
                        return -ENOMEM;
        }
        return 0;
}

/* ---- what one user is told ---- */

/* A client whose own entry has a colour takes it that the rest is there as well, and fails on what is not: without, it
 * tells everything anew. So what is known from before is for the others. */
static bool table_hides_colour(const User *to)
{
        return !to->told_colour && to->metadata;
}

static bool table_is_common(const Session *s, const User *to)
{
        return !table_hides_colour(to) && history_is_common(s, to);
}

/* The row of a user as this one is told it. */
static Value *table_row_for(const Session *s, size_t i, const User *to)
{
        const User *u = s->users[i];
        bool hide = u == to && table_hides_colour(to), carries = u == history_carrier(s, to);
        if (!hide && !carries)
                return value_ref(s->table_rows[i]);
        Value *metadata = metadata_value(u);
        if (hide && metadata)
                value_dict_remove_string(metadata, "color");
        if (carries && metadata && history_put(s, to, metadata) < 0)
                metadata = value_unref(metadata);
        return table_row(u, metadata);
}

static int table_build(Session *s, const User *to, Frames **ret)
{
        int r = table_make_rows(s);
        if (r < 0)
                return r;
        _cleanup_value_ Value *table = value_dict_new();
        for (size_t i = 0; table && i < s->n_users; i++) {
                _cleanup_value_ Value *key = answer_text(s->users[i]->name), *row = table_row_for(s, i, to);
                r = key && row ? value_dict_set(table, key, row, NULL) : -ENOMEM;
                if (r < 0)
                        return r;
        }
        return answer_new(s, MESSAGE_CLIENTS_STATE, TAKE_PTR(table), ret);
}

/* ---- sending ---- */

int table_send(Session *s, const User *u)
{
        _cleanup_frames_ Frames *own = NULL;
        bool is_common = table_is_common(s, u);
        int r = 0;
        if (!is_common)
                r = table_build(s, u, &own);
        else if (!s->table_common)
                r = table_build(s, u, &s->table_common);
        return r < 0 ? r : emit_send(s, u, CHANNEL_COMMAND, SEND_TABLE, is_common ? s->table_common : own, 0);
}

static bool is_wrong_about(const User *u)
{
        if (!u->has_told_latency)
                return false;
        uint32_t latency = user_latency_msec(u), told = u->latency_told;
        uint32_t change = latency > told ? latency - told : told - latency;
        uint32_t own = LATENCY_DEVIATIONS * (u->latency_deviation / USEC_PER_MSEC);
        return change > LATENCY_CHANGE_MSEC && change > told / 4 && change > own;
}

void table_note_latency(Session *s, const User *u)
{
        if (!u->has_told_latency)
                s->table_dirty = true;
        else if (s->latency_changed == 0 && is_wrong_about(u))
                s->latency_changed = s->now.now;
}

static void refresh_latencies(Session *s)
{
        s->latency_changed = 0;
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (!u->has_latency)
                        continue;
                u->latency_told = user_latency_msec(u);
                u->has_told_latency = true;
        }
}

int table_send_all(Session *s)
{
        table_forget(s);
        refresh_latencies(s);
        s->table_dirty = false;
        s->table_told = s->now.now;
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                u->owes_table = false;
                u->announced = true;
                int r = table_send(s, u);
                if (r < 0)
                        return r;
        }
        table_forget(s);
        int r = 0;
        for (size_t i = 0; r == 0 && i < s->n_users; i++)
                r = metadata_announced(s, s->users[i]);
        return r;
}

static bool is_due(Session *s, uint64_t when)
{
        if (s->now.now >= when)
                return true;
        session_need(s, when);
        return false;
}

static bool table_is_due(Session *s)
{
        return s->table_told == 0 || is_due(s, s->table_told + TABLE_INTERVAL);
}

/* A latency may be what it was again by the time that a table of them is due. */
static bool latencies_are_due(Session *s)
{
        uint64_t interval = LATENCY_INTERVAL * MAX((s->n_users + 9) / 10, (size_t)1);
        if (s->latency_changed == 0 || !is_due(s, MAX(s->table_told + interval, s->latency_changed + LATENCY_SETTLES)))
                return false;
        s->latency_changed = 0;
        for (size_t i = 0; i < s->n_users; i++)
                if (is_wrong_about(s->users[i]))
                        return true;
        return false;
}

int table_tell(Session *s)
{
        bool wanted = s->table_dirty ? table_is_due(s) : latencies_are_due(s);
        return wanted ? table_send_all(s) : 0;
}

int table_send_login(Session *s, const User *u)
{
        if (table_is_due(s))
                return table_send_all(s);
        s->table_dirty = true;
        return table_send(s, u);
}
