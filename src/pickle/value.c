/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>

#include "pickle/value-private.h"
#include "pickle/value.h"

#define SMALL_INT_MIN (-1)
#define SMALL_INT_MAX 255

static ValueInt none = { .base = { VALUE_IMMORTAL, VALUE_NONE, VALUE_FLAG_HASHABLE, 0 } };

static ValueInt bools[2] = {
        { .base = { VALUE_IMMORTAL, VALUE_BOOL, VALUE_FLAG_HASHABLE, 0 }, .number = 0 },
        { .base = { VALUE_IMMORTAL, VALUE_BOOL, VALUE_FLAG_HASHABLE, 0 }, .number = 1 },
};

static ValueInt globals[_VALUE_GLOBAL_MAX];
static ValueInt small_ints[SMALL_INT_MAX - SMALL_INT_MIN + 1];

__attribute__((__constructor__)) static void fill_immortals(void)
{
        for (size_t i = 0; i < ELEMENTSOF(globals); i++)
                globals[i] = (ValueInt){.base = {VALUE_IMMORTAL, VALUE_GLOBAL, 0, 0}, .number = (int64_t)i};
        for (size_t i = 0; i < ELEMENTSOF(small_ints); i++)
                small_ints[i] = (ValueInt){
                        .base = { VALUE_IMMORTAL, VALUE_INT, VALUE_FLAG_HASHABLE, 0 },
                        .number = SMALL_INT_MIN + (int64_t)i,
                };
}

const char *value_type_to_string(ValueType type)
{
        static const char *const names[] = {
                [VALUE_NONE] = "NoneType", [VALUE_BOOL] = "bool",   [VALUE_INT] = "int",
                [VALUE_BIGINT] = "int",    [VALUE_FLOAT] = "float", [VALUE_STR] = "str",
                [VALUE_BYTES] = "bytes",   [VALUE_BYTEARRAY] = "bytearray",
                [VALUE_LIST] = "list",     [VALUE_TUPLE] = "tuple", [VALUE_DICT] = "dict",
                [VALUE_SET] = "set",       [VALUE_FROZENSET] = "frozenset",
                [VALUE_GLOBAL] = "type",   [VALUE_OPCODE] = "Opcode",
        };
        return names[type];
}

const char *value_global_to_string(ValueGlobal global)
{
        static const char *const names[] = {
                [VALUE_GLOBAL_NONE_TYPE] = "NoneType", [VALUE_GLOBAL_BOOL] = "bool",
                [VALUE_GLOBAL_INT] = "int",            [VALUE_GLOBAL_FLOAT] = "float",
                [VALUE_GLOBAL_STR] = "str",            [VALUE_GLOBAL_BYTES] = "bytes",
                [VALUE_GLOBAL_LIST] = "list",          [VALUE_GLOBAL_TUPLE] = "tuple",
                [VALUE_GLOBAL_DICT] = "dict",          [VALUE_GLOBAL_SET] = "set",
                [VALUE_GLOBAL_FROZENSET] = "frozenset", [VALUE_GLOBAL_COMPLEX] = "complex",
                [VALUE_GLOBAL_RANGE] = "range",        [VALUE_GLOBAL_SLICE] = "slice",
                [VALUE_GLOBAL_OPCODE] = "Opcode",      [VALUE_GLOBAL_BYTEARRAY] = "bytearray",
                [VALUE_GLOBAL_ENCODE] = "encode",
        };
        return names[global];
}

void *value_alloc(size_t size, ValueType type, unsigned flags)
{
        Value *v = malloc(size);
        if (v)
                *v = (Value){ .n_ref = 1, .type = (uint8_t)type, .flags = (uint8_t)flags };
        return v;
}

/* ---- None, bool, numbers, globals ---- */

Value *value_none(void)
{
        return &none.base;
}

Value *value_bool(bool b)
{
        return &bools[b].base;
}

Value *value_global(ValueGlobal global)
{
        return &globals[global].base;
}

