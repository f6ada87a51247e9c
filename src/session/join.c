/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/*
 * A client that joins gets a catalog of uuids, asks for one node after the other from its end, and says when it is
 * through. What changes meanwhile is stale for it until it is handed the node, or else until it is through.
 *
 * A node a round trip would make a distant client wait for minutes. But it knows its catalog by heart and takes only
 * the node that is next in it, in the order in which the server sends them: so the server need not wait to be asked.
 * It sends nodes ahead, within a window of bytes, and what the client asks for then tells how far it has come. The
 * client cannot tell the difference. What makes that safe after a lost connection, when a part of all this is missing:
 *
 * - Nothing is sent ahead before the first question, which proves that the client has its catalog: one that has none
 *   fails on a node.
 * - The last node waits until it is asked for, as it makes the client active, and one that is active fails on any
 *   further word about joining. As long as it has not been asked for, a new catalog can be sent to begin again.
 * - A node that is gone is reported when it is asked for, since the client takes that report for whatever it waits for.
 */

/* Nodes ahead of the last question. A client handles one a millisecond, so that this is enough for half a second. */
#define AHEAD_NODES 512u

/* The window begins with this, and grows while nodes are asked for soon after they have been sent. It shrinks when they
 * lie about for longer than this and the round trip: other commands would have to wait behind them. */
#define AHEAD_BYTES_MIN (64u << 10)
#define AHEAD_DELAY (500 * USEC_PER_MSEC)

/* This part of either is free before more is sent: one message for each question would cost a wake-up of the thread that
 * sends, and a packet. */
#define AHEAD_PART 8u

/* With many nodes ahead as many questions are still to come, and some of them are taken together. */
#define GATHER_BYTES (2u << 10)

static Value *step(const char *state)
{
        return answer_set(value_dict_new(), "STATE", value_string_new(state));
}

/* ---- catalog ---- */

static void catalog_done(User *u)
{
        free(u->catalog.steps);
        bytes_unref(u->catalog.pickle);
        u->catalog = (JoinCatalog){};
}

/* A catalog of so many nodes with so many bytes of uuids; its pickle is that of {'STATE': 'INIT', 'CATALOG': [...]}, written
 * by hand, as there may be hundreds of thousands of nodes. *ret_put is where the uuids go. */
static int catalog_new(size_t n_steps, size_t uuid_bytes, JoinCatalog *ret, uint8_t **ret_put)
{
        static const char head[] = "\x80\x04}(\x8c\x05STATE\x8c\x04INIT\x8c\x07" "CATALOG](", tail[] = "eu.";
        size_t size = uuid_bytes + 2 * n_steps;
        uint8_t *p;
        JoinStep *steps = reallocarray(NULL, n_steps, sizeof *steps);
        Bytes *pickle = steps ? bytes_new_uninitialised(strlen(head) + size + strlen(tail), &p) : NULL;
        if (!pickle)
                return free(steps), -ENOMEM;
        *ret_put = mempcpy(p, head, strlen(head));
        memcpy(*ret_put + size, tail, strlen(tail));
        *ret = (JoinCatalog){ .pickle = pickle, .steps = steps, .n_steps = n_steps };
        return 0;
}

static uint8_t *catalog_put(JoinCatalog *c, size_t i, const Node *n, uint8_t *p)
{
        _Static_assert(SCENE_UUID_MAX <= UINT8_MAX, "a uuid is a SHORT_BINUNICODE");
        *p++ = 0x8c;
        *p++ = (uint8_t)node_uuid_size(n);
        c->steps[i] = (JoinStep){ .node_id = node_id(n), .place = (size_t)(p - c->pickle->data) };
        return mempcpy(p, node_uuid(n).text, node_uuid_size(n));
}

static bool catalog_is_at(const JoinCatalog *c, size_t i, MessageText uuid)
{
        const uint8_t *p = c->pickle->data + c->steps[i].place;
        return p[-1] == uuid.size && memcmp(p, uuid.data, uuid.size) == 0;
}

/* The whole scene; what comes last in a catalog is asked for first. */
static int catalog_all(const Session *s, JoinCatalog *ret)
{
        size_t i = scene_n_nodes(s->scene), size = 0;
        for (const Node *n = scene_first(s->scene); n; n = scene_next(s->scene, n))
                size += node_uuid_size(n);
        uint8_t *p;
        int r = catalog_new(i, size, ret, &p);
        for (const Node *n = scene_first(s->scene); r == 0 && n; n = scene_next(s->scene, n))
                p = catalog_put(ret, --i, n, p);
        return r;
}

