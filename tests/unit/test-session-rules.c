/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Editing, rights, deletion, metadata, slow users, restarts. */
#include <stdio.h>

#include "pickle/writer.h"
#include "sim-private.h"
#include "test.h"

typedef struct Three {
        Sim sim;
        SimClient *host, *anna, *bert;
} Three;

static void setup(Three *t)
{
        sim_init(&t->sim, 11);
        t->host = sim_client(&t->sim, "host", true);
        sim_enter(t->host);
        sim_add_local(t->host, "a", "COMMON");
        sim_add_local(t->host, "b", "COMMON");
        sim_init_session(t->host);
        sim_run(&t->sim, SIM_SEC);
        t->anna = sim_client(&t->sim, "anna", false);
        t->bert = sim_client(&t->sim, "bert", false);
        sim_enter(t->anna);
        sim_enter(t->bert);
        sim_run(&t->sim, 3 * SIM_SEC);
}

static void done(Three *t)
{
        for (size_t i = 0; i < t->sim.n_clients; i++)
                assert_false(t->sim.clients[i].raised);
        assert_null(sim_compare(&t->sim));
        sim_done(&t->sim);
}

static bool owner_is(const SimClient *c, const char *uuid, const char *owner)
{
        return bytes_equal_string(sim_find_text(c, uuid)->owner, owner);
}

/* ---- updates ---- */

static void test_updates_reach_others_once(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        sim_append(t.anna, "a", 2);
        sim_set(t.anna, "b", "x", 9);
        sim_new_node(t.anna, "n", "a");
        sim_run(&t.sim, SIM_SEC);
        assert_int_equal(sim_length(t.bert, "a"), 2);
        assert_int_equal(t.bert->n_data, 4);
        assert_int_equal(t.anna->n_data, 0);
        assert_int_equal(sim_get(t.host, "b", "x"), 9);
        done(&t);
}

static void test_simultaneous_edits_converge(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        sim_append(t.bert, "a", 2);
        sim_set(t.anna, "b", "x", 5);
        sim_set(t.bert, "b", "x", 6);
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_int_equal(sim_length(t.host, "a"), 2);
        done(&t);
}

static void test_inapplicable_delta(void **state)
{
        Three t;
        setup(&t);
        /* As if its copy had been different: an append at an index that makes deepdiff raise here. */
        Value *change = sim_put(value_dict_new(), "root['x'][0]", value_int_new(1));
        Value *delta = sim_put(value_dict_new(), "iterable_item_added", change);
        Bytes *pickle;
        assert_int_equal(pickle_write(delta, SIZE_MAX, &pickle), 0);
        value_unref(delta);
        Bytes *parts[] = { bytes_new_copy("\x80\x04K\x01.", 5), bytes_new_copy("a", 1), bytes_new_copy("\x80\x04].", 4), pickle };
        sim_send(t.anna, CHANNEL_DATA, parts, 4);
        sim_run(&t.sim, 2 * SIM_SEC);
        SessionStatus status;
        session_get_status(t.sim.session, &status);
        assert_int_equal(status.n_diverged, 1);
        assert_int_equal(t.sim.n_refused_records, 1);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_DIVERGED], 1);
        assert_int_equal(t.bert->n_data, 0);
        assert_int_equal(t.anna->n_data, 1);
        done(&t);
}

static void test_malformed_data_is_not_passed_on(void **state)
{
        Three t;
        setup(&t);
        Bytes *parts[] = { bytes_new_copy("\x80\x04K\x02.", 5), bytes_new_copy("evil", 4), bytes_new_copy("COMMON", 6),
                           bytes_new_copy("\x80\x04].", 4), bytes_new_copy("cos\nsystem\n(S'true'\ntR.", 24) };
        sim_send(t.anna, CHANNEL_DATA, parts, 5);
        sim_run(&t.sim, SIM_SEC);
        assert_int_equal(t.bert->n_data, 0);
        assert_int_equal(t.sim.n_penalties, 1);
        assert_null(scene_find(session_scene(t.sim.session), "evil", 4));
        done(&t);
}

/* ---- rights ---- */

