/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "control/protocol.h"

#define GROUPS_MAX 256u
#define JSON_DEPTH_MAX 16
#define ARGUMENTS_MAX (16u << 20) /* uuids of all that a node depends on */

typedef struct Connection Connection;

struct Connection {
        ControlServer *server;
        sd_bus *bus;
        char user[64];
        Connection *next;
};

struct ControlServer {
        sd_event *event;
        sd_event_source *source;
        int fd;
        char *path;
        gid_t group;
        bool has_group;
        const ControlVerb *verbs;
        void *userdata;
        Connection *connections;
        size_t n_connections;
};

struct ControlCall {
        sd_bus_message *message;
        char user[64];
        int file;
        bool *released; /* where the dispatcher wants to know that the call has been answered */
};

/* ---- calls ---- */

static void call_free(ControlCall *call)
{
        if (call->released)
                *call->released = true;
        sd_bus_message_unref(call->message);
        free(call);
}

void control_answer(ControlCall *call, json_object *result)
{
        const char *text = result ? json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN) : NULL;

        /* Nobody is told when it cannot be sent: there is nobody any more. */
        if (text)
                (void)sd_bus_reply_method_return(call->message, "s", text);
        else
                (void)sd_bus_reply_method_errorf(call->message, CONTROL_ERROR_FAILED, "out of memory");
        json_object_put(result);
        call_free(call);
}

void control_refuse(ControlCall *call, const char *error, const char *format, ...)
{
        char text[1024];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        (void)sd_bus_reply_method_errorf(call->message, error, "%s", text);
        call_free(call);
}

int control_call_file(const ControlCall *call)
{
        return call->file;
}

const char *control_call_user(const ControlCall *call)
{
        return call->user;
}

static const ControlVerb *find_verb(const ControlServer *s, const char *name)
{
        for (const ControlVerb *v = s->verbs; v->name; v++)
                if (strcmp(v->name, name) == 0)
                        return v;
        return NULL;
}

static json_object *parse_arguments(const char *text)
{
        size_t size = strlen(text);
        json_tokener *tokener = size <= ARGUMENTS_MAX ? json_tokener_new_ex(JSON_DEPTH_MAX) : NULL;
        json_object *o;

        if (!tokener)
                return NULL;
        o = json_tokener_parse_ex(tokener, text, (int)size + 1);
        json_tokener_free(tokener);
        if (o && !json_object_is_type(o, json_type_object)) {
                json_object_put(o);
                return NULL;
        }
        return o;
}

static int dispatch(sd_bus_message *m, Connection *c, const char *verb, const char *text, int file)
{
        const ControlVerb *v = find_verb(c->server, verb);
        json_object *arguments;
        bool released = false;
        ControlCall *call;
        int r;

        if (!v)
                return sd_bus_reply_method_errorf(m, CONTROL_ERROR_USAGE,
                                                  "this daemon does not know \"%s\": is scenekeepctl newer than it", verb);
        arguments = parse_arguments(text);
        if (!arguments)
                return sd_bus_reply_method_errorf(m, CONTROL_ERROR_USAGE, "the arguments are no JSON object");
        call = calloc(1, sizeof(*call));
        if (!call) {
                json_object_put(arguments);
                return -ENOMEM;
        }
        call->message = sd_bus_message_ref(m);
        call->file = file;
        call->released = &released;
        memcpy(call->user, c->user, sizeof(call->user));
        r = v->run(c->server->userdata, call, arguments);
        json_object_put(arguments);
        if (!released) {
                call->released = NULL;
                if (r < 0)
                        control_refuse(call, CONTROL_ERROR_FAILED, "%s: %s", verb, strerror(-r));
        }
        return 1;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *verb, *text;
        int r = sd_bus_message_read(m, "ss", &verb, &text);

        return r < 0 ? r : dispatch(m, userdata, verb, text, -1);
}

static int on_call_with_file(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *verb, *text;
        int file, r = sd_bus_message_read(m, "ssh", &verb, &text, &file);

        return r < 0 ? r : dispatch(m, userdata, verb, text, file);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Call", "ss", "s", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("CallWithFile", "ssh", "s", on_call_with_file, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* ---- connections ---- */

static void connection_free(Connection *c)
{
        ControlServer *s = c->server;

        for (Connection **p = &s->connections; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        s->n_connections--;
                        break;
                }
        sd_bus_close_unref(c->bus);
        free(c);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        connection_free(userdata);
        return 0;
}

static bool is_member(const ControlServer *s, int fd, const struct ucred *peer)
{
        gid_t groups[GROUPS_MAX];
        socklen_t size = sizeof(groups);

        if (!s->has_group)
                return false;
        if (peer->gid == s->group)
                return true;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false;
        for (size_t i = 0; i < size / sizeof(groups[0]); i++)
                if (groups[i] == s->group)
                        return true;
        return false;
}

static bool is_welcome(const ControlServer *s, int fd, struct ucred *ret_peer)
{
        socklen_t size = sizeof(*ret_peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_peer, &size) < 0)
                return false;
        return ret_peer->uid == 0 || ret_peer->uid == geteuid() || is_member(s, fd, ret_peer);
}

