/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/executor.h"
#include "scratch.h"
#include "test.h"

/* The network side is replaced by these, see LDFLAGS; what matters here is what the disk holds when they are called. */
Net *net_fake = (Net *)&net_fake;
int __wrap_net_send(Net *n, const RoutingId *to, Channel channel, SendClass class, Frames *frames);
int __wrap_net_open_peer(Net *n, const RoutingId *peer);
void __wrap_net_close_peer(Net *n, const RoutingId *peer);
int __wrap_net_penalise(Net *n, const char *address, unsigned weight);

#define PAYLOAD "the payload that must be in the log before anybody sees it"

/* What is more than this at once goes to the writer. */
#define DIRECT_BYTES 4096u

typedef struct Fixture {
        Scratch *scratch;
        Worker *worker, *writer;
        Store *store;
        Session *session;
        Executor *executor;
        unsigned n_sent, n_pings;
        bool in_log_when_sent;
        bool durable_when_sent;
        bool news_when_sent; /* from the disk */
        int next_result;
        uint64_t sequence_done;
} Fixture;

static Fixture *fixture;

static bool file_contains(const char *path, const char *text)
{
        FILE *f = fopen(path, "re");
        if (!f)
                return false;
        char buffer[65536];
        size_t n = fread(buffer, 1, sizeof buffer, f);
        fclose(f);
        return memmem(buffer, n, text, strlen(text)) != NULL;
}

static bool log_contains(const char *store, const char *text)
{
        char folder[512], path[1024];
        snprintf(folder, sizeof folder, "%s/log", store);
        DIR *d = opendir(folder);
        assert_non_null(d);
        bool found = false;
        for (struct dirent *e; !found && (e = readdir(d));) {
                snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
                found = e->d_name[0] != '.' && file_contains(path, text);
        }
        closedir(d);
        return found;
}

static void on_written(void *userdata)
{
        Fixture *f = userdata;
        if (f->executor)
                assert_int_equal(executor_run(f->executor), 0);
}

int __wrap_net_send(Net *n, const RoutingId *to, Channel channel, SendClass class, Frames *frames)
{
        assert_ptr_equal(n, net_fake);
        if (class == SEND_PING) {
                fixture->n_pings++;
                return 0;
        }
        fixture->n_sent++;
        if (fixture->news_when_sent)
                on_written(fixture);
        fixture->in_log_when_sent = log_contains(fixture->scratch->path, PAYLOAD);
        fixture->durable_when_sent =
                store_durable_sequence(fixture->store) >= store_sequence(fixture->store);
        int k = fixture->next_result;
        fixture->next_result = 0;
        return k;
}

int __wrap_net_open_peer(Net *n, const RoutingId *peer)
{
        return 0;
}

void __wrap_net_close_peer(Net *n, const RoutingId *peer)
{
}

int __wrap_net_penalise(Net *n, const char *address, unsigned weight)
{
        return 0;
}

static void on_durable(void *userdata, uint64_t sequence)
{
        Fixture *f = userdata;
        f->sequence_done = sequence;
        if (f->executor)
                assert_int_equal(executor_run(f->executor), 0);
}

static void ignore_peer(void *userdata, const RoutingId *peer)
{
}

static void ignore_address(void *userdata, const char *address)
{
}

static void ignore_save(void *userdata, const char *reason)
{
}

static void ignore_log(void *userdata, const Effect *effect)
{
}

