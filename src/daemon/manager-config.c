/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/event-id.h"
#include "daemon/manager-internal.h"
#include "daemon/notify.h"
#include "store/snapshot.h"

void manager_session_config(const Config *c, SessionConfig *ret)
{
        *ret = (SessionConfig){
                .server_password = c->server_password,
                .admin_password = c->admin_password,
                .accepted_versions = (const char *const *)c->accepted_versions,
                .timeout_usec = c->timeout,
                .reconnect_grace_usec = c->reconnect_grace,
                .max_users = c->max_users,
                .max_user_name = c->max_user_name,
                .max_metadata = c->max_metadata,
                .max_nodes = c->max_nodes,
                .max_init_bytes = c->max_pending_init,
                .max_node_bytes = c->max_message_size,
                .chat_history = c->chat_history,
                .graph_cache_bytes = c->graph_cache,
                /* What is sent ahead counts as commands, of which twice the backlog ends the connection. */
                .join_ahead_bytes = MIN(c->join_ahead, c->max_client_backlog / 2),
                .rate = { .bytes = c->max_client_rate, .messages = c->max_client_messages },
                .pickle_limits = {
                        .max_size = c->max_message_size,
                        .max_depth = (uint32_t)c->pickle_max_depth,
                        .max_memo = (uint32_t)c->pickle_max_memo,
                        .max_values = (uint32_t)c->pickle_max_values,
                },
        };
}

NetLimits manager_net_limits(const Config *c)
{
        return (NetLimits){
                .max_client_backlog = c->max_client_backlog,
                .penalty_limit = (unsigned)c->failed_login_limit,
                .ban_usec = c->ban_time,
                .allow = (const char *const *)c->allow,
        };
}

void manager_set_log(const Config *c)
{
        log_set_max_priority(c->log_level);
        int k = log_set_file(c->log_file);
        if (k < 0)
                log_warning_errno(k, "Cannot write to the log file %s, going on without it", c->log_file);
}

static void join_keys(const char *const *keys, size_t n, char *buffer, size_t size)
{
        size_t used = 0;
        buffer[0] = '\0';
        for (size_t i = 0; i < n && used < size; i++)
                used += (size_t)snprintf(buffer + used, size - used, "%s%s", i > 0 ? ", " : "", keys[i]);
}

static int apply(Manager *m)
{
        SessionConfig session;
        manager_session_config(m->config, &session);
        int k = session_reconfigure(m->session, &session);
        if (k < 0)
                return k;
        NetLimits limits = manager_net_limits(m->config);
        k = net_set_limits(m->net, &limits);
        if (k < 0)
                return k;
        RetentionPolicy retention = config_retention(m->config);
        store_set_retention(m->store, &retention);
        executor_set_always(m->executor, m->config->sync == CONFIG_SYNC_ALWAYS);
        manager_set_log(m->config);
        return manager_rearm_save(m);
}

static void report_reload(const ConfigDiff *diff)
{
        char keys[1024];
        if (diff->n_live > 0) {
                join_keys(diff->live, diff->n_live, keys, sizeof keys);
                log_event(LOG_NOTICE, EVENT_CONFIG_RELOADED, LOG_FIELDS(LOG_TEXT("KEYS", &keys[0])),
                          "Configuration reloaded; applied: %s", keys);
        } else
                log_event(LOG_NOTICE, EVENT_CONFIG_RELOADED, LOG_FIELDS(LOG_TEXT("KEYS", "none")),
                          "Configuration reloaded; nothing to apply");
        if (diff->n_restart > 0) {
                join_keys(diff->restart, diff->n_restart, keys, sizeof keys);
                log_event(LOG_WARNING, EVENT_CONFIG_NEEDS_RESTART, LOG_FIELDS(LOG_TEXT("KEYS", &keys[0])),
                          "These settings have changed but need a restart (no user will notice it): %s", keys);
        }
}

int manager_reload(Manager *m)
{
        notify_reloading();
        Config *fresh = NULL;
        _cleanup_free_ char *error = NULL;
        int k = config_load(m->options, &fresh, &error);
        if (k == -ENOMEM)
                return k;
        if (k < 0)
                log_event(LOG_ERR, EVENT_CONFIG_REFUSED, NULL,
                          "The configuration is not reloaded, the one in use stays: %s", error ?: strerror(-k));
        else {
                /* The server's own password is in no file of the configuration. */
                if (!fresh->admin_password && m->config->admin_password) {
                        if (!m->own_password)
                                log_warning("admin_password is no longer set: the one in use stays until a restart, which "
                                            "makes one and keeps it in %s/admin-password",
                                            m->config->data_dir);
                        fresh->admin_password = strdup(m->config->admin_password);
                        if (!fresh->admin_password)
                                return config_free(fresh), -ENOMEM;
                }
                else
                        m->own_password = false;
                ConfigDiff diff;
                config_diff(m->config, fresh, &diff);
                config_apply_live(m->config, fresh);
                config_free(fresh);
                k = apply(m);
                if (k < 0)
                        return k;
                report_reload(&diff);
        }
        notify_reloaded();
        return 0;
}
