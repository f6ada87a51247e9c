/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Messages as a stock client writes them: just enough pickle (protocol 4) to log in, initialise, join, and push nodes,
 * deltas and metadata. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing buffer; running out of memory ends the program. */
typedef struct Pickle {
        uint8_t *data;
        size_t size, n_allocated;
} Pickle;

void pickle_begin(Pickle *p); /* empties it, and writes the header */
void pickle_end(Pickle *p);
void pickle_done(Pickle *p);

void pickle_none(Pickle *p);
void pickle_integer(Pickle *p, uint32_t value);
void pickle_float(Pickle *p, double value);
void pickle_text(Pickle *p, const char *text);
/* Returns where the bytes are, to be filled in by the caller. */
uint8_t *pickle_bytes(Pickle *p, const void *data_or_null, size_t size);
void pickle_dict_begin(Pickle *p);
void pickle_dict_end(Pickle *p);
void pickle_list_begin(Pickle *p);
void pickle_list_end(Pickle *p);

enum {
        KIND_COMMIT = 1,
        KIND_NODE = 2,
        KIND_SNAPSHOT = 7,
        KIND_SERVER_SNAPSHOT = 8,
        KIND_AUTH = 9,
        KIND_METADATA = 13,
};

#define UUID_SIZE 36

/* Of the n-th node; always the same. */
void node_uuid(unsigned number, char uuid[static UUID_SIZE + 1]);

/* The frames of a Node whose data is {'payload': bytes of this size}. */
typedef struct NodeMessage {
        char uuid[UUID_SIZE + 1];
        Pickle kind, dependencies, data;
        size_t payload_offset; /* in data */
} NodeMessage;

/* The payload is all zero, or differs from that of every other number when `filled`. */
void node_message_init(NodeMessage *m, unsigned number, size_t size, bool filled);
/* A node like a mesh: {'edges': 256 KiB of bytes, 'vertices': [[float, float, float], ...]}. */
void mesh_message_init(NodeMessage *m, unsigned number, unsigned n_triples);
void node_message_done(NodeMessage *m);

#define OWNER_COMMON "COMMON"

/* The frames of a Commit that changes one float of a mesh's vertices. The new value is the last thing in the delta. */
typedef struct CommitMessage {
        char uuid[UUID_SIZE + 1];
        Pickle kind, dependencies, delta;
} CommitMessage;

void commit_message_init(CommitMessage *m, unsigned number, unsigned triple);
void commit_message_done(CommitMessage *m);

/* Floats that stand last in a pickle, behind which `closing` bytes follow (PICKLE_CLOSING_...). */
void pickle_set_last_float(uint8_t *data, size_t size, size_t closing, double value);
double pickle_get_last_float(const uint8_t *data, size_t size, size_t closing);
#define DELTA_CLOSING 4 /* three dicts and the end */
#define VIEW_CLOSING 3  /* a list, a dict and the end */

/* What a moved view tells: {'view_matrix': 4 x 4 floats, 'view_corners': 8 x 3 floats and a time}. */
void view_message(Pickle *p);
/* Metadata that a user may have: {'selected_objects': [uuid, ...]}, about this large. */
void selection_message(Pickle *p, size_t size);

/* Finds the next text of the form of a uuid at or after *offset; false when there is none. */
bool find_uuid(const void *data, size_t size, size_t *offset, char uuid[static UUID_SIZE + 1]);
