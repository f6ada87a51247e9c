/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"
#include "base/worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

typedef struct JobList {
        WorkerJob *first;
        WorkerJob *last;
} JobList;

struct Worker {
        pthread_mutex_t mutex;
        pthread_cond_t wake;  /* the thread: there is something to do */
        pthread_cond_t ended; /* the owner, in worker_drain(): a step has ended */
        JobList queues[_WORKER_PRIORITY_MAX];
        JobList finished;
        WorkerJob *running;
        WorkerJob *awaited;  /* atomic; the owner, in worker_submit_and_wait(), takes its result itself */
        sem_t awaited_ended; /* posted then: waiting for it needs no mutex, which its poster may still hold */
        unsigned n_pending;
        bool threaded;
        bool closing; /* low jobs end with -ECANCELED instead of being queued again */
        bool stop;
        int event_fd;
        pthread_t thread;
        uint64_t progress;           /* atomic */
        uint64_t last_progress_usec; /* atomic; 0 while idle */
};

static void list_append(JobList *l, WorkerJob *job)
{
        job->next = NULL;
        if (l->last)
                l->last->next = job;
        else
                l->first = job;
        l->last = job;
}

static WorkerJob *list_take_first(JobList *l)
{
        WorkerJob *job = l->first;

        if (job) {
                l->first = job->next;
                if (!l->first)
                        l->last = NULL;
                job->next = NULL;
        }
        return job;
}

static WorkerJob *take_most_urgent(Worker *w)
{
        for (unsigned i = 0; i < _WORKER_PRIORITY_MAX; i++) {
                WorkerJob *job = list_take_first(&w->queues[i]);
                if (job)
                        return job;
        }
        return NULL;
}

static void tell_owner(Worker *w)
{
        ssize_t n = write(w->event_fd, &(uint64_t){ 1 }, sizeof(uint64_t));

        assert(n == sizeof(uint64_t)); /* a counter that is reset by each dispatch cannot overflow */
}

static void finish_locked(Worker *w, WorkerJob *job, int result)
{
        job->result = result;
        list_append(&w->finished, job);
}

/* Runs one step of the most urgent job; called and returns with the mutex held. */
static void step_locked(Worker *w)
{
        WorkerJob *job = take_most_urgent(w);
        bool was_empty;
        int r;

        w->running = job;
        __atomic_store_n(&w->last_progress_usec, clock_monotonic_usec(), __ATOMIC_RELAXED);
        pthread_mutex_unlock(&w->mutex);

        r = job->run(job);

        pthread_mutex_lock(&w->mutex);
        __atomic_store_n(&w->last_progress_usec, 0, __ATOMIC_RELAXED);
        __atomic_add_fetch(&w->progress, 1, __ATOMIC_RELAXED);
        w->running = NULL;
        was_empty = !w->finished.first;
        if (r == WORKER_AGAIN && w->closing && job->priority == WORKER_LOW)
                finish_locked(w, job, -ECANCELED);
        else if (r == WORKER_AGAIN)
                list_append(&w->queues[job->priority], job);
        else if (job == w->awaited) {
                job->result = r;
                __atomic_store_n(&w->awaited, NULL, __ATOMIC_RELEASE);
                (void)sem_post(&w->awaited_ended);
        } else
                finish_locked(w, job, r);
        if (was_empty && w->finished.first) {
                /* It wakes up at once, and should not have to wait for the mutex then. If it has come by itself meanwhile,
                 * it finds nothing. */
                pthread_mutex_unlock(&w->mutex);
                tell_owner(w);
                pthread_mutex_lock(&w->mutex);
        }
}

