/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "scene/dependencies.h"
#include "session/session-private.h"

/* Nodes and Commits: checked, applied, journalled, passed on. */

/* Each Delete looks through the dependencies of all nodes, so there may be only so many, for one node and another. */
#define DEPENDENCIES_MAX (64u << 20)
#define DEPENDENCIES_PER_NODE 128u
#define TOO_MANY_DEPENDENCIES "named more dependencies than all nodes together may have (64 MiB, and 128 bytes for each)"

/* ---- refusing ---- */

/* The sender has changed its copy already, so it gets the node as it is for everybody else. */
static int relay_correct(Session *s, User *u, Node *n)
{
        bool told = stale_has(u, n);
        int r = stale_mark(s, u, n, s->now.now + STALE_QUIET);
        return r < 0 || told ? r : rights_tell(s, u, n);
}

static int relay_refuse(Session *s, User *u, const MessageNode *node, Node *n, const char *reason, const char *what)
{
        int r = journal_refused(s, u, node, reason);
        if (r == 0)
                r = session_forbidden(s, u, what, true);
        return r < 0 ? r : relay_correct(s, u, n);
}

/* 1: there are as many dependencies as there may be, and this would make more. */
static int relay_check_dependencies(Session *s, const Node *n, Bytes *dependencies)
{
        uint64_t max = DEPENDENCIES_MAX + (uint64_t)DEPENDENCIES_PER_NODE * scene_n_nodes(s->scene);
        if (scene_dependency_bytes(s->scene) <= max)
                return 0;
        _cleanup_bytes_ Bytes *kept = NULL;
        uint64_t signature;
        int r = dependencies_normalise(dependencies, &kept, &signature);
        size_t was = n ? node_dependencies(n)->size : strlen("\x80\x04].");
        return r == 0 && kept->size > was ? 1 : MIN(r, 0);
}

/* A change of a node that is there: may it come in? 1: no. */
static int relay_may_change(Session *s, User *u, const MessageNode *node, Node *n)
{
        int r;
        if (!rights_may_edit(s, u, n)) {
                r = relay_refuse(s, u, node, n, "locked by somebody else", "sent data for a node that somebody else has locked");
        } else {
                r = relay_check_dependencies(s, n, node->dependencies);
                if (r <= 0)
                        return r;
                r = relay_refuse(s, u, node, n, "too many dependencies", TOO_MANY_DEPENDENCIES);
        }
        return r < 0 ? r : 1;
}

static int relay_diverged(Session *s, User *u, const MessageNode *node, Node *n, int error, const DeltaReport *report)
{
        s->n_diverged++;
        s->n_refused++;
        u->n_refused++;
        const char *reason = report->detail ?: delta_error_to_string(error);
        NodeUuid uuid = node_uuid(n);
        int r = journal_refused(s, u, node, reason);
        if (r == 0)
                r = emit_log(s, LOG_LEVEL_WARNING, SESSION_EVENT_DIVERGED, u,
                             &(LogDetails){ .node = uuid.text, .reason = reason },
                             "A change of node %s by %s cannot be applied (%s); it was refused and the node is sent anew.",
                             uuid.text, (const char *)u->name->data, reason);
        return r < 0 ? r : relay_correct(s, u, n);
}

/* ---- passing on ---- */

static int relay_to(Session *s, User *to, Node *n, Frames *frames)
{
        if (to->status == USER_LOBBY)
                return 0;
        if (stale_can_send(s, to) && !stale_has(to, n))
                return emit_send(s, to, CHANNEL_DATA, SEND_BULK, frames, node_id(n));
        return stale_mark(s, to, n, s->now.now);
}

/* dirty: the dependencies in the frames name nodes that are gone. Receivers that see the Delete first end up with
 * others than those that see this first, so all get the node whole when both have passed. */
static int relay_pass_on(Session *s, User *author, Node *n, Frames *frames, bool dirty)
{
        bool race = author->status == USER_ACTIVE && (stale_is_race(s, author, n) || stale_has(author, n));
        stale_note_sent(s, n, author);
        int noted = stale_note_changed(s, n);
        if (noted < 0)
                return noted;
        s->n_updates++;
        author->n_updates++;
        for (size_t i = 0; i < s->n_users; i++) {
                User *to = s->users[i];
                if (to == author)
                        continue;
                int r = relay_to(s, to, n, frames);
                if (r == 0 && dirty && to->status == USER_ACTIVE)
                        r = stale_mark(s, to, n, s->now.now + ORDER_DELAY);
                if (r < 0)
                        return r;
        }
        return race ? stale_mark(s, author, n, s->now.now + STALE_QUIET) : 0;
}

/* ---- Node ---- */

/* It comes too late, as an honest client's may. */
static void relay_count_late(Session *s, User *u)
{
        s->n_refused++;
        u->n_refused++;
}

/* A Node for a uuid that is not there: may it be made? 1: no. */
static int relay_may_create(Session *s, User *u, const MessageNode *node)
{
        const Grave *g = grave_find(s, node->uuid->data, node->uuid->size);
        bool late = g && (g->closed > s->arrived || order_holds_delete(s, u, node->uuid->data, node->uuid->size));
        if (early_delete_take(s, u, node->uuid->data, node->uuid->size) && !late)
                return relay_count_late(s, u), 1;
        int r = 0;
        if (late) {
                relay_count_late(s, u);
        } else if (scene_n_nodes(s->scene) >= s->config.max_nodes) {
                r = session_forbidden(s, u, "sent a new node, but there are as many as allowed (see max_nodes)", true);
        } else {
                r = relay_check_dependencies(s, NULL, node->dependencies);
                if (r <= 0)
                        return r;
                r = session_forbidden(s, u, TOO_MANY_DEPENDENCIES, true);
        }
        /* It has the node, and nobody else may have it. */
        if (r == 0)
                r = order_repeat_delete(s, u, node->uuid);
        return r < 0 ? r : 1;
}