static void test_locks(void **state)
{
        Three t;
        setup(&t);
        sim_right(t.anna, "a", "anna");
        sim_run(&t.sim, SIM_SEC);
        assert_true(owner_is(t.bert, "a", "anna") && owner_is(t.anna, "a", "anna"));
        /* Bert did not know yet. */
        sim_append(t.bert, "a", 1);
        sim_push_whole(t.bert, "a");
        sim_right(t.bert, "a", "bert");
        sim_delete(t.bert, "a");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_int_equal(sim_length(t.anna, "a"), 0);
        assert_int_equal(sim_length(t.bert, "a"), 0);
        assert_true(owner_is(t.bert, "a", "anna"));
        assert_int_equal(t.sim.n_refused_records, 2);
        /* An admin may release, not take. */
        sim_right(t.host, "a", "host");
        sim_run(&t.sim, SIM_SEC);
        assert_true(owner_is(t.host, "a", "anna"));
        sim_right(t.host, "a", "COMMON");
        sim_run(&t.sim, SIM_SEC);
        assert_true(owner_is(t.anna, "a", "COMMON"));
        sim_right(t.bert, "a", "anna");
        sim_run(&t.sim, SIM_SEC);
        assert_true(owner_is(t.anna, "a", "COMMON"));
        done(&t);
}

static void test_new_nodes_are_not_locked_for_others(void **state)
{
        Three t;
        setup(&t);
        sim_add_local(t.anna, "mine", "anna");
        sim_push_whole(t.anna, "mine");
        sim_add_local(t.anna, "his", "bert");
        sim_push_whole(t.anna, "his");
        sim_run(&t.sim, SIM_SEC);
        assert_true(owner_is(t.bert, "mine", "anna"));
        assert_true(owner_is(t.bert, "his", "COMMON"));
        assert_true(owner_is(t.anna, "his", "COMMON"));
        done(&t);
}

static void test_nobody_speaks_for_another(void **state)
{
        Three t;
        setup(&t);
        Value *uuids = value_list_new(), *u = value_string_new("a");
        value_list_append(uuids, u);
        value_unref(u);
        sim_command(t.bert, 5, "anna",
                    sim_put(sim_put(value_dict_new(), "uuid", uuids), "owner", value_string_new("anna")));
        sim_command(t.bert, 13, "anna", sim_put(value_dict_new(), "color", value_int_new(1)));
        sim_command(t.bert, 11, "host", sim_put(value_dict_new(), "user", value_string_new("anna")));
        sim_run(&t.sim, SIM_SEC);
        assert_true(owner_is(t.anna, "a", "COMMON"));
        assert_int_equal(t.anna->state, SIM_ACTIVE);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_FORBIDDEN], 3);
        assert_int_equal(t.sim.n_penalties, 3);
        done(&t);
}

/* ---- deletion ---- */

static void test_delete_and_late_data(void **state)
{
        Three t;
        setup(&t);
        sim_new_node(t.anna, "n", "a");
        sim_run(&t.sim, 3 * SIM_SEC);
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 2 * SIM_MSEC);
        sim_append(t.bert, "a", 1);
        sim_push_whole(t.bert, "a");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "a"));
        assert_null(scene_find(session_scene(t.sim.session), "a", 1));
        assert_int_equal(value_list_length(sim_find_text(t.bert, "n")->dependencies), 0);
        assert_int_equal(t.sim.n_penalties, 0);
        done(&t);
}

static void test_delete_does_not_overtake(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        while (t.bert->down[CHANNEL_DATA].n == 0)
                sim_run(&t.sim, SIM_MSEC);
        t.bert->down[CHANNEL_DATA].packets[0].arrives = t.sim.now + 700 * SIM_MSEC;
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 600 * SIM_MSEC);
        assert_null(sim_find_text(t.anna, "a"));
        assert_non_null(sim_find_text(t.bert, "a"));
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "a"));
        done(&t);
}

/* ---- metadata and the table ---- */

