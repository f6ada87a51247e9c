/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A course of events for a session, byte by byte: see enum Step. Whatever peers send and networks do, nobody gets a
 * Commit for a node that it has not been given or is told of a user whom its table does not list, nobody who is not
 * logged in changes anything, no catalog is empty, no more is held than configured, and what is saved can be loaded again.
 */

#include <errno.h>

#include "base/u64-map.h"
#include "pickle/reader.h"
#include "scene/snapshot.h"
#include "session/session.h"

#define PEERS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum Step {
        STEP_MESSAGE, /* peer | channel << 4, number of frames, then per frame two bytes of size and its bytes */
        STEP_TIME,    /* in tenths of a second */
        STEP_LOST,    /* peer | channel << 4; so the next two */
        STEP_FOUND,
        STEP_REFUSE,  /* the next data for the peer is refused, until: */
        STEP_DRAIN,
        STEP_RESTART,
        STEP_NODE,    /* peer, one byte of uuid, one of owner: a well-formed Node */
        _STEP_MAX,
};

typedef struct Course {
        Session *session;
        SessionTime now;
        bool refuses[PEERS];
        U64Map has[PEERS]; /* the nodes that a peer has been given since it logged in, by uuid */
        U64Map knows[PEERS]; /* the users in the last table that it has been sent, by name */
        const uint8_t *data;
        size_t size;
} Course;

static const char *const versions[] = { "0.9.10", NULL };

static Session *new_session(void)
{
        SessionConfig config = {
                .admin_password = "a", .accepted_versions = versions, .timeout_usec = 3000000,
                .reconnect_grace_usec = 2000000, .max_users = 3, .max_user_name = 20, .max_metadata = 1000,
                .max_nodes = 20, .max_init_bytes = 10000, .max_node_bytes = 5000, .graph_cache_bytes = 5000,
                .join_ahead_bytes = 200,
                .pickle_limits = pickle_limits_default,
        };
        config.pickle_limits.max_values = 10000;
        Session *s;
        int r = session_new(&s, &config);
        assert(r == 0);
        return r == 0 ? s : NULL;
}

static uint8_t take(Course *c)
{
        if (c->size == 0)
                return 0;
        c->size--;
        return *c->data++;
}

static Bytes *take_bytes(Course *c, size_t n)
{
        n = MIN(n, c->size);
        Bytes *b = bytes_new_copy(c->data, n);
        c->data += n;
        c->size -= n;
        return b;
}

static RoutingId id_of(unsigned peer)
{
        return (RoutingId){ .size = 5, .bytes = { 0, (uint8_t)peer, 1, 2, 3 } };
}

/* Only for telling nodes apart. */
static uint64_t key_of(const uint8_t *uuid, size_t size)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < size; i++)
                hash = (hash ^ uuid[i]) * UINT64_C(0x100000001b3);
        return hash ?: 1;
}

static void check_snapshot(Course *c, unsigned peer, const Frames *f)
{
        _cleanup_value_ Value *data = NULL;
        int r = pickle_read(f->frame[2], PICKLE_PROFILE_DATA, &pickle_limits_default, &data, NULL);
        assert(r == 0);
        (void)r;
        const Value *catalog = value_dict_get_string(data, "CATALOG"), *node = value_dict_get_string(data, "DATA");
        if (catalog) {
                assert(value_list_length(catalog) > 0);
                /* A client that does not ask for some of it has itself to blame. */
                for (uint32_t i = 0; i < value_list_length(catalog); i++) {
                        const Value *uuid = value_list_get(catalog, i);
                        u64_map_set(&c->has[peer], key_of(value_data(uuid), value_size(uuid)), 1);
                }
        } else {
                assert(node);
        }
}

/* A client fails on what it is told of a user whom its table does not list. */
static void check_table(Course *c, unsigned peer, const Frames *f)
{
        _cleanup_value_ Value *users = NULL;
        int r = pickle_read(f->frame[2], PICKLE_PROFILE_DATA, &pickle_limits_default, &users, NULL);
        assert(r == 0 && value_is_dict(users));
        (void)r;
        u64_map_done(&c->knows[peer]);
        for (uint32_t slot = value_table_first(users); slot != VALUE_SLOT_END; slot = value_table_next(users, slot)) {
                const Value *name = value_table_key(users, slot);
                u64_map_set(&c->knows[peer], key_of(value_data(name), value_size(name)), 1);
        }
}

static bool is_user(const Course *c, const RoutingId *id)
{
        SessionUserInfo info;
        for (size_t i = 0; session_get_user(c->session, i, &info) == 0; i++)
                if (routing_id_equal(info.id, id))
                        return true;
        return false;
}

