/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/verb.h"

const Verb verbs[] = {
        {"check", "HOST [PORT]", 1, 2, OPT_BIT(OPT_TIMEOUT), "Ask a server as a client would: are its three ports reachable",
         verb_check},
};
const size_t n_verbs = ELEMENTSOF(verbs);
