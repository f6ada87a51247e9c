/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An init: what it may hold, and what comes between. */
#include <stdio.h>

#include "sim-private.h"
#include "test.h"

static void setup(Sim *sim, SimClient **host)
{
        sim_init(sim, 7);
        *host = sim_client(sim, "host", true);
        sim_enter(*host);
}

static void test_init_bounds(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        sim.config.max_nodes = 1;
        assert_int_equal(session_reconfigure(sim.session, &sim.config), 0);
        sim_add_local(host, "a", "COMMON");
        sim_add_local(host, "b", "COMMON");
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        assert_string_equal(host->last_answer, "REJECTED");
        sim.config.max_nodes = 10;
        sim.config.max_init_bytes = 10;
        assert_int_equal(session_reconfigure(sim.session, &sim.config), 0);
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        assert_string_equal(host->last_answer, "REJECTED");
        assert_int_equal(host->state, SIM_LOBBY);
        sim_done(&sim);
}

/* More nodes than are looked at in one turn. */
#define LARGE 2000

static void begin_large_init(Sim *sim, SimClient **host)
{
        setup(sim, host);
        sim->config.max_nodes = 2 * LARGE;
        assert_int_equal(session_reconfigure(sim->session, &sim->config), 0);
        for (int i = 0; i < LARGE; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "node %d", i);
                sim_add_local(*host, uuid, i % 2 ? "host" : "COMMON");
        }
        sim_init_session(*host);
}

/* Until the nodes of a large init are on their way into the scene. */
static void run_into_adoption(Sim *sim)
{
        for (int i = 0; i < 5000 && scene_n_nodes(session_scene(sim->session)) == 0; i++)
                sim_run(sim, SIM_MSEC);
        assert_in_range(scene_n_nodes(session_scene(sim->session)), 1, LARGE - 1);
}