/* Whose a new node is. Locks by others than the sender cannot come with it: it is COMMON then, for everybody. */
static Bytes *relay_new_owner(const Session *s, const User *u, const MessageNode *node, const EarlyRight *early)
{
        bool proper = bytes_equal(node->owner, s->common) || bytes_equal(node->owner, u->name);
        return early->owner ?: proper ? node->owner : s->common;
}

static int relay_node(Session *s, User *u, const MessageNode *node, Bytes *const *frames)
{
        Node *n = scene_find(s->scene, node->uuid->data, node->uuid->size);
        bool is_new = !n, first = scene_n_nodes(s->scene) == 0;
        bool was_deleted = is_new && grave_find(s, node->uuid->data, node->uuid->size);
        int r = is_new ? relay_may_create(s, u, node) : relay_may_change(s, u, node, n);
        if (r != 0)
                return MIN(r, 0);
        _cleanup_bytes_ Bytes *clean = NULL;
        MessageNode accepted = *node;
        r = grave_clean_dependencies(s, node->dependencies, &clean);
        if (r < 0)
                return r;
        if (clean)
                accepted.dependencies = clean;
        EarlyRight early = {};
        if (is_new) {
                early = early_right_take(s, u, node->uuid->data, node->uuid->size);
                accepted.owner = relay_new_owner(s, u, node, &early);
                grave_remove(s, node->uuid->data, node->uuid->size);
        }
        bool as_sent = bytes_equal(accepted.owner, node->owner);
        r = scene_put(s->scene, node->uuid->data, node->uuid->size, accepted.owner, accepted.dependencies, node->payload,
                      s->now.wall, &n);
        if (r == 0 && is_new)
                order_note_new(s, n);
        if (r == 0)
                r = journal_node(s, u, &accepted, node_owner(s->scene, n), node_id(n), node_version(n));
        Bytes *parts[] = { frames[0], frames[1], as_sent ? frames[2] : accepted.owner, frames[3], frames[4] };
        _cleanup_frames_ Frames *relayed = NULL;
        if (r == 0)
                r = answer_of(parts, ELEMENTSOF(parts), &relayed);
        if (r == 0)
                r = relay_pass_on(s, u, n, relayed, clean);
        /* It has been told of the deletion, before or after it sent this: it may lack the node that all others get. */
        if (r == 0 && was_deleted)
                r = stale_mark(s, u, n, s->now.now + ORDER_DELAY);
        if (r == 0 && is_new)
                r = rights_created(s, u, n, &early, as_sent);
        return r == 0 && first ? join_offer_lobby(s) : r;
}

/* ---- Commit ---- */

/* The graph is at hand now; in another thread all deltas would have to be applied a second time. */
static int relay_fold(Session *s, Node *n)
{
        _cleanup_bytes_ Bytes *payload = NULL;
        int r = scene_payload(s->scene, n, ENCODE_SYNC_LIMIT, &payload);
        if (r == 1)
                return emit_encode(s, n);
        return r == -EBADMSG || r == -E2BIG ? 0 : r;
}

static int relay_commit(Session *s, User *u, const MessageNode *node, Bytes *const *frames)
{
        Node *n = scene_find(s->scene, node->uuid->data, node->uuid->size);
        if (!n) {
                /* An ordinary race with a Delete, which the sender gets as everybody does. */
                relay_count_late(s, u);
                return 0;
        }
        int r = relay_may_change(s, u, node, n);
        if (r != 0)
                return MIN(r, 0);
        _cleanup_bytes_ Bytes *clean = NULL;
        r = grave_clean_dependencies(s, node->dependencies, &clean);
        if (r < 0)
                return r;
        Bytes *dependencies = clean ?: node->dependencies;
        DeltaReport report = {};
        r = scene_apply(s->scene, n, dependencies, node->payload, s->now.wall, &report);
        if (r > 0)
                return relay_diverged(s, u, node, n, r, &report);
        if (r == 0)
                r = journal(s, RECORD_COMMIT, u, node->uuid, dependencies, node->payload);
        _cleanup_frames_ Frames *relayed = NULL;
        if (r == 0)
                r = answer_of(frames, 4, &relayed);
        if (r == 0)
                r = relay_pass_on(s, u, n, relayed, clean);
        return r == 0 && node_wants_fold(n) ? relay_fold(s, n) : r;
}

int relay_message(Session *s, User *u, const Message *m, Bytes *const *frames, size_t n_frames)
{
        /* Only an active client sends data: what made it so was lost with a connection or a server before this one. */
        int r = join_evidence(s, u, false);
        if (r < 0)
                return r;
        if (!s->running || u->status == USER_LOBBY)
                return session_forbidden(s, u, "sent data without having joined the session", true);
        return m->type == MESSAGE_NODE ? relay_node(s, u, &m->node, frames) : relay_commit(s, u, &m->node, frames);
}
