/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim-private.h"
#include "test.h"

void sim_check_log(const Effect *e)
{
        static const struct {
                bool user, address, reason, node, admin, nodes;
        } wanted[_SESSION_EVENT_MAX] = {
                [SESSION_EVENT_LOGIN] = { .user = true, .address = true },
                [SESSION_EVENT_LOGIN_REFUSED] = { .user = true, .address = true, .reason = true },
                [SESSION_EVENT_LEFT] = { .user = true, .reason = true },
                [SESSION_EVENT_KICKED] = { .user = true, .admin = true },
                [SESSION_EVENT_RETURNED] = { .user = true },
                [SESSION_EVENT_INIT_STARTED] = { .user = true, .nodes = true },
                [SESSION_EVENT_INIT_DONE] = { .user = true, .nodes = true },
                [SESSION_EVENT_INIT_ROLLED_BACK] = { .user = true, .reason = true },
                [SESSION_EVENT_JOINED] = { .user = true },
                [SESSION_EVENT_MALFORMED] = { .address = true, .reason = true },
                [SESSION_EVENT_FORBIDDEN] = { .user = true, .address = true, .reason = true },
                [SESSION_EVENT_DIVERGED] = { .user = true, .reason = true, .node = true },
                [SESSION_EVENT_BEHIND] = { .user = true },
                [SESSION_EVENT_CAUGHT_UP] = { .user = true },
        };
        SessionEvent event = e->log.event;
        assert_true(!wanted[event].user || e->log.user);
        assert_true(!wanted[event].address || e->log.address);
        assert_true(!wanted[event].reason || e->log.reason);
        assert_true(!wanted[event].node || e->log.node);
        assert_true(!wanted[event].admin || e->log.admin);
        assert_true(!wanted[event].nodes || e->log.n_nodes > 0);
}