/* What is left of a catalog from the node on that was asked for last; n_steps 0: nothing. */
static int catalog_rest(const Session *s, const JoinCatalog *old, JoinCatalog *ret)
{
        size_t first = old->n_asked > 0 ? old->n_asked - 1 : 0, n_left = 0, size = 0;
        for (size_t i = first; i < old->n_steps; i++) {
                const Node *n = scene_find_id(s->scene, old->steps[i].node_id);
                n_left += n != NULL;
                size += n ? node_uuid_size(n) : 0;
        }
        *ret = (JoinCatalog){};
        uint8_t *p;
        int r = n_left > 0 ? catalog_new(n_left, size, ret, &p) : 0;
        for (size_t i = old->n_steps; r == 0 && i-- > first;) {
                const Node *n = scene_find_id(s->scene, old->steps[i].node_id);
                if (n)
                        p = catalog_put(ret, --n_left, n, p);
        }
        return r;
}

static int send_catalog(Session *s, User *u)
{
        _cleanup_frames_ Frames *frames = NULL;
        int r = answer_of((Bytes *[]){ s->type_frames[MESSAGE_SNAPSHOT], s->server, u->catalog.pickle }, 3, &frames);
        return r < 0 ? r : emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, frames, 0);
}

/* Takes the catalog over. */
static int offer(Session *s, User *u, JoinCatalog catalog)
{
        bool is_second = u->catalog.n_steps > 0 || u->from_before;
        catalog_done(u);
        u->catalog = catalog;
        u->catalog.is_second = is_second;
        u->catalog.window = AHEAD_BYTES_MIN;
        u->status = USER_SYNCING;
        u->expected = u->got_any = u->asked_all = false;
        u->waiting_node = 0;
        u->silent_since = s->now.now;
        s->table_dirty = true;
        int r = journal_user(s, u);
        return r < 0 ? r : send_catalog(s, u);
}

int join_offer(Session *s, User *u)
{
        JoinCatalog all;
        int r = catalog_all(s, &all);
        if (r < 0)
                return r;
        u64_map_done(&u->stale);
        u64_map_done(&u->repaired);
        return offer(s, u, all);
}

int join_offer_lobby(Session *s)
{
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (u->status != USER_LOBBY || u->expected || u->initiating || u->away)
                        continue;
                int r = join_offer(s, u);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int join_request(Session *s, User *u)
{
        /* A catalog is on its way to it. */
        if (u->status == USER_SYNCING && !u->got_any)
                return 0;
        if (session_has_scene(s))
                return join_offer(s, u);
        /* An empty catalog makes the client raise: it waits in the lobby until there is something. */
        bool changed = u->expected || u->status != USER_LOBBY;
        u->expected = false;
        u->status = USER_LOBBY;
        s->table_dirty |= changed;
        return changed ? journal_user(s, u) : 0;
}

/* Its scene has lost all its nodes while it was joining: it waits until there are some again. */
static int join_wait(Session *s, User *u)
{
        catalog_done(u);
        u->status = USER_LOBBY;
        u->expected = u->got_any = u->asked_all = false;
        s->table_dirty = true;
        return journal_user(s, u);
}

int join_resume(Session *s, User *u)
{
        const JoinCatalog *c = &u->catalog;
        if (u->status != USER_SYNCING || c->n_steps == 0 || c->n_asked == c->n_steps)
                return 0;
        u->maybe_stuck = false;
        JoinCatalog rest;
        int r = catalog_rest(s, c, &rest);
        if (r < 0)
                return r;
        if (rest.n_steps > 0)
                return offer(s, u, rest);
        return session_has_scene(s) ? join_offer(s, u) : join_wait(s, u);
}

/* ---- nodes ---- */

static int send_removed(Session *s, User *u)
{
        return emit_command(s, u, MESSAGE_SNAPSHOT, answer_set(step("SET"), "DATA", value_bytes_new("removed", 7)));
}

/* After a lost connection or a restart: what it was sent last did not arrive. */
int join_retry(Session *s, User *u)
{
        u->maybe_stuck = false;
        if (u->initiating) {
                u->initiating = false;
                int r = init_answer(s, u, "REJECTED");
                if (r == 0)
                        r = journal_user(s, u);
                return r == 0 && session_has_scene(s) ? join_offer(s, u) : r;
        }
        if (u->status != USER_SYNCING && !u->expected)
                return 0;
        if (session_has_scene(s))
                return join_offer(s, u);
        /* Whatever it waits for last is gone with all the others, and with that it is through. */
        return u->asked_all ? send_removed(s, u) : join_wait(s, u);
}

static int send_set(Session *s, User *u, Node *n, Bytes *payload)
{
        _cleanup_frames_ Frames *frames = NULL;
        int r = answer_node_set(s, n, payload, &frames);
        if (r < 0)
                return r;
        u64_map_remove(&u->stale, node_id(n));
        return emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, frames, 0);
}

