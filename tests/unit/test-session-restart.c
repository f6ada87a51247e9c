/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Restarts, and connections that are lost: who is there, and what must not overtake what. */
#include <stdio.h>

#include "three.h"

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

static void lose_all(SimQueue *q)
{
        while (q->n > 0)
                frames_unref(q->packets[--q->n].frames);
}

/* One server after the other ends before it has reached somebody, who is told of what was deleted all the same. */
static void test_restarts_in_a_row(void **state)
{
        Three t;
        setup(&t);
        sim_new_node(t.anna, "n", NULL);
        sim_run(&t.sim, SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "n"));
        uint64_t end = t.sim.now + 100 * SIM_SEC;
        for (unsigned i = 0; t.sim.now < end; i++) {
                sim_stop(&t.sim);
                lose_all(&t.bert->down[CHANNEL_COMMAND]);
                t.bert->links_at[CHANNEL_COMMAND] = end;
                sim_start(&t.sim);
                sim_run(&t.sim, 2 * SIM_SEC);
                if (i == 0)
                        sim_delete(t.anna, "n");
                sim_run(&t.sim, SIM_SEC);
        }
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        assert_null(sim_find_text(t.bert, "n"));
        done(&t);
}

/* A Delete has passed the Node that it is for, and the server ends before its sender has been answered. */
static void test_restart_and_a_delete_before_its_node(void **state)
{
        Three t;
        setup(&t);
        sim_new_node(t.anna, "n", NULL);
        sim_delete(t.anna, "n");
        t.anna->up[CHANNEL_DATA].packets[0].arrives = t.sim.now + 100 * SIM_MSEC;
        t.anna->frozen_until = t.sim.now + SIM_SEC;
        sim_run(&t.sim, 200 * SIM_MSEC);
        sim_stop(&t.sim);
        lose_all(&t.anna->down[CHANNEL_COMMAND]);
        sim_start(&t.sim);
        sim_run(&t.sim, 4 * SIM_SEC);
        sim_metadata(t.anna, "color", 1);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_null(sim_find_text(t.anna, "n"));
        done(&t);
}

/* The same when the Node comes so late that it counts as a new one: its author has deleted it, and gets it back. */
static void test_restart_and_a_delete_long_before_its_node(void **state)
{
        Three t;
        setup(&t);
        t.anna->links_at[CHANNEL_DATA] = t.sim.now + 5 * SIM_SEC;
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, SIM_SEC);
        sim_new_node(t.anna, "n", NULL);
        sim_delete(t.anna, "n");
        sim_run(&t.sim, SIM_SEC);
        assert_null(sim_find_text(t.anna, "n"));
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "n"));
        done(&t);
}

/* A Right has passed the Node that it is for, which only the next server gets. */
static void test_restart_and_a_right_before_its_node(void **state)
{
        Three t;
        setup(&t);
        t.anna->links_at[CHANNEL_DATA] = t.sim.now + 2 * SIM_SEC;
        sim_new_node(t.anna, "n", NULL);
        sim_right(t.anna, "n", "anna");
        sim_run(&t.sim, 200 * SIM_MSEC);
        assert_true(owner_is(t.anna, "n", "anna"));
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "n"));
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

/* The first connection starts the server, and may be that of somebody whose Blender was started anew meanwhile. */
static void test_restart_and_a_new_blender(void **state)
{
        Three t;
        setup(&t);
        sim_right(t.anna, "a", "anna");
        sim_run(&t.sim, SIM_SEC);
        sim_stop(&t.sim);
        sim_leave(t.anna, false);
        sim_start(&t.sim);
        sim_enter(t.anna);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_LOGIN_REFUSED], 0);
        assert_true(owner_is(t.bert, "a", "COMMON"));
        assert_int_equal(value_table_length(t.bert->users), 3);
        sim_run(&t.sim, 20 * SIM_SEC);
        assert_int_equal(t.anna->state, SIM_ACTIVE);
        done(&t);
}

/* Who is still there keeps the place, also from somebody at the same address. */
static void test_restart_and_a_namesake(void **state)
{
        Three t;
        setup(&t);
        sim_stop(&t.sim);
        sim_start(&t.sim);
        SimClient *twin = sim_client(&t.sim, "anna", false);
        snprintf(twin->address, sizeof twin->address, "%s", t.anna->address);
        sim_login(twin, NULL);
        sim_run(&t.sim, 2 * SIM_SEC);
        assert_int_equal(twin->state, SIM_OUT);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_LOGIN_REFUSED], 1);
        assert_int_equal(t.anna->state, SIM_ACTIVE);
        done(&t);
}