/* Somebody who is not logged in gets an answer at most. */
static void check_stranger(const EffectList *effects, const RoutingId *id)
{
        for (size_t i = 0; i < effects->n_items; i++) {
                const Effect *e = &effects->items[i];
                bool harmless = e->kind == EFFECT_LOG || e->kind == EFFECT_PENALTY || e->kind == EFFECT_SEND;
                assert(harmless);
                assert(e->kind != EFFECT_SEND || !routing_id_equal(&e->send.to, id) || e->send.class == SEND_ANSWER);
                (void)harmless;
        }
}

static void check_send(Course *c, const Effect *e)
{
        unsigned peer = e->send.to.bytes[1];
        const Frames *f = e->send.frames;
        assert(peer < PEERS);
        if (e->send.channel == CHANNEL_DATA) {
                bool is_commit = f->n_frames == 4;
                uint64_t key = key_of(f->frame[1]->data, f->frame[1]->size);
                assert(e->send.class == SEND_BULK && (is_commit || f->n_frames == 5));
                assert(!is_commit || u64_map_find(&c->has[peer], key));
                if (!c->refuses[peer])
                        u64_map_set(&c->has[peer], key, 1);
        } else if (e->send.channel == CHANNEL_COMMAND && f->frame[0]->data[3] == 7) {
                check_snapshot(c, peer, f);
        } else if (e->send.channel == CHANNEL_COMMAND && f->frame[0]->data[3] == 12) {
                check_table(c, peer, f);
        } else if (e->send.channel == CHANNEL_COMMAND && f->frame[0]->data[3] == 13) {
                assert(u64_map_find(&c->knows[peer], key_of(f->frame[1]->data, f->frame[1]->size)));
        } else if (e->send.channel == CHANNEL_COMMAND && f->frame[0]->data[3] == 9) {
                u64_map_done(&c->has[peer]);
        } else if (e->send.channel == CHANNEL_COMMAND && f->frame[0]->data[3] == 8) {
                /* The outcome of its init: it has all there is, if there is anything. */
                const Scene *scene = session_scene(c->session);
                for (const Node *n = scene_first(scene); n; n = scene_next(scene, n))
                        u64_map_set(&c->has[peer], key_of((const uint8_t *)node_uuid(n).text, node_uuid_size(n)), 1);
        }
}

static void run(Course *c, EffectList *effects)
{
        EffectList more = {};
        int r = 0;
        for (size_t i = 0; i < effects->n_items; i++) {
                const Effect *e = &effects->items[i];
                if (e->kind == EFFECT_SEND)
                        check_send(c, e);
                if (e->kind == EFFECT_SEND && e->send.class == SEND_BULK && c->refuses[e->send.to.bytes[1]])
                        r |= session_send_refused(c->session, c->now, &e->send.to, SEND_BULK, e->send.node_id, &more);
                if (e->kind == EFFECT_ENCODE) {
                        _cleanup_bytes_ Bytes *payload = NULL;
                        int k = scene_fold_run(e->encode.fold, &payload);
                        assert(k == 0 || k == -E2BIG);
                        r |= session_encoded(c->session, c->now, e->encode.node_id, e->encode.version,
                                             k == 0 ? payload : NULL, NULL, &more);
                }
        }
        assert(r == 0);
        effect_list_clear(effects);
        if (more.n_items > 0)
                run(c, &more);
        effect_list_done(&more);
        SessionStatus status;
        session_get_status(c->session, &status);
        assert(status.n_users <= 3 && status.n_nodes <= 20);
}

static void receive(Course *c, unsigned peer, Channel channel, Bytes *const *frames, size_t n)
{
        EffectList effects = {};
        RoutingId id = id_of(peer);
        /* The sender of a Node has it. */
        if (channel == CHANNEL_DATA && n == 5)
                u64_map_set(&c->has[peer], key_of(frames[1]->data, frames[1]->size), 1);
        bool stranger = !is_user(c, &id);
        int r = session_receive(c->session, c->now, channel, &id, "192.0.2.1", frames, n, &effects);
        assert(r == 0);
        (void)r;
        if (stranger && !is_user(c, &id))
                check_stranger(&effects, &id);
        run(c, &effects);
        effect_list_done(&effects);
        for (size_t i = 0; i < n; i++)
                bytes_unref(frames[i]);
}

static void step_message(Course *c)
{
        uint8_t to = take(c);
        size_t n = take(c) % (FRAMES_MAX + 1);
        Bytes *frames[FRAMES_MAX];
        for (size_t i = 0; i < n; i++) {
                size_t size = take(c);
                size |= (size_t)take(c) << 8;
                frames[i] = take_bytes(c, size);
        }
        receive(c, to % PEERS, (to >> 4) % _CHANNEL_MAX, frames, n);
}

