/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "pickle/value-private.h"
#include "pickle/value.h"

/* Up to this many slots a table is searched entry by entry and has no index. */
#define UNINDEXED_MAX 8u
#define CAPACITY_MIN 4u

static ValueTable *table_of(const Value *v)
{
        assert(v->type == VALUE_DICT || v->type == VALUE_SET || v->type == VALUE_FROZENSET);
        return (ValueTable *)v;
}

static Value *table_new(ValueType type, unsigned flags)
{
        ValueTable *t = value_alloc(sizeof *t, type, flags);
        if (!t)
                return NULL;
        Value base = t->base;
        *t = (ValueTable){
                .base = base,
                .first = VALUE_SLOT_END,
                .last = VALUE_SLOT_END,
                .free = VALUE_SLOT_END,
        };
        return &t->base;
}

Value *value_dict_new(void)
{
        return table_new(VALUE_DICT, 0);
}

Value *value_set_new(void)
{
        return table_new(VALUE_SET, 0);
}

Value *value_frozenset_new(void)
{
        Value *v = table_new(VALUE_FROZENSET, VALUE_FLAG_HASHABLE);
        if (v)
                v->hash_depth = 1;
        return v;
}

/* ---- index: open addressing, no tombstones ---- */

static uint32_t key_hash(const Value *key)
{
        return (uint32_t)value_digest(key).low;
}

static uint32_t index_slot(uint64_t cell)
{
        return (uint32_t)cell - 1;
}

static void index_put(ValueTable *t, uint32_t hash, uint32_t slot)
{
        uint32_t i = hash & t->index_mask;
        while (t->index[i])
                i = (i + 1) & t->index_mask;
        t->index[i] = (uint64_t)hash << 32 | (slot + 1);
}

/* Closes the hole by moving later cells of the run back, so that probing never meets a tombstone. */
static void index_remove(ValueTable *t, uint32_t hash, uint32_t slot)
{
        uint32_t i = hash & t->index_mask;
        while (index_slot(t->index[i]) != slot)
                i = (i + 1) & t->index_mask;

        uint32_t hole = i;
        for (;;) {
                i = (i + 1) & t->index_mask;
                if (!t->index[i])
                        break;
                uint32_t home = (uint32_t)(t->index[i] >> 32) & t->index_mask;
                if (((i - home) & t->index_mask) >= ((i - hole) & t->index_mask)) {
                        t->index[hole] = t->index[i];
                        hole = i;
                }
        }
        t->index[hole] = 0;
}

static int index_resize(ValueTable *t, uint32_t capacity)
{
        uint64_t size = 16;
        while (size * 2 < (uint64_t)capacity * 3)
                size *= 2;

        uint64_t *index = calloc(size, sizeof *index);
        if (!index)
                return -ENOMEM;
        uint64_t *old = t->index;
        uint64_t old_size = old ? (uint64_t)t->index_mask + 1 : 0;
        t->index = index;
        t->index_mask = (uint32_t)(size - 1);
        for (uint64_t i = 0; i < old_size; i++)
                if (old[i])
                        index_put(t, (uint32_t)(old[i] >> 32), index_slot(old[i]));
        if (!old)
                for (uint32_t slot = 0; slot < t->n_slots; slot++)
                        if (t->entries[slot].key)
                                index_put(t, key_hash(t->entries[slot].key), slot);
        free(old);
        return 0;
}

int value_table_reserve(Value *v, uint32_t n)
{
        ValueTable *t = table_of(v);
        if (n <= t->capacity - t->n)
                return 0;
        if (n > VALUE_ITEMS_MAX - t->n)
                return -E2BIG;

        uint32_t needed = t->n + n;
        uint32_t capacity = t->n == 0 ? MAX(needed, CAPACITY_MIN) : MAX(needed, t->n + t->n / 2 + 2);
        ValueEntry *entries = realloc(t->entries, capacity * sizeof *entries);
        if (!entries)
                return -ENOMEM;
        t->entries = entries;
        if (capacity > UNINDEXED_MAX) {
                int r = index_resize(t, capacity);
                if (r < 0)
                        return r;
        }
        t->capacity = capacity;
        return 0;
}

/* ---- finding ---- */

static uint32_t find_unindexed(const ValueTable *t, const Value *key)
{
        for (uint32_t slot = 0; slot < t->n_slots; slot++)
                if (t->entries[slot].key == key)
                        return slot;
        for (uint32_t slot = 0; slot < t->n_slots; slot++)
                if (t->entries[slot].key && value_key_equal(t->entries[slot].key, key))
                        return slot;
        return VALUE_SLOT_END;
}

static uint32_t find_indexed(const ValueTable *t, const Value *key, uint32_t hash)
{
        for (uint32_t i = hash & t->index_mask; t->index[i]; i = (i + 1) & t->index_mask) {
                uint32_t slot = index_slot(t->index[i]);
                if (t->index[i] >> 32 == hash && value_key_equal(t->entries[slot].key, key))
                        return slot;
        }
        return VALUE_SLOT_END;
}

uint32_t value_table_find(const Value *v, const Value *key)
{
        const ValueTable *t = table_of(v);
        if (t->n == 0 || !value_is_hashable(key))
                return VALUE_SLOT_END;
        return t->index ? find_indexed(t, key, key_hash(key)) : find_unindexed(t, key);
}

Value *value_dict_get(const Value *dict, const Value *key)
{
        uint32_t slot = value_table_find(dict, key);
        return slot == VALUE_SLOT_END ? NULL : value_dict_value(dict, slot);
}

