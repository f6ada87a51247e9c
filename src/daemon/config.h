/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The configuration of one session. One table (config-keys.c) knows every key
 * with its type, range, default and meaning; file, environment, command line,
 * --help and the checks of the manual all read it.
 *
 * Precedence: command line, environment, systemd credentials (passwords only),
 * file, default. A Config is complete and checked, or it is not made at all.
 */

#include <stdint.h>
#include <stdio.h>

#include "base/macros.h"
#include "daemon/options.h"
#include "store/retention.h"

typedef enum ConfigSync {
        CONFIG_SYNC_INTERVAL, /* fdatasync every sync_interval */
        CONFIG_SYNC_ALWAYS,   /* fdatasync before an update is passed on */
} ConfigSync;

/* Durations are microseconds, sizes bytes, rates per second. Texts are never NULL unless said. */
typedef struct Config {
        char *path; /* the file that was read; NULL: none */

        /* The session */
        uint64_t port;              /* command channel; data and ttl are the two ports after it */
        char *listen;               /* "*", or an IPv4 or IPv6 address or interface name as libzmq takes it */
        char *data_dir;             /* absolute once loaded */
        char *session_name;
        char *admin_password;       /* resolved from file or credential; NULL: none configured */
        char *admin_password_file;  /* NULL: not set */
        char *server_password;      /* NULL: none, everybody may join */
        char *server_password_file; /* NULL: not set */
        char **accepted_versions;   /* NULL-terminated, at least one */
        uint64_t timeout;           /* a client silent on ttl for this long has gone */
        uint64_t reconnect_grace;   /* how long name and locks are kept after the command connection is lost */
        uint64_t idle_exit;         /* leave after this long without users, where systemd holds the sockets; 0: never */
        uint64_t chat_history;      /* messages kept for users who join later */

        /* Keeping it */
        uint64_t save_interval;     /* snapshot when something changed; 0: only on leaving, demand and shutdown */
        uint64_t max_backups;       /* newest snapshots kept */
        uint64_t keep_hourly, keep_daily, keep_weekly;
        int sync;                   /* ConfigSync */
        uint64_t sync_interval;
        uint64_t segment_size;      /* a log segment is closed when it grows past this */
        uint64_t journal_keep, journal_keep_size; /* journal kept for restores to a moment: time, and at most bytes */
        uint64_t scrub_interval;    /* everything is re-read and verified within this; 0: never */

        /* Bounds */
        uint64_t graph_cache;       /* bytes of decoded nodes kept for editing */
        uint64_t max_users;
        uint64_t max_user_name;     /* bytes */
        uint64_t max_nodes;
        uint64_t max_metadata;      /* bytes per user */
        uint64_t max_message_size;  /* bytes of one frame */
        uint64_t max_pending_init;  /* bytes of an init under way */
        uint64_t max_client_backlog; /* bytes waiting for one slow client */
        uint64_t join_ahead;         /* bytes sent to a joining client before it asks for them; 0: a node a round trip */
        uint64_t backlog_timeout;   /* over its backlog for longer than this, a client is told and dropped */
        uint64_t max_client_rate, max_client_messages; /* a second, of one client on one channel; 0: any */
        uint64_t min_free_space;    /* bytes of the disk; with less, a user who fills it is slowed down; 0: off */
        uint64_t pickle_max_depth, pickle_max_values, pickle_max_memo;
        uint64_t failed_login_limit;  /* failed logins or malformed messages per address within ban_time; 0: any */
        uint64_t ban_time;
        char **allow;               /* NULL-terminated: addresses and prefixes that are never banned */

        /* The log */
        int log_level;              /* a priority of syslog.h */
        char *log_file;             /* NULL: none */
} Config;

/* Makes the configuration that the command line, the environment and the file (the one given, else
 * PKGSYSCONFDIR/scenekeep.conf where it exists) add up to. Also what a reload calls. Returns 0; -EINVAL with
 * *ret_error, one or more lines "FILE:LINE: what is wrong and what would be right" that the caller frees; -ENOMEM;
 * or another -errno with *ret_error for a file that cannot be read. */
int config_load(const Options *options, Config **ret, char **ret_error);
Config *config_free(Config *c); /* wipes passwords; accepts NULL; returns NULL */
DEFINE_CLEANUP(Config *, config_free)

/* The effective configuration as a configuration file; passwords are shown as comments "(set)". */
void config_print(const Config *c, FILE *f);

/* What a reload would change. Names are those of keys and static. */
#define CONFIG_KEYS_MAX 64
typedef struct ConfigDiff {
        const char *live[CONFIG_KEYS_MAX];    /* can be applied with everyone connected */
        size_t n_live;
        const char *restart[CONFIG_KEYS_MAX]; /* need a restart */
        size_t n_restart;
} ConfigDiff;

void config_diff(const Config *running, const Config *fresh, ConfigDiff *ret);

/* Moves every live key's value from fresh into running (fresh gets the old one and is then only good for freeing). */
void config_apply_live(Config *running, Config *fresh);

/* Which snapshots stay with these settings. */
RetentionPolicy config_retention(const Config *c);
