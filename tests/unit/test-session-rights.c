/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose nodes are. */
#include <stdio.h>

#include "three.h"

static Value *many_uuids(const char *prefix, unsigned n)
{
        Value *uuids = value_list_new();
        for (unsigned i = 0; i < n; i++) {
                char uuid[32];
                snprintf(uuid, sizeof uuid, "%s%u", prefix, i);
                Value *v = value_string_new(uuid);
                value_list_append(uuids, v);
                value_unref(v);
        }
        return uuids;
}

static void lock_many(SimClient *c, Value *uuids)
{
        sim_command(c, 5, c->name, sim_put(sim_put(value_dict_new(), "uuid", uuids), "owner", value_string_new(c->name)));
}

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

/* ---- behind nodes that are on their way ---- */

/* A client that does not know the node yet forgets whose it is. */
static void test_right_that_overtakes_a_new_node(void **state)
{
        Three t;
        setup(&t);
        t.bert->frozen_until = t.sim.now + 300 * SIM_MSEC;
        sim_new_node(t.anna, "n", NULL);
        sim_push_whole(t.anna, "n");
        sim_run(&t.sim, 50 * SIM_MSEC);
        sim_right(t.anna, "n", "anna");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_true(owner_is(t.bert, "n", "anna"));
        done(&t);
}

/* Of many new nodes at once everybody is told at once, now and again behind them: whoever locks a whole scene must not make
 * the others read a command for each node. */
static void test_right_that_overtakes_many_new_nodes(void **state)
{
        enum { N = 60 };
        Three t;
        setup(&t);
        t.bert->frozen_until = t.sim.now + 300 * SIM_MSEC;
        char uuid[16];
        for (int i = 0; i < N; i++) {
                snprintf(uuid, sizeof uuid, "n%d", i);
                sim_new_node(t.anna, uuid, NULL);
        }
        sim_run(&t.sim, 50 * SIM_MSEC);
        size_t n = t.host->n_rights;
        lock_many(t.anna, many_uuids("n", N));
        sim_run(&t.sim, 20 * SIM_SEC);
        for (int i = 0; i < N; i++) {
                snprintf(uuid, sizeof uuid, "n%d", i);
                assert_true(owner_is(t.bert, uuid, "anna"));
        }
        /* Two, and some that do nothing between the data and the second. */
        assert_in_range(t.host->n_rights - n, 2, 2 + N);
        done(&t);
}

/* Nor is it told too early that its owner has left. */
static void test_release_that_overtakes_a_new_node(void **state)
{
        Three t;
        setup(&t);
        t.bert->frozen_until = t.sim.now + 300 * SIM_MSEC;
        sim_add_local(t.anna, "n", "anna");
        sim_push_whole(t.anna, "n");
        sim_run(&t.sim, 50 * SIM_MSEC);
        sim_kick(t.host, "anna");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_true(owner_is(t.bert, "n", "COMMON"));
        done(&t);
}

/* ---- Rights that come before their nodes: those wait behind a large one on a slow line ---- */

static void test_right_long_before_its_node(void **state)
{
        Three t;
        setup(&t);
        const char *uuids[] = { "n", "free", "gone", "his" };
        for (size_t i = 0; i < ELEMENTSOF(uuids); i++) {
                sim_add_local(t.anna, uuids[i], "COMMON");
                sim_right(t.anna, uuids[i], "anna");
                sim_run(&t.sim, SIM_SEC);
        }
        sim_right(t.anna, "free", "COMMON");
        sim_delete(t.anna, "gone");
        /* What somebody else says of it is no reason to forget that. */
        sim_right(t.bert, "n", "bert");
        sim_run(&t.sim, 600 * SIM_SEC);
        sim_add_local(t.anna, "gone", "COMMON");
        sim_add_local(t.bert, "his", "COMMON");
        for (size_t i = 0; i < 3; i++)
                sim_push_whole(t.anna, uuids[i]);
        sim_push_whole(t.bert, "his");
        sim_run(&t.sim, 3 * SIM_SEC);
        for (size_t i = 0; i < 3; i++) {
                SimClient *c = &t.sim.clients[i];
                assert_true(owner_is(c, "n", "anna"));
                assert_true(owner_is(c, "free", "COMMON"));
                assert_true(owner_is(c, "gone", "COMMON"));
                assert_true(owner_is(c, "his", "COMMON"));
        }
        done(&t);
}

