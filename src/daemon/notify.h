/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the daemon tells systemd about itself. Everything here does nothing, successfully, when there is no service
 * manager to tell. Failures are not reported: nobody could act on them. */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* How much of a text fits into so many bytes without a part of a character at its end, for which systemd would take none
 * of it. A status that is longer than 255 bytes is cut so. */
size_t notify_fit(const char *text, size_t size);

void notify_ready(const char *status);
void notify_status(const char *status); /* sent only when it differs from the last */

/* Around a reload: with a service of Type=notify the manager shows "reloading" in between. */
void notify_reloading(void);
void notify_reloaded(void);

void notify_stopping(const char *status);

/* Asks for `usec` more from now before start or stop counts as hung; call again, before it is over, while a long
 * load or save makes progress. */
void notify_extend_timeout(uint64_t usec);

/* Microseconds after which the manager kills a daemon that did not call notify_watchdog(); 0: no watchdog. Feed it at
 * half of that, and only while the event loop and the disk thread make progress. */
uint64_t notify_watchdog_interval(void);
void notify_watchdog(void);
