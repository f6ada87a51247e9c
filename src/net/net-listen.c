/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/net-private.h"

/* Messages, per connection. Sending is bounded in bytes by the flight's window; this bounds what peers without an
 * outbox can make us hold. Receiving: enough to keep the I/O thread busy, little enough to push back early. */
#define SEND_HIGH_WATER_MARK 1024
#define RECEIVE_HIGH_WATER_MARK 64

#define MAX_HEARTBEAT_MESSAGE 4096
#define BACKLOG 1024

static const char *const channel_name[_CHANNEL_MAX] = { "command", "data", "ttl" };

static int fail(char **ret_error, int error, const char *format, ...) _printf_(3, 4);

static int fail(char **ret_error, int error, const char *format, ...)
{
        if (ret_error) {
                va_list ap;
                va_start(ap, format);
                char *text;
                if (vasprintf(&text, format, ap) >= 0)
                        *ret_error = text;
                va_end(ap);
        }
        return error;
}

static int set_option(void *socket, int option, int value)
{
        return zmq_setsockopt(socket, option, &value, sizeof value) < 0 ? -errno : 0;
}

static int set_options(NetChannel *c)
{
        /* Two kinds of probes find peers whose machine has vanished: TCP's for an idle connection, ZMTP's for one
         * that holds unsent bytes. Both are lenient, since a slow client is not a dead one, and the session's own
         * heartbeat is the judge of that. */
        const struct {
                int option, value;
        } options[] = {
                { ZMQ_ROUTER_MANDATORY, 1 },
                { ZMQ_ROUTER_HANDOVER, 1 },
                { ZMQ_SNDHWM, SEND_HIGH_WATER_MARK },
                { ZMQ_RCVHWM, RECEIVE_HIGH_WATER_MARK },
                { ZMQ_LINGER, 250 },
                { ZMQ_BACKLOG, BACKLOG },
                { ZMQ_IPV6, 1 },
                { ZMQ_TCP_KEEPALIVE, 1 },
                { ZMQ_TCP_KEEPALIVE_IDLE, 30 },
                { ZMQ_TCP_KEEPALIVE_INTVL, 10 },
                { ZMQ_TCP_KEEPALIVE_CNT, 4 },
                { ZMQ_HEARTBEAT_IVL, 30 * 1000 },
                { ZMQ_HEARTBEAT_TIMEOUT, 120 * 1000 },
                { ZMQ_HANDSHAKE_IVL, MAX((int)(c->net->handshake_timeout / 1000), 1) },
        };
        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                int r = set_option(c->socket, options[i].option, options[i].value);
                if (r < 0)
                        return r;
        }
        int64_t max_size = c->channel == CHANNEL_TTL ? MAX_HEARTBEAT_MESSAGE : (int64_t)c->net->max_message_size;
        const char *domain = channel_name[c->channel];
        if (zmq_setsockopt(c->socket, ZMQ_MAXMSGSIZE, &max_size, sizeof max_size) < 0 ||
            zmq_setsockopt(c->socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) < 0)
                return -errno;
        return 0;
}

static int open_socket(NetChannel *c)
{
        c->socket = zmq_socket(c->net->context, ZMQ_ROUTER);
        if (!c->socket)
                return -errno;
        int r = set_options(c);
        if (r < 0)
                return r;
        char name[64];
        snprintf(name, sizeof name, "monitor-%s", channel_name[c->channel]);
        return monitor_init(&c->monitor, c->net->context, c->socket, name);
}

/* libzmq closes the descriptor that it is given. */
static int serve_fd(NetChannel *c, int fd, char **ret_error)
{
        int accepts = 0;
        socklen_t n = sizeof accepts;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &n) < 0 || !accepts)
                return fail(ret_error, -EINVAL,
                            "File descriptor %d, handed over for the %s channel, is no listening socket; "
                            "check the .socket unit.", fd, channel_name[c->channel]);

        int flags = fcntl(fd, F_GETFL);
        int copy = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        int r = set_option(c->socket, ZMQ_USE_FD, copy);
        /* The address is not looked at when a descriptor is given. */
        if (r == 0 && zmq_bind(c->socket, "tcp://127.0.0.1:0") < 0)
                r = -errno;
        if (r < 0) {
                close(copy);
                return fail(ret_error, r, "Cannot serve the socket handed over for the %s channel: %s.",
                            channel_name[c->channel], zmq_strerror(-r));
        }
        return set_option(c->socket, ZMQ_USE_FD, -1);
}

