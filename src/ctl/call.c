/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/call.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/protocol.h"
#include "ctl/time-spec.h"
#include "pickle/text.h"

/* So long a daemon may be silent before it is said to be. */
#define ANSWER_USEC (10 * USEC_PER_SEC)

/* A descriptor or -errno. */
static int connect_to(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const char *slash = strrchr(path, '/');
        int fd, folder = -1, r;

        if (strlen(path) < sizeof(address.sun_path)) {
                memcpy(address.sun_path, path, strlen(path) + 1);
        } else {
                _cleanup_free_ char *name = slash ? strndup(path, (size_t)(slash - path)) : NULL;

                folder = name ? open(name, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
                if (folder < 0)
                        return -ENOENT;
                snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, slash + 1);
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        r = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        if (folder >= 0)
                close(folder);
        if (r < 0 && fd >= 0)
                close(fd);
        return r < 0 ? r : fd;
}

bool ctl_is_running(const Ctl *ctl)
{
        int fd = connect_to(ctl->socket);

        if (fd >= 0)
                close(fd);
        /* One that may not be asked runs all the same. */
        return fd >= 0 || fd == -EACCES || fd == -EPERM;
}

/* How the daemon of this session is started; the caller's. */
static char *start_command(const Ctl *ctl)
{
        bool first = strcmp(ctl->instance, "default") == 0;
        char *text;
        int n;

        if (ctl_has(ctl, OPT_DATA_DIR))
                n = asprintf(&text, "`scenekeepd --data-dir '%s'`", ctl->data_dir);
        else if (ctl->by_hand)
                n = asprintf(&text, "`scenekeepd`");
        else
                n = asprintf(&text, "`systemctl start scenekeep%s%s`", first ? "" : "@", first ? "" : ctl->instance);
        return n < 0 ? NULL : text;
}

static ExitStatus explain_connect(const Ctl *ctl, int error)
{
        _cleanup_free_ char *start = start_command(ctl);

        if (error == -EACCES || error == -EPERM)
                return ctl_fail(ctl, CTL_REFUSED,
                                "you may not ask the daemon (%s): run this as root, or become a member of the group "
                                "scenekeep (usermod -aG scenekeep NAME)",
                                ctl->socket);
        return ctl_fail(ctl, CTL_NOT_RUNNING,
                        "no daemon answers at %s: start it (%s), or name another session with -i NAME or --data-dir DIR",
                        ctl->socket, start ?: "");
}

static ExitStatus explain_error(const Ctl *ctl, const char *verb, int r, const sd_bus_error *e)
{
        static const struct {
                const char *name;
                ExitStatus status;
        } names[] = {
                {CONTROL_ERROR_USAGE, CTL_USAGE},       {CONTROL_ERROR_NOT_FOUND, CTL_NOT_FOUND},
                {CONTROL_ERROR_DEGRADED, CTL_DEGRADED}, {CONTROL_ERROR_REFUSED, CTL_REFUSED},
                {CONTROL_ERROR_FAILED, CTL_FAILED},
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(e, names[i].name))
                        return ctl_fail(ctl, names[i].status, "%s", e->message);
        if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE)
                return ctl_fail(ctl, CTL_NOT_RUNNING,
                                "the daemon closed the connection before it answered \"%s\": you are not root, its user or "
                                "in the group scenekeep, or it has just been stopped",
                                verb);
        if (r == -ETIMEDOUT || sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) || sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT))
                return ctl_fail(ctl, CTL_NOT_RUNNING,
                                "the daemon at %s does not answer: it hangs, or the machine is overloaded; its log tells more, "
                                "and a restart of it costs its users nothing",
                                ctl->socket);
        return ctl_fail(ctl, CTL_FAILED, "the daemon cannot answer \"%s\": %s", verb, e->message ?: strerror(-r));
}

static int send_call(sd_bus *bus, const char *verb, const char *text, int file, sd_bus_error *error,
                     sd_bus_message **ret)
{
        sd_bus_message *m = NULL;
        /* What reads or writes a lot takes its time; how it is, a daemon that works says at once. */
        uint64_t timeout = strcmp(verb, "status") == 0 ? ANSWER_USEC : UINT64_MAX;
        int r = sd_bus_message_new_method_call(bus, &m, NULL, CONTROL_OBJECT, CONTROL_INTERFACE,
                                               file < 0 ? "Call" : "CallWithFile");

        if (r >= 0)
                r = file < 0 ? sd_bus_message_append(m, "ss", verb, text)
                             : sd_bus_message_append(m, "ssh", verb, text, file);
        if (r >= 0)
                r = sd_bus_call(bus, m, timeout, error, ret);
        sd_bus_message_unref(m);
        return r;
}

static int wait_ready(sd_bus *bus, uint64_t end)
{
        for (;;) {
                int r = sd_bus_is_ready(bus);
                uint64_t now;

                if (r != 0)
                        return MIN(r, 0);
                r = sd_bus_process(bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                now = clock_monotonic_usec();
                if (now >= end)
                        return -ETIMEDOUT;
                r = sd_bus_wait(bus, end - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
}

static int open_bus(int fd, sd_bus **ret)
{
        sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);

        if (r < 0) {
                close(fd);
                return r;
        }
        r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0)
                close(fd);
        else if ((r = sd_bus_negotiate_fds(bus, 1)) >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = wait_ready(bus, clock_monotonic_usec() + ANSWER_USEC);
        if (r < 0) {
                sd_bus_close_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

ExitStatus ctl_call(const Ctl *ctl, const char *verb, json_object *arguments, int file, json_object **ret)
{
        const char *text = arguments ? json_object_to_json_string_ext(arguments, JSON_C_TO_STRING_PLAIN) : "{}";
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *answer = NULL;
        ExitStatus status = CTL_OK;
        const char *answered;
        json_object *o = NULL;
        sd_bus *bus = NULL;
        int fd, r;

        if (!text_is_utf8((const uint8_t *)text, strlen(text))) {
                json_object_put(arguments);
                return ctl_fail(ctl, CTL_USAGE, "what was typed is not UTF-8, as all names and texts of a session are");
        }
        fd = connect_to(ctl->socket);
        if (fd < 0) {
                json_object_put(arguments);
                return explain_connect(ctl, fd);
        }
        r = open_bus(fd, &bus);
        if (r >= 0)
                r = send_call(bus, verb, text, file, &error, &answer);
        if (r >= 0)
                r = sd_bus_message_read(answer, "s", &answered);
        if (r >= 0 && !(o = json_tokener_parse(answered)))
                r = -EBADMSG;
        if (r < 0)
                status = explain_error(ctl, verb, r, &error);
        else
                *ret = o;
        json_object_put(arguments);
        sd_bus_message_unref(answer);
        sd_bus_error_free(&error);
        sd_bus_close_unref(bus);
        return status;
}

const char *answer_text_of(json_object *o, const char *key)
{
        json_object *v = json_object_object_get(o, key);

        return v ? json_object_get_string(v) : "";
}

uint64_t answer_int(json_object *o, const char *key)
{
        return json_object_get_uint64(json_object_object_get(o, key));
}

bool answer_bool(json_object *o, const char *key)
{
        return json_object_get_boolean(json_object_object_get(o, key));
}

uint64_t answer_time(json_object *o, const char *key)
{
        uint64_t usec;

        return time_spec_parse(answer_text_of(o, key), ctl_now_usec(), &usec) == 0 ? usec : 0;
}
