/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "session/session-private.h"

/*
 * A user gets a Commit only when it holds exactly the version before. Where
 * that is not known (it is joining, its outbox refused something, it has just
 * come back, it sent data at the same time as somebody else) the node is stale
 * for it: it gets no data of the node until it has been sent the whole of it.
 */

/* The times of a mark are milliseconds since an arbitrary moment, and wrap. */
static uint32_t msec(uint64_t usec)
{
        return (uint32_t)(usec / USEC_PER_MSEC) ?: 1;
}

static uint64_t mark_value(uint32_t since, uint32_t due)
{
        return (uint64_t)since << 32 | due;
}

static uint32_t mark_due(uint64_t value)
{
        return (uint32_t)value;
}

static bool msec_after(uint32_t a, uint32_t b)
{
        return (int32_t)(a - b) > 0;
}

bool stale_has(const User *u, const Node *n)
{
        return u64_map_find(&u->stale, node_id(n));
}

int stale_mark(Session *s, User *u, const Node *n, uint64_t due)
{
        uint32_t now = msec(s->now.now), wanted = msec(due);
        const uint64_t *there = u64_map_find(&u->stale, node_id(n));
        uint32_t since = there ? (uint32_t)(*there >> 32) : now;
        uint32_t latest = since + (uint32_t)(STALE_WAIT_MAX / USEC_PER_MSEC);
        if (msec_after(wanted, latest))
                wanted = latest;
        if (there && msec_after(mark_due(*there), wanted))
                wanted = mark_due(*there);
        session_need(s, due);
        int r = u64_map_set(&u->stale, node_id(n), mark_value(since, wanted));
        return MIN(r, 0);
}

int stale_note_changed(Session *s, const Node *n)
{
        return bit_set_add(&s->recent_changes, node_slot(n));
}

bool stale_knows_since(const Session *s, uint64_t wall)
{
        return wall != 0 && wall >= s->changes_since;
}

bool stale_has_changed_since(const Node *n, uint64_t wall)
{
        return node_changed(n) + USEC_PER_SEC >= wall;
}

Node *stale_next_change(const Session *s, uint32_t *place)
{
        while (bit_set_next(&s->recent_changes, place)) {
                Node *n = scene_at_slot(s->scene, (*place)++);
                if (n)
                        return n;
        }
        return NULL;
}

void stale_expire_changes(Session *s)
{
        if (s->changes_since + 2 * CHANGES_KEPT > s->now.wall)
                return;
        s->changes_since = s->now.wall - CHANGES_KEPT;
        for (uint32_t place = 0; bit_set_next(&s->recent_changes, &place); place++) {
                const Node *n = scene_at_slot(s->scene, place);
                if (!n || !stale_has_changed_since(n, s->changes_since))
                        bit_set_remove(&s->recent_changes, place);
        }
}

int stale_mark_changed_since(Session *s, User *u, uint64_t wall)
{
        int r = 0;
        uint32_t place = 0;
        bool known = stale_knows_since(s, wall);
        Node *n = known ? stale_next_change(s, &place) : scene_first(s->scene);
        while (r == 0 && n) {
                if (stale_has_changed_since(n, wall))
                        r = stale_mark(s, u, n, s->now.now);
                n = known ? stale_next_change(s, &place) : scene_next(s->scene, n);
        }
        return r;
}

void stale_forget(Session *s, uint64_t id)
{
        for (size_t i = 0; i < s->n_users; i++) {
                u64_map_remove(&s->users[i]->stale, id);
                u64_map_remove(&s->users[i]->repaired, id);
        }
        u64_map_remove(&s->recent_rights, id);
}

bool stale_can_send(const Session *s, const User *u)
{
        return u->status == USER_ACTIVE && !u->away && !u->returning && !u->refused && !u->lost[CHANNEL_DATA] &&
               u->data_from <= s->now.now;
}

/* ---- who was sent what when ---- */

