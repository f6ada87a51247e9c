/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "daemon/turns.h"

#include "base/clock.h"
#include "base/macros.h"

#define WINDOW_USEC (10u * USEC_PER_SEC)

void turns_add(Turns *t, uint64_t now, uint64_t usec)
{
        uint64_t window = now / WINDOW_USEC;

        histogram_add(&t->seconds, usec);
        if (window != t->window) {
                t->longest[1] = window == t->window + 1 ? t->longest[0] : 0;
                t->longest[0] = 0;
                t->window = window;
        }
        t->longest[0] = MAX(t->longest[0], usec);
}

uint64_t turns_longest(const Turns *t, uint64_t now)
{
        uint64_t window = now / WINDOW_USEC;

        if (window == t->window)
                return MAX(t->longest[0], t->longest[1]);
        return window == t->window + 1 ? t->longest[0] : 0;
}

int turns_run(Turns *t, sd_event *event)
{
        int code, k;

        while (sd_event_get_state(event) != SD_EVENT_FINISHED) {
                uint64_t now = clock_monotonic_usec(), prepared;

                k = sd_event_prepare(event);
                prepared = clock_monotonic_usec() - now;
                if (k == 0)
                        k = sd_event_wait(event, UINT64_MAX);
                if (k < 0)
                        return k;
                if (k == 0)
                        continue;
                now = clock_monotonic_usec();
                k = sd_event_dispatch(event);
                if (k < 0)
                        return k;
                uint64_t end = clock_monotonic_usec();
                turns_add(t, end, prepared + end - now);
        }
        k = sd_event_get_exit_code(event, &code);
        return k < 0 ? k : code;
}
