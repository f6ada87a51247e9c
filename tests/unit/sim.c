/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "pickle/writer.h"
#include "scene/snapshot.h"
#include "sim-private.h"
#include "test.h"

#define STEP (1 * SIM_MSEC)

uint64_t sim_random(Sim *sim, uint64_t below)
{
        sim->random ^= sim->random << 13;
        sim->random ^= sim->random >> 7;
        sim->random ^= sim->random << 17;
        return below ? (sim->random >> 11) % below : 0;
}

SessionTime sim_time(const Sim *sim)
{
        return (SessionTime){ .now = sim->now, .wall = sim->now + sim->wall_offset };
}

/* ---- queues ---- */

void sim_queue_push(SimQueue *q, uint64_t arrives, Frames *frames)
{
        if (q->n == q->n_allocated) {
                q->n_allocated = q->n_allocated * 2 + 16;
                q->packets = reallocarray(q->packets, q->n_allocated, sizeof *q->packets);
        }
        if (q->n > 0)
                arrives = MAX(arrives, q->packets[q->n - 1].arrives);
        q->packets[q->n++] = (struct SimPacket){ .arrives = arrives, .frames = frames };
}

Frames *sim_queue_pop(SimQueue *q)
{
        Frames *f = q->packets[0].frames;
        memmove(q->packets, q->packets + 1, --q->n * sizeof *q->packets);
        return f;
}

static void queue_cut(SimQueue *q, size_t n)
{
        while (q->n > n)
                frames_unref(q->packets[--q->n].frames);
}

void sim_queue_clear(SimQueue *q)
{
        queue_cut(q, 0);
        free(q->packets);
        *q = (SimQueue){};
}

uint64_t sim_arrival(Sim *sim)
{
        uint64_t delay = 1 + sim_random(sim, sim->delay_max);
        return sim->now + MAX(delay, sim->delay_min);
}

/* ---- values ---- */

Value *sim_put(Value *dict, const char *key, Value *value)
{
        assert_int_equal(value_dict_set_string(dict, key, value), 0);
        value_unref(value);
        return dict;
}

static Bytes *dump(const Value *v)
{
        Bytes *b = NULL;
        assert_int_equal(pickle_write(v, SIZE_MAX, &b), 0);
        return b;
}

static Bytes *text(const char *s)
{
        return bytes_new_copy(s, strlen(s));
}

static Bytes *type_frame(int type)
{
        const char pickle[] = { '\x80', 4, 'K', (char)type, '.' };
        return bytes_new_copy(pickle, sizeof pickle);
}

Frames *sim_node_frames(const SimNode *n)
{
        Bytes *parts[] = { type_frame(2), bytes_ref(n->uuid), bytes_ref(n->owner), dump(n->dependencies), dump(n->data) };
        return frames_new(parts, 5);
}

/* ---- effects ---- */

static SimClient *client_by_id(Sim *sim, const RoutingId *id)
{
        for (size_t i = 0; i < sim->n_clients; i++)
                if (routing_id_equal(&sim->clients[i].id, id))
                        return &sim->clients[i];
        return NULL;
}

static void note_record(Sim *sim, SessionRecord *record)
{
        sim->n_journalled++;
        sim->n_refused_records += record->refused;
        if (sim->n_records == sim->n_records_allocated) {
                sim->n_records_allocated = sim->n_records_allocated * 2 + 64;
                sim->records = reallocarray(sim->records, sim->n_records_allocated, sizeof *sim->records);
        }
        sim->records[sim->n_records++] = (SimRecord){ .record = *record, .wall = sim_time(sim).wall };
        *record = (SessionRecord){};
}

static void note_table(Sim *sim, Frames *frames)
{
        sim->n_tables++;
        if (frames == sim->last_table)
                return;
        sim->n_tables_built++;
        frames_unref(sim->last_table);
        sim->last_table = frames_ref(frames);
}

