/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>

#include "base/worker.h"

typedef struct TestJob {
        WorkerJob job;
        unsigned n_steps; /* still to do */
        unsigned n_run;
        int result;
        unsigned order;
} TestJob;

static unsigned order_counter;
static unsigned done_counter;

static int run_job(WorkerJob *job)
{
        TestJob *t = CONTAINER_OF(job, TestJob, job);

        t->n_run++;
        if (t->n_run < t->n_steps)
                return WORKER_AGAIN;
        t->order = ++order_counter;
        return -EXDEV;
}

static void job_done(WorkerJob *job, int result)
{
        CONTAINER_OF(job, TestJob, job)->result = result;
        done_counter++;
}

static TestJob test_job(unsigned n_steps)
{
        return (TestJob){ .job = { .run = run_job, .done = job_done }, .n_steps = n_steps };
}

static void test_results_arrive(void **state)
{
        _cleanup_worker_ Worker *w = NULL;
        TestJob jobs[50];
        struct pollfd p;

        done_counter = 0;
        assert_int_equal(worker_new(&w), 0);
        for (unsigned i = 0; i < ELEMENTSOF(jobs); i++) {
                jobs[i] = test_job(1 + i % 3);
                worker_submit(w, &jobs[i].job, i % 3);
        }
        assert_int_equal(worker_pending(w), ELEMENTSOF(jobs));
        p = (struct pollfd){ .fd = worker_fd(w), .events = POLLIN };
        while (worker_pending(w) > 0) {
                assert_int_equal(poll(&p, 1, 10000), 1);
                worker_dispatch(w);
        }
        assert_int_equal(done_counter, ELEMENTSOF(jobs));
        for (unsigned i = 0; i < ELEMENTSOF(jobs); i++) {
                assert_int_equal(jobs[i].result, -EXDEV);
                assert_int_equal(jobs[i].n_run, 1 + i % 3);
        }
        assert_true(worker_progress_count(w) >= ELEMENTSOF(jobs));
        assert_int_equal(worker_stalled_usec(w), 0);
        assert_int_equal(poll(&p, 1, 0), 0);
}

/* An urgent job overtakes a long low one between two of its steps. */
static void test_urgent_overtakes(void **state)
{
        _cleanup_worker_ Worker *w = NULL;
        TestJob low = test_job(5), normal = test_job(2), urgent = test_job(1);

        order_counter = 0;
        assert_int_equal(worker_new_inline(&w), 0);
        worker_submit(w, &low.job, WORKER_LOW);
        worker_dispatch(w);
        assert_int_equal(low.n_run, 1);
        worker_submit(w, &normal.job, WORKER_NORMAL);
        worker_submit(w, &urgent.job, WORKER_URGENT);
        worker_drain(w, false);
        assert_int_equal(low.n_run, 1);
        worker_drain(w, true);
        assert_int_equal(urgent.order, 1);
        assert_int_equal(normal.order, 2);
        assert_int_equal(low.order, 3);
}

/* At the end urgent and normal jobs are finished, low ones dropped; each is told. */
static void test_free_finishes(void **state)
{
        for (unsigned threaded = 0; threaded < 2; threaded++) {
                Worker *w = NULL;
                TestJob low = test_job(1000000), normal = test_job(3);

                done_counter = 0;
                assert_int_equal(threaded ? worker_new(&w) : worker_new_inline(&w), 0);
                worker_submit(w, &low.job, WORKER_LOW);
                worker_submit(w, &normal.job, WORKER_NORMAL);
                w = worker_free(w);
                assert_null(w);
                assert_int_equal(done_counter, 2);
                assert_int_equal(low.result, -ECANCELED);
                assert_int_equal(normal.result, -EXDEV);
        }
}

/* In inline mode the fd says that there is work, so that an event loop runs it. */
static void test_inline_fd(void **state)
{
        _cleanup_worker_ Worker *w = NULL;
        TestJob a = test_job(3), b = test_job(1);
        struct pollfd p;
        unsigned n = 0;

        assert_int_equal(worker_new_inline(&w), 0);
        p = (struct pollfd){ .fd = worker_fd(w), .events = POLLIN };
        assert_int_equal(poll(&p, 1, 0), 0);
        worker_submit(w, &a.job, WORKER_NORMAL);
        worker_submit(w, &b.job, WORKER_LOW);
        while (poll(&p, 1, 0) == 1) {
                worker_dispatch(w);
                n++;
        }
        assert_int_equal(worker_pending(w), 0);
        assert_true(n >= 4);
}

static int block(WorkerJob *job)
{
        TestJob *t = CONTAINER_OF(job, TestJob, job);

        while (!__atomic_load_n(&t->n_steps, __ATOMIC_ACQUIRE))
                sched_yield();
        return -EXDEV;
}

/* Whoever waits takes the result, and nobody is told again; who has waited for too long is told as ever. */
static void test_wait(void **state)
{
        _cleanup_worker_ Worker *w = NULL;
        TestJob job = test_job(1), stuck = test_job(0);
        struct pollfd p;
        int result = 0;

        done_counter = 0;
        assert_int_equal(worker_new(&w), 0);
        assert_true(worker_submit_and_wait(w, &job.job, WORKER_URGENT, 60000000, &result));
        assert_int_equal(result, -EXDEV);
        assert_int_equal(worker_pending(w), 0);
        p = (struct pollfd){ .fd = worker_fd(w), .events = POLLIN };
        assert_int_equal(poll(&p, 1, 0), 0);
        assert_int_equal(worker_dispatch(w), 0);
        stuck.job.run = block;
        assert_false(worker_submit_and_wait(w, &stuck.job, WORKER_URGENT, 1000, &result));
        assert_int_equal(worker_pending(w), 1);
        assert_int_equal(done_counter, 0);
        __atomic_store_n(&stuck.n_steps, 1, __ATOMIC_RELEASE);
        worker_drain(w, true);
        assert_int_equal(done_counter, 1);
        assert_int_equal(stuck.result, -EXDEV);
}

static int count_step(WorkerJob *job)
{
        CONTAINER_OF(job, TestJob, job)->n_run++;
        return -EXDEV;
}

/* Jobs end just when the patience of who waits does: each is told of once, in one of the two ways. */
static void test_wait_ends_with_job(void **state)
{
        _cleanup_worker_ Worker *w = NULL;

        assert_int_equal(worker_new(&w), 0);
        for (unsigned i = 0; i < 3000; i++) {
                TestJob job = test_job(1);
                int result = 0;

                job.job.run = count_step;
                done_counter = 0;
                if (worker_submit_and_wait(w, &job.job, WORKER_URGENT, i % 40, &result)) {
                        assert_int_equal(result, -EXDEV);
                        assert_int_equal(worker_pending(w), 0);
                } else {
                        worker_drain(w, true);
                        assert_int_equal(job.result, -EXDEV);
                        assert_int_equal(done_counter, 1);
                }
                assert_int_equal(job.n_run, 1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_results_arrive),
                cmocka_unit_test(test_urgent_overtakes),
                cmocka_unit_test(test_free_finishes),
                cmocka_unit_test(test_inline_fd),
                cmocka_unit_test(test_wait),
                cmocka_unit_test(test_wait_ends_with_job),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