static int connection_open(Connection *c, int fd)
{
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r < 0 || (r = sd_bus_new(&c->bus)) < 0)
                return r;
        r = sd_bus_set_fd(c->bus, fd, fd);
        if (r < 0)
                return r;
        /* From here on the descriptor is the bus's. */
        if ((r = sd_bus_set_server(c->bus, 1, id)) < 0 || (r = sd_bus_negotiate_fds(c->bus, 1)) < 0 ||
            (r = sd_bus_set_trusted(c->bus, 1)) < 0 ||
            (r = sd_bus_add_object_vtable(c->bus, NULL, CONTROL_OBJECT, CONTROL_INTERFACE, vtable, c)) < 0 ||
            (r = sd_bus_match_signal(c->bus, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
                                     "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, c)) < 0 ||
            (r = sd_bus_start(c->bus)) < 0)
                return 1;
        r = sd_bus_attach_event(c->bus, c->server->event, SD_EVENT_PRIORITY_NORMAL);
        return r < 0 ? 1 : 0;
}

static void accept_one(ControlServer *s, int fd)
{
        struct ucred peer;
        Connection *c;
        int r;

        if (s->n_connections == CONTROL_CONNECTIONS_MAX || !is_welcome(s, fd, &peer) || !(c = calloc(1, sizeof(*c)))) {
                close(fd);
                return;
        }
        c->server = s;
        snprintf(c->user, sizeof(c->user), "uid %u", (unsigned)peer.uid);
        r = connection_open(c, fd);
        if (r < 0)
                close(fd);
        if (r != 0) {
                sd_bus_close_unref(c->bus);
                free(c);
                return;
        }
        c->next = s->connections;
        s->connections = c;
        s->n_connections++;
}

static int on_listening(sd_event_source *source, int listening, uint32_t revents, void *userdata)
{
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0)
                accept_one(userdata, fd);
        return 0;
}

/* ---- the socket ---- */

/* Paths longer than a socket address holds are reached through their folder's descriptor. */
static int make_address(const char *path, struct sockaddr_un *ret, int *ret_folder)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *folder = NULL;

        *ret_folder = -1;
        if (strlen(path) < sizeof(address.sun_path)) {
                memcpy(address.sun_path, path, strlen(path) + 1);
                *ret = address;
                return 0;
        }
        folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
        if (!folder)
                return -ENAMETOOLONG;
        *ret_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*ret_folder < 0)
                return -errno;
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", *ret_folder, slash + 1);
        *ret = address;
        return 0;
}

static int listen_on(const char *path, gid_t group, bool has_group)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), folder = -1, r;
        struct sockaddr_un address;
        mode_t mask;

        if (fd < 0)
                return -errno;
        r = make_address(path, &address, &folder);
        if (r == 0) {
                (void)unlink(path);
                mask = umask(0117);
                r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
                (void)umask(mask);
        }
        /* Fails where the daemon is not in the group: then only root and its own user get in. */
        if (r == 0 && has_group && chown(path, (uid_t)-1, group) < 0 && errno != EPERM)
                r = -errno;
        if (r == 0 && listen(fd, (int)CONTROL_CONNECTIONS_MAX) < 0)
                r = -errno;
        if (folder >= 0)
                close(folder);
        if (r < 0) {
                close(fd);
                return r;
        }
        return fd;
}

int control_server_new(ControlServer **ret, sd_event *event, const char *path, const ControlVerb *verbs,
                       void *userdata)
{
        _cleanup_(control_server_freep) ControlServer *s = calloc(1, sizeof(*s));
        const struct group *group = getgrnam(CONTROL_GROUP);
        int r;

        if (!s)
                return -ENOMEM;
        s->fd = -1;
        s->event = sd_event_ref(event);
        s->verbs = verbs;
        s->userdata = userdata;
        s->has_group = group != NULL;
        s->group = group ? group->gr_gid : 0;
        r = listen_on(path, s->group, s->has_group);
        if (r < 0)
                return r;
        s->fd = r;
        s->path = strdup(path);
        if (!s->path)
                return -ENOMEM;
        r = sd_event_add_io(event, &s->source, s->fd, EPOLLIN, on_listening, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

ControlServer *control_server_free(ControlServer *s)
{
        if (!s)
                return NULL;
        while (s->connections)
                connection_free(s->connections);
        sd_event_source_disable_unref(s->source);
        if (s->path)
                (void)unlink(s->path);
        if (s->fd >= 0)
                close(s->fd);
        free(s->path);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
