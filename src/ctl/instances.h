/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The sessions of this machine: the folders in PKGSTATEDIR, but for those that `repair` has left there. */

#include <dirent.h>

#include "ctl/verb.h"

/* As scandir(): the number of names in *ret, or -1 with errno. No folder at all is none. */
int instances_scan(struct dirent ***ret);

/* Where one of them is: a copy of `base` that is about it and has its paths, to be given back with instance_ctl_done(). 0 or
 * -ENOMEM. */
int instance_ctl_init(const Ctl *base, const char *name, Ctl *ret);
void instance_ctl_done(Ctl *one);

/* The control socket of a session: with systemd it is in /run, else in its folder (in_folder: there in any case). The
 * caller's; NULL: out of memory. */
char *instance_socket(const char *name, const char *data_dir, bool in_folder);
