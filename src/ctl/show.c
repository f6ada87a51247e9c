/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/table.h"
#include "ctl/value-text.h"
#include "pickle/reader.h"
#include "scene/dependencies.h"

#define UUID_SHOWN 8
#define TREE_DEPTH_MAX 64u
#define NAME_MIN 8u   /* columns that a name has at least */
#define TYPE_MAX 24u
#define HEAD_WIDTH 10
#define KEY_MAX 30u
#define VALUE_MAX ((size_t)200)

static int add_uuid(void *userdata, const void *uuid, size_t size)
{
        json_object_array_add(userdata, json_object_new_string_len(uuid, (int)size));
        return 0;
}

static json_object *node_json(const Listing *l, const Listed *item)
{
        json_object *o = json_object_new_object(), *dependencies = json_object_new_array();
        Bytes *owner = node_owner(l->scene, item->node);

        json_add_text(o, "uuid", node_uuid(item->node).text);
        json_add_text(o, "name", item->label.name);
        json_add_text(o, "type", item->label.type);
        json_add_text_size(o, "owner", owner->data, owner->size);
        json_add_int(o, "bytes", item->payload ? item->payload->size : 0);
        json_add_bool(o, "readable", item->payload != NULL);
        json_add_time(o, "changed", node_changed(item->node));
        dependencies_each(node_dependencies(item->node), add_uuid, dependencies);
        json_object_object_add(o, "dependencies", dependencies);
        return o;
}

