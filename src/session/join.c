/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* A client that joins gets a catalog of uuids, asks for one node after the other from its end, and says when it is
 * through. What changes meanwhile is stale for it until it asks, or else until it is through. */

static Value *step(const char *state)
{
        return answer_set(value_dict_new(), "STATE", value_string_new(state));
}

/* ---- catalog ---- */

/* Written by hand, as there may be hundreds of thousands of nodes: the pickle of {'STATE': 'INIT', 'CATALOG': [...]}. */
static int catalog_new(const Session *s, Bytes **ret)
{
        static const char head[] = "\x80\x04}(\x8c\x05STATE\x8c\x04INIT\x8c\x07" "CATALOG](", tail[] = "eu.";
        _Static_assert(SCENE_UUID_MAX <= UINT8_MAX, "a uuid is a SHORT_BINUNICODE");
        size_t size = strlen(head) + strlen(tail);
        for (const Node *n = scene_first(s->scene); n; n = scene_next(s->scene, n))
                size += 2 + node_uuid_size(n);
        uint8_t *p;
        Bytes *pickle = bytes_new_uninitialised(size, &p);
        if (!pickle)
                return -ENOMEM;
        p = mempcpy(p, head, strlen(head));
        for (const Node *n = scene_first(s->scene); n; n = scene_next(s->scene, n)) {
                *p++ = 0x8c;
                *p++ = (uint8_t)node_uuid_size(n);
                p = mempcpy(p, node_uuid(n), node_uuid_size(n));
        }
        memcpy(p, tail, strlen(tail));
        *ret = pickle;
        return 0;
}

static int send_catalog(Session *s, User *u)
{
        _cleanup_bytes_ Bytes *pickle = NULL;
        int r = catalog_new(s, &pickle);
        if (r < 0)
                return r;
        Bytes *parts[] = { s->type_frames[MESSAGE_SNAPSHOT], s->server, pickle };
        _cleanup_frames_ Frames *frames = frames_new(parts, ELEMENTSOF(parts));
        if (!frames)
                return -ENOMEM;
        bytes_ref(parts[0]);
        bytes_ref(parts[1]);
        pickle = NULL;
        return emit_send(s, u, CHANNEL_COMMAND, SEND_CONTROL, frames, 0);
}

int join_offer(Session *s, User *u)
{
        u64_map_done(&u->stale);
        u64_map_done(&u->repaired);
        u->status = USER_SYNCING;
        u->expected = u->got_any = false;
        u->waiting_node = 0;
        u->silent_since = s->now.now;
        s->table_dirty = true;
        int r = journal_user(s, u);
        return r < 0 ? r : send_catalog(s, u);
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
        if ((u->status != USER_SYNCING && !u->expected) || !session_has_scene(s))
                return 0;
        int r = join_offer(s, u);
        const Node *last = scene_last(s->scene);
        bytes_unref(u->resync_first);
        u->resync_first = bytes_new_copy(node_uuid(last), node_uuid_size(last));
        return r < 0 || u->resync_first ? r : -ENOMEM;
}

/* ---- nodes ---- */

static int send_removed(Session *s, User *u)
{
        return emit_command(s, u, MESSAGE_SNAPSHOT, answer_set(step("SET"), "DATA", value_bytes_new("removed", 7)));
}

static int append_bytes(Value *list, Bytes *b)
{
        _cleanup_value_ Value *v = value_bytes_slice_new(b, 0, b->size);
        return v ? value_list_append(list, v) : -ENOMEM;
}

static int send_set(Session *s, User *u, Node *n, Bytes *payload)
{
        _cleanup_bytes_ Bytes *uuid = bytes_new_copy(node_uuid(n), node_uuid_size(n));
        _cleanup_value_ Value *list = value_list_new();
        if (!uuid || !list)
                return -ENOMEM;
        Bytes *parts[] = { s->type_frames[MESSAGE_NODE], uuid, node_owner(s->scene, n), node_dependencies(n), payload };
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                int r = append_bytes(list, parts[i]);
                if (r < 0)
                        return r;
        }
        u64_map_remove(&u->stale, node_id(n));
        return emit_command(s, u, MESSAGE_SNAPSHOT, answer_set(step("SET"), "DATA", value_ref(list)));
}

static int join_get(Session *s, User *u, const Message *m)
{
        if (u->status != USER_SYNCING)
                return session_forbidden(s, u, "asked for a node without joining", true);
        if (u->resync_first) {
                if (u->resync_first->size != m->uuid.size ||
                    memcmp(u->resync_first->data, m->uuid.data, m->uuid.size) != 0)
                        return 0;
                u->resync_first = bytes_unref(u->resync_first);
        }
        u->waiting_node = 0;
        if (!u->got_any) {
                u->got_any = true;
                int r = journal_user(s, u);
                if (r < 0)
                        return r;
        }
        Node *n = scene_find(s->scene, m->uuid.data, m->uuid.size);
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

int join_answer_waiting(Session *s, uint64_t id, bool failed)
{
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                if (u->waiting_node != id)
                        continue;
                u->waiting_node = 0;
                Node *n = scene_find_id(s->scene, id);
                int r = n && !failed ? send_set(s, u, n, node_base(n)) : send_removed(s, u);
                /* Changed since it was given to the background: the rest comes when the user is through. */
                if (r == 0 && n && (failed || node_n_deltas(n) > 0))
                        r = stale_mark(s, u, n, s->now.now);
                if (r < 0)
                        return r;
        }
        return 0;
}

int join_evidence(Session *s, User *u, bool also_lobby)
{
        bool evident = u->status == USER_SYNCING && u->maybe_stuck && (u->got_any || !also_lobby);
        return evident ? join_done(s, u) : 0;
}

int join_done(Session *s, User *u)
{
        if (u->status != USER_SYNCING)
                return 0;
        u->status = USER_ACTIVE;
        u->maybe_stuck = u->got_any = false;
        u->resync_first = bytes_unref(u->resync_first);
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