static void step_node(Course *c)
{
        unsigned peer = take(c) % PEERS;
        char uuid = (char)('a' + take(c) % 26), owner = (char)('a' + take(c) % 4);
        Bytes *frames[] = { bytes_new_copy("\x80\x04K\x02.", 5), bytes_new_copy(&uuid, 1),
                            owner == 'a' ? bytes_new_copy("COMMON", 6) : bytes_new_copy(&owner, 1),
                            bytes_new_copy("\x80\x04].", 4), bytes_new_copy("\x80\x04}.", 4) };
        receive(c, peer, CHANNEL_DATA, frames, 5);
}

static int load_node(void *userdata, SceneImage *image)
{
        _cleanup_bytes_ Bytes *uuid = bytes_new_copy(image->uuid, image->uuid_size), *payload = bytes_ref(image->payload);
        if (image->fold) {
                payload = bytes_unref(payload);
                if (scene_fold_run(image->fold, &payload) != 0)
                        return 0;
        }
        return session_load_node(userdata, uuid, image->owner, image->dependencies, payload, NULL, image->changed);
}

static void step_restart(Course *c)
{
        _cleanup_bytes_ Bytes *state = NULL;
        _cleanup_session_save_ SessionSave *save = NULL;
        int r = session_save_begin(c->session, c->now, &save);
        assert(r == 0 || r == -EBUSY);
        if (r < 0)
                return;
        while ((r = session_save_step(save, 5)) == 1)
                ;
        assert(r == 0);
        r = session_save_finish(save, &state);
        assert(r == 0);
        Session *fresh = new_session();
        r = session_load_state(fresh, state);
        assert(r == 0);
        SceneSnapshotFuncs funcs = { load_node, NULL };
        SceneSnapshot *sn;
        r = scene_snapshot_begin(session_scene(c->session), true, &funcs, fresh, &sn);
        assert(r == 0);
        r = scene_snapshot_step(sn, SIZE_MAX);
        assert(r == 0);
        scene_snapshot_free(sn);
        session_free(c->session);
        c->session = fresh;
        EffectList effects = {};
        r = session_load_done(fresh, c->now, &effects);
        assert(r == 0);
        run(c, &effects);
        effect_list_done(&effects);
}

static void step_connection(Course *c, enum Step step)
{
        uint8_t to = take(c);
        RoutingId id = id_of(to % PEERS);
        Channel channel = (to >> 4) % _CHANNEL_MAX;
        EffectList effects = {};
        int r = 0;
        if (step == STEP_LOST)
                r = session_peer_lost(c->session, c->now, channel, &id, &effects);
        else if (step == STEP_FOUND)
                r = session_peer_found(c->session, c->now, channel, &id, &effects);
        else if (step == STEP_DRAIN) {
                r = session_outbox_drained(c->session, c->now, &id, &effects);
                session_delivered(c->session, c->now, &id, c->now.now, true);
        }
        if (step == STEP_REFUSE || step == STEP_DRAIN)
                c->refuses[to % PEERS] = step == STEP_REFUSE;
        assert(r == 0);
        (void)r;
        run(c, &effects);
        effect_list_done(&effects);
}

static void step_time(Course *c)
{
        uint64_t end = c->now.now + take(c) * UINT64_C(100000) + 1;
        while (c->now.now < end) {
                uint64_t soonest = c->now.now + 20000;
                uint64_t wanted = MAX(session_next_tick(c->session), soonest), next = MIN(end, wanted);
                c->now.wall += next - c->now.now;
                c->now.now = next;
                EffectList effects = {};
                int r = session_tick(c->session, c->now, &effects, &next);
                assert(r == 0);
                (void)r;
                run(c, &effects);
                effect_list_done(&effects);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Course c = {
                .session = new_session(), .now = { 1000000000, UINT64_C(1795399000000000) }, .data = data, .size = size,
        };
        while (c.size > 0) {
                enum Step step = take(&c) % _STEP_MAX;
                switch (step) {
                case STEP_MESSAGE:
                        step_message(&c);
                        break;
                case STEP_NODE:
                        step_node(&c);
                        break;
                case STEP_TIME:
                        step_time(&c);
                        break;
                case STEP_RESTART:
                        step_restart(&c);
                        break;
                default:
                        step_connection(&c, step);
                }
        }
        for (size_t i = 0; i < PEERS; i++) {
                u64_map_done(&c.has[i]);
                u64_map_done(&c.knows[i]);
        }
        session_free(c.session);
        return 0;
}
