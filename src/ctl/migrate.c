/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "ctl/call.h"
#include "ctl/env-file.h"
#include "ctl/format.h"
#include "ctl/import.h"
#include "ctl/session-file.h"
#include "daemon/config-keys.h"

/* A setting of the old server and what becomes of it; `unit` is what its number was counted in. */
typedef struct Setting {
        const char *env, *key, *unit;
} Setting;

static const Setting settings[] = {
        {"PORT", "port", ""},
        {"TIMEOUT", "timeout", "ms"},
        {"SAVE_INTERVAL", "save_interval", "s"},
        {"MAX_BACKUPS", "max_backups", ""},
        {"LOG_LEVEL", "log_level", NULL},
};

/* Of .env.example: nobody's password. */
static const char example_password[] = "your_secure_admin_password_here";

typedef struct Plan {
        const Ctl *ctl;
        char *old_data;
        char *config_path, *admin_path, *server_path;
        char *config_text;
        const char *admin_password, *server_password; /* NULL: none; lead into the EnvFile */
        char *snapshot; /* NULL: nothing to import */
        Scene *scene;
        json_object *notes;
} Plan;

static void plan_done(Plan *p)
{
        free(p->old_data);
        free(p->config_path);
        free(p->admin_path);
        free(p->server_path);
        free(p->config_text);
        free(p->snapshot);
        scene_free(p->scene);
        json_object_put(p->notes);
}

static _printf_(2, 3) void note(Plan *p, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        json_object_array_add(p->notes, json_object_new_string(text ?: "out of memory"));
}

/* ---- .env ---- */

