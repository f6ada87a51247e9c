/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/call.h"
#include "ctl/format.h"
#include "ctl/probe.h"
#include "ctl/source.h"
#include "ctl/unit-state.h"
#include "store/snapshot.h"

/* Looks at what a session stands on. Every finding names the one command that mends it, or shows what has to be mended. */

#define PORT_DEFAULT 5555u
#define N_PORTS 3u
#define PROBE_MSEC 2000u
#define SYNC_ROUNDS 9u
#define SYNC_SLOW_USEC UINT64_C(100000)
#define FREE_MIN (UINT64_C(1) << 30)

typedef struct Doctor {
        const Ctl *ctl;
        json_object *findings; /* with --json */
        json_object *status;   /* of the daemon; NULL: it does not run */
        StoreStats stats;
        uint64_t scene_bytes;
        uint64_t newest_usec; /* of the newest snapshot */
        bool by_hand;         /* not one of systemd's instances */
        size_t n_bad;
} Doctor;

/* command NULL: all is well. */
_printf_(4, 5)
static void tell(Doctor *d, const char *check, const char *command, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *line = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                text = NULL;
        d->n_bad += command != NULL;
        if (d->findings) {
                json_object *o = json_object_new_object();

                json_add_text(o, "check", check);
                json_add_bool(o, "ok", !command);
                json_add_text(o, "text", text);
                json_add_text(o, "command", command);
                json_object_array_add(d->findings, o);
                return;
        }
        if (asprintf(&line, "%s %s: %s", command ? "[mend]" : "[ok]", check, text ?: "") >= 0)
                ctl_wrap(d->ctl, stdout, line);
        if (command)
                printf("    $ %s\n", command);
}

_printf_(1, 2)
static char *command_of(const char *format, ...)
{
        char *text;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        return n < 0 ? NULL : text;
}

/* Of this program, about the same session. */
static char *own_command(const Doctor *d, const char *verb)
{
        _cleanup_free_ char *where = ctl_where(d->ctl);

        return command_of("scenekeepctl %s%s", where ?: "", verb);
}

static char *unit_name(const Doctor *d, const char *stem, const char *suffix)
{
        if (strcmp(d->ctl->instance, "default") == 0)
                return command_of("%s.%s", stem, suffix);
        return command_of("%s@%s.%s", stem, d->ctl->instance, suffix);
}

/* ---- network ---- */

static bool port_is_taken(unsigned port)
{
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any};
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
        bool taken;

        if (fd < 0)
                return false;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        taken = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == EADDRINUSE;
        close(fd);
        return taken;
}

static void look_at_ports(Doctor *d)
{
        unsigned first = d->status ? (unsigned)answer_int(d->status, "port") : PORT_DEFAULT;
        _cleanup_free_ char *socket = unit_name(d, "scenekeep", "socket");
        bool held_by_systemd = !d->by_hand && socket && unit_is_active(socket) == 1;

        for (unsigned i = 0; i < N_PORTS; i++) {
                _cleanup_free_ char *command = command_of("ss -ltnp 'sport = :%u'", first + i);
                PortProbe probe = {0};

                if (!d->status) {
                        if (held_by_systemd || d->by_hand || !port_is_taken(first + i))
                                continue;
                        tell(d, "ports", command, "port %u is taken by another program: end it, or choose another port",
                             first + i);
                        return;
                }
                probe_port("localhost", (uint16_t)(first + i), PROBE_MSEC, &probe);
                if (probe.result != PROBE_OK) {
                        tell(d, "ports", command, "port %u does not answer on this machine: see who listens there, and "
                                                  "`listen` in the configuration",
                             first + i);
                        return;
                }
        }
        if (d->status)
                tell(d, "ports", NULL, "%u to %u answer on this machine; from outside: scenekeepctl check HOST", first,
                     first + N_PORTS - 1);
        else
                tell(d, "ports", NULL, "the session is not running, and nothing is in its way");
}

