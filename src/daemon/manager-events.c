/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/log.h"
#include "daemon/disk-guard.h"
#include "daemon/manager-internal.h"
#include "session/message.h"
#include "store/snapshot.h"

/* So much may wait for the disk, and to be checked, before clients are held back by TCP. The latter has room for a few of
 * the largest nodes, or one of them would hold back everybody. */
#define HELD_BYTES_MAX (64u << 20)
#define HELD_BYTES_BUSY (8u << 20) /* with more than this, those have to wait first who send most */
#define INTAKE_BYTES_MAX (256u << 20)

/* A turn with more than this to send ends early, so that the limits of outboxes see it before it has grown. */
#define TURN_BYTES_MAX (16u << 20)

/* A message that takes so long is worth a look at what it has cost. */
#define WORK_MIN USEC_PER_MSEC

static void hold_reading(Manager *m)
{
        size_t held = executor_held_bytes(m->executor), incoming = intake_bytes(m->intake);
        bool behind = store_is_behind(m->store);
        m->disk_busy = behind || held > (m->disk_busy ? HELD_BYTES_BUSY / 2 : HELD_BYTES_BUSY);
        session_set_disk(m->session, m->disk_busy, m->guard.rate);
        if (!m->reading_held && (behind || held > HELD_BYTES_MAX || incoming > INTAKE_BYTES_MAX)) {
                m->reading_held = true;
                net_pause_reading(m->net, 1u << CHANNEL_COMMAND | 1u << CHANNEL_DATA);
        } else if (m->reading_held && !behind && held < HELD_BYTES_MAX / 2 && incoming < INTAKE_BYTES_MAX / 2) {
                m->reading_held = false;
                net_resume_reading(m->net, 1u << CHANNEL_COMMAND | 1u << CHANNEL_DATA);
        }
}

/* ---- network ---- */

/* On a busy machine the time that has passed says little, and asking for the CPU time of each message would cost too much:
 * so it is asked for when time has passed, and after each turn. */
static int charge_work(Manager *m, const RoutingId *from, SessionTime since)
{
        uint64_t now = clock_monotonic_usec(), took = now - since.now;
        m->message_done = (SessionTime){ .now = now, .wall = since.wall + took };
        if (took < WORK_MIN)
                return 0;
        uint64_t cpu = clock_usec(CLOCK_THREAD_CPUTIME_ID), used = MIN(took, cpu - m->cpu_seen);
        m->cpu_seen = cpu;
        return used < WORK_MIN ? 0 : session_charge_work(m->session, manager_time(), from, used,
                                                         executor_effects(m->executor));
}

static int on_message(void *userdata, Channel channel, const RoutingId *from, const char *address,
                      Bytes *const *frames, size_t n_frames)
{
        Manager *m = userdata;
        EffectList *effects = executor_effects(m->executor);
        int k = intake_message(m->intake, channel, from, address, frames, n_frames);
        if (k != 0) {
                m->message_done = (SessionTime){};
                if (k > 0)
                        hold_reading(m);
                return manager_check(m, MIN(k, 0));
        }
        if (channel == CHANNEL_COMMAND && message_peek_type(frames, n_frames) == MESSAGE_DELETE)
                session_set_overtaking(m->session, net_has_unfinished(m->net, from, CHANNEL_DATA));
        /* The next is taken as soon as one is done: one look at the clocks between them is enough. */
        SessionTime now = m->message_done.now > 0 ? m->message_done : manager_time();
        k = session_receive(m->session, now, channel, from, address, frames, n_frames, effects);
        if (k >= 0)
                k = charge_work(m, from, now);
        if (k >= 0 && effects->bytes > TURN_BYTES_MAX)
                k = manager_turn(m);
        return manager_check(m, k);
}

static int on_turn_end(void *userdata)
{
        Manager *m = userdata;
        int k = manager_turn(m);
        m->cpu_seen = clock_usec(CLOCK_THREAD_CPUTIME_ID);
        if (k >= 0)
                k = disk_guard_check(m, false);
        if (k >= 0 && executor_effects(m->executor)->n_items > 0)
                k = manager_turn(m);
        return manager_check(m, k);
}

static void on_peer_lost(void *userdata, Channel channel, const RoutingId *peer)
{
        Manager *m = userdata;
        int k = session_peer_lost(m->session, manager_time(), channel, peer, executor_effects(m->executor));
        manager_check(m, k < 0 ? k : manager_turn(m));
}

static void on_peer_connected(void *userdata, Channel channel, const RoutingId *peer)
{
        Manager *m = userdata;
        int k = session_peer_found(m->session, manager_time(), channel, peer, executor_effects(m->executor));
        manager_check(m, k < 0 ? k : manager_turn(m));
}

static void on_bad_peer(void *userdata, const char *address, NetBadPeer what)
{
        Manager *m = userdata;
        report_bad_peer(m->report, address, what);
}

static void on_banned(void *userdata, const char *address)
{
        Manager *m = userdata;
        report_banned(address, m->config->ban_time);
}

static void on_overflow(void *userdata, const RoutingId *peer)
{
        Manager *m = userdata;
        int k = session_disconnect(m->session, manager_time(), peer,
                                   "your connection is too slow for this session",
                                   executor_effects(m->executor));
        manager_check(m, k < 0 ? k : manager_turn(m));
}

