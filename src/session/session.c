/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/secret.h"
#include "pickle/siphash.h"
#include "session/session-private.h"

/* A message from somebody who has not logged in, and the commands of a user, are bounded on their own. */
#define GUEST_BYTES_MAX (1u << 20)

/* ---- configuration ---- */

static void config_done(SessionConfig *c)
{
        secret_free((char *)c->server_password);
        secret_free((char *)c->admin_password);
        for (size_t i = 0; c->accepted_versions && c->accepted_versions[i]; i++)
                free((char *)c->accepted_versions[i]);
        free((void *)c->accepted_versions);
        *c = (SessionConfig){};
}

static int copy_text(const char **ret, const char *text)
{
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? -ENOMEM : 0;
}

static int config_copy(SessionConfig *to, const SessionConfig *from)
{
        SessionConfig c = *from;
        c.server_password = c.admin_password = NULL;
        size_t n = 0;
        while (from->accepted_versions[n])
                n++;
        char **versions = calloc(n + 1, sizeof *versions);
        c.accepted_versions = (const char *const *)versions;
        int r = versions ? 0 : -ENOMEM;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = copy_text((const char **)&versions[i], from->accepted_versions[i]);
        if (r == 0)
                r = copy_text(&c.server_password, from->server_password);
        if (r == 0)
                r = copy_text(&c.admin_password, from->admin_password);
        if (r < 0) {
                config_done(&c);
                return r;
        }
        *to = c;
        return 0;
}

static SceneConfig scene_config(const SessionConfig *c)
{
        SceneConfig config = { .limits = c->pickle_limits, .graph_cache_bytes = c->graph_cache_bytes };
        config.limits.max_size = MIN(config.limits.max_size, c->max_node_bytes);
        return config;
}

static void session_apply_config(Session *s)
{
        s->limits = (MessageLimits){
                .pickle = s->config.pickle_limits,
                .max_guest_bytes = GUEST_BYTES_MAX,
                .max_name = MIN(s->config.max_user_name, (size_t)UINT8_MAX),
        };
        s->limits.pickle.max_size = MIN(s->limits.pickle.max_size, s->config.max_node_bytes);
}

int session_reconfigure(Session *s, const SessionConfig *config)
{
        SessionConfig fresh;
        int r = config_copy(&fresh, config);
        if (r < 0)
                return r;
        config_done(&s->config);
        s->config = fresh;
        session_apply_config(s);
        SceneConfig scene = scene_config(config);
        scene_reconfigure(s->scene, &scene);
        return 0;
}

/* ---- life ---- */

static int session_make_frames(Session *s)
{
        for (int type = MESSAGE_COMMIT; type < _MESSAGE_TYPE_MAX; type++) {
                const char pickle[] = { '\x80', 4, 'K', (char)type, '.' };
                s->type_frames[type] = bytes_new_copy(pickle, sizeof pickle);
                if (!s->type_frames[type])
                        return -ENOMEM;
        }
        s->server = bytes_new_copy("server", 6);
        s->common = bytes_new_copy(SCENE_OWNER_COMMON, strlen(SCENE_OWNER_COMMON));
        return s->server && s->common ? 0 : -ENOMEM;
}

