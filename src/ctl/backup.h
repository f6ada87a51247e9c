/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Copies of a session's folder that stand side by side, each of them whole:
 *
 *   DEST/20261123T141500Z/log/...  snapshots/...  session_metadata.json ...
 *
 * A file that is the same as in the copy before (size and time of change) is a hard link to it, so that a copy costs
 * what is new. A copy has a name that ends in ".partial" until it is complete and durable.
 */

#include <stdint.h>

#include "base/macros.h"

#define BACKUP_NAME_MAX 32u

typedef struct BackupResult {
        char name[BACKUP_NAME_MAX];
        uint64_t n_files, n_linked;
        uint64_t bytes, copied_bytes;
} BackupResult;

/* Returns 0; -EAGAIN when a file vanished meanwhile, as the daemon has compacted its log: begin again; or -errno with
 * *ret_path (malloc()ed, may be NULL) as what it is about. */
int backup_copy(const char *data_dir, const char *destination, uint64_t now_usec, BackupResult *ret, char **ret_path);
