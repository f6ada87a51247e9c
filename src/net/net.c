/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "net/net-private.h"

#define DEFAULT_BACKLOG (64 * 1024 * 1024)
#define DEFAULT_MESSAGE_SIZE (256 * 1024 * 1024)
#define DEFAULT_WINDOW (1024 * 1024)
#define DEFAULT_TURN 32
#define DEFAULT_HANDSHAKE_TIMEOUT (5 * UINT64_C(1000000))
#define DEFAULT_BAN (600 * UINT64_C(1000000))
#define DEFAULT_CONNECTIONS 4096
#define DEFAULT_CONNECTIONS_PER_ADDRESS 256

#define MAX_ADDRESSES 4096
#define ZAP_BUDGET 64
#define RETRY_INTERVAL (30 * 1000)
#define RETRY_ACCURACY 5000
#define HOLD_INTERVAL 20000
#define HOLD_ACCURACY 5000
#define SWEEP_INTERVAL 1000000
#define SWEEP_ACCURACY 250000
#define STRANGERS_INTERVAL 100000
#define STRANGERS_ACCURACY 20000
#define MEMORY_INTERVAL 250000
#define MEMORY_ACCURACY 50000

static void tell_delivered(Net *n, const RoutingId *id)
{
        const Peer *p = peer_table_find(&n->peers, id);
        if (!p || !n->callbacks.delivered)
                return;
        const Outbox *o = &p->box[CHANNEL_DATA];
        n->callbacks.delivered(n->userdata, id, o->arrived_until, !o->laden);
}

/* Calls back about one peer. It may be gone after any of the calls. */
static void tell(Net *n, Peer *p)
{
        RoutingId id = p->id;
        unsigned due = p->due;
        peer_table_clear_due(&n->peers, p, due);
        for (int c = 0; c < _CHANNEL_MAX; c++)
                if ((due & (PEER_DUE_LOST << c)) && n->callbacks.peer_lost)
                        n->callbacks.peer_lost(n->userdata, c, &id);
        for (int c = 0; c < _CHANNEL_MAX; c++)
                if ((due & (PEER_DUE_CONNECTED << c)) && n->callbacks.peer_connected)
                        n->callbacks.peer_connected(n->userdata, c, &id);
        if ((due & PEER_DUE_OVERFLOW) && n->callbacks.overflow)
                n->callbacks.overflow(n->userdata, &id);
        if ((due & PEER_DUE_DRAINED) && n->callbacks.drained)
                n->callbacks.drained(n->userdata, &id);
        if (due & PEER_DUE_DELIVERED)
                tell_delivered(n, &id);
}

void net_enter(Net *n)
{
        n->depth++;
}

void net_leave(Net *n)
{
        if (n->depth > 1) {
                n->depth--;
                return;
        }
        flight_cache_clear(&n->cache);
        /* Bounded: a callback's effects may make others due. */
        for (unsigned i = 0; n->peers.first_due && i < 1024; i++)
                tell(n, n->peers.first_due);

        bool again = n->peers.first_due;
        for (int i = 0; i < _CHANNEL_MAX; i++) {
                NetChannel *c = &n->channel[i];
                if (c->must_look) {
                        c->must_look = false;
                        if (net_channel_has_input(c) && c->n_paused == 0)
                                c->is_ready = true;
                }
                again = again || c->is_ready;
        }
        n->depth--;
        if (again)
                net_arm_post(n);
        if (net_needs_retry(n))
                net_arm_retry(n);
}

void net_arm_post(Net *n)
{
        if (n->post_armed)
                return;
        n->post_armed = true;
        sd_event_source_set_enabled(n->post_source, SD_EVENT_ONESHOT);
}

