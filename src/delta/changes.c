/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/changes.h"

#include <errno.h>

#include "delta/number.h"
#include "delta/repr.h"

/* CPython sorts fewer items than this with binary insertion alone. */
#define INSERTION_SORT_MAX 64

/* Result of comparing paths that hold a str and a number, or None, at the first difference. */
#define INCOMPARABLE 2

/* Result of comparing paths with two tuples that differ: nobody writes such. */
#define UNKNOWN_ORDER 3

void changes_done(Changes *c)
{
        for (size_t i = 0; i < c->n; i++) {
                path_free(c->items[i].path);
                value_unref(c->items[i].value);
        }
        free(c->items);
        value_unref(c->known);
}

static int changes_append(DeltaRun *run, Changes *c, Value *key, Value *value)
{
        Change change = {};
        int r;

        if (c->n == c->capacity) {
                size_t capacity = MAX(c->capacity * 2, (size_t)8);
                Change *items = reallocarray(c->items, capacity, sizeof(Change));

                if (!items)
                        return -ENOMEM;
                c->items = items;
                c->capacity = capacity;
        }
        r = run_parse_path(run, key, &change.path);
        if (r != 0 && r != DELTA_SKIP)
                return r;
        change.value = value_ref(value);
        c->items[c->n++] = change;
        return 0;
}

int changes_merge(DeltaRun *run, Changes *c, Value *key, Value *value)
{
        _cleanup_value_ Value *index = NULL;
        uint32_t slot;
        int r;

        if (!c->known) {
                c->known = value_dict_new();
                if (!c->known)
                        return -ENOMEM;
        }
        slot = value_table_find(c->known, key);
        if (slot != VALUE_SLOT_END) {
                Change *change = &c->items[value_int_get(value_dict_value(c->known, slot))];

                value_unref(change->value);
                change->value = value_ref(value);
                return 0;
        }
        index = value_int_new((int64_t)c->n);
        if (!index)
                return -ENOMEM;
        r = value_dict_set(c->known, key, index, NULL);
        if (r == -EINVAL)
                return run_refuse(run, DELTA_ABORTED, "path that cannot be a key");
        return r < 0 ? r : changes_append(run, c, key, value);
}

typedef int (*AddFunc)(DeltaRun *run, Changes *c, Value *key, Value *value);

static int add_all(DeltaRun *run, Changes *c, const Value *category, AddFunc add)
{
        if (!category)
                return 0;
        for (uint32_t s = value_table_first(category); s != VALUE_SLOT_END;
             s = value_table_next(category, s)) {
                int r = add(run, c, value_table_key(category, s), value_dict_value(category, s));

                if (r != 0)
                        return r;
        }
        return 0;
}

int changes_append_all(DeltaRun *run, Changes *c, const Value *category)
{
        return add_all(run, c, category, changes_append);
}

int changes_merge_all(DeltaRun *run, Changes *c, const Value *category)
{
        return add_all(run, c, category, changes_merge);
}

/* ---- comparison ---- */

static int compare_data(const uint8_t *a, size_t size_a, const uint8_t *b, size_t size_b)
{
        int r = memcmp(a, b, MIN(size_a, size_b));

        if (r == 0)
                return (size_a > size_b) - (size_a < size_b);
        return r < 0 ? -1 : 1;
}

/* UTF-8 sorts by code point, surrogates included. */
static int compare_elements(const Value *a, const Value *b)
{
        if (number_is(a) && number_is(b))
                return number_compare(a, b);
        if (value_type(a) != value_type(b))
                return INCOMPARABLE;
        if (value_type(a) == VALUE_NONE)
                return 0;
        if (value_type(a) == VALUE_TUPLE)
                return value_key_equal(a, b) ? 0 : UNKNOWN_ORDER;
        return compare_data(value_data(a), value_size(a), value_data(b), value_size(b));
}

/* As Python compares two lists. */
static int compare_paths(const Path *a, const Path *b)
{
        for (uint32_t i = 0; i < a->n && i < b->n; i++) {
                int r = compare_elements(a->elements[i].value, b->elements[i].value);

                if (r != 0)
                        return r;
        }
        return (a->n > b->n) - (a->n < b->n);
}

static int compare_texts(const Value *a, const Value *b, int *ret)
{
        _cleanup_text_ Text text_a = {}, text_b = {};
        int r = repr_str(a, &text_a);

        if (r == 0)
                r = repr_str(b, &text_b);
        if (r != 0)
                return r;
        *ret = compare_data(text_data(&text_a), text_a.size, text_data(&text_b), text_b.size);
        return 0;
}

/* deepdiff's second try, once some pair was incomparable: not transitive. */
static int compare_loosely(DeltaRun *run, const Change *a, const Change *b, int *ret)
{
        int order = compare_paths(a->path, b->path), r;

        if (order == UNKNOWN_ORDER)
                return run_refuse(run, DELTA_UNSUPPORTED, "paths with tuples that must be sorted");
        *ret = order;
        if (order != INCOMPARABLE)
                return run_charge(run, 1);
        *ret = 0;
        for (uint32_t i = 0; *ret == 0 && i < a->path->n && i < b->path->n; i++) {
                const Value *x = a->path->elements[i].value, *y = b->path->elements[i].value;

                r = run_charge(run, 32);
                if (r != 0)
                        return r;
                if (value_type(x) == value_type(y) ||
                    (number_is_integer(x) && number_is_integer(y) && value_type(x) != VALUE_BOOL &&
                     value_type(y) != VALUE_BOOL))
                        return run_refuse(run, DELTA_ABORTED, "paths that cannot be sorted");
                r = compare_texts(x, y, ret);
                if (r == NUMBER_INVALID)
                        return run_refuse(run, DELTA_ABORTED, "path with a number that is too long");
                if (r != 0)
                        return r;
        }
        return 0;
}

