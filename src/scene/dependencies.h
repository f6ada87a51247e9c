/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A node's dependencies: a pickle of a list of uuids, or of None. Its signature says quickly which uuids it cannot
 * hold, so that the removal of one node need not read the lists of all others.
 */

#include "base/bytes.h"
#include "pickle/scanner.h"

/* The bit that stands for a uuid in a signature. */
uint64_t dependencies_bit(const void *uuid, size_t uuid_size);

/* The same list in the form in which the scene keeps it: uuids stand in it as they are, so that a search for the bytes
 * of one finds every list that holds it. Returns as dependencies_read(). */
int dependencies_normalise(Bytes *pickle, Bytes **ret, uint64_t *ret_signature);

/* Whether the pickle is an empty list as Python or the scene writes it, which most are. */
bool dependencies_are_none(const Bytes *pickle);

/* Reads the pickle. 0; 1 when it is something else than a list of str or None; -ENOMEM. ret_n may be NULL. */
int dependencies_read(Bytes *pickle, size_t *ret_n);

/* Calls func for each uuid, in order. 0, 1 and -ENOMEM as above, or the first value other than 0 from func. */
typedef int (*DependencyFunc)(void *userdata, const void *uuid, size_t uuid_size);
int dependencies_each(Bytes *pickle, DependencyFunc func, void *userdata);

/* Whether a normalised list holds it. */
bool dependencies_have(const Bytes *pickle, const void *uuid, size_t uuid_size);

/* A normalised list without its first entry that is `uuid` (list.remove() of the clients). 0, 1 when it does not hold
 * it or is no list, -ENOMEM. */
int dependencies_without(const Bytes *pickle, const void *uuid, size_t uuid_size, Bytes **ret);