static int set_up(void **state)
{
        static const char *const versions[] = { "0.9.10", NULL };
        static const ExecutorFuncs funcs = {
                .save = ignore_save,
                .log = ignore_log,
                .opened = ignore_peer,
                .closed = ignore_peer,
                .banned = ignore_address,
        };
        Fixture *f = calloc(1, sizeof *f);
        fixture = f;
        f->scratch = scratch_new();
        assert_non_null(f->scratch);
        assert_int_equal(worker_new_inline(&f->worker), 0);
        assert_int_equal(worker_new_inline(&f->writer), 0);
        StoreOptions options = {
                .path = f->scratch->path,
                .worker = f->worker,
                .writer = f->writer,
                .direct_bytes = DIRECT_BYTES,
                .calm_usec = 1,
                .events = { .written = on_written, .durable = on_durable, .userdata = f },
        };
        char *error = NULL;
        assert_int_equal(store_open(&options, &f->store, &error), 0);
        SessionConfig config = {
                .accepted_versions = versions,
                .max_users = 8,
                .max_user_name = 64,
                .max_metadata = 1 << 16,
                .max_nodes = 100,
                .max_init_bytes = 1 << 20,
                .max_node_bytes = 1 << 20,
                .graph_cache_bytes = 1 << 20,
                .timeout_usec = 10000000,
                .reconnect_grace_usec = 10000000,
        };
        config.pickle_limits = pickle_limits_default;
        assert_int_equal(session_new(&f->session, &config), 0);
        f->executor = executor_new(f->session, f->store, f->worker, &funcs);
        assert_non_null(f->executor);
        executor_set_net(f->executor, net_fake);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;
        f->executor = executor_free(f->executor);
        session_free(f->session);
        store_close(f->store);
        worker_free(f->writer);
        worker_free(f->worker);
        scratch_free(f->scratch);
        free(f);
        return 0;
}

static void push_journal_of(Fixture *f, Bytes *blob)
{
        Effect *e = effect_list_push(executor_effects(f->executor), EFFECT_JOURNAL);
        e->journal.record = (SessionRecord){
                .kind = RECORD_NODE,
                .key = bytes_new_copy("uuid", 4),
                .meta = bytes_new_copy("meta", 4),
                .blob = blob,
        };
}

static void push_journal(Fixture *f)
{
        push_journal_of(f, bytes_new_copy(PAYLOAD, strlen(PAYLOAD)));
}

static void push_large_journal(Fixture *f)
{
        char payload[2 * DIRECT_BYTES] = PAYLOAD;
        push_journal_of(f, bytes_new_copy(payload, sizeof payload));
}

static void push_send(Fixture *f, SendClass class)
{
        Bytes *frame = bytes_new_copy("x", 1);
        Effect *e = effect_list_push(executor_effects(f->executor), EFFECT_SEND);
        e->send.class = class;
        e->send.channel = class == SEND_PING ? CHANNEL_TTL : CHANNEL_DATA;
        e->send.frames = frames_new(&frame, 1);
}

static void test_journal_before_send(void **state)
{
        Fixture *f = *state;
        /* In the wrong order on purpose: of one turn, the journal goes first. */
        push_send(f, SEND_BULK);
        push_journal(f);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 1);
        assert_true(f->in_log_when_sent);
}

static void test_always_waits_for_the_disk(void **state)
{
        Fixture *f = *state;
        executor_set_always(f->executor, true);
        push_journal(f);
        push_send(f, SEND_BULK);
        push_send(f, SEND_PING);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 0);
        assert_int_equal(f->n_pings, 1); /* a heartbeat waits for nothing */
        assert_true(executor_held_bytes(f->executor) > 0);
        while (f->n_sent == 0)
                assert_true(worker_dispatch(f->worker) > 0 || worker_pending(f->worker) > 0);
        assert_true(f->durable_when_sent);
        assert_int_equal(f->n_pings, 1);
        assert_int_equal(executor_held_bytes(f->executor), 0);
}

/* What needs no journal may still not overtake what was held back before it. */
static void test_always_keeps_the_order_of_turns(void **state)
{
        Fixture *f = *state;
        executor_set_always(f->executor, true);
        push_journal(f);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        push_send(f, SEND_CONTROL);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 0);
        worker_drain(f->worker, true);
        assert_int_equal(f->n_sent, 2);
}

/* The loop does not write it, and yet nobody sees it, nor what came after it, before it is in the log. */
static void test_large_write_holds_turns(void **state)
{
        Fixture *f = *state;
        push_large_journal(f);
        push_send(f, SEND_BULK);
        push_send(f, SEND_PING);
        assert_int_equal(executor_run(f->executor), 0);
        push_send(f, SEND_CONTROL);
        push_send(f, SEND_PING);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 0);
        assert_int_equal(f->n_pings, 2);
        assert_false(log_contains(f->scratch->path, PAYLOAD));
        worker_drain(f->writer, true);
        assert_int_equal(f->n_sent, 2);
        assert_true(f->in_log_when_sent);
        assert_false(f->durable_when_sent);
        assert_int_equal(executor_held_bytes(f->executor), 0);
}

