/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Report: tells the log what happened in session, network and store, each
 * event under its MESSAGE_ID, and keeps one noisy address from filling it.
 */

#include "net/net.h"
#include "session/effect.h"
#include "store/store.h"

typedef struct Report Report;

Report *report_new(void);
Report *report_free(Report *r);
DEFINE_CLEANUP(Report *, report_free)

void report_session(Report *r, const Effect *log); /* an EFFECT_LOG */
void report_bad_peer(Report *r, const char *address, NetBadPeer what);
void report_banned(const char *address, uint64_t ban_usec);
void report_problem(StoreLevel level, const char *damaged, const char *text); /* as in StoreEvents */
/* reason NULL: well again; always: sync = "always". */
void report_degraded(StoreLevel level, const char *reason, bool always);

/* Whether the journal has everything, to be put into a sentence. */
const char *report_journal(const Store *s);