static void test_metadata(void **state)
{
        Three t;
        setup(&t);
        size_t journalled = t.sim.n_journalled;
        for (int i = 0; i < 100; i++) {
                sim_metadata(t.anna, "view_matrix", i);
                sim_run(&t.sim, 20 * SIM_MSEC);
        }
        assert_int_equal(t.sim.n_journalled, journalled);
        for (int i = 0; i < 40; i++) {
                sim_metadata(t.anna, "color", i);
                sim_run(&t.sim, 50 * SIM_MSEC);
        }
        sim_run(&t.sim, 2 * SIM_SEC);
        assert_in_range(t.sim.n_journalled - journalled, 1, 4);
        const Value *anna = value_dict_get_string(t.bert->users, "anna");
        const Value *metadata = value_dict_get_string(anna, "metadata");
        assert_int_equal(value_int_get(value_dict_get_string(metadata, "color")), 39);
        assert_int_equal(value_int_get(value_dict_get_string(metadata, "view_matrix")), 99);
        /* Too much of it is refused. */
        char *text = calloc(1, 20001);
        memset(text, 'x', 20000);
        sim_command(t.anna, 13, "anna", sim_put(value_dict_new(), "tasks", value_string_new(text)));
        free(text);
        sim_run(&t.sim, SIM_SEC);
        assert_null(value_dict_get_string(value_dict_get_string(value_dict_get_string(t.bert->users, "anna"), "metadata"),
                                          "tasks"));
        /* A newcomer finds it in the table. */
        SimClient *c = sim_client(&t.sim, "c", false);
        sim_enter(c);
        anna = value_dict_get_string(c->users, "anna");
        assert_int_equal(value_int_get(value_dict_get_string(value_dict_get_string(anna, "metadata"), "color")), 39);
        done(&t);
}

static void test_table_is_quiet(void **state)
{
        Three t;
        setup(&t);
        size_t n = t.anna->n_tables;
        sim_run(&t.sim, 30 * SIM_SEC);
        assert_int_equal(t.anna->n_tables, n);
        /* A slower line is told of, not at once and not again and again. */
        t.sim.delay_max = 400 * SIM_MSEC;
        sim_run(&t.sim, 60 * SIM_SEC);
        assert_in_range(t.anna->n_tables - n, 1, 4);
        done(&t);
}

/* ---- slow users ---- */

static void test_slow_user_is_late_not_wrong(void **state)
{
        Three t;
        setup(&t);
        t.bert->backlog_limit = 3;
        t.bert->frozen_until = t.sim.now + 8 * SIM_SEC;
        for (int i = 0; i < 50; i++) {
                sim_append(t.anna, i % 2 ? "a" : "b", i);
                sim_run(&t.sim, 100 * SIM_MSEC);
        }
        sim_new_node(t.anna, "n", "a");
        sim_run(&t.sim, SIM_SEC);
        assert_int_equal(t.bert->down[CHANNEL_DATA].n, 3);
        sim_delete(t.anna, "b");
        sim_run(&t.sim, 8 * SIM_SEC);
        assert_int_equal(sim_length(t.bert, "a"), 25);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_BEHIND], 1);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_CAUGHT_UP], 1);
        done(&t);
}

/* ---- restart ---- */

static void test_restart(void **state)
{
        Three t;
        setup(&t);
        sim_right(t.anna, "a", "anna");
        sim_metadata(t.anna, "color", 4);
        sim_snapshot(&t.sim);
        sim_append(t.anna, "a", 1);
        sim_run(&t.sim, SIM_SEC);
        sim_append(t.anna, "a", 2);
        sim_set(t.anna, "b", "x", 8);
        sim_run(&t.sim, 20 * SIM_MSEC);
        sim_stop(&t.sim);
        sim_set(t.anna, "a", "x", 7);
        sim_run(&t.sim, 2 * SIM_SEC);
        sim_start(&t.sim);
        sim_run(&t.sim, 300 * SIM_MSEC);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_RETURNED], 3);
        sim_run(&t.sim, 5 * SIM_SEC);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(t.sim.clients[i].state, SIM_ACTIVE);
        assert_int_equal(sim_length(t.bert, "a"), 2);
        assert_int_equal(sim_get(t.bert, "a", "x"), 7);
        assert_true(owner_is(t.bert, "a", "anna"));
        const Value *anna = value_dict_get_string(t.bert->users, "anna");
        assert_int_equal(value_int_get(value_dict_get_string(value_dict_get_string(anna, "metadata"), "color")), 4);
        done(&t);
}