void stale_note_sent(Session *s, Node *n, const User *author)
{
        NodeTraffic *t = node_traffic(n);
        if (t->author != author->serial) {
                t->sent_other = t->sent;
                t->author = author->serial;
        }
        t->sent = msec(s->now.now);
}

bool stale_was_passed_on(const Session *s, Node *n)
{
        uint32_t sent = node_traffic(n)->sent;
        return sent != 0 && (uint64_t)(msec(s->now.now) - sent) * USEC_PER_MSEC < DOUBT_WINDOW;
}

uint64_t stale_last_sent(const Session *s, const User *u, Node *n)
{
        const NodeTraffic *t = node_traffic(n);
        uint32_t now = msec(s->now.now);
        uint32_t passed_on = t->author == u->serial ? t->sent_other : t->sent;
        const uint64_t *repaired = u64_map_find(&u->repaired, node_id(n));
        uint64_t age = passed_on == 0 ? UINT64_MAX : (uint64_t)(now - passed_on) * USEC_PER_MSEC;
        if (repaired)
                age = MIN(age, s->now.now - *repaired);
        uint64_t sent = age < DOUBT_WINDOW && age < s->now.now ? s->now.now - age : 0;
        if (sent == 0)
                return 0;
        if (user_awaits(u, sent))
                return s->now.now;
        /* What had to wait in the outbox has left it when that was empty again, and so on. */
        if (u->queued_since != 0 && sent + USEC_PER_MSEC >= u->queued_since)
                sent = MAX(sent, u->drained);
        if (u->laden_since != 0 && sent + USEC_PER_MSEC >= u->laden_since)
                sent = MAX(sent, u->delivered);
        return sent;
}

bool stale_is_race(const Session *s, const User *u, Node *n)
{
        uint64_t sent = stale_last_sent(s, u, n);
        if (sent == 0)
                return false;
        uint64_t since = MAX(sent, u->awake_since);
        uint64_t still = MIN(u->line_still, DOUBT_WINDOW);
        if (u->line_back != 0)
                since = MAX(since, u->line_back + still);
        return s->arrived < since + RACE_WINDOW;
}

void stale_expire(Session *s, User *u)
{
        for (const U64MapEntry *e = u64_map_next(&u->repaired, NULL); e;)
                e = s->now.now - e->value < DOUBT_WINDOW ? u64_map_next(&u->repaired, e) : u64_map_take(&u->repaired, e);
}

/* ---- sending ---- */

enum { VISIT_OPEN = 1, VISIT_DONE, VISIT_BLOCKED };

typedef struct Visit {
        Node *node;
        Value *dependencies; /* NULL: none */
        uint32_t next;
        bool blocked;
} Visit;

/* One batch for one user: nodes in the order of their dependencies, depth first on a stack of our own. */
typedef struct Batch {
        User *user;
        Visit *stack;
        size_t n_stack, n_allocated;
        U64Map visited;
        size_t n_sent, bytes_sent;
} Batch;

static void batch_done(Batch *b)
{
        for (size_t i = 0; i < b->n_stack; i++)
                value_unref(b->stack[i].dependencies);
        free(b->stack);
        u64_map_done(&b->visited);
}

static bool batch_is_full(const Batch *b)
{
        return b->n_sent >= RESEND_BATCH_NODES || b->bytes_sent >= RESEND_BATCH_BYTES;
}

static int batch_push(Batch *b, Node *n)
{
        if (b->n_stack == b->n_allocated) {
                size_t n_allocated = b->n_allocated * 2 + 16;
                Visit *stack = reallocarray(b->stack, n_allocated, sizeof *stack);
                if (!stack)
                        return -ENOMEM;
                b->stack = stack;
                b->n_allocated = n_allocated;
        }
        Visit v = { .node = n };
        int r = pickle_read(node_dependencies(n), PICKLE_PROFILE_DATA, &pickle_limits_default, &v.dependencies, NULL);
        if (r < 0)
                return r;
        if (v.dependencies && !value_is_list(v.dependencies))
                v.dependencies = value_unref(v.dependencies);
        b->stack[b->n_stack++] = v;
        r = u64_map_set(&b->visited, node_id(n), VISIT_OPEN);
        return MIN(r, 0);
}

