/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Keeping a store in order, in the worker and in bounded steps: reclaiming and
 * compacting segments, scrubbing, checking a snapshot.
 */

#include <stdint.h>

#include "store/snapshot.h"

/* Runs one round of reclaim and compaction in the background if none is under way: segments that nothing
 * retained points into are removed, half-dead ones are copied together (copy, fsync, unlink). Begun by the
 * store itself after snapshots when the log has grown; call it when retention was changed or on demand. */
void store_reclaim_begin(Store *s);

/* Reads and verifies everything: all segments, all manifests, at low priority. Figures in StoreStats, damage
 * through events.problem. finished() may be NULL; n_damaged counts records, payloads and manifests. */
typedef void (*StoreScrubFunc)(void *userdata, int result, uint64_t n_records, uint64_t n_bytes,
                               uint64_t n_damaged);
int store_scrub_begin(Store *s, StoreScrubFunc finished, void *userdata); /* -EALREADY: one is under way */
void store_scrub_cancel(Store *s);

/* Restores a snapshot ("latest", a name, a number; NULL: each one) into scratch memory and compares every
 * digest, in the worker. n_nodes counts what was compared. */
typedef void (*StoreDrillFunc)(void *userdata, int result, const char *snapshot, uint64_t n_nodes,
                               uint64_t n_bytes, uint64_t n_damaged);
int store_drill_begin(Store *s, const char *name, StoreDrillFunc finished, void *userdata);

/* Applies retention now, in the worker, and then begins a reclaim. `gone`, newest first, are the snapshots that the
 * policy lets go, n_kept stay; n_bytes are in payloads that none but they hold. dry_run: they stay as well. The
 * infos are valid during the call. */
typedef void (*StorePruneFunc)(void *userdata, int result, const StoreSnapshotInfo *gone, size_t n_gone,
                               size_t n_kept, uint64_t n_bytes);
int store_prune_begin(Store *s, bool dry_run, StorePruneFunc finished, void *userdata);
