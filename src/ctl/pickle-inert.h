/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Pickles of Python objects, made harmless: the old server's snapshots hold
 * instances of its own classes, which the scanner refuses, and rightly so. Here
 * such a pickle is rewritten, opcode by opcode, into one of plain data that
 * says the same:
 *
 *   GLOBAL, STACK_GLOBAL      the tuple (module, name)
 *   REDUCE, NEWOBJ            the tuple (callable, arguments)
 *   BUILD                     the tuple (object, state)
 *
 * Nothing is looked up, called or imported; what comes out is read with the
 * same scanner and the same limits as everything else. Only the globals named by the
 * caller pass. An object that is referred to a second time stands there without
 * its state.
 *
 * Opcodes: PEP 3154 and the protocols before it.
 */

#include "base/bytes.h"

/* What a pickle may remember for later, in this form and when it is read: far more than any session has. */
#define PICKLE_INERT_MEMO_MAX (UINT32_C(1) << 26)

/* Where the rewriting stopped, for messages. */
typedef struct PickleInertFault {
        size_t offset;
        char what[160]; /* "it holds os.system, which ...": a phrase */
} PickleInertFault;

/* `allowed`: "module name" texts, NULL-terminated. Returns 0; 1 with *ret_fault for a pickle that is refused; -ENOMEM. */
int pickle_inert(const void *data, size_t size, const char *const *allowed, Bytes **ret, PickleInertFault *ret_fault);