static size_t set_size(const Node *n, size_t payload_size)
{
        return node_uuid_size(n) + node_dependencies(n)->size + payload_size;
}

/* The next node of the catalog; NULL: it is gone. */
static int join_hand_over(Session *s, User *u, Node *n, Bytes *payload)
{
        JoinCatalog *c = &u->catalog;
        JoinStep *next = &c->steps[c->n_sent++];
        next->sent = s->now.now;
        if (!n)
                return send_removed(s, u);
        next->size = set_size(n, payload->size);
        if (c->n_sent > c->n_asked)
                c->ahead_bytes += next->size;
        return send_set(s, u, n, payload);
}

static bool join_is_asked(const JoinCatalog *c)
{
        return c->n_sent < c->n_asked;
}

/* May the next node be sent without having been asked for, as far as that depends on how many there are? */
static bool join_may_be_ahead(const JoinCatalog *c)
{
        return c->n_asked > 0 && c->n_sent + 1 < c->n_steps && c->n_sent - c->n_asked < AHEAD_NODES;
}

/* Is there room for several? */
static bool join_has_room(const JoinCatalog *c)
{
        return c->n_sent <= c->n_asked || (c->n_sent - c->n_asked <= AHEAD_NODES - AHEAD_NODES / AHEAD_PART &&
                                           c->ahead_bytes <= c->window - c->window / AHEAD_PART);
}

/* And as far as it depends on its size. */
static bool join_fits(const Session *s, const JoinCatalog *c, size_t size)
{
        return size <= s->config.join_ahead_bytes && (c->ahead_bytes == 0 || c->ahead_bytes + size <= c->window);
}

static Node *join_next_node(const Session *s, const JoinCatalog *c)
{
        uint64_t id = c->steps[c->n_sent].node_id;
        return id != 0 ? scene_find_id(s->scene, id) : NULL;
}

