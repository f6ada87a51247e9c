/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The list of losses, while it is being made. */

#include "ctl/salvage.h"

/* NULL: the node is as it was. */
SalvageLoss *salvage_find(const SalvageReport *r, const void *uuid, size_t size);

/* Finds or makes an entry. NULL when memory is short. */
SalvageLoss *salvage_note(SalvageReport *r, const void *uuid, size_t size);

/* The node is whole again, or deleted. */
void salvage_forget(SalvageReport *r, const void *uuid, size_t size);

/* The state is known anew. */
void salvage_forget_all(SalvageReport *r);

int salvage_note_snapshot(SalvageReport *r, const char *name);
