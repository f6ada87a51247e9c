/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logging in, filling a session, joining one, leaving. */
#include <stdio.h>

#include "sim-private.h"
#include "test.h"

static void setup(Sim *sim, SimClient **host)
{
        sim_init(sim, 7);
        *host = sim_client(sim, "host", true);
        sim_enter(*host);
}

/* host has filled the session with a, b and c. */
static void setup_running(Sim *sim, SimClient **host)
{
        setup(sim, host);
        sim_add_local(*host, "a", "COMMON");
        sim_add_local(*host, "b", "COMMON");
        sim_add_local(*host, "c", "COMMON");
        sim_init_session(*host);
        sim_run(sim, SIM_SEC);
        assert_int_equal((*host)->state, SIM_ACTIVE);
}

static void expect_refusal(SimClient *c, const char *reason)
{
        sim_run(c->sim, SIM_SEC);
        assert_int_equal(c->state, SIM_OUT);
        assert_string_equal(c->last_answer, reason);
        assert_false(c->raised);
}

/* ---- login ---- */

static void test_refusals(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        SimClient *twin = sim_client(&sim, "host", false);
        sim_login(twin, NULL);
        expect_refusal(twin, "FAILED: client already logged in");
        SimClient *c = sim_client(&sim, "somebody", true);
        sim_login_with(c, "0.9.10", "", "guess");
        size_t penalties = sim.n_penalties;
        expect_refusal(c, "FAILED: wrong admin password");
        assert_int_equal(sim.n_penalties, penalties + 1);
        sim_login_with(c, "0.9.9", "", NULL);
        expect_refusal(c, "FAILED: wrong client version (0.9.9 != 0.9.10)");
        sim_login_with(c, "LOBBY", "", NULL);
        expect_refusal(c, "FAILED: wrong client version (unknown != 0.9.10)");
        sim_login_with(c, "0.9.10", "something", NULL);
        expect_refusal(c, "FAILED: wrong server password");
        /* Nor is it told who is there. */
        sim_login_with(twin, "0.9.10", "something", NULL);
        expect_refusal(twin, "FAILED: wrong server password");
        static const char *const bad_names[] = { "", "COMMON", "server", "tab\tname" };
        for (size_t i = 0; i < ELEMENTSOF(bad_names); i++) {
                snprintf(c->name, sizeof c->name, "%s", bad_names[i]);
                sim_login(c, NULL);
                sim_run(&sim, SIM_SEC);
                assert_int_equal(c->state, SIM_OUT);
                assert_int_equal(strncmp(c->last_answer, "FAILED: ", 8), 0);
        }
        assert_int_equal(sim.n_logs[SESSION_EVENT_LOGIN], 1);
        sim_done(&sim);
}

static void test_names_that_sound_like_answers(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        SimClient *c = sim_client(&sim, "RUNNING", false), *twin = sim_client(&sim, "RUNNING", false);
        sim_enter(c);
        sim_login(twin, NULL);
        expect_refusal(twin, "FAILED: client already logged in");
        sim_done(&sim);
}

static void test_server_password(void **state)
{
        Sim sim;
        sim_init(&sim, 1);
        sim.config.server_password = "secret";
        assert_int_equal(session_reconfigure(sim.session, &sim.config), 0);
        SimClient *c = sim_client(&sim, "somebody", false);
        sim_login_with(c, "0.9.10", NULL, NULL);
        expect_refusal(c, "FAILED: wrong server password");
        sim_login_with(c, "0.9.10", "secret", NULL);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(c->state, SIM_LOBBY);
        sim_done(&sim);
}

static void test_too_many_users(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        sim.config.max_users = 1;
        assert_int_equal(session_reconfigure(sim.session, &sim.config), 0);
        SimClient *c = sim_client(&sim, "second", false);
        sim_login(c, NULL);
        expect_refusal(c, "FAILED: too many users");
        sim_done(&sim);
}

