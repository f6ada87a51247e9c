/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random interleavings of everything that users, networks and restarts do to a session. Whatever happens: no client
 * raises, and when it is quiet every active client has the server's scene, so each change has reached it exactly once.
 *
 * SIM_SEED=n runs one seed, SIM_ROUNDS=n and SIM_RUNS=n more or longer ones.
 */
#include <stdio.h>

#include "sim.h"
#include "test.h"

typedef struct Course {
        bool restarts, slow, leaves, checks, lines, clock;
} Course;

static unsigned next_uuid, n_value;

static const char *some_uuid(const SimClient *c, char buffer[static 64])
{
        if (c->n_nodes == 0)
                return NULL;
        const SimNode *n = &c->nodes[sim_random(c->sim, c->n_nodes)];
        snprintf(buffer, 64, "%.*s", (int)n->uuid->size, n->uuid->data);
        return buffer;
}

static bool may_edit(const SimClient *c, const char *uuid)
{
        const SimNode *n = sim_find_text(c, uuid);
        return bytes_equal_string(n->owner, "COMMON") || bytes_equal_string(n->owner, c->name);
}

static void edit(SimClient *c, const char *uuid)
{
        switch (sim_random(c->sim, 4)) {
        case 0:
                sim_set(c, uuid, "x", ++n_value);
                break;
        case 1:
                sim_set(c, uuid, sim_random(c->sim, 2) ? "y" : "z", ++n_value);
                break;
        default:
                sim_append(c, uuid, ++n_value);
        }
}

static void act(SimClient *c)
{
        char uuid[64], other[64];
        uint64_t what = sim_random(c->sim, 100);
        if (what < 8 || c->n_nodes < 3) {
                snprintf(other, sizeof other, "node-%u", ++next_uuid);
                sim_new_node(c, other, some_uuid(c, uuid));
                return;
        }
        some_uuid(c, uuid);
        if (what < 60) {
                for (uint64_t n = 1 + sim_random(c->sim, 4); n > 0 && may_edit(c, uuid); n--)
                        edit(c, uuid);
        } else if (what < 66 && may_edit(c, uuid)) {
                sim_push_whole(c, uuid);
        } else if (what < 72 && may_edit(c, uuid)) {
                if (sim_random(c->sim, 2))
                        edit(c, uuid);
                sim_delete(c, uuid);
        } else if (what < 82 && may_edit(c, uuid)) {
                sim_right(c, uuid, sim_random(c->sim, 2) ? c->name : "COMMON");
        } else {
                sim_metadata(c, "scene_current", (int64_t)what);
        }
}

/* What is on its way to it takes long, and all that comes after it. */
static void slow_line(SimClient *c)
{
        SimQueue *line = &c->down[CHANNEL_DATA];
        uint64_t *last = line->n > 0 ? &line->packets[line->n - 1].arrives : NULL, *link = &c->links_at[CHANNEL_DATA];
        if (!last || *last <= c->sim->now)
                return;
        *last += sim_random(c->sim, 5 * SIM_SEC);
        /* It makes the next connection when it has read all of the one before. */
        if (*link > c->sim->now)
                *link = MAX(*link, *last);
}

static void disturb(Sim *sim, SimClient *c, const Course *course)
{
        uint64_t what = sim_random(sim, 1000);
        if (course->leaves && what < 15 && c->state != SIM_OUT) {
                sim_leave(c, sim_random(sim, 2));
        } else if (what < 60) {
                c->frozen_until = sim->now + sim_random(sim, 700 * SIM_MSEC);
        } else if (course->restarts && what < 75) {
                sim_stop(sim);
                sim_run(sim, sim_random(sim, 2 * SIM_SEC));
                sim_start(sim);
        } else if (what < 85) {
                sim_snapshot(sim);
        } else if (course->slow && what < 110) {
                c->backlog_limit = c->backlog_limit ? 0 : 1 + sim_random(sim, 4);
        } else if (course->lines && what >= 900 && what < 950) {
                slow_line(c);
        } else if (course->clock && what >= 960 && what < 970) {
                /* Set on shortly before a restart it cannot be told from a time in which nothing was. */
                sim->wall_offset += course->restarts ? 0 : sim_random(sim, 7200 * SIM_SEC);
                sim->wall_offset -= sim_random(sim, 7200 * SIM_SEC);
        } else if (course->lines && what >= 980 && c->state == SIM_ACTIVE) {
                sim_lose(c, CHANNEL_DATA);
        }
}

/* A user whose client shows no sign of life gives up and starts anew. */
static void give_up(SimClient *c, size_t *n_stuck)
{
        bool waits = c->state == SIM_SYNCING || c->state == SIM_SRV_SYNC;
        if (!waits || c->last_progress + 20 * SIM_SEC > c->sim->now)
                return;
        (*n_stuck)++;
        sim_leave(c, false);
}

/* No message has thrown it out, and nobody has forgotten it. */
static void check_well(const SimClient *c, uint64_t seed)
{
        if (c->raised || (strcmp(c->reason, "server lost") == 0 && !c->dismissed))
                fail_msg("seed %llu after %.3f s: %s %s", (unsigned long long)seed, (double)(c->sim->now / SIM_MSEC) / 1e3 - 1e3,
                         c->name, c->reason);
}

