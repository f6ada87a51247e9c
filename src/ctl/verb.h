/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a verb gets and what it answers. Every verb prints its result on stdout, as a table or text for people or, with
 * --json, as one JSON document; what went wrong is one sentence on stderr (with --json also {"error": {...}} on
 * stdout), a wrong command line as well; and it returns one of the exit statuses below.
 */

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>

#include "base/macros.h"

typedef enum ExitStatus {
        CTL_OK = 0,
        CTL_FAILED = 1,      /* it was tried and did not work */
        CTL_USAGE = 2,       /* the command line is wrong; nothing was tried */
        CTL_NOT_FOUND = 3,   /* no such session, snapshot, node, user or file */
        CTL_NOT_RUNNING = 4, /* the verb needs a running daemon and there is none, or a server cannot be reached */
        CTL_DEGRADED = 5,    /* it runs, or was read, but something is damaged or degraded */
        CTL_REFUSED = 6,     /* permission denied, or the daemon refuses it in its present state */
} ExitStatus;

/* Options, as bits of the set that a verb takes. Those of OPT_EVERY are taken by all. */
typedef enum Opt {
        OPT_HELP,
        OPT_VERSION,
        OPT_JSON,
        OPT_INSTANCE,
        OPT_DATA_DIR,
        OPT_SOCKET,
        OPT_TREE,
        OPT_USER,
        OPT_SINCE,
        OPT_UNTIL,
        OPT_LIMIT,
        OPT_AT,
        OPT_NODE,
        OPT_UNDO,
        OPT_PIN,
        OPT_DRY_RUN,
        OPT_WATCH,
        OPT_ALL,
        OPT_REASON,
        OPT_HTTP,
        OPT_TIMEOUT,
        OPT_FOLLOW,
        OPT_STATUS,
        OPT_ASSIGNED,
        OPT_PORT,
        OPT_ROOT,
        OPT_PURGE_DATA,
        OPT_SWAP,
        _OPT_MAX,
} Opt;

#define OPT_BIT(o) (UINT64_C(1) << (o))
#define OPT_EVERY                                                                                              \
        (OPT_BIT(OPT_HELP) | OPT_BIT(OPT_VERSION) | OPT_BIT(OPT_JSON) | OPT_BIT(OPT_INSTANCE) |                \
         OPT_BIT(OPT_DATA_DIR) | OPT_BIT(OPT_SOCKET))

#define CTL_NODES_MAX 64u

typedef struct Verb Verb;

/* One invocation. */
typedef struct Ctl {
        const Verb *verb;
        const char *value[_OPT_MAX]; /* of the options given; "" for those without one; NULL: not given */
        const char *nodes[CTL_NODES_MAX]; /* OPT_NODE, which may be repeated */
        size_t n_nodes;
        char **words;                /* of the command line, without the options; the array is owned */
        int n_words;
        char **arguments;            /* of them, what follows the verb */
        int n_arguments;
        const char *instance;        /* never NULL */
        char *data_dir;              /* never NULL; owned */
        bool by_hand;                /* it is the folder that a daemon started here makes */
        char *socket;                /* path of the control socket; never NULL; owned */
        bool json, colour, progress;
        size_t width;                /* of the terminal; 80 where there is none */
} Ctl;

struct Verb {
        const char *name;
        const char *arguments; /* "SNAPSHOT [NODE]" */
        int min_arguments, max_arguments;
        uint64_t options;
        const char *help;      /* one line */
        ExitStatus (*run)(Ctl *ctl);
};

extern const Verb verbs[];
extern const size_t n_verbs;

static inline bool ctl_has(const Ctl *ctl, Opt o)
{
        return ctl->value[o] != NULL;
}

/* Says what went wrong, in one sentence without full stop, and returns status. */
ExitStatus ctl_fail(const Ctl *ctl, ExitStatus status, const char *format, ...) _printf_(3, 4);

/* What names the session on the command line: "", or "-i NAME " or "-d DIR " as it was given. The caller's; NULL: out of
 * memory. */
char *ctl_where(const Ctl *ctl);

/* Prints a text in lines that fit the terminal. What stands between backticks is for typing, and is not broken. */
void ctl_wrap(const Ctl *ctl, FILE *f, const char *text);

/* Prints a JSON document and releases it. */
void ctl_print_json(json_object *o);

/* Adds a string that need not be UTF-8: bytes that are none are written as \xNN. */
void json_add_text(json_object *o, const char *key, const char *text);
void json_add_text_size(json_object *o, const char *key, const void *text, size_t size);
void json_add_int(json_object *o, const char *key, uint64_t number);
void json_add_bool(json_object *o, const char *key, bool b);

/* An instant, as RFC 3339 in UTC; null for 0. */
void json_add_time(json_object *o, const char *key, uint64_t usec);

/* An int option: in [min, max], or the fallback where it was not given. False: it is none, already complained. */
bool ctl_number(const Ctl *ctl, Opt o, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *ret);

/* A time option, see time-spec.h. */
bool ctl_time(const Ctl *ctl, Opt o, uint64_t fallback, uint64_t *ret);

uint64_t ctl_now_usec(void); /* CLOCK_REALTIME */

/* ---- the verbs ---- */

ExitStatus verb_backup(Ctl *ctl);
ExitStatus verb_ban(Ctl *ctl);
ExitStatus verb_chat(Ctl *ctl);
ExitStatus verb_check(Ctl *ctl);
ExitStatus verb_create(Ctl *ctl);
ExitStatus verb_diff(Ctl *ctl);
ExitStatus verb_doctor(Ctl *ctl);
ExitStatus verb_drill(Ctl *ctl);
ExitStatus verb_export(Ctl *ctl);
ExitStatus verb_import(Ctl *ctl);
ExitStatus verb_kick(Ctl *ctl);
ExitStatus verb_list(Ctl *ctl);
ExitStatus verb_lock(Ctl *ctl);
ExitStatus verb_log(Ctl *ctl);
ExitStatus verb_metrics(Ctl *ctl);
ExitStatus verb_migrate(Ctl *ctl);
ExitStatus verb_pin(Ctl *ctl);
ExitStatus verb_prune(Ctl *ctl);
ExitStatus verb_remove(Ctl *ctl);
ExitStatus verb_repair(Ctl *ctl);
ExitStatus verb_report(Ctl *ctl);
ExitStatus verb_restore(Ctl *ctl);
ExitStatus verb_save(Ctl *ctl);
ExitStatus verb_say(Ctl *ctl);
ExitStatus verb_scrub(Ctl *ctl);
ExitStatus verb_show(Ctl *ctl);
ExitStatus verb_snapshots(Ctl *ctl);
ExitStatus verb_status(Ctl *ctl);
ExitStatus verb_tasks(Ctl *ctl);
ExitStatus verb_unban(Ctl *ctl);
ExitStatus verb_unlock(Ctl *ctl);
ExitStatus verb_unpin(Ctl *ctl);
ExitStatus verb_users(Ctl *ctl);
ExitStatus verb_verify(Ctl *ctl);
