/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/progress.h"

#include "ctl/format.h"

#define WIDTH 30u
#define INTERVAL_USEC 100000u

Progress progress_begin(const Ctl *ctl, const char *what, uint64_t total)
{
        return (Progress){.what = what, .total = total, .shown = ctl->progress};
}

void progress_update(Progress *p, uint64_t done)
{
        uint64_t now = p->shown ? ctl_now_usec() : 0;
        char size[FORMAT_SIZE_MAX], bar[WIDTH + 1];
        double part = p->total > 0 ? (double)done / (double)p->total : 0;

        if (!p->shown || now - p->drawn_usec < INTERVAL_USEC)
                return;
        p->drawn_usec = now;
        for (size_t i = 0; i < WIDTH; i++)
                bar[i] = i < (size_t)(part * WIDTH) ? '#' : '.';
        bar[WIDTH] = '\0';
        format_size(size, sizeof(size), done);
        if (p->total > 0)
                fprintf(stderr, "\r%s [%s] %3.0f %%  %s\033[K", p->what, bar, MIN(part, 1.0) * 100, size);
        else
                fprintf(stderr, "\r%s %s\033[K", p->what, size);
}

void progress_end(Progress *p)
{
        if (p->shown && p->drawn_usec > 0)
                fputs("\r\033[K", stderr);
}