static void arm_timer(sd_event_source *source, bool *armed, uint64_t when)
{
        *armed = true;
        sd_event_source_set_time(source, when);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void arm_after(sd_event_source *source, bool *armed, uint64_t usec)
{
        if (!*armed)
                arm_timer(source, armed, clock_monotonic_usec() + usec);
}

/* For what goes on as long as anybody is connected. */
static void arm_beat(sd_event_source *source, bool *armed, uint64_t interval)
{
        if (!*armed)
                arm_timer(source, armed, clock_next_beat(clock_monotonic_usec(), interval));
}

void net_arm_retry(Net *n)
{
        arm_after(n->retry_source, &n->retry_armed, RETRY_INTERVAL);
}

void net_arm_sweep(Net *n)
{
        arm_beat(n->sweep_source, &n->sweep_armed, SWEEP_INTERVAL);
}

void net_arm_strangers(Net *n)
{
        arm_after(n->strangers_source, &n->strangers_armed, STRANGERS_INTERVAL);
}

void net_arm_memory(Net *n)
{
        arm_beat(n->memory_source, &n->memory_armed, MEMORY_INTERVAL);
}

void net_arm_hold(Net *n)
{
        arm_after(n->hold_source, &n->hold_armed, HOLD_INTERVAL);
}

static int run_turn(NetChannel *c)
{
        int r = net_channel_turn(c, false, NULL);
        if (r < 0)
                sd_event_exit(c->net->event, r);
        return 0;
}

static int on_channel(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        return run_turn(userdata);
}

static int on_monitor(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        NetChannel *c = userdata;
        net_enter(c->net);
        net_monitor_drain(c);
        net_leave(c->net);
        return 0;
}

static int on_zap(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Net *n = userdata;
        net_enter(n);
        if (zap_answer(&n->zap, ZAP_BUDGET, net_admit, n) == ZAP_BUDGET)
                net_arm_post(n);
        net_leave(n);
        return 0;
}

static int on_wake(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Net *n = userdata;
        uint64_t count;
        if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
                return -errno;
        net_enter(n);
        net_wake(n);
        net_reap(n, clock_monotonic_usec());
        net_leave(n);
        return 0;
}

static int on_post(sd_event_source *s, void *userdata)
{
        Net *n = userdata;
        n->post_armed = false;
        net_enter(n);
        if (zap_answer(&n->zap, ZAP_BUDGET, net_admit, n) == ZAP_BUDGET)
                net_arm_post(n);
        /* While one channel has no end, the loop might never come to the descriptors of the others. */
        for (int i = 0; i < _CHANNEL_MAX; i++)
                if (n->channel[i].is_ready || net_channel_has_input(&n->channel[i]))
                        run_turn(&n->channel[i]);
        net_leave(n);
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        Net *n = userdata;
        n->retry_armed = false;
        net_enter(n);
        for (int i = 0; i < _CHANNEL_MAX; i++)
                net_channel_catch_up(&n->channel[i]);
        net_pump(n, NULL, ~(1u << OUTBOX_WINDOW));
        net_delivery_check(n);
        net_reap(n, clock_monotonic_usec());
        net_leave(n);
        return 0;
}

static int on_sweep(sd_event_source *s, uint64_t usec, void *userdata)
{
        Net *n = userdata;
        n->sweep_armed = false;
        net_enter(n);
        net_sweep(n);
        net_check_strangers(n);
        bool closing = net_reap(n, clock_monotonic_usec());
        net_leave(n);
        if (closing || n->connections.n_connections > 0)
                net_arm_sweep(n);
        if (n->connections.n_connections > 0)
                net_arm_memory(n);
        return 0;
}

static int on_strangers(sd_event_source *s, uint64_t usec, void *userdata)
{
        Net *n = userdata;
        n->strangers_armed = false;
        net_enter(n);
        net_check_strangers(n);
        net_leave(n);
        return 0;
}

static int on_memory(sd_event_source *s, uint64_t usec, void *userdata)
{
        Net *n = userdata;
        n->memory_armed = false;
        net_enter(n);
        net_check_memory(n);
        net_leave(n);
        if (n->connections.n_connections > 0)
                net_arm_memory(n);
        return 0;
}

static int on_hold(sd_event_source *s, uint64_t usec, void *userdata)
{
        Net *n = userdata;
        n->hold_armed = false;
        bool some = net_hold_check(n);
        if (net_gather_check(n) || some)
                net_arm_hold(n);
        return 0;
}

static int add_timer(Net *n, sd_event_source **ret, uint64_t accuracy, sd_event_time_handler_t handler)
{
        int r = sd_event_add_time(n->event, ret, CLOCK_MONOTONIC, UINT64_MAX, accuracy, handler, n);
        /* Work that is put off to the next round of the loop again and again must not keep timers waiting. */
        if (r >= 0)
                r = sd_event_source_set_priority(*ret, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int channel_fd(const NetChannel *c)
{
        int fd = -1;
        size_t size = sizeof fd;
        return zmq_getsockopt(c->socket, ZMQ_FD, &fd, &size) < 0 ? -errno : fd;
}

static int add_sources(Net *n)
{
        int r = sd_event_add_io(n->event, &n->wake_source, n->wake_fd, EPOLLIN, on_wake, n);
        if (r >= 0)
                r = sd_event_source_set_priority(n->wake_source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r >= 0)
                r = sd_event_add_io(n->event, &n->zap_source, zap_fd(&n->zap), EPOLLIN, on_zap, n);
        for (int i = 0; i < _CHANNEL_MAX && r >= 0; i++) {
                NetChannel *c = &n->channel[i];
                r = sd_event_add_io(n->event, &c->source, channel_fd(c), EPOLLIN, on_channel, c);
                if (r >= 0)
                        r = sd_event_add_io(n->event, &c->monitor_source, monitor_fd(&c->monitor), EPOLLIN, on_monitor, c);
                c->is_ready = true; /* what came before the loop looked */
        }
        if (r >= 0)
                r = add_timer(n, &n->retry_source, RETRY_ACCURACY, on_retry);
        if (r >= 0)
                r = add_timer(n, &n->sweep_source, SWEEP_ACCURACY, on_sweep);
        if (r >= 0)
                r = add_timer(n, &n->strangers_source, STRANGERS_ACCURACY, on_strangers);
        if (r >= 0)
                r = add_timer(n, &n->memory_source, MEMORY_ACCURACY, on_memory);
        if (r >= 0)
                r = add_timer(n, &n->hold_source, HOLD_ACCURACY, on_hold);
        if (r >= 0)
                r = sd_event_add_defer(n->event, &n->post_source, on_post, n);
        n->post_armed = r >= 0; /* a fresh defer source is armed */
        return r;
}

static unsigned connection_limit(unsigned wanted)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
                return wanted;
        /* Leave descriptors for everything else, and for connections that are being refused. */
        rlim_t usable = limit.rlim_cur / 4 * 3;
        return MIN((rlim_t)wanted, usable);
}

int net_set_limits(Net *n, const NetLimits *limits)
{
        int r = address_table_set_policy(n->addresses, &(AddressPolicy){
                .limit = limits->penalty_limit,
                .ban_usec = limits->ban_usec ?: DEFAULT_BAN,
                .max_connections = limits->max_connections_per_address ?: DEFAULT_CONNECTIONS_PER_ADDRESS,
                .allow = limits->allow,
        });
        if (r < 0)
                return r;
        n->max_backlog = MAX(limits->max_client_backlog ?: DEFAULT_BACKLOG, 4 * n->window);
        n->max_connections = connection_limit(limits->max_connections ?: DEFAULT_CONNECTIONS);
        return 0;
}

static int set_up(Net *n, const NetConfig *config, char **ret_error)
{
        n->addresses = address_table_new(MAX_ADDRESSES);
        if (!n->addresses)
                return -ENOMEM;
        int r = net_set_limits(n, &config->limits);
        if (r < 0)
                return r;
        n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        n->context = zmq_ctx_new();
        if (n->wake_fd < 0 || !n->context)
                return -errno;
        zmq_ctx_set(n->context, ZMQ_BLOCKY, 0);
        r = zap_init(&n->zap, n->context);
        if (r >= 0)
                r = net_listen(n, config, ret_error);
        return r < 0 ? r : add_sources(n);
}

int net_new(Net **ret, sd_event *event, const NetConfig *config, const NetCallbacks *callbacks, void *userdata,
            char **ret_error)
{
        assert(callbacks->message);
        _cleanup_(net_freep) Net *n = calloc(1, sizeof *n);
        if (!n)
                return -ENOMEM;
        n->wake_fd = -1;
        n->event = sd_event_ref(event);
        n->callbacks = *callbacks;
        n->userdata = userdata;
        n->max_message_size = config->max_message_size ?: DEFAULT_MESSAGE_SIZE;
        n->turn_messages = config->turn_messages ?: DEFAULT_TURN;
        n->handshake_timeout = config->handshake_timeout ?: DEFAULT_HANDSHAKE_TIMEOUT;
        n->window = MIN(config->window ?: DEFAULT_WINDOW, (config->limits.max_client_backlog ?: DEFAULT_BACKLOG) / 4);
        for (int i = 0; i < _CHANNEL_MAX; i++) {
                n->channel[i].net = n;
                n->channel[i].channel = i;
                n->channel[i].n_paused = config->start_paused;
        }
        int r = set_up(n, config, ret_error);
        if (r < 0)
                return r;
        if (config->start_paused)
                net_hold_unread(n);
        *ret = TAKE_PTR(n);
        return 0;
}

static void channel_done(NetChannel *c)
{
        c->source = sd_event_source_disable_unref(c->source);
        c->monitor_source = sd_event_source_disable_unref(c->monitor_source);
        monitor_done(&c->monitor);
        if (c->socket)
                zmq_close(c->socket);
        for (Connection *lost = c->first_lost, *next; lost; lost = next) {
                next = lost->next_lost;
                free(lost);
        }
}

Net *net_free(Net *n)
{
        if (!n)
                return NULL;
        assert(n->depth == 0);
        sd_event_source_disable_unref(n->post_source);
        sd_event_source_disable_unref(n->retry_source);
        sd_event_source_disable_unref(n->sweep_source);
        sd_event_source_disable_unref(n->strangers_source);
        sd_event_source_disable_unref(n->memory_source);
        sd_event_source_disable_unref(n->hold_source);
        sd_event_source_disable_unref(n->wake_source);
        sd_event_source_disable_unref(n->zap_source);
        flight_cache_clear(&n->cache);
        for (int i = 0; i < _CHANNEL_MAX; i++)
                channel_done(&n->channel[i]);
        zap_done(&n->zap);
        if (n->context) {
                int r;
                do
                        r = zmq_ctx_term(n->context);
                while (r < 0 && errno == EINTR);
        }
        /* No message is in flight any more, so the descriptor that their ends are announced on can go. */
        peer_table_done(&n->peers);
        connection_table_done(&n->connections);
        address_table_free(n->addresses);
        free(n->silent.addresses);
        if (n->wake_fd >= 0)
                close(n->wake_fd);
        sd_event_unref(n->event);
        free(n);
        return NULL;
}

void net_pause_reading(Net *n, unsigned channels)
{
        for (int i = 0; i < _CHANNEL_MAX; i++)
                n->channel[i].n_paused += (channels >> i) & 1;
        net_hold_unread(n);
}

void net_resume_reading(Net *n, unsigned channels)
{
        for (int i = 0; i < _CHANNEL_MAX; i++) {
                if (!(channels & (1u << i)))
                        continue;
                assert(n->channel[i].n_paused > 0);
                if (--n->channel[i].n_paused > 0)
                        continue;
                n->channel[i].is_ready = true;
                net_arm_post(n);
        }
}

int net_drain(Net *n, uint64_t timeout_usec)
{
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;
        uint64_t quiet_since = clock_monotonic_usec();
        struct pollfd fds[_CHANNEL_MAX];
        for (int i = 0; i < _CHANNEL_MAX; i++)
                fds[i] = (struct pollfd){ .fd = channel_fd(&n->channel[i]), .events = POLLIN };
        for (;;) {
                net_enter(n);
                for (int i = 0; i < _CHANNEL_MAX; i++) {
                        unsigned n_read;
                        int r = net_channel_turn(&n->channel[i], true, &n_read);
                        if (r < 0) {
                                net_leave(n);
                                return r;
                        }
                        if (n_read > 0)
                                quiet_since = clock_monotonic_usec();
                }
                net_leave(n);
                net_gather_end(n);
                /* What the kernel holds needs a moment to pass through the I/O thread. */
                uint64_t now = clock_monotonic_usec();
                if (now >= deadline || now - quiet_since > 10 * 1000)
                        return 0;
                if (poll(fds, _CHANNEL_MAX, 1) < 0 && errno != EINTR)
                        return -errno;
        }
}

int net_peer_status(const Net *n, const RoutingId *id, NetPeerStatus *ret)
{
        const Peer *p = peer_table_find(&n->peers, id);
        if (!p || p->closing)
                return NET_NO_PEER;
        *ret = (NetPeerStatus){
                .queued = peer_queued(p),
                .in_flight = peer_in_flight(p),
                .outstanding = peer_outstanding(p),
                .backlog_since = p->refusing_since,
                .bytes_sent = p->bytes_sent,
        };
        for (int c = 0; c < _CHANNEL_MAX; c++)
                ret->connected[c] = p->box[c].connected;
        if (p->has_address)
                address_format(&p->address, ret->address);
        return 0;
}

void net_get_status(const Net *n, NetStatus *ret)
{
        *ret = (NetStatus){
                .n_connections = n->connections.n_connections,
                .n_banned = address_table_count_banned(n->addresses, clock_monotonic_usec()),
                .n_refused = n->n_refused,
                .bulk_taken = n->bulk_taken,
                .bulk_sent = n->bulk_sent,
                .bulk_void = n->bulk_void,
        };
        memcpy(ret->n_received, n->n_received, sizeof ret->n_received);
        memcpy(ret->bytes_received, n->bytes_received, sizeof ret->bytes_received);
        memcpy(ret->n_sent, n->n_sent, sizeof ret->n_sent);
        memcpy(ret->bytes_sent, n->bytes_sent, sizeof ret->bytes_sent);
        memcpy(ret->n_bad, n->n_bad, sizeof ret->n_bad);
        for (const Peer *p = n->peers.first; p; p = p->next) {
                ret->n_peers += !p->closing;
                ret->queued += peer_queued(p);
                for (int c = 0; c < _CHANNEL_MAX; c++)
                        ret->bulk_queued += p->box[c].n_bulk;
                ret->in_flight += peer_in_flight(p);
                ret->outstanding += peer_outstanding(p);
        }
}