/* Whether the node is not sent now: not due, or still to be encoded. */
static int batch_send(Session *s, Batch *b, Node *n, bool *ret_blocked)
{
        User *u = b->user;
        const uint64_t *mark = u64_map_find(&u->stale, node_id(n));
        *ret_blocked = true;
        uint32_t now = msec(s->now.now);
        if (msec_after(mark_due(*mark), now)) {
                session_need(s, s->now.now + (uint64_t)(mark_due(*mark) - now) * USEC_PER_MSEC);
                return 0;
        }
        _cleanup_bytes_ Bytes *payload = NULL;
        int r = scene_payload(s->scene, n, ENCODE_SYNC_LIMIT, &payload);
        if (r == 1)
                return emit_encode(s, n);
        if (r == -EBADMSG || r == -E2BIG)
                return 0;
        if (r < 0)
                return r;
        _cleanup_frames_ Frames *frames = NULL;
        r = answer_node(s, n, payload, &frames);
        if (r == 0)
                r = emit_send(s, u, CHANNEL_DATA, SEND_BULK, frames, node_id(n));
        if (r < 0)
                return r;
        u64_map_remove(&u->stale, node_id(n));
        b->n_sent++;
        b->bytes_sent += frames->size;
        *ret_blocked = false;
        r = u64_map_set(&u->repaired, node_id(n), s->now.now);
        return MIN(r, 0);
}

static int batch_visit(Session *s, Batch *b, Node *start)
{
        int r = u64_map_find(&b->visited, node_id(start)) ? 0 : batch_push(b, start);
        while (r == 0 && b->n_stack > 0 && !batch_is_full(b)) {
                Visit *v = &b->stack[b->n_stack - 1];
                if (v->dependencies && v->next < value_list_length(v->dependencies)) {
                        const Value *uuid = value_list_get(v->dependencies, v->next++);
                        Node *n = scene_find(s->scene, value_data(uuid), value_size(uuid));
                        const uint64_t *seen = n ? u64_map_find(&b->visited, node_id(n)) : NULL;
                        if (seen && *seen == VISIT_BLOCKED)
                                v->blocked = true;
                        else if (n && !seen && stale_has(b->user, n))
                                r = batch_push(b, n);
                        continue;
                }
                bool blocked = v->blocked;
                if (!blocked)
                        r = batch_send(s, b, v->node, &blocked);
                if (r == 0)
                        r = u64_map_set(&b->visited, node_id(v->node), blocked ? VISIT_BLOCKED : VISIT_DONE);
                value_unref(v->dependencies);
                b->n_stack--;
                if (blocked && b->n_stack > 0)
                        b->stack[b->n_stack - 1].blocked = true;
                r = MIN(r, 0);
        }
        return r;
}

/* Nodes to begin with: marks may go while they are walked, so they are noted first. */
static int batch_collect(Session *s, User *u, uint64_t **ret, size_t *ret_n)
{
        uint64_t *ids = reallocarray(NULL, RESEND_BATCH_NODES, sizeof *ids);
        if (!ids)
                return -ENOMEM;
        size_t n = 0;
        uint32_t now = msec(s->now.now);
        for (const U64MapEntry *e = u64_map_next(&u->stale, NULL); e && n < RESEND_BATCH_NODES;
             e = u64_map_next(&u->stale, e)) {
                if (msec_after(mark_due(e->value), now))
                        session_need(s, s->now.now + (uint64_t)(mark_due(e->value) - now) * USEC_PER_MSEC);
                else
                        ids[n++] = e->key;
        }
        *ret = ids;
        *ret_n = n;
        return 0;
}