/* Who gives up waiting for a place does not get it. */
static void test_restart_and_an_impatient_blender(void **state)
{
        Three t;
        setup(&t);
        sim_stop(&t.sim);
        sim_leave(t.anna, false);
        sim_start(&t.sim);
        sim_login(t.anna, NULL);
        sim_run(&t.sim, 500 * SIM_MSEC);
        sim_leave(t.anna, false);
        sim_run(&t.sim, 20 * SIM_SEC);
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
        /* The others are back, and their lines have been measured. */
        sim_run(&t.sim, 2 * SIM_SEC);
        size_t before = t.sim.n_tables, opens = t.sim.n_opens;
        sim_run(&t.sim, 2500 * SIM_MSEC);
        assert_in_range(t.sim.n_tables - before, 2, 3);
        /* What stands already is not told of again unless asked for. */
        assert_in_range(t.sim.n_opens - opens, 2, 3);
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

/* On a slow line lies what the server before this one has sent, for longer than anything takes to reach the client on
 * the command channel. Its data channel comes back when all that has been read. */
static void test_restart_and_a_slow_line(void **state)
{
        for (unsigned seconds = 1; seconds <= 81; seconds += 20) {
                Three t;
                setup(&t);
                for (unsigned i = 0; i < 100; i++) {
                        sim_append(t.anna, "a", i);
                        while (t.bert->down[CHANNEL_DATA].n == 0)
                                sim_run(&t.sim, SIM_MSEC);
                        t.bert->down[CHANNEL_DATA].packets[0].arrives = UINT64_MAX;
                        sim_run(&t.sim, 50 * SIM_MSEC);
                }
                SimQueue *line = &t.bert->down[CHANNEL_DATA], kept = *line;
                *line = (SimQueue){};
                sim_stop(&t.sim);
                *line = kept;
                for (size_t i = 0; i < line->n; i++)
                        line->packets[i].arrives = t.sim.now + seconds * SIM_SEC;
                t.bert->links_at[CHANNEL_DATA] = t.sim.now + seconds * SIM_SEC;
                sim_set(t.anna, "b", "x", 1);
                sim_delete(t.anna, "a");
                sim_start(&t.sim);
                /* Nor does either of them say anything more, which would prove that it is not busy. */
                sim_run(&t.sim, (seconds + 12) * SIM_SEC);
                assert_int_equal(t.bert->state, SIM_ACTIVE);
                assert_null(sim_find_text(t.anna, "a"));
                assert_null(sim_find_text(t.bert, "a"));
                assert_int_equal(sim_get(t.bert, "b", "x"), 1);
                done(&t);
        }
}

/* Nor does a whole node that was on its way come back after its deletion. */
static void test_restart_and_a_new_node_on_a_slow_line(void **state)
{
        Three t;
        setup(&t);
        sim_new_node(t.anna, "n", "a");
        while (t.bert->down[CHANNEL_DATA].n == 0)
                sim_run(&t.sim, SIM_MSEC);
        SimQueue *line = &t.bert->down[CHANNEL_DATA], kept = *line;
        *line = (SimQueue){};
        sim_stop(&t.sim);
        *line = kept;
        line->packets[0].arrives = t.bert->links_at[CHANNEL_DATA] = t.sim.now + 20 * SIM_SEC;
        sim_delete(t.anna, "n");
        sim_start(&t.sim);
        sim_run(&t.sim, 25 * SIM_SEC);
        assert_null(sim_find_text(t.anna, "n"));
        assert_null(sim_find_text(t.bert, "n"));
        done(&t);
}

/* The connection is given up here while the kernel goes on sending what it holds. */
static void test_delete_behind_a_lost_connection(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        while (t.bert->down[CHANNEL_DATA].n == 0)
                sim_run(&t.sim, SIM_MSEC);
        t.bert->down[CHANNEL_DATA].packets[0].arrives = t.bert->links_at[CHANNEL_DATA] = t.sim.now + 20 * SIM_SEC;
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 500 * SIM_MSEC);
        sim_lose(t.bert, CHANNEL_DATA);
        sim_run(&t.sim, 15 * SIM_SEC);
        assert_null(sim_find_text(t.anna, "a"));
        assert_non_null(sim_find_text(t.bert, "a"));
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        assert_null(sim_find_text(t.bert, "a"));
        done(&t);
}

static bool is_on_its_way(const SimQueue *q, const char *type)
{
        for (size_t i = 0; i < q->n; i++)
                if (bytes_equal_string(q->packets[i].frames->frame[0], type))
                        return true;
        return false;
}

