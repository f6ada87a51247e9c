/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What clients may send, and who is held back. */
#include <stdio.h>

#include "session/budget.h"
#include "three.h"

#define START (1000 * USEC_PER_SEC)

/* ---- the budget ---- */

static void test_burst_and_rate(void **state)
{
        Budget b = {};
        const BudgetRate rate = { .messages = 10 };
        for (unsigned i = 0; i < 50; i++)
                assert_int_equal(budget_charge(&b, &rate, START, 1000), 0);
        assert_in_range(budget_charge(&b, &rate, START, 1000), USEC_PER_SEC / 10 - 1, USEC_PER_SEC / 10);
        /* At the rate itself nobody waits, and after a while as many may come at once again. */
        for (unsigned i = 1; i <= 100; i++)
                assert_in_range(budget_charge(&b, &rate, START + i * USEC_PER_SEC / 10, 1000), 0, USEC_PER_SEC / 10 + 1);
        uint64_t later = START + 20 * USEC_PER_SEC;
        for (unsigned i = 0; i < 50; i++)
                assert_int_equal(budget_charge(&b, &rate, later, 1000), 0);
        assert_true(budget_charge(&b, &rate, later, 1000) > 0);
}

static void test_bytes_and_messages_apart(void **state)
{
        const BudgetRate bytes = { .bytes = 1000 }, messages = { .messages = 2 }, any = {};
        Budget b = {}, m = {}, a = {};
        assert_int_equal(budget_charge(&b, &bytes, START, 5000), 0);
        assert_in_range(budget_charge(&b, &bytes, START, 1000), USEC_PER_SEC - 1, USEC_PER_SEC);
        assert_int_equal(budget_charge(&m, &messages, START, 1 << 30), 0);
        for (unsigned i = 0; i < 100000; i++)
                assert_int_equal(budget_charge(&a, &any, START, 1 << 30), 0);
}

/* However much it was: keepalives have to get through, and a sum of hours helps nobody. */
static void test_longest_wait(void **state)
{
        Budget b = {};
        const BudgetRate rate = { .bytes = 1000 };
        assert_int_equal(budget_charge(&b, &rate, START, 1 << 30), BUDGET_WAIT_MAX);
        assert_int_equal(budget_charge(&b, &rate, START + BUDGET_WAIT_MAX + BUDGET_BURST, 1), 0);
}

/* ---- in a session ---- */

static uint64_t held(Sim *sim, const SimClient *c)
{
        SessionUserInfo u;
        for (size_t i = 0; session_get_user(sim->session, i, &u) == 0; i++)
                if (strcmp(u.name, c->name) == 0)
                        return u.held_usec;
        return UINT64_MAX;
}

static void set_rate(Sim *sim, BudgetRate rate)
{
        sim->config.rate = rate;
        assert_int_equal(session_reconfigure(sim->session, &sim->config), 0);
}

static void test_flood_is_held_back_on_its_channel(void **state)
{
        Three t;
        setup(&t);
        set_rate(&t.sim, (BudgetRate){ .messages = 20 });
        sim_set(t.bert, "b", "x", 1);
        sim_run(&t.sim, SIM_SEC);
        for (int i = 0; i < 300; i++)
                sim_append(t.anna, "a", i);
        sim_run(&t.sim, SIM_SEC);
        /* 20 of them have faded in the meantime at most. */
        assert_in_range(held(&t.sim, t.anna), 8 * SIM_SEC, 11 * SIM_SEC);
        assert_true(t.anna->held_until[CHANNEL_DATA] > t.sim.now + 6 * SIM_SEC);
        assert_int_equal(t.anna->held_until[CHANNEL_COMMAND], 0);
        assert_int_equal(held(&t.sim, t.bert), 0);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_HELD], 1);
        SessionStatus status;
        session_get_status(t.sim.session, &status);
        assert_int_equal(status.n_held, 1);
        /* What had arrived already is taken. */
        sim_run(&t.sim, 2 * SIM_SEC);
        assert_int_equal(sim_length(t.bert, "a"), 300);
        done(&t);
}

