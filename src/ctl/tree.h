/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Whole folders. Nothing follows symbolic links. */

#include <stdint.h>
#include <sys/types.h>

/* All that is in the folder, and itself. 0, also when it is not there; -errno. */
int tree_remove(const char *path);

/* Changes the owner of the folder and of all that is in it. 0 or -errno. */
int tree_give(const char *path, uid_t user, gid_t group);

/* That of a new file which its user has asked for, where it was made under another name and closed to others. */
mode_t file_mode(void);

/* Copies up to `size` bytes between open files. *copied grows by what was there. 0 or -errno. */
int file_copy(int in, int out, uint64_t size, uint64_t *copied);
