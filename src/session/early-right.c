/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/session-private.h"

/*
 * Rights for nodes that are not there yet. A client sends nodes and Rights over two connections, so a Right comes before
 * the Node when that waits behind a large one: 64 MiB at 1 Mbit/s take nine minutes. What a user has said last of a node
 * is kept for as long as the user is there and the node is not deleted, and takes effect when that user makes it. When
 * somebody else does, everybody is told whose it is.
 *
 * It is kept in two generations, each of a bounded size, and the older one goes when the younger is full. So whoever
 * names nodes that never come loses only what it has said of others long ago.
 *
 * The same holds for Deletes, as far as it is known that they have overtaken something. A node that comes when it has been
 * deleted is left aside once: when it comes again its author has undone that.
 */

#define GENERATION_MAX 32768u

/* In the map; 0 is none. */
typedef enum Wanted {
        WANTED_NONE,
        WANTED_OWN,
        WANTED_COMMON,
        WANTED_OTHER, /* which cannot be had */
        WANTED_GONE,
} Wanted;

static Wanted wanted_of(const Session *s, const User *u, const Bytes *owner)
{
        return bytes_equal(owner, u->name) ? WANTED_OWN : bytes_equal(owner, s->common) ? WANTED_COMMON : WANTED_OTHER;
}

static int note(Session *s, User *u, const void *uuid, size_t size, Wanted wanted)
{
        U64Map *young = &u->early_rights[0], *old = &u->early_rights[1];
        if (young->n >= GENERATION_MAX) {
                u64_map_done(old);
                *old = *young;
                *young = (U64Map){};
        }
        int r = u64_map_set(young, session_hash(s, uuid, size), wanted);
        return MIN(r, 0);
}

int early_right_note(Session *s, User *u, const void *uuid, size_t size, const Bytes *owner)
{
        return note(s, u, uuid, size, wanted_of(s, u, owner));
}

int early_delete_note(Session *s, User *u, const void *uuid, size_t size)
{
        return note(s, u, uuid, size, WANTED_GONE);
}

static Wanted take(User *u, uint64_t hash)
{
        Wanted wanted = WANTED_NONE;
        for (size_t i = ELEMENTSOF(u->early_rights); i-- > 0;) {
                const uint64_t *there = u64_map_find(&u->early_rights[i], hash);
                if (!there)
                        continue;
                wanted = (Wanted)*there;
                u64_map_remove(&u->early_rights[i], hash);
        }
        return wanted;
}

bool early_delete_take(const Session *s, User *u, const void *uuid, size_t size)
{
        uint64_t hash = session_hash(s, uuid, size);
        for (size_t i = 0; i < ELEMENTSOF(u->early_rights); i++) {
                const uint64_t *there = u64_map_find(&u->early_rights[i], hash);
                if (!there)
                        continue;
                if (*there != WANTED_GONE)
                        return false;
                (void)take(u, hash);
                return true;
        }
        return false;
}

EarlyRight early_right_take(Session *s, const User *author, const void *uuid, size_t size)
{
        uint64_t hash = session_hash(s, uuid, size);
        EarlyRight said = {};
        for (size_t i = 0; i < s->n_users; i++) {
                User *u = s->users[i];
                Wanted wanted = take(u, hash);
                said.by_others = said.by_others || (wanted != WANTED_NONE && wanted != WANTED_GONE && u != author);
                if (u == author && wanted == WANTED_OWN)
                        said.owner = u->name;
                if (u == author && wanted == WANTED_COMMON)
                        said.owner = s->common;
        }
        return said;
}

void early_right_forget(Session *s, User *author, const void *uuid, size_t size)
{
        uint64_t hash = session_hash(s, uuid, size);
        for (size_t i = 0; i < s->n_users; i++)
                if (!author || s->users[i] == author)
                        (void)take(s->users[i], hash);
}
