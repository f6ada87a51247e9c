/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/bytes.h"
#include "ctl/probe.h"
#include "pickle/reader.h"

#define N_QUESTIONS 5u
#define ANSWER_MAX 4096u

/* 1: ready, 0: the deadline is over, negative errno. */
static int wait_fd(int fd, short events, uint64_t deadline)
{
        for (;;) {
                uint64_t now = clock_monotonic_usec();
                struct pollfd p = {.fd = fd, .events = events};
                int r;

                if (now >= deadline)
                        return 0;
                r = poll(&p, 1, (int)((deadline - now + 999) / 1000));
                if (r >= 0)
                        return r;
                if (errno != EINTR)
                        return -errno;
        }
}

static ProbeResult result_of_errno(int error)
{
        switch (error) {
        case ECONNREFUSED:
                return PROBE_REFUSED;
        case ETIMEDOUT:
                return PROBE_TIMEOUT;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ENETDOWN:
        case EADDRNOTAVAIL:
        case EAFNOSUPPORT:
                return PROBE_UNREACHABLE;
        default:
                return PROBE_ERROR;
        }
}

/* A ZMTP 3 peer sends the ten bytes of its signature as soon as somebody connects. */
static ProbeResult read_signature(int fd, uint64_t deadline)
{
        uint8_t signature[10];
        size_t have = 0;

        while (have < sizeof(signature)) {
                ssize_t n;

                if (wait_fd(fd, POLLIN, deadline) <= 0)
                        return have == 0 ? PROBE_SILENT : PROBE_FOREIGN;
                n = recv(fd, signature + have, sizeof(signature) - have, 0);
                if (n <= 0)
                        return have == 0 ? PROBE_SILENT : PROBE_FOREIGN;
                have += (size_t)n;
        }
        return signature[0] == 0xff && (signature[9] & 1) ? PROBE_OK : PROBE_FOREIGN;
}

static ProbeResult try_address(const struct addrinfo *a, uint64_t deadline, PortProbe *p)
{
        uint64_t begin = clock_monotonic_usec();
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
        socklen_t size = sizeof(error);
        ProbeResult result;

        if (fd < 0) {
                p->error = errno;
                return result_of_errno(errno);
        }
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
                error = errno;
        else if (wait_fd(fd, POLLOUT, deadline) <= 0)
                error = ETIMEDOUT;
        else
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        p->error = error;
        if (error != 0) {
                result = result_of_errno(error);
        } else {
                p->connect_usec = clock_monotonic_usec() - begin;
                result = read_signature(fd, deadline);
        }
        close(fd);
        return result;
}

void probe_port(const char *host, uint16_t port, unsigned timeout_msec, PortProbe *ret)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
        uint64_t deadline = clock_monotonic_usec() + (uint64_t)timeout_msec * 1000;
        PortProbe p = {.result = PROBE_NO_ADDRESS};
        char service[8];
        int r;

        snprintf(service, sizeof(service), "%u", port);
        r = getaddrinfo(host, service, &hints, &list);
        if (r != 0)
                p.error = r;
        for (struct addrinfo *a = r == 0 ? list : NULL; a; a = a->ai_next) {
                getnameinfo(a->ai_addr, a->ai_addrlen, p.address, sizeof(p.address), NULL, 0, NI_NUMERICHOST);
                p.result = try_address(a, deadline, &p);
                if (p.result == PROBE_OK || p.result == PROBE_SILENT || p.result == PROBE_FOREIGN)
                        break;
        }
        if (r == 0)
                freeaddrinfo(list);
        *ret = p;
}