/* Whether a file has the word somewhere. */
static bool file_has(const char *path, const char *word)
{
        FILE *f = fopen(path, "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        bool found = false;

        while (f && !found && getline(&line, &size, f) >= 0)
                found = strstr(line, word) != NULL;
        if (f)
                fclose(f);
        return found;
}

static void look_at_firewall(Doctor *d)
{
        if (unit_is_active("firewalld.service") == 1) {
                if (file_has("/etc/firewalld/zones/public.xml", "scenekeep"))
                        tell(d, "firewall", NULL, "firewalld lets the session's ports through");
                else
                        tell(d, "firewall", "firewall-cmd --permanent --add-service=scenekeep && firewall-cmd --reload",
                             "firewalld runs and its public zone does not have the service scenekeep");
        } else if (file_has("/etc/ufw/ufw.conf", "ENABLED=yes")) {
                if (file_has("/etc/ufw/user.rules", "scenekeep"))
                        tell(d, "firewall", NULL, "ufw lets the session's ports through");
                else
                        tell(d, "firewall", "ufw allow scenekeep", "ufw is enabled and has no rule for scenekeep");
        } else {
                tell(d, "firewall", NULL, "neither firewalld nor ufw is at work here");
        }
}

/* ---- machine ---- */

static void look_at_clock(Doctor *d)
{
        struct timex t = {0};
        char time[FORMAT_SIZE_MAX];

        if (d->newest_usec > ctl_now_usec())
                tell(d, "clock", "timedatectl set-ntp true", "the newest snapshot is of %s, which is still to come",
                     format_time(time, sizeof(time), d->newest_usec));
        else if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC))
                tell(d, "clock", "timedatectl set-ntp true", "the clock is not synchronised: times in snapshots and log are "
                                                             "as right as it is");
        else
                tell(d, "clock", NULL, "synchronised");
}

static int compare_times(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* The middle one of several writes that are synced, in a file without a name: nothing is left of it. */
static int measure_disk(const char *folder, uint64_t *ret_usec)
{
        int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), r = 0;
        uint64_t times[SYNC_ROUNDS];
        static const char block[4096];

        if (fd < 0)
                return -errno;
        for (size_t i = 0; i < SYNC_ROUNDS && r == 0; i++) {
                uint64_t start = clock_monotonic_usec();

                if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block) || fdatasync(fd) < 0)
                        r = -errno;
                times[i] = clock_monotonic_usec() - start;
        }
        close(fd);
        if (r < 0)
                return r;
        qsort(times, SYNC_ROUNDS, sizeof(times[0]), compare_times);
        *ret_usec = times[SYNC_ROUNDS / 2];
        return 0;
}

static void look_at_disk(Doctor *d)
{
        _cleanup_free_ char *device = command_of("smartctl --all \"$(findmnt -no SOURCE --target '%s')\"", d->ctl->data_dir);
        _cleanup_free_ char *prune = own_command(d, "prune");
        struct statvfs fs;
        char text[FORMAT_SIZE_MAX], wanted[FORMAT_SIZE_MAX];
        uint64_t usec = 0, need = MAX(FREE_MIN, d->stats.log_bytes / 4), space;
        int r = measure_disk(d->ctl->data_dir, &usec);

        if (r < 0)
                tell(d, "disk", NULL, "not measured: %s may not be written by you", d->ctl->data_dir);
        else if (usec > SYNC_SLOW_USEC)
                tell(d, "disk", device, "a synced write takes %s: an update is that much longer at the mercy of a power cut",
                     format_duration(text, sizeof(text), usec));
        else
                tell(d, "disk", NULL, "a synced write takes %s", format_duration(text, sizeof(text), usec));
        if (statvfs(d->ctl->data_dir, &fs) < 0)
                return;
        space = (uint64_t)fs.f_bavail * fs.f_frsize;
        format_size(text, sizeof(text), space);
        if (space < need)
                tell(d, "space", prune, "only %s are free at %s; %s should be: a full disk keeps the session in "
                                                       "memory",
                     text, d->ctl->data_dir, format_size(wanted, sizeof(wanted), need));
        else
                tell(d, "space", NULL, "%s are free at %s", text, d->ctl->data_dir);
}

static uint64_t available_memory(void)
{
        FILE *f = fopen("/proc/meminfo", "re");
        _cleanup_free_ char *line = NULL;
        unsigned long long kib = 0;
        size_t size = 0;

        while (f && kib == 0 && getline(&line, &size, f) >= 0)
                (void)sscanf(line, "MemAvailable: %llu kB", &kib);
        if (f)
                fclose(f);
        return (uint64_t)kib * 1024;
}

