/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The standing of addresses: how many connections each has, how it misbehaved
 * lately, and whether it is banned. Penalties fade evenly, at `limit` per
 * `ban_usec`; when they add up to `limit` the address is banned for `ban_usec`.
 *
 * Bounded: when the table is full, the address without connections that has
 * been quiet longest is forgotten, those that are not banned first among the
 * oldest few. Time is given by the caller and must not run backwards.
 */

#include "net/address.h"

typedef struct AddressTable AddressTable;

typedef struct AddressPolicy {
        unsigned limit;       /* weight that bans; 0: never ban */
        uint64_t ban_usec;
        unsigned max_connections; /* per address */
        const char *const *allow; /* NULL-terminated or NULL: neither banned nor limited */
} AddressPolicy;

/* Room for max_entries addresses beside those that have connections. */
AddressTable *address_table_new(size_t max_entries);
AddressTable *address_table_free(AddressTable *t); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(AddressTable *, address_table_free)

/* Returns 0, -EINVAL for an unreadable entry of `allow`, -ENOMEM; upon failure nothing is changed. */
int address_table_set_policy(AddressTable *t, const AddressPolicy *policy);

bool address_table_is_allowed(const AddressTable *t, const Address *a);

/* Counts a connection. Returns 0; 1 when the address has too many, and then nothing is counted; -ENOMEM. */
int address_table_connect(AddressTable *t, const Address *a, uint64_t now);
void address_table_disconnect(AddressTable *t, const Address *a, uint64_t now);

/* Returns 1 when this made it a ban, 0 otherwise, -ENOMEM. */
int address_table_penalise(AddressTable *t, const Address *a, unsigned weight, uint64_t now);

/* Bans until then at least, whatever was counted. Returns 0; 1: it is never banned; -ENOMEM. */
int address_table_ban(AddressTable *t, const Address *a, uint64_t now, uint64_t until);

/* Whether the address is banned now; *ret_until may be NULL and is untouched when it is not. */
bool address_table_is_banned(const AddressTable *t, const Address *a, uint64_t now, uint64_t *ret_until);

/* Forgets ban and penalties; 1 when there was nothing to forget. */
int address_table_forgive(AddressTable *t, const Address *a);

size_t address_table_count_banned(const AddressTable *t, uint64_t now);