Value *value_int_new(int64_t number)
{
        if (number >= SMALL_INT_MIN && number <= SMALL_INT_MAX)
                return &small_ints[number - SMALL_INT_MIN].base;
        ValueInt *v = value_alloc(sizeof *v, VALUE_INT, VALUE_FLAG_HASHABLE);
        if (!v)
                return NULL;
        v->number = number;
        return &v->base;
}

Value *value_float_new(double number)
{
        ValueFloat *v = value_alloc(sizeof *v, VALUE_FLOAT, VALUE_FLAG_HASHABLE);
        if (!v)
                return NULL;
        v->number = number;
        return &v->base;
}

size_t twos_complement_shorten(const uint8_t *data, size_t size)
{
        while (size > 1 && ((data[size - 1] == 0x00 && !(data[size - 2] & 0x80)) ||
                            (data[size - 1] == 0xff && (data[size - 2] & 0x80))))
                size--;
        return size;
}

int64_t twos_complement_to_int64(const uint8_t *data, size_t size)
{
        uint64_t number = size > 0 && (data[size - 1] & 0x80) ? UINT64_MAX : 0;
        for (size_t i = size; i-- > 0;)
                number = number << 8 | data[i];
        return (int64_t)number;
}

bool value_as_int64(const Value *v, int64_t *ret)
{
        if (!v)
                return false;
        if (v->type == VALUE_INT || v->type == VALUE_BOOL) {
                *ret = value_int_get(v);
                return true;
        }
        return v->type == VALUE_FLOAT && double_as_int64(value_float_get(v), ret);
}

bool double_as_int64(double number, int64_t *ret)
{
        /* -2^63 and 2^63 are exact doubles; all in between that are integral convert exactly. */
        if (!(number >= -0x1p63 && number < 0x1p63) || number != trunc(number))
                return false;
        *ret = (int64_t)number;
        return true;
}

/* ---- str, bytes, big ints ---- */

static Value *string_new(ValueType type, const void *data, size_t size)
{
        size_t head = size > VALUE_SHORT_MAX ? sizeof(ValueLongString) : sizeof(ValueString);
        if (size > SIZE_MAX - head)
                return NULL;

        ValueString *v = value_alloc(head + size, type, VALUE_FLAG_HASHABLE);
        if (!v)
                return NULL;
        uint8_t *copy = (uint8_t *)v + head;
        if (size > 0)
                memcpy(copy, data, size);
        v->size = size;
        v->data = copy;
        return &v->base;
}

static Value *string_slice_new(ValueType type, Bytes *payload, size_t offset, size_t size)
{
        if (size < VALUE_SLICE_MIN)
                return string_new(type, payload->data + offset, size);

        ValueLongString *v = value_alloc(sizeof *v, type, VALUE_FLAG_HASHABLE | VALUE_FLAG_SLICE);
        if (!v)
                return NULL;
        v->string.size = size;
        v->string.data = payload->data + offset;
        v->owner = bytes_ref(payload);
        return &v->string.base;
}

Value *value_bigint_new(const void *data, size_t size)
{
        size = twos_complement_shorten(data, size);
        if (size <= sizeof(int64_t))
                return value_int_new(twos_complement_to_int64(data, size));
        return string_new(VALUE_BIGINT, data, size);
}

Value *value_str_new(const void *data, size_t size)
{
        return string_new(VALUE_STR, data, size);
}

Value *value_bytes_new(const void *data, size_t size)
{
        return string_new(VALUE_BYTES, data, size);
}

Value *value_str_slice_new(Bytes *payload, size_t offset, size_t size)
{
        return string_slice_new(VALUE_STR, payload, offset, size);
}

Value *value_bytes_slice_new(Bytes *payload, size_t offset, size_t size)
{
        return string_slice_new(VALUE_BYTES, payload, offset, size);
}

Value *value_string_new(const char *text)
{
        return string_new(VALUE_STR, text, strlen(text));
}

Bytes *value_to_bytes(const Value *v)
{
        assert(v->type == VALUE_BYTES || v->type == VALUE_STR);
        if (!(v->flags & VALUE_FLAG_SLICE))
                return bytes_new_copy(value_data(v), value_size(v));
        Bytes *owner = ((const ValueLongString *)v)->owner;
        return bytes_new_slice(owner, (size_t)(value_data(v) - owner->data), value_size(v));
}

