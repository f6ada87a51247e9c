/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Sessions in files of the Multi-User world, read without running anything:
 *
 *   FILE.db               the add-on's session: gzip of the pickle {'nodes': [[five frames], ...], 'users': {...}},
 *                         each node's frames as on the wire
 *   session_snapshot.pkl  the old server's: a pickle {'timestamp', 'datetime', 'reason', 'initialized', 'graph': object
 *   snapshot_*.pkl        store of Node objects, ...}
 *
 * The file is unpacked into an unnamed temporary one and mapped, so that memory stays bounded however large the
 * session is. It is taken whole or not at all: a node that a client could not load is an error that names it.
 */

#include "scene/scene.h"
#include "session/session.h"

/* Called now and then with the bytes done; NULL: nobody wants to know. */
typedef void (*SessionFileProgress)(void *userdata, uint64_t n_bytes);

/* Returns 0 with the nodes as a scene, all of them COMMON; 1 with *ret_error (freed by the caller), one sentence, for
 * a file that is not what it should be; or a negative errno, with *ret_error as well when it is not -ENOMEM. */
int session_file_read(const char *path, SessionFileProgress progress, void *userdata, Scene **ret, char **ret_error);

/* ---- writing a .db ---- */

typedef struct SessionWriter SessionWriter;

/* Begins a file beside `path` that takes its name when it is complete. */
int session_writer_new(const char *path, SessionWriter **ret);

/* One node. The payload is only looked at. */
int session_writer_add(SessionWriter *w, const Scene *scene, const Node *n, Bytes *payload);

/* Ends the file with the users of `session` (NULL: none are known), writes it through to the disk and gives it its name, in
 * place of one that is there. */
int session_writer_finish(SessionWriter *w, const Session *session);

/* Accepts NULL; removes what has not been finished. */
SessionWriter *session_writer_free(SessionWriter *w);
DEFINE_CLEANUP(SessionWriter *, session_writer_free)
#define _cleanup_session_writer_ _cleanup_(session_writer_freep)