/* What it sends before it has been told is late, however long that took. */
static void test_late_data_of_one_who_was_told_late(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        sim_run(&t.sim, 100 * SIM_MSEC);
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 100 * SIM_MSEC);
        t.bert->links_at[CHANNEL_DATA] = t.sim.now + 6 * SIM_SEC;
        sim_lose(t.bert, CHANNEL_DATA);
        t.sim.delay_min = t.sim.delay_max = 20 * SIM_MSEC;
        while (!is_on_its_way(&t.bert->down[CHANNEL_COMMAND], "\x80\x04K\x04."))
                sim_run(&t.sim, SIM_MSEC);
        assert_non_null(sim_find_text(t.bert, "a"));
        sim_push_whole(t.bert, "a");
        sim_run(&t.sim, 5 * SIM_SEC);
        done(&t);
}

/* Nor is it told too early when the connection was taken for lost that stands, and is found again at once with all that
 * was sent before still on it. */
static void test_delete_behind_a_connection_taken_for_lost(void **state)
{
        for (unsigned lost_first = 0; lost_first < 2; lost_first++) {
                Three t;
                setup(&t);
                sim_append(t.anna, "a", 1);
                while (t.bert->down[CHANNEL_DATA].n == 0)
                        sim_run(&t.sim, SIM_MSEC);
                t.bert->down[CHANNEL_DATA].packets[0].arrives = t.sim.now + 20 * SIM_SEC;
                if (!lost_first)
                        sim_delete(t.anna, "a");
                sim_run(&t.sim, 500 * SIM_MSEC);
                sim_lose(t.bert, CHANNEL_DATA);
                sim_run(&t.sim, SIM_SEC);
                /* What it says on the connection proves no more than that it stands. */
                sim_set(t.bert, "b", "x", 3);
                sim_run(&t.sim, SIM_SEC);
                if (lost_first)
                        sim_delete(t.anna, "a");
                sim_run(&t.sim, 16 * SIM_SEC);
                assert_null(sim_find_text(t.anna, "a"));
                assert_non_null(sim_find_text(t.bert, "a"));
                sim_run(&t.sim, 6 * SIM_SEC);
                assert_int_equal(t.bert->state, SIM_ACTIVE);
                assert_null(sim_find_text(t.bert, "a"));
                done(&t);
        }
}

/* A node that lies there may be locked meanwhile, which its client cannot be told before it has it. */
static void test_right_behind_a_connection_taken_for_lost(void **state)
{
        for (unsigned lost = 0; lost < 2; lost++) {
                Three t;
                setup(&t);
                sim_new_node(t.anna, "n", NULL);
                while (t.bert->down[CHANNEL_DATA].n == 0)
                        sim_run(&t.sim, SIM_MSEC);
                t.bert->down[CHANNEL_DATA].packets[0].arrives = t.sim.now + 10 * SIM_SEC;
                sim_push_whole(t.anna, "n");
                sim_run(&t.sim, 50 * SIM_MSEC);
                if (lost)
                        sim_lose(t.bert, CHANNEL_DATA);
                sim_run(&t.sim, SIM_SEC);
                sim_right(t.anna, "n", "anna");
                sim_run(&t.sim, 15 * SIM_SEC);
                assert_true(owner_is(t.bert, "n", "anna"));
                done(&t);
        }
}

/* There is nothing left that could be sent to see whether it arrives: the Deletes wait, but not for ever. */
static void test_delete_of_all_behind_a_lost_connection(void **state)
{
        Three t;
        setup(&t);
        sim_lose(t.bert, CHANNEL_DATA);
        sim_run(&t.sim, 10 * SIM_MSEC);
        sim_delete(t.anna, "a");
        sim_delete(t.anna, "b");
        sim_run(&t.sim, 70 * SIM_SEC);
        assert_int_equal(t.bert->n_nodes, 0);
        done(&t);
}

/* As after a restart, when nothing but the deletion happens: the data channel has to be sought for its sake. */
static void test_restart_and_a_delete_for_one_who_only_watches(void **state)
{
        Three t;
        setup(&t);
        sim_run(&t.sim, 130 * SIM_SEC);
        sim_stop(&t.sim);
        t.bert->links_at[CHANNEL_DATA] = t.sim.now + 20 * SIM_SEC;
        sim_start(&t.sim);
        sim_run(&t.sim, 5 * SIM_SEC);
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "a"));
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "a"));
        done(&t);
}

/* The commands that go before a Delete do not go all at once: a client handles one a turn, and somebody may be talking. */
static void test_restart_and_talk_for_one_who_only_watches(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        sim_run(&t.sim, SIM_SEC);
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 100 * SIM_MSEC);
        sim_stop(&t.sim);
        sim_run(&t.sim, SIM_SEC);
        sim_start(&t.sim);
        size_t before = t.bert->n_deletes, most = 0, sum = 0;
        for (int i = 0; i < 20; i++) {
                size_t n = t.bert->n_rights;
                sim_run(&t.sim, SIM_SEC);
                most = MAX(most, t.bert->n_rights - n);
                sum += t.bert->n_rights - n;
        }
        /* Nobody knows how much data it has not handled, and it says nothing. */
        assert_in_range(sum, 400, 700);
        assert_in_range(most, 1, 200);
        assert_true(t.bert->n_deletes > before);
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        done(&t);
}

