/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "daemon/config-keys.h"
#include "net/address.h"

#define KEY(field, key_type, key_live, text, low, high, help_text, ...)                                 \
        {                                                                                               \
                .name = #field, .type = (key_type), .live = (key_live), .offset = offsetof(Config, field), \
                .default_text = (text), .min = (low), .max = (high), .help = (help_text), __VA_ARGS__   \
        }

#define MS 1000ULL
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)
#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MANY 1000000000ULL

static bool is_network(const char *text)
{
        AddressPrefix prefix;

        return address_prefix_parse(text, &prefix) >= 0;
}

/* In the order of etc/scenekeep.conf; help lines are shown by --help. */
const ConfigKey config_keys[] = {
        KEY(port, CONFIG_NUMBER, false, "5555", 1, 65533, "first of the three TCP ports"),
        KEY(listen, CONFIG_TEXT, false, "*", 1, 255, "address or interface to listen on; * is all"),
        KEY(data_dir, CONFIG_TEXT, false, NULL, 1, 4000, "folder that holds the session"),
        KEY(session_name, CONFIG_TEXT, false, "default", 1, 64, "name of the session in logs and status"),
        KEY(admin_password, CONFIG_PASSWORD, true, NULL, 0, 1024, "password of those who may init and kick"),
        KEY(admin_password_file, CONFIG_TEXT, true, NULL, 0, 4000, "file that holds the admin password"),
        KEY(server_password, CONFIG_PASSWORD, true, NULL, 0, 1024, "password to join; none: anybody may"),
        KEY(server_password_file, CONFIG_TEXT, true, NULL, 0, 4000, "file that holds the server password"),
        KEY(accepted_versions, CONFIG_TEXT_LIST, true, "0.9.10", 1, 16, "client versions that may join"),
        KEY(timeout, CONFIG_DURATION, true, "10s", 1 * SECOND, 10 * MINUTE, "a client silent this long has gone"),
        KEY(reconnect_grace, CONFIG_DURATION, true, "15s", 1 * SECOND, 10 * MINUTE,
            "name and locks are kept this long"),
        KEY(idle_exit, CONFIG_DURATION, true, "0", 0, 30 * DAY, "leave after this long without users"),
        KEY(chat_history, CONFIG_NUMBER, true, "200", 0, 500, "chat messages kept for those who join"),

        KEY(save_interval, CONFIG_DURATION, true, "2min", 0, 7 * DAY, "save this often when changed"),
        KEY(max_backups, CONFIG_NUMBER, true, "10", 1, 100000, "newest snapshots that are kept"),
        KEY(keep_hourly, CONFIG_NUMBER, true, "24", 0, 100000, "and one of each of so many hours"),
        KEY(keep_daily, CONFIG_NUMBER, true, "14", 0, 100000, "and one of each of so many days"),
        KEY(keep_weekly, CONFIG_NUMBER, true, "8", 0, 100000, "and one of each of so many weeks"),
        KEY(sync, CONFIG_SYNC, false, "interval", 0, 0, "interval, or always: before passing on"),
        KEY(sync_interval, CONFIG_DURATION, false, "1s", 10 * MS, 1 * MINUTE, "what a power cut can cost"),
        KEY(segment_size, CONFIG_SIZE, false, "64M", 1 * MIB, 4 * GIB, "size of a file of the log"),
        KEY(journal_keep, CONFIG_DURATION, false, "7d", 0, 3650 * DAY, "restore to any moment this far back"),
        KEY(journal_keep_size, CONFIG_SIZE, false, "4G", 0, 1024 * GIB, "but with no more journal than this"),
        KEY(scrub_interval, CONFIG_DURATION, true, "7d", 0, 365 * DAY, "everything is verified this often"),

        KEY(graph_cache, CONFIG_SIZE, true, "256M", 1 * MIB, 1024 * GIB, "decoded nodes kept for editing"),
        KEY(max_users, CONFIG_NUMBER, true, "64", 1, 10000, "users at one time"),
        KEY(max_user_name, CONFIG_NUMBER, true, "64", 1, 1024, "bytes of a user's name"),
        KEY(max_nodes, CONFIG_NUMBER, true, "1000000", 1, MANY, "nodes of the session"),
        KEY(max_metadata, CONFIG_SIZE, true, "256K", 4 * KIB, 64 * MIB, "metadata of one user"),
        KEY(max_message_size, CONFIG_SIZE, false, "1G", 64 * KIB, 16 * GIB, "one message from a client"),
        KEY(max_pending_init, CONFIG_SIZE, true, "4G", 1 * MIB, 1024 * GIB, "a scene being initialised"),
        KEY(max_client_backlog, CONFIG_SIZE, false, "64M", 1 * MIB, 64 * GIB, "waiting for one slow client"),
        KEY(backlog_timeout, CONFIG_DURATION, true, "1min", 1 * SECOND, 1 * DAY, "then a slow client is dropped"),
        KEY(max_client_rate, CONFIG_SIZE, true, "32M", 0, 1024 * GIB, "a second, from one client; 0: any"),
        KEY(max_client_messages, CONFIG_NUMBER, true, "500", 0, MANY, "a second, from one client; 0: any"),
        KEY(join_ahead, CONFIG_SIZE, true, "4M", 0, 64 * MIB, "sent to those who join before they ask"),
        KEY(min_free_space, CONFIG_SIZE, true, "512M", 0, 1024 * GIB, "with less, who fills the disk is slowed"),
        KEY(pickle_max_depth, CONFIG_NUMBER, true, "200", 16, 200, "nesting of a client's data"),
        KEY(pickle_max_values, CONFIG_NUMBER, true, "16000000", 1000, MANY, "values in one message"),
        KEY(pickle_max_memo, CONFIG_NUMBER, true, "16000000", 1000, MANY, "shared values in one message"),
        KEY(failed_login_limit, CONFIG_NUMBER, true, "10", 0, 100000, "failures before a ban; 0: no bans"),
        KEY(ban_time, CONFIG_DURATION, true, "5min", 1 * SECOND, 365 * DAY, "failures are counted, bans last"),
        KEY(allow, CONFIG_TEXT_LIST, true, "127.0.0.1,::1", 0, 1000, "addresses that are never banned",
            .is_item = is_network,
            .items = "addresses or networks, such as [ \"192.168.0.5\", \"10.0.0.0/8\" ]"),

        KEY(log_level, CONFIG_LEVEL, true, "info", 0, 0, "debug, info, notice, warning, error, critical"),
        KEY(log_file, CONFIG_TEXT, true, NULL, 0, 4000, "file that gets the log as well"),
};