static void *thread_main(void *userdata)
{
        Worker *w = userdata;

        pthread_mutex_lock(&w->mutex);
        for (;;) {
                bool idle = true;

                for (unsigned i = 0; i < _WORKER_PRIORITY_MAX; i++)
                        if (w->queues[i].first)
                                idle = false;
                if (idle && w->stop)
                        break;
                if (idle) {
                        pthread_cond_wait(&w->wake, &w->mutex);
                        continue;
                }
                step_locked(w);
                pthread_cond_signal(&w->ended);
        }
        pthread_mutex_unlock(&w->mutex);
        return NULL;
}

static int start_thread(Worker *w)
{
        sigset_t all, old;
        int r;

        /* The event loop takes signals through a signalfd: none may be delivered here. SIGBUS and the like are
         * synchronous, come to whoever caused them, and must not be blocked. */
        sigfillset(&all);
        sigdelset(&all, SIGBUS);
        sigdelset(&all, SIGSEGV);
        sigdelset(&all, SIGILL);
        sigdelset(&all, SIGFPE);
        sigdelset(&all, SIGABRT);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&w->thread, NULL, thread_main, w);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0)
                return -r;
        w->threaded = true;
        pthread_setname_np(w->thread, "disk");
        return 0;
}

static int worker_new_full(bool threaded, Worker **ret)
{
        _cleanup_worker_ Worker *w = calloc(1, sizeof(Worker));

        if (!w)
                return -ENOMEM;
        pthread_mutex_init(&w->mutex, NULL);
        pthread_cond_init(&w->wake, NULL);
        pthread_cond_init(&w->ended, NULL);
        sem_init(&w->awaited_ended, 0, 0);
        w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->event_fd < 0)
                return -errno;
        if (threaded) {
                int r = start_thread(w);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(w);
        return 0;
}

int worker_new(Worker **ret)
{
        return worker_new_full(true, ret);
}

int worker_new_inline(Worker **ret)
{
        return worker_new_full(false, ret);
}

static void drop_low_locked(Worker *w)
{
        WorkerJob *job;

        while ((job = list_take_first(&w->queues[WORKER_LOW])))
                finish_locked(w, job, -ECANCELED);
}

Worker *worker_free(Worker *w)
{
        if (!w)
                return NULL;
        while (w->n_pending > 0) {
                pthread_mutex_lock(&w->mutex);
                w->closing = true;
                drop_low_locked(w);
                pthread_mutex_unlock(&w->mutex);
                worker_drain(w, true);
        }
        if (w->threaded) {
                pthread_mutex_lock(&w->mutex);
                w->stop = true;
                pthread_cond_signal(&w->wake);
                pthread_mutex_unlock(&w->mutex);
                pthread_join(w->thread, NULL);
        }
        if (w->event_fd >= 0)
                close(w->event_fd);
        sem_destroy(&w->awaited_ended);
        pthread_cond_destroy(&w->ended);
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->mutex);
        free(w);
        return NULL;
}

/* The thread is woken when the mutex is free again, which is the first thing it wants. */
static void submit(Worker *w, WorkerJob *job, WorkerPriority priority, bool awaited)
{
        assert(priority < _WORKER_PRIORITY_MAX);
        pthread_mutex_lock(&w->mutex);
        job->priority = priority;
        list_append(&w->queues[priority], job);
        if (awaited)
                w->awaited = job;
        else
                w->n_pending++;
        if (!w->threaded && !w->finished.first)
                tell_owner(w);
        pthread_mutex_unlock(&w->mutex);
        if (w->threaded)
                pthread_cond_signal(&w->wake);
}

void worker_submit(Worker *w, WorkerJob *job, WorkerPriority priority)
{
        submit(w, job, priority, false);
}

/* Returns whether the job had ended by then. */
static bool stop_awaiting(Worker *w)
{
        bool ended;

        pthread_mutex_lock(&w->mutex);
        ended = !w->awaited;
        if (!ended) {
                w->awaited = NULL;
                w->n_pending++;
        }
        pthread_mutex_unlock(&w->mutex);
        return ended;
}

static void wait_for_semaphore(sem_t *semaphore)
{
        while (sem_wait(semaphore) < 0)
                assert(errno == EINTR);
}

