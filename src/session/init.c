/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* A user fills the empty session. Its nodes are journalled as they come and count when all are there; what is
 * not complete in the end is dropped. */

/* A client that was told DONE ignores its data channel until it has seen that, so data waits for so long. */
#define DONE_SETTLE (1 * USEC_PER_SEC)

Init *init_free(Init *init)
{
        if (!init)
                return NULL;
        for (size_t i = 0; i < init->n_nodes; i++) {
                StagedNode *staged = &init->nodes[i];
                bytes_unref(staged->uuid);
                bytes_unref(staged->owner);
                bytes_unref(staged->dependencies);
                bytes_unref(staged->payload);
        }
        free(init->nodes);
        u64_map_done(&init->by_uuid);
        bytes_unref(init->author);
        free(init);
        return NULL;
}

/* ---- staging ---- */

static int init_add(Session *s, Init *init, const void *uuid, size_t size)
{
        if (init->n_nodes == init->n_allocated) {
                size_t n_allocated = init->n_allocated * 2 + 64;
                StagedNode *nodes = reallocarray(init->nodes, n_allocated, sizeof *nodes);
                if (!nodes)
                        return -ENOMEM;
                init->nodes = nodes;
                init->n_allocated = n_allocated;
        }
        int r = u64_map_set(&init->by_uuid, session_hash(s, uuid, size), init->n_nodes);
        if (r < 0)
                return r;
        StagedNode *staged = &init->nodes[init->n_nodes];
        *staged = (StagedNode){ .uuid = bytes_new_copy(uuid, size) };
        if (!staged->uuid)
                return -ENOMEM;
        init->n_nodes++;
        return r;
}

static StagedNode *init_find(Session *s, Init *init, const void *uuid, size_t size)
{
        const uint64_t *index = u64_map_find(&init->by_uuid, session_hash(s, uuid, size));
        return index ? &init->nodes[*index] : NULL;
}

static void staged_set(Init *init, StagedNode *staged, const MessageNode *node)
{
        if (staged->payload)
                init->bytes -= staged->payload->size;
        else
                init->n_received++;
        bytes_unref(staged->owner);
        bytes_unref(staged->dependencies);
        bytes_unref(staged->payload);
        staged->owner = bytes_ref(node->owner);
        staged->dependencies = bytes_ref(node->dependencies);
        staged->payload = bytes_ref(node->payload);
        staged->has_location = false;
        staged->version++;
        init->bytes += node->payload->size;
}

void init_stored(Init *init, size_t index, uint64_t version, const StoreLocation *location, Bytes *mapped)
{
        if (!init || index >= init->n_nodes || init->nodes[index].version != version)
                return;
        StagedNode *staged = &init->nodes[index];
        staged->location = *location;
        staged->has_location = true;
        if (!mapped || mapped->size != staged->payload->size)
                return;
        bytes_ref(mapped);
        bytes_unref(staged->payload);
        staged->payload = mapped;
}

int init_replay_node(Session *s, Init *init, const MessageNode *node, const StoreLocation *location)
{
        StagedNode *staged = init_find(s, init, node->uuid->data, node->uuid->size);
        if (!staged) {
                int r = init_add(s, init, node->uuid->data, node->uuid->size);
                if (r < 0)
                        return r;
                staged = &init->nodes[init->n_nodes - 1];
        }
        staged_set(init, staged, node);
        if (location) {
                staged->location = *location;
                staged->has_location = true;
        }
        return 0;
}

Init *init_new(Bytes *author, uint32_t serial)
{
        Init *init = malloc(sizeof *init);
        if (init)
                *init = (Init){ .user = serial, .author = bytes_ref(author) };
        return init;
}

/* Into the scene with what has been staged. */
int init_adopt(Session *s, Init *init, uint64_t wall)
{
        for (size_t i = 0; i < init->n_nodes; i++) {
                StagedNode *staged = &init->nodes[i];
                if (!staged->payload)
                        continue;
                bool own = bytes_equal(staged->owner, init->author);
                Node *n;
                int r = scene_put(s->scene, staged->uuid->data, staged->uuid->size, own ? staged->owner : s->common,
                                  staged->dependencies, staged->payload, wall, &n);
                if (r < 0)
                        return r;
                if (staged->has_location)
                        scene_set_location(s->scene, n, node_version(n), &staged->location, NULL);
                grave_remove(s, staged->uuid->data, staged->uuid->size);
                r = stale_note_changed(s, n, wall);
                if (r < 0)
                        return r;
        }
        s->running = true;
        return 0;
}

/* ---- messages ---- */

int init_answer(Session *s, User *u, const char *state)
{
        return emit_command(s, u, MESSAGE_SERVER_SNAPSHOT,
                            answer_set(value_dict_new(), "STATE", value_string_new(state)));
}

/* Back to the lobby, and from there to the session when there is one by now. */
static int init_reject(Session *s, User *u)
{
        bool initiating = u->initiating;
        u->initiating = false;
        int r = init_answer(s, u, "REJECTED");
        if (r == 0 && initiating)
                r = journal_user(s, u);
        return r == 0 && session_has_scene(s) && u->status == USER_LOBBY ? join_offer(s, u) : r;
}