int session_new(Session **ret, const SessionConfig *config)
{
        _cleanup_(session_freep) Session *s = calloc(1, sizeof *s);
        if (!s)
                return -ENOMEM;
        int r = config_copy(&s->config, config);
        if (r < 0)
                return r;
        session_apply_config(s);
        SceneConfig scene = scene_config(config);
        s->scene = scene_new(&scene);
        if (!s->scene)
                return -ENOMEM;
        if (getrandom(s->hash_key, sizeof s->hash_key, 0) != (ssize_t)sizeof s->hash_key)
                return -errno;
        r = session_make_frames(s);
        if (r == 0)
                r = history_new(s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Session *session_free(Session *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_users; i++)
                user_free(s->users[i]);
        free(s->users);
        table_forget(s);
        history_free(s);
        init_free(s->init);
        for (size_t i = 0; i < s->n_graves; i++)
                bytes_unref(s->graves[s->first_grave + i].uuid);
        free(s->graves);
        u64_map_done(&s->grave_by_uuid);
        bit_set_done(&s->recent_changes);
        u64_map_done(&s->recent_rights);
        u64_map_done(&s->loaded_changes);
        u64_map_done(&s->loaded_rights);
        u64_map_done(&s->loaded_whole);
        for (size_t i = 0; i < ELEMENTSOF(s->type_frames); i++)
                bytes_unref(s->type_frames[i]);
        bytes_unref(s->server);
        bytes_unref(s->common);
        scene_free(s->scene);
        config_done(&s->config);
        free(s);
        return NULL;
}

Scene *session_scene(Session *s)
{
        return s->scene;
}

/* ---- look-up ---- */

uint64_t session_hash(const Session *s, const void *data, size_t size)
{
        SipHash h;
        uint64_t digest[2];
        siphash_begin(&h, s->hash_key);
        siphash_add(&h, data, size);
        siphash_end(&h, digest);
        return digest[0] ?: 1;
}

User *session_find_user(const Session *s, const RoutingId *id)
{
        for (size_t i = 0; i < s->n_users; i++)
                if (routing_id_equal(&s->users[i]->id, id))
                        return s->users[i];
        return NULL;
}

User *session_find_name(const Session *s, const void *name, size_t size)
{
        for (size_t i = 0; i < s->n_users; i++)
                if (user_is_named(s->users[i], name, size))
                        return s->users[i];
        return NULL;
}

User *session_find_serial(const Session *s, uint32_t serial)
{
        for (size_t i = 0; i < s->n_users; i++)
                if (s->users[i]->serial == serial)
                        return s->users[i];
        return NULL;
}

int session_add_user(Session *s, User *u)
{
        User **users = reallocarray(s->users, s->n_users + 1, sizeof *users);
        if (!users)
                return -ENOMEM;
        s->users = users;
        u->serial = ++s->serial;
        table_forget(s);
        s->users[s->n_users++] = u;
        return 0;
}

void session_remove_user(Session *s, User *u)
{
        for (size_t i = 0; i < s->n_users; i++) {
                if (s->users[i] != u)
                        continue;
                table_forget(s);
                memmove(s->users + i, s->users + i + 1, (s->n_users - i - 1) * sizeof *s->users);
                s->n_users--;
                return;
        }
}

bool session_has_scene(const Session *s)
{
        bool adopting = s->init && s->init->phase == INIT_ADOPTING;
        return s->running && !adopting && scene_n_nodes(s->scene) > 0;
}

/* ---- what is not accepted ---- */

int session_malformed(Session *s, const User *u, const char *address, const char *reason)
{
        s->n_malformed++;
        int r = emit_penalty(s, address, 1);
        if (r < 0)
                return r;
        return emit_log(s, LOG_LEVEL_WARNING, SESSION_EVENT_MALFORMED, u,
                        &(LogDetails){ .address = address, .reason = reason },
                        "%s sent a message that %s; it was ignored.", u ? (const char *)u->name->data : address, reason);
}

int session_forbidden(Session *s, User *u, const char *reason, bool honest)
{
        u->n_refused++;
        s->n_refused++;
        int r = honest ? 0 : emit_penalty(s, u->address ?: "", 1);
        if (r < 0)
                return r;
        return emit_log(s, honest ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, SESSION_EVENT_FORBIDDEN, u,
                        &(LogDetails){ .reason = reason },
                        "%s %s; it was refused.", (const char *)u->name->data, reason);
}

/* ---- calls ---- */

/* What is to be looked for from a time on that has not come yet is looked for from now on. */
static void clock_set_back(Session *s, uint64_t wall)
{
        s->last_wall = MIN(s->last_wall, wall);
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                u->doubt_wall = MIN(u->doubt_wall, wall);
                for (int c = 0; c < _CHANNEL_MAX; c++)
                        u->lost_doubt[c] = MIN(u->lost_doubt[c], wall);
        }
}

/* Some are told of what has taken a moment to come here: time does not go back for that. */
void session_note_time(Session *s, SessionTime t)
{
        t.now = MAX(t.now, s->now.now);
        uint64_t expected = s->now.wall + (t.now - s->now.now);
        if (t.wall + USEC_PER_SEC < expected)
                clock_set_back(s, t.wall);
        if (s->now.wall != 0 && t.wall > expected + USEC_PER_SEC) {
                bool forgotten = t.now - s->set_on_at > DOUBT_MAX;
                s->set_on = (forgotten ? 0 : s->set_on) + (t.wall - expected);
                s->set_on_at = t.now;
        }
        s->now = t;
}

