/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/clock.h"
#include "daemon/executor.h"

/* Nodes looked at in one go for payloads that are still to be mapped. */
#define MAP_SLICE 1024u

/* A turn whose sends wait for the disk. */
typedef struct HeldTurn {
        struct HeldTurn *next;
        uint64_t sequence; /* of its last record, or of the one before it */
        size_t bytes;
        EffectList effects;
} HeldTurn;

struct Executor {
        Session *session;
        Store *store;
        Worker *worker;
        Net *net;
        ExecutorFuncs funcs;
        bool always;
        bool running;
        EffectList collected; /* filled by the session */
        EffectList turn;      /* being carried out */
        Bytes *hashed; /* of which the digest is known; NULL: of none */
        uint8_t digest[STORE_DIGEST_SIZE];
        HeldTurn *held, **held_tail;
        size_t held_bytes;
        uint64_t n_undelivered;
        bool maps_late;     /* a turn did not wait for a disk that is slow: its payloads are mapped when it has caught up */
        uint32_t next_slot; /* of the scene, to be looked at for that */
};

typedef struct EncodeJob {
        WorkerJob job;
        Executor *executor;
        uint64_t node_id, version;
        SceneFold *fold;
        Bytes *payload;
} EncodeJob;

static SessionTime time_now(void)
{
        return (SessionTime){ .now = clock_monotonic_usec(), .wall = clock_realtime_usec() };
}

Executor *executor_new(Session *session, Store *store, Worker *worker, const ExecutorFuncs *funcs)
{
        Executor *e = calloc(1, sizeof *e);
        if (!e)
                return NULL;
        e->session = session;
        e->store = store;
        e->worker = worker;
        e->funcs = *funcs;
        e->held_tail = &e->held;
        return e;
}

static HeldTurn *held_turn_free(HeldTurn *h)
{
        effect_list_done(&h->effects);
        free(h);
        return NULL;
}

Executor *executor_free(Executor *e)
{
        if (!e)
                return NULL;
        while (e->held) {
                HeldTurn *h = e->held;
                e->held = h->next;
                held_turn_free(h);
        }
        effect_list_done(&e->collected);
        effect_list_done(&e->turn);
        bytes_unref(e->hashed);
        free(e);
        return NULL;
}

void executor_set_net(Executor *e, Net *net)
{
        e->net = net;
}

void executor_set_always(Executor *e, bool always)
{
        e->always = always;
}

EffectList *executor_effects(Executor *e)
{
        return &e->collected;
}

uint64_t executor_n_undelivered(const Executor *e)
{
        return e->n_undelivered;
}

void executor_set_digest(Executor *e, Bytes *payload, const uint8_t digest[static STORE_DIGEST_SIZE])
{
        bytes_unref(e->hashed);
        e->hashed = bytes_ref(payload);
        memcpy(e->digest, digest, sizeof e->digest);
}

bool executor_is_holding(const Executor *e)
{
        return e->held;
}

size_t executor_held_bytes(const Executor *e)
{
        return e->held_bytes;
}

/* ---- the journal ---- */

/* Who is connected decides whom a new process greets first, so these come early when a store is loaded. */
static bool record_is_state(RecordKind kind)
{
        return kind == RECORD_USER || kind == RECORD_LEFT || kind == RECORD_STATE;
}

static void set_field(const void **data, size_t *size, const Bytes *b)
{
        if (b) {
                *data = b->data;
                *size = b->size;
        }
}

static int append_record(Executor *e, Effect *effect)
{
        const SessionRecord *r = &effect->journal.record;
        StoreRecord record = {
                .kind = (uint16_t)r->kind,
                .flags = (uint16_t)((r->refused ? STORE_RECORD_REFUSED : 0) |
                                    (record_is_state(r->kind) ? STORE_RECORD_STATE : 0)),
                .blob = r->blob,
                .digest = r->blob && r->blob == e->hashed ? e->digest : NULL,
        };
        set_field(&record.author, &record.author_size, r->author);
        set_field(&record.key, &record.key_size, r->key);
        set_field(&record.meta, &record.meta_size, r->meta);

        uint64_t sequence;
        StoreLocation location;
        int k = store_append(e->store, &record, &sequence, &location);
        if (k < 0)
                return k;
        if (effect->journal.node_id != 0 && k != STORE_LOST)
                session_stored(e->session, effect->journal.node_id, effect->journal.version, &location, NULL);
        return 0;
}