static void test_restart_without_everybody(void **state)
{
        Three t;
        setup(&t);
        sim_right(t.anna, "a", "anna");
        sim_run(&t.sim, SIM_SEC);
        sim_stop(&t.sim);
        sim_leave(t.anna, false);
        sim_start(&t.sim);
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_true(owner_is(t.bert, "a", "anna"));
        sim_run(&t.sim, 6 * SIM_SEC);
        assert_true(owner_is(t.bert, "a", "COMMON"));
        assert_int_equal(value_table_length(t.bert->users), 2);
        done(&t);
}

/* Blender has crashed, its heartbeat process goes on: it answers to the new server as it did to the old one. */
static void test_restart_and_a_ghost(void **state)
{
        Three t;
        setup(&t);
        sim_right(t.anna, "a", "anna");
        sim_run(&t.sim, SIM_SEC);
        sim_leave(t.anna, true);
        sim_run(&t.sim, 500 * SIM_MSEC);
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, 2 * SIM_SEC);
        assert_true(owner_is(t.bert, "a", "anna"));
        sim_run(&t.sim, 20 * SIM_SEC);
        assert_true(owner_is(t.bert, "a", "COMMON"));
        assert_int_equal(value_table_length(t.bert->users), 2);
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        done(&t);
}

static void test_client_that_was_faster_than_the_restart(void **state)
{
        Three t;
        setup(&t);
        t.sim.found_early = true;
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, 20 * SIM_SEC);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(t.sim.clients[i].state, SIM_ACTIVE);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_LEFT], 0);
        done(&t);
}

/* A client that says nothing is found on its command channel by what it is sent there; what was sent at first may have
 * gone into a connection that broke at once. */
static void test_silent_client_is_sought(void **state)
{
        Three t;
        setup(&t);
        sim_leave(t.anna, true);
        sim_run(&t.sim, 500 * SIM_MSEC);
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, SIM_SEC);
        size_t before = t.sim.n_tables, opens = t.sim.n_opens;
        sim_run(&t.sim, 3500 * SIM_MSEC);
        assert_in_range(t.sim.n_tables - before, 3, 4);
        /* What stands already is not told of again unless asked for. */
        assert_in_range(t.sim.n_opens - opens, 3, 4);
        EffectList effects = {};
        assert_int_equal(session_peer_found(t.sim.session, sim_time(&t.sim), CHANNEL_COMMAND, &t.anna->id, &effects), 0);
        sim_execute(&t.sim, &effects);
        effect_list_done(&effects);
        sim_run(&t.sim, SIM_SEC);
        before = t.sim.n_tables;
        sim_run(&t.sim, 20 * SIM_SEC);
        assert_int_equal(t.sim.n_tables, before);
        assert_int_equal(value_table_length(t.bert->users), 3);
        done(&t);
}

/* Blender crashes while something that it has sent is still being checked, which is no sign of life any more then. */
static void test_crash_behind_a_large_message(void **state)
{
        Three t;
        setup(&t);
        sim_right(t.anna, "a", "anna");
        sim_run(&t.sim, SIM_SEC);
        t.sim.check_max = 10 * SIM_SEC;
        for (unsigned i = 0; i < 20; i++)
                sim_metadata(t.anna, "view_matrix", i);
        sim_set(t.anna, "a", "x", 5);
        while (t.anna->up[CHANNEL_COMMAND].n > 0 || t.anna->up[CHANNEL_DATA].n > 0)
                sim_run(&t.sim, SIM_MSEC);
        assert_int_not_equal(t.sim.n_checks, 0);
        sim_leave(t.anna, true);
        sim_run(&t.sim, 20 * SIM_SEC);
        assert_int_equal(t.sim.n_checks, 0);
        assert_true(owner_is(t.bert, "a", "COMMON"));
        assert_int_equal(value_table_length(t.bert->users), 2);
        done(&t);
}

/* What somebody has sent who is put out meanwhile does not count. */
static void test_kick_behind_a_large_message(void **state)
{
        Three t;
        setup(&t);
        t.sim.check_max = 10 * SIM_SEC;
        for (unsigned i = 0; i < 20; i++)
                sim_metadata(t.anna, "view_matrix", i);
        sim_delete(t.anna, "a");
        while (t.anna->up[CHANNEL_COMMAND].n > 0)
                sim_run(&t.sim, SIM_MSEC);
        t.sim.check_max = 0;
        sim_kick(t.host, "anna");
        sim_run(&t.sim, SIM_SEC);
        assert_int_not_equal(t.sim.n_checks, 0);
        assert_int_equal(t.anna->state, SIM_OUT);
        sim_run(&t.sim, 20 * SIM_SEC);
        assert_int_equal(t.sim.n_checks, 0);
        assert_non_null(sim_find_text(t.bert, "a"));
        done(&t);
}

