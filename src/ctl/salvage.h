/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Salvage: what is intact in a damaged store, written into a new one: its snapshots with the times they had, and the
 * journal between them. Nothing is taken over whose digest does not hold. The journal is replayed alongside, so that
 * where a snapshot's payload is damaged, the newest intact version before it is at hand; and changes that build on
 * what is missing are left out, so that whoever loads the new store gets this same state.
 */

#include "ctl/node-label.h"
#include "session/session.h"
#include "store/store.h"

/* A node that is not as it was. */
typedef struct SalvageLoss {
        char *uuid;
        NodeLabel label;
        bool lost;          /* no version of it is left; otherwise an older one is in its place */
        bool broken;        /* while salvaging: deltas are left out until the node comes whole again */
        uint64_t time_usec; /* when the version in its place was made; 0: not known */
        uint64_t n_changes; /* later ones that are left out */
} SalvageLoss;

typedef struct SalvageReport {
        SalvageLoss *losses; /* of the session as it is at the end; by uuid */
        size_t n_losses, n_allocated;
        char **lost_snapshots; /* names of those whose manifests are damaged */
        size_t n_lost_snapshots;
        uint64_t n_snapshots, n_touched; /* taken over; of them, with nodes that are older or missing */
        uint64_t n_records;              /* taken over from the journal */
        uint64_t n_records_lost;         /* missing or damaged */
        uint64_t n_records_dropped;      /* intact, but built on what is missing */
        uint64_t lost_since_usec, lost_until_usec; /* when the lost records were written, as far as known */
        uint64_t n_nodes, n_bytes;       /* of the session at the end */
} SalvageReport;

void salvage_report_done(SalvageReport *r);

/* Whether anything is missing or older than it was. */
bool salvage_report_has_loss(const SalvageReport *r);

/* Reads `from` and makes a store in the empty folder `to`. *ret_session is the session as the new store has it; it may
 * lead into `from`. 0; -ENODATA: nothing is left; -errno with *ret_error (malloc()ed, may stay NULL). */
int salvage(Store *from, const char *to, SalvageReport *ret, Session **ret_session, char **ret_error);
