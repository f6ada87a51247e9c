/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/verb.h"

const Verb verbs[] = {
        /* watching */
        {"status", "", 0, 0, OPT_BIT(OPT_WATCH), "Show how the session is doing", verb_status},
        {"list", "", 0, 0, 0, "Show all sessions of this machine", verb_list},
        {"users", "", 0, 0, 0, "Show who is in the session", verb_users},
        {"metrics", "", 0, 0, OPT_BIT(OPT_ALL) | OPT_BIT(OPT_HTTP), "Print figures for Prometheus", verb_metrics},
        {"check", "HOST [PORT]", 1, 2, OPT_BIT(OPT_TIMEOUT), "See whether a server can be reached from here",
         verb_check},
        {"doctor", "", 0, 0, 0, "Look for what is wrong here, and say what mends it", verb_doctor},
        /* managing */
        {"kick", "USER", 1, 1, OPT_BIT(OPT_REASON), "Put somebody out of the session", verb_kick},
        {"ban", "USER|ADDRESS", 1, 1, 0, "Shut an address out for a while", verb_ban},
        {"unban", "ADDRESS", 1, 1, 0, "Let an address come back", verb_unban},
        {"lock", "NODE USER", 2, 2, 0, "Lock a node for somebody", verb_lock},
        {"unlock", "NODE", 1, 1, 0, "Let everybody edit a node", verb_unlock},
        {"create", "NAME", 1, 1, OPT_BIT(OPT_PORT) | OPT_BIT(OPT_ROOT), "Make a further session with a name and ports",
         verb_create},
        {"remove", "NAME", 1, 1, OPT_BIT(OPT_PURGE_DATA) | OPT_BIT(OPT_ROOT), "Stop serving it for good; its data stays",
         verb_remove},
        /* talking */
        {"chat", "", 0, 0, OPT_BIT(OPT_SINCE) | OPT_BIT(OPT_FOLLOW), "Show what was said", verb_chat},
        {"say", "TEXT", 1, 1, 0, "Say something to everybody", verb_say},
        {"tasks", "[add|done|rm TASK]", 0, 2, OPT_BIT(OPT_STATUS) | OPT_BIT(OPT_ASSIGNED), "Show or change the tasks",
         verb_tasks},
        /* history */
        {"save", "[--pin [NAME]]", 0, 1, OPT_BIT(OPT_PIN), "Take a snapshot now", verb_save},
        {"snapshots", "", 0, 0, 0, "List the snapshots, newest first", verb_snapshots},
        {"pin", "SNAPSHOT [NAME]", 1, 2, 0, "Keep a snapshot whatever its age", verb_pin},
        {"unpin", "SNAPSHOT", 1, 1, 0, "Let a snapshot go when its time has come", verb_unpin},
        {"prune", "", 0, 0, OPT_BIT(OPT_DRY_RUN), "Let go of snapshots beyond retention now",
         verb_prune},
        {"show", "[SOURCE [NODE]]", 0, 2, OPT_BIT(OPT_TREE), "Show the nodes of a snapshot, time or file",
         verb_show},
        {"log", "[NODE]", 0, 1, OPT_BIT(OPT_USER) | OPT_BIT(OPT_SINCE) | OPT_BIT(OPT_UNTIL) | OPT_BIT(OPT_LIMIT),
         "Show who changed what, when and how much", verb_log},
        {"report", "FILE.html", 1, 1, OPT_BIT(OPT_SINCE) | OPT_BIT(OPT_UNTIL),
         "Draw the session's history on one page", verb_report},
        {"diff", "A [B [NODE]]", 1, 3, 0, "Compare two snapshots, times or files", verb_diff},
        {"restore", "[SNAPSHOT]", 0, 1, OPT_BIT(OPT_AT) | OPT_BIT(OPT_NODE) | OPT_BIT(OPT_UNDO),
         "Go back to what was, whole or by node", verb_restore},
        /* safekeeping */
        {"verify", "[SNAPSHOT]", 0, 1, OPT_BIT(OPT_ALL), "Compare all digests of a snapshot, or all", verb_verify},
        {"drill", "", 0, 0, 0, "Try to restore the newest snapshot into memory", verb_drill},
        {"scrub", "", 0, 0, 0, "Read and verify everything on disk", verb_scrub},
        {"repair", "", 0, 0, OPT_BIT(OPT_SWAP), "Save all that is intact in a damaged store", verb_repair},
        {"backup", "DEST", 1, 1, 0, "Copy it to a folder or with rsync, and verify", verb_backup},
        /* in and out */
        {"export", "FILE.db", 1, 1, OPT_BIT(OPT_AT), "Write the session as a file that the add-on opens", verb_export},
        {"import", "FILE", 1, 1, 0, "Make the session what a .db or .pkl file holds", verb_import},
        {"migrate", "DIR", 1, 1, OPT_BIT(OPT_DRY_RUN), "Take over the old server's docker set-up", verb_migrate},
};
const size_t n_verbs = ELEMENTSOF(verbs);
