/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What users make libzmq hold in messages that do not end.
 *
 * A user's message may have hundreds of megabytes, and libzmq keeps its frames
 * until the last one has come without telling how many there are: an empty one
 * is two bytes on the wire and 64 in a queue. What can be seen is how much of
 * what a connection has received is not part of a whole message, and that the
 * process grows by more than everybody has sent. When that growth has come to
 * a good deal, and unfinished messages are large enough to be the cause, the
 * largest of them has to go.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/net-private.h"

#define EXCESS_MAX (UINT64_C(256) * 1024 * 1024)
#define SUSPECT_MIN (512 * 1024)
#define NOTABLE_EXCESS (1024 * 1024) /* before it connections are not looked at */

/* A zmq_msg_t for two bytes. */
#define GROWTH_MAX 32u
/* What is received is held as it is, and perhaps copied. */
#define GROWTH_FAIR 2u

/* Anonymous memory of the process, in bytes (proc_pid_statm(5)); 0: it cannot be told, and nobody is suspected. */
static uint64_t anonymous_bytes(void)
{
        char text[128];
        int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
        if (fd >= 0)
                close(fd);
        if (n <= 0)
                return 0;
        text[n] = '\0';
        char *p = text;
        (void)strtoul(p, &p, 10); /* of addresses, used or not */
        unsigned long resident = strtoul(p, &p, 10), shared = strtoul(p, &p, 10);
        return resident > shared ? (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t received_whole(const Net *n)
{
        uint64_t sum = 0;
        for (int i = 0; i < _CHANNEL_MAX; i++)
                sum += n->bytes_received[i];
        return sum;
}

/* Bytes of unfinished messages, and of those who have large ones and are users the largest. */
static uint64_t look_at_all(Net *n, uint64_t *ret_users, Connection **ret_largest)
{
        uint64_t sum = 0;
        *ret_users = 0;
        *ret_largest = NULL;
        for (size_t i = 0; i < n->connections.n_slots; i++) {
                Connection *c = n->connections.by_fd[i];
                if (!c || c->state == CONNECTION_REFUSED)
                        continue;
                net_look_at(n, c);
                sum += c->held;
                if (c->is_strangers || c->held < SUSPECT_MIN)
                        continue;
                *ret_users += c->held;
                if (!*ret_largest || c->held > (*ret_largest)->held)
                        *ret_largest = c;
        }
        return sum;
}

static uint64_t excess_after(const MemoryWatch *old, const MemoryWatch *w)
{
        uint64_t fair = GROWTH_FAIR * (w->received > old->received ? w->received - old->received : 0);
        uint64_t all = old->excess + w->memory, explained = old->memory + fair;
        return all > explained ? all - explained : 0;
}

void net_check_memory(Net *n)
{
        MemoryWatch *w = &n->watch, old = *w;
        *w = (MemoryWatch){ .memory = anonymous_bytes(), .received = received_whole(n), .excess = old.excess };
        /* While somebody is not read from, whole messages lie about as well. */
        if (old.memory == 0 || w->memory == 0 || net_is_paused(n))
                return;
        w->excess = excess_after(&old, w);
        if (w->excess < NOTABLE_EXCESS)
                return;
        uint64_t users;
        Connection *largest;
        w->received += look_at_all(n, &users, &largest);
        w->excess = largest ? excess_after(&old, w) : 0;
        if (w->excess <= EXCESS_MAX || users * GROWTH_MAX < w->excess / 2)
                return;
        w->excess -= MIN(w->excess, largest->held * GROWTH_MAX);
        net_cut_hoarder(n, largest, true);
}