/* Who has lost its connection is found by what it is sent: not while that waits for a slow disk. */
static void test_nobody_is_missed_while_the_disk_is_slow(void **state)
{
        Three t;
        setup(&t);
        sim_leave(t.anna, true);
        session_sends_wait(t.sim.session, true);
        sim_run(&t.sim, 30 * SIM_SEC);
        assert_int_equal(value_table_length(t.bert->users), 3);
        session_sends_wait(t.sim.session, false);
        sim_run(&t.sim, 4 * SIM_SEC);
        assert_int_equal(value_table_length(t.bert->users), 3);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_int_equal(value_table_length(t.bert->users), 2);
        done(&t);
}

#define AN_HOUR (3600 * SIM_SEC)

/* What is sent to bert for a while goes astray. */
static void run_in_vain(Three *t)
{
        uint64_t end = t->sim.now + 3 * SIM_SEC;
        while (t->sim.now < end) {
                sim_run(&t->sim, SIM_MSEC);
                lose_all(&t->bert->down[CHANNEL_DATA]);
                lose_all(&t->bert->down[CHANNEL_COMMAND]);
        }
}

/* What has changed a moment ago is what somebody may lack, whatever the clock says. */
static void test_clock_is_set_on(void **state)
{
        Three t;
        setup(&t);
        sim_append(t.anna, "a", 1);
        sim_delete(t.anna, "b");
        run_in_vain(&t);
        assert_int_equal(sim_length(t.bert, "a"), 0);
        assert_non_null(sim_find_text(t.bert, "b"));
        t.sim.wall_offset += AN_HOUR;
        sim_run(&t.sim, SIM_SEC);
        sim_lose(t.bert, CHANNEL_DATA);
        sim_lose(t.bert, CHANNEL_COMMAND);
        sim_run(&t.sim, 30 * SIM_SEC);
        assert_int_equal(sim_length(t.bert, "a"), 1);
        assert_null(sim_find_text(t.bert, "b"));
        done(&t);
}

static void test_clock_was_set_back_before_a_restart(void **state)
{
        Three t;
        setup(&t);
        t.sim.wall_offset -= AN_HOUR;
        sim_append(t.anna, "a", 1);
        run_in_vain(&t);
        assert_int_equal(sim_length(t.bert, "a"), 0);
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, 30 * SIM_SEC);
        assert_int_equal(sim_length(t.bert, "a"), 1);
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
                cmocka_unit_test(test_restart),
                cmocka_unit_test(test_restarts_in_a_row),
                cmocka_unit_test(test_restart_and_a_delete_before_its_node),
                cmocka_unit_test(test_restart_and_a_delete_long_before_its_node),
                cmocka_unit_test(test_restart_and_a_right_before_its_node),
                cmocka_unit_test(test_restart_without_everybody),
                cmocka_unit_test(test_restart_and_a_new_blender),
                cmocka_unit_test(test_restart_and_a_namesake),
                cmocka_unit_test(test_restart_and_an_impatient_blender),
                cmocka_unit_test(test_restart_and_a_ghost),
                cmocka_unit_test(test_client_that_was_faster_than_the_restart),
                cmocka_unit_test(test_silent_client_is_sought),
                cmocka_unit_test(test_restart_and_a_busy_client),
                cmocka_unit_test(test_restart_and_a_slow_line),
                cmocka_unit_test(test_restart_and_a_new_node_on_a_slow_line),
                cmocka_unit_test(test_delete_behind_a_lost_connection),
                cmocka_unit_test(test_late_data_of_one_who_was_told_late),
                cmocka_unit_test(test_delete_behind_a_connection_taken_for_lost),
                cmocka_unit_test(test_right_behind_a_connection_taken_for_lost),
                cmocka_unit_test(test_delete_of_all_behind_a_lost_connection),
                cmocka_unit_test(test_restart_and_a_delete_for_one_who_only_watches),
                cmocka_unit_test(test_restart_and_talk_for_one_who_only_watches),
                cmocka_unit_test(test_nobody_is_missed_while_the_disk_is_slow),
                cmocka_unit_test(test_clock_is_set_on),
                cmocka_unit_test(test_clock_was_set_back_before_a_restart),
                cmocka_unit_test(test_restart_during_init),
                cmocka_unit_test(test_pings_after_restart),
        };
        return cmocka_run_group_tests_name("session-restart", tests, NULL, NULL);
}
