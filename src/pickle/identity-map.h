/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Objects by identity, each with a number; for walks over graphs in which objects are shared. */

#include <stdint.h>

#include "base/macros.h"

typedef struct IdentityEntry {
        const void *object;
        uint64_t number;
} IdentityEntry;

typedef struct IdentityMap {
        IdentityEntry *entries;
        size_t mask;
        size_t n;
} IdentityMap;

/* An all-zero map is empty and owns nothing. */
void identity_map_clear(IdentityMap *m);
#define _cleanup_identity_map_ _cleanup_(identity_map_clear)

/* The entry of an object, or NULL. Valid until the next identity_map_put(). */
IdentityEntry *identity_map_find(const IdentityMap *m, const void *object);

/* Returns 0 when the object was added with this number, 1 when it was there already (its number stays), or
 * -ENOMEM. ret_entry may be NULL. */
int identity_map_put(IdentityMap *m, const void *object, uint64_t number, IdentityEntry **ret_entry);