/* Busy for a while, when a node was edited and deleted: the Delete is not handled before the edits. */
static void test_delete_for_a_busy_client(void **state)
{
        for (unsigned seconds = 1; seconds <= 20; seconds += 3) {
                Three t;
                setup(&t);
                t.bert->frozen_until = t.sim.now + (seconds + 4) * SIM_SEC;
                for (unsigned i = 0; i < seconds * 20; i++) {
                        sim_append(t.anna, "a", i);
                        if (i % 3 == 0)
                                sim_metadata(t.anna, "view_matrix", i);
                        sim_run(&t.sim, 50 * SIM_MSEC);
                }
                sim_delete(t.anna, "a");
                sim_run(&t.sim, 10 * SIM_SEC);
                assert_int_equal(t.bert->state, SIM_ACTIVE);
                assert_null(sim_find_text(t.bert, "a"));
                assert_null(sim_compare(&t.sim));
                done(&t);
        }
}

/* The edits are from the server before this one, the Delete is told by the new one. */
static void test_restart_and_a_busy_client(void **state)
{
        Three t;
        setup(&t);
        t.bert->frozen_until = t.sim.now + 12 * SIM_SEC;
        for (unsigned i = 0; i < 100; i++) {
                sim_append(t.anna, "a", i);
                sim_run(&t.sim, 50 * SIM_MSEC);
        }
        struct SimPacket *last = &t.bert->down[CHANNEL_DATA].packets[t.bert->down[CHANNEL_DATA].n - 1];
        last->arrives = t.sim.now;
        sim_delete(t.anna, "a");
        SimQueue kept = t.bert->down[CHANNEL_DATA];
        t.bert->down[CHANNEL_DATA] = (SimQueue){};
        sim_stop(&t.sim);
        t.bert->down[CHANNEL_DATA] = kept;
        sim_start(&t.sim);
        sim_run(&t.sim, 1 * SIM_SEC);
        if (sim_find_text(t.anna, "a"))
                sim_delete(t.anna, "a");
        sim_run(&t.sim, 15 * SIM_SEC);
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        assert_null(sim_find_text(t.bert, "a"));
        done(&t);
}

/* Edited as soon as Blender answers again, before it has read what others did meanwhile: that comes over the edit then. */
static void test_edit_after_a_stall(void **state)
{
        for (unsigned seconds = 1; seconds <= 50; seconds += 7) {
                Three t;
                setup(&t);
                sim_set(t.bert, "a", "x", 0);
                sim_run(&t.sim, SIM_SEC);
                t.bert->frozen_until = t.sim.now + seconds * SIM_SEC + 10 * SIM_MSEC;
                sim_set(t.anna, "a", "x", 1);
                sim_run(&t.sim, seconds * SIM_SEC);
                sim_set(t.bert, "b", "x", 3);
                sim_set(t.bert, "a", "x", 2);
                sim_run(&t.sim, 5 * SIM_SEC);
                assert_int_equal(sim_get(t.anna, "a", "x"), 2);
                assert_int_equal(sim_get(t.bert, "a", "x"), 2);
                done(&t);
        }
}

/* Data on a slow line arrives long after it was sent. */
static void test_delete_waits_for_what_is_on_its_way(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        while (t.bert->down[CHANNEL_DATA].n == 0)
                sim_run(&t.sim, SIM_MSEC);
        t.bert->down[CHANNEL_DATA].packets[0].arrives = t.sim.now + 90 * SIM_SEC;
        session_send_laden(t.sim.session, sim_time(&t.sim), &t.bert->id);
        sim_run(&t.sim, 70 * SIM_SEC);
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_null(sim_find_text(t.anna, "a"));
        assert_non_null(sim_find_text(t.bert, "a"));
        /* What went before the deletion is there, but not all. */
        session_delivered(t.sim.session, sim_time(&t.sim), &t.bert->id, t.sim.now - 20 * SIM_SEC, false);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "a"));
        sim_run(&t.sim, 15 * SIM_SEC);
        session_delivered(t.sim.session, sim_time(&t.sim), &t.bert->id, t.sim.now, true);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "a"));
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        done(&t);
}