static bool is_linked(const SimClient *c, Channel channel)
{
        return c->connected && c->state != SIM_OUT && c->links_at[channel] <= c->sim->now;
}

static void tell_found(SimClient *c, Channel channel, EffectList *effects)
{
        c->told[channel] = true;
        c->pending[channel] = false;
        assert_int_equal(session_peer_found(c->sim->session, sim_time(c->sim), channel, &c->id, effects), 0);
}

/* As the network side does: whoever opens a peer again is told again what stands. */
static void open_effect(SimClient *c, EffectList *more)
{
        c->sim->n_opens++;
        for (int ch = 0; ch < CHANNEL_TTL; ch++)
                if (c->has_outbox && c->told[ch] && !(ch == CHANNEL_COMMAND && c->sim->found_early))
                        tell_found(c, ch, more);
        c->has_outbox = true;
}

static void send_effect(Sim *sim, Effect *e, EffectList *more)
{
        SimClient *c = client_by_id(sim, &e->send.to);
        if (!c || (!c->has_outbox && e->send.class != SEND_ANSWER))
                return;
        SimQueue *q = &c->down[e->send.channel];
        if (e->send.class == SEND_ANSWER && !c->connected)
                return;
        if (e->send.channel == CHANNEL_COMMAND && bytes_equal_string(e->send.frames->frame[0], "\x80\x04K\x0a."))
                c->dismissed = true;
        if (e->send.class == SEND_TABLE)
                note_table(sim, e->send.frames);
        if (e->send.class == SEND_BULK) {
                if (c->backlog_limit && q->n >= c->backlog_limit)
                        c->refusing = c->owed = true;
                if (c->refusing) {
                        session_send_refused(sim->session, sim_time(sim), &c->id, SEND_BULK, e->send.node_id, more);
                        return;
                }
                if (c->backlog_limit && q->n > 0) {
                        session_send_queued(sim->session, sim_time(sim), &c->id);
                        c->owed = true;
                }
        }
        Channel channel = e->send.channel;
        if (e->send.class == SEND_PING && !c->told[channel] && !is_linked(c, channel) && q->n > 0) {
                session_send_refused(sim->session, sim_time(sim), &c->id, SEND_PING, 0, more);
                return;
        }
        if (!c->told[channel] && is_linked(c, channel)) {
                tell_found(c, channel, more);
        } else if (!c->told[channel] && c->has_outbox) {
                c->pending[channel] = true;
                if (e->send.class == SEND_BULK) {
                        session_send_queued(sim->session, sim_time(sim), &c->id);
                        c->owed = true;
                }
        }
        sim_queue_push(q, MAX(c->links_at[channel] + 1, sim_arrival(sim)), frames_ref(e->send.frames));
        if (e->send.class == SEND_BULK)
                sim_note_laden(c);
}

static void encode_effect(Sim *sim, Effect *e)
{
        sim->jobs = reallocarray(sim->jobs, sim->n_jobs + 1, sizeof *sim->jobs);
        sim->jobs[sim->n_jobs++] = (struct SimJob){
                .node_id = e->encode.node_id,
                .version = e->encode.version,
                .due = sim->now + sim_random(sim, 50 * SIM_MSEC),
                .fold = TAKE_PTR(e->encode.fold),
        };
}

