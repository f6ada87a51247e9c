/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Editing, deletion, metadata, slow users. */
#include <stdio.h>

#include "pickle/writer.h"
#include "three.h"

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
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_CAUGHT_UP], 1);
        done(&t);
}

/* Its outbox is full and empty again several times a second, for so long. */
static void fill_and_drain(Three *t, uint64_t usec)
{
        for (uint64_t end = t->sim.now + usec; t->sim.now < end;) {
                EffectList effects = {};
                const Node *n = scene_find(session_scene(t->sim.session), "a", 1);
                session_send_refused(t->sim.session, sim_time(&t->sim), &t->bert->id, SEND_BULK, node_id(n), &effects);
                sim_execute(&t->sim, &effects);
                sim_run(&t->sim, 100 * SIM_MSEC);
                session_outbox_drained(t->sim.session, sim_time(&t->sim), &t->bert->id, &effects);
                sim_execute(&t->sim, &effects);
                effect_list_done(&effects);
                sim_run(&t->sim, 100 * SIM_MSEC);
        }
}

static void test_a_burst_is_no_news(void **state)
{
        Three t;
        setup(&t);
        fill_and_drain(&t, 3 * SIM_SEC);
        sim_run(&t.sim, 30 * SIM_SEC);
        assert_true(t.bert->n_data >= 10);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_BEHIND], 0);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_CAUGHT_UP], 0);
        done(&t);
}

static void test_falling_behind_is_told_once(void **state)
{
        Three t;
        setup(&t);
        fill_and_drain(&t, 20 * SIM_SEC);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_BEHIND], 1);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_CAUGHT_UP], 0);
        sim_run(&t.sim, 5 * SIM_SEC);
        fill_and_drain(&t, SIM_SEC);
        sim_run(&t.sim, 15 * SIM_SEC);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_BEHIND], 1);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_CAUGHT_UP], 1);
        fill_and_drain(&t, SIM_SEC);
        sim_run(&t.sim, 30 * SIM_SEC);
        assert_int_equal(t.sim.n_logs[SESSION_EVENT_BEHIND], 1);
        done(&t);
}

/* A Delete is handled while the data of another node is still on a slow line; then Blender is busy while that arrives, and
 * the next Delete with it. */
static void test_delete_behind_late_data(void **state)
{
        Three t;
        setup(&t);
        t.sim.delay_max = SIM_MSEC;
        sim_new_node(t.anna, "m", NULL);
        sim_new_node(t.anna, "n", NULL);
        sim_run(&t.sim, 5 * SIM_SEC);
        uint64_t arrives = t.sim.now + 6 * SIM_SEC;
        SimQueue *line = &t.bert->down[CHANNEL_DATA];
        for (int i = 0; i < 20; i++)
                sim_set(t.anna, "n", "x", i);
        while (line->n < 20)
                sim_run(&t.sim, SIM_MSEC);
        for (size_t i = 0; i < line->n; i++)
                line->packets[i].arrives = arrives;
        sim_run(&t.sim, 2 * SIM_SEC);
        sim_delete(t.anna, "m");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "m"));
        t.bert->frozen_until = t.sim.now + 10 * SIM_SEC;
        while (t.sim.now <= arrives)
                sim_run(&t.sim, 10 * SIM_MSEC);
        sim_delete(t.anna, "n");
        sim_run(&t.sim, 20 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "n"));
        done(&t);
}

/* ---- crashes and stalls ---- */

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

/* What bert has sent is checked for long, and others' changes reach him meanwhile: those came over his own then. */
static void test_edit_behind_a_large_message(void **state)
{
        Three t;
        setup(&t);
        sim_set(t.bert, "a", "x", 0);
        sim_run(&t.sim, 10 * SIM_SEC);
        t.sim.check_max = SIM_SEC;
        while (t.sim.n_checks == 0) {
                sim_metadata(t.bert, "view_matrix", 1);
                sim_run(&t.sim, SIM_MSEC);
        }
        sim_set(t.bert, "a", "x", 2);
        sim_run(&t.sim, 50 * SIM_MSEC);
        assert_int_equal(t.bert->up[CHANNEL_DATA].n, 0);
        t.sim.check_max = 0;
        for (size_t i = 0; i < t.sim.n_checks; i++)
                t.sim.checks[i].due = t.sim.now + 8 * SIM_SEC;
        sim_set(t.anna, "a", "x", 1);
        for (unsigned i = 0; i < 70; i++) {
                sim_metadata(t.anna, "view_matrix", i);
                sim_run(&t.sim, 100 * SIM_MSEC);
        }
        assert_int_equal(sim_get(t.bert, "a", "x"), 1);
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_int_equal(sim_get(t.anna, "a", "x"), 2);
        assert_int_equal(sim_get(t.bert, "a", "x"), 2);
        done(&t);
}

/* The line stands still. TCP repeats what is missing on each connection in its own time, up to as long again after the
 * first that is heard. */
static void test_edit_over_a_line_that_stood_still(void **state)
{
        Three t;
        setup(&t);
        sim_set(t.bert, "a", "x", 0);
        sim_run(&t.sim, 10 * SIM_SEC);
        while (t.bert->up[CHANNEL_TTL].n == 0)
                sim_run(&t.sim, SIM_MSEC);
        uint64_t back = t.sim.now + 8 * SIM_SEC;
        t.bert->up[CHANNEL_TTL].packets[0].arrives = back;
        t.bert->frozen_until = t.sim.now + 50 * SIM_MSEC;
        sim_set(t.anna, "a", "x", 1);
        sim_run(&t.sim, 40 * SIM_MSEC);
        sim_set(t.bert, "a", "x", 2);
        t.bert->up[CHANNEL_DATA].packets[0].arrives = back + 4 * SIM_SEC;
        sim_metadata(t.bert, "view_matrix", 1);
        t.bert->up[CHANNEL_COMMAND].packets[0].arrives = back + SIM_SEC;
        while (t.bert->up[CHANNEL_DATA].n > 0) {
                sim_metadata(t.bert, "view_matrix", 2);
                sim_run(&t.sim, 100 * SIM_MSEC);
        }
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_int_equal(sim_get(t.anna, "a", "x"), 2);
        assert_int_equal(sim_get(t.bert, "a", "x"), 2);
        done(&t);
}

