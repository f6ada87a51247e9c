/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's end: replication 0.9.10's Session.listen(), Repository and objects, as far as they can be told from
 * what they do. */
#include <stdio.h>

#include "delta/delta.h"
#include "pickle/reader.h"
#include "pickle/writer.h"
#include "sim-private.h"
#include "test.h"

void sim_raise(SimClient *c, const char *what)
{
        c->raised = true;
        snprintf(c->reason, sizeof c->reason, "raised: %s", what);
        sim_leave(c, false);
}

static void quit(SimClient *c, const char *why)
{
        snprintf(c->reason, sizeof c->reason, "%s", why);
        sim_leave(c, false);
}

Value *sim_load(Bytes *b)
{
        Value *v = NULL;
        assert_int_equal(pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL), 0);
        return v;
}

/* ---- graph ---- */

SimNode *sim_find(const SimClient *c, const void *uuid, size_t size)
{
        for (size_t i = 0; i < c->n_nodes; i++)
                if (c->nodes[i].uuid->size == size && memcmp(c->nodes[i].uuid->data, uuid, size) == 0)
                        return &c->nodes[i];
        return NULL;
}

SimNode *sim_find_text(const SimClient *c, const char *uuid)
{
        return sim_find(c, uuid, strlen(uuid));
}

static void node_done(SimNode *n)
{
        bytes_unref(n->uuid);
        bytes_unref(n->owner);
        value_unref(n->data);
        value_unref(n->dependencies);
}

void sim_client_clear(SimClient *c)
{
        for (size_t i = 0; i < c->n_nodes; i++)
                node_done(&c->nodes[i]);
        c->n_nodes = 0;
        c->catalog = value_unref(c->catalog);
        c->wanted = bytes_unref(c->wanted);
        c->users = value_unref(c->users);
        sim_queue_clear(&c->late);
}

SimNode *sim_add_node(SimClient *c, Bytes *uuid, Bytes *owner, Value *data, Value *dependencies)
{
        if (c->n_nodes == c->n_allocated) {
                c->n_allocated = c->n_allocated * 2 + 16;
                c->nodes = reallocarray(c->nodes, c->n_allocated, sizeof *c->nodes);
        }
        SimNode *n = &c->nodes[c->n_nodes++];
        *n = (SimNode){ .uuid = uuid, .owner = owner, .data = data, .dependencies = dependencies };
        return n;
}

static void remove_node(SimClient *c, SimNode *n)
{
        node_done(n);
        size_t i = (size_t)(n - c->nodes);
        memmove(c->nodes + i, c->nodes + i + 1, (c->n_nodes - i - 1) * sizeof *c->nodes);
        c->n_nodes--;
}

/* Repository.do_commit(); false when it raises. */
static bool do_commit(SimClient *c, Frames *f)
{
        Value *type = sim_load(f->frame[0]);
        bool is_node = value_int_get(type) == 2;
        value_unref(type);
        SimNode *n = sim_find(c, f->frame[1]->data, f->frame[1]->size);
        if (is_node) {
                Value *data = sim_load(f->frame[4]), *dependencies = sim_load(f->frame[3]);
                if (!n) {
                        sim_add_node(c, bytes_ref(f->frame[1]), bytes_ref(f->frame[2]), data, dependencies);
                        return true;
                }
                value_unref(n->data);
                value_unref(n->dependencies);
                n->data = data;
                n->dependencies = dependencies;
                return true;
        }
        if (!n)
                return true;
        if (delta_apply(&n->data, f->frame[3], &pickle_limits_default, NULL) != 0)
                return false;
        value_unref(n->dependencies);
        n->dependencies = sim_load(f->frame[2]);
        return true;
}

/* ---- commands ---- */

