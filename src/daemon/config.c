/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "daemon/config-loader.h"

#define DEFAULT_PATH PKGSYSCONFDIR "/scenekeep.conf"
#define PASSWORD_FILE_SIZE_MAX 1024

/* The names of the docker set-up that this server replaces; bare numbers have its units. */
static const struct {
        const char *variable, *key, *unit;
} environment_names[] = {
        {"PORT", "port", ""},
        {"ADMIN_PASSWORD", "admin_password", ""},
        {"SERVER_PASSWORD", "server_password", ""},
        {"LOG_LEVEL", "log_level", ""},
        {"TIMEOUT", "timeout", "ms"},
        {"DATA_DIR", "data_dir", ""},
        {"SAVE_INTERVAL", "save_interval", "s"},
        {"MAX_BACKUPS", "max_backups", ""},
};

static const struct {
        const char *credential, *key, *file_key;
} passwords[] = {
        {"admin-password", "admin_password", "admin_password_file"},
        {"server-password", "server_password", "server_password_file"},
};

void config_loader_fault(ConfigLoader *l, const char *origin, const char *format, ...)
{
        va_list ap;

        fprintf(l->faults, "%s%s: ", l->n_faults > 0 ? "\n" : "", origin);
        va_start(ap, format);
        vfprintf(l->faults, format, ap);
        va_end(ap);
        l->n_faults++;
}

void config_loader_unknown_key(ConfigLoader *l, const char *origin, const char *name)
{
        const ConfigKey *nearest = config_key_nearest(name);

        if (nearest)
                config_loader_fault(l, origin, "'%s' is not a setting; did you mean '%s'?", name, nearest->name);
        else
                config_loader_fault(l, origin, "'%s' is not a setting; scenekeep.conf(5) lists them all", name);
}

/* Each fault is a line of its own. */
static char *on_one_line(const char *text)
{
        char *copy = strdup(text);

        for (char *s = copy; s && *s; s++)
                if (iscntrl((unsigned char)*s))
                        *s = '?';
        return copy;
}

int config_loader_set(ConfigLoader *l, const ConfigKey *key, ConfigRank rank, const char *origin, const char *text)
{
        _cleanup_free_ char *right = NULL;
        size_t index = (size_t)(key - config_keys);
        int r;

        if (rank < l->ranks[index])
                return 0;
        r = config_value_set(l->config, key, text, &right);
        if (r == -EINVAL) {
                _cleanup_free_ char *shown = on_one_line(text);

                if (key->type == CONFIG_PASSWORD)
                        config_loader_fault(l, origin, "'%s' must be %s", key->name, right);
                else
                        config_loader_fault(l, origin, "'%s' must be %s, not \"%s\"", key->name, right, shown ?: "");
                return 0;
        }
        if (r < 0)
                return r;
        free(l->origins[index]);
        l->origins[index] = strdup(origin);
        l->ranks[index] = rank;
        return l->origins[index] ? 0 : -ENOMEM;
}