static void test_guests_may_only_log_in(void **state)
{
        Sim sim;
        sim_init(&sim, 1);
        SimClient *c = sim_client(&sim, "guest", false);
        c->id.size = 5;
        c->connected = true;
        c->state = SIM_LOBBY;
        sim_metadata(c, "color", 1);
        sim_delete(c, "a");
        sim_add_local(c, "a", "COMMON");
        sim_push_whole(c, "a");
        Bytes *pong = bytes_new_copy("PONG", 4);
        sim_send(c, CHANNEL_TTL, &pong, 1);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(sim.n_penalties, 4);
        assert_int_equal(sim.n_logs[SESSION_EVENT_MALFORMED], 4);
        assert_int_equal(c->n_tables + c->n_deletes + c->n_rights + c->n_data, 0);
        assert_int_equal(scene_n_nodes(session_scene(sim.session)), 0);
        sim_done(&sim);
}

/* Many at once, each of which tells of itself as soon as it is in. What that costs grows with their number, not with its
 * square: not everybody is sent a table for everybody else's login. */
static void test_storm_of_logins(void **state)
{
        enum { CROWD = 32 };
        Sim sim;
        SimClient *host, *c[CROWD];
        setup_running(&sim, &host);
        sim.config.max_users = CROWD + 1;
        assert_int_equal(session_reconfigure(sim.session, &sim.config), 0);
        size_t tables = sim.n_tables, built = sim.n_tables_built, told = host->n_tables;
        bool has_told[CROWD] = {};
        for (int i = 0; i < CROWD; i++) {
                char name[16];
                snprintf(name, sizeof name, "user %d", i);
                c[i] = sim_client(&sim, name, false);
                sim_login(c[i], NULL);
        }
        for (int step = 0; step < 40; step++) {
                sim_run(&sim, SIM_MSEC);
                for (int i = 0; i < CROWD; i++) {
                        if (!has_told[i] && c[i]->state != SIM_AUTH)
                                sim_metadata(c[i], "color", i);
                        has_told[i] |= c[i]->state != SIM_AUTH;
                }
        }
        sim_run(&sim, SIM_SEC);
        assert_in_range(host->n_tables - told, 1, 12);
        assert_in_range(sim.n_tables - tables, CROWD, 14 * CROWD);
        assert_in_range(sim.n_tables_built - built, 1, 5 * CROWD);
        for (int i = 0; i < CROWD; i++) {
                const Value *row = value_dict_get_string(host->users, c[i]->name);
                assert_int_equal(value_int_get(value_dict_get_string(value_dict_get_string(row, "metadata"), "color")), i);
                assert_false(c[i]->raised);
                assert_int_equal(c[i]->state, SIM_ACTIVE);
                assert_int_equal(value_table_length(c[i]->users), CROWD + 1);
        }
        /* Nor for everybody else's latency. */
        sim_run(&sim, 10 * SIM_SEC);
        told = host->n_tables;
        sim.delay_max = 400 * SIM_MSEC;
        sim_run(&sim, 60 * SIM_SEC);
        assert_in_range(host->n_tables - told, 1, 4);
        assert_false(host->raised);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

static int64_t latency_at(const SimClient *c, const SimClient *of)
{
        return value_int_get(value_dict_get_string(value_dict_get_string(c->users, of->name), "latency"));
}

/* However much a line varies, it is the same line; another one is told. */
static void test_jitter_is_no_news(void **state)
{
        for (uint64_t ms = 20; ms <= 80; ms *= 2) {
                Sim sim;
                SimClient *host, *c;
                setup_running(&sim, &host);
                sim.delay_max = ms * SIM_MSEC;
                c = sim_client(&sim, "c", false);
                sim_login(c, NULL);
                sim_run(&sim, 120 * SIM_SEC);
                size_t told = host->n_tables;
                sim_run(&sim, 600 * SIM_SEC);
                assert_int_equal(host->n_tables - told, 0);
                assert_in_range(latency_at(host, c), ms / 2, ms * 3 / 2);

                /* One round trip is not the line. */
                sim.delay_max *= 20;
                sim_run(&sim, SIM_SEC);
                sim.delay_max /= 20;
                sim_run(&sim, 60 * SIM_SEC);
                assert_in_range(host->n_tables - told, 0, 2);

                told = host->n_tables;
                sim.delay_max *= 5;
                sim_run(&sim, 60 * SIM_SEC);
                assert_in_range(host->n_tables - told, 1, 6);
                assert_in_range(latency_at(host, c), ms * 5 / 2, ms * 15 / 2);
                assert_false(host->raised || c->raised);
                sim_done(&sim);
        }
}

static uint32_t measured(const Sim *sim, const char *name)
{
        SessionUserInfo info;
        for (size_t i = 0; session_get_user(sim->session, i, &info) == 0; i++)
                if (strcmp(info.name, name) == 0)
                        return info.latency_msec;
        return UINT32_MAX;
}

/* Several heartbeats are on their way at once then. */
static void test_round_trips_of_seconds(void **state)
{
        static const uint64_t round_trips[] = { 100, 700, 1100, 2000, 2800, 5000 };
        for (size_t i = 0; i < ELEMENTSOF(round_trips); i++) {
                uint64_t ms = round_trips[i];
                Sim sim;
                SimClient *host, *c;
                setup_running(&sim, &host);
                c = sim_client(&sim, "c", false);
                sim_login(c, NULL);
                sim_run(&sim, 10 * SIM_SEC);
                sim.delay_min = sim.delay_max = ms * SIM_MSEC / 2;
                sim_run(&sim, 120 * SIM_SEC);
                assert_in_range(measured(&sim, "c"), ms - 50, ms + 50);

                /* After a restart as well. */
                sim_stop(&sim);
                sim_run(&sim, SIM_SEC);
                sim_start(&sim);
                sim_run(&sim, 120 * SIM_SEC);
                if (ms < 3000)
                        assert_in_range(measured(&sim, "c"), ms - 50, ms + 50);

                sim.delay_min = 0;
                sim.delay_max = 20 * SIM_MSEC;
                sim_run(&sim, 120 * SIM_SEC);
                assert_in_range(measured(&sim, "c"), 0, 40);
                assert_false(host->raised || c->raised);
                sim_done(&sim);
        }
}

/* ---- init ---- */

static void test_init_fills_the_lobby(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        SimClient *c = sim_client(&sim, "waiting", false);
        sim_enter(c);
        sim_add_local(host, "a", "COMMON");
        sim_add_local(host, "b", "host");
        sim_init_session(host);
        sim_run(&sim, 2 * SIM_SEC);
        assert_int_equal(host->state, SIM_ACTIVE);
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_null(sim_compare(&sim));
        assert_true(bytes_equal_string(sim_find_text(c, "b")->owner, "host"));
        sim_done(&sim);
}

static void test_init_is_for_admins(void **state)
{
        Sim sim;
        sim_init(&sim, 1);
        SimClient *c = sim_client(&sim, "plain", false);
        sim_enter(c);
        sim_add_local(c, "a", "COMMON");
        sim_init_session(c);
        sim_run(&sim, SIM_SEC);
        assert_string_equal(c->last_answer, "REJECTED");
        assert_int_equal(c->state, SIM_LOBBY);
        sim_done(&sim);
}

static void test_second_init_is_rejected_and_joins(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        SimClient *other = sim_client(&sim, "other", true);
        sim_enter(other);
        sim_add_local(host, "a", "COMMON");
        sim_add_local(other, "z", "COMMON");
        sim_init_session(host);
        while (host->up[CHANNEL_COMMAND].n < 2)
                sim_run(&sim, SIM_MSEC);
        for (size_t i = 0; i < host->up[CHANNEL_COMMAND].n; i++)
                host->up[CHANNEL_COMMAND].packets[i].arrives = sim.now + SIM_SEC;
        sim_init_session(other);
        sim_run(&sim, 500 * SIM_MSEC);
        assert_int_equal(other->state, SIM_LOBBY);
        sim_run(&sim, 3 * SIM_SEC);
        assert_int_equal(other->state, SIM_ACTIVE);
        assert_string_equal(other->last_answer, "REJECTED");
        assert_false(other->raised);
        assert_null(scene_find(session_scene(sim.session), "z", 1));
        sim_done(&sim);
}

static void test_vanished_initiator(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        SimClient *other = sim_client(&sim, "other", true);
        sim_enter(other);
        for (int i = 0; i < 20; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "n%d", i);
                sim_add_local(host, uuid, "COMMON");
        }
        sim_init_session(host);
        while (host->up[CHANNEL_COMMAND].n < 10)
                sim_run(&sim, SIM_MSEC);
        sim_run(&sim, 1 * SIM_MSEC);
        sim_leave(host, false);
        sim_run(&sim, 6 * SIM_SEC);
        assert_int_equal(sim.n_logs[SESSION_EVENT_INIT_ROLLED_BACK], 1);
        assert_int_equal(scene_n_nodes(session_scene(sim.session)), 0);
        assert_int_equal(other->state, SIM_LOBBY);
        sim_add_local(other, "a", "COMMON");
        sim_init_session(other);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(other->state, SIM_ACTIVE);
        sim_done(&sim);
}