uint64_t session_wall_before(const Session *s, uint64_t usec)
{
        if (s->set_on > 0 && s->now.now - s->set_on_at <= usec)
                usec += s->set_on;
        return s->now.wall > usec ? s->now.wall - usec : 0;
}

void session_enter(Session *s, SessionTime t, EffectList *effects)
{
        session_note_time(s, t);
        s->arrived = s->now.now;
        s->effects = effects;
}

int session_leave(Session *s, int r)
{
        if (r == 0 && !s->loading)
                r = table_tell(s);
        if (r == 0 && !s->loading)
                r = history_tell(s);
        table_forget(s);
        order_forget_told(s);
        s->effects = NULL;
        return r;
}

static int session_command(Session *s, User *u, const RoutingId *from, const char *address, Message *m,
                           Bytes *const *frames)
{
        switch (m->type) {
        case MESSAGE_SERVER_INFO:
                return login_server_info(s, from, u);
        case MESSAGE_AUTH:
                return login_auth(s, from, address, m, frames);
        case MESSAGE_SNAPSHOT:
                return join_message(s, u, m);
        case MESSAGE_SERVER_SNAPSHOT:
                return init_message(s, u, m);
        case MESSAGE_DELETE:
                return rights_delete(s, u, m, frames);
        case MESSAGE_RIGHT:
                return rights_message(s, u, m, frames);
        case MESSAGE_METADATA:
                return metadata_message(s, u, m, frames);
        case MESSAGE_KICK:
                return login_kick_message(s, u, m);
        default:
                return session_malformed(s, u, address, "is of a type that no client sends");
        }
}

int session_take(Session *s, Channel channel, const RoutingId *from, User *u, const char *address, int parsed,
                 const char *reason, Message *m, Bytes *const *frames, size_t n_frames)
{
        if (parsed < 0)
                return parsed;
        if (parsed > 0)
                return session_malformed(s, u, address, reason);
        int r = 0;
        if (u && (channel == CHANNEL_DATA || m->type == MESSAGE_DELETE || m->type == MESSAGE_RIGHT))
                r = init_settle(s);
        if (r == 0)
                r = channel == CHANNEL_DATA ? relay_message(s, u, m, frames, n_frames) :
                                              session_command(s, u, from, address, m, frames);
        message_done(m);
        return r;
}

int session_greet(Session *s, Channel channel, const RoutingId *from, User *u, const char *address,
                  Bytes *const *frames, size_t n_frames)
{
        if (s->loading)
                return 1;
        if (u) {
                user_set_address(u, address);
                int r = charge_message(s, u, channel, frames, n_frames);
                return r < 0 ? r : presence_heard(s, u, channel);
        }
        const Guest *guest = guest_find(s, from);
        return guest && guest->left &&
               message_peek_type(frames, MIN(n_frames, (size_t)FRAMES_MAX)) != MESSAGE_AUTH;
}

static int session_dispatch(Session *s, Channel channel, const RoutingId *from, const char *address,
                            Bytes *const *frames, size_t n_frames)
{
        User *u = session_find_user(s, from);
        if (channel == CHANNEL_TTL)
                return presence_ttl(s, from, u, address, frames, n_frames);
        int r = session_greet(s, channel, from, u, address, frames, n_frames);
        if (r != 0)
                return MIN(r, 0);
        Message m;
        const char *reason;
        r = message_parse(&m, &s->limits, channel, frames, n_frames, !u, &reason);
        return session_take(s, channel, from, u, address, r, reason, &m, frames, n_frames);
}

void session_set_overtaking(Session *s, bool overtakes)
{
        s->overtakes = overtakes;
}

int session_receive(Session *s, SessionTime t, Channel channel, const RoutingId *from, const char *address,
                    Bytes *const *frames, size_t n_frames, EffectList *effects)
{
        session_enter(s, t, effects);
        int r = session_leave(s, session_dispatch(s, channel, from, address, frames, n_frames));
        s->overtakes = false;
        return r;
}