void sim_execute(Sim *sim, EffectList *effects)
{
        EffectList more = {};
        for (size_t i = 0; i < effects->n_items; i++) {
                Effect *e = &effects->items[i];
                SimClient *c;
                switch (e->kind) {
                case EFFECT_JOURNAL: {
                        /* The place is of no matter here, only that it is told. */
                        StoreLocation location = { .segment = 1, .size = e->journal.record.blob ?
                                                                                 e->journal.record.blob->size : 0 };
                        if (e->journal.node_id != 0)
                                session_stored(sim->session, e->journal.node_id, e->journal.version, &location,
                                               e->journal.record.blob);
                        note_record(sim, &e->journal.record);
                        break;
                }
                case EFFECT_SEND:
                        send_effect(sim, e, &more);
                        break;
                case EFFECT_OPEN:
                        if ((c = client_by_id(sim, &e->open.peer)))
                                open_effect(c, &more);
                        break;
                case EFFECT_CLOSE:
                        sim->n_closes++;
                        if ((c = client_by_id(sim, &e->close.peer)))
                                c->has_outbox = false;
                        break;
                case EFFECT_SAVE:
                        sim->n_saves++;
                        snprintf(sim->last_save, sizeof sim->last_save, "%s", e->save.reason);
                        break;
                case EFFECT_ENCODE:
                        encode_effect(sim, e);
                        break;
                case EFFECT_LOG:
                        sim_check_log(e);
                        sim->n_logs[e->log.event]++;
                        snprintf(sim->last_log, sizeof sim->last_log, "%s", e->log.text);
                        if (e->log.event == SESSION_EVENT_HELD)
                                snprintf(sim->last_held, sizeof sim->last_held, "%s", e->log.text);
                        if (getenv("SIM_TRACE"))
                                fprintf(stderr, "%8.3f %s\n", (double)sim->now / 1e6, e->log.text);
                        break;
                case EFFECT_PENALTY:
                        sim->n_penalties += e->penalty.weight;
                        break;
                case EFFECT_HOLD:
                        if ((c = client_by_id(sim, &e->hold.peer)))
                                c->held_until[e->hold.channel] = e->hold.until;
                        break;
                case EFFECT_GATHER:
                        if ((c = client_by_id(sim, &e->gather.peer)))
                                c->gathered[e->gather.channel] = e->gather.bytes;
                        break;
                }
        }
        effect_list_clear(effects);
        if (more.n_items > 0)
                sim_execute(sim, &more);
        effect_list_done(&more);
}

/* ---- one step ---- */

static size_t count_checks_of(const Sim *sim, const RoutingId *id)
{
        size_t n = 0;
        for (size_t i = 0; i < sim->n_checks; i++)
                n += routing_id_equal(&sim->checks[i].from, id);
        return n;
}

/* Whether it is one of those that are checked for a while before the session gets them. */
static bool check_begin(Sim *sim, SimClient *c, Channel channel, const Frames *f, EffectList *effects)
{
        if (sim->check_max == 0 || channel == CHANNEL_TTL ||
            (count_checks_of(sim, &c->id) == 0 && sim_random(sim, 4) > 0))
                return false;
        SessionIntake *intake;
        int r = session_intake_new(sim->session, sim_time(sim), channel, &c->id, c->address, f->frame, f->n_frames, effects,
                                   &intake);
        assert_in_range(r, 0, 1);
        if (r == 1)
                return false;
        sim->checks = reallocarray(sim->checks, sim->n_checks + 1, sizeof *sim->checks);
        uint64_t least = sim->n_checks > 0 ? sim->checks[sim->n_checks - 1].due : 0;
        sim->checks[sim->n_checks++] = (struct SimCheck){
                .from = c->id,
                .due = MAX(least, sim->now + sim_random(sim, sim->check_max)),
                .intake = intake,
        };
        return true;
}

static void checks_end(Sim *sim, uint64_t until)
{
        while (sim->n_checks > 0 && sim->checks[0].due <= until) {
                EffectList effects = {};
                SessionIntake *intake = sim->checks[0].intake;
                memmove(sim->checks, sim->checks + 1, --sim->n_checks * sizeof *sim->checks);
                session_intake_run(intake);
                assert_int_equal(session_receive_intake(sim->session, sim_time(sim), intake, &effects), 0);
                session_intake_free(intake);
                sim_execute(sim, &effects);
                effect_list_done(&effects);
        }
}