static void settle(Sim *sim)
{
        for (size_t i = 0; i < sim->n_clients; i++)
                sim->clients[i].backlog_limit = 0;
        for (int second = 0; second < 30; second++) {
                for (size_t i = 0; i < sim->n_clients; i++)
                        if (sim->clients[i].state == SIM_ACTIVE)
                                sim_metadata(&sim->clients[i], "view_matrix", second);
                sim_run(sim, SIM_SEC);
        }
}

static void run_course(uint64_t seed, const Course *course)
{
        Sim sim;
        next_uuid = n_value = 0;
        sim_init(&sim, seed);
        sim.delay_max = (1 + sim_random(&sim, 80)) * SIM_MSEC;
        if (sim_random(&sim, 2))
                sim.config.graph_cache_bytes = 2000;
        if (course->checks)
                sim.check_max = (1 + sim_random(&sim, 4000)) * SIM_MSEC;
        const char *env = getenv("SIM_ROUNDS");
        unsigned rounds = env ? (unsigned)atoi(env) : 300;
        size_t n_stuck = 0;
        SimClient *host = sim_client(&sim, "host", true);
        sim_enter(host);
        for (int i = 0; i < 6; i++) {
                char uuid[32];
                snprintf(uuid, sizeof uuid, "start-%d", i);
                sim_add_local(host, uuid, "COMMON");
        }
        sim_init_session(host);
        sim_run(&sim, SIM_SEC);
        for (int i = 0; i < 4; i++) {
                char name[32];
                snprintf(name, sizeof name, "user %d", i);
                sim_client(&sim, name, i == 0);
        }
        for (unsigned round = 0; round < rounds; round++) {
                SimClient *c = &sim.clients[sim_random(&sim, sim.n_clients)];
                if (c->state == SIM_OUT && sim_random(&sim, 10) == 0)
                        sim_login(c, NULL);
                else if (c->state == SIM_ACTIVE)
                        act(c);
                disturb(&sim, c, course);
                sim_run(&sim, sim_random(&sim, 60 * SIM_MSEC));
                for (size_t i = 0; i < sim.n_clients; i++) {
                        give_up(&sim.clients[i], &n_stuck);
                        /* Ordinary people move the mouse. */
                        if (sim.clients[i].state == SIM_ACTIVE && sim_random(&sim, 20) == 0)
                                sim_metadata(&sim.clients[i], "view_matrix", round);
                        check_well(&sim.clients[i], seed);
                }
        }
        settle(&sim);
        for (size_t i = 0; i < sim.n_clients; i++)
                check_well(&sim.clients[i], seed);
        const char *difference = sim_compare(&sim);
        if (difference)
                fail_msg("seed %llu: %s", (unsigned long long)seed, difference);
        if (getenv("SIM_TRACE"))
                fprintf(stderr, "seed %llu: %zu nodes, %zu stuck\n", (unsigned long long)seed, sim.clients[0].n_nodes,
                        n_stuck);
        sim_done(&sim);
}

static void run_courses(uint64_t first, const Course *course)
{
        const char *one = getenv("SIM_SEED"), *runs = getenv("SIM_RUNS");
        if (one) {
                run_course(strtoull(one, NULL, 10), course);
                return;
        }
        uint64_t n = runs ? strtoull(runs, NULL, 10) : 25;
        print_message("# seeds %llu to %llu\n", (unsigned long long)first, (unsigned long long)(first + n - 1));
        for (uint64_t seed = first; seed < first + n; seed++)
                run_course(seed, course);
}

static void test_editing(void **state)
{
        run_courses(1, &(Course){});
}

static void test_coming_and_going(void **state)
{
        run_courses(1001, &(Course){ .leaves = true });
}

static void test_slow_clients(void **state)
{
        run_courses(2001, &(Course){ .slow = true, .leaves = true });
}

static void test_restarts(void **state)
{
        run_courses(3001, &(Course){ .restarts = true });
}

static void test_everything(void **state)
{
        run_courses(4001, &(Course){ .restarts = true, .slow = true, .leaves = true });
}

/* Some messages are checked for a while, up to four seconds, in which what others send passes them. */
static void test_checks(void **state)
{
        run_courses(5001, &(Course){ .checks = true });
}

static void test_everything_and_checks(void **state)
{
        run_courses(6001, &(Course){ .restarts = true, .slow = true, .leaves = true, .checks = true });
}

/* Data waits on slow lines, whose connections are taken for lost without being so. */
static void test_slow_lines(void **state)
{
        run_courses(7001, &(Course){ .leaves = true, .lines = true });
}

static void test_everything_and_slow_lines(void **state)
{
        run_courses(8001, &(Course){ .restarts = true, .slow = true, .leaves = true, .checks = true, .lines = true });
}

/* Somebody sets the clock. */
static void test_clock(void **state)
{
        run_courses(9001, &(Course){ .slow = true, .leaves = true, .lines = true, .clock = true });
}

static void test_everything_and_the_clock(void **state)
{
        run_courses(10001, &(Course){ .restarts = true, .slow = true, .leaves = true, .lines = true, .clock = true });
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_editing),
                cmocka_unit_test(test_coming_and_going),
                cmocka_unit_test(test_slow_clients),
                cmocka_unit_test(test_restarts),
                cmocka_unit_test(test_everything),
                cmocka_unit_test(test_checks),
                cmocka_unit_test(test_everything_and_checks),
                cmocka_unit_test(test_slow_lines),
                cmocka_unit_test(test_everything_and_slow_lines),
                cmocka_unit_test(test_clock),
                cmocka_unit_test(test_everything_and_the_clock),
        };
        return cmocka_run_group_tests_name("session-random", tests, NULL, NULL);
}