static void init_step(SimClient *c, const char *step)
{
        sim_command(c, 8, "server", sim_put(value_dict_new(), "STATE", value_string_new(step)));
}

static void test_init_out_of_order(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        init_step(host, "END");
        init_step(host, "SET");
        sim_run(&sim, SIM_SEC);
        assert_int_equal(host->state, SIM_LOBBY);
        /* Fewer nodes than announced. */
        sim_add_local(host, "a", "COMMON");
        sim_add_local(host, "b", "COMMON");
        sim_init_session(host);
        init_step(host, "END");
        sim_run(&sim, SIM_SEC);
        assert_string_equal(host->last_answer, "REJECTED");
        assert_int_equal(host->state, SIM_LOBBY);
        assert_int_equal(sim.n_logs[SESSION_EVENT_INIT_ROLLED_BACK], 1);
        assert_int_equal(scene_n_nodes(session_scene(sim.session)), 0);
        sim_done(&sim);
}

/* It was said to a server that was being restarted. */
static void test_init_of_the_heartbeat_is_lost(void **state)
{
        Sim sim;
        SimClient *host;
        setup(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim_login(c, NULL);
        sim_queue_clear(&c->up[CHANNEL_TTL]);
        sim_run(&sim, 20 * SIM_SEC);
        assert_int_equal(c->state, SIM_LOBBY);
        assert_true(c->last_ping + 2 * SIM_SEC > sim.now);
        sim_done(&sim);
}

/* Each heartbeat alone would wake up the server, twice. */
static void test_pings_go_out_together(void **state)
{
        Sim sim;
        SimClient *c[4];
        setup(&sim, &c[0]);
        sim.delay_min = sim.delay_max = 5 * SIM_MSEC;
        for (size_t i = 1; i < ELEMENTSOF(c); i++) {
                sim_run(&sim, 270 * SIM_MSEC);
                char name[8];
                snprintf(name, sizeof name, "c%zu", i);
                c[i] = sim_client(&sim, name, false);
                sim_login(c[i], NULL);
        }
        sim_run(&sim, SIM_SEC);
        for (unsigned second = 0; second < 5; second++) {
                uint64_t last = c[0]->last_ping;
                sim_run(&sim, SIM_SEC);
                assert_in_range(c[0]->last_ping, last + 1, last + SIM_SEC + 10 * SIM_MSEC);
                for (size_t i = 1; i < ELEMENTSOF(c); i++)
                        assert_int_equal(c[i]->last_ping, c[0]->last_ping);
        }
        sim_done(&sim);
}

/* ---- join ---- */

static void test_join(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim_enter(c);
        assert_string_equal(c->last_answer, "RUNNING");
        assert_null(sim_compare(&sim));
        assert_int_equal(c->n_catalogs, 1);
        sim_done(&sim);
}

static void test_join_while_others_edit(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim.delay_max = 40 * SIM_MSEC;
        sim_login(c, NULL);
        for (int i = 0; i < 60; i++) {
                sim_append(host, i % 2 ? "a" : "b", i);
                if (i == 20)
                        sim_new_node(host, "new", "a");
                if (i == 25)
                        sim_delete(host, "c");
                sim_run(&sim, 10 * SIM_MSEC);
        }
        sim_run(&sim, 5 * SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_int_equal(sim_length(c, "a"), 30);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

static void test_get_of_what_is_not_there(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim_login(c, NULL);
        while (c->state != SIM_SYNCING)
                sim_run(&sim, SIM_MSEC);
        Value *extra = value_string_new("nowhere");
        value_list_append(c->catalog, extra);
        value_unref(extra);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_int_equal(c->n_removed, 1);
        sim_done(&sim);
}

/* How long a join of n nodes takes when everything takes up to delay. */
static uint64_t time_join(size_t n, uint64_t delay, size_t ahead)
{
        Sim sim;
        sim_init(&sim, 1);
        sim.config.join_ahead_bytes = ahead;
        sim.delay_max = delay;
        sim_stop(&sim);
        sim_start(&sim);
        SimClient *host = sim_client(&sim, "host", true);
        sim_enter(host);
        for (size_t i = 0; i < n; i++) {
                char uuid[32];
                snprintf(uuid, sizeof uuid, "node-%zu", i);
                sim_add_local(host, uuid, "COMMON");
        }
        sim_init_session(host);
        sim_run(&sim, 5 * SIM_SEC);
        SimClient *c = sim_client(&sim, "c", false);
        sim_login(c, NULL);
        uint64_t start = sim.now;
        while (c->state != SIM_ACTIVE) {
                assert_true(sim.now - start < 60 * SIM_SEC);
                sim_run(&sim, SIM_MSEC);
        }
        uint64_t took = sim.now - start;
        sim_run(&sim, SIM_SEC);
        assert_int_equal(c->n_nodes, n);
        assert_int_equal(c->n_catalogs, 1);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
        return took;
}

static void test_nodes_are_sent_ahead(void **state)
{
        assert_true(time_join(200, 50 * SIM_MSEC, 4 << 20) < 2 * SIM_SEC);
        /* At the least of it, a node and half of the longest way. */
        assert_true(time_join(200, 50 * SIM_MSEC, 0) > 5 * SIM_SEC);
}

static void test_running_without_nodes_is_a_lobby(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        sim_delete(host, "a");
        sim_delete(host, "b");
        sim_delete(host, "c");
        sim_run(&sim, 3 * SIM_SEC);
        assert_int_equal(host->n_nodes, 0);
        SimClient *c = sim_client(&sim, "c", false);
        sim_enter(c);
        assert_string_equal(c->last_answer, "LOBBY");
        sim_new_node(host, "d", NULL);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

static void test_large_nodes_are_encoded_elsewhere(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimNode *n = sim_find_text(host, "a");
        uint8_t *data = calloc(1, 3 << 20);
        sim_put(n->data, "blob", value_bytes_new(data, 3 << 20));
        free(data);
        sim_push_whole(host, "a");
        sim_append(host, "a", 5);
        sim_run(&sim, SIM_SEC);
        SimClient *c = sim_client(&sim, "c", false);
        sim_login(c, NULL);
        bool encoded = false;
        for (int i = 0; i < 3000 && c->state != SIM_ACTIVE; i++) {
                sim_run(&sim, SIM_MSEC);
                encoded |= sim.n_jobs > 0;
                if (i % 20 == 0)
                        sim_append(host, "a", i);
        }
        assert_true(encoded);
        sim_run(&sim, 3 * SIM_SEC);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

/* ---- leaving ---- */

static void test_leaving(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim_enter(c);
        sim_right(c, "a", "c");
        sim_run(&sim, SIM_SEC);
        assert_true(bytes_equal_string(sim_find_text(host, "a")->owner, "c"));
        /* Blender has crashed: its heartbeat goes on. */
        sim_leave(c, true);
        sim_run(&sim, 4 * SIM_SEC);
        assert_true(bytes_equal_string(sim_find_text(host, "a")->owner, "c"));
        sim_run(&sim, 2 * SIM_SEC);
        assert_true(bytes_equal_string(sim_find_text(host, "a")->owner, "COMMON"));
        assert_string_equal(sim.last_save, "user_disconnect:c");
        assert_int_equal(value_table_length(host->users), 1);
        assert_int_equal(sim.n_closes, 1);
        sim_done(&sim);
}

static void test_same_user_need_not_wait(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim_enter(c);
        sim_right(c, "a", "c");
        sim_run(&sim, SIM_SEC);
        sim_leave(c, true);
        sim_enter(c);
        assert_int_equal(sim.n_logs[SESSION_EVENT_LEFT], 1);
        assert_null(sim_compare(&sim));
        /* Somebody elsewhere with the same name has to. */
        sim_leave(c, true);
        SimClient *thief = sim_client(&sim, "c", false);
        sim_login(thief, NULL);
        expect_refusal(thief, "FAILED: client already logged in");
        sim_run(&sim, 5 * SIM_SEC);
        sim_login(thief, NULL);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(thief->state, SIM_ACTIVE);
        sim_done(&sim);
}

static void test_silence(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim_enter(c);
        c->ttl_runs = false;
        sim_run(&sim, 9 * SIM_SEC);
        assert_int_equal(sim.n_logs[SESSION_EVENT_LEFT], 0);
        sim_run(&sim, 3 * SIM_SEC);
        assert_int_equal(sim.n_logs[SESSION_EVENT_LEFT], 1);
        sim_done(&sim);
}

static void test_kick(void **state)
{
        Sim sim;
        SimClient *host;
        setup_running(&sim, &host);
        SimClient *c = sim_client(&sim, "c", false);
        sim_enter(c);
        sim_kick(c, "host");
        sim_run(&sim, SIM_SEC);
        assert_int_equal(host->state, SIM_ACTIVE);
        assert_int_equal(sim.n_logs[SESSION_EVENT_FORBIDDEN], 1);
        sim_kick(host, "c");
        sim_run(&sim, SIM_SEC);
        assert_int_equal(c->state, SIM_OUT);
        assert_string_equal(c->reason, "told to disconnect");
        assert_int_equal(value_table_length(host->users), 1);
        assert_int_equal(session_kick(sim.session, sim_time(&sim), "nobody", "x", &(EffectList){}), 1);
        sim_done(&sim);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_names_that_sound_like_answers),
                cmocka_unit_test(test_server_password),
                cmocka_unit_test(test_too_many_users),
                cmocka_unit_test(test_guests_may_only_log_in),
                cmocka_unit_test(test_storm_of_logins),
                cmocka_unit_test(test_jitter_is_no_news),
                cmocka_unit_test(test_round_trips_of_seconds),
                cmocka_unit_test(test_init_fills_the_lobby),
                cmocka_unit_test(test_init_is_for_admins),
                cmocka_unit_test(test_second_init_is_rejected_and_joins),
                cmocka_unit_test(test_vanished_initiator),
                cmocka_unit_test(test_init_out_of_order),
                cmocka_unit_test(test_init_of_the_heartbeat_is_lost),
                cmocka_unit_test(test_pings_go_out_together),
                cmocka_unit_test(test_join),
                cmocka_unit_test(test_join_while_others_edit),
                cmocka_unit_test(test_get_of_what_is_not_there),
                cmocka_unit_test(test_nodes_are_sent_ahead),
                cmocka_unit_test(test_running_without_nodes_is_a_lobby),
                cmocka_unit_test(test_large_nodes_are_encoded_elsewhere),
                cmocka_unit_test(test_leaving),
                cmocka_unit_test(test_same_user_need_not_wait),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_kick),
        };
        return cmocka_run_group_tests_name("session-login", tests, NULL, NULL);
}
