/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The admin password that the server makes for itself when none is configured: nobody should be able to take
 * over a session because a line in a file was left empty. */

#include "base/secret.h"

/* Reads `admin-password` in the data folder, or makes one (20 characters without look-alikes, 98 bits) and keeps
 * it there with mode 0600, durably. Returns 0 when it was there, 1 when it was made and should be printed once,
 * -errno otherwise (-EPERM: the file can be read by others and is refused). */
int admin_password_load_or_make(int data_dir_fd, char **ret_password);

/* Keeps one there: what loading finds from now on. */
int admin_password_keep(int data_dir_fd, const char *password);