int session_send_refused(Session *s, SessionTime t, const RoutingId *peer, SendClass class, uint64_t id,
                         EffectList *effects)
{
        User *u = session_find_user(s, peer);
        if (!u)
                return 0;
        if (class == SEND_PING) {
                heartbeat_refused(&u->heartbeat);
                return 0;
        }
        session_enter(s, t, effects);
        if (class != SEND_BULK) {
                u->owes_table = true;
                return session_leave(s, 0);
        }
        int r = 0;
        if (!user_is_queued(u))
                u->queued_since = t.now;
        if (!u->refused) {
                u->refused = true;
                if (u->behind_since_wall == 0) {
                        u->behind_since_wall = presence_doubt_wall(s, u);
                        r = journal_user(s, u);
                }
                lag_note_behind(&u->lag, t.now);
                session_need(s, t.now);
        }
        const Node *n = scene_find_id(s->scene, id);
        if (r == 0 && n)
                r = stale_mark(s, u, n, t.now);
        return session_leave(s, r);
}

void session_send_queued(Session *s, SessionTime t, const RoutingId *peer)
{
        User *u = session_find_user(s, peer);
        if (!u)
                return;
        if (!user_is_queued(u))
                u->queued_since = t.now;
        u->queued = true;
        user_set_laden(u, t.now);
}

void session_send_laden(Session *s, SessionTime t, const RoutingId *peer)
{
        User *u = session_find_user(s, peer);
        if (u)
                user_set_laden(u, t.now);
}

void session_delivered(Session *s, SessionTime t, const RoutingId *peer, uint64_t until, bool all)
{
        User *u = session_find_user(s, peer);
        if (!u)
                return;
        session_note_time(s, t);
        if (u->laden && t.now - MIN(u->laden_since, t.now) > ORDER_DELAY)
                pace_note_late(u->pace, t.now, u->laden_since);
        u->laden = !all;
        u->delivered_until = until;
        u->delivered = t.now;
        order_drained(s, u);
        if (u->old_data)
                session_need(s, t.now);
}

int session_outbox_drained(Session *s, SessionTime t, const RoutingId *peer, EffectList *effects)
{
        User *u = session_find_user(s, peer);
        if (!u)
                return 0;
        session_enter(s, t, effects);
        u->refused = u->queued = false;
        u->drained = t.now;
        order_drained(s, u);
        int r = 0;
        if (u->owes_table) {
                u->owes_table = false;
                r = table_send(s, u);
        }
        if (r == 0)
                r = stale_send(s, u);
        return session_leave(s, r);
}

int session_peer_lost(Session *s, SessionTime t, Channel channel, const RoutingId *peer, EffectList *effects)
{
        User *u = session_find_user(s, peer);
        if (!u) {
                if (channel == CHANNEL_COMMAND)
                        login_forget(s, peer);
                return 0;
        }
        if (channel == CHANNEL_COMMAND)
                u->found_loading = false;
        if (channel == CHANNEL_TTL)
                heartbeat_lost(&u->heartbeat);
        session_enter(s, t, effects);
        return session_leave(s, presence_lost(s, u, channel));
}

int session_peer_found(Session *s, SessionTime t, Channel channel, const RoutingId *peer, EffectList *effects)
{
        User *u = session_find_user(s, peer);
        if (u && channel == CHANNEL_COMMAND)
                u->found_loading = s->loading;
        if (u && channel == CHANNEL_TTL)
                heartbeat_found(&u->heartbeat, t.now);
        if (!u || s->loading)
                return 0;
        session_enter(s, t, effects);
        return session_leave(s, presence_found(s, u, channel));
}

int session_disconnect(Session *s, SessionTime t, const RoutingId *peer, const char *reason, EffectList *effects)
{
        User *u = session_find_user(s, peer);
        if (!u)
                return 0;
        session_enter(s, t, effects);
        return session_leave(s, login_kick(s, u, reason));
}

int session_kick(Session *s, SessionTime t, const char *name, const char *reason, EffectList *effects)
{
        User *u = session_find_name(s, name, strlen(name));
        if (!u)
                return 1;
        session_enter(s, t, effects);
        return session_leave(s, login_kick(s, u, reason));
}

void session_sends_wait(Session *s, bool wait)
{
        s->sends_wait = wait;
}

