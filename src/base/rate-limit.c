/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "base/rate-limit.h"

#define KEY_SIZE 64

typedef struct Entry {
        char key[KEY_SIZE];
        uint64_t begin;     /* of the running interval */
        uint64_t last_used; /* 0: the entry is free */
        uint32_t n_passed;
        uint32_t n_suppressed;
} Entry;

struct RateLimitTable {
        uint32_t burst;
        uint64_t interval;
        uint32_t n_entries;
        Entry entries[];
};

RateLimitTable *rate_limit_table_new(uint32_t burst, uint64_t interval_usec, uint32_t max_keys)
{
        RateLimitTable *t;

        assert(burst > 0 && max_keys > 0);
        t = calloc(1, sizeof(*t) + (size_t)max_keys * sizeof(Entry));
        if (!t)
                return NULL;
        t->burst = burst;
        t->interval = interval_usec;
        t->n_entries = max_keys;
        return t;
}

RateLimitTable *rate_limit_table_free(RateLimitTable *t)
{
        free(t);
        return NULL;
}

/* The entry of the key, or the one to give to it. Linear: tables are small and lines of log dear. */
static Entry *find_entry(RateLimitTable *t, const char *key)
{
        Entry *oldest = &t->entries[0];

        for (uint32_t i = 0; i < t->n_entries; i++) {
                Entry *e = &t->entries[i];
                if (e->last_used > 0 && strncmp(e->key, key, KEY_SIZE - 1) == 0)
                        return e;
                if (e->last_used < oldest->last_used)
                        oldest = e;
        }
        *oldest = (Entry){};
        memcpy(oldest->key, key, strnlen(key, KEY_SIZE - 1));
        return oldest;
}

bool rate_limit_admit(RateLimitTable *t, const char *key, uint64_t now_usec, uint32_t *ret_suppressed)
{
        Entry *e = find_entry(t, key);

        if (e->last_used == 0 || now_usec - e->begin >= t->interval) {
                e->begin = now_usec;
                e->n_passed = 0;
        }
        e->last_used = MAX(now_usec, (uint64_t)1);
        if (e->n_passed >= t->burst) {
                e->n_suppressed++;
                return false;
        }
        e->n_passed++;
        if (ret_suppressed)
                *ret_suppressed = e->n_suppressed;
        e->n_suppressed = 0;
        return true;
}