static void server_receive(Sim *sim, SimClient *c, Channel channel)
{
        c->told[channel] = true;
        Frames *f = sim_queue_pop(&c->up[channel]);
        EffectList effects = {};
        session_set_overtaking(sim->session, channel == CHANNEL_COMMAND && c->up[CHANNEL_DATA].n > 0 &&
                                                     c->links_at[CHANNEL_DATA] <= sim->now);
        if (!check_begin(sim, c, channel, f, &effects))
                assert_int_equal(session_receive(sim->session, sim_time(sim), channel, &c->id, c->address, f->frame,
                                                 f->n_frames, &effects), 0);
        frames_unref(f);
        sim_execute(sim, &effects);
        effect_list_done(&effects);
}

static void client_drained(Sim *sim, SimClient *c)
{
        EffectList effects = {};
        c->refusing = c->owed = false;
        assert_int_equal(session_outbox_drained(sim->session, sim_time(sim), &c->id, &effects), 0);
        sim_execute(sim, &effects);
        effect_list_done(&effects);
}

/* What waited for the connection leaves. */
static void links_step(Sim *sim)
{
        for (size_t i = 0; i < sim->n_clients; i++) {
                SimClient *c = &sim->clients[i];
                for (int ch = 0; ch < CHANNEL_TTL; ch++) {
                        if (!c->pending[ch] || !c->has_outbox || !is_linked(c, ch))
                                continue;
                        EffectList effects = {};
                        tell_found(c, ch, &effects);
                        sim_execute(sim, &effects);
                        effect_list_done(&effects);
                        if (ch == CHANNEL_DATA && c->owed && c->backlog_limit == 0)
                                client_drained(sim, c);
                }
        }
}

static void server_step(Sim *sim)
{
        links_step(sim);
        sim_tell_deliveries(sim);
        EffectList effects = {};
        for (size_t i = 0; i < sim->n_jobs;) {
                struct SimJob job = sim->jobs[i];
                if (job.due > sim->now) {
                        i++;
                        continue;
                }
                sim->jobs[i] = sim->jobs[--sim->n_jobs];
                _cleanup_bytes_ Bytes *payload = NULL;
                assert_int_equal(scene_fold_run(job.fold, &payload), 0);
                scene_fold_free(job.fold);
                StoreLocation location = { .segment = 2, .size = payload->size };
                assert_int_equal(session_encoded(sim->session, sim_time(sim), job.node_id, job.version, payload,
                                                 &location, &effects), 0);
                sim_execute(sim, &effects);
        }
        for (size_t i = 0; i < sim->n_clients; i++) {
                SimClient *c = &sim->clients[i];
                for (int ch = 0; ch < _CHANNEL_MAX; ch++)
                        while (sim->up && c->connected && c->up[ch].n > 0 && c->up[ch].packets[0].arrives <= sim->now)
                                server_receive(sim, c, ch);
        }
        checks_end(sim, sim->now);
        if (session_next_tick(sim->session) <= sim->now) {
                uint64_t next;
                assert_int_equal(session_tick(sim->session, sim_time(sim), &effects, &next), 0);
                sim_execute(sim, &effects);
        }
        effect_list_done(&effects);
}

static Frames *arrived(SimClient *c, Channel channel)
{
        SimQueue *q = &c->down[channel];
        return q->n > 0 && q->packets[0].arrives <= c->sim->now ? sim_queue_pop(q) : NULL;
}

static void client_ttl(SimClient *c)
{
        Frames *f = c->ttl_runs ? arrived(c, CHANNEL_TTL) : NULL;
        if (!f)
                return;
        frames_unref(f);
        c->last_ping = c->sim->now;
        Bytes *pong = text("PONG");
        sim_send(c, CHANNEL_TTL, &pong, 1);
}

