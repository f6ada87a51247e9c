/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * deepdiff's textual paths, such as root['modifiers'][2]["it's"]. The reader
 * of deepdiff 8.1.1 is copied with its faults: it never fails, and damaged
 * paths give the same elements as there.
 */

#include "pickle/value.h"

typedef struct PathElement {
        Value *value;      /* the key or index; a name where is_attribute */
        bool is_attribute; /* .name instead of [key] */
} PathElement;

typedef struct Path {
        PathElement *elements;
        uint32_t n;
        bool is_opaque; /* some element is a literal that literal_parse() does not evaluate */
} Path;

/* Returns 0 and an owned path, or -ENOMEM. */
int path_parse(const uint8_t *text, size_t size, Path **ret);

/* The first n elements. NULL when memory is short. */
Path *path_prefix(const Path *path, uint32_t n);

/* Accepts NULL; returns NULL. */
Path *path_free(Path *path);
DEFINE_CLEANUP(Path *, path_free)
#define _cleanup_path_ _cleanup_(path_freep)
