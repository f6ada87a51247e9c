/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A growing byte string with a bound, for texts whose length a small delta decides. */

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

typedef struct Text {
        uint8_t *data;
        size_t size;
        size_t capacity;
} Text;

/* Nothing of a genuine node comes near; beyond it append fails with DELTA_LIMIT. */
#define DELTA_TEXT_MAX (UINT32_C(64) << 20)

static inline void text_done(Text *t)
{
        free(t->data);
}
#define _cleanup_text_ _cleanup_(text_done)

/* Never NULL. */
static inline const uint8_t *text_data(const Text *t)
{
        return t->data ? t->data : (const uint8_t *)"";
}

/* 0, DELTA_LIMIT or -ENOMEM. */
int text_append(Text *t, const void *data, size_t size);
int text_append_string(Text *t, const char *string);
int text_append_byte(Text *t, uint8_t byte);