int session_tick(Session *s, SessionTime t, EffectList *effects, uint64_t *ret_next)
{
        session_enter(s, t, effects);
        s->next_tick = UINT64_MAX;
        int r = init_step(s);
        if (r == 0 && !s->loading)
                r = login_tick(s);
        if (r == 0)
                r = presence_tick(s);
        r = session_leave(s, r);
        session_need(s, clock_next_beat(t.now, PING_INTERVAL));
        s->next_tick = MAX(s->next_tick, t.now + USEC_PER_MSEC);
        if (r == 0)
                *ret_next = s->next_tick;
        return r;
}

uint64_t session_next_tick(const Session *s)
{
        return s->next_tick;
}

/* ---- results from the disk ---- */

void session_stored(Session *s, uint64_t id, uint64_t version, const StoreLocation *location, Bytes *mapped)
{
        if (STAGED_ID_IS(id)) {
                init_stored(s->init, STAGED_ID_INDEX(id), version, location, mapped);
                return;
        }
        Node *n = scene_find_id(s->scene, id);
        if (n)
                scene_set_location(s->scene, n, version, location, mapped);
}

bool session_location(const Session *s, const Bytes *uuid, uint64_t *id, uint64_t *version, StoreLocation *ret)
{
        const Node *n;
        if (!STAGED_ID_IS(*id)) {
                n = scene_find_id(s->scene, *id);
        } else {
                if (init_location(s->init, STAGED_ID_INDEX(*id), *version, ret))
                        return true;
                n = scene_find(s->scene, uuid->data, uuid->size);
                if (n) {
                        *id = node_id(n);
                        *version = node_base_version(n);
                }
        }
        return n && node_base_version(n) == *version && node_location(s->scene, n, ret);
}

int session_encoded(Session *s, SessionTime t, uint64_t id, uint64_t version, Bytes *payload,
                    const StoreLocation *location, EffectList *effects)
{
        Node *n = scene_find_id(s->scene, id);
        if (!n)
                return 0;
        session_enter(s, t, effects);
        scene_folded(s->scene, n, version, payload, location);
        int r = join_answer_waiting(s, id, !payload);
        for (size_t i = 0; r == 0 && payload && i < s->n_users; i++)
                if (stale_has(s->users[i], n))
                        r = stale_send(s, s->users[i]);
        return session_leave(s, r);
}

/* ---- for the operator ---- */

static bool is_connected(const User *u)
{
        return !u->away && !u->lost[CHANNEL_COMMAND];
}

void session_get_status(const Session *s, SessionStatus *ret)
{
        *ret = (SessionStatus){
                .running = s->running,
                .initialising = s->init,
                .n_users = s->n_users,
                .n_nodes = scene_n_nodes(s->scene),
                .payload_bytes = scene_payload_bytes(s->scene),
                .n_updates = s->n_updates,
                .n_refused = s->n_refused,
                .n_malformed = s->n_malformed,
                .n_diverged = s->n_diverged,
                .n_logins = s->n_logins,
                .n_failed_logins = s->n_failed_logins,
                .n_joins = s->n_joins,
                .n_held = s->n_held,
                .n_expected = s->n_expected,
                .n_kept = s->n_kept,
        };
        for (size_t i = 0; i < s->n_users; i++)
                ret->n_away += !is_connected(s->users[i]);
}

bool session_has_user(const Session *s, const RoutingId *id)
{
        return session_find_user(s, id) != NULL;
}

const char *session_user_name(const Session *s, const RoutingId *id)
{
        const User *u = session_find_user(s, id);
        return u ? (const char *)u->name->data : NULL;
}

int session_get_user(const Session *s, size_t i, SessionUserInfo *ret)
{
        if (i >= s->n_users)
                return -ENOENT;
        const User *u = s->users[i];
        *ret = (SessionUserInfo){
                .name = (const char *)u->name->data,
                .id = &u->id,
                .address = u->address ?: "",
                .admin = u->admin,
                .connected = is_connected(u),
                .behind = u->stale.n > 0,
                .status = u->status,
                .latency_msec = u->has_latency ? user_latency_msec(u) : 0,
                .since_wall = u->since_wall,
                .n_updates = u->n_updates,
                .n_refused = u->n_refused,
                .n_locked = scene_n_owned(s->scene, u->name->data, u->name->size),
                .held = charge_holds(s, u),
                .held_usec = u->held_usec,
        };
        return 0;
}
