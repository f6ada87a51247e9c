/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/intake.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "store/digest.h"

/* Up to here it takes less than a few milliseconds, and the way through another thread would only cost time. */
#define DIRECT_BYTES (2u << 20)

/* What a message counts beside its bytes, so that not too many small ones gather behind a large one: they are all handed
 * over at once. */
#define ITEM_BYTES (64u << 10)

typedef struct IntakeItem {
        WorkerJob job;
        struct IntakeItem *next;
        Intake *intake;
        RoutingId from;
        SessionIntake *message;
        size_t bytes;
        bool hashed;
        uint8_t digest[STORE_DIGEST_SIZE];
} IntakeItem;

/* The worker does its jobs one after the other, so the first is always the one that ends next. */
struct Intake {
        Session *session;
        Executor *executor;
        Worker *worker;
        IntakeFunc received;
        void *userdata;
        IntakeItem *first, **tail; /* in order of arrival */
        size_t bytes;
};

static SessionTime time_now(void)
{
        return (SessionTime){ .now = clock_monotonic_usec(), .wall = clock_realtime_usec() };
}

Intake *intake_new(Session *session, Executor *executor, Worker *worker, IntakeFunc received, void *userdata)
{
        Intake *i = malloc(sizeof *i);
        if (!i)
                return NULL;
        *i = (Intake){ .session = session, .executor = executor, .worker = worker, .userdata = userdata };
        i->received = received;
        i->tail = &i->first;
        return i;
}

Intake *intake_free(Intake *i)
{
        if (i)
                assert(!i->first);
        free(i);
        return NULL;
}

size_t intake_bytes(const Intake *i)
{
        return i->bytes;
}

bool intake_has(const Intake *i, const RoutingId *peer)
{
        for (const IntakeItem *item = i->first; item; item = item->next)
                if (routing_id_equal(&item->from, peer))
                        return true;
        return false;
}

static void take_out_first(Intake *i)
{
        i->bytes -= i->first->bytes;
        i->first = i->first->next;
        if (!i->first)
                i->tail = &i->first;
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
        assert(item == i->first);
        take_out_first(i);
        if (item->hashed)
                executor_set_digest(i->executor, session_intake_payload(item->message), item->digest);
        i->received(i->userdata, session_receive_intake(i->session, time_now(), item->message,
                                                        executor_effects(i->executor)));
        session_intake_free(item->message);
        free(item);
}

int intake_message(Intake *i, Channel channel, const RoutingId *from, const char *address, Bytes *const *frames,
                   size_t n_frames)
{
        size_t bytes = 0;
        for (size_t k = 0; k < MIN(n_frames, (size_t)FRAMES_MAX); k++)
                bytes += frames[k]->size;
        if (channel == CHANNEL_TTL || (bytes <= DIRECT_BYTES && !intake_has(i, from)))
                return 0;
        IntakeItem *item = calloc(1, sizeof *item);
        if (!item)
                return -ENOMEM;
        int k = session_intake_new(i->session, time_now(), channel, from, address, frames, n_frames,
                                   executor_effects(i->executor), &item->message);
        if (k != 0) {
                free(item);
                return MIN(k, 0);
        }
        item->job = (WorkerJob){ .run = item_run, .done = item_done };
        item->intake = i;
        item->from = *from;
        item->bytes = ITEM_BYTES + bytes;
        i->bytes += item->bytes;
        *i->tail = item;
        i->tail = &item->next;
        worker_submit(i->worker, &item->job, WORKER_NORMAL);
        return 1;
}

void intake_finish(Intake *i)
{
        worker_drain(i->worker, true);
}
