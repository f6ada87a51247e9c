/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The physical limit that the server is measured against: one ROUTER that
 * passes each message on to every other connection it has heard of, and knows
 * nothing else. A message of one frame ("hello") only makes its sender known.
 *
 *     bench-forwarder ADDRESS PORT [FILE]    (until it is killed)
 *
 * With FILE it is the limit for whoever shows nothing that could be lost: each
 * message is written there with its SHA-256 first, all that have come with one
 * call. It never syncs, and waits for a disk that hangs.
 */

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <zmq.h>

#define MAX_PEERS 256
#define MAX_FRAMES 8
#define MAX_BATCH 64
#define MAX_BATCH_BYTES (8u << 20)
#define DIGEST_SIZE 32

typedef struct PeerId {
        size_t size;
        char bytes[255];
} PeerId;

static PeerId peers[MAX_PEERS];
static size_t n_peers;

static size_t peer_index(const zmq_msg_t *m)
{
        size_t size = zmq_msg_size(m);
        const void *data = zmq_msg_data((zmq_msg_t *)m);
        for (size_t i = 0; i < n_peers; i++)
                if (peers[i].size == size && memcmp(peers[i].bytes, data, size) == 0)
                        return i;
        if (n_peers == MAX_PEERS || size > sizeof peers[0].bytes)
                return MAX_PEERS;
        peers[n_peers].size = size;
        memcpy(peers[n_peers].bytes, data, size);
        return n_peers++;
}

static void forward(void *socket, size_t to, zmq_msg_t *frames, size_t n)
{
        if (zmq_send(socket, peers[to].bytes, peers[to].size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                zmq_msg_t copy;
                zmq_msg_init(&copy);
                zmq_msg_copy(&copy, &frames[i]);
                if (zmq_msg_send(&copy, socket, ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0)
                        zmq_msg_close(&copy);
        }
}

typedef struct Message {
        zmq_msg_t frames[MAX_FRAMES]; /* the first is the sender's routing id */
        size_t n;
        unsigned char digest[DIGEST_SIZE];
} Message;

typedef struct Log {
        int fd;
        off_t end;
        EVP_MD *sha256;
        EVP_MD_CTX *context;
} Log;

static void fail(const char *what)
{
        perror(what);
        exit(1);
}

/* Returns its bytes, 0 if there is none. */
static size_t message_receive(Message *m, void *socket, int flags)
{
        size_t bytes = 0;
        int more = 1;
        m->n = 0;
        while (more && m->n < MAX_FRAMES) {
                zmq_msg_t *frame = &m->frames[m->n];
                zmq_msg_init(frame);
                if (zmq_msg_recv(frame, socket, flags) < 0) {
                        zmq_msg_close(frame);
                        break;
                }
                more = zmq_msg_more(frame);
                bytes += zmq_msg_size(frame);
                m->n++;
        }
        return bytes;
}

static void message_forward(Message *m, void *socket)
{
        if (m->n > 0) {
                size_t from = peer_index(&m->frames[0]);
                if (m->n > 2)
                        for (size_t i = 0; i < n_peers; i++)
                                if (i != from)
                                        forward(socket, i, m->frames + 1, m->n - 1);
        }
        for (size_t i = 0; i < m->n; i++)
                zmq_msg_close(&m->frames[i]);
}

static void message_hash(Message *m, Log *log)
{
        EVP_DigestInit_ex2(log->context, log->sha256, NULL);
        for (size_t i = 0; i < m->n; i++)
                EVP_DigestUpdate(log->context, zmq_msg_data(&m->frames[i]), zmq_msg_size(&m->frames[i]));
        EVP_DigestFinal_ex(log->context, m->digest, NULL);
}

static void log_open(Log *log, const char *path)
{
        log->end = 0;
        log->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (log->fd < 0)
                fail(path);
        log->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        log->context = EVP_MD_CTX_new();
        if (!log->sha256 || !log->context)
                exit(1);
}

static void log_write(Log *log, Message *messages, size_t n)
{
        struct iovec iov[MAX_BATCH * (MAX_FRAMES + 1)];
        size_t bytes = 0;
        int n_iov = 0;
        for (size_t i = 0; i < n; i++) {
                Message *m = &messages[i];
                message_hash(m, log);
                for (size_t k = 0; k < m->n; k++)
                        iov[n_iov++] = (struct iovec){ zmq_msg_data(&m->frames[k]), zmq_msg_size(&m->frames[k]) };
                iov[n_iov++] = (struct iovec){ m->digest, DIGEST_SIZE };
        }
        for (int i = 0; i < n_iov; i++)
                bytes += iov[i].iov_len;
        if (pwritev(log->fd, iov, n_iov, log->end) != (ssize_t)bytes)
                fail("pwritev");
        log->end += (off_t)bytes;
}

static void receive_write_and_forward(void *socket, Log *log)
{
        static Message messages[MAX_BATCH];
        size_t n = 0, bytes = 0, got = message_receive(&messages[0], socket, 0);
        while (got > 0) {
                n++;
                bytes += got;
                got = n < MAX_BATCH && bytes < MAX_BATCH_BYTES ? message_receive(&messages[n], socket, ZMQ_DONTWAIT) : 0;
        }
        log_write(log, messages, n);
        for (size_t i = 0; i < n; i++)
                message_forward(&messages[i], socket);
}

int main(int argc, char **argv)
{
        if (argc != 3 && argc != 4) {
                fprintf(stderr, "usage: %s ADDRESS PORT [FILE]\n", argv[0]);
                return 2;
        }
        void *context = zmq_ctx_new();
        void *socket = zmq_socket(context, ZMQ_ROUTER);
        int zero = 0;
        char endpoint[128];
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%s", argv[1], argv[2]);
        zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
        if (zmq_bind(socket, endpoint) < 0) {
                fprintf(stderr, "%s: cannot listen on %s: %s\n", argv[0], endpoint, zmq_strerror(errno));
                return 1;
        }
        if (argc == 4) {
                Log log;
                log_open(&log, argv[3]);
                for (;;)
                        receive_write_and_forward(socket, &log);
        }
        for (;;) {
                Message message;
                message_receive(&message, socket, 0);
                message_forward(&message, socket);
        }
}