static int journal_turn(Executor *e, bool *ret_any)
{
        bool any = false;
        for (size_t i = 0; i < e->turn.n_items; i++) {
                if (e->turn.items[i].kind != EFFECT_JOURNAL)
                        continue;
                int k = append_record(e, &e->turn.items[i]);
                if (k < 0)
                        return k;
                any = true;
        }
        /* A disk that refuses does not stop the session: the store keeps the records and says so by
         * store_degraded(), and users go on. */
        if (any)
                (void)store_commit(e->store);
        *ret_any = any;
        return 0;
}

/* Hold payloads as mapped from the log instead of on the heap, now that they are there. */
static void map_stored(Executor *e, const EffectList *turn)
{
        for (size_t i = 0; i < turn->n_items; i++) {
                const Effect *effect = &turn->items[i];
                if (effect->kind != EFFECT_JOURNAL || effect->journal.node_id == 0)
                        continue;
                uint64_t id = effect->journal.node_id, version = effect->journal.version;
                StoreLocation location;
                size_t offset;
                _cleanup_bytes_ Bytes *mapped = NULL;
                if (!session_location(e->session, effect->journal.record.key, &id, &version, &location) ||
                    store_blob_get(e->store, &location, &mapped) < 0)
                        continue;
                session_stored(e->session, id, version, &location, mapped);
                if (!bytes_parent(mapped, &offset)) {
                        e->maps_late = true;
                        e->next_slot = 0;
                }
        }
}

void executor_map_node(Executor *e, Node *n)
{
        Scene *scene = session_scene(e->session);
        StoreLocation location;
        _cleanup_bytes_ Bytes *mapped = NULL;
        if (node_location(scene, n, &location) && store_location_refresh(e->store, &location) >= 0 &&
            store_blob_get(e->store, &location, &mapped) >= 0)
                scene_set_location(scene, n, node_base_version(n), &location, mapped);
}

/* The nodes of an init are not in the scene before its end. */
static bool is_filling(const Executor *e)
{
        SessionStatus status;
        session_get_status(e->session, &status);
        return status.initialising;
}

static void map_late(Executor *e)
{
        if (!e->maps_late || !store_has_everything(e->store) || is_filling(e))
                return;
        const Scene *scene = session_scene(e->session);
        for (unsigned i = 0; i < MAP_SLICE && e->next_slot < scene_n_slots(scene); i++) {
                Node *n = scene_at_slot(scene, e->next_slot++);
                if (n && !node_is_mapped(n))
                        executor_map_node(e, n);
        }
        e->maps_late = e->next_slot < scene_n_slots(scene);
}

/* ---- everything else ---- */

static int send_effect(Executor *e, Effect *effect)
{
        if (!effect->send.frames) /* has overtaken the turn it came in */
                return 0;
        int k = net_send(e->net, &effect->send.to, effect->send.channel, effect->send.class, effect->send.frames);
        if (k == NET_FULL)
                return session_send_refused(e->session, time_now(), &effect->send.to, effect->send.class,
                                            effect->send.node_id, &e->collected);
        if (k == NET_NO_PEER && effect->send.class == SEND_BULK && session_has_user(e->session, &effect->send.to))
                e->n_undelivered++;
        if (k == NET_QUEUED)
                session_send_queued(e->session, time_now(), &effect->send.to);
        if (k == NET_LADEN)
                session_send_laden(e->session, time_now(), &effect->send.to);
        return MIN(k, 0);
}

static int encode_run(WorkerJob *job)
{
        EncodeJob *j = CONTAINER_OF(job, EncodeJob, job);
        return scene_fold_run(j->fold, &j->payload);
}

static void encode_done(WorkerJob *job, int result)
{
        EncodeJob *j = CONTAINER_OF(job, EncodeJob, job);
        Executor *e = j->executor;
        if (result != -ECANCELED) {
                (void)session_encoded(e->session, time_now(), j->node_id, j->version,
                                      result < 0 ? NULL : j->payload, NULL, &e->collected);
                (void)executor_run(e);
        }
        bytes_unref(j->payload);
        scene_fold_free(j->fold);
        free(j);
}

static int encode_effect(Executor *e, Effect *effect)
{
        EncodeJob *j = calloc(1, sizeof *j);
        if (!j)
                return -ENOMEM;
        j->job = (WorkerJob){ .run = encode_run, .done = encode_done };
        j->executor = e;
        j->node_id = effect->encode.node_id;
        j->version = effect->encode.version;
        j->fold = TAKE_PTR(effect->encode.fold);
        worker_submit(e->worker, &j->job, WORKER_NORMAL);
        return 0;
}

