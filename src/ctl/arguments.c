/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/arguments.h"
#include "ctl/instances.h"

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

static int complain(const Ctl *ctl, const char *problem, const char *what)
{
        const char *verb = ctl->verb ? ctl->verb->name : NULL;

        ctl_fail(ctl, CTL_USAGE, "%s %s: see `scenekeepctl %s%s--help`", problem, what, verb ?: "", verb ? " " : "");
        return -EINVAL;
}

/* Where the session is: -EINVAL after a complaint. */
static int locate_data(Ctl *ctl)
{
        const char *dir = ctl->value[OPT_DATA_DIR];
        int n;

        if (dir) {
                ctl->data_dir = strdup(dir);
                return ctl->data_dir ? 0 : -ENOMEM;
        }
        n = asprintf(&ctl->data_dir, PKGSTATEDIR "/%s", ctl->instance);
        if (n < 0) {
                ctl->data_dir = NULL;
                return -ENOMEM;
        }
        if (!ctl_has(ctl, OPT_INSTANCE) && !is_folder(ctl->data_dir) && is_folder(by_hand)) {
                free(ctl->data_dir);
                ctl->data_dir = strdup(by_hand);
                ctl->by_hand = true;
                if (!ctl->data_dir)
                        return -ENOMEM;
        }
        return 0;
}

static int locate(Ctl *ctl)
{
        int r;

        ctl->instance = ctl->value[OPT_INSTANCE] ?: "default";
        if (strchr(ctl->instance, '/') || ctl->instance[0] == '.' || ctl->instance[0] == '\0') {
                ctl_fail(ctl, CTL_USAGE, "\"%s\" is no name of a session: it is the part after @ in scenekeep@NAME.service",
                         ctl->instance);
                return -EINVAL;
        }
        for (Opt o = OPT_DATA_DIR; o <= OPT_SOCKET; o++)
                if (ctl_has(ctl, o) && ctl->value[o][0] == '\0')
                        return complain(ctl, "there is no path behind", o == OPT_DATA_DIR ? "--data-dir" : "--socket");
        r = locate_data(ctl);
        if (r < 0)
                return r;
        ctl->socket = ctl_has(ctl, OPT_SOCKET)
                              ? strdup(ctl->value[OPT_SOCKET])
                              : instance_socket(ctl->instance, ctl->data_dir, ctl_has(ctl, OPT_DATA_DIR) || ctl->by_hand);
        return ctl->socket ? 0 : -ENOMEM;
}

/* The first mistake on the command line; told when all of it has been read, since --json may stand behind it. */
typedef struct Mistake {
        const char *problem;
        char what[40];
} Mistake;

static void note_mistake(Mistake *m, const char *problem, const char *what)
{
        if (m->problem)
                return;
        m->problem = problem;
        snprintf(m->what, sizeof(m->what), "%s", what);
}

static void take_option(Ctl *ctl, size_t o, Mistake *mistake)
{
        ctl->value[o] = optarg ?: "";
        if (o != OPT_NODE)
                return;
        if (ctl->n_nodes == CTL_NODES_MAX)
                note_mistake(mistake, "too many options", "--node");
        else
                ctl->nodes[ctl->n_nodes++] = optarg;
}

/* What getopt_long() is to look for. Words that begin with "-" and a digit, as in -1h, are none of our options: the digits
 * are read as such here, which take the rest of the word, and are arguments. */
static void describe_options(struct option longs[], char *shorts)
{
        *shorts++ = '-'; /* arguments, in their order */
        *shorts++ = ':';
        for (size_t i = 0; i < _OPT_MAX; i++) {
                longs[i] = (struct option){specs[i].name, specs[i].argument ? required_argument : no_argument, NULL,
                                           (int)(256 + i)};
                if (specs[i].short_name) {
                        *shorts++ = specs[i].short_name;
                        if (specs[i].argument)
                                *shorts++ = ':';
                }
        }
        for (char digit = '0'; digit <= '9'; digit++) {
                *shorts++ = digit;
                *shorts++ = ':';
                *shorts++ = ':';
        }
        *shorts = '\0';
}

static bool is_number_word(const char *word, int c)
{
        return c >= '0' && c <= '9' && word[0] == '-' && word[1] == c;
}

