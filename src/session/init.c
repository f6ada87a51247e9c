/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* A user fills the empty session. Its nodes are journalled as they come and count when all are there; what is
 * not complete in the end is dropped. There may be hundreds of thousands of them, so what is done with all is done in
 * slices: while their uuids are looked at, the init has not been answered; while they go into the scene, the init is
 * decided but nobody has been told, and the first who would change the scene has the rest done at once. */

/* A client that was told DONE ignores its data channel until it has seen that, so data waits for so long. */
#define DONE_SETTLE (1 * USEC_PER_SEC)

/* While many nodes are still to come, some of them are taken together. It is asked for again with every so many. */
#define GATHER_BYTES (8u << 10)
#define GATHER_EVERY 8u

static void staged_release(StagedNode *staged)
{
        staged->uuid = bytes_unref(staged->uuid);
        staged->owner = bytes_unref(staged->owner);
        staged->dependencies = bytes_unref(staged->dependencies);
        staged->payload = bytes_unref(staged->payload);
}

Init *init_free(Init *init)
{
        if (!init)
                return NULL;
        for (size_t i = init->n_adopted; i < init->n_nodes; i++)
                staged_release(&init->nodes[i]);
        free(init->nodes);
        value_unref(init->uuids);
        u64_map_done(&init->by_uuid);
        bytes_unref(init->dependencies);
        bytes_unref(init->author);
        free(init);
        return NULL;
}

/* ---- staging ---- */

/* What an announced node takes beside its bytes: its place, one in the map, the heads of four Bytes, and its uuid in the
 * list that announced it. */
#define STAGED_OVERHEAD (sizeof(StagedNode) + 32 + 4 * (sizeof(Bytes) + 16) + 64)

static int init_reserve(Init *init, size_t n)
{
        StagedNode *nodes = reallocarray(init->nodes, n, sizeof *nodes);
        if (!nodes)
                return -ENOMEM;
        init->nodes = nodes;
        init->n_allocated = n;
        return u64_map_reserve(&init->by_uuid, n);
}

static int init_add(Session *s, Init *init, const void *uuid, size_t size)
{
        int r = init->n_nodes < init->n_allocated ? 0 : init_reserve(init, init->n_allocated * 2 + 64);
        if (r < 0)
                return r;
        r = u64_map_set(&init->by_uuid, session_hash(s, uuid, size), init->n_nodes);
        if (r < 0)
                return r;
        StagedNode *staged = &init->nodes[init->n_nodes];
        *staged = (StagedNode){ .uuid = bytes_new_copy(uuid, size) };
        if (!staged->uuid)
                return -ENOMEM;
        init->n_nodes++;
        init->bytes += STAGED_OVERHEAD + 2 * size;
        return r;
}

static StagedNode *init_find(Session *s, Init *init, const void *uuid, size_t size)
{
        const uint64_t *index = u64_map_find(&init->by_uuid, session_hash(s, uuid, size));
        return index ? &init->nodes[*index] : NULL;
}

static size_t staged_bytes(const Bytes *owner, const Bytes *dependencies, const Bytes *payload)
{
        return owner->size + dependencies->size + payload->size;
}

/* The texts of a node are in one piece with those that nobody keeps, and the same in most of them. */
static int share_texts(Init *init, const MessageNode *node, Bytes **ret_owner)
{
        if (!init->dependencies || !bytes_equal(init->dependencies, node->dependencies)) {
                Bytes *copy = bytes_new_copy(node->dependencies->data, node->dependencies->size);
                if (!copy)
                        return -ENOMEM;
                bytes_unref(init->dependencies);
                init->dependencies = copy;
        }
        *ret_owner = bytes_equal(node->owner, init->author) ? bytes_ref(init->author) :
                                                              bytes_new_copy(node->owner->data, node->owner->size);
        return *ret_owner ? 0 : -ENOMEM;
}

static int staged_set(Init *init, StagedNode *staged, const MessageNode *node)
{
        Bytes *owner;
        int r = share_texts(init, node, &owner);
        if (r < 0)
                return r;
        if (staged->payload)
                init->bytes -= staged_bytes(staged->owner, staged->dependencies, staged->payload);
        else
                init->n_received++;
        bytes_unref(staged->owner);
        bytes_unref(staged->dependencies);
        bytes_unref(staged->payload);
        staged->owner = owner;
        staged->dependencies = bytes_ref(init->dependencies);
        staged->payload = bytes_ref(node->payload);
        staged->has_location = false;
        staged->version++;
        init->bytes += staged_bytes(node->owner, node->dependencies, node->payload);
        return 0;
}

