/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The steps of an application, in the order in which deepdiff runs them. Each does all entries of its
 * categories; one whose category is absent does nothing. Return values as in run.h. */

#include "delta/run.h"

int step_values_changed(DeltaRun *run);
int step_set_items_added(DeltaRun *run);
int step_set_items_removed(DeltaRun *run);
int step_type_changes(DeltaRun *run);
int step_opcodes(DeltaRun *run);
int step_iterable_items_removed(DeltaRun *run); /* and moved: taken out */
int step_iterable_items_added(DeltaRun *run);   /* and moved: put back */
int step_items_at_indexes(DeltaRun *run);
int step_dict_items_added(DeltaRun *run);
int step_dict_items_removed(DeltaRun *run);
int step_attributes_added(DeltaRun *run);
int step_attributes_removed(DeltaRun *run);