static void test_small_write_behind_a_large_one(void **state)
{
        Fixture *f = *state;
        push_large_journal(f);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        push_journal(f);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 0);
        worker_drain(f->writer, true);
        assert_int_equal(f->n_sent, 2);
        assert_int_equal(store_written_sequence(f->store), 2);
        /* Nothing is in the way any more: the next is written and sent at once. */
        push_journal(f);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 3);
}

/* A write that does not end stops nobody for long, and somebody is told. */
static void test_write_that_hangs(void **state)
{
        Fixture *f = *state;
        push_large_journal(f);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        store_watch(f->store);
        assert_int_equal(f->n_sent, 0);
        assert_null(store_degraded(f->store));
        for (unsigned i = 0; i < 10000 && !store_degraded(f->store); i++) {
                usleep(1000);
                store_watch(f->store);
        }
        assert_non_null(store_degraded(f->store));
        assert_int_equal(f->n_sent, 1);
        push_journal(f);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 2);
        worker_drain(f->writer, true);
        while (store_durable_sequence(f->store) < 2) {
                store_sync_begin(f->store);
                worker_drain(f->worker, true);
                worker_drain(f->writer, true);
        }
        assert_null(store_degraded(f->store));
        assert_true(log_contains(f->scratch->path, PAYLOAD));
}

/* What was passed on before it was written is not kept in memory for ever. */
static void test_payloads_are_mapped_when_the_disk_has_caught_up(void **state)
{
        Fixture *f = *state;
        char payload[2 * DIRECT_BYTES] = PAYLOAD;
        Scene *scene = session_scene(f->session);
        _cleanup_bytes_ Bytes *owner = bytes_new_copy("COMMON", 6), *dependencies = bytes_new_copy("\x80\x04].", 4);
        Bytes *blob = bytes_new_copy(payload, sizeof payload);
        Node *n;
        assert_int_equal(scene_put(scene, "uuid", 4, owner, dependencies, blob, 1, &n), 0);
        push_journal_of(f, blob);
        Effect *e = &executor_effects(f->executor)->items[0];
        e->journal.node_id = node_id(n);
        e->journal.version = node_version(n);
        assert_int_equal(executor_run(f->executor), 0);
        for (unsigned i = 0; i < 10000 && !store_degraded(f->store); i++) {
                usleep(1000);
                store_watch(f->store);
        }
        assert_non_null(store_degraded(f->store));
        assert_false(executor_is_holding(f->executor));
        assert_false(node_is_mapped(n));
        worker_drain(f->writer, true);
        assert_int_equal(executor_run(f->executor), 0);
        assert_true(node_is_mapped(n));
        _cleanup_bytes_ Bytes *base = scene_base(scene, n);
        assert_memory_equal(base->data, payload, sizeof payload);
}

/* Sending can bring about a write, and that news: nothing is sent twice for it. */
static void test_news_while_held_turns_go_out(void **state)
{
        Fixture *f = *state;
        push_large_journal(f);
        push_send(f, SEND_BULK);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        push_send(f, SEND_CONTROL);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 0);
        f->news_when_sent = true;
        worker_drain(f->writer, true);
        assert_int_equal(f->n_sent, 3);
        assert_int_equal(executor_held_bytes(f->executor), 0);
}

static void test_refused_send_reaches_the_session(void **state)
{
        Fixture *f = *state;
        f->next_result = NET_FULL;
        push_send(f, SEND_BULK);
        push_send(f, SEND_BULK);
        assert_int_equal(executor_run(f->executor), 0);
        assert_int_equal(f->n_sent, 2);
        assert_int_equal(executor_effects(f->executor)->n_items, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_journal_before_send, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_always_waits_for_the_disk, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_always_keeps_the_order_of_turns, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_large_write_holds_turns, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_small_write_behind_a_large_one, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_write_that_hangs, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_payloads_are_mapped_when_the_disk_has_caught_up, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_news_while_held_turns_go_out, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused_send_reaches_the_session, set_up, tear_down),
        };
        return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