static void get_next(SimClient *c)
{
        uint32_t last = value_list_length(c->catalog) - 1;
        Value *uuid = NULL;
        value_list_remove(c->catalog, last, &uuid);
        bytes_unref(c->wanted);
        c->wanted = value_to_bytes(uuid);
        Value *data = value_dict_new();
        sim_put(data, "STATE", value_string_new("GET"));
        sim_put(data, "ID", uuid);
        sim_command(c, 7, c->name, data);
}

static void snapshot_set(SimClient *c, const Value *data)
{
        const Value *node = value_dict_get_string(data, "DATA");
        if (!c->wanted) {
                sim_raise(c, "a node without a catalog");
                return;
        }
        if (value_type(node) == VALUE_BYTES) {
                c->n_removed++;
        } else {
                Bytes *parts[5];
                for (uint32_t i = 0; i < 5; i++)
                        parts[i] = value_to_bytes(value_list_get(node, i));
                Frames *f = frames_new(parts, 5);
                bool right = c->wanted && bytes_equal(parts[1], c->wanted);
                if (right)
                        do_commit(c, f);
                frames_unref(f);
                if (!right)
                        return;
        }
        if (value_list_length(c->catalog) > 0) {
                get_next(c);
                return;
        }
        while (c->late.n > 0) {
                Frames *f = sim_queue_pop(&c->late);
                bool good = do_commit(c, f);
                frames_unref(f);
                if (!good) {
                        sim_raise(c, "a late update does not apply");
                        return;
                }
        }
        sim_command(c, 7, c->name, sim_put(value_dict_new(), "STATE", value_string_new("DONE")));
        c->state = SIM_ACTIVE;
}

static void on_snapshot(SimClient *c, const Value *data)
{
        if (c->state != SIM_SYNCING && c->state != SIM_LOBBY) {
                sim_raise(c, "Snapshot in the wrong state");
                return;
        }
        const Value *state = value_dict_get_string(data, "STATE");
        if (value_is_string_equal(state, "INIT")) {
                c->n_catalogs++;
                value_unref(c->catalog);
                c->catalog = value_ref(value_dict_get_string(data, "CATALOG"));
                sim_queue_clear(&c->late);
                if (value_list_length(c->catalog) == 0) {
                        sim_raise(c, "empty catalog");
                        return;
                }
                c->state = SIM_SYNCING;
                get_next(c);
        } else {
                snapshot_set(c, data);
        }
}

void sim_send_init_nodes(SimClient *c)
{
        for (size_t i = 0; i < c->n_nodes; i++) {
                Frames *f = sim_node_frames(&c->nodes[i]);
                Value *list = value_list_new();
                for (size_t j = 0; j < 5; j++) {
                        Value *part = value_bytes_new(f->frame[j]->data, f->frame[j]->size);
                        value_list_append(list, part);
                        value_unref(part);
                }
                frames_unref(f);
                Value *data = sim_put(value_dict_new(), "STATE", value_string_new("SET"));
                sim_command(c, 8, "server", sim_put(data, "DATA", list));
        }
        sim_command(c, 8, "server", sim_put(value_dict_new(), "STATE", value_string_new("END")));
}

static void on_server_snapshot(SimClient *c, const Value *data)
{
        if (c->state != SIM_SRV_SYNC) {
                sim_raise(c, "ServerSnapshot in the wrong state");
                return;
        }
        const Value *state = value_dict_get_string(data, "STATE");
        snprintf(c->last_answer, sizeof c->last_answer, "%.*s", (int)value_size(state), value_data(state));
        if (value_is_string_equal(state, "ACCEPTED"))
                sim_send_init_nodes(c);
        else if (value_is_string_equal(state, "DONE"))
                c->state = SIM_ACTIVE;
        else
                c->state = SIM_LOBBY;
}

