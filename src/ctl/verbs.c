/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/verb.h"

const Verb verbs[] = {
        {"check", "HOST [PORT]", 1, 2, OPT_BIT(OPT_TIMEOUT), "Ask a server as a client would: are its three ports reachable",
         verb_check},
        {"snapshots", "", 0, 0, 0, "List the snapshots, newest first", verb_snapshots},
        {"show", "[SOURCE [NODE]]", 0, 2, OPT_BIT(OPT_TREE), "Show what is in a snapshot, a file, at a time, or now", verb_show},
        {"export", "FILE.db", 1, 1, OPT_BIT(OPT_AT), "Write the session as a file that the add-on opens", verb_export},
};
const size_t n_verbs = ELEMENTSOF(verbs);