/* What is told of an earlier time than has been seen comes at the latter. */
static void test_time_goes_forwards_only(void **state)
{
        Three t;
        setup(&t);
        set_rate(&t.sim, (BudgetRate){ .messages = 20 });
        sim_set(t.bert, "b", "x", 1);
        sim_run(&t.sim, SIM_SEC);
        t.sim.now -= 3 * SIM_SEC;
        for (int i = 0; i < 300; i++)
                sim_append(t.anna, "a", i);
        sim_run(&t.sim, SIM_SEC);
        assert_in_range(held(&t.sim, t.anna), 8 * SIM_SEC, 13 * SIM_SEC);
        done(&t);
}

/* Only an edit of somebody else makes a rate matter, and only for a while. */
static void test_nobody_is_held_back_alone(void **state)
{
        Three t;
        setup(&t);
        sim_run(&t.sim, 20 * SIM_SEC);
        set_rate(&t.sim, (BudgetRate){ .messages = 20 });
        for (int i = 0; i < 300; i++)
                sim_append(t.anna, "a", i);
        sim_run(&t.sim, SIM_SEC);
        assert_int_equal(held(&t.sim, t.anna), 0);
        sim_set(t.bert, "b", "x", 1);
        sim_run(&t.sim, SIM_SEC);
        /* What was sent before does not count then. */
        for (int i = 0; i < 90; i++)
                sim_append(t.anna, "a", i);
        sim_run(&t.sim, SIM_SEC);
        assert_int_equal(held(&t.sim, t.anna), 0);
        for (int i = 0; i < 90; i++)
                sim_append(t.anna, "a", i);
        sim_run(&t.sim, SIM_SEC);
        uint64_t usec = held(&t.sim, t.anna);
        assert_true(usec > 0);
        sim_run(&t.sim, 15 * SIM_SEC);
        for (int i = 0; i < 300; i++)
                sim_append(t.anna, "a", i);
        sim_run(&t.sim, SIM_SEC);
        assert_int_equal(held(&t.sim, t.anna), usec);
        assert_int_equal(held(&t.sim, t.bert), 0);
        done(&t);
}

/* A host in the lobby, who has so many nodes. */
static void enter_with_scene(Three *t, int n_nodes)
{
        t->host = sim_client(&t->sim, "host", true);
        sim_enter(t->host);
        for (int i = 0; i < n_nodes; i++) {
                char uuid[8];
                snprintf(uuid, sizeof uuid, "n%d", i);
                sim_add_local(t->host, uuid, "COMMON");
        }
}

/* So many milliseconds of CPU for each of a client's messages, of which ten come each second. */
static void work(Three *t, SimClient *c, uint64_t cost, unsigned seconds)
{
        for (unsigned i = 0; i < 10 * seconds && c->state == SIM_ACTIVE; i++) {
                EffectList effects = {};
                sim_append(c, "a", i);
                sim_run(&t->sim, 100 * SIM_MSEC);
                assert_int_equal(session_charge_work(t->sim.session, sim_time(&t->sim), &c->id, cost * SIM_MSEC, &effects), 0);
                sim_execute(&t->sim, &effects);
                effect_list_done(&effects);
                if (i % 50 == 0)
                        sim_append(t->bert, "b", i);
        }
}

static void test_who_takes_all_the_time(void **state)
{
        Three t;
        setup(&t);
        set_rate(&t.sim, (BudgetRate){ 0 });
        /* Less than half of it is anybody's. */
        work(&t, t.anna, 45, 60);
        assert_int_equal(held(&t.sim, t.anna), 0);
        work(&t, t.anna, 90, 2);
        assert_int_equal(held(&t.sim, t.anna), 0);
        work(&t, t.anna, 90, 3);
        assert_in_range(held(&t.sim, t.anna), 2 * SIM_SEC, 10 * SIM_SEC);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_HELD], 1);
        assert_int_equal(t.anna->state, SIM_ACTIVE);
        work(&t, t.anna, 90, 6);
        assert_int_equal(t.anna->state, SIM_ACTIVE);
        work(&t, t.anna, 90, 4);
        assert_int_equal(t.anna->state, SIM_OUT);
        assert_string_equal(t.anna->reason, "told to disconnect");
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        done(&t);
}

