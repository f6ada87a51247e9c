/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "session/task-holder.h"

typedef struct HolderHead {
        uint64_t joined, before, read;
        uint8_t synced;
} __attribute__((__packed__)) HolderHead;

void task_holder_done(TaskHolder *h)
{
        free(h->held);
        *h = (TaskHolder){ 0 };
}

const TaskHeld *task_holder_find(const TaskHolder *h, uint64_t id_hash)
{
        for (size_t i = 0; i < h->n_held; i++)
                if (h->held[i].id_hash == id_hash)
                        return &h->held[i];
        return NULL;
}

bool task_holder_has(const TaskHolder *h, const Task *task)
{
        const TaskHeld *held = h->synced ? task_holder_find(h, task->id_hash) : NULL;
        return held && held->digest == task->digest;
}

Bytes *task_holder_save(const TaskHolder *h)
{
        const HolderHead head = { htole64(h->joined), htole64(h->before), htole64(h->read), h->synced };
        uint8_t *p;
        Bytes *b = bytes_new_uninitialised(sizeof head + h->n_held * sizeof *h->held, &p);
        if (!b)
                return NULL;
        p = mempcpy(p, &head, sizeof head);
        for (size_t i = 0; i < h->n_held; i++) {
                const TaskHeld held = { htole64(h->held[i].id_hash), htole64(h->held[i].digest) };
                p = mempcpy(p, &held, sizeof held);
        }
        return b;
}

int task_holder_load(TaskHolder *h, const Bytes *bytes)
{
        HolderHead head;
        if (!bytes || bytes->size < sizeof head || (bytes->size - sizeof head) % sizeof *h->held != 0)
                return 1;
        memcpy(&head, bytes->data, sizeof head);
        size_t n = (bytes->size - sizeof head) / sizeof *h->held;
        TaskHeld *held = calloc(n + 1, sizeof *held);
        if (!held)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                memcpy(&held[i], bytes->data + sizeof head + i * sizeof *held, sizeof *held);
                held[i] = (TaskHeld){ le64toh(held[i].id_hash), le64toh(held[i].digest) };
        }
        task_holder_done(h);
        *h = (TaskHolder){
                .joined = le64toh(head.joined), .before = le64toh(head.before), .read = le64toh(head.read),
                .synced = head.synced, .held = held, .n_held = n,
        };
        return 0;
}

void task_holder_return(TaskHolder *h, uint64_t left, uint64_t joined)
{
        h->joined = joined;
        h->before = left;
        h->read = 0;
        h->synced = false;
        h->doubtful = 0;
}
