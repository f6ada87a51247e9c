/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What clients write as JSON, chat messages and tasks, read without trust: one
 * message or task is an item, a JSON object. An item is put into one form, the
 * fields that the add-on knows in its order, so that equal items are equal texts
 * and no client fails on what another one sent.
 */

#include <json-c/json.h>
#include <stdint.h>

#include "base/macros.h"
#include "pickle/value.h"

#define JSON_DEPTH_MAX 16
#define JSON_ITEM_SIZE_MAX (16u << 10) /* of the text of an item */
#define JSON_ID_MAX 64u

typedef json_object JsonItem;
static inline void json_item_putp(JsonItem **o)
{
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_item_putp)

/* The object or array that a str holds, to be released with json_object_put(); NULL when the value is no str, or its
 * text is no JSON in UTF-8, or nested deeper than JSON_DEPTH_MAX. */
json_object *json_item_parse(const Value *text);
json_object *json_item_parse_text(const char *text, size_t size);

/* Is the text one that the server wrote itself? What it tells begins with a blank, which no client writes, so what
 * clients send back unread is known. */
bool json_item_is_own(const Value *text);
bool json_item_is_text(const Value *v); /* a str with something in it */

/* A field that is a text without NUL. False: it is not there, is no text, or is longer than max bytes. */
bool json_item_text(json_object *item, const char *key, size_t max, const char **ret);
/* An id: 1 to JSON_ID_MAX bytes without control characters. */
bool json_item_id(json_object *item, const char **ret);
/* A time in seconds since 1970 that Python can make a date of on every system. */
bool json_item_time(json_object *item, const char *key, double *ret);

/* Adds a field of `from`, if it has it, else a text. -ENOMEM. */
int json_item_copy(json_object *to, json_object *from, const char *key, const char *otherwise);
int json_item_add(json_object *to, const char *key, json_object *value); /* takes value over; NULL is -ENOMEM */

/* The text of an item, new, with its size. NULL: memory. */
char *json_item_print(json_object *item, size_t *ret_size);

/* Texts of items, joined to what clients are told. */
typedef struct JsonText {
        char *data;
        size_t size, allocated;
        bool failed; /* memory was short */
} JsonText;

void json_text_add(JsonText *t, const void *data, size_t size);
static inline void json_text_done(JsonText *t)
{
        free(t->data);
}
#define _cleanup_json_text_ _cleanup_(json_text_done)
