/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/history.h"

#include <errno.h>
#include <string.h>

#include "session/record.h"
#include "store/load.h"

static bool is_change(const StoreRecordView *v)
{
        return v->kind == RECORD_NODE || v->kind == RECORD_COMMIT || v->kind == RECORD_DELETE;
}

int history_span(Store *store, uint64_t *first_usec, uint64_t *last_usec)
{
        _cleanup_store_reader_ StoreReader *reader = NULL;
        uint64_t first = UINT64_MAX, last = 0;
        StoreRecordView v;
        int r = store_reader_new(store, 0, 0, NULL, 0, &reader);

        while (r >= 0 && (r = store_reader_next(reader, &v)) > 0) {
                if (r == STORE_LOAD_GAP || v.time_usec < *first_usec || v.time_usec > *last_usec)
                        continue;
                first = MIN(first, v.time_usec);
                last = MAX(last, v.time_usec);
        }
        if (r == 0 && last > 0) {
                *first_usec = first;
                *last_usec = last;
        }
        return r;
}

static HistoryUser *find_user(History *h, const StoreRecordView *v)
{
        HistoryUser *u;

        for (size_t i = 0; i < h->n_users; i++) {
                u = &h->users[i];
                if (!u->name || (strlen(u->name) == v->author_size && memcmp(u->name, v->author, v->author_size) == 0))
                        return u;
        }
        u = &h->users[h->n_users];
        if (h->n_users < HISTORY_USERS_MAX) {
                u->name = strndup(v->author_size > 0 ? (const char *)v->author : "", v->author_size);
                if (!u->name)
                        return NULL;
        }
        h->n_users++;
        return u;
}

static void count(const History *h, HistoryUser *u, const StoreRecordView *v)
{
        uint64_t span = h->last_usec - h->first_usec + 1, at = v->time_usec - h->first_usec;

        if (u->first_usec == 0)
                u->first_usec = v->time_usec;
        u->last_usec = v->time_usec;
        if (v->flags & STORE_RECORD_REFUSED) {
                u->n_refused++;
                return;
        }
        u->n_changes++;
        u->bytes += v->blob.size;
        u->bins[MIN((uint64_t)((double)at / (double)span * HISTORY_BINS), (uint64_t)HISTORY_BINS - 1)]++;
}

int history_read(Store *store, uint64_t first_usec, uint64_t last_usec, History *ret)
{
        _cleanup_store_reader_ StoreReader *reader = NULL;
        History h = {.first_usec = first_usec, .last_usec = last_usec};
        StoreRecordView v;
        int r = store_reader_new(store, 0, 0, NULL, 0, &reader);

        while (r >= 0 && (r = store_reader_next(reader, &v)) > 0) {
                HistoryUser *u;

                if (r == STORE_LOAD_GAP) {
                        h.n_gaps++;
                        continue;
                }
                if (!is_change(&v) || v.time_usec < first_usec || v.time_usec > last_usec)
                        continue;
                u = find_user(&h, &v);
                if (u)
                        count(&h, u, &v);
                else
                        r = -ENOMEM;
        }
        if (r < 0) {
                history_done(&h);
                return r;
        }
        *ret = h;
        return 0;
}

void history_done(History *h)
{
        for (size_t i = 0; i < h->n_users; i++)
                free(h->users[i].name);
        h->n_users = 0;
}