void init_stored(Init *init, size_t index, uint64_t version, const StoreLocation *location, Bytes *mapped)
{
        if (!init || index < init->n_adopted || index >= init->n_nodes || init->nodes[index].version != version)
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

bool init_location(const Init *init, size_t index, uint64_t version, StoreLocation *ret)
{
        if (!init || index < init->n_adopted || index >= init->n_nodes)
                return false;
        const StagedNode *staged = &init->nodes[index];
        if (staged->version != version || !staged->has_location)
                return false;
        *ret = staged->location;
        return true;
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
        int r = staged_set(init, staged, node);
        if (r < 0)
                return r;
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
                *init = (Init){ .user = serial, .phase = INIT_FILLING, .author = bytes_ref(author) };
        return init;
}

static int adopt(Session *s, Init *init, const StagedNode *staged, uint64_t wall)
{
        bool own = bytes_equal(staged->owner, init->author);
        Node *n;
        int r = scene_put(s->scene, staged->uuid->data, staged->uuid->size, own ? staged->owner : s->common,
                          staged->dependencies, staged->payload, wall, &n);
        if (r < 0)
                return r;
        if (staged->has_location)
                scene_set_location(s->scene, n, node_version(n), &staged->location, staged->payload);
        grave_remove(s, staged->uuid->data, staged->uuid->size);
        return stale_note_changed(s, n);
}

int init_adopt(Session *s, Init *init, size_t max, uint64_t wall)
{
        size_t end = init->n_adopted + MIN(max, init->n_nodes - init->n_adopted);
        for (; init->n_adopted < end; init->n_adopted++) {
                StagedNode *staged = &init->nodes[init->n_adopted];
                int r = staged->payload ? adopt(s, init, staged, wall) : 0;
                if (r < 0)
                        return r;
                staged_release(staged);
        }
        if (end < init->n_nodes)
                return 1;
        s->running = true;
        return 0;
}

/* ---- answers ---- */

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
        return r < 0 ? r : emit_log(s, LOG_LEVEL_WARNING, SESSION_EVENT_INIT_ROLLED_BACK, u,
                                    &(LogDetails){ .reason = reason },
                                    "The init by %s was given up: %s. Nothing of it is kept.",
                                    (const char *)u->name->data, reason);
}

int init_abandon(Session *s, const User *u, const char *reason)
{
        if (!s->init || s->init->user != u->serial)
                return 0;
        return s->init->phase == INIT_ADOPTING ? init_settle(s) : init_drop(s, u, reason);
}

/* ---- announcing ---- */

static int init_accept(Session *s, User *u)
{
        s->init->uuids = value_unref(s->init->uuids);
        s->init->phase = INIT_FILLING;
        int r = journal_state(s, u, RECORD_STATE_INIT);
        if (r == 0)
                r = journal_user(s, u);
        if (r == 0)
                r = init_answer(s, u, "ACCEPTED");
        return r < 0 ? r : emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_INIT_STARTED, u,
                                    &(LogDetails){ .n_nodes = s->init->n_nodes },
                                    "%s fills the session with %zu nodes.", (const char *)u->name->data,
                                    s->init->n_nodes);
}

static int init_refuse(Session *s, User *u)
{
        int r = session_forbidden(s, u, "wanted to initialise the session with more than is allowed (see max_nodes and "
                                        "max_pending_init)", true);
        return r < 0 ? r : init_reject(s, u);
}

/* Looks at up to `max` more of the uuids. One that is named twice ends it. */
static int init_announce(Session *s, User *u, size_t max)
{
        Init *init = s->init;
        uint32_t n = value_list_length(init->uuids);
        for (; init->n_nodes < n && max > 0; max--) {
                const Value *uuid = value_list_get(init->uuids, (uint32_t)init->n_nodes);
                int r = init_add(s, init, value_data(uuid), value_size(uuid));
                if (r < 0)
                        return r;
                if (r > 0) {
                        s->init = init_free(init);
                        return init_reject(s, u);
                }
                if (init->bytes > s->config.max_init_bytes) {
                        s->init = init_free(init);
                        return init_refuse(s, u);
                }
        }
        if (init->n_nodes == n)
                return init_accept(s, u);
        session_need(s, s->now.now);
        return 0;
}

static int init_begin(Session *s, User *u, const Message *m)
{
        if (!u->admin) {
                int r = session_forbidden(s, u, "wanted to initialise the session without being admin", true);
                return r < 0 ? r : init_reject(s, u);
        }
        uint32_t n = value_list_length(m->uuids);
        if (s->init || session_has_scene(s) || n == 0)
                return init_reject(s, u);
        if (n > s->config.max_nodes || n > s->config.max_init_bytes / STAGED_OVERHEAD)
                return init_refuse(s, u);
        s->init = init_new(u->name, u->serial);
        if (!s->init)
                return -ENOMEM;
        int r = init_reserve(s->init, n);
        if (r < 0)
                return r;
        s->init->phase = INIT_ANNOUNCED;
        s->init->uuids = value_ref(m->uuids);
        u->initiating = true;
        u->expected = false;
        s->table_dirty |= u->status != USER_LOBBY;
        u->status = USER_LOBBY;
        return init_announce(s, u, INIT_SLICE);
}

