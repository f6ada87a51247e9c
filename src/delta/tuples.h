/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Tuples that had to become lists to be edited. */

#include "delta/run.h"

/* Notes that the container of the path's last element was a tuple. */
int tuples_note(DeltaRun *run, const Path *path);

/* The last step: makes what is now at the noted paths tuples again. */
int tuples_restore(DeltaRun *run);

TupleNotes *tuples_free(TupleNotes *notes);
