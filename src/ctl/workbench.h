/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A stopped session on the bench: its store is opened for writing (so that no daemon can), its state loaded, and what is
 * changed goes to the journal as if the daemon had done it; the next start finds it there.
 */

#include "ctl/verb.h"
#include "scene/scene.h"

typedef struct Workbench Workbench;

/* Makes the store where there is none. Until it is freed, root works as the owner of the session. CTL_OK, or what ctl_fail() returned. */
ExitStatus workbench_open(const Ctl *ctl, const char *data_dir, Workbench **ret);
Workbench *workbench_free(Workbench *w); /* accepts NULL; returns NULL */
DEFINE_CLEANUP(Workbench *, workbench_free)
#define _cleanup_workbench_ _cleanup_(workbench_freep)

Scene *workbench_scene(Workbench *w);
struct Store *workbench_store(Workbench *w);

/* 0 or -errno. */
int workbench_put(Workbench *w, const Node *n, Bytes *payload);
int workbench_delete(Workbench *w, const Node *n);

/* Makes it all durable. 0 or -errno. */
int workbench_commit(Workbench *w);
