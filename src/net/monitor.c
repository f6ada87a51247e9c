/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* Without ZMQ_EVENT_ACCEPT_FAILED: when descriptors run out, libzmq tells it again and again without pause. */
#define MONITOR_EVENTS                                                                                  \
        (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | \
         ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |                     \
         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

int monitor_init(Monitor *m, void *context, void *watched, const char *name)
{
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "inproc://%s", name);

        m->socket = zmq_socket(context, ZMQ_PAIR);
        if (!m->socket)
                return -errno;
        /* The I/O thread would wait for us with all its connections if this queue could be full. */
        int zero = 0;
        if (zmq_setsockopt(m->socket, ZMQ_RCVHWM, &zero, sizeof zero) < 0 ||
            zmq_setsockopt(m->socket, ZMQ_LINGER, &zero, sizeof zero) < 0 ||
            zmq_socket_monitor(watched, endpoint, MONITOR_EVENTS) < 0)
                goto failed;
        m->watched = watched;
        if (zmq_connect(m->socket, endpoint) < 0)
                goto failed;
        return 0;
failed:;
        int r = -errno;
        monitor_done(m);
        return r;
}

void monitor_done(Monitor *m)
{
        if (m->watched)
                zmq_socket_monitor(m->watched, NULL, 0);
        m->watched = NULL;
        if (m->socket)
                zmq_close(m->socket);
        m->socket = NULL;
}

int monitor_fd(const Monitor *m)
{
        int fd = -1;
        size_t n = sizeof fd;
        return zmq_getsockopt(m->socket, ZMQ_FD, &fd, &n) < 0 ? -errno : fd;
}

int monitor_read(Monitor *m, MonitorEvent *ret)
{
        zmq_msg_t head, endpoint;
        zmq_msg_init(&head);
        int n;
        do
                n = zmq_msg_recv(&head, m->socket, ZMQ_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                zmq_msg_close(&head);
                return 0;
        }
        uint16_t event = 0;
        uint32_t value = 0;
        if (n == sizeof event + sizeof value) {
                const uint8_t *data = zmq_msg_data(&head);
                memcpy(&event, data, sizeof event);
                memcpy(&value, data + sizeof event, sizeof value);
        }
        while (zmq_msg_more(&head)) {
                zmq_msg_init(&endpoint);
                zmq_msg_recv(&endpoint, m->socket, ZMQ_DONTWAIT);
                zmq_msg_close(&head);
                zmq_msg_init(&head);
                zmq_msg_move(&head, &endpoint);
                zmq_msg_close(&endpoint);
        }
        zmq_msg_close(&head);
        *ret = (MonitorEvent){ .event = event, .value = value };
        return 1;
}
