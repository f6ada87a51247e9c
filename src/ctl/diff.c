/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/table.h"
#include "ctl/value-text.h"
#include "pickle/reader.h"

#define VALUE_SHOWN 60
#define CHANGES_MAX 10000u

/* ---- whole scenes ---- */

typedef struct Difference {
        const char *kind; /* "added", "removed", "changed" */
        const Listed *item;
        const Listing *listing;
        int64_t growth;
} Difference;

static size_t size_of(const Listed *item)
{
        return item->payload ? item->payload->size : 0;
}

static bool differs(const Listed *a, const Listed *b)
{
        if (!a->payload || !b->payload)
                return a->payload != b->payload;
        return !bytes_equal(a->payload, b->payload) || !bytes_equal(node_dependencies(a->node), node_dependencies(b->node));
}

static size_t compare(const Listing *a, const Listing *b, Difference *out)
{
        size_t n = 0;

        for (size_t i = 0; i < a->n_items; i++)
                if (!listing_find_uuid(b, node_uuid(a->items[i].node).text, node_uuid_size(a->items[i].node)))
                        out[n++] = (Difference){"removed", &a->items[i], a, -(int64_t)size_of(&a->items[i])};
        for (size_t i = 0; i < b->n_items; i++) {
                const Listed *now = &b->items[i];
                const Listed *was = listing_find_uuid(a, node_uuid(now->node).text, node_uuid_size(now->node));

                if (!was)
                        out[n++] = (Difference){"added", now, b, (int64_t)size_of(now)};
                else if (differs(was, now))
                        out[n++] = (Difference){"changed", now, b, (int64_t)size_of(now) - (int64_t)size_of(was)};
        }
        return n;
}

static json_object *difference_json(const Difference *d)
{
        json_object *o = json_object_new_object();

        json_add_text(o, "kind", d->kind);
        json_add_text(o, "uuid", node_uuid(d->item->node).text);
        json_add_text(o, "name", d->item->label.name);
        json_add_text(o, "type", d->item->label.type);
        json_add_int(o, "bytes", size_of(d->item));
        json_object_object_add(o, "growth", json_object_new_int64(d->growth));
        return o;
}

static ExitStatus diff_scenes(const Ctl *ctl, const Listing *a, const Listing *b)
{
        _cleanup_free_ Difference *list = calloc(a->n_items + b->n_items + 1, sizeof(*list));
        _cleanup_table_ Table *t = table_new("CHANGE|~NAME|~TYPE|>SIZE|>GROWTH|UUID");
        size_t n = list ? compare(a, b, list) : 0;

        if (!list || !t)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (ctl->json) {
                json_object *o = json_object_new_object(), *array = json_object_new_array();

                for (size_t i = 0; i < n; i++)
                        json_object_array_add(array, difference_json(&list[i]));
                json_object_object_add(o, "differences", array);
                ctl_print_json(o);
                return CTL_OK;
        }
        if (n == 0) {
                puts("There is no difference.");
                return CTL_OK;
        }
        for (size_t i = 0; i < n; i++) {
                char size[FORMAT_SIZE_MAX];
                uint64_t amount = (uint64_t)(list[i].growth < 0 ? -list[i].growth : list[i].growth);

                table_row(t);
                table_cell(t, "%s", list[i].kind);
                table_cell(t, "%s", list[i].item->label.name);
                table_cell(t, "%s", list[i].item->label.type);
                table_size(t, size_of(list[i].item));
                table_cell(t, "%s%s", list[i].growth < 0 ? "-" : "+", format_size(size, sizeof(size), amount));
                table_cell(t, "%.8s", node_uuid(list[i].item->node).text);
        }
        return table_print(t, stdout, ctl->width, ctl->colour) < 0 ? ctl_fail(ctl, CTL_FAILED, "out of memory") : CTL_OK;
}

/* ---- the values of one node: pairs still to be compared wait on a list, so depth costs no stack ---- */

