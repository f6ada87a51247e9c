/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/tree.h"
#include "ctl/verb.h"

/* Further sessions: scenekeep@NAME.service needs a configuration, and its three sockets a drop-in each with the port. */

#define UNIT_FOLDER "/etc/systemd/system"
#define N_PORTS 3u
#define NAME_MAX_BYTES 64u
#define DROP_IN "ports.conf"

static const char *const sockets[N_PORTS] = {"scenekeep", "scenekeep-data", "scenekeep-ttl"};
static const char *const settings[] = {"conf", "admin-password", "server-password", "backup"};
static const char *const jobs[] = {"backup", "scrub", "drill"};

typedef struct Instance {
        const Ctl *ctl;
        const char *name;
        const char *root; /* before every path; "" unless --root */
        char *config;     /* owned, as all below */
        char *folders[N_PORTS], *drop_ins[N_PORTS];
        char *data;
} Instance;

static void instance_done(Instance *i)
{
        free(i->config);
        free(i->data);
        for (size_t k = 0; k < N_PORTS; k++) {
                free(i->folders[k]);
                free(i->drop_ins[k]);
        }
}

/* What systemd takes as an instance without escaping, and what is neither hidden nor another session's file. */
static bool is_valid_name(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

        return *name && *name != '-' && strlen(name) <= NAME_MAX_BYTES && strspn(name, letters) == strlen(name) &&
               strcmp(name, "default") != 0 && strcmp(name, "scenekeep") != 0;
}

