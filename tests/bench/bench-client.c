/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bench-client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <zmq.h>

#define STEP_TIMEOUT_MSEC 20000
#define MAX_FRAMES 8

uint64_t now_nsec(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static _Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void die(const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        fprintf(stderr, "bench-load: ");
        vfprintf(stderr, format, ap);
        fprintf(stderr, "\n");
        va_end(ap);
        exit(1);
}

static void *open_dealer(void *context, const Endpoint *e, unsigned channel, const uint8_t id[16])
{
        void *s = zmq_socket(context, ZMQ_DEALER);
        if (!s)
                die("cannot make a socket: %s", zmq_strerror(errno));
        int zero = 0, limit = (int)e->max_unread;
        char endpoint[128];
        zmq_setsockopt(s, ZMQ_ROUTING_ID, id, 16);
        zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
        zmq_setsockopt(s, ZMQ_RCVHWM, &limit, sizeof limit);
        if (e->reconnect_msec > 0)
                zmq_setsockopt(s, ZMQ_RECONNECT_IVL, &e->reconnect_msec, sizeof e->reconnect_msec);
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", e->address, e->port + channel);
        if (zmq_connect(s, endpoint) < 0)
                die("cannot connect to %s: %s", endpoint, zmq_strerror(errno));
        return s;
}

void client_connect(Client *c, void *context, const Endpoint *endpoint, const char *name, unsigned n_nodes)
{
        memset(c, 0, sizeof *c);
        c->endpoint = endpoint;
        c->n_nodes = n_nodes;
        c->last_sequence = calloc(n_nodes + 1, sizeof *c->last_sequence);
        snprintf(c->name, sizeof c->name, "%s", name);
        uint8_t id[16];
        if (!c->last_sequence || getrandom(id, sizeof id, 0) != sizeof id)
                die("cannot set up a client");
        if (endpoint->raw) {
                c->data = open_dealer(context, endpoint, 0, id);
                return;
        }
        c->command = open_dealer(context, endpoint, 0, id);
        c->data = open_dealer(context, endpoint, 1, id);
        c->ttl = open_dealer(context, endpoint, 2, id);
}

void client_close(Client *c)
{
        void *sockets[] = { c->command, c->data, c->ttl };
        for (size_t i = 0; i < 3; i++)
                if (sockets[i])
                        zmq_close(sockets[i]);
        free(c->last_sequence);
}

static void send_frames(void *socket, const char *what, size_t n, const void *const data[], const size_t size[])
{
        for (size_t i = 0; i < n; i++)
                if (zmq_send(socket, data[i], size[i], i + 1 < n ? ZMQ_SNDMORE : 0) < 0)
                        die("cannot send %s: %s", what, zmq_strerror(errno));
}

static void send_command(Client *c, unsigned kind, const char *owner, Pickle *data)
{
        Pickle k = { 0 };
        pickle_begin(&k);
        pickle_integer(&k, kind);
        pickle_end(&k);
        send_frames(c->command, "a command", 3, (const void *const[]){ k.data, owner, data->data },
                    (const size_t[]){ k.size, strlen(owner), data->size });
        pickle_done(&k);
}

static void send_state(Client *c, unsigned kind, const char *owner, const char *state, const char *uuid)
{
        Pickle p = { 0 };
        pickle_begin(&p);
        pickle_dict_begin(&p);
        pickle_text(&p, "STATE");
        pickle_text(&p, state);
        if (uuid) {
                pickle_text(&p, "ID");
                pickle_text(&p, uuid);
        }
        pickle_dict_end(&p);
        pickle_end(&p);
        send_command(c, kind, owner, &p);
        pickle_done(&p);
}

void client_attend(Client *c)
{
        char buffer[256];
        if (!c->ttl)
                return;
        int n;
        while ((n = zmq_recv(c->ttl, buffer, sizeof buffer, ZMQ_DONTWAIT)) >= 0) {
                if (n != 4 || memcmp(buffer, "PING", 4) != 0)
                        continue;
                if (c->n_pings++ == 0)
                        c->pinged_at = now_nsec();
                zmq_send(c->ttl, "PONG", 4, ZMQ_DONTWAIT);
        }
}

void *client_command_socket(const Client *c)
{
        return c->endpoint->raw ? c->data : c->command;
}

bool client_take_command(Client *c, uint64_t *ret_sent_at)
{
        bool more = true;
        *ret_sent_at = 0;
        while (more) {
                zmq_msg_t m;
                zmq_msg_init(&m);
                if (zmq_msg_recv(&m, client_command_socket(c), ZMQ_DONTWAIT) < 0) {
                        zmq_msg_close(&m);
                        return false;
                }
                more = zmq_msg_more(&m);
                c->command_bytes += zmq_msg_size(&m);
                if (!more)
                        *ret_sent_at = (uint64_t)pickle_get_last_float(zmq_msg_data(&m), zmq_msg_size(&m),
                                                                      VIEW_CLOSING);
                zmq_msg_close(&m);
        }
        c->n_commands++;
        return true;
}

/* Until the time to handle the next message has come. */
static void keep_pace(Client *c, uint64_t *due)
{
        if (c->endpoint->pace_nsec == 0)
                return;
        for (uint64_t now; (now = now_nsec()) < *due;) {
                struct timespec ts = { .tv_nsec = (long)(*due - now) };
                nanosleep(&ts, NULL);
                client_attend(c);
        }
        *due = now_nsec() + c->endpoint->pace_nsec;
}

/* Waits for a message of this kind on the command channel and returns its last frame; others are passed over. */
static void await(Client *c, unsigned kind, zmq_msg_t *ret, const char *what)
{
        uint64_t deadline = now_nsec() + STEP_TIMEOUT_MSEC * UINT64_C(1000000);
        for (;;) {
                zmq_pollitem_t items[] = { { c->command, 0, ZMQ_POLLIN, 0 }, { c->ttl, 0, ZMQ_POLLIN, 0 } };
                zmq_poll(items, 2, 100);
                client_attend(c);
                if (now_nsec() > deadline)
                        die("%s: waited in vain for %s", c->name, what);
                zmq_msg_t first;
                zmq_msg_init(&first);
                if (zmq_msg_recv(&first, c->command, ZMQ_DONTWAIT) < 0)
                        continue;
                const uint8_t *data = zmq_msg_data(&first);
                size_t size = zmq_msg_size(&first);
                /* The kind is the argument of the pickle's only BININT1. */
                const uint8_t *k = memchr(data + 2, 'K', size > 2 ? size - 2 : 0);
                bool match = k && k + 1 < data + size && k[1] == kind;
                bool more = zmq_msg_more(&first);
                zmq_msg_close(&first);
                zmq_msg_init(ret);
                while (more) {
                        zmq_msg_recv(ret, c->command, 0);
                        more = zmq_msg_more(ret);
                }
                if (match)
                        return;
                zmq_msg_close(ret);
        }
}

static bool contains(zmq_msg_t *m, const char *text)
{
        return memmem(zmq_msg_data(m), zmq_msg_size(m), text, strlen(text)) != NULL;
}

static void log_in(Client *c, bool first)
{
        zmq_send(c->ttl, "INIT", 4, 0);
        Pickle p = { 0 };
        pickle_begin(&p);
        pickle_dict_begin(&p);
        pickle_text(&p, "AUTH_TYPE");
        pickle_text(&p, first ? "ADMIN" : "CLIENT");
        pickle_text(&p, "AUTH_ID");
        pickle_text(&p, c->name);
        pickle_text(&p, "S_PWD");
        pickle_text(&p, "");
        pickle_text(&p, "A_PWD");
        if (first && c->endpoint->admin_password)
                pickle_text(&p, c->endpoint->admin_password);
        else
                pickle_none(&p);
        pickle_text(&p, "VERSION");
        pickle_text(&p, "0.9.10");
        pickle_dict_end(&p);
        pickle_end(&p);
        send_command(c, KIND_AUTH, c->name, &p);
        pickle_done(&p);

        zmq_msg_t answer;
        await(c, KIND_AUTH, &answer, "the answer to the login");
        if (!contains(&answer, first ? "LOBBY" : "RUNNING"))
                die("%s: the login was answered with %.*s", c->name, (int)zmq_msg_size(&answer),
                    (const char *)zmq_msg_data(&answer));
        zmq_msg_close(&answer);
}

static void send_initial_node(Client *c, unsigned number, const Scene *scene)
{
        NodeMessage m;
        if (scene->n_triples > 0)
                mesh_message_init(&m, number, scene->n_triples);
        else
                node_message_init(&m, number, scene->size, true);
        Pickle p = { 0 };
        pickle_begin(&p);
        pickle_dict_begin(&p);
        pickle_text(&p, "STATE");
        pickle_text(&p, "SET");
        pickle_text(&p, "DATA");
        pickle_list_begin(&p);
        pickle_bytes(&p, m.kind.data, m.kind.size);
        pickle_bytes(&p, m.uuid, UUID_SIZE);
        pickle_bytes(&p, OWNER_COMMON, strlen(OWNER_COMMON));
        pickle_bytes(&p, m.dependencies.data, m.dependencies.size);
        pickle_bytes(&p, m.data.data, m.data.size);
        pickle_list_end(&p);
        pickle_dict_end(&p);
        pickle_end(&p);
        send_command(c, KIND_SERVER_SNAPSHOT, "server", &p);
        pickle_done(&p);
        node_message_done(&m);
}

static void initialise(Client *c, const Scene *scene)
{
        Pickle p = { 0 };
        pickle_begin(&p);
        pickle_dict_begin(&p);
        pickle_text(&p, "STATE");
        pickle_text(&p, "INIT");
        pickle_text(&p, "SIZE");
        pickle_integer(&p, scene->n_nodes);
        pickle_text(&p, "NODES");
        pickle_list_begin(&p);
        char uuid[UUID_SIZE + 1];
        for (unsigned i = 0; i < scene->n_nodes; i++) {
                node_uuid(i, uuid);
                pickle_text(&p, uuid);
        }
        pickle_list_end(&p);
        pickle_dict_end(&p);
        pickle_end(&p);
        send_command(c, KIND_SERVER_SNAPSHOT, "server", &p);
        pickle_done(&p);

        zmq_msg_t m;
        await(c, KIND_SERVER_SNAPSHOT, &m, "leave to initialise");
        if (!contains(&m, "ACCEPTED"))
                die("%s: may not initialise", c->name);
        zmq_msg_close(&m);
        c->answered_at = now_nsec();
        for (unsigned i = 0; i < scene->n_nodes; i++) {
                send_initial_node(c, i, scene);
                if (i % 64 == 0)
                        client_attend(c);
        }
        send_state(c, KIND_SERVER_SNAPSHOT, "server", "END", NULL);
        await(c, KIND_SERVER_SNAPSHOT, &m, "the end of the initialisation");
        if (!contains(&m, "DONE"))
                die("%s: the initialisation failed", c->name);
        zmq_msg_close(&m);
}

static void join(Client *c)
{
        send_state(c, KIND_SNAPSHOT, c->name, "REQUEST_INIT", NULL);
        zmq_msg_t catalog, m;
        await(c, KIND_SNAPSHOT, &catalog, "the catalog");
        char(*uuids)[UUID_SIZE + 1] = calloc(zmq_msg_size(&catalog) / UUID_SIZE + 1, sizeof *uuids);
        if (!uuids)
                die("out of memory");
        size_t n = 0, offset = 0;
        uint64_t due = 0;
        while (find_uuid(zmq_msg_data(&catalog), zmq_msg_size(&catalog), &offset, uuids[n]))
                n++;
        zmq_msg_close(&catalog);
        while (n > 0) { /* from the end, as stock clients do */
                n--;
                keep_pace(c, &due);
                send_state(c, KIND_SNAPSHOT, c->name, "GET", uuids[n]);
                await(c, KIND_SNAPSHOT, &m, "a node of the catalog");
                zmq_msg_close(&m);
                if (c->answered_at == 0)
                        c->answered_at = now_nsec();
        }
        free(uuids);
        send_state(c, KIND_SNAPSHOT, c->name, "DONE", NULL);
}

void client_enter(Client *c, Entry entry, const Scene *scene)
{
        if (c->endpoint->raw) {
                if (zmq_send(c->data, "hello", 5, 0) < 0)
                        die("cannot say hello: %s", zmq_strerror(errno));
                return;
        }
        uint64_t start = now_nsec();
        log_in(c, entry == ENTER_INIT);
        if (entry == ENTER_INIT)
                initialise(c, scene);
        else
                join(c);
        c->entry_seconds = (double)(now_nsec() - start) / 1e9;
        c->n_commands = c->command_bytes = c->n_pings = 0;
}

bool client_push(Client *c, NodeMessage *m, const Stamp *stamp)
{
        memcpy(m->data.data + m->payload_offset, stamp, sizeof *stamp);
        if (zmq_send(c->data, m->kind.data, m->kind.size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
                if (errno == EAGAIN)
                        return false;
                die("cannot push: %s", zmq_strerror(errno));
        }
        send_frames(c->data, "a node", 4,
                    (const void *const[]){ m->uuid, OWNER_COMMON, m->dependencies.data, m->data.data },
                    (const size_t[]){ UUID_SIZE, strlen(OWNER_COMMON), m->dependencies.size, m->data.size });
        return true;
}

bool client_push_commit(Client *c, CommitMessage *m, uint64_t sequence)
{
        pickle_set_last_float(m->delta.data, m->delta.size, DELTA_CLOSING, (double)sequence);
        if (zmq_send(c->data, m->kind.data, m->kind.size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
                if (errno == EAGAIN)
                        return false;
                die("cannot push: %s", zmq_strerror(errno));
        }
        send_frames(c->data, "a delta", 3, (const void *const[]){ m->uuid, m->dependencies.data, m->delta.data },
                    (const size_t[]){ UUID_SIZE, m->dependencies.size, m->delta.size });
        return true;
}

bool client_tell(Client *c, const Pickle *metadata)
{
        Pickle k = { 0 };
        pickle_begin(&k);
        pickle_integer(&k, KIND_METADATA);
        pickle_end(&k);
        void *socket = client_command_socket(c);
        bool sent = zmq_send(socket, k.data, k.size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
        if (sent)
                send_frames(socket, "metadata", 2, (const void *const[]){ c->name, metadata->data },
                            (const size_t[]){ strlen(c->name), metadata->size });
        else if (errno != EAGAIN)
                die("cannot tell metadata: %s", zmq_strerror(errno));
        pickle_done(&k);
        return sent;
}

bool client_take(Client *c, Stamp *ret)
{
        zmq_msg_t m;
        size_t n = 0;
        bool more = true, stamped = false;
        while (more) {
                zmq_msg_init(&m);
                if (zmq_msg_recv(&m, c->data, ZMQ_DONTWAIT) < 0) {
                        zmq_msg_close(&m);
                        return false;
                }
                more = zmq_msg_more(&m);
                n++;
                /* The payload stands behind a header of fixed size: PROTO, dict, key, BINBYTES. */
                static const size_t header = 2 + 2 + 2 + 7;
                size_t size = zmq_msg_size(&m), offset = header + (size > header + 2 + 255 ? 5 : 2);
                if (!more && n == 5 && size >= offset + sizeof *ret) {
                        memcpy(ret, (uint8_t *)zmq_msg_data(&m) + offset, sizeof *ret);
                        stamped = ret->node < c->n_nodes;
                } else if (!more && n == 4) {
                        double sequence = pickle_get_last_float(zmq_msg_data(&m), size, DELTA_CLOSING);
                        *ret = (Stamp){ .sequence = (uint64_t)sequence };
                        stamped = true;
                }
                zmq_msg_close(&m);
        }
        if (!stamped || ret->sequence == 0) {
                *ret = (Stamp){ 0 }; /* a node sent anew */
                return true;
        }
        c->n_received++;
        if (ret->sequence > c->last_sequence[ret->node])
                c->last_sequence[ret->node] = ret->sequence;
        return true;
}

int socket_fd(void *socket)
{
        int fd = -1;
        size_t size = sizeof fd;
        if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) < 0)
                die("no descriptor: %s", zmq_strerror(errno));
        return fd;
}