typedef struct Pair {
        const Value *was, *now; /* NULL: not there */
        char *path;
} Pair;

typedef struct Walk {
        Pair *pairs;
        size_t n_pairs, n_allocated;
        json_object *changes;
} Walk;

/* Takes path over. */
static int push(Walk *w, const Value *was, const Value *now, char *path)
{
        if (!path)
                return -ENOMEM;
        if (w->n_pairs == w->n_allocated) {
                size_t n = w->n_allocated * 2 + 64;
                Pair *grown = reallocarray(w->pairs, n, sizeof(*grown));

                if (!grown) {
                        free(path);
                        return -ENOMEM;
                }
                w->pairs = grown;
                w->n_allocated = n;
        }
        w->pairs[w->n_pairs++] = (Pair){was, now, path};
        return 0;
}

static char *join_key(const char *path, const Value *key)
{
        _cleanup_free_ char *text = value_key_text(key, VALUE_SHOWN);
        char *s;

        if (!text)
                return NULL;
        if (value_is_string(key))
                return asprintf(&s, "%s%s%s", path, *path ? "." : "", text) < 0 ? NULL : s;
        return asprintf(&s, "%s[%s]", path, text) < 0 ? NULL : s;
}

static int push_dict(Walk *w, const Pair *p)
{
        int r = 0;

        for (uint32_t slot = value_table_first(p->was); r == 0 && slot != VALUE_SLOT_END;
             slot = value_table_next(p->was, slot))
                r = push(w, value_dict_value(p->was, slot), value_dict_get(p->now, value_table_key(p->was, slot)),
                         join_key(p->path, value_table_key(p->was, slot)));
        for (uint32_t slot = value_table_first(p->now); r == 0 && slot != VALUE_SLOT_END;
             slot = value_table_next(p->now, slot))
                if (!value_dict_get(p->was, value_table_key(p->now, slot)))
                        r = push(w, NULL, value_dict_value(p->now, slot), join_key(p->path, value_table_key(p->now, slot)));
        return r;
}

static int push_sequence(Walk *w, const Pair *p)
{
        uint32_t n_was = value_sequence_length(p->was), n_now = value_sequence_length(p->now);
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < MAX(n_was, n_now); i++) {
                char *path;

                if (asprintf(&path, "%s[%u]", p->path, i) < 0)
                        return -ENOMEM;
                r = push(w, i < n_was ? value_sequence_get(p->was, i) : NULL,
                         i < n_now ? value_sequence_get(p->now, i) : NULL, path);
        }
        return r;
}

static bool is_sequence(const Value *v)
{
        return value_type(v) == VALUE_LIST || value_type(v) == VALUE_TUPLE;
}

static int add_change(Walk *w, const Pair *p)
{
        _cleanup_free_ char *was = p->was ? value_text(p->was, VALUE_SHOWN) : NULL;
        _cleanup_free_ char *now = p->now ? value_text(p->now, VALUE_SHOWN) : NULL;
        json_object *o;

        if ((p->was && !was) || (p->now && !now))
                return -ENOMEM;
        o = json_object_new_object();
        json_add_text(o, "path", p->path);
        json_add_text(o, "was", was);
        json_add_text(o, "now", now);
        json_object_array_add(w->changes, o);
        return 0;
}

static int walk(Walk *w)
{
        int r = 0;

        while (r == 0 && w->n_pairs > 0 && json_object_array_length(w->changes) < CHANGES_MAX) {
                Pair p = w->pairs[--w->n_pairs];
                int equal = p.was && p.now && value_type(p.was) == value_type(p.now) ? value_equal(p.was, p.now) : 0;

                if (equal < 0)
                        r = equal;
                else if (!equal && p.was && p.now && value_is_dict(p.was) && value_is_dict(p.now))
                        r = push_dict(w, &p);
                else if (!equal && p.was && p.now && is_sequence(p.was) && value_type(p.was) == value_type(p.now))
                        r = push_sequence(w, &p);
                else if (!equal)
                        r = add_change(w, &p);
                free(p.path);
        }
        for (size_t i = 0; i < w->n_pairs; i++)
                free(w->pairs[i].path);
        free(w->pairs);
        return r;
}