/* Something changes, and takes so long to reach bert. */
static void edit_on_a_slow_line(Three *t, uint64_t usec)
{
        SimQueue *line = &t->bert->down[CHANNEL_DATA];
        sim_append(t->anna, "a", 1);
        while (line->n == 0)
                sim_run(&t->sim, SIM_MSEC);
        line->packets[0].arrives = t->sim.now + usec;
        session_send_laden(t->sim.session, sim_time(&t->sim), &t->bert->id);
}

/* Data on a slow line arrives long after it was sent. */
static void test_delete_waits_for_what_is_on_its_way(void **state)
{
        Three t;
        setup(&t);
        edit_on_a_slow_line(&t, 90 * SIM_SEC);
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

/* Sent in the millisecond in which all before it had arrived. */
static void test_delete_waits_for_what_has_just_been_sent(void **state)
{
        Three t;
        setup(&t);
        SimQueue *up = &t.anna->up[CHANNEL_DATA], *down = &t.bert->down[CHANNEL_DATA];
        sim_append(t.anna, "a", 1);
        while (down->n == 0)
                sim_run(&t.sim, SIM_MSEC);
        uint64_t arrives = down->packets[0].arrives = t.sim.now + 10 * SIM_MSEC;
        sim_append(t.anna, "a", 2);
        up->packets[0].arrives = arrives;
        sim_run(&t.sim, 10 * SIM_MSEC);
        assert_int_equal(down->n, 1);
        down->packets[0].arrives = t.sim.now + 4 * SIM_SEC;
        sim_delete(t.anna, "a");
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "a"));
        sim_run(&t.sim, 5 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "a"));
        done(&t);
}

/* A client whose command connection was lost is told again what was deleted; its data may still be where it was. */
static void test_repeated_delete_waits_too(void **state)
{
        Three t;
        setup(&t);
        edit_on_a_slow_line(&t, 20 * SIM_SEC);
        sim_run(&t.sim, 3 * SIM_SEC);
        sim_delete(t.anna, "a");
        sim_run(&t.sim, SIM_SEC);
        sim_lose(t.bert, CHANNEL_COMMAND);
        sim_run(&t.sim, 10 * SIM_SEC);
        assert_non_null(sim_find_text(t.bert, "a"));
        sim_run(&t.sim, 7 * SIM_SEC);
        session_delivered(t.sim.session, sim_time(&t.sim), &t.bert->id, t.sim.now, true);
        sim_run(&t.sim, 3 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "a"));
        assert_int_equal(t.bert->state, SIM_ACTIVE);
        done(&t);
}

/* What somebody says who was busy for long says nothing of what came meanwhile: that is yet to be handled. */
static void test_delete_for_one_who_wakes_up(void **state)
{
        Three t;
        setup(&t);
        t.bert->frozen_until = t.sim.now + 3 * SIM_SEC;
        sim_run(&t.sim, 200 * SIM_MSEC);
        for (int i = 0; i < 400; i++)
                sim_append(t.anna, "a", i);
        sim_new_node(t.anna, "x", NULL);
        sim_run(&t.sim, 500 * SIM_MSEC);
        sim_delete(t.anna, "x");
        while (t.bert->frozen_until > t.sim.now)
                sim_run(&t.sim, SIM_MSEC);
        sim_append(t.bert, "b", 1);
        sim_run(&t.sim, 20 * SIM_SEC);
        assert_null(sim_find_text(t.bert, "x"));
        done(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_delete_for_one_who_wakes_up),
                cmocka_unit_test(test_updates_reach_others_once),
                cmocka_unit_test(test_simultaneous_edits_converge),
                cmocka_unit_test(test_inapplicable_delta),
                cmocka_unit_test(test_malformed_data_is_not_passed_on),
                cmocka_unit_test(test_nobody_speaks_for_another),
                cmocka_unit_test(test_delete_and_late_data),
                cmocka_unit_test(test_delete_does_not_overtake),
                cmocka_unit_test(test_metadata),
                cmocka_unit_test(test_table_is_quiet),
                cmocka_unit_test(test_slow_user_is_late_not_wrong),
                cmocka_unit_test(test_a_burst_is_no_news),
                cmocka_unit_test(test_falling_behind_is_told_once),
                cmocka_unit_test(test_delete_behind_late_data),
                cmocka_unit_test(test_crash_behind_a_large_message),
                cmocka_unit_test(test_kick_behind_a_large_message),
                cmocka_unit_test(test_delete_for_a_busy_client),
                cmocka_unit_test(test_edit_after_a_stall),
                cmocka_unit_test(test_edit_behind_a_large_message),
                cmocka_unit_test(test_edit_over_a_line_that_stood_still),
                cmocka_unit_test(test_delete_waits_for_what_is_on_its_way),
                cmocka_unit_test(test_delete_waits_for_what_has_just_been_sent),
                cmocka_unit_test(test_repeated_delete_waits_too),
        };
        return cmocka_run_group_tests_name("session-rules", tests, NULL, NULL);
}
