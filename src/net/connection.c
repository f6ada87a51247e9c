/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/socket.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel takes megabytes beyond what TCP has under way, which on a slow line are half a minute old before they are
 * sent: held here they can still be superseded. What a fast line carries in a round trip does not count as unsent. */
#define UNSENT_MAX (128 * 1024)

void connection_table_done(ConnectionTable *t)
{
        for (size_t i = 0; i < t->n_slots; i++)
                free(t->by_fd[i]);
        free(t->by_fd);
        *t = (ConnectionTable){};
}

Connection *connection_table_find(const ConnectionTable *t, int fd)
{
        return fd >= 0 && (size_t)fd < t->n_slots ? t->by_fd[fd] : NULL;
}

static bool connection_table_grow(ConnectionTable *t, size_t n_slots)
{
        if (n_slots <= t->n_slots)
                return true;
        n_slots = MAX(n_slots, 2 * t->n_slots);
        Connection **by_fd = reallocarray(t->by_fd, n_slots, sizeof *by_fd);
        if (!by_fd)
                return false;
        memset(by_fd + t->n_slots, 0, (n_slots - t->n_slots) * sizeof *by_fd);
        t->by_fd = by_fd;
        t->n_slots = n_slots;
        return true;
}

/* The I/O thread may close the descriptor, and the kernel give its number away, at any time. A duplicate pins
 * the socket, so that what is asked and what is done concern the same one. */
static int pin(const Connection *c, bool compare)
{
        int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -1;
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && (!compare || st.st_ino == c->inode))
                return fd;
        close(fd);
        return -1;
}

Connection *connection_table_add(ConnectionTable *t, int fd, Channel channel, uint64_t floor, uint64_t now)
{
        assert(fd >= 0 && !connection_table_find(t, fd));
        if (!connection_table_grow(t, (size_t)fd + 1))
                return NULL;
        Connection *c = malloc(sizeof *c);
        if (!c)
                return NULL;
        *c = (Connection){ .fd = fd, .channel = channel, .floor = floor, .accepted_at = now };

        int pinned = pin(c, false);
        if (pinned >= 0) {
                struct stat st;
                if (fstat(pinned, &st) == 0)
                        c->inode = st.st_ino;
                c->is_ip = address_of_peer(pinned, &c->address) == 0;
                /* What cannot be refused is no matter of correctness. */
                int unsent = UNSENT_MAX;
                (void)setsockopt(pinned, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
                close(pinned);
        }
        if (c->is_ip)
                address_format(&c->address, c->text);
        else
                address_text_copy(c->text, "unknown");
        t->by_fd[fd] = c;
        t->n_connections++;
        return c;
}

void connection_table_remove(ConnectionTable *t, Connection *c)
{
        assert(t->by_fd[c->fd] == c);
        t->by_fd[c->fd] = NULL;
        t->n_connections--;
}

bool connection_is_alive(const Connection *c)
{
        struct stat st;
        return fstat(c->fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == c->inode;
}

void connection_shut_down(Connection *c)
{
        int fd = pin(c, true);
        if (fd < 0)
                return;
        /* A reset: after a plain shutdown libzmq would read on whatever the kernel holds, be it megabytes. */
        (void)connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr));
        close(fd);
}

/* Whether the kernel may adapt the receive buffer to what is read: with each step it would widen the window again. Before
 * Linux 5.14 that cannot be told to it, and a bound holds less well on a young connection. */
static void adapt_buffer(int fd, bool adapt)
{
#ifdef SO_BUF_LOCK
        int locks = 0;
        socklen_t n = sizeof locks;
        if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &n) < 0)
                return;
        locks = adapt ? locks & ~SOCK_RCVBUF_LOCK : locks | SOCK_RCVBUF_LOCK;
        (void)setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, sizeof locks);
#endif
}

void connection_bound_window(Connection *c, int bytes)
{
        int fd = pin(c, true), window = 0;
        socklen_t n = sizeof window;
        if (fd < 0)
                return;
        if (c->window == 0 && getsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window, &n) == 0)
                c->window = window > 0 ? window : INT_MAX;
        if (bytes == 0) {
                bytes = c->window;
                c->window = 0;
        }
        adapt_buffer(fd, c->window == 0);
        /* Where it is refused, the client is only not held back. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &bytes, sizeof bytes);
        close(fd);
}

void connection_set_low_water(Connection *c, size_t bytes)
{
        int fd = pin(c, true), low_water = (int)MAX(bytes, (size_t)1);
        if (fd < 0)
                return;
        c->low_water = bytes;
        /* Where it is refused, each message is taken by itself. */
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water);
        close(fd);
}

uint64_t connection_bytes_received(const Connection *c)
{
        /* Asked often, so without a duplicate: when the descriptor still is that socket afterwards, it was asked. */
        struct tcp_info info = {};
        socklen_t n = sizeof info;
        if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
            n < offsetof(struct tcp_info, tcpi_bytes_received) + 8 || !connection_is_alive(c))
                return 0;
        return info.tcpi_bytes_received;
}

uint64_t connection_bytes_held(const Connection *c)
{
        uint64_t received = connection_bytes_received(c);
        return received > c->n_delivered ? received - c->n_delivered : 0;
}

uint64_t connection_bytes_unsent(const Connection *c)
{
        int n = 0; /* asked without a duplicate, as above */
        if (ioctl(c->fd, SIOCOUTQ, &n) < 0 || !connection_is_alive(c))
                return 0;
        return n > 0 ? (uint64_t)n : 0;
}

void connection_look(Connection *c, uint64_t now)
{
        c->all_acked = false;
        int fd = pin(c, true);
        if (fd < 0)
                return;
        struct tcp_info info = {};
        socklen_t n = sizeof info;
        int held = 0;
        bool known = ioctl(fd, SIOCOUTQ, &held) == 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
                     n >= offsetof(struct tcp_info, tcpi_bytes_acked) + 8;
        close(fd);
        if (!known)
                return;
        c->all_acked = held == 0;
        if (info.tcpi_bytes_acked > c->acked)
                c->acked_after = c->looked_at;
        c->acked = info.tcpi_bytes_acked;
        c->looked_at = now;
}