int init_proved(Session *s, User *u)
{
        u->unproved = u->maybe_stuck = false;
        return journal_user(s, u);
}

/* ---- completing ---- */

/* To those who were active in a session that had become empty, or who were joining it. */
static int init_pass_on(Session *s, const User *initiator)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < s->n_users; i++) {
                User *u = s->users[i];
                if (u == initiator || u->status == USER_LOBBY)
                        continue;
                r = stale_mark_changed_since(s, u, 0);
                if (r == 0)
                        r = stale_send(s, u);
        }
        return r;
}

static int init_complete(Session *s)
{
        _cleanup_(init_freep) Init *init = TAKE_PTR(s->init);
        User *u = session_find_serial(s, init->user);
        u->initiating = false;
        u->unproved = true;
        u->status = USER_ACTIVE;
        u->data_from = s->now.now + DONE_SETTLE;
        session_need(s, u->data_from);
        s->table_dirty = true;
        int r = journal_user(s, u);
        if (r == 0)
                r = init_answer(s, u, "DONE");
        if (r == 0)
                r = init_pass_on(s, u);
        if (r == 0)
                r = join_offer_lobby(s);
        return r < 0 ? r : emit_log(s, LOG_LEVEL_INFO, SESSION_EVENT_INIT_DONE, u,
                                    &(LogDetails){ .n_nodes = scene_n_nodes(s->scene) },
                                    "%s has filled the session: %zu nodes.", (const char *)u->name->data,
                                    scene_n_nodes(s->scene));
}

int init_step(Session *s)
{
        if (!s->init || s->loading || s->init->phase == INIT_FILLING)
                return 0;
        if (s->init->phase == INIT_ANNOUNCED)
                return init_announce(s, session_find_serial(s, s->init->user), INIT_SLICE);
        int r = init_adopt(s, s->init, INIT_SLICE, s->now.wall);
        if (r == 0)
                return init_complete(s);
        session_need(s, s->now.now);
        return MIN(r, 0);
}

int init_settle(Session *s)
{
        if (!s->init || s->init->phase != INIT_ADOPTING)
                return 0;
        int r = init_adopt(s, s->init, SIZE_MAX, s->now.wall);
        return r < 0 ? r : init_complete(s);
}

/* All is there. Where that is much, it goes into the scene from the next turn on. */
static int init_decide(Session *s, User *u)
{
        Init *init = s->init;
        init->phase = INIT_ADOPTING;
        u64_map_done(&init->by_uuid);
        int r = scene_reserve(s->scene, init->n_nodes);
        if (r == 0)
                r = journal_state(s, u, RECORD_STATE_RUNNING);
        if (r == 0 && init->n_nodes <= INIT_SLICE)
                return init_settle(s);
        session_need(s, s->now.now);
        return r;
}

/* ---- messages ---- */

static int init_set(Session *s, User *u, Message *m)
{
        Init *init = s->init;
        StagedNode *staged = init_find(s, init, m->node.uuid->data, m->node.uuid->size);
        if (!staged)
                return session_forbidden(s, u, "sent a node that its init has not announced", false);
        int r = staged_set(init, staged, &m->node);
        if (r < 0)
                return r;
        /* Until it is journalled: the uuid of the message is in one piece with its dependencies. */
        MessageNode node = m->node;
        node.uuid = staged->uuid;
        r = journal_node(s, u, &node, node.owner, STAGED_ID((uint64_t)(staged - init->nodes)), staged->version);
        if (r < 0)
                return r;
        if (init->bytes > s->config.max_init_bytes) {
                r = init_drop(s, u, "it is larger than allowed (see max_pending_init)");
                return r < 0 ? r : init_reject(s, u);
        }
        size_t n_coming = init->n_nodes - init->n_received;
        if (n_coming % GATHER_EVERY == 0)
                r = emit_gather(s, u, n_coming - MIN(n_coming, GATHER_EVERY), GATHER_BYTES);
        return r == 0 && n_coming == 0 ? init_decide(s, u) : r;
}

int init_message(Session *s, User *u, Message *m)
{
        if (m->step == MESSAGE_STEP_INIT)
                return init_begin(s, u, m);
        if (s->init && s->init->user == u->serial) {
                /* What comes behind the last node: it is told in a moment. */
                if (s->init->phase == INIT_ADOPTING)
                        return 0;
                if (m->step == MESSAGE_STEP_SET)
                        return init_set(s, u, m);
                int r = init_drop(s, u, "nodes are missing at its end");
                return r < 0 ? r : init_reject(s, u);
        }
        /* The client waits for the outcome of an init that a restart or an error has ended; tell it once, as it fails
         * on a second answer. Everything else is the rest of an init that has been answered. */
        return u->initiating ? init_reject(s, u) : 0;
}
