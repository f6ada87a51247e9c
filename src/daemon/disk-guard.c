/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/disk-guard.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "daemon/event-id.h"

/* Parts of what is free: after so much has come in the disk is looked at again, and one who has sent more than so much
 * can be to blame. Whoever comes back and goes on is let go again after a part of the rest. */
#define LOOK_PART 16u
#define BLAME_PART 8u

/* So long it takes one user at least to use up what is left above min_free_space, if nothing changed on the way. */
#define FILL_SECONDS 20u
/* Dozens of times what somebody who edits sends a second, and days of it in the smallest reserve. */
#define RATE_MIN (64u << 10)

#define MIB (UINT64_C(1) << 20)

#define REASON "the server's disk is almost full, and most of what fills it came from you"

static int let_go(Manager *m, const SessionHeaviest *heaviest, uint64_t n_free)
{
        log_event(LOG_ERR, EVENT_USER_FILLS_DISK,
                  LOG_FIELDS(LOG_TEXT("USER", heaviest->name), LOG_TEXT("ADDRESS", heaviest->address),
                             LOG_NUMBER("BYTES", heaviest->bytes)),
                  "%s at %s has sent most of what fills the disk (%" PRIu64 " MiB of late, %" PRIu64
                  " MiB are free) and is disconnected; what it has sent is kept. Free space, or lower min_free_space",
                  heaviest->name, heaviest->address, heaviest->bytes / MIB, n_free / MIB);
        RoutingId peer = heaviest->id;
        return session_disconnect(m->session, manager_time(), &peer, REASON, executor_effects(m->executor));
}

static void warn(const Manager *m, uint64_t n_free)
{
        log_event(LOG_WARNING, EVENT_DISK_LOW, LOG_FIELDS(LOG_NUMBER("BYTES", n_free)),
                  "Only %" PRIu64 " MiB are free in %s, less than min_free_space (%" PRIu64
                  " MiB): users who send much are held back. Free space before the disk is full",
                  n_free / MIB, m->config->data_dir, m->config->min_free_space / MIB);
}

/* Bytes a second for one user; 0: any, there is enough. */
static uint64_t rate_for(uint64_t n_free, uint64_t least)
{
        uint64_t above = n_free - MIN(least, n_free);
        return above >= least ? 0 : MAX(above / FILL_SECONDS, (uint64_t)RATE_MIN);
}

static bool is_to_blame(const SessionHeaviest *heaviest, uint64_t n_free)
{
        return heaviest->bytes >= heaviest->others && heaviest->bytes >= MAX(n_free / BLAME_PART, MIB);
}

int disk_guard_check(Manager *m, bool now)
{
        uint64_t received = session_bytes_received(m->session), least = m->config->min_free_space;
        if (least == 0)
                m->guard.rate = 0;
        if (least == 0 || (!now && received - m->guard.received < m->guard.next_look))
                return 0;
        m->guard.received = received;
        struct statvfs fs;
        if (statvfs(m->config->data_dir, &fs) < 0)
                return 0; /* what is wrong with the folder is seen when it is written to */
        uint64_t n_free = (uint64_t)fs.f_bavail * fs.f_frsize;
        m->guard.next_look = MAX(n_free > least ? n_free - least : n_free, MIB) / LOOK_PART;
        m->guard.rate = rate_for(n_free, least);
        session_set_disk(m->session, m->disk_busy, m->guard.rate);
        if (n_free < least && !m->guard.is_low)
                warn(m, n_free);
        m->guard.is_low = n_free < least;
        SessionHeaviest heaviest;
        if (n_free >= least / 2 || !session_heaviest(m->session, manager_time(), &heaviest) ||
            !is_to_blame(&heaviest, n_free))
                return 0;
        /* What somebody has sent who is gone when it has been checked would be lost. */
        if (intake_has(m->intake, &heaviest.id))
                return 0;
        return let_go(m, &heaviest, n_free);
}
