/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/arguments.h"

typedef struct OptSpec {
        char short_name; /* 0: none */
        const char *name;
        const char *argument; /* NULL: takes none */
        const char *help;
} OptSpec;

static const OptSpec specs[_OPT_MAX] = {
        [OPT_HELP] = {'h', "help", NULL, "say what scenekeepctl, or the verb, does"},
        [OPT_VERSION] = {'V', "version", NULL, "print the version"},
        [OPT_JSON] = {'j', "json", NULL, "answer with one JSON document"},
        [OPT_INSTANCE] = {'i', "instance", "NAME", "which session; default: default"},
        [OPT_DATA_DIR] = {'d', "data-dir", "DIR", "the folder that holds the session"},
        [OPT_SOCKET] = {0, "socket", "PATH", "the daemon's control socket"},
        [OPT_TREE] = {0, "tree", NULL, "show nodes below those that depend on them"},
        [OPT_USER] = {'u', "user", "NAME", "only what this user did"},
        [OPT_SINCE] = {0, "since", "TIME", "only from this time on"},
        [OPT_UNTIL] = {0, "until", "TIME", "only up to this time"},
        [OPT_LIMIT] = {'n', "limit", "N", "at most so many, the newest"},
        [OPT_AT] = {0, "at", "TIME", "as it was at this time"},
        [OPT_NODE] = {0, "node", "NAME|UUID", "this node and what it needs; repeatable"},
        [OPT_UNDO] = {0, "undo", NULL, "back to before the last restore"},
        [OPT_PIN] = {0, "pin", NULL, "keep it for ever"},
        [OPT_DRY_RUN] = {0, "dry-run", NULL, "say what would be done, and do nothing"},
        [OPT_WATCH] = {'w', "watch", NULL, "go on showing it"},
        [OPT_ALL] = {'a', "all", NULL, "all of them"},
        [OPT_HTTP] = {0, "http", NULL, "answer one HTTP request on the standard input"},
        [OPT_REASON] = {0, "reason", "TEXT", "what the user is told"},
        [OPT_TIMEOUT] = {0, "timeout", "SECONDS", "how long to wait"},
        [OPT_FOLLOW] = {'f', "follow", NULL, "go on with what comes"},
        [OPT_STATUS] = {0, "status", "STATUS", "todo, in_progress or done"},
        [OPT_ASSIGNED] = {0, "assigned", "USER", "the user a task is for"},
        [OPT_PORT] = {'p', "port", "P", "the first of its three ports"},
        [OPT_ROOT] = {0, "root", "DIR", "in the system below this folder"},
        [OPT_SWAP] = {0, "swap", NULL, "put it in the place of the old one"},
        [OPT_PURGE_DATA] = {0, "purge-data", NULL, "its data and snapshots, too"},
};

static void print_options(FILE *f, uint64_t set)
{
        for (size_t i = 0; i < _OPT_MAX; i++) {
                char left[40];

                if (!(set & OPT_BIT(i)))
                        continue;
                snprintf(left, sizeof(left), "%c%c%s --%s%s%s", specs[i].short_name ? '-' : ' ',
                         specs[i].short_name ?: ' ', specs[i].short_name ? "," : " ", specs[i].name,
                         specs[i].argument ? " " : "", specs[i].argument ?: "");
                fprintf(f, "  %-26s %s\n", left, specs[i].help);
        }
}

static void print_help(FILE *f)
{
        fprintf(f, "Usage: scenekeepctl [OPTION]... VERB [ARGUMENT]...\n\n"
                   "See, manage and move back in time the sessions that scenekeepd serves.\n\nVerbs:\n");
        for (size_t i = 0; i < n_verbs; i++) {
                char left[48];

                snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].arguments);
                fprintf(f, "  %-26s %s\n", left, verbs[i].help);
        }
        fprintf(f, "\nOptions of every verb:\n");
        print_options(f, OPT_EVERY);
        fprintf(f, "\n`scenekeepctl VERB --help` shows its options; scenekeepctl(1) has examples.\n");
}

static void print_verb_help(const Verb *v, FILE *f)
{
        fprintf(f, "Usage: scenekeepctl %s [OPTION]... %s\n\n%s.\n", v->name, v->arguments, v->help);
        if (v->options) {
                fprintf(f, "\nOptions:\n");
                print_options(f, v->options);
        }
        fprintf(f, "\nOptions of every verb:\n");
        print_options(f, OPT_EVERY);
}

static const Verb *find_verb(const char *name)
{
        for (size_t i = 0; i < n_verbs; i++)
                if (strcmp(verbs[i].name, name) == 0)
                        return &verbs[i];
        return NULL;
}

