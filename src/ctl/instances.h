/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The sessions of this machine: the folders in PKGSTATEDIR, but for those that `repair` has left there. */

#include <dirent.h>

/* As scandir(): the number of names in *ret, or -1 with errno. No folder at all is none. */
int instances_scan(struct dirent ***ret);
