/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "session/json-item.h"
#include "session/message.h"

#define FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* On some systems the first day and what is beyond the year 3000 are no dates. */
#define TIME_MIN 86400.0
#define TIME_MAX 32500000000.0

json_object *json_item_parse_text(const char *text, size_t size)
{
        if (size > INT32_MAX)
                return NULL;
        json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
        if (!tokener)
                return NULL;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        json_object *o = json_tokener_parse_ex(tokener, text, (int)size);
        bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
                     json_tokener_get_parse_end(tokener) == size &&
                     (json_object_is_type(o, json_type_object) || json_object_is_type(o, json_type_array));
        json_tokener_free(tokener);
        if (whole)
                return o;
        json_object_put(o);
        return NULL;
}

json_object *json_item_parse(const Value *text)
{
        return value_is_string(text) ? json_item_parse_text((const char *)value_data(text), value_size(text)) : NULL;
}

bool json_item_is_own(const Value *text)
{
        return json_item_is_text(text) && value_data(text)[0] == ' ';
}

bool json_item_is_text(const Value *v)
{
        return value_is_string(v) && value_size(v) > 0;
}

bool json_item_text(json_object *item, const char *key, size_t max, const char **ret)
{
        json_object *o = json_object_object_get(item, key);
        if (!json_object_is_type(o, json_type_string))
                return false;
        const char *text = json_object_get_string(o);
        size_t size = (size_t)json_object_get_string_len(o);
        if (size > max || strlen(text) != size)
                return false;
        *ret = text;
        return true;
}

bool json_item_id(json_object *item, const char **ret)
{
        const char *id;
        if (!json_item_text(item, "id", JSON_ID_MAX, &id) || !message_text_is_clean(id, strlen(id), JSON_ID_MAX))
                return false;
        *ret = id;
        return true;
}

bool json_item_time(json_object *item, const char *key, double *ret)
{
        json_object *o = json_object_object_get(item, key);
        if (!json_object_is_type(o, json_type_double) && !json_object_is_type(o, json_type_int))
                return false;
        double time = json_object_get_double(o);
        if (!(time >= TIME_MIN && time <= TIME_MAX))
                return false;
        *ret = time;
        return true;
}

int json_item_add(json_object *to, const char *key, json_object *value)
{
        if (value && json_object_object_add(to, key, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

int json_item_copy(json_object *to, json_object *from, const char *key, const char *otherwise)
{
        json_object *o = json_object_object_get(from, key);
        return json_item_add(to, key, o ? json_object_get(o) : json_object_new_string(otherwise));
}

char *json_item_print(json_object *item, size_t *ret_size)
{
        size_t size;
        const char *text = json_object_to_json_string_length(item, FLAGS, &size);
        char *copy = text ? malloc(size + 1) : NULL;
        if (!copy)
                return NULL;
        memcpy(copy, text, size + 1);
        *ret_size = size;
        return copy;
}

void json_text_add(JsonText *t, const void *data, size_t size)
{
        if (t->failed)
                return;
        if (t->allocated - t->size < size) {
                size_t allocated = t->allocated * 2 + size + 256;
                char *p = realloc(t->data, allocated);
                if (!p) {
                        t->failed = true;
                        return;
                }
                t->data = p;
                t->allocated = allocated;
        }
        memcpy(t->data + t->size, data, size);
        t->size += size;
}
