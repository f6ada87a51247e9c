/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a user does in Blender, and what the library makes of it. */
#include <stdio.h>

#include "delta/delta.h"
#include "pickle/reader.h"
#include "pickle/writer.h"
#include "sim-private.h"
#include "test.h"

static Bytes *dump_take(Value *v)
{
        Bytes *b = NULL;
        assert_int_equal(pickle_write(v, SIZE_MAX, &b), 0);
        value_unref(v);
        return b;
}

void sim_send(SimClient *c, Channel channel, Bytes *const *frames, size_t n_frames)
{
        Frames *f = frames_new(frames, n_frames);
        sim_queue_push(&c->up[channel], MAX(c->links_at[channel] + 1, sim_arrival(c->sim)), f);
}

void sim_command(SimClient *c, int type, const char *owner, Value *data)
{
        const char pickle[] = { '\x80', 4, 'K', (char)type, '.' };
        Bytes *parts[] = { bytes_new_copy(pickle, sizeof pickle), bytes_new_copy(owner, strlen(owner)), dump_take(data) };
        sim_send(c, CHANNEL_COMMAND, parts, 3);
}

static Value *new_data(void)
{
        Value *data = sim_put(value_dict_new(), "type_id", value_string_new("Test"));
        sim_put(data, "l", value_list_new());
        return sim_put(data, "x", value_int_new(0));
}

void sim_add_local(SimClient *c, const char *uuid, const char *owner)
{
        sim_add_node(c, bytes_new_copy(uuid, strlen(uuid)), bytes_new_copy(owner, strlen(owner)), new_data(),
                     value_list_new());
}

void sim_init_session(SimClient *c)
{
        Value *uuids = value_list_new();
        for (size_t i = 0; i < c->n_nodes; i++) {
                Value *uuid = value_str_new(c->nodes[i].uuid->data, c->nodes[i].uuid->size);
                value_list_append(uuids, uuid);
                value_unref(uuid);
        }
        Value *data = sim_put(value_dict_new(), "STATE", value_string_new("INIT"));
        sim_put(data, "SIZE", value_int_new((int64_t)c->n_nodes));
        c->state = SIM_SRV_SYNC;
        c->last_progress = c->sim->now;
        sim_command(c, 8, "server", sim_put(data, "NODES", uuids));
}

static void push_node(SimClient *c, const SimNode *n)
{
        Frames *f = sim_node_frames(n);
        sim_queue_push(&c->up[CHANNEL_DATA], MAX(c->links_at[CHANNEL_DATA] + 1, sim_arrival(c->sim)), f);
}

void sim_new_node(SimClient *c, const char *uuid, const char *dependency)
{
        sim_add_local(c, uuid, "COMMON");
        SimNode *n = sim_find_text(c, uuid);
        if (dependency) {
                Value *d = value_string_new(dependency);
                value_list_append(n->dependencies, d);
                value_unref(d);
        }
        push_node(c, n);
}

void sim_push_whole(SimClient *c, const char *uuid)
{
        push_node(c, sim_find_text(c, uuid));
}

/* Applied to the own copy first, then sent: porcelain.commit() and push(). */
static void commit(SimClient *c, SimNode *n, Value *delta)
{
        Bytes *pickle = dump_take(delta), *dependencies = dump_take(value_ref(n->dependencies));
        assert_int_equal(delta_apply(&n->data, pickle, &pickle_limits_default, NULL), 0);
        Bytes *parts[] = { bytes_new_copy("\x80\x04K\x01.", 5), bytes_ref(n->uuid), dependencies, pickle };
        sim_send(c, CHANNEL_DATA, parts, 4);
}

void sim_set(SimClient *c, const char *uuid, const char *key, int64_t value)
{
        SimNode *n = sim_find_text(c, uuid);
        char path[80];
        snprintf(path, sizeof path, "root['%s']", key);
        if (value_dict_get_string(n->data, key)) {
                Value *change = sim_put(value_dict_new(), "new_value", value_int_new(value));
                commit(c, n, sim_put(value_dict_new(), "values_changed", sim_put(value_dict_new(), path, change)));
        } else {
                commit(c, n, sim_put(value_dict_new(), "dictionary_item_added",
                                     sim_put(value_dict_new(), path, value_int_new(value))));
        }
}