static int carry_out(Executor *e, Effect *effect)
{
        int k;
        switch (effect->kind) {
        case EFFECT_SEND:
                return send_effect(e, effect);
        case EFFECT_OPEN:
                k = net_open_peer(e->net, &effect->open.peer);
                if (k >= 0)
                        e->funcs.opened(e->funcs.userdata, &effect->open.peer);
                return k;
        case EFFECT_CLOSE:
                net_close_peer(e->net, &effect->close.peer);
                e->funcs.closed(e->funcs.userdata, &effect->close.peer);
                return 0;
        case EFFECT_SAVE:
                e->funcs.save(e->funcs.userdata, effect->save.reason);
                return 0;
        case EFFECT_ENCODE:
                return encode_effect(e, effect);
        case EFFECT_LOG:
                e->funcs.log(e->funcs.userdata, effect);
                return 0;
        case EFFECT_PENALTY:
                if (net_penalise(e->net, effect->penalty.address, effect->penalty.weight) > 0)
                        e->funcs.banned(e->funcs.userdata, effect->penalty.address);
                return 0;
        case EFFECT_HOLD:
                net_hold(e->net, &effect->hold.peer, effect->hold.channel, effect->hold.until);
                return 0;
        case EFFECT_GATHER:
                net_gather(e->net, &effect->gather.peer, effect->gather.channel, effect->gather.bytes);
                return 0;
        case EFFECT_JOURNAL:
                return 0; /* done before */
        }
        return 0;
}

static int carry_out_all(Executor *e, EffectList *list)
{
        for (size_t i = 0; i < list->n_items; i++) {
                int k = carry_out(e, &list->items[i]);
                if (k < 0)
                        return k;
        }
        effect_list_clear(list);
        return 0;
}

/* Heartbeats and answers to strangers say nothing about what the disk holds, so they never wait for it. */
static bool may_overtake(const Effect *effect)
{
        return effect->kind == EFFECT_SEND &&
               (effect->send.class == SEND_PING || effect->send.class == SEND_ANSWER);
}

static int hold_turn(Executor *e)
{
        HeldTurn *h = calloc(1, sizeof *h);
        if (!h)
                return -ENOMEM;
        h->sequence = store_sequence(e->store);
        for (size_t i = 0; i < e->turn.n_items; i++) {
                Effect *effect = &e->turn.items[i];
                if (may_overtake(effect)) {
                        int k = send_effect(e, effect);
                        if (k < 0)
                                return free(h), k;
                        effect->send.frames = frames_unref(effect->send.frames);
                } else if (effect->kind == EFFECT_SEND)
                        h->bytes += effect->send.frames->size;
        }
        h->effects = e->turn;
        e->turn = (EffectList){ 0 };
        e->held_bytes += h->bytes;
        *e->held_tail = h;
        e->held_tail = &h->next;
        return 0;
}

/* Up to this record everything may be shown. */
static uint64_t released_sequence(const Executor *e)
{
        return e->always ? store_durable_sequence(e->store) : store_written_sequence(e->store);
}

static bool must_hold(const Executor *e)
{
        return e->held || released_sequence(e) < store_sequence(e->store);
}

static int run_turn(Executor *e)
{
        EffectList empty = e->turn;
        e->turn = e->collected;
        e->collected = empty;

        bool journalled;
        int k = journal_turn(e, &journalled);
        if (k < 0)
                return k;
        if (must_hold(e))
                return hold_turn(e);
        if (journalled)
                map_stored(e, &e->turn);
        return carry_out_all(e, &e->turn);
}

static int release_held(Executor *e)
{
        while (e->held && e->held->sequence <= released_sequence(e)) {
                HeldTurn *h = e->held;
                map_stored(e, &h->effects);
                int k = carry_out_all(e, &h->effects);
                if (k < 0)
                        return k;
                e->held = h->next;
                if (!e->held)
                        e->held_tail = &e->held;
                e->held_bytes -= h->bytes;
                held_turn_free(h);
        }
        return 0;
}

int executor_run(Executor *e)
{
        /* What carrying out brings, be it the session's answer to a refused send or news from the disk, is done in the
         * loop of whoever is at it. */
        if (e->running)
                return 0;
        e->running = true;
        int k = release_held(e);
        while (k >= 0 && e->collected.n_items > 0) {
                k = run_turn(e);
                if (k >= 0)
                        k = release_held(e);
        }
        /* A disk that refuses may do so right here. What is held stays held until it is durable, that is what "always" means;
         * whoever runs this next tries again, which happens every second at least, and the store does when it is time. */
        if (k >= 0 && e->held && e->always)
                store_sync_begin(e->store);
        map_late(e);
        e->running = false;
        e->hashed = bytes_unref(e->hashed);
        return k;
}