static void client_step(SimClient *c)
{
        Sim *sim = c->sim;
        if (c->connected)
                client_ttl(c);
        if (c->state == SIM_OUT || c->frozen_until > sim->now)
                return;
        if (c->ttl_runs && c->last_ping + 6 * SIM_SEC < sim->now) {
                snprintf(c->reason, sizeof c->reason, "server lost");
                sim_leave(c, false);
                return;
        }
        if (c->state == SIM_AUTH && c->auth_sent + 5 * SIM_SEC < sim->now) {
                snprintf(c->reason, sizeof c->reason, "no answer to the login");
                sim_leave(c, false);
                return;
        }
        /* At most one message of each socket in a turn. */
        Frames *f = arrived(c, CHANNEL_COMMAND);
        if (f) {
                c->last_progress = sim->now;
                sim_client_command(c, f);
                frames_unref(f);
        }
        f = c->state != SIM_OUT ? arrived(c, CHANNEL_DATA) : NULL;
        if (f) {
                sim_client_data(c, f);
                frames_unref(f);
        }
        if (sim->up && c->owed && c->down[CHANNEL_DATA].n == 0 && c->has_outbox)
                client_drained(sim, c);
}

void sim_run(Sim *sim, uint64_t usec)
{
        for (uint64_t end = sim->now + usec; sim->now < end;) {
                sim->now += STEP;
                if (sim->up)
                        server_step(sim);
                for (size_t i = 0; i < sim->n_clients; i++)
                        client_step(&sim->clients[i]);
        }
}

/* ---- life ---- */

static void server_new(Sim *sim)
{
        assert_int_equal(session_new(&sim->session, &sim->config), 0);
        sim->up = true;
}

void sim_init(Sim *sim, uint64_t seed)
{
        static const char *const versions[] = { "0.9.10", NULL };
        *sim = (Sim){
                .now = 1000 * SIM_SEC,
                .wall_offset = UINT64_C(1795399000) * SIM_SEC,
                .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1,
                .delay_max = 10 * SIM_MSEC,
                .config = {
                        .admin_password = "admin",
                        .accepted_versions = versions,
                        .timeout_usec = 10 * SIM_SEC,
                        .reconnect_grace_usec = 5 * SIM_SEC,
                        .max_users = 12,
                        .max_user_name = 63,
                        .max_metadata = 16 << 10,
                        .max_nodes = 1000,
                        .max_init_bytes = 1 << 20,
                        .max_node_bytes = 8 << 20,
                        .graph_cache_bytes = 64 << 20,
                        .join_ahead_bytes = 4 << 20,
                        .pickle_limits = pickle_limits_default,
                },
        };
        server_new(sim);
}

static void forget_journal(Sim *sim)
{
        for (size_t i = 0; i < sim->n_records; i++)
                session_record_done(&sim->records[i].record);
        sim->n_records = 0;
        for (size_t i = 0; i < sim->n_entries; i++) {
                bytes_unref(sim->entries[i].uuid);
                bytes_unref(sim->entries[i].owner);
                bytes_unref(sim->entries[i].dependencies);
                bytes_unref(sim->entries[i].payload);
        }
        free(sim->entries);
        sim->entries = NULL;
        sim->n_entries = 0;
        sim->snapshot_state = bytes_unref(sim->snapshot_state);
}

void sim_done(Sim *sim)
{
        for (size_t i = 0; i < sim->n_clients; i++) {
                SimClient *c = &sim->clients[i];
                sim_client_clear(c);
                free(c->nodes);
                for (int ch = 0; ch < _CHANNEL_MAX; ch++) {
                        sim_queue_clear(&c->up[ch]);
                        sim_queue_clear(&c->down[ch]);
                }
        }
        for (size_t i = 0; i < sim->n_jobs; i++)
                scene_fold_free(sim->jobs[i].fold);
        free(sim->jobs);
        for (size_t i = 0; i < sim->n_checks; i++)
                session_intake_free(sim->checks[i].intake);
        free(sim->checks);
        forget_journal(sim);
        free(sim->records);
        frames_unref(sim->last_table);
        session_free(sim->session);
}

