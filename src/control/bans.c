/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/bans.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "control/state-file.h"

/* An address and its keys take less than 200. */
#define FILE_MAX (BANS_MAX * 256u)

static void take_out(Bans *b, size_t i)
{
        b->n--;
        memmove(b->bans + i, b->bans + i + 1, (b->n - i) * sizeof(*b->bans));
}

static size_t first_to_end(const Bans *b)
{
        size_t first = 0;

        for (size_t i = 1; i < b->n; i++)
                if (b->bans[i].until_usec < b->bans[first].until_usec)
                        first = i;
        return first;
}

int bans_set(Bans *b, const char *address, uint64_t until_usec)
{
        Ban *bans;

        for (size_t i = 0; i < b->n; i++)
                if (strcmp(b->bans[i].address, address) == 0) {
                        take_out(b, i);
                        break;
                }
        if (until_usec == 0)
                return 0;
        if (b->n == BANS_MAX)
                take_out(b, first_to_end(b));
        bans = reallocarray(b->bans, b->n + 1, sizeof(*bans));
        if (!bans)
                return -ENOMEM;
        b->bans = bans;
        snprintf(bans[b->n].address, sizeof(bans[b->n].address), "%s", address);
        bans[b->n++].until_usec = until_usec;
        return 0;
}

void bans_read(Bans *ret, const char *data_dir, uint64_t now_usec)
{
        _cleanup_free_ char *text = state_file_read(data_dir, BANS_NAME, FILE_MAX);
        json_object *o = text ? json_tokener_parse(text) : NULL, *list = json_object_object_get(o, "bans");
        size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

        *ret = (Bans){0};
        for (size_t i = 0; i < n; i++) {
                json_object *ban = json_object_array_get_idx(list, i), *address = json_object_object_get(ban, "address");
                uint64_t until = json_object_get_uint64(json_object_object_get(ban, "until_usec"));

                if (until > now_usec && json_object_is_type(address, json_type_string))
                        (void)bans_set(ret, json_object_get_string(address), until);
        }
        json_object_put(o);
}

void bans_done(Bans *b)
{
        free(b->bans);
        *b = (Bans){0};
}

int bans_write(const Bans *b, const char *data_dir, uint64_t now_usec)
{
        json_object *o = json_object_new_object(), *list = json_object_new_array();
        const char *text;
        int r;

        json_object_object_add(o, "bans", list);
        for (size_t i = 0; i < b->n; i++) {
                json_object *ban = json_object_new_object();

                if (b->bans[i].until_usec <= now_usec) {
                        json_object_put(ban);
                        continue;
                }
                json_object_object_add(ban, "address", json_object_new_string(b->bans[i].address));
                json_object_object_add(ban, "until_usec", json_object_new_uint64(b->bans[i].until_usec));
                json_object_array_add(list, ban);
        }
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY);
        r = text ? state_file_write(data_dir, BANS_NAME, text, strlen(text)) : -ENOMEM;
        json_object_put(o);
        return r;
}
