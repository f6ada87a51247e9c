/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/zap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

/* version, request id, domain, address, routing id, mechanism, and credentials, which NULL has none of */
enum { REQUEST_VERSION, REQUEST_ID, REQUEST_DOMAIN, REQUEST_ADDRESS, N_REQUEST_FRAMES };

int zap_init(Zap *z, void *context)
{
        z->socket = zmq_socket(context, ZMQ_REP);
        if (!z->socket)
                return -errno;
        int zero = 0;
        if (zmq_setsockopt(z->socket, ZMQ_LINGER, &zero, sizeof zero) < 0 ||
            zmq_setsockopt(z->socket, ZMQ_RCVHWM, &zero, sizeof zero) < 0 ||
            zmq_setsockopt(z->socket, ZMQ_SNDHWM, &zero, sizeof zero) < 0 || zmq_bind(z->socket, ZAP_ENDPOINT) < 0) {
                int r = -errno;
                zap_done(z);
                return r;
        }
        return 0;
}

void zap_done(Zap *z)
{
        if (z->socket)
                zmq_close(z->socket);
        z->socket = NULL;
}

int zap_fd(const Zap *z)
{
        int fd = -1;
        size_t n = sizeof fd;
        return zmq_getsockopt(z->socket, ZMQ_FD, &fd, &n) < 0 ? -errno : fd;
}

typedef struct Request {
        char id[64];
        size_t id_size;
        char address[64];
} Request;

/* Returns 1 with a request, 0 when there is none. */
static int request_read(Zap *z, Request *ret)
{
        *ret = (Request){};
        bool more = true;
        for (unsigned i = 0; more; i++) {
                zmq_msg_t m;
                zmq_msg_init(&m);
                int n;
                do
                        n = zmq_msg_recv(&m, z->socket, ZMQ_DONTWAIT);
                while (n < 0 && errno == EINTR);
                if (n < 0) {
                        zmq_msg_close(&m);
                        return 0;
                }
                if (i == REQUEST_ID) {
                        ret->id_size = MIN((size_t)n, sizeof ret->id);
                        memcpy(ret->id, zmq_msg_data(&m), ret->id_size);
                } else if (i == REQUEST_ADDRESS) {
                        memcpy(ret->address, zmq_msg_data(&m), MIN((size_t)n, sizeof ret->address - 1));
                }
                more = zmq_msg_more(&m);
                zmq_msg_close(&m);
        }
        return 1;
}

static void reply(Zap *z, const Request *request, bool admitted)
{
        /* ZMTP metadata: length and name, 32-bit length in network order and value */
        char metadata[64];
        size_t n_metadata = 0;
        if (admitted) {
                char serial[24];
                int n = snprintf(serial, sizeof serial, "%llu", (unsigned long long)++z->last_serial);
                n_metadata = snprintf(metadata, sizeof metadata, "%c%s%c%c%c%c%s", (int)strlen(ZAP_SERIAL), ZAP_SERIAL,
                                      0, 0, 0, n, serial);
        }
        const struct {
                const void *data;
                size_t size;
        } frame[] = {
                { "1.0", 3 },
                { request->id, request->id_size },
                { admitted ? "200" : "300", 3 },
                { admitted ? "" : "banned", admitted ? 0 : 6 },
                { "", 0 }, /* user id */
                { metadata, n_metadata },
        };
        for (size_t i = 0; i < ELEMENTSOF(frame); i++)
                zmq_send(z->socket, frame[i].data, frame[i].size,
                         ZMQ_DONTWAIT | (i + 1 < ELEMENTSOF(frame) ? ZMQ_SNDMORE : 0));
}

unsigned zap_answer(Zap *z, unsigned budget, ZapAdmit admit, void *userdata)
{
        unsigned n = 0;
        Request request;
        while (n < budget && request_read(z, &request) > 0) {
                reply(z, &request, admit(userdata, request.address));
                n++;
        }
        return n;
}

uint64_t zap_serial_of(const zmq_msg_t *m)
{
        const char *text = zmq_msg_gets(m, ZAP_SERIAL);
        uint64_t serial = 0;
        for (; text && *text >= '0' && *text <= '9'; text++)
                serial = serial * 10 + (uint64_t)(*text - '0');
        return serial;
}