static size_t terminal_width(void)
{
        struct winsize size;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* The folder that `scenekeepd` makes when it is run by hand, so that the same works for looking at it. */
static const char by_hand[] = "scenekeep-data";

static bool is_folder(const char *path)
{
        return access(path, F_OK) == 0 || errno == EACCES;
}

static int locate(Ctl *ctl)
{
        const char *instance = ctl->value[OPT_INSTANCE];
        int n;

        ctl->instance = instance ?: "default";
        if (strchr(ctl->instance, '/') || ctl->instance[0] == '.' || ctl->instance[0] == '\0') {
                ctl_fail(ctl, CTL_USAGE, "\"%s\" is no name of a session: it is the part after @ in scenekeep@NAME.service",
                         ctl->instance);
                return -EINVAL;
        }
        if (ctl->value[OPT_DATA_DIR])
                n = asprintf(&ctl->data_dir, "%s", ctl->value[OPT_DATA_DIR]);
        else
                n = asprintf(&ctl->data_dir, PKGSTATEDIR "/%s", ctl->instance);
        if (n < 0)
                return -ENOMEM;
        if (!ctl->value[OPT_DATA_DIR] && !instance && !is_folder(ctl->data_dir) && is_folder(by_hand)) {
                free(ctl->data_dir);
                ctl->data_dir = strdup(by_hand);
                if (!ctl->data_dir)
                        return -ENOMEM;
        }
        if (ctl->value[OPT_SOCKET]) {
                n = asprintf(&ctl->socket, "%s", ctl->value[OPT_SOCKET]);
        } else {
                n = asprintf(&ctl->socket, "/run/scenekeep/%s/control", ctl->instance);
                if (n >= 0 && (ctl->value[OPT_DATA_DIR] || access(ctl->socket, F_OK) != 0)) {
                        _cleanup_free_ char *run = ctl->socket;

                        n = asprintf(&ctl->socket, "%s/control", ctl->data_dir);
                        /* Not served by hand either: the place where it would be is what messages should name. */
                        if (n >= 0 && !ctl->value[OPT_DATA_DIR] && access(ctl->socket, F_OK) != 0) {
                                free(ctl->socket);
                                ctl->socket = TAKE_PTR(run);
                        }
                }
        }
        return n < 0 ? -ENOMEM : 0;
}

static int complain(const char *format, const char *what, const char *verb)
{
        fputs("scenekeepctl: ", stderr);
        fprintf(stderr, "%s %s", format, what);
        fprintf(stderr, ": see `scenekeepctl %s%s--help`\n", verb ?: "", verb ? " " : "");
        return -EINVAL;
}

static int read_options(Ctl *ctl, int argc, char **argv)
{
        struct option longs[_OPT_MAX + 1] = {0};
        char shorts[_OPT_MAX * 2 + 2] = ":";
        size_t n = 1;
        int c;

        for (size_t i = 0; i < _OPT_MAX; i++) {
                longs[i] = (struct option){specs[i].name, specs[i].argument ? required_argument : no_argument, NULL,
                                           (int)(256 + i)};
                if (specs[i].short_name) {
                        shorts[n++] = specs[i].short_name;
                        if (specs[i].argument)
                                shorts[n++] = ':';
                }
        }
        optind = 0;
        opterr = 0;
        while ((c = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
                size_t o = _OPT_MAX;

                if (c == ':')
                        return complain("nothing follows", argv[optind - 1], NULL);
                if (c == '?' && optopt > 0 && optopt < 256)
                        return complain("there is no option", (char[]){'-', (char)optopt, '\0'}, NULL);
                if (c == '?')
                        return complain("there is no option", argv[optind - 1], NULL);
                if (c >= 256)
                        o = (size_t)c - 256;
                else
                        for (size_t i = 0; i < _OPT_MAX; i++)
                                if (specs[i].short_name == c)
                                        o = i;
                ctl->value[o] = optarg ?: "";
                if (o == OPT_NODE) {
                        if (ctl->n_nodes == CTL_NODES_MAX)
                                return complain("too many options", "--node", NULL);
                        ctl->nodes[ctl->n_nodes++] = optarg;
                }
        }
        return 0;
}

static int check_verb(Ctl *ctl)
{
        const Verb *v = ctl->verb;

        for (size_t i = 0; i < _OPT_MAX; i++)
                if (ctl->value[i] && !((v->options | OPT_EVERY) & OPT_BIT(i))) {
                        char option[40];

                        snprintf(option, sizeof(option), "option --%s", specs[i].name);
                        return complain("this verb does not take the", option, v->name);
                }
        if (ctl->n_arguments < v->min_arguments)
                return complain("it needs", v->arguments, v->name);
        for (int i = 0; i < ctl->n_arguments; i++)
                if (ctl->arguments[i][0] == '\0')
                        return complain("an argument is empty, of", v->arguments, v->name);
        if (ctl->n_arguments > v->max_arguments)
                return complain("too many arguments, from", ctl->arguments[v->max_arguments], v->name);
        return 0;
}

int arguments_parse(Ctl *ctl, int argc, char **argv)
{
        const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
        int r = read_options(ctl, argc, argv);

        if (r < 0)
                return r;
        if (ctl_has(ctl, OPT_VERSION)) {
                printf("scenekeepctl %s\n", PACKAGE_VERSION);
                return 1;
        }
        if (optind < argc && strcmp(argv[optind], "help") != 0) {
                ctl->verb = find_verb(argv[optind]);
                if (!ctl->verb)
                        return complain("there is no verb", argv[optind], NULL);
        } else if (!ctl_has(ctl, OPT_HELP) && optind >= argc) {
                print_help(stderr);
                return -EINVAL;
        }
        if (ctl_has(ctl, OPT_HELP) || !ctl->verb) {
                if (ctl->verb)
                        print_verb_help(ctl->verb, stdout);
                else
                        print_help(stdout);
                return 1;
        }
        ctl->arguments = argv + optind + 1;
        ctl->n_arguments = argc - optind - 1;
        ctl->json = ctl_has(ctl, OPT_JSON);
        ctl->width = terminal_width();
        ctl->colour = !ctl->json && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 &&
                      !(no_colour && *no_colour);
        ctl->progress = !ctl->json && isatty(STDERR_FILENO);
        r = check_verb(ctl);
        return r < 0 ? r : locate(ctl);
}

void arguments_done(Ctl *ctl)
{
        free(ctl->data_dir);
        free(ctl->socket);
}