/* {'private': bool, 'version': str} */
static int read_answer(Bytes *pickle, ServerProbe *p)
{
        _cleanup_value_ Value *v = NULL;
        PickleLimits limits = {.max_size = ANSWER_MAX, .max_depth = 8, .max_memo = 256, .max_values = 256};
        const Value *private, *version;
        int r = pickle_read(pickle, PICKLE_PROFILE_DATA, &limits, &v, NULL);

        if (r < 0)
                return r;
        private = r == 0 ? value_dict_get_string(v, "private") : NULL;
        version = r == 0 ? value_dict_get_string(v, "version") : NULL;
        if (!private || value_type(private) != VALUE_BOOL || !version || !value_is_string(version)) {
                p->malformed = true;
                return 0;
        }
        p->answered = true;
        p->private = value_bool_get(private);
        snprintf(p->version, sizeof(p->version), "%.*s", (int)MIN(value_size(version), sizeof(p->version) - 1),
                 (const char *)value_data(version));
        return 0;
}

/* One answer: 1 when it came, 0 when the time was over, negative errno. */
static int receive(void *socket, uint64_t deadline, ServerProbe *p)
{
        for (unsigned n = 0;; n++) {
                zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
                uint64_t now = clock_monotonic_usec();
                uint8_t buffer[ANSWER_MAX];
                int size, more = 0;
                size_t more_size = sizeof(more);

                if (now >= deadline || (n == 0 && zmq_poll(&item, 1, (long)((deadline - now + 999) / 1000)) == 0))
                        return 0;
                size = zmq_recv(socket, buffer, sizeof(buffer), ZMQ_DONTWAIT);
                if (size < 0)
                        return zmq_errno() == EINTR || zmq_errno() == EAGAIN ? 0 : -zmq_errno();
                zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size);
                if (!more) {
                        _cleanup_bytes_ Bytes *pickle = NULL;
                        int r;

                        if (n != 2 || (size_t)size > sizeof(buffer)) {
                                p->malformed = true;
                                return 1;
                        }
                        pickle = bytes_new_copy(buffer, (size_t)size);
                        r = pickle ? read_answer(pickle, p) : -ENOMEM;
                        return r < 0 ? r : 1;
                }
        }
}

static int ask(void *socket, unsigned timeout_msec, ServerProbe *p)
{
        static const uint8_t kind[] = {0x80, 4, 'K', 14, '.'};
        static const uint8_t question[] = {0x80, 4, 0x8c, 7, 'R', 'Q', '_', 'I', 'N', 'F', 'O', '.'};

        for (unsigned i = 0; i < N_QUESTIONS; i++) {
                uint64_t begin = clock_monotonic_usec(), took;
                int r;

                if (zmq_send(socket, kind, sizeof(kind), ZMQ_SNDMORE) < 0 ||
                    zmq_send(socket, "guest", 5, ZMQ_SNDMORE) < 0 || zmq_send(socket, question, sizeof(question), 0) < 0)
                        return -zmq_errno();
                r = receive(socket, begin + (uint64_t)timeout_msec * 1000, p);
                if (r <= 0 || p->malformed)
                        return r < 0 ? r : 0;
                took = clock_monotonic_usec() - begin;
                /* The first includes the connection's handshake. */
                if (i == 0 || took < p->round_trip_usec)
                        p->round_trip_usec = took;
                p->n_answers++;
        }
        return 0;
}

int probe_server(const char *host, uint16_t port, unsigned timeout_msec, ServerProbe *ret)
{
        ServerProbe p = {0};
        void *context = zmq_ctx_new(), *socket = context ? zmq_socket(context, ZMQ_DEALER) : NULL;
        int zero = 0, ipv6 = 1, timeout = (int)timeout_msec, r;
        _cleanup_free_ char *endpoint = NULL;
        bool bracket = strchr(host, ':') != NULL;

        if (!socket)
                r = -ENOMEM;
        else if (asprintf(&endpoint, "tcp://%s%s%s:%u", bracket ? "[" : "", host, bracket ? "]" : "", port) < 0)
                r = -ENOMEM;
        else if (zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero)) < 0 ||
                 zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof(ipv6)) < 0 ||
                 zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
                 zmq_connect(socket, endpoint) < 0)
                r = -zmq_errno();
        else
                r = ask(socket, timeout_msec, &p);
        if (socket)
                zmq_close(socket);
        if (context)
                zmq_ctx_term(context);
        if (r >= 0)
                *ret = p;
        return r < 0 ? r : 0;
}