/* ---- sorting ---- */

typedef struct Sorter {
        DeltaRun *run;
        bool is_loose;
        bool is_incomparable; /* a strict comparison failed: its order means nothing */
} Sorter;

static int sorter_compare(Sorter *s, const Change *a, const Change *b, int *ret)
{
        int r;

        if (s->is_loose)
                return compare_loosely(s->run, a, b, ret);
        r = run_charge(s->run, 1 + MIN(a->path->n, b->path->n) / 4);
        if (r != 0)
                return r;
        *ret = compare_paths(a->path, b->path);
        if (*ret == UNKNOWN_ORDER)
                return run_refuse(s->run, DELTA_UNSUPPORTED, "paths with tuples that must be sorted");
        s->is_incomparable |= *ret == INCOMPARABLE;
        return 0;
}

/* Stable; stops early when paths turn out to be incomparable. */
static int merge_sort(Sorter *s, Change *items, size_t n)
{
        _cleanup_free_ Change *other = reallocarray(NULL, n, sizeof(Change));
        Change *from = items, *to = other;
        int r, order;

        if (!other)
                return -ENOMEM;
        for (size_t width = 1; width < n && !s->is_incomparable; width *= 2) {
                for (size_t start = 0; start < n; start += 2 * width) {
                        size_t middle = MIN(start + width, n), end = MIN(start + 2 * width, n);
                        size_t i = start, k = middle;

                        for (size_t at = start; at < end; at++) {
                                bool takes_right = i == middle;

                                if (i < middle && k < end) {
                                        r = sorter_compare(s, &from[k], &from[i], &order);
                                        if (r != 0)
                                                goto finish;
                                        takes_right = order < 0;
                                }
                                to[at] = takes_right ? from[k++] : from[i++];
                        }
                }
                Change *swap = from;
                from = to;
                to = swap;
        }
        r = 0;
finish:
        /* One of the two arrays always holds every item once: the source of the round that stopped. */
        if (from != items)
                memcpy(items, from, n * sizeof(Change));
        return r;
}

static void reverse(Change *items, size_t n)
{
        for (size_t i = 0; i < n / 2; i++) {
                Change swap = items[i];

                items[i] = items[n - 1 - i];
                items[n - 1 - i] = swap;
        }
}

/* The length of the run at the start, made ascending. */
static int starting_run(Sorter *s, Change *items, size_t n, size_t *ret)
{
        size_t length = 2;
        bool falls;
        int r, order;

        r = sorter_compare(s, &items[1], &items[0], &order);
        if (r != 0)
                return r;
        falls = order < 0;
        for (; length < n; length++) {
                r = sorter_compare(s, &items[length], &items[length - 1], &order);
                if (r != 0)
                        return r;
                if ((order < 0) != falls)
                        break;
        }
        if (falls)
                reverse(items, length);
        *ret = length;
        return 0;
}

/* Exactly the comparisons of CPython's list.sort() for short lists: with an order that is not transitive they
 * decide the result. */
static int insertion_sort(Sorter *s, Change *items, size_t n)
{
        size_t sorted;
        int r, order;

        r = starting_run(s, items, n, &sorted);
        if (r != 0)
                return r;
        for (; sorted < n; sorted++) {
                Change item = items[sorted];
                size_t low = 0, high = sorted;

                while (low < high) {
                        size_t middle = low + (high - low) / 2;

                        r = sorter_compare(s, &item, &items[middle], &order);
                        if (r != 0)
                                return r;
                        if (order < 0)
                                high = middle;
                        else
                                low = middle + 1;
                }
                memmove(items + low + 1, items + low, (sorted - low) * sizeof(Change));
                items[low] = item;
        }
        return 0;
}

int changes_sort(DeltaRun *run, Changes *c, bool descending)
{
        Sorter s = { .run = run };
        _cleanup_free_ Change *original = NULL;
        int r;

        if (c->n < 2)
                return 0;
        for (size_t i = 0; i < c->n; i++)
                if (!c->items[i].path)
                        return run_refuse(run, DELTA_ABORTED, "path that is no text among others");
        original = reallocarray(NULL, c->n, sizeof(Change));
        if (!original)
                return -ENOMEM;
        if (descending)
                reverse(c->items, c->n);
        memcpy(original, c->items, c->n * sizeof(Change));
        r = merge_sort(&s, c->items, c->n);
        if (r == 0 && s.is_incomparable) {
                s = (Sorter){ .run = run, .is_loose = true };
                memcpy(c->items, original, c->n * sizeof(Change));
                r = c->n < INSERTION_SORT_MAX ? insertion_sort(&s, c->items, c->n) :
                                                merge_sort(&s, c->items, c->n);
        }
        if (descending)
                reverse(c->items, c->n);
        return r;
}