SimClient *sim_client(Sim *sim, const char *name, bool admin)
{
        assert_true(sim->n_clients < SIM_CLIENTS_MAX);
        SimClient *c = &sim->clients[sim->n_clients];
        *c = (SimClient){ .sim = sim, .index = (unsigned)sim->n_clients++, .admin = admin };
        snprintf(c->name, sizeof c->name, "%s", name);
        snprintf(c->address, sizeof c->address, "192.0.2.%u", c->index + 1);
        return c;
}

void sim_login_with(SimClient *c, const char *version, const char *server_password, const char *admin_password)
{
        c->id.size = 16;
        for (size_t i = 0; i < 16; i++)
                c->id.bytes[i] = (uint8_t)sim_random(c->sim, 256);
        sim_client_clear(c);
        for (int ch = 0; ch < _CHANNEL_MAX; ch++) {
                sim_queue_clear(&c->up[ch]);
                sim_queue_clear(&c->down[ch]);
        }
        c->refusing = c->owed = c->raised = c->dismissed = c->has_outbox = c->laden = false;
        c->connected = c->ttl_runs = true;
        for (int ch = 0; ch < _CHANNEL_MAX; ch++) {
                c->links_at[ch] = c->sim->now;
                c->told[ch] = c->pending[ch] = false;
        }
        c->state = SIM_AUTH;
        c->auth_sent = c->last_ping = c->last_progress = c->sim->now;
        c->reason[0] = c->last_answer[0] = '\0';
        Bytes *init = text("INIT");
        sim_send(c, CHANNEL_TTL, &init, 1);
        Value *data = sim_put(value_dict_new(), "AUTH_TYPE", value_string_new(admin_password ? "ADMIN" : "CLIENT"));
        sim_put(data, "AUTH_ID", value_string_new(c->name));
        sim_put(data, "S_PWD", server_password ? value_string_new(server_password) : value_ref(value_none()));
        sim_put(data, "A_PWD", admin_password ? value_string_new(admin_password) : value_ref(value_none()));
        sim_command(c, 9, c->name, sim_put(data, "VERSION", value_string_new(version)));
}

void sim_login(SimClient *c, const char *version)
{
        sim_login_with(c, version ?: "0.9.10", "", c->admin ? "admin" : NULL);
}

void sim_enter(SimClient *c)
{
        sim_login(c, NULL);
        bool scene = scene_n_nodes(session_scene(c->sim->session)) > 0;
        for (int i = 0; i < 20000 && c->state != SIM_OUT; i++) {
                sim_run(c->sim, STEP);
                if (c->state == (scene ? SIM_ACTIVE : SIM_LOBBY))
                        break;
        }
        sim_run(c->sim, 200 * SIM_MSEC);
        assert_int_equal(c->state, scene ? SIM_ACTIVE : SIM_LOBBY);
}

void sim_leave(SimClient *c, bool crashed)
{
        if (c->state == SIM_OUT)
                return;
        c->state = SIM_OUT;
        for (int ch = 0; ch < _CHANNEL_MAX; ch++) {
                if (ch == CHANNEL_TTL && crashed)
                        continue;
                sim_queue_clear(&c->up[ch]);
                sim_queue_clear(&c->down[ch]);
                sim_lose(c, ch);
        }
        c->ttl_runs = c->connected = crashed;
        sim_client_clear(c);
}

/* ---- the server's life ---- */

static int take_node(void *userdata, SceneImage *image)
{
        Sim *sim = userdata;
        sim->entries = reallocarray(sim->entries, sim->n_entries + 1, sizeof *sim->entries);
        struct SimEntry *e = &sim->entries[sim->n_entries++];
        *e = (struct SimEntry){
                .uuid = bytes_new_copy(image->uuid, image->uuid_size),
                .owner = bytes_ref(image->owner),
                .dependencies = bytes_ref(image->dependencies),
                .changed = image->changed,
        };
        if (image->fold)
                assert_int_equal(scene_fold_run(image->fold, &e->payload), 0);
        else
                e->payload = bytes_ref(image->payload);
        return 0;
}