static void on_auth(SimClient *c, const Value *data)
{
        if (c->state != SIM_AUTH) {
                sim_raise(c, "Auth in the wrong state");
                return;
        }
        snprintf(c->last_answer, sizeof c->last_answer, "%.*s", (int)value_size(data), value_data(data));
        bool lobby = strstr(c->last_answer, "LOBBY"), running = strstr(c->last_answer, "RUNNING");
        if ((lobby || running) && !(c->users && value_dict_get_string(c->users, c->name))) {
                sim_raise(c, "let in without a table of users");
                return;
        }
        if (lobby || running)
                c->state = SIM_LOBBY;
        if (running)
                sim_command(c, 7, c->name, sim_put(value_dict_new(), "STATE", value_string_new("REQUEST_INIT")));
        if (strstr(c->last_answer, "FAILED"))
                quit(c, c->last_answer);
}

static void on_delete(SimClient *c, const Value *uuid)
{
        c->n_deletes++;
        SimNode *gone = sim_find(c, value_data(uuid), value_size(uuid));
        if (!gone)
                return;
        for (size_t i = 0; i < c->n_nodes; i++) {
                Value *list = c->nodes[i].dependencies;
                for (uint32_t j = 0; value_is_list(list) && j < value_list_length(list); j++) {
                        if (!value_key_equal(value_list_get(list, j), uuid))
                                continue;
                        value_list_remove(list, j, NULL);
                        break;
                }
        }
        remove_node(c, gone);
}

static void on_right(SimClient *c, const Value *data)
{
        c->n_rights++;
        const Value *uuids = value_dict_get_string(data, "uuid"), *owner = value_dict_get_string(data, "owner");
        for (uint32_t i = 0; i < value_list_length(uuids); i++) {
                const Value *uuid = value_list_get(uuids, i);
                SimNode *n = sim_find(c, value_data(uuid), value_size(uuid));
                if (!n)
                        continue;
                bytes_unref(n->owner);
                n->owner = value_to_bytes(owner);
        }
}

void sim_client_command(SimClient *c, Frames *f)
{
        assert_int_equal(f->n_frames, 3);
        Value *type = sim_load(f->frame[0]), *data = sim_load(f->frame[2]);
        switch (value_int_get(type)) {
        case 4:
                on_delete(c, data);
                break;
        case 5:
                on_right(c, data);
                break;
        case 7:
                on_snapshot(c, data);
                break;
        case 8:
                on_server_snapshot(c, data);
                break;
        case 9:
                on_auth(c, data);
                break;
        case 10:
                quit(c, "told to disconnect");
                break;
        case 12:
                c->n_tables++;
                value_unref(c->users);
                c->users = value_ref(data);
                break;
        case 13: {
                Value *owner = value_str_new(f->frame[1]->data, f->frame[1]->size);
                Value *user = c->users ? value_dict_get(c->users, owner) : NULL;
                if (user) {
                        Value *metadata = value_dict_get_string(user, "metadata");
                        for (uint32_t slot = value_table_first(data); slot != VALUE_SLOT_END;
                             slot = value_table_next(data, slot))
                                value_dict_set(metadata, value_table_key(data, slot), value_dict_value(data, slot), NULL);
                } else {
                        sim_raise(c, "metadata of an unknown user");
                }
                value_unref(owner);
                break;
        }
        default:
                fail_msg("the server sent a command of type %d", (int)value_int_get(type));
        }
        value_unref(type);
        value_unref(data);
}

void sim_client_data(SimClient *c, Frames *f)
{
        c->n_data++;
        if (c->state == SIM_SYNCING) {
                sim_queue_push(&c->late, 0, frames_ref(f));
        } else if (c->state == SIM_ACTIVE) {
                if (!do_commit(c, f))
                        sim_raise(c, "a Commit does not apply");
                else if (!sim_find(c, f->frame[1]->data, f->frame[1]->size)) {
                        char what[96];
                        snprintf(what, sizeof what, "a Commit for an unknown node, %.*s", (int)MIN(f->frame[1]->size, (size_t)40),
                                 f->frame[1]->data);
                        sim_raise(c, what);
                }
        }
}