static int read_values(const Listed *item, Value **ret)
{
        if (!item || !item->payload)
                return 0;
        return pickle_read(item->payload, PICKLE_PROFILE_DATA, &pickle_limits_default, ret, NULL);
}

static ExitStatus print_changes(const Ctl *ctl, json_object *changes)
{
        _cleanup_table_ Table *t = table_new("~PATH|~WAS|~NOW");
        size_t n = json_object_array_length(changes);

        if (ctl->json) {
                json_object *o = json_object_new_object();

                json_object_object_add(o, "changes", json_object_get(changes));
                ctl_print_json(o);
                return CTL_OK;
        }
        if (n == 0) {
                puts("There is no difference.");
                return CTL_OK;
        }
        for (size_t i = 0; t && i < n; i++) {
                json_object *o = json_object_array_get_idx(changes, i), *was = json_object_object_get(o, "was"),
                            *now = json_object_object_get(o, "now");

                table_row(t);
                table_cell(t, "%s", json_object_get_string(json_object_object_get(o, "path")));
                table_cell(t, "%s", was ? json_object_get_string(was) : "(not there)");
                table_cell(t, "%s", now ? json_object_get_string(now) : "(not there)");
        }
        return !t || table_print(t, stdout, ctl->width, ctl->colour) < 0 ? ctl_fail(ctl, CTL_FAILED, "out of memory")
                                                                          : CTL_OK;
}

static ExitStatus diff_node(const Ctl *ctl, const Listing *a, const Listing *b, const char *name)
{
        Listed *now = NULL, *was = NULL;
        _cleanup_value_ Value *old = NULL, *new = NULL;
        Walk w = {.changes = json_object_new_array()};
        ExitStatus status = CTL_OK;
        char *root;
        int r = 0;

        if (listing_find(b, name, &now) != 1 && !(was = source_find_node(ctl, a, name, &status))) {
                json_object_put(w.changes);
                return status;
        }
        if (now && !was)
                was = listing_find_uuid(a, node_uuid(now->node).text, node_uuid_size(now->node));
        else if (was)
                now = listing_find_uuid(b, node_uuid(was->node).text, node_uuid_size(was->node));
        r = read_values(was, &old);
        if (r == 0)
                r = read_values(now, &new);
        root = strdup("");
        if (r == 0)
                r = push(&w, old, new, root);
        else
                free(root);
        if (r == 0)
                r = walk(&w);
        status = r == 0 ? print_changes(ctl, w.changes)
                        : ctl_fail(ctl, r > 0 ? CTL_DEGRADED : CTL_FAILED, "the data of %s cannot be read", name);
        json_object_put(w.changes);
        return status;
}

ExitStatus verb_diff(Ctl *ctl)
{
        _cleanup_store_ Store *store = NULL;
        Source a = {0}, b = {0};
        Listing la = {0}, lb = {0};
        ExitStatus status = source_open(ctl, ctl->arguments[0], &store, &a);

        if (status == CTL_OK)
                status = source_open(ctl, ctl->n_arguments > 1 ? ctl->arguments[1] : "now", &store, &b);
        if (status == CTL_OK && (listing_new(a.scene, &la) < 0 || listing_new(b.scene, &lb) < 0))
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (status == CTL_OK)
                status = ctl->n_arguments > 2 ? diff_node(ctl, &la, &lb, ctl->arguments[2]) : diff_scenes(ctl, &la, &lb);
        if (status == CTL_OK && a.n_damaged + b.n_damaged > 0)
                status = CTL_DEGRADED;
        listing_done(&la);
        listing_done(&lb);
        source_done(&a);
        source_done(&b);
        return status;
}