static int take_removed(void *userdata, const char *uuid, size_t uuid_size)
{
        return 0;
}

void sim_snapshot(Sim *sim)
{
        Bytes *state;
        _cleanup_session_save_ SessionSave *save = NULL;
        int r = session_save_begin(sim->session, sim_time(sim), &save);
        if (r == -EBUSY)
                return;
        assert_int_equal(r, 0);
        while ((r = session_save_step(save, 3)) == 1)
                ;
        assert_int_equal(r, 0);
        assert_int_equal(session_save_finish(save, &state), 0);
        forget_journal(sim);
        sim->snapshot_state = state;
        static const SceneSnapshotFuncs funcs = { take_node, take_removed };
        SceneSnapshot *sn;
        assert_int_equal(scene_snapshot_begin(session_scene(sim->session), true, &funcs, sim, &sn), 0);
        while ((r = scene_snapshot_step(sn, 7)) == 1)
                ;
        assert_int_equal(r, 0);
        scene_snapshot_free(sn);
}

void sim_stop(Sim *sim)
{
        checks_end(sim, UINT64_MAX);
        sim->up = false;
        sim->session = session_free(sim->session);
        for (size_t i = 0; i < sim->n_jobs; i++)
                scene_fold_free(sim->jobs[i].fold);
        sim->n_jobs = 0;
        for (size_t i = 0; i < sim->n_clients; i++) {
                SimClient *c = &sim->clients[i];
                c->has_outbox = c->refusing = c->owed = c->laden = false;
                for (int ch = 0; ch < _CHANNEL_MAX; ch++) {
                        queue_cut(&c->down[ch], sim_random(sim, c->down[ch].n + 1));
                        for (size_t j = 0; j < c->down[ch].n; j++)
                                c->down[ch].packets[j].laden = 0;
                        c->told[ch] = c->pending[ch] = false;
                }
        }
}

void sim_start(Sim *sim)
{
        server_new(sim);
        if (sim->snapshot_state)
                assert_int_equal(session_load_state(sim->session, sim->snapshot_state), 0);
        for (size_t i = 0; i < sim->n_entries; i++) {
                struct SimEntry *e = &sim->entries[i];
                assert_int_equal(session_load_node(sim->session, e->uuid, e->owner, e->dependencies, e->payload, NULL,
                                                   e->changed), 0);
        }
        for (size_t i = 0; i < sim->n_records; i++)
                assert_int_equal(session_load_record(sim->session, &sim->records[i].record, sim->records[i].wall, NULL), 0);
        EffectList effects = {};
        /* Everybody's connections come back by themselves. */
        for (size_t i = 0; i < sim->n_clients; i++) {
                SimClient *c = &sim->clients[i];
                for (int ch = 0; c->state != SIM_OUT && ch < _CHANNEL_MAX; ch++) {
                        uint64_t when = MAX(c->links_at[ch], sim->now + sim_random(sim, 300 * SIM_MSEC));
                        if (c->down[ch].n > 0) /* what the last one has sent is read first */
                                when = MAX(when, c->down[ch].packets[c->down[ch].n - 1].arrives);
                        if (ch != CHANNEL_TTL)
                                c->links_at[ch] = when;
                        for (size_t j = 0; j < c->up[ch].n; j++)
                                c->up[ch].packets[j].arrives = MAX(c->up[ch].packets[j].arrives, when);
                }
                if (sim->found_early)
                        tell_found(c, CHANNEL_COMMAND, &effects);
        }
        assert_int_equal(session_load_done(sim->session, sim_time(sim), &effects), 0);
        sim_execute(sim, &effects);
        effect_list_done(&effects);
}
