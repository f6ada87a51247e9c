/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "ctl/verb.h"

/* Reads and compares all that is in ctl->data_dir, and prints nothing but what goes wrong. */
ExitStatus verify_everything(const Ctl *ctl, uint64_t *ret_damaged);
