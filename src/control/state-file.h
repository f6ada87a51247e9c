/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A small text file beside the store that is read whole and replaced whole. The disk is not waited for: whoever reads it
 * has the old or the new one, and after a power cut perhaps the old. */

#include <stddef.h>

/* The text, NUL-terminated, to be freed; NULL: there is no such file, it cannot be read, or it is larger than `max`. */
char *state_file_read(const char *data_dir, const char *name, size_t max);

/* 0 or -errno. */
int state_file_write(const char *data_dir, const char *name, const char *text, size_t size);