void sim_append(SimClient *c, const char *uuid, int64_t value)
{
        SimNode *n = sim_find_text(c, uuid);
        char path[80];
        snprintf(path, sizeof path, "root['l'][%u]", value_list_length(value_dict_get_string(n->data, "l")));
        commit(c, n, sim_put(value_dict_new(), "iterable_item_added",
                             sim_put(value_dict_new(), path, value_int_new(value))));
}

void sim_delete(SimClient *c, const char *uuid)
{
        sim_command(c, 4, "client", value_string_new(uuid));
}

void sim_right(SimClient *c, const char *uuid, const char *owner)
{
        Value *uuids = value_list_new(), *u = value_string_new(uuid);
        value_list_append(uuids, u);
        value_unref(u);
        sim_command(c, 5, c->name, sim_put(sim_put(value_dict_new(), "uuid", uuids), "owner", value_string_new(owner)));
}

void sim_metadata(SimClient *c, const char *key, int64_t value)
{
        sim_command(c, 13, c->name, sim_put(value_dict_new(), key, value_int_new(value)));
}

void sim_kick(SimClient *c, const char *name)
{
        sim_command(c, 11, c->name, sim_put(value_dict_new(), "user", value_string_new(name)));
}

int64_t sim_get(const SimClient *c, const char *uuid, const char *key)
{
        const SimNode *n = sim_find_text(c, uuid);
        const Value *v = n ? value_dict_get_string(n->data, key) : NULL;
        return v ? value_int_get(v) : -1;
}

int64_t sim_length(const SimClient *c, const char *uuid)
{
        const SimNode *n = sim_find_text(c, uuid);
        return n ? (int64_t)value_list_length(value_dict_get_string(n->data, "l")) : -1;
}

/* ---- comparison ---- */

static const char *differs(const char *what, const SimClient *c, const char *uuid)
{
        static char buffer[256];
        snprintf(buffer, sizeof buffer, "%s has %s of %s", c->name, what, uuid);
        return buffer;
}

static const char *compare_node(Scene *scene, const SimClient *c, Node *n)
{
        const SimNode *own = sim_find(c, node_uuid(n).text, node_uuid_size(n));
        if (!own)
                return differs("nothing", c, node_uuid(n).text);
        if (!bytes_equal(own->owner, node_owner(scene, n)))
                return differs("another owner", c, node_uuid(n).text);
        _cleanup_bytes_ Bytes *payload = NULL;
        assert_int_equal(scene_payload(scene, n, SIZE_MAX, &payload), 0);
        _cleanup_value_ Value *data = sim_load(payload);
        _cleanup_value_ Value *dependencies = sim_load(node_dependencies(n));
        if (value_equal(data, own->data) != 1)
                return differs("other data", c, node_uuid(n).text);
        if (value_equal(dependencies, own->dependencies) != 1)
                return differs("other dependencies", c, node_uuid(n).text);
        return NULL;
}

const char *sim_compare(Sim *sim)
{
        Scene *scene = session_scene(sim->session);
        for (size_t i = 0; i < sim->n_clients; i++) {
                const SimClient *c = &sim->clients[i];
                if (c->state != SIM_ACTIVE)
                        continue;
                for (Node *n = scene_first(scene); n; n = scene_next(scene, n)) {
                        const char *what = compare_node(scene, c, n);
                        if (what)
                                return what;
                }
                for (size_t j = 0; j < c->n_nodes; j++) {
                        const Bytes *uuid = c->nodes[j].uuid;
                        char text[64];
                        snprintf(text, sizeof text, "%.*s", (int)uuid->size, (const char *)uuid->data);
                        if (!scene_find(scene, uuid->data, uuid->size))
                                return differs("a copy that the server has not", c, text);
                }
        }
        return NULL;
}
