/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Pin: a file beside a snapshot whose presence says to keep it, so that
 * pinning never touches a manifest and survives a copy of the folder. It is
 * empty, or gives the snapshot a name, see scenekeep-store(5).
 */

#include "store/snapshot.h"

typedef struct Pin {
        bool pinned;
        char name[STORE_PIN_NAME_MAX]; /* "": none */
} Pin;

/* Writes or removes the pin of this snapshot and waits for the disk. Returns 0 or a negative errno. */
int pin_write(Store *s, const char *snapshot, const Pin *pin);

/* What the file of this name says. A name that is damaged is reported and left out; the snapshot stays pinned. */
Pin pin_read(Store *s, const char *file);
