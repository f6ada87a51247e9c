/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/intake.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "store/digest.h"

/* Up to here it takes less than a few milliseconds, and the way through another thread would only cost time. */
#define DIRECT_BYTES (2u << 20)

typedef struct IntakeItem {
        WorkerJob job;
        struct IntakeItem *next;
        Intake *intake;
        RoutingId from;
        char *address;
        SessionIntake *message;
        size_t bytes;
        bool busy;    /* in the worker */
        bool dropped; /* meanwhile */
        bool hashed;
        uint8_t digest[STORE_DIGEST_SIZE];
} IntakeItem;

struct Intake {
        Session *session;
        Executor *executor;
        Worker *worker;
        int (*turn)(void *userdata);
        void *userdata;
        IntakeItem *first, **tail; /* in order of arrival */
        size_t bytes;
};

Intake *intake_new(Session *session, Executor *executor, Worker *worker, int (*turn)(void *userdata), void *userdata)
{
        Intake *i = malloc(sizeof *i);
        if (!i)
                return NULL;
        *i = (Intake){ .session = session, .executor = executor, .worker = worker, .turn = turn, .userdata = userdata };
        i->tail = &i->first;
        return i;
}

static IntakeItem *item_free(IntakeItem *item)
{
        session_intake_free(item->message);
        free(item->address);
        free(item);
        return NULL;
}

static void take_out(Intake *i, IntakeItem *item)
{
        IntakeItem **p = &i->first;
        while (*p != item)
                p = &(*p)->next;
        *p = item->next;
        if (!*p)
                i->tail = p;
        i->bytes -= item->bytes;
}

Intake *intake_free(Intake *i)
{
        if (!i)
                return NULL;
        while (i->first) {
                IntakeItem *item = i->first;
                assert(!item->busy);
                take_out(i, item);
                item_free(item);
        }
        free(i);
        return NULL;
}

size_t intake_bytes(const Intake *i)
{
        return i->bytes;
}

/* Before `item`; NULL: in all of it. */
static bool has_from(const Intake *i, const RoutingId *peer, const IntakeItem *before)
{
        for (const IntakeItem *item = i->first; item && item != before; item = item->next)
                if (routing_id_equal(&item->from, peer))
                        return true;
        return false;
}

static IntakeItem *find_deliverable(const Intake *i)
{
        for (IntakeItem *item = i->first; item; item = item->next)
                if (!item->busy && !has_from(i, &item->from, item))
                        return item;
        return NULL;
}

static int deliver(Intake *i, IntakeItem *item)
{
        SessionTime t = { .now = clock_monotonic_usec(), .wall = clock_realtime_usec() };
        if (item->hashed)
                executor_set_digest(i->executor, session_intake_payload(item->message), item->digest);
        int k = session_receive_intake(i->session, t, &item->from, item->address, item->message,
                                       executor_effects(i->executor));
        return k < 0 ? k : i->turn(i->userdata);
}

static void deliver_all(Intake *i)
{
        for (IntakeItem *item; (item = find_deliverable(i));) {
                take_out(i, item);
                int k = deliver(i, item);
                item_free(item);
                if (k < 0)
                        return;
        }
}

static int item_run(WorkerJob *job)
{
        IntakeItem *item = CONTAINER_OF(job, IntakeItem, job);
        session_intake_run(item->message);
        const Bytes *payload = session_intake_payload(item->message);
        item->hashed = payload;
        if (payload)
                digest_buffer(payload->data, payload->size, item->digest);
        return 0;
}

static void item_done(WorkerJob *job, int result)
{
        IntakeItem *item = CONTAINER_OF(job, IntakeItem, job);
        Intake *i = item->intake;
        item->busy = false;
        if (item->dropped)
                item_free(item);
        else
                deliver_all(i);
}

int intake_message(Intake *i, Channel channel, const RoutingId *from, const char *address, Bytes *const *frames,
                   size_t n_frames)
{
        size_t bytes = 0;
        for (size_t k = 0; k < MIN(n_frames, (size_t)FRAMES_MAX); k++)
                bytes += frames[k]->size;
        if (channel == CHANNEL_TTL || (bytes <= DIRECT_BYTES && !(i->first && has_from(i, from, NULL))))
                return 0;
        IntakeItem *item = calloc(1, sizeof *item);
        if (!item)
                return -ENOMEM;
        item->address = strdup(address);
        int k = item->address ?
                session_intake_new(i->session, channel, from, frames, n_frames, &item->message) : -ENOMEM;
        if (k != 0) {
                item_free(item);
                return MIN(k, 0);
        }
        item->job = (WorkerJob){ .run = item_run, .done = item_done };
        item->intake = i;
        item->from = *from;
        item->bytes = bytes;
        item->busy = true;
        i->bytes += bytes;
        *i->tail = item;
        i->tail = &item->next;
        worker_submit(i->worker, &item->job, WORKER_NORMAL);
        return 1;
}

void intake_forget(Intake *i, const RoutingId *peer)
{
        for (IntakeItem *item = i->first, *next; item; item = next) {
                next = item->next;
                if (!routing_id_equal(&item->from, peer))
                        continue;
                take_out(i, item);
                item->dropped = true;
                if (!item->busy)
                        item_free(item);
        }
}

void intake_finish(Intake *i)
{
        worker_drain(i->worker, true);
}
