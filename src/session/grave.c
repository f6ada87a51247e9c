/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/reader.h"
#include "pickle/writer.h"
#include "session/session-private.h"

/* Nodes deleted lately: late data must not bring them back, nobody may go on depending on them, and
 * whoever returns is told again. */

const Grave *grave_at(const Session *s, size_t i)
{
        return &s->graves[s->first_grave + i];
}

static Grave *grave_get(const Session *s, const void *uuid, size_t size)
{
        if (s->n_graves == 0)
                return NULL;
        const uint64_t *number = u64_map_find(&s->grave_by_uuid, session_hash(s, uuid, size));
        return number ? &s->graves[s->first_grave + *number - s->n_graves_dropped] : NULL;
}

const Grave *grave_find(const Session *s, const void *uuid, size_t size)
{
        return grave_get(s, uuid, size);
}

static void grave_drop_first(Session *s)
{
        Grave *g = &s->graves[s->first_grave];
        const uint64_t *number = u64_map_find(&s->grave_by_uuid, g->hash);
        if (number && *number == s->n_graves_dropped)
                u64_map_remove(&s->grave_by_uuid, g->hash);
        bytes_unref(g->uuid);
        s->first_grave++;
        s->n_graves_dropped++;
        s->n_graves--;
}

static int grave_reserve(Session *s)
{
        if (s->first_grave + s->n_graves < s->n_graves_allocated)
                return 0;
        if (s->first_grave > s->n_graves_allocated / 2) {
                memmove(s->graves, s->graves + s->first_grave, s->n_graves * sizeof *s->graves);
                s->first_grave = 0;
                return 0;
        }
        size_t n_allocated = s->n_graves_allocated * 2 + 64;
        Grave *graves = reallocarray(s->graves, n_allocated, sizeof *graves);
        if (!graves)
                return -ENOMEM;
        s->graves = graves;
        s->n_graves_allocated = n_allocated;
        return 0;
}

int grave_add(Session *s, Bytes *uuid, uint64_t wall, uint64_t closed)
{
        if (s->n_graves == GRAVES_MAX)
                grave_drop_first(s);
        int r = grave_reserve(s);
        if (r < 0)
                return r;
        uint64_t hash = session_hash(s, uuid->data, uuid->size);
        r = u64_map_set(&s->grave_by_uuid, hash, s->n_graves_dropped + s->n_graves);
        if (r < 0)
                return r;
        s->graves[s->first_grave + s->n_graves++] =
                (Grave){ .uuid = bytes_ref(uuid), .hash = hash, .deleted_wall = wall, .closed = closed };
        return 0;
}

int grave_dig(Session *s, const void *uuid, size_t size, uint64_t closed)
{
        _cleanup_bytes_ Bytes *copy = bytes_new_copy(uuid, size);
        return copy ? grave_add(s, copy, s->now.wall, closed) : -ENOMEM;
}

void grave_remove(Session *s, const void *uuid, size_t size)
{
        if (s->grave_by_uuid.n > 0)
                u64_map_remove(&s->grave_by_uuid, session_hash(s, uuid, size));
}

void grave_keep_closed(Session *s, const void *uuid, size_t size, uint64_t until)
{
        Grave *g = grave_get(s, uuid, size);
        if (g)
                g->closed = MAX(g->closed, until);
}

void grave_expire(Session *s)
{
        uint64_t settled = s->n_graves > 0 ? presence_settled_wall(s) : 0;
        while (s->n_graves > 0 && grave_at(s, 0)->deleted_wall < settled &&
               grave_at(s, 0)->closed < s->now.now)
                grave_drop_first(s);
}

int grave_clean_dependencies(Session *s, Bytes *dependencies, Bytes **ret)
{
        if (s->n_graves == 0)
                return 1;
        _cleanup_value_ Value *list = NULL;
        int r = pickle_read(dependencies, PICKLE_PROFILE_DATA, &pickle_limits_default, &list, NULL);
        if (r < 0)
                return r;
        if (r > 0 || !value_is_list(list))
                return 1;
        uint32_t n = value_list_length(list);
        for (uint32_t i = 0; i < value_list_length(list);) {
                const Value *uuid = value_list_get(list, i);
                if (grave_find(s, value_data(uuid), value_size(uuid)))
                        value_list_remove(list, i, NULL);
                else
                        i++;
        }
        return value_list_length(list) == n ? 1 : pickle_write(list, SIZE_MAX, ret);
}