const size_t n_config_keys = ELEMENTSOF(config_keys);
_Static_assert(ELEMENTSOF(config_keys) <= CONFIG_KEYS_MAX, "ConfigDiff must be able to name every key");

const ConfigKey *config_key_find(const char *name)
{
        for (size_t i = 0; i < n_config_keys; i++)
                if (strcmp(config_keys[i].name, name) == 0)
                        return &config_keys[i];
        return NULL;
}

/* Levenshtein distance, with a dash as good as an underscore. Texts longer than the longest key are far. */
static size_t distance(const char *a, const char *b)
{
        size_t na = strlen(a), nb = strlen(b), row[64];

        if (na >= ELEMENTSOF(row) || nb >= ELEMENTSOF(row))
                return SIZE_MAX;
        for (size_t j = 0; j <= nb; j++)
                row[j] = j;
        for (size_t i = 1; i <= na; i++) {
                size_t diagonal = row[0];
                char ca = a[i - 1] == '-' ? '_' : a[i - 1];

                row[0] = i;
                for (size_t j = 1; j <= nb; j++) {
                        size_t substituted = diagonal + (ca == b[j - 1] ? 0 : 1);
                        diagonal = row[j];
                        row[j] = MIN(row[j], row[j - 1]) + 1;
                        row[j] = MIN(row[j], substituted);
                }
        }
        return row[nb];
}

const ConfigKey *config_key_nearest(const char *name)
{
        const ConfigKey *nearest = NULL;
        size_t best = MAX(strlen(name) / 3, (size_t)2) + 1;

        for (size_t i = 0; i < n_config_keys; i++) {
                size_t d = distance(name, config_keys[i].name);
                if (d < best) {
                        best = d;
                        nearest = &config_keys[i];
                }
        }
        return nearest;
}