/* A key to look for, without memory of its own. */
static ValueString key_to_find(const char *key)
{
        size_t size = strlen(key);
        assert(size <= VALUE_SHORT_MAX);
        return (ValueString){
                .base = { .n_ref = VALUE_IMMORTAL, .type = VALUE_STR, .flags = VALUE_FLAG_HASHABLE },
                .size = size,
                .data = (const uint8_t *)key,
        };
}

Value *value_dict_get_string(const Value *dict, const char *key)
{
        if (!value_is_dict(dict))
                return NULL;
        ValueString text = key_to_find(key);
        return value_dict_get(dict, &text.base);
}

/* ---- changing ---- */

static uint32_t take_slot(ValueTable *t)
{
        uint32_t slot = t->free;
        if (slot == VALUE_SLOT_END)
                return t->n_slots++;
        t->free = t->entries[slot].next;
        return slot;
}

/* Into a free slot, in order before `position`. */
static void link_entry(ValueTable *t, uint32_t position, Value *key, Value *value)
{
        uint32_t slot = take_slot(t);
        uint32_t prev = position == VALUE_SLOT_END ? t->last : t->entries[position].prev;

        t->entries[slot] = (ValueEntry){ .key = key, .value = value, .next = position, .prev = prev };
        *(prev == VALUE_SLOT_END ? &t->first : &t->entries[prev].next) = slot;
        *(position == VALUE_SLOT_END ? &t->last : &t->entries[position].prev) = slot;
        t->n++;
        if (t->index)
                index_put(t, key_hash(key), slot);
}

/* Returns 0 with the entry added or 1 with the slot of an equal key, or a negative error. */
static int table_add(ValueTable *t, Value *key, Value *value, uint32_t *ret_slot)
{
        assert(!(t->base.flags & VALUE_FLAG_DIGEST));
        if (!value_is_hashable(key))
                return -EINVAL;
        uint32_t slot = value_table_find(&t->base, key);
        if (slot != VALUE_SLOT_END) {
                *ret_slot = slot;
                return 1;
        }
        int r = value_table_reserve(&t->base, 1);
        if (r < 0)
                return r;
        link_entry(t, VALUE_SLOT_END, value_ref(key), value_ref(value));
        return 0;
}

int value_dict_set(Value *dict, Value *key, Value *value, Value **ret_old)
{
        assert(dict->type == VALUE_DICT);
        uint32_t slot;
        int r = table_add(table_of(dict), key, value, &slot);
        if (r == 1)
                value_dict_set_slot(dict, slot, value, ret_old);
        return r;
}

int value_dict_set_string(Value *dict, const char *key, Value *value)
{
        _cleanup_value_ Value *text = value_string_new(key);
        return text ? value_dict_set(dict, text, value, NULL) : -ENOMEM;
}

void value_dict_set_slot(Value *dict, uint32_t slot, Value *value, Value **ret_old)
{
        ValueEntry *entry = &table_of(dict)->entries[slot];
        Value *old = entry->value;
        entry->value = value_ref(value);
        if (ret_old)
                *ret_old = old;
        else
                value_unref(old);
}

int value_set_add(Value *set, Value *member)
{
        assert(value_is_set(set));
        uint32_t slot;
        ValueTable *t = table_of(set);
        int r = table_add(t, member, NULL, &slot);
        if (r == 0 && set->type == VALUE_FROZENSET && member->hash_depth >= set->hash_depth) {
                set->hash_depth = (uint16_t)(member->hash_depth + 1);
                if (set->hash_depth > VALUE_HASH_DEPTH_MAX)
                        set->flags &= (uint8_t)~VALUE_FLAG_HASHABLE;
        }
        return r;
}

void value_table_remove(Value *v, uint32_t slot, Value **ret_key, Value **ret_value, uint32_t *ret_position)
{
        ValueTable *t = table_of(v);
        ValueEntry entry = t->entries[slot];
        assert(slot < t->n_slots && entry.key && !(v->flags & VALUE_FLAG_DIGEST));

        if (t->index)
                index_remove(t, key_hash(entry.key), slot);
        *(entry.prev == VALUE_SLOT_END ? &t->first : &t->entries[entry.prev].next) = entry.next;
        *(entry.next == VALUE_SLOT_END ? &t->last : &t->entries[entry.next].prev) = entry.prev;
        t->entries[slot] = (ValueEntry){ .next = t->free };
        t->free = slot;
        t->n--;

        if (ret_position)
                *ret_position = entry.next;
        if (ret_key)
                *ret_key = entry.key;
        else
                value_unref(entry.key);
        if (ret_value)
                *ret_value = entry.value;
        else
                value_unref(entry.value);
}

bool value_dict_remove_string(Value *dict, const char *key)
{
        if (!value_is_dict(dict))
                return false;
        ValueString text = key_to_find(key);
        uint32_t slot = value_table_find(dict, &text.base);
        if (slot == VALUE_SLOT_END)
                return false;
        value_table_remove(dict, slot, NULL, NULL, NULL);
        return true;
}

void value_table_insert_at_take(Value *v, uint32_t position, Value *key, Value *value)
{
        ValueTable *t = table_of(v);
        assert(t->n < t->capacity && value_is_hashable(key));
        link_entry(t, position, key, value);
}

Value *value_cursor_next(ValueCursor *c)
{
        const Value *v = c->container;
        if (value_type(v) == VALUE_LIST || value_type(v) == VALUE_TUPLE)
                return c->position < value_sequence_length(v) ? value_sequence_get(v, c->position++) : NULL;
        if (c->position == VALUE_SLOT_END)
                return NULL;
        Value *member = c->at_value ? value_dict_value(v, c->position) : value_table_key(v, c->position);
        if (value_is_dict(v))
                c->at_value = !c->at_value;
        if (!c->at_value)
                c->position = value_table_next(v, c->position);
        return member;
}
