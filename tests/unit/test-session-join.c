/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Joins that are interrupted: by a restart, a lost connection, the end of the scene. */
#include "three.h"

static bool has_colour(const SimClient *c)
{
        const Value *row = value_dict_get_string(c->users, c->name);
        return value_dict_get_string(value_dict_get_string(row, "metadata"), "color");
}

static void lose_all(SimQueue *q)
{
        while (q->n > 0)
                frames_unref(q->packets[--q->n].frames);
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

/* It has all that the last server sent, and goes on by itself: another catalog would reach it when it is through. */
static void test_restart_at_the_end_of_a_join(void **state)
{
        Three t;
        setup(&t);
        SimClient *c = sim_client(&t.sim, "c", false);
        sim_login(c, NULL);
        while (c->state != SIM_SYNCING)
                sim_run(&t.sim, SIM_MSEC);
        while (c->state == SIM_SYNCING && value_list_length(c->catalog) > 0)
                sim_run(&t.sim, SIM_MSEC);
        /* As after a restart before this one, it has asked for the last node twice: once of the catalog before. */
        Bytes *asked[3];
        const Frames *last = c->up[CHANNEL_COMMAND].packets[c->up[CHANNEL_COMMAND].n - 1].frames;
        for (size_t i = 0; i < 3; i++)
                asked[i] = bytes_ref(last->frame[i]);
        while (c->down[CHANNEL_COMMAND].n == 0)
                sim_run(&t.sim, SIM_MSEC);
        c->links_at[CHANNEL_COMMAND] = t.sim.now + 100 * SIM_MSEC;
        sim_send(c, CHANNEL_COMMAND, asked, 3);
        /* The answer has reached it. */
        while (c->state == SIM_SYNCING)
                sim_run(&t.sim, SIM_MSEC);
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        done(&t);
}

/* The connection goes down with the word that it has joined: a catalog would end a client that has all. Blender answers a
 * table that has no colour for it while it is in the session. */
static void test_last_word_of_a_join_is_lost(void **state)
{
        Three t;
        setup(&t);
        SimClient *c = sim_client(&t.sim, "c", false);
        sim_login(c, NULL);
        while (c->state != SIM_LOBBY)
                sim_run(&t.sim, SIM_MSEC);
        sim_metadata(c, "color", 3);
        while (c->state != SIM_ACTIVE)
                sim_run(&t.sim, SIM_MSEC);
        assert_true(c->up[CHANNEL_COMMAND].n > 0);
        lose_all(&c->up[CHANNEL_COMMAND]);
        sim_lose(c, CHANNEL_COMMAND);
        for (unsigned i = 0; i < 15 && c->state == SIM_ACTIVE; i++) {
                if (!has_colour(c))
                        sim_metadata(c, "color", 3);
                sim_run(&t.sim, SIM_SEC);
        }
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_true(has_colour(c));
        done(&t);
}

/* The last node is lost on its way to one who joins, and then all nodes are deleted. */
static SimClient *lose_the_end_of_a_join(Three *t)
{
        SimClient *c = sim_client(&t->sim, "c", false);
        sim_login(c, NULL);
        while (c->state != SIM_SYNCING)
                sim_run(&t->sim, SIM_MSEC);
        while (value_list_length(c->catalog) > 0)
                sim_run(&t->sim, SIM_MSEC);
        while (c->up[CHANNEL_COMMAND].n > 0)
                sim_run(&t->sim, SIM_MSEC);
        assert_int_equal(c->state, SIM_SYNCING);
        lose_all(&c->down[CHANNEL_COMMAND]);
        sim_lose(c, CHANNEL_COMMAND);
        sim_delete(t->host, "a");
        sim_delete(t->host, "b");
        return c;
}

static void test_last_node_of_a_join_is_lost(void **state)
{
        Three t;
        setup(&t);
        SimClient *c = lose_the_end_of_a_join(&t);
        sim_run(&t.sim, 15 * SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_int_equal(c->n_removed, 1);
        sim_new_node(t.host, "n", NULL);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_non_null(sim_find_text(c, "n"));
        done(&t);
}

static void test_restart_after_the_last_node_of_a_join_is_lost(void **state)
{
        Three t;
        setup(&t);
        SimClient *c = lose_the_end_of_a_join(&t);
        sim_run(&t.sim, SIM_SEC);
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, 15 * SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        done(&t);
}

/* The request for a catalog is lost, and then all nodes are deleted: it gets one when there are some again. */
static void test_first_word_of_a_join_is_lost(void **state)
{
        Three t;
        setup(&t);
        SimClient *c = sim_client(&t.sim, "c", false);
        sim_login(c, NULL);
        while (c->state != SIM_LOBBY)
                sim_run(&t.sim, SIM_MSEC);
        lose_all(&c->up[CHANNEL_COMMAND]);
        sim_lose(c, CHANNEL_COMMAND);
        sim_delete(t.host, "a");
        sim_delete(t.host, "b");
        sim_run(&t.sim, 15 * SIM_SEC);
        sim_new_node(t.host, "n", NULL);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_non_null(sim_find_text(c, "n"));
        done(&t);
}

/* All that it was to fetch is deleted, and the session filled anew before it is through. */
static void test_init_during_a_join(void **state)
{
        Three t;
        setup(&t);
        SimClient *c = sim_client(&t.sim, "c", false), *boss = sim_client(&t.sim, "boss", true);
        sim_login(c, NULL);
        while (c->state != SIM_SYNCING)
                sim_run(&t.sim, SIM_MSEC);
        c->frozen_until = t.sim.now + 3 * SIM_SEC;
        sim_delete(t.host, "a");
        sim_delete(t.host, "b");
        sim_run(&t.sim, SIM_SEC);
        sim_enter(boss);
        assert_int_equal(boss->state, SIM_LOBBY);
        sim_add_local(boss, "z", "COMMON");
        sim_init_session(boss);
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_int_equal(c->state, SIM_ACTIVE);
        assert_non_null(sim_find_text(c, "z"));
        done(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_restart_during_join),
                cmocka_unit_test(test_restart_at_the_end_of_a_join),
                cmocka_unit_test(test_last_word_of_a_join_is_lost),
                cmocka_unit_test(test_last_node_of_a_join_is_lost),
                cmocka_unit_test(test_restart_after_the_last_node_of_a_join_is_lost),
                cmocka_unit_test(test_first_word_of_a_join_is_lost),
                cmocka_unit_test(test_init_during_a_join),
        };
        return cmocka_run_group_tests_name("session-join", tests, NULL, NULL);
}