/* ---- and Deletes ---- */

static void delete_ahead(Three *t, const char *uuid)
{
        sim_add_local(t->anna, uuid, "COMMON");
        /* What is sent with it arrives later than the Delete. */
        t->sim.delay_min = 30 * SIM_SEC;
        sim_append(t->anna, "a", 1);
        t->sim.delay_min = 0;
        sim_delete(t->anna, uuid);
        sim_run(&t->sim, 10 * SIM_SEC);
        assert_null(sim_find_text(t->anna, uuid));
}

static void test_delete_long_before_its_node(void **state)
{
        Three t;
        setup(&t);
        delete_ahead(&t, "n");
        sim_add_local(t.anna, "n", "COMMON");
        sim_push_whole(t.anna, "n");
        sim_append(t.anna, "n", 1);
        sim_run(&t.sim, 40 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "n"));
        /* It has been undone. */
        sim_push_whole(t.anna, "n");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "n"));
        assert_null(sim_compare(&t.sim));
        /* Nothing was under way: it is not known what this is about, and what comes is taken. */
        sim_add_local(t.anna, "other", "COMMON");
        sim_delete(t.anna, "other");
        sim_run(&t.sim, 10 * SIM_SEC);
        sim_add_local(t.anna, "other", "COMMON");
        sim_push_whole(t.anna, "other");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "other"));
        done(&t);
}

/* However many somebody else names that never come. */
static void test_right_before_many_nodes(void **state)
{
        Three t;
        setup(&t);
        lock_many(t.anna, many_uuids("n", 600));
        for (unsigned i = 0; i < 4; i++)
                lock_many(t.bert, many_uuids("never", 20000));
        sim_run(&t.sim, SIM_SEC);
        const char *some[] = { "n0", "n299", "n599" };
        for (size_t i = 0; i < ELEMENTSOF(some); i++)
                sim_new_node(t.anna, some[i], NULL);
        sim_run(&t.sim, 3 * SIM_SEC);
        for (size_t i = 0; i < ELEMENTSOF(some); i++)
                assert_true(owner_is(t.bert, some[i], "anna"));
        done(&t);
}

/* The Nodes say whose they are, so that nobody but their sender needs a command for each. */
static void test_new_nodes_come_locked(void **state)
{
        Three t;
        setup(&t);
        lock_many(t.anna, many_uuids("n", 60));
        sim_run(&t.sim, SIM_SEC);
        size_t n_bert = t.bert->n_rights, n_anna = t.anna->n_rights;
        for (unsigned i = 0; i < 60; i++) {
                char uuid[16];
                snprintf(uuid, sizeof uuid, "n%u", i);
                sim_new_node(t.anna, uuid, NULL);
        }
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_true(owner_is(t.bert, "n59", "anna") && owner_is(t.anna, "n59", "anna"));
        assert_int_equal(t.bert->n_rights, n_bert);
        assert_int_equal(t.anna->n_rights, n_anna + 60);
        sim_stop(&t.sim);
        sim_start(&t.sim);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_true(owner_is(t.bert, "n59", "anna"));
        done(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_locks),
                cmocka_unit_test(test_new_nodes_are_not_locked_for_others),
                cmocka_unit_test(test_right_long_before_its_node),
                cmocka_unit_test(test_delete_long_before_its_node),
                cmocka_unit_test(test_right_before_many_nodes),
                cmocka_unit_test(test_new_nodes_come_locked),
                cmocka_unit_test(test_right_that_overtakes_a_new_node),
                cmocka_unit_test(test_right_that_overtakes_many_new_nodes),
                cmocka_unit_test(test_release_that_overtakes_a_new_node),
        };
        return cmocka_run_group_tests_name("session-rights", tests, NULL, NULL);
}