static ExitStatus read_env(const Ctl *ctl, const char *path, EnvFile **ret)
{
        _cleanup_free_ char *text = calloc(1, ENV_FILE_SIZE_MAX + 2);
        FILE *f = fopen(path, "re");
        size_t n;
        int r;

        if (!f) {
                r = errno;
                return ctl_fail(ctl, r == ENOENT ? CTL_NOT_FOUND : CTL_FAILED,
                                "cannot read %s: %s; DIR is the folder that holds the old server's docker-compose.yml", path,
                                strerror(r));
        }
        n = text ? fread(text, 1, ENV_FILE_SIZE_MAX + 1, f) : 0;
        fclose(f);
        r = text ? env_file_parse(text, n, ret) : -ENOMEM;
        if (text)
                explicit_bzero(text, ENV_FILE_SIZE_MAX);
        if (r < 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot read %s: %s", path, strerror(-r));
        for (size_t i = 0; i < (*ret)->n_faults; i++)
                ctl_fail(ctl, CTL_FAILED, "%s:%u: %s", path, (*ret)->faults[i].line, (*ret)->faults[i].text);
        return (*ret)->n_faults > 0 ? CTL_FAILED : CTL_OK;
}

static bool is_known(const char *key)
{
        static const char *const others[] = {"ADMIN_PASSWORD", "SERVER_PASSWORD", "DATA_DIR"};

        for (size_t i = 0; i < ELEMENTSOF(settings); i++)
                if (strcmp(settings[i].env, key) == 0)
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (strcmp(others[i], key) == 0)
                        return true;
        return false;
}

/* The line of the new configuration, checked against the ranges of the table that the daemon reads. */
static ExitStatus convert(Plan *p, const char *path, const EnvEntry *e, const Setting *setting, FILE *out)
{
        const ConfigKey *key = config_key_find(setting->key);
        Config scratch = {0};
        _cleanup_free_ char *text = NULL, *expected = NULL;
        int r;

        if (asprintf(&text, "%s%s", e->value, setting->unit ?: "") < 0)
                return ctl_fail(p->ctl, CTL_FAILED, "out of memory");
        for (char *c = text; !setting->unit && *c; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        r = setting->unit && strspn(e->value, "0123456789") != strlen(e->value)
                    ? -EINVAL
                    : config_value_set(&scratch, key, text, &expected);
        config_value_done(&scratch, key);
        if (r < 0)
                return ctl_fail(p->ctl, CTL_FAILED, "%s:%u: %s must be %s", path, e->line, e->key, expected ?: "a whole number");
        fprintf(out, key->type == CONFIG_NUMBER ? "%s = %s;\n" : "%s = \"%s\";\n", key->name, text);
        return CTL_OK;
}

static void take_passwords(Plan *p, const EnvFile *f)
{
        const EnvEntry *admin = env_file_find(f, "ADMIN_PASSWORD"), *server = env_file_find(f, "SERVER_PASSWORD");

        if (admin && *admin->value && strcmp(admin->value, example_password) != 0)
                p->admin_password = admin->value;
        else
                note(p, "ADMIN_PASSWORD is %s: the server makes a random one at its first start, see its log.",
                     admin && *admin->value ? "still the one of the example, which everybody knows"
                                            : "not set, for which the old server took \"admin\"");
        if (server && *server->value)
                p->server_password = server->value;
        else
                note(p, "There is no SERVER_PASSWORD: anybody who reaches the port may join.");
}

/* Under systemd the sockets are units with ports of their own, which no configuration moves. */
static void note_port(Plan *p, const EnvFile *f)
{
        const EnvEntry *port = env_file_find(f, "PORT");

        if (!ctl_has(p->ctl, OPT_DATA_DIR) && port && *port->value && strcmp(port->value, "5555") != 0)
                note(p, "PORT is %s, and systemd's units listen on 5555 to 5557: give scenekeep.socket, scenekeep-data.socket and "
                        "scenekeep-ttl.socket the ports %s and the two after it with `systemctl edit`, or make a further "
                        "session with `scenekeepctl create`.",
                     port->value, port->value);
}

/* From wherever the daemon is started. */
static void put_path(FILE *out, const char *key, const char *path)
{
        _cleanup_free_ char *here = *path == '/' ? NULL : getcwd(NULL, 0), *full = NULL;

        if (asprintf(&full, "%s%s%s", here ?: "", here ? "/" : "", path) < 0)
                full = NULL;
        fprintf(out, "%s = \"", key);
        for (const char *c = full ?: path; *c; c++)
                fprintf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        fputs("\";\n", out);
}

static ExitStatus make_config(Plan *p, const char *path, const EnvFile *f)
{
        ExitStatus status = CTL_OK;
        size_t size;
        FILE *out = open_memstream(&p->config_text, &size);

        if (!out)
                return ctl_fail(p->ctl, CTL_FAILED, "out of memory");
        fprintf(out, "# Taken over from %s; see scenekeep.conf(5) for everything else.\n", path);
        for (size_t i = 0; status == CTL_OK && i < ELEMENTSOF(settings); i++) {
                const EnvEntry *e = env_file_find(f, settings[i].env);

                if (e && *e->value)
                        status = convert(p, path, e, &settings[i], out);
        }
        if (ctl_has(p->ctl, OPT_DATA_DIR)) {
                put_path(out, "data_dir", p->ctl->data_dir);
                if (p->admin_password)
                        put_path(out, "admin_password_file", p->admin_path);
                if (p->server_password)
                        put_path(out, "server_password_file", p->server_path);
        }
        if (fclose(out) != 0)
                return ctl_fail(p->ctl, CTL_FAILED, "out of memory");
        note_port(p, f);
        for (size_t i = 0; i < f->n_entries; i++)
                if (!is_known(f->entries[i].key))
                        note(p, "%s in line %u means nothing to a session server and is left out.", f->entries[i].key,
                             f->entries[i].line);
        return status;
}

/* ---- the newest snapshot that can be used ---- */

typedef struct Candidate {
        char *path;
        struct timespec changed;
} Candidate;

#define CANDIDATES_MAX 1000u

static int compare_candidates(const void *a, const void *b)
{
        const Candidate *x = a, *y = b;

        if (x->changed.tv_sec != y->changed.tv_sec)
                return x->changed.tv_sec < y->changed.tv_sec ? 1 : -1;
        return x->changed.tv_nsec < y->changed.tv_nsec ? 1 : x->changed.tv_nsec > y->changed.tv_nsec ? -1 : 0;
}

static void find_candidates(const char *folder, Candidate *list, size_t *n)
{
        DIR *d = opendir(folder);
        const struct dirent *e;

        while (d && (e = readdir(d)) && *n < CANDIDATES_MAX) {
                const char *dot = strrchr(e->d_name, '.');
                struct stat st;
                char *path;

                if (!dot || (strcmp(dot, ".pkl") != 0 && strcmp(dot, ".db") != 0) ||
                    asprintf(&path, "%s/%s", folder, e->d_name) < 0)
                        continue;
                if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
                        free(path);
                else
                        list[(*n)++] = (Candidate){path, st.st_mtim};
        }
        if (d)
                closedir(d);
}

static ExitStatus find_snapshot(Plan *p)
{
        _cleanup_free_ Candidate *list = calloc(CANDIDATES_MAX, sizeof(*list));
        _cleanup_free_ char *backups = NULL;
        size_t n = 0;

        if (!list || asprintf(&backups, "%s/backups", p->old_data) < 0)
                return ctl_fail(p->ctl, CTL_FAILED, "out of memory");
        find_candidates(p->old_data, list, &n);
        find_candidates(backups, list, &n);
        qsort(list, n, sizeof(*list), compare_candidates);
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *error = NULL;

                if (p->scene) {
                        free(list[i].path);
                        continue;
                }
                if (session_file_read(list[i].path, NULL, NULL, &p->scene, &error) == 0) {
                        p->snapshot = list[i].path;
                        continue;
                }
                note(p, "Not used: %s.", error ?: list[i].path);
                free(list[i].path);
        }
        if (!p->scene)
                note(p, "%s holds no usable snapshot: the session begins empty.", p->old_data);
        return CTL_OK;
}

/* ---- doing it ---- */

static ExitStatus keep_old(const Ctl *ctl, const char *path)
{
        _cleanup_free_ char *kept = NULL;

        if (access(path, F_OK) < 0)
                return CTL_OK;
        if (asprintf(&kept, "%s.before-migrate", path) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (rename(path, kept) < 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot keep %s as %s: %s", path, kept, strerror(errno));
        return CTL_OK;
}

static ExitStatus write_file(const Ctl *ctl, const char *path, const char *text, const char *end, mode_t mode)
{
        ExitStatus status = keep_old(ctl, path);
        FILE *f;
        int fd;

        if (status != CTL_OK)
                return status;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        f = fd < 0 ? NULL : fdopen(fd, "w");
        if (!f)
                return ctl_fail(ctl, CTL_FAILED, "cannot write %s: %s", path, strerror(errno));
        fprintf(f, "%s%s", text, end);
        if (fflush(f) != 0 || fsync(fd) < 0 || fclose(f) != 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot write %s: %s", path, strerror(errno));
        return CTL_OK;
}

static const struct passwd *daemon_user;

static int give_away(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return lchown(path, daemon_user->pw_uid, daemon_user->pw_gid);
}

/* What root has made belongs to the daemon's user, or the daemon could not open it. */
static ExitStatus hand_over(const Ctl *ctl)
{
        daemon_user = getuid() == 0 && !ctl_has(ctl, OPT_DATA_DIR) ? getpwnam("scenekeep") : NULL;
        if (daemon_user && access(ctl->data_dir, F_OK) == 0 && nftw(ctl->data_dir, give_away, 16, FTW_PHYS) != 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot give %s to the user scenekeep: %s", ctl->data_dir, strerror(errno));
        return CTL_OK;
}

static ExitStatus carry_out(const Plan *p)
{
        ExitStatus status = CTL_OK;
        uint64_t removed;

        if (ctl_has(p->ctl, OPT_DATA_DIR) && mkdir(p->ctl->data_dir, 0700) < 0 && errno != EEXIST)
                return ctl_fail(p->ctl, CTL_FAILED, "cannot make %s: %s", p->ctl->data_dir, strerror(errno));
        /* The session first: what fails has then changed no configuration. */
        if (p->scene)
                status = import_offline(p->ctl, p->ctl->data_dir, p->scene, &removed);
        if (status == CTL_OK && p->admin_password)
                status = write_file(p->ctl, p->admin_path, p->admin_password, "\n", 0600);
        if (status == CTL_OK && p->server_password)
                status = write_file(p->ctl, p->server_path, p->server_password, "\n", 0600);
        if (status == CTL_OK)
                status = write_file(p->ctl, p->config_path, p->config_text, "", 0644);
        return status == CTL_OK ? hand_over(p->ctl) : status;
}

static void print_plan(const Plan *p, bool dry)
{
        const char *verb = dry ? "Would write" : "Wrote";
        char size[FORMAT_SIZE_MAX];

        printf("%s %s:\n\n", verb, p->config_path);
        fputs(p->config_text, stdout);
        putchar('\n');
        if (p->admin_password)
                printf("%s %s (the admin password)\n", verb, p->admin_path);
        if (p->server_password)
                printf("%s %s (the server password)\n", verb, p->server_path);
        if (p->scene) {
                printf("%s %zu nodes with %s from\n  %s\ninto %s%s\n", dry ? "Would import" : "Imported",
                       scene_n_nodes(p->scene), format_size(size, sizeof(size), scene_payload_bytes(p->scene)), p->snapshot,
                       p->ctl->data_dir, dry ? "." : " and read them back.");
        }
        for (size_t i = 0; i < json_object_array_length(p->notes); i++) {
                putchar('\n');
                ctl_wrap(p->ctl, stdout, json_object_get_string(json_object_array_get_idx(p->notes, i)));
        }
}

static void print_json(const Plan *p, bool dry)
{
        json_object *o = json_object_new_object();

        json_add_bool(o, "done", !dry);
        json_add_text(o, "config", p->config_path);
        json_object_object_add(o, "config_text", json_object_new_string(p->config_text));
        json_add_text(o, "admin_password_file", p->admin_password ? p->admin_path : NULL);
        json_add_text(o, "server_password_file", p->server_password ? p->server_path : NULL);
        json_add_text(o, "data_dir", p->ctl->data_dir);
        json_add_text(o, "snapshot", p->snapshot);
        json_add_int(o, "node_count", p->scene ? scene_n_nodes(p->scene) : 0);
        json_object_object_add(o, "notes", json_object_get(p->notes));
        ctl_print_json(o);
}

static int choose_paths(Plan *p, const char *dir)
{
        const Ctl *ctl = p->ctl;
        bool here = ctl_has(ctl, OPT_DATA_DIR);
        const char *folder = here ? ctl->data_dir : PKGSYSCONFDIR;
        const char *prefix = here ? "" : ctl->instance, *dot = here ? "" : ".";
        bool plain = here || strcmp(ctl->instance, "default") == 0;

        if (asprintf(&p->old_data, "%s/data", dir) < 0 ||
            asprintf(&p->config_path, "%s/%s.conf", folder, plain ? "scenekeep" : ctl->instance) < 0 ||
            asprintf(&p->admin_path, "%s/%s%sadmin-password", folder, prefix, dot) < 0 ||
            asprintf(&p->server_path, "%s/%s%sserver-password", folder, prefix, dot) < 0)
                return -ENOMEM;
        return 0;
}

static ExitStatus refuse_existing(const Ctl *ctl)
{
        _cleanup_free_ char *log = NULL;

        if (ctl_is_running(ctl))
                return ctl_fail(ctl, CTL_REFUSED, "the session is being served: stop its daemon first (systemctl stop "
                                                  "scenekeep.socket scenekeep), or name another with -i NAME");
        if (asprintf(&log, "%s/log", ctl->data_dir) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (access(log, F_OK) == 0)
                return ctl_fail(ctl, CTL_REFUSED, "there is a session in %s already: name another with -i NAME, or use "
                                                  "`scenekeepctl import`",
                                ctl->data_dir);
        return CTL_OK;
}

ExitStatus verb_migrate(Ctl *ctl)
{
        _cleanup_env_file_ EnvFile *f = NULL;
        _cleanup_free_ char *path = NULL;
        Plan p = {.ctl = ctl, .notes = json_object_new_array()};
        bool dry = ctl_has(ctl, OPT_DRY_RUN);
        ExitStatus status = CTL_OK;

        if (asprintf(&path, "%s/.env", ctl->arguments[0]) < 0 || choose_paths(&p, ctl->arguments[0]) < 0)
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (status == CTL_OK)
                status = read_env(ctl, path, &f);
        if (status == CTL_OK) {
                take_passwords(&p, f);
                status = make_config(&p, path, f);
        }
        if (status == CTL_OK)
                status = refuse_existing(ctl);
        if (status == CTL_OK)
                status = find_snapshot(&p);
        if (status == CTL_OK && !dry)
                status = carry_out(&p);
        if (status == CTL_OK && ctl->json)
                print_json(&p, dry);
        else if (status == CTL_OK)
                print_plan(&p, dry);
        plan_done(&p);
        return status;
}
