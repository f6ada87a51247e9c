/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rate-limit.h"
#include "daemon/event-id.h"
#include "daemon/report.h"

/* Lines about one address: so many at once, then so many again each minute. */
#define REFUSALS_BURST 10
#define REFUSALS_INTERVAL (60 * USEC_PER_SEC)
#define ADDRESSES_MAX 1024

struct Report {
        RateLimitTable *refusals;
};

typedef struct EventName {
        const char *id;
        bool limited; /* anybody on the network can cause it */
} EventName;

static const EventName session_events[_SESSION_EVENT_MAX] = {
        [SESSION_EVENT_NONE] = { NULL, false },
        [SESSION_EVENT_LOGIN] = { EVENT_USER_LOGIN, false },
        [SESSION_EVENT_LOGIN_REFUSED] = { EVENT_LOGIN_REFUSED, true },
        [SESSION_EVENT_LEFT] = { EVENT_USER_LEFT, false },
        [SESSION_EVENT_KICKED] = { EVENT_USER_KICKED, false },
        [SESSION_EVENT_RETURNED] = { EVENT_USER_RETURNED, false },
        [SESSION_EVENT_INIT_STARTED] = { EVENT_INIT_STARTED, false },
        [SESSION_EVENT_INIT_DONE] = { EVENT_SESSION_INITIALIZED, false },
        [SESSION_EVENT_INIT_ROLLED_BACK] = { EVENT_INIT_ABANDONED, false },
        [SESSION_EVENT_JOINED] = { EVENT_USER_JOINED, false },
        [SESSION_EVENT_MALFORMED] = { EVENT_PEER_REFUSED, true },
        [SESSION_EVENT_FORBIDDEN] = { EVENT_PEER_REFUSED, true },
        [SESSION_EVENT_DIVERGED] = { EVENT_UPDATE_REFUSED, true },
        [SESSION_EVENT_BEHIND] = { EVENT_USER_BEHIND, false },
        [SESSION_EVENT_CAUGHT_UP] = { EVENT_USER_CAUGHT_UP, false },
        [SESSION_EVENT_HELD] = { EVENT_USER_HELD_BACK, true },
};

static const int priorities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

Report *report_new(void)
{
        Report *r = calloc(1, sizeof *r);
        if (!r)
                return NULL;
        r->refusals = rate_limit_table_new(REFUSALS_BURST, REFUSALS_INTERVAL, ADDRESSES_MAX);
        if (!r->refusals) {
                free(r);
                return NULL;
        }
        return r;
}

Report *report_free(Report *r)
{
        if (!r)
                return NULL;
        rate_limit_table_free(r->refusals);
        free(r);
        return NULL;
}

static bool admit(Report *r, const char *address)
{
        uint32_t suppressed;
        if (!rate_limit_admit(r->refusals, address, clock_monotonic_usec(), &suppressed))
                return false;
        if (suppressed > 0)
                log_warning("%" PRIu32 " more refusals of %s have not been logged", suppressed, address);
        return true;
}

void report_session(Report *r, const Effect *log)
{
        const EventName *event = &session_events[log->log.event];
        const char *address = log->log.address ?: "";
        if (event->limited && !admit(r, *address ? address : (log->log.user ?: "unknown peer")))
                return;
        const LogField all[] = {
                LOG_TEXT("USER", log->log.user),     LOG_TEXT("ADDRESS", address),
                LOG_TEXT("REASON", log->log.reason), LOG_TEXT("NODE", log->log.node),
                LOG_TEXT("ADMIN", log->log.admin),   LOG_NUMBER("NODES", log->log.n_nodes),
        };
        LogField fields[ELEMENTSOF(all) + 1];
        size_t n = 0;
        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (all[i].value ? all[i].value[0] != 0 : all[i].number != 0)
                        fields[n++] = all[i];
        fields[n] = (LogField){ .name = NULL };
        log_event(priorities[log->log.level], event->id, fields, "%s", log->log.text);
}

void report_bad_peer(Report *r, const char *address, NetBadPeer what)
{
        if (admit(r, address))
                log_event(LOG_WARNING, EVENT_PEER_REFUSED,
                          LOG_FIELDS(LOG_TEXT("ADDRESS", address),
                                     LOG_TEXT("REASON", net_bad_peer_to_string(what))),
                          "Refused %s: %s", address, net_bad_peer_to_string(what));
}

void report_banned(const char *address, uint64_t ban_usec)
{
        log_event(LOG_WARNING, EVENT_PEER_BANNED, LOG_FIELDS(LOG_TEXT("ADDRESS", address)),
                  "Banned %s for %" PRIu64 " seconds after too many failed logins or malformed messages", address,
                  ban_usec / USEC_PER_SEC);
}

void report_problem(StoreLevel level, const char *damaged, const char *text)
{
        int priority = level == STORE_ERROR ? LOG_ERR : level == STORE_WARNING ? LOG_WARNING : LOG_NOTICE;
        if (damaged)
                log_event(priority, EVENT_STORE_DAMAGED, LOG_FIELDS(LOG_TEXT("FILE", damaged)), "%s", text);
        else
                log_event(priority, level == STORE_NOTICE ? NULL : EVENT_STORE_PROBLEM, NULL, "%s", text);
}

void report_degraded(StoreLevel level, const char *reason, bool always)
{
        const char *users = always ? "with sync = \"always\" nobody sees anybody's updates until then" : "users go on";
        if (reason && level == STORE_ERROR)
                log_event(LOG_CRIT, EVENT_STORE_DEGRADED, LOG_FIELDS(LOG_TEXT("REASON", reason)),
                          "The disk refuses to take the session's updates (%s). Everybody stays connected and everything "
                          "is kept in memory and written when the disk allows it; %s. Free some space or mend the disk "
                          "soon",
                          reason, users);
        else if (reason)
                log_event(LOG_WARNING, EVENT_STORE_SLOW, LOG_FIELDS(LOG_TEXT("REASON", reason)),
                          "The disk is slow to take the session's updates (%s). Nothing has failed: everybody stays "
                          "connected, and everything is written in its turn; %s",
                          reason, users);
        else
                log_event(LOG_NOTICE, EVENT_STORE_RECOVERED, NULL, "The disk %s, and has everything that was kept in memory",
                          level == STORE_ERROR ? "takes updates again" : "has caught up");
}

const char *report_journal(const Store *s)
{
        return !s || store_has_everything(s) ? "the journal has every update that anybody was shown" :
                                               "not every update is in the journal, as the disk has not taken them yet";
}
