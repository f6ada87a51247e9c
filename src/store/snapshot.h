/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Snapshots: taking, listing, pinning. A snapshot is a manifest in snapshots/ that points into the log by
 * digest. To cost what changed and not what exists, a manifest may hold only what differs from the snapshot
 * before it; store_snapshot_wants_all() says when the next one has to list everything.
 */

#include <stdint.h>

#include "store/store.h"

typedef struct StoreSnapshot StoreSnapshot; /* one being made */

#define STORE_SNAPSHOT_NAME_MAX 32 /* "20261123T141500Z-00042", without ".snap" */
#define STORE_PIN_NAME_MAX 48 /* with its NUL */

typedef struct StoreSnapshotInfo {
        char name[STORE_SNAPSHOT_NAME_MAX];
        uint64_t number;
        uint64_t time_usec; /* realtime */
        uint64_t sequence;  /* it stands for everything up to this record */
        uint64_t node_count;
        uint64_t user_count;
        uint64_t payload_bytes;  /* of all nodes together */
        uint64_t manifest_bytes; /* size of the file */
        char *reason;            /* "auto-save", "user_disconnect:NAME", ... */
        char *user;              /* who asked for it; "" for nobody */
        bool pinned;
        char pin_name[STORE_PIN_NAME_MAX]; /* "": none */
        bool intact; /* digest of the manifest, and of the ones it builds on, held when it was last read */
} StoreSnapshotInfo;

void store_snapshot_info_done(StoreSnapshotInfo *info);

/* ---- taking one ---- */

/* Called in the WORKER'S THREAD for an entry without payload: makes its bytes from the immutable `userdata`.
 * May be slow. Returns 0 or a negative errno, which makes the whole snapshot fail. */
typedef int (*StoreMaterialiseFunc)(void *userdata, Bytes **ret);

typedef struct StoreSnapshotParameters {
        const char *reason;
        const char *user;   /* NULL: nobody */
        uint64_t user_count;
        uint64_t node_count;    /* of the whole session, when not all nodes will be added; otherwise they are */
        uint64_t payload_bytes; /* counted */
        bool initialized; /* for session_metadata.json */
        bool force;       /* write one even if no node changed since the last (the state is not compared) */
} StoreSnapshotParameters;

/* Called on the main thread, from worker_dispatch(). `name` is NULL when nothing had changed (unchanged) or
 * on error. error: 0 or a negative errno; error_text says what happened. The info's pointers are valid during
 * the call. */
typedef struct StoreSnapshotResult {
        int error;
        const char *error_text;
        bool unchanged; /* only session_metadata.json was renewed */
        StoreSnapshotInfo info;
        uint64_t written_bytes; /* manifest and materialised payloads */
        uint64_t worker_usec;   /* time spent in the worker */
} StoreSnapshotResult;
typedef void (*StoreSnapshotDoneFunc)(void *userdata, const StoreSnapshotResult *result);

/* For each materialised entry, on the main thread before done(): its payload is now in the log at `blob`.
 * `entry_userdata` is what was given to store_snapshot_add_materialised(). Not called when the snapshot
 * failed. */
typedef void (*StoreMaterialisedFunc)(void *userdata, void *entry_userdata, const StoreLocation *blob);

/* True: the next snapshot must be given all nodes. False: it may be given all, or, which is cheap, only those
 * that were added, changed or removed since store_snapshot_begin() of the last snapshot that was submitted.
 * Ask it just before store_snapshot_begin(); it becomes true again when one fails. */
bool store_snapshot_wants_all(const Store *s);

/* Begins a snapshot that stands for the session after the last record appended (store_sequence()). `all`:
 * every node will be added. One snapshot at a time: -EBUSY. -EINVAL: `all` is false although all are wanted.
 * Fill it within the same turn of the loop, or in slices as long as the caller adds what a node was at this
 * moment. */
int store_snapshot_begin(Store *s, const StoreSnapshotParameters *parameters, bool all, StoreSnapshot **ret);

/* Adds or changes a node whose current payload is in the log. The entry is copied. */
int store_snapshot_add(StoreSnapshot *sn, const StoreEntry *entry);

/* The same with a payload that is not in the log: entry->blob is ignored. release(entry_userdata) is called
 * on the main thread when the store needs it no more, whatever becomes of the snapshot (may be NULL). */
int store_snapshot_add_materialised(StoreSnapshot *sn, const StoreEntry *entry,
                                    StoreMaterialiseFunc materialise, void *entry_userdata,
                                    void (*release)(void *entry_userdata));

/* What the caller keeps beside the nodes: opaque, at most 64 MiB (more makes the snapshot fail with -EFBIG), handed back
 * by store_load_begin(). Made and released like the payload of a materialised entry. To be called once at most. */
void store_snapshot_set_state(StoreSnapshot *sn, StoreMaterialiseFunc make, void *state_userdata,
                              void (*release)(void *state_userdata));

/* A node is gone (only when not `all`). */
int store_snapshot_remove(StoreSnapshot *sn, const void *key, size_t key_size);

/* Gives it to the worker, which writes and syncs payloads, the manifest, session_metadata.json, and applies
 * retention. Takes the snapshot over in every case. done() comes exactly once, later. */
void store_snapshot_submit(StoreSnapshot *sn, StoreMaterialisedFunc materialised, StoreSnapshotDoneFunc done,
                           void *userdata);

/* Gives one up before it was submitted; accepts NULL. */
StoreSnapshot *store_snapshot_free(StoreSnapshot *sn);

/* ---- the ones there are ---- */

/* The last save that this snapshot stands for: its own, or a later one that found nothing changed, as session_metadata.json
 * says. CLOCK_REALTIME; the reason is the caller's to free. Returns 0 or -ENOMEM. */
int store_last_save(Store *s, const StoreSnapshotInfo *snapshot, uint64_t *ret_usec, char **ret_reason);

/* Newest first. The array and its items (store_snapshot_info_done()) belong to the caller. Reads the
 * manifests' heads. */
int store_snapshot_list(Store *s, StoreSnapshotInfo **ret, size_t *ret_n);

/* By name, by number ("42", "00042"), by the name of its pin, or "latest". -ENOENT. */
int store_snapshot_find(Store *s, const char *name, StoreSnapshotInfo *ret);

/* For each of a list as above: bytes of the payloads that the next older one in the list does not have. Reads all their
 * manifests, so that `intact` says how each of them is now. Items of damaged ones are 0. */
int store_snapshot_new_bytes(Store *s, StoreSnapshotInfo *list, size_t n, uint64_t *ret_bytes);

/* A letter, then letters, digits, '.', '_' and '-', fewer than STORE_PIN_NAME_MAX in all; neither "now" nor "latest". */
bool store_pin_name_is_valid(const char *name);

/* A pinned snapshot is never removed by retention, and may have a name of its own by which it is found (pin_name NULL: the
 * one it has, if any). Returns 1 if that changed something, 0 if not, -ENOENT, -EINVAL when the name is not valid, -EEXIST
 * when another pinned snapshot has it. Waits for the disk. */
int store_snapshot_pin(Store *s, const char *name, bool pinned, const char *pin_name);

/* The same in the worker: func is called with 0 or a negative errno when it is on the disk or has failed, but only if 1 is
 * returned. */
typedef void (*StorePinFunc)(void *userdata, int result);
int store_snapshot_pin_begin(Store *s, const char *name, bool pinned, const char *pin_name, StorePinFunc func,
                             void *userdata);

/* Retention of the options can be changed while running (SIGHUP); it is applied after the next snapshot. */
void store_set_retention(Store *s, const RetentionPolicy *retention);