static void on_drained(void *userdata, const RoutingId *peer)
{
        Manager *m = userdata;
        int k = session_outbox_drained(m->session, manager_time(), peer, executor_effects(m->executor));
        manager_check(m, k < 0 ? k : manager_turn(m));
}

static void on_delivered(void *userdata, const RoutingId *peer, uint64_t until, bool all)
{
        Manager *m = userdata;
        session_delivered(m->session, manager_time(), peer, until, all);
        manager_check(m, manager_arm_tick(m));
}

const NetCallbacks manager_net_callbacks = {
        .message = on_message,
        .turn_end = on_turn_end,
        .peer_lost = on_peer_lost,
        .peer_connected = on_peer_connected,
        .bad_peer = on_bad_peer,
        .banned = on_banned,
        .overflow = on_overflow,
        .drained = on_drained,
        .delivered = on_delivered,
};

/* ---- executor ---- */

static void on_save(void *userdata, const char *reason)
{
        manager_check(userdata, manager_save(userdata, reason));
}

static void on_log(void *userdata, const Effect *effect)
{
        Manager *m = userdata;
        report_session(m->report, effect);
}

static void on_opened(void *userdata, const RoutingId *peer)
{
        Manager *m = userdata;
        for (size_t i = 0; i < m->n_peers; i++)
                if (routing_id_equal(&m->peers[i], peer))
                        return;
        if (m->n_peers == m->n_peers_allocated) {
                size_t n = m->n_peers_allocated * 2 + 8;
                RoutingId *peers = reallocarray(m->peers, n, sizeof *peers);
                if (!peers) {
                        manager_check(m, -ENOMEM);
                        return;
                }
                m->peers = peers;
                m->n_peers_allocated = n;
        }
        m->peers[m->n_peers++] = *peer;
}

static void on_closed(void *userdata, const RoutingId *peer)
{
        Manager *m = userdata;
        for (size_t i = 0; i < m->n_peers; i++)
                if (routing_id_equal(&m->peers[i], peer)) {
                        m->peers[i] = m->peers[--m->n_peers];
                        return;
                }
}

const ExecutorFuncs manager_executor_funcs = {
        .save = on_save,
        .log = on_log,
        .opened = on_opened,
        .closed = on_closed,
        .banned = on_banned,
};

/* ---- store ---- */

static void on_problem(void *userdata, StoreLevel level, const char *damaged, const char *text)
{
        report_problem(level, damaged, text);
}

static void on_written(void *userdata)
{
        Manager *m = userdata;
        if (!m->net) /* not there yet, or gone already */
                return;
        manager_check(m, executor_run(m->executor));
        hold_reading(m);
}

static void on_durable(void *userdata, uint64_t sequence)
{
        Manager *m = userdata;
        on_written(m);
        if (m->trimmer)
                trimmer_run_when_quiet(m->trimmer);
}

static void on_degraded(void *userdata, StoreLevel level, const char *reason)
{
        Manager *m = userdata;
        report_degraded(level, reason, m->config->sync == CONFIG_SYNC_ALWAYS);
        on_written(m);
}

/* The payload of every node that lies in a segment about to go is mapped anew from where it lies now. */
static void on_segment_moved(void *userdata, uint64_t segment)
{
        Manager *m = userdata;
        if (!m->session)
                return;
        Scene *scene = session_scene(m->session);
        for (Node *n = scene_first(scene); n; n = scene_next(scene, n)) {
                StoreLocation location;
                if (node_location(scene, n, &location) && location.segment == segment)
                        executor_map_node(m->executor, n);
        }
}

static void on_removed(void *userdata, bool made_anew)
{
        Manager *m = userdata;
        if (!m->session)
                return;
        scene_forget_locations(session_scene(m->session), 0);
        if (!made_anew)
                return;
        manager_move_in(m);
        manager_check(m, manager_save(m, "data folder removed"));
}

static void on_segment_removed(void *userdata, uint64_t segment)
{
        Manager *m = userdata;
        if (!m->session)
                return;
        scene_forget_locations(session_scene(m->session), segment);
        manager_check(m, manager_save(m, "log file removed"));
}

static void on_snapshot_removed(void *userdata)
{
        Manager *m = userdata;
        if (m->session)
                manager_check(m, manager_save(m, "snapshot removed"));
}

StoreEvents manager_store_events(Manager *m)
{
        return (StoreEvents){
                .problem = on_problem,
                .written = on_written,
                .durable = on_durable,
                .degraded = on_degraded,
                .segment_moved = on_segment_moved,
                .removed = on_removed,
                .segment_removed = on_segment_removed,
                .snapshot_removed = on_snapshot_removed,
                .userdata = m,
        };
}

int manager_turn(Manager *m)
{
        m->message_done = (SessionTime){};
        int k = executor_run(m->executor);
        if (k < 0)
                return k;
        hold_reading(m);
        k = manager_arm_tick(m);
        if (k >= 0 && store_durable_sequence(m->store) < store_sequence(m->store))
                k = manager_arm_sync(m);
        return k;
}
