/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/user.h"

#include "base/clock.h"

User *user_new(const RoutingId *id, const void *name, size_t name_size)
{
        User *u = malloc(sizeof *u);
        if (!u)
                return NULL;
        *u = (User){ .id = *id, .latency_told = LATENCY_UNKNOWN };
        u->pace = calloc(1, sizeof *u->pace);
        if (!u->pace)
                return user_free(u);
        uint8_t *text;
        u->name = bytes_new_uninitialised(name_size + 1, &text);
        if (!u->name)
                return user_free(u);
        memcpy(text, name, name_size);
        text[name_size] = '\0';
        u->name->size = name_size;
        return u;
}

void user_forget_untold(User *u)
{
        for (size_t i = 0; i < u->n_untold; i++)
                frames_unref(u->untold[i].frames);
        u->n_untold = 0;
}

void held_command_done(HeldCommand *h)
{
        bytes_unref(h->deleted);
        value_unref(h->uuids);
}

User *user_free(User *u)
{
        if (!u)
                return NULL;
        for (size_t i = 0; i < u->n_held; i++)
                held_command_done(&u->held[i]);
        free(u->held);
        u64_map_done(&u->held_deletes);
        free(u->pace);
        u64_map_done(&u->stale);
        u64_map_done(&u->repaired);
        for (size_t i = 0; i < ELEMENTSOF(u->early_rights); i++)
                u64_map_done(&u->early_rights[i]);
        bytes_unref(u->name);
        user_forget_untold(u);
        free(u->catalog.steps);
        bytes_unref(u->catalog.pickle);
        bytes_unref(u->metadata);
        bytes_unref(u->metadata_kept);
        task_holder_done(&u->tasks);
        free(u->address);
        heir_free(u->heir);
        free(u);
        return NULL;
}

void user_set_address(User *u, const char *address)
{
        if (u->address && strcmp(u->address, address) == 0)
                return;
        char *copy = strdup(address);
        if (!copy)
                return;
        free(u->address);
        u->address = copy;
}

void user_add_round_trip(User *u, uint32_t usec)
{
        if (!u->has_latency) {
                u->has_latency = true;
                u->latency = usec;
                u->latency_deviation = usec / 2;
                return;
        }
        uint32_t deviation = usec > u->latency ? usec - u->latency : u->latency - usec;
        u->latency = (uint32_t)(((uint64_t)u->latency * 7 + usec) / 8);
        /* Slower, so that a line that has become another one is not taken for one that varies. */
        u->latency_deviation = (uint32_t)(((uint64_t)u->latency_deviation * 31 + deviation) / 32);
}

#define HALF_LIFE (60 * USEC_PER_SEC)

uint64_t user_received(const User *u, uint64_t now)
{
        uint64_t n = (now - MIN(u->received_at, now)) / HALF_LIFE;
        return n < 64 ? u->received >> n : 0;
}

void user_add_received(User *u, uint64_t now, uint64_t bytes)
{
        uint64_t n = (now - MIN(u->received_at, now)) / HALF_LIFE;
        u->received = user_received(u, now) + bytes;
        u->received_at = u->received_at == 0 ? now : u->received_at + n * HALF_LIFE;
}