static int set_defaults(ConfigLoader *l)
{
        for (size_t i = 0; i < n_config_keys; i++) {
                const ConfigKey *key = &config_keys[i];
                int r = 0;

                if (key->default_text)
                        r = config_loader_set(l, key, CONFIG_RANK_DEFAULT, "default", key->default_text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_file(ConfigLoader *l, const char *given)
{
        const char *path = given ?: DEFAULT_PATH;
        int r = config_loader_read_file(l, path);

        if (r == -ENOENT && !given)
                return 0;
        if (r < 0 && r != -ENOMEM) {
                config_loader_fault(l, path, "cannot be read (%s); name another file with --config",
                                    strerrordesc_np(-r));
                return r;
        }
        if (r == 0) {
                l->config->path = strdup(path);
                if (!l->config->path)
                        return -ENOMEM;
        }
        return r;
}

/* An empty variable counts as one that is not set: `ADMIN_PASSWORD=` in an .env file says nothing. */
static int read_environment(ConfigLoader *l)
{
        for (size_t i = 0; i < ELEMENTSOF(environment_names); i++) {
                const ConfigKey *key = config_key_find(environment_names[i].key);
                const char *value = getenv(environment_names[i].variable), *unit = "";
                _cleanup_free_ char *text = NULL, *origin = NULL;
                int r;

                if (!value || !*value)
                        continue;
                if (isdigit((unsigned char)value[strlen(value) - 1]))
                        unit = environment_names[i].unit;
                if (asprintf(&text, "%s%s", value, unit) < 0) {
                        text = NULL;
                        return -ENOMEM;
                }
                if (asprintf(&origin, "environment variable %s", environment_names[i].variable) < 0) {
                        origin = NULL;
                        return -ENOMEM;
                }
                r = config_loader_set(l, key, CONFIG_RANK_ENVIRONMENT, origin, text);
                if (key->type == CONFIG_PASSWORD)
                        secret_wipe(text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_command_line(ConfigLoader *l, const Options *options)
{
        for (size_t i = 0; i < options->n_settings; i++) {
                const OptionsSetting *s = &options->settings[i];
                const ConfigKey *key = config_key_find(s->key);
                int r = 0;

                if (key)
                        r = config_loader_set(l, key, CONFIG_RANK_COMMAND_LINE, s->origin, s->value);
                else
                        config_loader_unknown_key(l, s->origin, s->key);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Reads a password file without its final line break. Returns its size or -errno. */
static ssize_t read_secret(const char *path, char buffer[static PASSWORD_FILE_SIZE_MAX + 2])
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        size_t size = 0;
        ssize_t n;

        if (fd < 0)
                return -errno;
        while (size < PASSWORD_FILE_SIZE_MAX + 1 &&
               (n = read(fd, buffer + size, PASSWORD_FILE_SIZE_MAX + 1 - size)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        n = -errno;
                        close(fd);
                        return n;
                }
                size += (size_t)n;
        }
        close(fd);
        if (size > PASSWORD_FILE_SIZE_MAX || memchr(buffer, '\0', size))
                return -EMSGSIZE;
        if (size > 0 && buffer[size - 1] == '\n')
                size--;
        if (size > 0 && buffer[size - 1] == '\r')
                size--;
        buffer[size] = '\0';
        return (ssize_t)size;
}

static int take_secret(ConfigLoader *l, const ConfigKey *key, ConfigRank rank, const char *path, bool may_be_empty)
{
        char buffer[PASSWORD_FILE_SIZE_MAX + 2];
        ssize_t size = read_secret(path, buffer);
        int r = 0;

        if (size == -EMSGSIZE)
                config_loader_fault(l, path, "a password file holds one line of at most %d bytes",
                                    PASSWORD_FILE_SIZE_MAX);
        else if (size < 0)
                config_loader_fault(l, path, "the password cannot be read (%s)", strerrordesc_np(-(int)size));
        else if (size == 0 && !may_be_empty)
                config_loader_fault(l, path, "the password file is empty");
        else
                r = config_loader_set(l, key, rank, path, buffer);
        secret_wipe(size > 0 ? buffer : NULL);
        return r;
}

static int read_credentials(ConfigLoader *l)
{
        const char *directory = getenv("CREDENTIALS_DIRECTORY");

        for (size_t i = 0; directory && i < ELEMENTSOF(passwords); i++) {
                _cleanup_free_ char *path = NULL;
                int r;

                if (asprintf(&path, "%s/%s", directory, passwords[i].credential) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                if (access(path, F_OK) < 0)
                        continue;
                r = take_secret(l, config_key_find(passwords[i].key), CONFIG_RANK_CREDENTIAL, path, true);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* admin_password_file and its like, once it is known who set it. */
static int read_password_files(ConfigLoader *l)
{
        for (size_t i = 0; i < ELEMENTSOF(passwords); i++) {
                const ConfigKey *key = config_key_find(passwords[i].key);
                const ConfigKey *file_key = config_key_find(passwords[i].file_key);
                ConfigRank rank = l->ranks[key - config_keys], file_rank = l->ranks[file_key - config_keys];
                const char *path = *(char **)config_field(l->config, file_key);
                int r;

                if (!path || file_rank < rank)
                        continue;
                if (file_rank == rank) {
                        config_loader_fault(l, l->origins[file_key - config_keys],
                                            "'%s' and '%s' are both set; keep one of them", key->name, file_key->name);
                        continue;
                }
                r = take_secret(l, key, file_rank, path, false);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int complete_data_dir(Config *c)
{
        const char *state = getenv("STATE_DIRECTORY");
        _cleanup_free_ char *cwd = NULL;
        const char *relative;
        char *absolute;

        if (!c->data_dir)
                c->data_dir = state && *state ? strndup(state, strcspn(state, ":")) : strdup(PKGSTATEDIR "/default");
        if (!c->data_dir)
                return -ENOMEM;
        if (c->data_dir[0] == '/')
                return 0;
        cwd = getcwd(NULL, 0);
        if (!cwd)
                return -errno;
        /* People are told this name. */
        relative = c->data_dir;
        while (relative[0] == '.' && relative[1] == '/')
                relative += 2 + strspn(relative + 2, "/");
        if (asprintf(&absolute, "%s/%s", cwd, relative) < 0)
                return -ENOMEM;
        free(c->data_dir);
        c->data_dir = absolute;
        return 0;
}

static int load_all(ConfigLoader *l, const Options *options)
{
        int r = set_defaults(l);

        if (r == 0)
                r = read_file(l, options->config_path);
        if (r == 0)
                r = read_credentials(l);
        if (r == 0)
                r = read_environment(l);
        if (r == 0)
                r = read_command_line(l, options);
        if (r == 0)
                r = read_password_files(l);
        if (r == 0)
                r = complete_data_dir(l->config);
        return r;
}

int config_load(const Options *options, Config **ret, char **ret_error)
{
        _cleanup_(config_freep) Config *config = calloc(1, sizeof(*config));
        _cleanup_free_ char *faults = NULL;
        ConfigLoader l = {.config = config};
        size_t size;
        int r;

        if (!config)
                return -ENOMEM;
        l.faults = open_memstream(&faults, &size);
        if (!l.faults)
                return -ENOMEM;
        r = load_all(&l, options);
        for (size_t i = 0; i < n_config_keys; i++)
                free(l.origins[i]);
        if (fclose(l.faults) != 0)
                return -ENOMEM;
        if (l.n_faults > 0 && r != -ENOMEM) {
                *ret_error = TAKE_PTR(faults);
                return r < 0 ? r : -EINVAL;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(config);
        return 0;
}

Config *config_free(Config *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < n_config_keys; i++)
                config_value_done(c, &config_keys[i]);
        free(c->path);
        free(c);
        return NULL;
}

static void print_quoted(const char *text, FILE *f)
{
        fputc('"', f);
        for (; *text; text++) {
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        fprintf(f, "\\x%02x", (unsigned char)*text);
                else
                        fprintf(f, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
        }
        fputc('"', f);
}

static void print_list(char *const *list, FILE *f)
{
        fputs("[ ", f);
        for (char *const *s = list; *s; s++) {
                fputs(s == list ? "" : ", ", f);
                print_quoted(*s, f);
        }
        fputs(" ]", f);
}

void config_print(const Config *c, FILE *f)
{
        for (size_t i = 0; i < n_config_keys; i++) {
                const ConfigKey *key = &config_keys[i];
                const void *field = config_field_const(c, key);
                _cleanup_free_ char *text = config_value_format(c, key);

                if (!text)
                        continue;
                if (key->type == CONFIG_PASSWORD || (key->type == CONFIG_TEXT && !*text)) {
                        fprintf(f, "# %s: %s\n", key->name, *text ? "(set)" : "(not set)");
                        if (key->type == CONFIG_PASSWORD)
                                secret_wipe(text);
                        continue;
                }
                fprintf(f, "%s = ", key->name);
                if (key->type == CONFIG_TEXT_LIST)
                        print_list(*(char *const *const *)field, f);
                else if (key->type == CONFIG_NUMBER)
                        fputs(text, f);
                else
                        print_quoted(text, f);
                fputs(";\n", f);
        }
}

void config_diff(const Config *running, const Config *fresh, ConfigDiff *ret)
{
        *ret = (ConfigDiff){};
        for (size_t i = 0; i < n_config_keys; i++) {
                const ConfigKey *key = &config_keys[i];
                if (config_value_equal(running, fresh, key))
                        continue;
                if (key->live)
                        ret->live[ret->n_live++] = key->name;
                else
                        ret->restart[ret->n_restart++] = key->name;
        }
}

void config_apply_live(Config *running, Config *fresh)
{
        for (size_t i = 0; i < n_config_keys; i++)
                if (config_keys[i].live)
                        config_value_swap(running, fresh, &config_keys[i]);
}

RetentionPolicy config_retention(const Config *c)
{
        return (RetentionPolicy){
                .newest = (uint32_t)c->max_backups,
                .hourly = (uint32_t)c->keep_hourly,
                .daily = (uint32_t)c->keep_daily,
                .weekly = (uint32_t)c->keep_weekly,
        };
}