/* ---- bytearray ---- */

Value *value_bytearray_new(const void *data, size_t size)
{
        ValueByteArray *v = value_alloc(sizeof *v, VALUE_BYTEARRAY, 0);
        if (!v)
                return NULL;
        v->size = size;
        v->data = malloc(MAX(size, 1u));
        if (!v->data) {
                free(v);
                return NULL;
        }
        if (size > 0)
                memcpy(v->data, data, size);
        return &v->base;
}

int value_bytearray_splice(Value *v, size_t start, size_t n_removed, const void *inserted, size_t n_inserted)
{
        ValueByteArray *array = (ValueByteArray *)v;
        assert(v->type == VALUE_BYTEARRAY && start <= array->size && n_removed <= array->size - start);

        size_t n_behind = array->size - start - n_removed;
        if (n_inserted > n_removed) {
                if (n_inserted > SIZE_MAX / 2 - array->size)
                        return -ENOMEM;
                uint8_t *data = realloc(array->data, start + n_inserted + n_behind);
                if (!data)
                        return -ENOMEM;
                array->data = data;
        }
        memmove(array->data + start + n_inserted, array->data + start + n_removed, n_behind);
        if (n_inserted > 0)
                memcpy(array->data + start, inserted, n_inserted);
        array->size = start + n_inserted + n_behind;
        return 0;
}

void value_bytearray_swap(Value *a, Value *b)
{
        ValueByteArray *x = (ValueByteArray *)a, *y = (ValueByteArray *)b;
        assert(a->type == VALUE_BYTEARRAY && b->type == VALUE_BYTEARRAY);

        size_t size = x->size;
        uint8_t *data = x->data;
        x->size = y->size;
        x->data = y->data;
        y->size = size;
        y->data = data;
}

/* ---- freeing ---- */

/* Containers whose last reference went wait on a list that is threaded through themselves. */
static Value **link_of(Value *v)
{
        switch (v->type) {
        case VALUE_LIST:
                return &((ValueList *)v)->link;
        case VALUE_TUPLE:
        case VALUE_OPCODE:
                return &((ValueTuple *)v)->link;
        case VALUE_DICT:
        case VALUE_SET:
        case VALUE_FROZENSET:
                return &((ValueTable *)v)->link;
        default:
                return NULL;
        }
}

static void free_leaf(Value *v)
{
        if (v->flags & VALUE_FLAG_SLICE)
                bytes_unref(((ValueLongString *)v)->owner);
        else if (v->type == VALUE_BYTEARRAY)
                free(((ValueByteArray *)v)->data);
        free(v);
}

static void drop_member(Value *v, Value **dead)
{
        if (!v || v->n_ref == VALUE_IMMORTAL || --v->n_ref > 0)
                return;
        Value **link = link_of(v);
        if (!link) {
                free_leaf(v);
                return;
        }
        *link = *dead;
        *dead = v;
}

static void drop_members(Value *v, Value **dead)
{
        if (v->type == VALUE_LIST) {
                ValueList *list = (ValueList *)v;
                for (uint32_t i = 0; i < list->n; i++)
                        drop_member(value_list_get(v, i), dead);
                free(list->items);
        } else if (v->type == VALUE_TUPLE || v->type == VALUE_OPCODE) {
                ValueTuple *tuple = (ValueTuple *)v;
                for (uint32_t i = 0; i < tuple->n; i++)
                        drop_member(tuple->items[i], dead);
        } else {
                ValueTable *table = (ValueTable *)v;
                for (uint32_t slot = 0; slot < table->n_slots; slot++)
                        if (table->entries[slot].key) {
                                drop_member(table->entries[slot].key, dead);
                                drop_member(table->entries[slot].value, dead);
                        }
                free(table->entries);
                free(table->index);
        }
}

void value_free(Value *v)
{
        Value *dead = NULL;

        v->n_ref = 1;
        drop_member(v, &dead);
        while (dead) {
                Value *next = dead;
                dead = *link_of(next);
                drop_members(next, &dead);
                free(next);
        }
}
