/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/lag.h"

void lag_note_behind(Lag *lag, uint64_t now)
{
        if (lag->since == 0)
                lag->since = now;
        lag->caught_up = 0;
}

void lag_note_caught_up(Lag *lag, uint64_t now)
{
        if (lag->since != 0 && lag->caught_up == 0)
                lag->caught_up = now;
}

static LagNews lag_end(Lag *lag)
{
        LagNews news = lag->told ? LAG_HAS_CAUGHT_UP : LAG_NO_NEWS;
        *lag = (Lag){};
        return news;
}

LagNews lag_news(Lag *lag, uint64_t now, uint64_t *ret_next)
{
        *ret_next = UINT64_MAX;
        if (lag->since == 0)
                return LAG_NO_NEWS;
        if (lag->caught_up != 0) {
                if (now - lag->caught_up >= LAG_CALM)
                        return lag_end(lag);
                *ret_next = lag->caught_up + LAG_CALM;
                return LAG_NO_NEWS;
        }
        if (lag->told)
                return LAG_NO_NEWS;
        if (now - lag->since >= LAG_BEHIND) {
                lag->told = true;
                return LAG_IS_BEHIND;
        }
        *ret_next = lag->since + LAG_BEHIND;
        return LAG_NO_NEWS;
}
