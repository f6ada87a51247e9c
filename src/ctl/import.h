/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "ctl/verb.h"
#include "scene/scene.h"

/* Makes a stopped session what the scene is, and reads it back. *ret_removed: nodes that were in it and no longer are. */
ExitStatus import_offline(const Ctl *ctl, const char *data_dir, Scene *scene, uint64_t *ret_removed);

/* Whether a scene that was read back is the one that was written, byte for byte: CTL_OK or what ctl_fail() returned. */
ExitStatus import_compare(const Ctl *ctl, Scene *want, Scene *have);