/* Sends what has been asked for, and what will be. */
static int join_send(Session *s, User *u)
{
        JoinCatalog *c = &u->catalog;
        bool has_room = join_has_room(c);
        while (c->n_sent < c->n_steps && u->waiting_node == 0) {
                bool asked = join_is_asked(c);
                Node *n = asked || (has_room && join_may_be_ahead(c)) ? join_next_node(s, c) : NULL;
                if (!n && !asked)
                        return 0;
                _cleanup_bytes_ Bytes *payload = NULL;
                int r = n ? scene_payload(s->scene, n, ENCODE_SYNC_LIMIT, &payload) : 0;
                if (r == 1) {
                        u->waiting_node = node_id(n);
                        return emit_encode(s, n);
                }
                if (r == -EBADMSG || r == -E2BIG) {
                        c->steps[c->n_sent].node_id = 0;
                        continue;
                }
                if (r == 0 && !asked && !join_fits(s, c, set_size(n, payload->size)))
                        return 0;
                if (r == 0)
                        r = join_hand_over(s, u, n, payload);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The node at this place of the catalog has been asked for, so those before it have arrived. */
static void join_asked(Session *s, User *u, size_t place)
{
        JoinCatalog *c = &u->catalog;
        size_t window_max = MAX(s->config.join_ahead_bytes, (size_t)AHEAD_BYTES_MIN);
        for (; c->n_asked <= place; c->n_asked++) {
                const JoinStep *asked = &c->steps[c->n_asked];
                if (c->n_asked >= c->n_sent)
                        continue;
                c->ahead_bytes -= asked->size;
                if (s->now.now - asked->sent <= AHEAD_DELAY + u->latency)
                        c->window = MIN(c->window + asked->size, window_max);
                else
                        c->window = MAX(c->window / 2, (size_t)AHEAD_BYTES_MIN);
        }
}

static int join_answer(Session *s, User *u, Node *n)
{
        if (!n)
                return send_removed(s, u);
        _cleanup_bytes_ Bytes *payload = NULL;
        int r = scene_payload(s->scene, n, ENCODE_SYNC_LIMIT, &payload);
        if (r == 1) {
                u->waiting_node = node_id(n);
                return emit_encode(s, n);
        }
        if (r == -EBADMSG || r == -E2BIG)
                return send_removed(s, u);
        return r < 0 ? r : send_set(s, u, n, payload);
}

static int join_get(Session *s, User *u, const Message *m)
{
        JoinCatalog *c = &u->catalog;
        if (u->status != USER_SYNCING)
                return session_forbidden(s, u, "asked for a node without joining", true);
        /* It had its catalog from the server before this one. With the last node it may be through before it reads another,
         * and must not get one; without, it asks for the last before it is through, whatever was sent ahead. */
        if (c->n_steps == 0 && u->asked_all)
                return 0;
        if (c->n_steps == 0)
                return session_has_scene(s) ? join_offer(s, u) : join_wait(s, u);
        size_t place = c->n_asked;
        while (place < c->n_steps && place <= c->n_sent && !catalog_is_at(c, place, m->uuid))
                place++;
        if (place == c->n_steps || place > c->n_sent) {
                if (c->is_second)
                        return 0;
                c->is_disordered = true;
                c->n_asked = c->n_sent = c->n_steps;
        } else {
                join_asked(s, u, place);
        }
        bool all = c->n_asked == c->n_steps;
        if (!u->got_any || (all && !u->asked_all)) {
                u->got_any = true;
                u->asked_all = all;
                int r = journal_user(s, u);
                if (r < 0)
                        return r;
        }
        if (c->is_disordered)
                return join_answer(s, u, scene_find(s->scene, m->uuid.data, m->uuid.size));
        int r = join_send(s, u);
        size_t n_ahead = MAX(c->n_sent, c->n_asked) - c->n_asked;
        return r < 0 ? r : emit_gather(s, u, n_ahead, GATHER_BYTES);
}

static int join_encoded(Session *s, User *u, Node *n, bool failed)
{
        JoinCatalog *c = &u->catalog;
        u->waiting_node = 0;
        _cleanup_bytes_ Bytes *base = n ? scene_base(s->scene, n) : NULL;
        int r = n && !base ? -ENOMEM : 0;
        if (r < 0)
                return r;
        if (c->is_disordered)
                r = n && !failed ? send_set(s, u, n, base) : send_removed(s, u);
        else if (failed)
                c->steps[c->n_sent].node_id = 0;
        else if (n && (join_is_asked(c) || join_fits(s, c, set_size(n, base->size))))
                r = join_hand_over(s, u, n, base);
        /* Changed since it was given to the background: the rest comes when the user is through. */
        if (r == 0 && n && (failed || node_n_deltas(n) > 0))
                r = stale_mark(s, u, n, s->now.now);
        return r < 0 ? r : join_send(s, u);
}

int join_answer_waiting(Session *s, uint64_t id, bool failed)
{
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (u->waiting_node != id)
                        continue;
                int r = join_encoded(s, u, scene_find_id(s->scene, id), failed);
                if (r < 0)
                        return r;
        }
        return 0;
}

int join_evidence(Session *s, User *u, bool also_lobby)
{
        if (u->unproved)
                return init_proved(s, u);
        bool evident = u->status == USER_SYNCING && u->maybe_stuck && (u->got_any || !also_lobby);
        return evident ? join_done(s, u) : 0;
}

int join_done(Session *s, User *u)
{
        if (u->status != USER_SYNCING)
                return 0;
        u->status = USER_ACTIVE;
        s->n_joins++;
        u->maybe_stuck = u->got_any = u->asked_all = false;
        catalog_done(u);
        s->table_dirty = true;
        int r = journal_user(s, u);
        if (r == 0)
                r = emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_JOINED, u, NULL, "%s has joined.",
                             (const char *)u->name->data);
        return r < 0 ? r : stale_send(s, u);
}

int join_message(Session *s, User *u, const Message *m)
{
        if (!user_is_named(u, m->owner->data, m->owner->size))
                return session_forbidden(s, u, "wanted to join in the name of somebody else", false);
        switch (m->step) {
        case MESSAGE_STEP_REQUEST_INIT:
                return join_request(s, u);
        case MESSAGE_STEP_GET:
                return join_get(s, u, m);
        default:
                return join_done(s, u);
        }
}
