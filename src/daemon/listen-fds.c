/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/event-id.h"
#include "daemon/listen-fds.h"

enum { COMMAND, DATA, TTL, N_CHANNELS };
static const char *const channel_names[N_CHANNELS] = {"command", "data", "ttl"};

static int channel_from_name(const char *name)
{
        for (int i = 0; i < N_CHANNELS; i++)
                if (strcmp(name, channel_names[i]) == 0)
                        return i;
        return -1;
}

static void refuse(int fd, const char *name, const char *why)
{
        log_event(LOG_WARNING, EVENT_SOCKET_REFUSED, LOG_FIELDS(LOG_TEXT("SOCKET", name)),
                  "Closed the socket '%s' (descriptor %d) that systemd handed over: %s. "
                  "Look at the .socket units of this service.",
                  name, fd, why);
        close(fd);
}

/* NULL when the socket can serve a channel. */
static const char *find_fault(int fd)
{
        int flags;

        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
                return "it is not a listening stream socket";
        if (sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) <= 0 && sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) <= 0)
                return "clients come by TCP only";
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return "it cannot be made non-blocking";
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return "it cannot be closed on exec";
        return NULL;
}

static unsigned port_of(int fd)
{
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        } address = {};
        socklen_t size = sizeof(address);

        if (getsockname(fd, &address.sa, &size) < 0)
                return 0;
        return ntohs(address.sa.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
}

static void names_free(char **names)
{
        for (char **n = names; n && *n; n++)
                free(*n);
        free(names);
}

static void sort_into_channels(char **names, int n_fds, int fds[static N_CHANNELS])
{
        bool any_named = false, used[N_CHANNELS] = {};

        for (int i = 0; i < n_fds; i++)
                any_named = any_named || channel_from_name(names[i]) >= 0;
        for (int i = 0; i < n_fds; i++) {
                int fd = SD_LISTEN_FDS_START + i;
                int channel = any_named ? channel_from_name(names[i]) : i < N_CHANNELS ? i : -1;
                const char *fault;

                if (channel < 0) {
                        refuse(fd, names[i], "its name is none of command, data, ttl");
                        continue;
                }
                if (used[channel]) {
                        refuse(fd, names[i], "another one was handed over for the same channel");
                        continue;
                }
                fault = find_fault(fd);
                if (fault) {
                        refuse(fd, names[i], fault);
                        continue;
                }
                used[channel] = true;
                fds[channel] = fd;
        }
}

int listen_fds_take(ListenFds *ret)
{
        int fds[N_CHANNELS] = {-1, -1, -1}, n_fds;
        char **names = NULL;
        unsigned port;

        n_fds = sd_listen_fds_with_names(1, &names);
        if (n_fds < 0)
                return log_error_errno(n_fds, "Cannot take the sockets that systemd hands over");
        if (n_fds == 0)
                return 0;
        sort_into_channels(names, n_fds, fds);
        names_free(names);

        ListenFds taken = {.command = fds[COMMAND], .data = fds[DATA], .ttl = fds[TTL]};
        for (int i = 0; i < N_CHANNELS; i++) {
                if (fds[i] >= 0)
                        continue;
                log_error("systemd handed over sockets, but none for '%s'. A .socket unit needs "
                          "FileDescriptorName=%s, or one unit lists all three ports in order.",
                          channel_names[i], channel_names[i]);
                listen_fds_close(&taken);
                return -EINVAL;
        }
        port = port_of(taken.command);
        if (port_of(taken.data) != port + 1 || port_of(taken.ttl) != port + 2)
                log_warning("Clients expect data and ttl on the two ports after command, but the sockets "
                            "handed over are on %u, %u and %u. Unless something in front of them forwards "
                            "the ports, nobody will be able to join.",
                            port, port_of(taken.data), port_of(taken.ttl));
        taken.port = port;
        *ret = taken;
        return 1;
}

void listen_fds_close(ListenFds *fds)
{
        int *each[] = {&fds->command, &fds->data, &fds->ttl};

        for (size_t i = 0; i < ELEMENTSOF(each); i++)
                if (*each[i] >= 0)
                        close(TAKE_FD(*each[i]));
}