bool worker_submit_and_wait(Worker *w, WorkerJob *job, WorkerPriority priority, uint64_t usec, int *ret)
{
        uint64_t until = clock_monotonic_usec() + usec;
        struct timespec deadline = { .tv_sec = (time_t)(until / 1000000), .tv_nsec = (long)(until % 1000000) * 1000 };
        int r;

        if (!w->threaded) {
                while ((*ret = job->run(job)) == WORKER_AGAIN)
                        ;
                return true;
        }
        submit(w, job, priority, true);
        do
                r = sem_clockwait(&w->awaited_ended, CLOCK_MONOTONIC, &deadline);
        while (r < 0 && errno == EINTR);
        if (r < 0) {
                if (!stop_awaiting(w))
                        return false;
                wait_for_semaphore(&w->awaited_ended);
        }
        assert(!__atomic_load_n(&w->awaited, __ATOMIC_ACQUIRE));
        *ret = job->result;
        return true;
}

int worker_fd(const Worker *w)
{
        return w->event_fd;
}

/* Without a thread somebody has to do the work: one step now, and the fd stays readable for the next. */
static void dispatch_inline_locked(Worker *w)
{
        for (unsigned i = 0; i < _WORKER_PRIORITY_MAX; i++)
                if (w->queues[i].first) {
                        step_locked(w);
                        break;
                }
        for (unsigned i = 0; i < _WORKER_PRIORITY_MAX; i++)
                if (w->queues[i].first) {
                        tell_owner(w);
                        break;
                }
}

unsigned worker_dispatch(Worker *w)
{
        JobList finished;
        unsigned n = 0;
        uint64_t counter;
        ssize_t l;

        pthread_mutex_lock(&w->mutex);
        l = read(w->event_fd, &counter, sizeof(counter));
        assert(l == sizeof(counter) || errno == EAGAIN);
        if (!w->threaded)
                dispatch_inline_locked(w);
        finished = w->finished;
        w->finished = (JobList){ 0 };
        pthread_mutex_unlock(&w->mutex);

        for (WorkerJob *job = finished.first, *next; job; job = next) {
                next = job->next;
                n++;
                w->n_pending--;
                job->done(job, job->result); /* the job may be gone, or queued anew, after this */
        }
        return n;
}

static bool busy_locked(const Worker *w, bool all)
{
        if (w->finished.first || w->queues[WORKER_URGENT].first || w->queues[WORKER_NORMAL].first)
                return true;
        if (w->running && (all || w->running->priority != WORKER_LOW))
                return true;
        return all && w->queues[WORKER_LOW].first;
}

void worker_drain(Worker *w, bool all)
{
        for (;;) {
                bool busy;

                pthread_mutex_lock(&w->mutex);
                while (w->threaded && busy_locked(w, all) && !w->finished.first)
                        pthread_cond_wait(&w->ended, &w->mutex);
                busy = busy_locked(w, all);
                pthread_mutex_unlock(&w->mutex);
                if (!busy)
                        return;
                worker_dispatch(w);
        }
}

void worker_progress(Worker *w)
{
        __atomic_add_fetch(&w->progress, 1, __ATOMIC_RELAXED);
        if (w->threaded)
                __atomic_store_n(&w->last_progress_usec, clock_monotonic_usec(), __ATOMIC_RELAXED);
}

uint64_t worker_progress_count(const Worker *w)
{
        return __atomic_load_n(&w->progress, __ATOMIC_RELAXED);
}

uint64_t worker_stalled_usec(const Worker *w)
{
        uint64_t since = __atomic_load_n(&w->last_progress_usec, __ATOMIC_RELAXED);
        uint64_t now = clock_monotonic_usec();

        return since == 0 || now < since ? 0 : now - since;
}

unsigned worker_pending(const Worker *w)
{
        return w->n_pending;
}