static ExitStatus show_all(Ctl *ctl, const Source *s, const Listing *l)
{
        _cleanup_table_ Table *t = table_new("~NAME|~TYPE|~OWNER|>SIZE|UUID");
        uint64_t total = 0;
        char size[FORMAT_SIZE_MAX];

        if (!t)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        for (size_t i = 0; i < l->n_items; i++) {
                const Listed *item = &l->items[i];
                Bytes *owner = node_owner(l->scene, item->node);

                total += item->payload ? item->payload->size : 0;
                table_row(t);
                table_cell(t, "%s", item->label.name);
                table_cell(t, "%s", item->label.type);
                table_cell(t, "%.*s", node_is_common(item->node) ? 0 : (int)owner->size, (const char *)owner->data);
                table_size(t, item->payload ? item->payload->size : 0);
                table_cell(t, "%.*s", UUID_SHOWN, node_uuid(item->node).text);
        }
        if (table_print(t, stdout, ctl->width, ctl->colour) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        printf("\n%zu node%s, %s\n", l->n_items, l->n_items == 1 ? "" : "s", format_size(size, sizeof(size), total));
        return CTL_OK;
}

/* ---- the tree ---- */

typedef struct Tree {
        const Ctl *ctl;
        const Listing *listing;
        bool *shown, *is_below; /* by item */
        size_t item;            /* of the node whose dependencies are gone through */
        unsigned depth;
} Tree;

static int mark_below(void *userdata, const void *uuid, size_t size)
{
        Tree *t = userdata;
        Listed *item = listing_find_uuid(t->listing, uuid, size);

        if (item)
                t->is_below[item - t->listing->items] = true;
        return 0;
}

/* Of what does not fit the line, the name is cut. */
static void print_branch(const Tree *t, unsigned depth, const char *name, const char *rest)
{
        size_t indent = MIN((size_t)depth * 2, t->ctl->width / 2), beside = indent + format_width(rest);
        _cleanup_free_ char *cut = format_cut(name, t->ctl->width > beside + NAME_MIN ? t->ctl->width - beside : NAME_MIN);

        printf("%*s%s%s\n", (int)indent, "", cut ?: "", rest);
}

static void show_subtree(Tree *t, size_t item, unsigned depth);

static int show_dependency(void *userdata, const void *uuid, size_t size)
{
        const Tree *outer = userdata;
        Tree inner = *outer;
        Listed *item = listing_find_uuid(outer->listing, uuid, size);
        _cleanup_free_ char *missing = NULL;

        if (item) {
                show_subtree(&inner, (size_t)(item - outer->listing->items), outer->depth + 1);
        } else {
                missing = log_escape(uuid, size);
                print_branch(outer, outer->depth + 1, missing ?: "", " is missing");
        }
        return 0;
}

static void show_subtree(Tree *t, size_t item, unsigned depth)
{
        const Listed *i = &t->listing->items[item];
        char size[FORMAT_SIZE_MAX];
        _cleanup_free_ char *type = format_cut(i->label.type, TYPE_MAX), *rest = NULL;
        bool again = t->shown[item];

        if (asprintf(&rest, " (%s, %s)%s", type ?: "", format_size(size, sizeof(size), i->payload ? i->payload->size : 0),
                     again ? " (see above)" : "") < 0)
                rest = NULL;
        print_branch(t, depth, i->label.name, rest ?: "");
        t->shown[item] = true;
        if (again || depth >= TREE_DEPTH_MAX)
                return;
        t->item = item;
        t->depth = depth;
        dependencies_each(node_dependencies(i->node), show_dependency, t);
}

static ExitStatus show_tree(Ctl *ctl, const Listing *l)
{
        _cleanup_free_ bool *shown = calloc(l->n_items + 1, sizeof(*shown)), *below = calloc(l->n_items + 1, sizeof(*below));
        Tree t = {.ctl = ctl, .listing = l, .shown = shown, .is_below = below};

        if (!shown || !below)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        for (size_t i = 0; i < l->n_items; i++)
                dependencies_each(node_dependencies(l->items[i].node), mark_below, &t);
        for (size_t i = 0; i < l->n_items; i++)
                if (!below[i])
                        show_subtree(&t, i, 0);
        /* Those that depend on each other have nobody above them. */
        for (size_t i = 0; i < l->n_items; i++)
                if (!shown[i])
                        show_subtree(&t, i, 0);
        return CTL_OK;
}

/* ---- one node ---- */

static void print_head(const Ctl *ctl, const char *title, const char *text)
{
        _cleanup_free_ char *cut = format_cut(text, MAX(ctl->width, (size_t)HEAD_WIDTH + NAME_MIN) - HEAD_WIDTH);

        printf("%-*s%s\n", HEAD_WIDTH, title, cut ?: "");
}

static void print_value(const Ctl *ctl, const Value *key, const Value *value)
{
        _cleanup_free_ char *raw = value_key_text(key, KEY_MAX), *safe = raw ? log_escape(raw, strlen(raw)) : NULL;
        _cleanup_free_ char *name = safe ? format_cut(safe, KEY_MAX) : NULL, *text = NULL, *cut = NULL;
        size_t beside = name ? format_width(name) + strlen("  : ") : 0;

        text = value_text(value, MIN(ctl->width, VALUE_MAX) - MIN(beside, ctl->width - NAME_MIN));
        cut = text ? format_cut(text, MAX(ctl->width, beside + NAME_MIN) - beside) : NULL;
        printf("  %s: %s\n", name ?: "", cut ?: "");
}

static ExitStatus show_node(Ctl *ctl, const Listing *l, const Listed *item)
{
        _cleanup_value_ Value *v = NULL;
        Bytes *owner = node_owner(l->scene, item->node);
        _cleanup_free_ char *owned = log_escape((const char *)owner->data, owner->size);
        char size[FORMAT_SIZE_MAX], changed[FORMAT_SIZE_MAX];

        print_head(ctl, "Name:", item->label.name);
        print_head(ctl, "Type:", item->label.type);
        print_head(ctl, "UUID:", node_uuid(item->node).text);
        print_head(ctl, "Owner:", owned ?: "");
        print_head(ctl, "Size:", format_size(size, sizeof(size), item->payload ? item->payload->size : 0));
        print_head(ctl, "Changed:", format_time(changed, sizeof(changed), node_changed(item->node)));
        if (!item->payload || pickle_read(item->payload, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL) != 0) {
                puts("Its data cannot be read.");
                return CTL_DEGRADED;
        }
        if (!value_is_dict(v))
                return CTL_OK;
        puts("Data:");
        for (uint32_t slot = value_table_first(v); slot != VALUE_SLOT_END; slot = value_table_next(v, slot))
                print_value(ctl, value_table_key(v, slot), value_dict_value(v, slot));
        return CTL_OK;
}

static void show_json(const Source *s, const Listing *l)
{
        json_object *o = json_object_new_object(), *nodes = json_object_new_array();
        uint64_t total = 0;

        for (size_t i = 0; i < l->n_items; i++) {
                json_object_array_add(nodes, node_json(l, &l->items[i]));
                total += l->items[i].payload ? l->items[i].payload->size : 0;
        }
        json_add_text(o, "source", s->title);
        json_add_time(o, "time", s->time_usec);
        json_add_int(o, "node_count", l->n_items);
        json_add_int(o, "bytes", total);
        json_add_int(o, "damaged", s->n_damaged);
        json_object_object_add(o, "nodes", nodes);
        ctl_print_json(o);
}

ExitStatus verb_show(Ctl *ctl)
{
        _cleanup_store_ Store *store = NULL;
        Source s = {0};
        Listing l = {0};
        ExitStatus status = source_open(ctl, ctl->n_arguments > 0 ? ctl->arguments[0] : "now", &store, &s);

        if (status != CTL_OK)
                return status;
        if (listing_new(s.scene, &l) < 0) {
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        } else if (ctl->n_arguments > 1) {
                const Listed *item = source_find_node(ctl, &l, ctl->arguments[1], &status);

                if (item && ctl->json)
                        ctl_print_json(node_json(&l, item));
                else if (item)
                        status = show_node(ctl, &l, item);
        } else if (ctl->json) {
                show_json(&s, &l);
        } else {
                status = ctl_has(ctl, OPT_TREE) ? show_tree(ctl, &l) : show_all(ctl, &s, &l);
        }
        if (status == CTL_OK && s.n_damaged > 0)
                status = CTL_DEGRADED;
        listing_done(&l);
        source_done(&s);
        return status;
}