static void test_all_the_time_when_nobody_else_works(void **state)
{
        Three t;
        setup(&t);
        set_rate(&t.sim, (BudgetRate){ 0 });
        sim_run(&t.sim, 20 * SIM_SEC);
        for (unsigned i = 0; i < 600; i++) {
                EffectList effects = {};
                sim_append(t.anna, "a", i);
                sim_run(&t.sim, 100 * SIM_MSEC);
                assert_int_equal(session_charge_work(t.sim.session, sim_time(&t.sim), &t.anna->id, 99 * SIM_MSEC, &effects), 0);
                sim_execute(&t.sim, &effects);
                effect_list_done(&effects);
        }
        assert_int_equal(held(&t.sim, t.anna), 0);
        assert_int_equal(t.anna->state, SIM_ACTIVE);
        done(&t);
}

static void test_init_and_join_are_not_held_back(void **state)
{
        Three t;
        sim_init(&t.sim, 11);
        set_rate(&t.sim, (BudgetRate){ .bytes = 10000, .messages = 2 });
        enter_with_scene(&t, 500);
        sim_init_session(t.host);
        sim_run(&t.sim, 2 * SIM_SEC);
        t.bert = sim_client(&t.sim, "bert", false);
        sim_enter(t.bert);
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_int_equal(t.bert->n_nodes, 500);
        /* Both have said more than that by the way. */
        assert_true(held(&t.sim, t.host) < 5 * SIM_SEC);
        assert_true(held(&t.sim, t.bert) < 5 * SIM_SEC);
        done(&t);
}

static void test_low_disk_slows_even_an_init(void **state)
{
        Three t;
        sim_init(&t.sim, 11);
        enter_with_scene(&t, 100);
        session_set_disk(t.sim.session, false, 2000);
        sim_init_session(t.host);
        sim_run(&t.sim, 2 * SIM_SEC);
        assert_true(held(&t.sim, t.host) > 0);
        assert_true(t.host->held_until[CHANNEL_COMMAND] > 0);
        assert_non_null(strstr(t.sim.last_held, "almost full disk"));
        done(&t);
}

static void test_busy_disk_holds_back_the_heaviest(void **state)
{
        Three t;
        setup(&t);
        set_rate(&t.sim, (BudgetRate){ .bytes = 4 << 20 });
        session_set_disk(t.sim.session, true, 0);
        sim_set(t.bert, "b", "x", 0);
        sim_run(&t.sim, SIM_SEC);
        sim_new_node(t.anna, "large", NULL);
        _cleanup_free_ uint8_t *zeroes = calloc(1, 6 << 20);
        sim_put(sim_find_text(t.anna, "large")->data, "blob", value_bytes_new(zeroes, 6 << 20));
        sim_push_whole(t.anna, "large");
        sim_push_whole(t.anna, "large");
        sim_run(&t.sim, 100 * SIM_MSEC);
        assert_int_equal(held(&t.sim, t.anna), 0);
        sim_push_whole(t.anna, "large");
        sim_set(t.bert, "b", "x", 1);
        sim_run(&t.sim, SIM_SEC);
        assert_true(held(&t.sim, t.anna) > 0);
        assert_int_equal(held(&t.sim, t.bert), 0);
        done(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_burst_and_rate),
                cmocka_unit_test(test_bytes_and_messages_apart),
                cmocka_unit_test(test_longest_wait),
                cmocka_unit_test(test_flood_is_held_back_on_its_channel),
                cmocka_unit_test(test_time_goes_forwards_only),
                cmocka_unit_test(test_nobody_is_held_back_alone),
                cmocka_unit_test(test_who_takes_all_the_time),
                cmocka_unit_test(test_all_the_time_when_nobody_else_works),
                cmocka_unit_test(test_init_and_join_are_not_held_back),
                cmocka_unit_test(test_low_disk_slows_even_an_init),
                cmocka_unit_test(test_busy_disk_holds_back_the_heaviest),
        };
        return cmocka_run_group_tests_name("session-charge", tests, NULL, NULL);
}