static void test_restart_during_init(void **state)
{
        Sim sim;
        sim_init(&sim, 3);
        SimClient *host = sim_client(&sim, "host", true);
        sim_enter(host);
        for (int i = 0; i < 20; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "n%d", i);
                sim_add_local(host, uuid, "COMMON");
        }
        sim_init_session(host);
        while (host->up[CHANNEL_COMMAND].n < 10)
                sim_run(&sim, SIM_MSEC);
        for (size_t i = 0; i < host->up[CHANNEL_COMMAND].n; i++)
                host->up[CHANNEL_COMMAND].packets[i].arrives = sim.now + i * 10 * SIM_MSEC;
        sim_run(&sim, 50 * SIM_MSEC);
        sim_stop(&sim);
        sim_start(&sim);
        sim_run(&sim, 8 * SIM_SEC);
        assert_int_equal(host->state, SIM_LOBBY);
        assert_int_equal(scene_n_nodes(session_scene(sim.session)), 0);
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        assert_int_equal(host->state, SIM_ACTIVE);
        assert_null(sim_compare(&sim));
        sim_done(&sim);
}

static void test_restart_during_join(void **state)
{
        for (unsigned after = 5; after < 120; after += 5) {
                Three t;
                setup(&t);
                SimClient *c = sim_client(&t.sim, "c", false);
                sim_login(c, NULL);
                sim_run(&t.sim, after * SIM_MSEC);
                sim_stop(&t.sim);
                sim_start(&t.sim);
                for (int i = 0; i < 12; i++) {
                        if (c->state == SIM_ACTIVE)
                                sim_metadata(c, "view_matrix", i);
                        sim_run(&t.sim, SIM_SEC);
                }
                /* In, or told nothing because its login was lost. */
                assert_true(c->state == SIM_ACTIVE || (c->state == SIM_OUT && !strcmp(c->reason, "no answer to the login")));
                done(&t);
        }
}

static void test_pings_after_restart(void **state)
{
        Three t;
        setup(&t);
        sim_stop(&t.sim);
        for (size_t i = 0; i < 3; i++)
                sim_queue_clear(&t.sim.clients[i].down[CHANNEL_TTL]);
        sim_run(&t.sim, 4 * SIM_SEC);
        sim_start(&t.sim);
        sim_run(&t.sim, 20 * SIM_MSEC);
        for (size_t i = 0; i < 3; i++)
                assert_true(t.sim.clients[i].last_ping + 25 * SIM_MSEC > t.sim.now);
        done(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_updates_reach_others_once),
                cmocka_unit_test(test_simultaneous_edits_converge),
                cmocka_unit_test(test_inapplicable_delta),
                cmocka_unit_test(test_malformed_data_is_not_passed_on),
                cmocka_unit_test(test_locks),
                cmocka_unit_test(test_new_nodes_are_not_locked_for_others),
                cmocka_unit_test(test_nobody_speaks_for_another),
                cmocka_unit_test(test_delete_and_late_data),
                cmocka_unit_test(test_delete_does_not_overtake),
                cmocka_unit_test(test_metadata),
                cmocka_unit_test(test_table_is_quiet),
                cmocka_unit_test(test_slow_user_is_late_not_wrong),
                cmocka_unit_test(test_restart),
                cmocka_unit_test(test_restart_without_everybody),
                cmocka_unit_test(test_restart_and_a_ghost),
                cmocka_unit_test(test_client_that_was_faster_than_the_restart),
                cmocka_unit_test(test_silent_client_is_sought),
                cmocka_unit_test(test_crash_behind_a_large_message),
                cmocka_unit_test(test_kick_behind_a_large_message),
                cmocka_unit_test(test_delete_for_a_busy_client),
                cmocka_unit_test(test_edit_after_a_stall),
                cmocka_unit_test(test_delete_waits_for_what_is_on_its_way),
                cmocka_unit_test(test_restart_and_a_busy_client),
                cmocka_unit_test(test_restart_during_init),
                cmocka_unit_test(test_restart_during_join),
                cmocka_unit_test(test_pings_after_restart),
        };
        return cmocka_run_group_tests_name("session-rules", tests, NULL, NULL);
}
