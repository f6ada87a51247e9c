/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* SHA-256. Usable on any thread. These cannot fail but for memory (a few hundred bytes), which ends the
 * process: a store that cannot hash must not go on. */

#define DIGEST_SIZE 32
#define DIGEST_TEXT_SIZE (2 * DIGEST_SIZE + 1)

typedef struct Digest Digest;

void digest_buffer(const void *data, size_t size, uint8_t ret[static DIGEST_SIZE]);

/* As hexadecimal digits; returns text. */
const char *digest_format(const uint8_t digest[static DIGEST_SIZE], char text[static DIGEST_TEXT_SIZE]);

Digest *digest_new(void);
void digest_update(Digest *d, const void *data, size_t size);
void digest_finish(Digest *d, uint8_t ret[static DIGEST_SIZE]); /* can be used anew afterwards */
Digest *digest_free(Digest *d);