static int bind_address(NetChannel *c, const char *address, uint16_t port, char **ret_error)
{
        char endpoint[128], port_text[8] = "*";
        if (port > 0)
                snprintf(port_text, sizeof port_text, "%u", port);
        bool needs_brackets = strchr(address, ':') && address[0] != '[';
        int n = snprintf(endpoint, sizeof endpoint, needs_brackets ? "tcp://[%s]:%s" : "tcp://%s:%s", address,
                         port_text);
        int r = (size_t)n < sizeof endpoint ? 0 : -ENAMETOOLONG;
        if (r == 0 && zmq_bind(c->socket, endpoint) < 0)
                r = -errno;
        if (r == 0)
                return 0;
        const char *hint = r == -EADDRINUSE ? "another program listens there; stop it or choose another port"
                : r == -EACCES              ? "ports below 1024 need a privilege; choose another port"
                : r == -ENODEV || r == -EADDRNOTAVAIL || r == -EINVAL
                                            ? "this machine has no such address or interface; correct `listen`"
                                            : "see `listen` and `port`";
        return fail(ret_error, r, "Cannot listen on %s port %s (%s): %s; %s.", address, port_text,
                    channel_name[c->channel], zmq_strerror(-r), hint);
}

static int bind_addresses(NetChannel *c, const char *listen, uint16_t port, char **ret_error)
{
        _cleanup_free_ char *list = strdup(listen);
        if (!list)
                return -ENOMEM;
        unsigned n = 0;
        char *rest = list, *address;
        while ((address = strsep(&rest, ", "))) {
                if (!*address)
                        continue;
                int r = bind_address(c, address, port, ret_error);
                if (r < 0)
                        return r;
                if (port == 0)
                        port = net_port(c->net, c->channel);
                n++;
        }
        return n > 0 ? 0 : fail(ret_error, -EINVAL, "No address to listen on; set `listen` to \"*\" or an address.");
}

int net_listen(Net *n, const NetConfig *config, char **ret_error)
{
        bool handed_over = config->n_fds[CHANNEL_COMMAND] > 0;
        const char *listen = config->listen ?: "*";
        if (!handed_over && config->port > UINT16_MAX - (_CHANNEL_MAX - 1))
                return fail(ret_error, -EINVAL, "Port %u leaves no room for the two ports after it; choose one up to %u.",
                            config->port, UINT16_MAX - (_CHANNEL_MAX - 1));

        for (int i = 0; i < _CHANNEL_MAX; i++) {
                NetChannel *c = &n->channel[i];
                int r = open_socket(c);
                if (r < 0)
                        return fail(ret_error, r, "Cannot open a socket for the %s channel: %s.", channel_name[i],
                                    zmq_strerror(-r));
                if (!handed_over) {
                        r = bind_addresses(c, listen, config->port ? config->port + i : 0, ret_error);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (config->n_fds[i] == 0)
                        return fail(ret_error, -EINVAL, "No socket was handed over for the %s channel; "
                                    "check FileDescriptorName= in the .socket unit.", channel_name[i]);
                for (size_t k = 0; k < config->n_fds[i]; k++) {
                        r = serve_fd(c, config->fds[i][k], ret_error);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

uint16_t net_port(const Net *n, Channel channel)
{
        char endpoint[128];
        size_t size = sizeof endpoint;
        if (zmq_getsockopt(n->channel[channel].socket, ZMQ_LAST_ENDPOINT, endpoint, &size) < 0)
                return 0;
        const char *colon = strrchr(endpoint, ':');
        unsigned port;
        return strncmp(endpoint, "tcp://", 6) == 0 && colon && sscanf(colon, ":%5u", &port) == 1 ? port : 0;
}