static void test_large_init_keeps_nobody_waiting(void **state)
{
        Sim sim;
        SimClient *host;
        begin_large_init(&sim, &host);
        SimClient *waiting = sim_client(&sim, "waiting", false), *late = sim_client(&sim, "late", false);
        sim_login(waiting, NULL);
        size_t before = 0, most = 0;
        for (int i = 0; i < 5000 && host->state != SIM_ACTIVE; i++) {
                sim_run(&sim, SIM_MSEC);
                size_t n = scene_n_nodes(session_scene(sim.session));
                most = MAX(most, n - before);
                before = n;
                if (n > 0 && n < LARGE && late->state == SIM_OUT)
                        sim_login(late, NULL);
        }
        assert_int_equal(before, LARGE);
        assert_in_range(most, 1, LARGE / 2);
        sim_run(&sim, 20 * SIM_SEC);
        assert_int_equal(waiting->state, SIM_ACTIVE);
        assert_int_equal(late->state, SIM_ACTIVE);
        assert_false(host->raised || waiting->raised || late->raised);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

/* As long as much is still to come, from both the one who fills it and one who joins; to the last message of either nothing is
 * added. */
static void test_messages_of_a_large_scene_are_taken_together(void **state)
{
        Sim sim;
        SimClient *host;
        begin_large_init(&sim, &host);
        size_t most = 0;
        for (int i = 0; i < 5000 && host->state != SIM_ACTIVE; i++) {
                sim_run(&sim, SIM_MSEC);
                most = MAX(most, host->gathered[CHANNEL_COMMAND]);
        }
        assert_int_equal(host->state, SIM_ACTIVE);
        assert_true(most > 0);
        assert_int_equal(host->gathered[CHANNEL_COMMAND], 0);

        SimClient *c = sim_client(&sim, "c", false);
        sim_login(c, NULL);
        most = 0;
        for (int i = 0; i < 60000 && c->state != SIM_ACTIVE; i++) {
                sim_run(&sim, SIM_MSEC);
                most = MAX(most, c->gathered[CHANNEL_COMMAND]);
        }
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_true(most > 0);
        assert_int_equal(c->gathered[CHANNEL_COMMAND], 0);
        sim_done(&sim);
}

static void test_initiator_leaves_when_all_is_there(void **state)
{
        Sim sim;
        SimClient *host;
        begin_large_init(&sim, &host);
        run_into_adoption(&sim);
        sim_leave(host, false);
        sim_run(&sim, 10 * SIM_SEC);
        Scene *scene = session_scene(sim.session);
        assert_int_equal(scene_n_nodes(scene), LARGE);
        assert_int_equal(scene_n_owned(scene, "host", 4), 0);
        assert_int_equal(sim.n_logs[SESSION_EVENT_INIT_ROLLED_BACK], 0);
        sim_done(&sim);
}

static void test_kill_when_all_is_there(void **state)
{
        Sim sim;
        SimClient *host;
        begin_large_init(&sim, &host);
        run_into_adoption(&sim);
        sim_stop(&sim);
        sim_start(&sim);
        sim_run(&sim, 10 * SIM_SEC);
        assert_int_equal(scene_n_nodes(session_scene(sim.session)), LARGE);
        sim_done(&sim);
}

/* Its DONE is lost with the server: it goes on waiting, and a second one would end a client that has had the first. */
static void test_kill_before_done_has_arrived(void **state)
{
        for (int arrives = 0; arrives < 2; arrives++) {
                Sim sim;
                SimClient *host;
                setup(&sim, &host);
                sim_add_local(host, "a", "COMMON");
                sim_init_session(host);
                while (scene_n_nodes(session_scene(sim.session)) == 0)
                        sim_run(&sim, SIM_MSEC);
                if (arrives)
                        sim_run(&sim, 200 * SIM_MSEC);
                else
                        sim_queue_clear(&host->down[CHANNEL_COMMAND]);
                sim_stop(&sim);
                sim_start(&sim);
                sim_run(&sim, 3 * SIM_SEC);
                if (arrives)
                        sim_set(host, "a", "x", 1);
                sim_run(&sim, 9 * SIM_SEC);
                assert_false(host->raised);
                assert_int_equal(host->state, arrives ? SIM_ACTIVE : SIM_OUT);
                assert_string_equal(host->reason, arrives ? "" : "told to disconnect");
                sim_done(&sim);
        }
}

static void test_change_while_an_init_is_taken_over(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        sim_add_local(host, "old", "COMMON");
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        sim_delete(host, "old");
        sim_run(&sim, 3 * SIM_SEC);
        sim.config.max_nodes = 2 * LARGE;
        assert_int_equal(session_reconfigure(sim.session, &sim.config), 0);
        SimClient *second = sim_client(&sim, "second", true);
        sim_enter(second);
        for (int i = 0; i < LARGE; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "node %d", i);
                sim_add_local(second, uuid, "COMMON");
        }
        sim_init_session(second);
        run_into_adoption(&sim);
        sim_add_local(host, "node 1999", "COMMON");
        sim_push_whole(host, "node 1999");
        sim_new_node(host, "mine", "node 1999");
        sim_run(&sim, 20 * SIM_SEC);
        assert_int_equal(scene_n_nodes(session_scene(sim.session)), LARGE + 1);
        assert_int_equal(second->state, SIM_ACTIVE);
        assert_int_equal(host->state, SIM_ACTIVE);
        assert_null(sim_compare(&sim));
        sim_stop(&sim);
        sim_start(&sim);
        sim_run(&sim, 5 * SIM_SEC);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

/* Nodes without data take room, as do their dependencies: what is announced is counted before anything has come, what
 * comes when it is there, and once when it comes twice. */
static void test_init_counts_everything(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        sim.config.max_init_bytes = 64 << 10;
        assert_int_equal(session_reconfigure(sim.session, &sim.config), 0);
        Value *uuids = value_list_new();
        for (unsigned i = 0; i < 1000; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "node %u", i);
                Value *v = value_string_new(uuid);
                assert_int_equal(value_list_append(uuids, v), 0);
                value_unref(v);
        }
        Value *data = sim_put(value_dict_new(), "STATE", value_string_new("INIT"));
        sim_put(data, "SIZE", value_int_new(1000));
        host->state = SIM_SRV_SYNC;
        sim_command(host, 8, "server", sim_put(data, "NODES", uuids));
        sim_run(&sim, SIM_SEC);
        assert_string_equal(host->last_answer, "REJECTED");

        sim_add_local(host, "a", "COMMON");
        sim_add_local(host, "b", "COMMON");
        SimNode *a = sim_find_text(host, "a");
        value_unref(a->dependencies);
        a->dependencies = value_list_new();
        for (unsigned i = 0; i < 2000; i++) {
                Value *v = value_string_new("something that is forty bytes long, or so");
                assert_int_equal(value_list_append(a->dependencies, v), 0);
                value_unref(v);
        }
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        assert_string_equal(host->last_answer, "REJECTED");
        assert_int_equal(sim.n_logs[SESSION_EVENT_INIT_ROLLED_BACK], 1);

        value_unref(a->dependencies);
        a->dependencies = value_list_new();
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        assert_string_equal(host->last_answer, "DONE");
        sim_done(&sim);
}

/* Neighbours in an init share what is the same in them, and nothing else. */
static void test_init_tells_nodes_apart(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        static const char *const uuids[] = { "a", "b", "c", "d", "e" };
        for (size_t i = 0; i < ELEMENTSOF(uuids); i++) {
                sim_add_local(host, uuids[i], i % 2 ? "host" : "COMMON");
                SimNode *n = sim_find_text(host, uuids[i]);
                for (size_t k = 0; k < i && i < 4; k++) {
                        Value *v = value_string_new(uuids[k]);
                        assert_int_equal(value_list_append(n->dependencies, v), 0);
                        value_unref(v);
                }
        }
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(host->state, SIM_ACTIVE);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_init_bounds),
                cmocka_unit_test(test_init_counts_everything),
                cmocka_unit_test(test_init_tells_nodes_apart),
                cmocka_unit_test(test_large_init_keeps_nobody_waiting),
                cmocka_unit_test(test_messages_of_a_large_scene_are_taken_together),
                cmocka_unit_test(test_initiator_leaves_when_all_is_there),
                cmocka_unit_test(test_kill_when_all_is_there),
                cmocka_unit_test(test_kill_before_done_has_arrived),
                cmocka_unit_test(test_change_while_an_init_is_taken_over),
        };
        return cmocka_run_group_tests_name("session-init", tests, NULL, NULL);
}
