/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "daemon/notify.h"

static char last_status[256];

size_t notify_fit(const char *text, size_t size)
{
        size_t n = strnlen(text, size);

        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
                n--;
        return n;
}

/* A status is one line; whatever a text holds beyond that is cut off. */
static void remember_status(const char *status)
{
        size_t fit = notify_fit(status, sizeof(last_status) - 1), line = strcspn(status, "\n");

        snprintf(last_status, sizeof(last_status), "%.*s", (int)MIN(fit, line), status);
}

void notify_ready(const char *status)
{
        remember_status(status);
        sd_notifyf(0, "READY=1\nSTATUS=%s", last_status);
}

void notify_status(const char *status)
{
        if (strcmp(last_status, status) == 0)
                return;
        remember_status(status);
        sd_notifyf(0, "STATUS=%s", last_status);
}

void notify_reloading(void)
{
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_usec());
}

void notify_reloaded(void)
{
        sd_notify(0, "READY=1");
}

void notify_stopping(const char *status)
{
        remember_status(status);
        sd_notifyf(0, "STOPPING=1\nSTATUS=%s", last_status);
}

void notify_extend_timeout(uint64_t usec)
{
        sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, usec);
}

uint64_t notify_watchdog_interval(void)
{
        uint64_t usec = 0;

        return sd_watchdog_enabled(0, &usec) > 0 ? usec : 0;
}

void notify_watchdog(void)
{
        sd_notify(0, "WATCHDOG=1");
}