/* Fills in the options, and the words that are none: the verb and its arguments. */
static int read_options(Ctl *ctl, int argc, char **argv)
{
        struct option longs[_OPT_MAX + 1] = {0};
        char shorts[_OPT_MAX * 2 + 10 * 3 + 3];
        Mistake mistake = {0};
        int c;

        ctl->words = calloc((size_t)argc + 1, sizeof(*ctl->words));
        if (!ctl->words)
                return -ENOMEM;
        describe_options(longs, shorts);
        optind = 0;
        opterr = 0;
        while ((c = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
                size_t o = 0;

                if (c == 1) {
                        ctl->words[ctl->n_words++] = optarg;
                } else if (is_number_word(argv[optind - 1], c)) {
                        ctl->words[ctl->n_words++] = argv[optind - 1];
                } else if (c == ':') {
                        note_mistake(&mistake, "nothing follows", argv[optind - 1]);
                } else if (c >= 256) {
                        take_option(ctl, (size_t)c - 256, &mistake);
                } else if (c == '?' && (optopt == 0 || optopt >= 256)) {
                        note_mistake(&mistake, "there is no option", argv[optind - 1]);
                } else {
                        while (o < _OPT_MAX && specs[o].short_name != c)
                                o++;
                        if (o < _OPT_MAX)
                                take_option(ctl, o, &mistake);
                        else
                                note_mistake(&mistake, "there is no option", (char[]){'-', (char)(c == '?' ? optopt : c), '\0'});
                }
        }
        while (optind < argc)
                ctl->words[ctl->n_words++] = argv[optind++];
        ctl->json = ctl_has(ctl, OPT_JSON);
        return mistake.problem ? complain(ctl, mistake.problem, mistake.what) : 0;
}

static int check_verb(Ctl *ctl)
{
        const Verb *v = ctl->verb;

        for (size_t i = 0; i < _OPT_MAX; i++)
                if (ctl->value[i] && !((v->options | OPT_EVERY) & OPT_BIT(i))) {
                        char option[40];

                        snprintf(option, sizeof(option), "option --%s", specs[i].name);
                        return complain(ctl, "this verb does not take the", option);
                }
        if (ctl->n_arguments < v->min_arguments)
                return complain(ctl, "it needs", v->arguments);
        for (int i = 0; i < ctl->n_arguments; i++)
                if (ctl->arguments[i][0] == '\0')
                        return complain(ctl, "an argument is empty, of", v->arguments);
        if (ctl->n_arguments > v->max_arguments)
                return complain(ctl, "too many arguments, from", ctl->arguments[v->max_arguments]);
        return 0;
}

static int find_verb(Ctl *ctl, const char *name)
{
        for (size_t i = 0; i < n_verbs; i++)
                if (strcmp(verbs[i].name, name) == 0) {
                        ctl->verb = &verbs[i];
                        return 0;
                }
        return complain(ctl, "there is no verb", name);
}

/* 0: something is to be done, by ctl->verb if that was named. 1: all has been said. */
static int read_words(Ctl *ctl)
{
        bool help = ctl_has(ctl, OPT_HELP);
        int first = 0, r;

        if (ctl_has(ctl, OPT_VERSION)) {
                printf("scenekeepctl %s\n", PACKAGE_VERSION);
                return 1;
        }
        if (ctl->n_words > 0 && strcmp(ctl->words[0], "help") == 0) {
                help = true;
                first = 1;
        }
        if (first < ctl->n_words) {
                r = find_verb(ctl, ctl->words[first]);
                if (r < 0)
                        return r;
        }
        if (help) {
                if (ctl->verb)
                        print_verb_help(ctl->verb, stdout);
                else
                        print_help(stdout);
                return 1;
        }
        if (ctl->verb) {
                ctl->arguments = ctl->words + 1;
                ctl->n_arguments = ctl->n_words - 1;
                return 0;
        }
        if (ctl->json)
                return complain(ctl, "it needs", "VERB [ARGUMENT]...");
        print_help(stderr);
        return -EINVAL;
}

int arguments_parse(Ctl *ctl, int argc, char **argv)
{
        const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
        int r;

        ctl->width = terminal_width();
        r = read_options(ctl, argc, argv);
        if (r == 0)
                r = read_words(ctl);
        if (r != 0)
                return r;
        ctl->colour = !ctl->json && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 &&
                      !(no_colour && *no_colour);
        ctl->progress = !ctl->json && isatty(STDERR_FILENO);
        r = check_verb(ctl);
        return r < 0 ? r : locate(ctl);
}

void arguments_done(Ctl *ctl)
{
        free(ctl->words);
        free(ctl->data_dir);
        free(ctl->socket);
}
