/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/restarts.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "control/state-file.h"

#define SIZE_MAX_READ 4096

static void read_times(Restarts *r, json_object *times)
{
        size_t n = json_object_is_type(times, json_type_array) ? json_object_array_length(times) : 0;

        for (size_t i = n > RESTARTS_KEPT ? n - RESTARTS_KEPT : 0; i < n; i++)
                r->times[r->n_times++] = json_object_get_uint64(json_object_array_get_idx(times, i));
}

void restarts_read(Restarts *ret, const char *data_dir)
{
        _cleanup_free_ char *text = state_file_read(data_dir, RESTARTS_NAME, SIZE_MAX_READ - 1);
        json_object *o = text ? json_tokener_parse(text) : NULL;

        *ret = (Restarts){0};
        ret->n_survived = json_object_get_uint64(json_object_object_get(o, "survived"));
        ret->last_usec = json_object_get_uint64(json_object_object_get(o, "timestamp_usec"));
        read_times(ret, json_object_object_get(o, "times_usec"));
        json_object_put(o);
}

static void add_restart(Restarts *r, uint64_t now_usec)
{
        r->n_survived++;
        r->last_usec = now_usec;
        if (r->n_times == RESTARTS_KEPT)
                memmove(r->times, r->times + 1, --r->n_times * sizeof(r->times[0]));
        r->times[r->n_times++] = now_usec;
}

/* The size; at most SIZE_MAX_READ - 1. */
static size_t format(const Restarts *r, char text[static SIZE_MAX_READ])
{
        size_t n = (size_t)snprintf(text, SIZE_MAX_READ, "{ \"survived\": %" PRIu64 ", \"timestamp_usec\": %" PRIu64
                                                         ", \"times_usec\": [",
                                    r->n_survived, r->last_usec);

        for (size_t i = 0; i < r->n_times; i++)
                n += (size_t)snprintf(text + n, SIZE_MAX_READ - n, "%s%" PRIu64, i > 0 ? ", " : " ", r->times[i]);
        return n + (size_t)snprintf(text + n, SIZE_MAX_READ - n, " ] }\n");
}
_Static_assert(RESTARTS_KEPT * 22 + 128 < SIZE_MAX_READ, "what is written can be read again");

int restarts_note(Restarts *ret, const char *data_dir, bool running, uint64_t now_usec)
{
        char text[SIZE_MAX_READ];

        restarts_read(ret, data_dir);
        if (!running && ret->n_survived == 0)
                return 0;
        if (running)
                add_restart(ret, now_usec);
        else
                *ret = (Restarts){0};
        return state_file_write(data_dir, RESTARTS_NAME, text, format(ret, text));
}