static int stale_caught_up(Session *s, User *u)
{
        if (u->behind_since_wall == 0 || user_is_queued(u))
                return 0;
        u->behind_since_wall = 0;
        lag_note_caught_up(&u->lag, s->now.now);
        session_need(s, s->now.now);
        return journal_user(s, u);
}

int stale_tell_lag(Session *s, User *u)
{
        uint64_t next;
        LagNews news = lag_news(&u->lag, s->now.now, &next);
        session_need(s, next);
        const char *name = (const char *)u->name->data;
        if (news == LAG_IS_BEHIND)
                return emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_BEHIND, u, NULL,
                                "%s cannot keep up; what it misses will be sent as whole nodes.", name);
        if (news == LAG_HAS_CAUGHT_UP)
                return emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_CAUGHT_UP, u, NULL, "%s has caught up.", name);
        return 0;
}

static int send_marked(Session *s, Batch *b)
{
        User *u = b->user;
        _cleanup_free_ uint64_t *ids = NULL;
        size_t n_ids;
        int r = batch_collect(s, u, &ids, &n_ids);
        for (size_t i = 0; r == 0 && i < n_ids && !batch_is_full(b); i++) {
                Node *n = scene_find_id(s->scene, ids[i]);
                if (!n)
                        u64_map_remove(&u->stale, ids[i]);
                else if (stale_has(u, n))
                        r = batch_visit(s, b, n);
        }
        return r;
}

int stale_send(Session *s, User *u)
{
        if (!stale_can_send(s, u))
                return 0;
        if (u->stale.n == 0)
                return stale_caught_up(s, u);
        _cleanup_(batch_done) Batch b = { .user = u };
        int r = send_marked(s, &b);
        if (r < 0)
                return r;
        if (b.n_sent > 0 && u->stale.n > 0)
                session_need(s, s->now.now + USEC_PER_MSEC);
        return u->stale.n == 0 ? stale_caught_up(s, u) : 0;
}

/* Nothing has changed, and still it must be known whether its data channel stands. Any node is good for that but one
 * that the client may just be changing: what it is sent then would go over what it has not told yet. */
static const Node *node_to_knock_with(const Session *s)
{
        uint64_t quiet = session_wall_before(s, DOUBT_WINDOW);
        const Node *best = NULL;
        unsigned i = 0;
        for (const Node *n = scene_first(s->scene); n && i < KNOCK_CHOICE; n = scene_next(s->scene, n), i++) {
                bool is_quiet = !stale_has_changed_since(n, quiet);
                bool best_is_quiet = best && !stale_has_changed_since(best, quiet);
                bool is_smaller = !best || node_base_size(n) < node_base_size(best);
                if (is_quiet != best_is_quiet ? is_quiet : is_smaller)
                        best = n;
        }
        return best;
}

static bool is_out_of_reach(const User *u)
{
        return u->status != USER_ACTIVE || u->away || u->returning || u->lost[CHANNEL_COMMAND] || user_is_queued(u);
}

int stale_knock(Session *s, User *u)
{
        bool waited_for = u->old_data && u->n_held > 0 && !u->laden;
        if (is_out_of_reach(u) || !(u->lost[CHANNEL_DATA] || waited_for))
                return 0;
        if (u->knock_due > s->now.now) {
                session_need(s, u->knock_due);
                return 0;
        }
        u->knock_due = s->now.now + KNOCK_INTERVAL;
        session_need(s, u->knock_due);
        int r = u->lost[CHANNEL_DATA] ? stale_mark_changed_since(s, u, u->behind_since_wall) : 0;
        const Node *n = r == 0 && u->stale.n == 0 && waited_for ? node_to_knock_with(s) : NULL;
        if (n)
                r = stale_mark(s, u, n, s->now.now);
        if (r < 0 || u->stale.n == 0)
                return r;
        _cleanup_(batch_done) Batch b = { .user = u, .n_sent = RESEND_BATCH_NODES - 1 };
        return send_marked(s, &b);
}