/* The scene is mapped from the log; what is being edited, and what a joining client is sent, is held beside it. */
static void look_at_memory(Doctor *d)
{
        uint64_t memory = available_memory();
        char text[FORMAT_SIZE_MAX], scene[FORMAT_SIZE_MAX];

        format_size(text, sizeof(text), memory);
        format_size(scene, sizeof(scene), d->scene_bytes);
        if (memory > 0 && memory < d->scene_bytes * 2)
                tell(d, "memory", "ps -eo rss,comm --sort=-rss | head", "%s are available for a scene of %s: end what is not "
                                                                        "needed, or add memory",
                     text, scene);
        else
                tell(d, "memory", NULL, "%s are available for a scene of %s", text, scene);
}

/* ---- installation ---- */

static void look_at_permissions(Doctor *d)
{
        static const char *const below[] = {"log", "snapshots", "store"};
        const char *dir = d->ctl->data_dir;
        _cleanup_free_ char *close_it = command_of("chmod o-rwx '%s'", dir);
        struct stat st, inner;

        if (stat(dir, &st) < 0)
                return;
        if (st.st_mode & 0007) {
                tell(d, "permissions", close_it, "%s is open to every user of this machine", dir);
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(below); i++) {
                _cleanup_free_ char *path = command_of("%s/%s", dir, below[i]);
                _cleanup_free_ char *give = command_of("chown -R --reference='%s' '%s'", dir, dir);

                if (path && stat(path, &inner) == 0 && inner.st_uid != st.st_uid) {
                        tell(d, "permissions", give, "%s belongs to another user than its folder", path);
                        return;
                }
        }
        tell(d, "permissions", NULL, "%s belongs to one user and is closed to others", dir);
}

static void look_at_units(Doctor *d)
{
        _cleanup_free_ char *service = unit_name(d, "scenekeep", "service"), *socket = unit_name(d, "scenekeep", "socket");
        _cleanup_free_ char *reset = command_of("systemctl restart %s", service ?: ""), *enable = NULL;
        int active;

        if (d->by_hand) {
                tell(d, "units", NULL, "this session was started by hand");
                return;
        }
        if (!service || !socket)
                return;
        active = unit_is_active(socket);
        enable = command_of("systemctl enable --now %s", socket);
        if (active < 0)
                tell(d, "units", NULL, "systemd cannot be asked here");
        else if (unit_has_failed(service) == 1)
                tell(d, "units", reset, "%s has failed: journalctl -u %s says why", service, service);
        else if (active == 0)
                tell(d, "units", enable, "%s is not active: nobody can connect unless the service runs", socket);
        else
                tell(d, "units", NULL, "%s listens", socket);
}

static void look_at_session(Doctor *d)
{
        const char *degraded = d->status ? answer_text_of(d->status, "degraded") : "";
        _cleanup_free_ char *status = own_command(d, "status"), *verify = own_command(d, "verify --all");

        if (*degraded)
                tell(d, "session", status, "%s", degraded);
        else if (d->stats.scrub_damaged > 0)
                tell(d, "session", verify, "the last verification found %llu damaged records",
                     (unsigned long long)d->stats.scrub_damaged);
        else
                tell(d, "session", NULL, d->status ? "everything accepted is on disk or on its way" : "not running");
}

ExitStatus verb_doctor(Ctl *ctl)
{
        Doctor d = {.ctl = ctl, .by_hand = strncmp(ctl->data_dir, PKGSTATEDIR "/", strlen(PKGSTATEDIR "/")) != 0};
        _cleanup_store_ Store *store = NULL;
        StoreSnapshotInfo info = {0};
        ExitStatus status = source_open_store(ctl, &store);

        if (status != CTL_OK)
                return status;
        if (ctl_is_running(ctl)) {
                status = ctl_call(ctl, "status", NULL, -1, &d.status);
                if (status != CTL_OK)
                        return status;
        }
        store_get_stats(store, &d.stats);
        if (store_snapshot_find(store, "latest", &info) == 0) {
                d.scene_bytes = info.payload_bytes;
                d.newest_usec = info.time_usec;
                store_snapshot_info_done(&info);
        }
        if (d.status)
                d.scene_bytes = answer_int(d.status, "bytes");
        if (ctl->json)
                d.findings = json_object_new_array();
        look_at_session(&d);
        look_at_units(&d);
        look_at_ports(&d);
        look_at_firewall(&d);
        look_at_clock(&d);
        look_at_disk(&d);
        look_at_memory(&d);
        look_at_permissions(&d);
        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_object_object_add(o, "findings", d.findings);
                json_add_int(o, "to_mend", d.n_bad);
                ctl_print_json(o);
        }
        json_object_put(d.status);
        return d.n_bad > 0 ? CTL_DEGRADED : CTL_OK;
}
