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

#include "ctl/verb.h"

#define BACKUP_NAME_MAX 32u

typedef struct BackupResult {
        char name[BACKUP_NAME_MAX];
        uint64_t n_files, n_linked;
        uint64_t bytes, copied_bytes;
} BackupResult;

/* A copy beside the session, in its own folder and of the same disk, in which all files that no longer change are hard
 * links: for handing on what must not move meanwhile. *ret_path is the folder of the copy then. As backup_copy(). */
int backup_stage(const char *data_dir, uint64_t now_usec, BackupResult *ret, char **ret_path);

/* Removes it; one that is not there is no error. 0 or -errno. */
int backup_unstage(const char *data_dir);

/* Returns 0; -EAGAIN when a file vanished meanwhile, as the daemon has compacted its log: begin again; or -errno with
 * *ret_path (malloc()ed, may be NULL) as what it is about. */
int backup_copy(const char *data_dir, const char *destination, uint64_t now_usec, BackupResult *ret, char **ret_path);

bool backup_is_name(const char *name);

/* Whether it is a folder of this machine, and not what only rsync(1) can reach: rsync://HOST/..., HOST:PATH, HOST::MODULE. */
bool backup_is_local(const char *destination);

/* Hands a staged copy to rsync, and lets it compare every byte there. What is the same as in the copies before is not sent,
 * and hard-linked there. The counts of `result` are changed to what was sent. CTL_OK or what ctl_fail() returned. */
ExitStatus backup_send(const Ctl *ctl, const char *stage, const char *destination, BackupResult *result);