static int init_drop(Session *s, const User *u, const char *reason)
{
        s->init = init_free(s->init);
        int r = journal_state(s, u, RECORD_STATE_ABANDONED);
        return r < 0 ? r : emit_log(s, LOG_LEVEL_WARNING, SESSION_EVENT_INIT_ROLLED_BACK, u, NULL,
                                    "The init by %s was given up: %s. Nothing of it is kept.",
                                    (const char *)u->name->data, reason);
}

int init_abandon(Session *s, const User *u, const char *reason)
{
        return s->init && s->init->user == u->serial ? init_drop(s, u, reason) : 0;
}

/* The init announced by a list of uuids: 0, 1 when the list is empty, too long or names one twice. */
static int init_announce(Session *s, const User *u, const Value *uuids, Init **ret)
{
        uint32_t n = value_list_length(uuids);
        if (n == 0 || n > s->config.max_nodes)
                return 1;
        _cleanup_(init_freep) Init *init = init_new(u->name, u->serial);
        if (!init)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                const Value *uuid = value_list_get(uuids, i);
                int r = init_add(s, init, value_data(uuid), value_size(uuid));
                if (r != 0)
                        return r;
        }
        *ret = TAKE_PTR(init);
        return 0;
}

static int init_begin(Session *s, User *u, const Message *m)
{
        if (!u->admin) {
                int r = session_forbidden(s, u, "wanted to initialise the session without being admin", true);
                return r < 0 ? r : init_reject(s, u);
        }
        if (s->init || session_has_scene(s))
                return init_reject(s, u);
        int r = init_announce(s, u, m->uuids, &s->init);
        if (r != 0)
                return r < 0 ? r : init_reject(s, u);
        u->initiating = true;
        u->expected = false;
        s->table_dirty |= u->status != USER_LOBBY;
        u->status = USER_LOBBY;
        r = journal_state(s, u, RECORD_STATE_INIT);
        if (r == 0)
                r = journal_user(s, u);
        if (r == 0)
                r = init_answer(s, u, "ACCEPTED");
        return r < 0 ? r : emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_INIT_STARTED, u, NULL,
                                    "%s fills the session with %zu nodes.", (const char *)u->name->data,
                                    s->init->n_nodes);
}

static int init_complete(Session *s, User *u)
{
        _cleanup_(init_freep) Init *init = TAKE_PTR(s->init);
        int r = init_adopt(s, init, s->now.wall);
        if (r < 0)
                return r;
        u->initiating = false;
        u->status = USER_ACTIVE;
        u->data_from = s->now.now + DONE_SETTLE;
        session_need(s, u->data_from);
        s->table_dirty = true;
        r = journal_state(s, u, RECORD_STATE_RUNNING);
        if (r == 0)
                r = journal_user(s, u);
        if (r == 0)
                r = init_answer(s, u, "DONE");
        if (r == 0)
                r = join_offer_lobby(s);
        /* Who was active in a session that had become empty. */
        for (size_t i = 0; r == 0 && i < s->n_users; i++) {
                if (s->users[i] == u || s->users[i]->status != USER_ACTIVE)
                        continue;
                r = stale_mark_changed_since(s, s->users[i], 0);
                if (r == 0)
                        r = stale_send(s, s->users[i]);
        }
        return r < 0 ? r : emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_INIT_DONE, u, NULL,
                                    "%s has filled the session: %zu nodes.", (const char *)u->name->data,
                                    scene_n_nodes(s->scene));
}

static int init_set(Session *s, User *u, Message *m)
{
        Init *init = s->init;
        StagedNode *staged = init_find(s, init, m->node.uuid->data, m->node.uuid->size);
        if (!staged)
                return session_forbidden(s, u, "sent a node that its init has not announced", false);
        staged_set(init, staged, &m->node);
        int r = journal_node(s, u, &m->node, m->node.owner, STAGED_ID((uint64_t)(staged - init->nodes)),
                             staged->version);
        if (r < 0)
                return r;
        if (init->bytes > s->config.max_init_bytes) {
                r = init_drop(s, u, "it is larger than allowed (see max_pending_init)");
                return r < 0 ? r : init_reject(s, u);
        }
        return init->n_received == init->n_nodes ? init_complete(s, u) : 0;
}

int init_message(Session *s, User *u, Message *m)
{
        if (m->step == MESSAGE_STEP_INIT)
                return init_begin(s, u, m);
        if (s->init && s->init->user == u->serial) {
                if (m->step == MESSAGE_STEP_SET)
                        return init_set(s, u, m);
                int r = init_drop(s, u, "nodes are missing at its end");
                return r < 0 ? r : init_reject(s, u);
        }
        /* The client waits for the outcome of an init that a restart or an error has ended; tell it once, as it fails
         * on a second answer. Everything else is the rest of an init that has been answered. */
        return u->initiating ? init_reject(s, u) : 0;
}
