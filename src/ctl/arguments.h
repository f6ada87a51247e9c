/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The command line of scenekeepctl: options may stand before and behind the verb, every verb takes its own set. */

#include "ctl/verb.h"

/* Fills a zeroed Ctl; its strings lead into argv. Returns 0 when ctl->verb shall be run; 1 when everything has been
 * said (--help, --version); -EINVAL after a complaint on stderr; -ENOMEM. */
int arguments_parse(Ctl *ctl, int argc, char **argv);

void arguments_done(Ctl *ctl);