static ExitStatus instance_init(const Ctl *ctl, Instance *i)
{
        *i = (Instance){.ctl = ctl, .name = ctl->arguments[0], .root = ctl->value[OPT_ROOT] ?: ""};
        if (!is_valid_name(i->name))
                return ctl_fail(ctl, CTL_USAGE,
                                "\"%s\" cannot be the name of a further session: it must be at most %u letters, digits, _ "
                                "and -, and neither \"default\" nor \"scenekeep\", which are the first session's",
                                i->name, NAME_MAX_BYTES);
        if (asprintf(&i->config, "%s" PKGSYSCONFDIR "/%s.conf", i->root, i->name) < 0 ||
            asprintf(&i->data, "%s" PKGSTATEDIR "/%s", i->root, i->name) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        for (size_t k = 0; k < N_PORTS; k++)
                if (asprintf(&i->folders[k], "%s" UNIT_FOLDER "/%s@%s.socket.d", i->root, sockets[k], i->name) < 0 ||
                    asprintf(&i->drop_ins[k], "%s/" DROP_IN, i->folders[k]) < 0)
                        return ctl_fail(ctl, CTL_FAILED, "out of memory");
        return CTL_OK;
}

/* ---- systemd ---- */

extern char **environ;

/* Nothing with --root: no system is running there. */
static ExitStatus systemctl(const Instance *i, const char *const arguments[])
{
        pid_t child;
        int r, status;

        if (*i->root)
                return CTL_OK;
        r = posix_spawnp(&child, "systemctl", NULL, NULL, (char *const *)arguments, environ);
        if (r != 0)
                return ctl_fail(i->ctl, CTL_FAILED, "cannot run systemctl: %s", strerror(r));
        do
                r = waitpid(child, &status, 0);
        while (r < 0 && errno == EINTR);
        if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return ctl_fail(i->ctl, CTL_FAILED, "`systemctl %s` for the session %s failed: its message is above, and "
                                                    "`journalctl -xe` has more", arguments[2], i->name);
        return CTL_OK;
}

static ExitStatus reload(const Instance *i)
{
        return systemctl(i, (const char *const[]){"systemctl", "--quiet", "daemon-reload", NULL});
}

static ExitStatus start(const Instance *i)
{
        char unit[NAME_MAX_BYTES + 32];

        snprintf(unit, sizeof(unit), "scenekeep@%s.socket", i->name);
        return systemctl(i, (const char *const[]){"systemctl", "--quiet", "enable", "--now", unit, NULL});
}

/* Stopping the sockets stops and saves the session. systemd does not know a socket without its ports. */
static ExitStatus stop(const Instance *i)
{
        char units[ELEMENTSOF(jobs) + 1][NAME_MAX_BYTES + 32];

        if (access(i->drop_ins[0], F_OK) != 0)
                return CTL_OK;
        snprintf(units[0], sizeof(units[0]), "scenekeep@%s.socket", i->name);
        for (size_t k = 0; k < ELEMENTSOF(jobs); k++)
                snprintf(units[k + 1], sizeof(units[0]), "scenekeep-%s@%s.timer", jobs[k], i->name);
        return systemctl(i, (const char *const[]){"systemctl", "--quiet", "disable", "--now", units[0], units[1], units[2],
                                                  units[3], NULL});
}

/* ---- ports ---- */

/* The port of a ListenStream= line, with or without an address before it; 0: another line. */
static unsigned listen_port(const char *line)
{
        static const char key[] = "ListenStream=";
        const char *number;

        if (strncmp(line, key, strlen(key)) != 0)
                return 0;
        number = strrchr(line, ':');
        return (unsigned)strtoul(number ? number + 1 : line + strlen(key), NULL, 10);
}

static bool file_has_port(const char *path, unsigned port)
{
        FILE *f = fopen(path, "re");
        char line[256];
        bool found = false;

        while (f && !found && fgets(line, sizeof(line), f)) {
                unsigned there = listen_port(line);

                found = there >= port && there < port + N_PORTS;
        }
        if (f)
                fclose(f);
        return found;
}

/* Is a drop-in for the ports in the way, also of a session whose sockets are not active? Its unit, or NULL. */
static char *find_configured(const Instance *i, unsigned port)
{
        _cleanup_free_ char *folder = NULL;
        char *found = NULL;
        const struct dirent *e;
        DIR *d;

        if (asprintf(&folder, "%s" UNIT_FOLDER, i->root) < 0)
                return NULL;
        d = opendir(folder);
        while (d && !found && (e = readdir(d))) {
                _cleanup_free_ char *path = NULL;

                if (strncmp(e->d_name, "scenekeep", 9) != 0 || !strstr(e->d_name, ".socket.d"))
                        continue;
                if (asprintf(&path, "%s/%s/" DROP_IN, folder, e->d_name) >= 0 && file_has_port(path, port))
                        found = strndup(e->d_name, strlen(e->d_name) - 2);
        }
        if (d)
                closedir(d);
        return found;
}

/* 0, or the errno of listening there. A system without IPv6 is asked by IPv4. */
static int try_port(unsigned port)
{
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1, r;
        bool by_six = fd >= 0;

        if (!by_six)
                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        r = by_six ? bind(fd, (struct sockaddr *)&six, sizeof(six)) : bind(fd, (struct sockaddr *)&four, sizeof(four));
        r = r < 0 || listen(fd, 1) < 0 ? errno : 0;
        close(fd);
        return r;
}

static ExitStatus check_ports(const Instance *i, unsigned port)
{
        _cleanup_free_ char *other = find_configured(i, port);

        if (other)
                return ctl_fail(i->ctl, CTL_REFUSED, "one of the ports %u to %u belongs to %s already: choose another --port",
                                port, port + N_PORTS - 1, other);
        for (unsigned k = 0; k < N_PORTS; k++) {
                int r = try_port(port + k);

                if (r != 0)
                        return ctl_fail(i->ctl, CTL_REFUSED, "port %u cannot be listened on: %s; choose another --port",
                                        port + k, strerror(r));
        }
        return CTL_OK;
}

/* ---- files ---- */

static int make_parents(const char *path)
{
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

static ExitStatus write_new(const Instance *i, const char *path, const char *text)
{
        int r = make_parents(path), fd;
        size_t size = strlen(text);

        if (r < 0)
                return ctl_fail(i->ctl, CTL_FAILED, "cannot make the folder of %s: %s", path, strerror(-r));
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return ctl_fail(i->ctl, errno == EEXIST || errno == EACCES ? CTL_REFUSED : CTL_FAILED,
                                "cannot write %s: %s", path, strerror(errno));
        r = write(fd, text, size) != (ssize_t)size || fsync(fd) < 0 ? -errno : 0;
        close(fd);
        if (r < 0)
                return ctl_fail(i->ctl, CTL_FAILED, "cannot write %s: %s", path, strerror(-r));
        return CTL_OK;
}

static ExitStatus remove_file(const Instance *i, const char *path)
{
        if (unlink(path) < 0 && errno != ENOENT)
                return ctl_fail(i->ctl, errno == EACCES ? CTL_REFUSED : CTL_FAILED, "cannot remove %s: %s", path,
                                strerror(errno));
        return CTL_OK;
}

static ExitStatus remove_drop_ins(const Instance *i)
{
        ExitStatus status = CTL_OK;

        for (size_t k = 0; status == CTL_OK && k < N_PORTS; k++) {
                status = remove_file(i, i->drop_ins[k]);
                rmdir(i->folders[k]); /* an administrator's other drop-ins stay, and with them the folder */
        }
        return status;
}

static ExitStatus remove_settings(const Instance *i)
{
        ExitStatus status = CTL_OK;

        for (size_t k = 0; status == CTL_OK && k < ELEMENTSOF(settings); k++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s" PKGSYSCONFDIR "/%s.%s", i->root, i->name, settings[k]) < 0)
                        return ctl_fail(i->ctl, CTL_FAILED, "out of memory");
                status = remove_file(i, path);
        }
        return status;
}

static ExitStatus purge(const Instance *i)
{
        int r = tree_remove(i->data);

        return r == 0 ? CTL_OK : ctl_fail(i->ctl, CTL_FAILED, "cannot remove all of %s: %s", i->data, strerror(-r));
}

/* ---- the verbs ---- */

static bool is_configured(const Instance *i)
{
        bool yes = access(i->config, F_OK) == 0;

        for (size_t k = 0; k < N_PORTS; k++)
                yes = yes || access(i->drop_ins[k], F_OK) == 0;
        return yes;
}

static ExitStatus write_all(const Instance *i, unsigned port)
{
        static const char config[] =
                "# Settings of this session; scenekeep.conf(5) and scenekeep.conf beside this file explain all of them.\n"
                "# Its ports are set in the drop-ins of its sockets.\n\n"
                "# Nobody is there for so long, and the session leaves until the next connection starts it.\n"
                "idle_exit = \"10min\";\n";
        ExitStatus status = write_new(i, i->config, config);

        for (unsigned k = 0; status == CTL_OK && k < N_PORTS; k++) {
                char text[64];

                snprintf(text, sizeof(text), "[Socket]\nListenStream=%u\n", port + k);
                status = write_new(i, i->drop_ins[k], text);
        }
        return status;
}

static void print_created(const Instance *i, unsigned port, bool had_data)
{
        if (i->ctl->json) {
                json_object *o = json_object_new_object();

                json_add_text(o, "name", i->name);
                json_add_int(o, "port", port);
                json_add_text(o, "config", i->config);
                json_add_text(o, "data_dir", i->data);
                json_add_bool(o, "had_data", had_data);
                json_add_bool(o, "listening", !*i->root);
                ctl_print_json(o);
                return;
        }
        printf("The session %s %s ports %u, %u and %u.\n", i->name, *i->root ? "will listen on" : "listens on", port, port + 1,
               port + 2);
        printf("Settings: %s\nData:     %s%s\n", i->config, i->data, had_data ? " (was there, and is served again)" : "");
        if (!had_data)
                printf("Admin password, after the first connection:\n          %s/admin-password\n", i->data);
}

ExitStatus verb_create(Ctl *ctl)
{
        Instance i = {0};
        uint64_t port = 0;
        bool had_data;
        ExitStatus status;

        if (!ctl_has(ctl, OPT_PORT))
                return ctl_fail(ctl, CTL_USAGE, "it needs --port P: the first of three ports that follow each other");
        if (!ctl_number(ctl, OPT_PORT, 1, 65535 - N_PORTS + 1, 0, &port))
                return CTL_USAGE;
        status = instance_init(ctl, &i);
        if (status == CTL_OK && is_configured(&i))
                status = ctl_fail(ctl, CTL_REFUSED, "there is a session %s already: `scenekeepctl remove %s` removes it", i.name,
                                  i.name);
        if (status == CTL_OK)
                status = check_ports(&i, (unsigned)port);
        if (status == CTL_OK) {
                had_data = access(i.data, F_OK) == 0;
                status = write_all(&i, (unsigned)port);
                if (status == CTL_OK)
                        status = reload(&i);
                if (status == CTL_OK)
                        status = start(&i);
                if (status == CTL_OK)
                        print_created(&i, (unsigned)port, had_data);
        }
        instance_done(&i);
        return status;
}

static void print_removed(const Instance *i, bool kept)
{
        if (i->ctl->json) {
                json_object *o = json_object_new_object();

                json_add_text(o, "name", i->name);
                json_add_text(o, "data_dir", kept ? i->data : NULL);
                ctl_print_json(o);
                return;
        }
        printf("The session %s is no longer served.\n", i->name);
        if (kept)
                printf("Its data stays in\n  %s\nand is served again when a session of that name is created.\n", i->data);
}

ExitStatus verb_remove(Ctl *ctl)
{
        bool with_data = ctl_has(ctl, OPT_PURGE_DATA);
        Instance i = {0};
        ExitStatus status = instance_init(ctl, &i);

        if (status == CTL_OK && !is_configured(&i) && !(with_data && access(i.data, F_OK) == 0))
                status = ctl_fail(ctl, CTL_NOT_FOUND, "there is no session %s: `scenekeepctl list` shows all", i.name);
        if (status == CTL_OK)
                status = stop(&i);
        if (status == CTL_OK)
                status = remove_drop_ins(&i);
        if (status == CTL_OK)
                status = remove_settings(&i);
        if (status == CTL_OK)
                status = reload(&i);
        if (status == CTL_OK && with_data)
                status = purge(&i);
        if (status == CTL_OK)
                print_removed(&i, access(i.data, F_OK) == 0);
        instance_done(&i);
        return status;
}
