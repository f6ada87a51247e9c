/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Traffic recorded between real clients and the reference server, the clients' half of it played to a session: every
 * message must be taken, and who joins in the end must be handed the nodes that the reference handed out.
 */
#include <errno.h>
#include <stdio.h>

#include "pickle/reader.h"
#include "session/session.h"
#include "shared.h"
#include "test.h"

typedef struct Play {
        Session *session;
        uint64_t now;
        Value *reference, *ours; /* uuid -> [owner, dependencies, data] of every SET */
        size_t n_messages, n_relayed, n_malformed, n_refused;
} Play;

static Value *load(Bytes *b)
{
        Value *v;
        assert_int_equal(pickle_read(b, PICKLE_PROFILE_DATA, &pickle_limits_default, &v, NULL), 0);
        return v;
}

/* A Snapshot SET: notes the node. */
static void note_set(Value *into, Bytes *const *frames, size_t n)
{
        if (n != 3 || frames[0]->size != 5 || frames[0]->data[3] != 7)
                return;
        _cleanup_value_ Value *command = load(frames[2]);
        const Value *data = value_dict_get_string(command, "DATA");
        if (!data || !value_is_list(data))
                return;
        Value *node = value_list_new(), *uuid = NULL;
        for (uint32_t i = 1; i < 5; i++) {
                _cleanup_bytes_ Bytes *part = value_to_bytes(value_list_get(data, i));
                Value *v = i >= 3 ? load(part) : value_str_new(part->data, part->size);
                if (i == 1)
                        uuid = v;
                else
                        value_list_append(node, v);
                if (i != 1)
                        value_unref(v);
        }
        assert_true(value_dict_set(into, uuid, node, NULL) >= 0);
        value_unref(uuid);
        value_unref(node);
}

static void run_effects(Play *p, EffectList *effects)
{
        for (size_t i = 0; i < effects->n_items; i++) {
                const Effect *e = &effects->items[i];
                if (e->kind == EFFECT_SEND && e->send.channel == CHANNEL_COMMAND)
                        note_set(p->ours, e->send.frames->frame, e->send.frames->n_frames);
                p->n_relayed += e->kind == EFFECT_SEND && e->send.class == SEND_BULK;
                p->n_refused += e->kind == EFFECT_JOURNAL && e->journal.record.refused;
        }
        for (size_t i = 0; i < effects->n_items; i++) {
                Effect *e = &effects->items[i];
                if (e->kind != EFFECT_ENCODE)
                        continue;
                _cleanup_bytes_ Bytes *payload = NULL;
                EffectList more = {};
                assert_int_equal(scene_fold_run(e->encode.fold, &payload), 0);
                SessionTime t = { p->now, p->now };
                assert_int_equal(session_encoded(p->session, t, e->encode.node_id, e->encode.version, payload, NULL, &more), 0);
                run_effects(p, &more);
                effect_list_done(&more);
        }
        effect_list_clear(effects);
}

static uint64_t number(FILE *f, size_t size)
{
        uint8_t bytes[8] = {};
        uint64_t n = 0;
        assert_int_equal(fread(bytes, 1, size, f), size);
        while (size-- > 0)
                n = n << 8 | bytes[size];
        return n;
}

static void play(Play *p, FILE *f)
{
        EffectList effects = {};
        for (int channel; (channel = getc(f)) != EOF;) {
                bool from_server = number(f, 1);
                size_t n = number(f, 2);
                RoutingId id = { .size = 16 };
                id.bytes[0] = (uint8_t)number(f, 4);
                uint64_t when = number(f, 8) + 1000000;
                Bytes *frames[FRAMES_MAX] = {};
                assert_true(n <= FRAMES_MAX);
                for (size_t i = 0; i < n; i++) {
                        uint8_t *data;
                        size_t size = number(f, 4);
                        frames[i] = bytes_new_uninitialised(size, &data);
                        assert_int_equal(fread(data, 1, size, f), size);
                }
                p->now = MAX(p->now, when);
                SessionTime t = { p->now, p->now };
                if (from_server) {
                        if (channel == CHANNEL_COMMAND)
                                note_set(p->reference, frames, n);
                } else {
                        p->n_messages++;
                        assert_int_equal(session_receive(p->session, t, channel, &id, "192.0.2.1", frames, n, &effects), 0);
                        run_effects(p, &effects);
                        uint64_t next;
                        assert_int_equal(session_tick(p->session, t, &effects, &next), 0);
                        run_effects(p, &effects);
                }
                for (size_t i = 0; i < n; i++)
                        bytes_unref(frames[i]);
        }
        effect_list_done(&effects);
}

static void check_capture(const char *name, const char *server_password, size_t n_sets)
{
        _cleanup_free_ char *folder = shared_path("captures"), *path = NULL;
        assert_true(asprintf(&path, "%s/%s.frames", folder, name) > 0);
        FILE *f = fopen(path, "rbe");
        assert_non_null(f);
        static const char *const versions[] = { "0.9.10", NULL };
        SessionConfig config = {
                .server_password = server_password,
                .admin_password = "admin",
                .accepted_versions = versions,
                .timeout_usec = 10000000,
                .reconnect_grace_usec = 10000000,
                .max_users = 10,
                .max_user_name = 63,
                .max_metadata = 64 << 10,
                .max_nodes = 10000,
                .max_init_bytes = 1 << 30,
                .max_node_bytes = 256 << 20,
                .graph_cache_bytes = 64 << 20,
                .pickle_limits = pickle_limits_default,
        };
        Play p = { .reference = value_dict_new(), .ours = value_dict_new() };
        assert_int_equal(session_new(&p.session, &config), 0);
        char magic[8];
        assert_int_equal(fread(magic, 1, 8, f), 8);
        play(&p, f);
        fclose(f);
        SessionStatus status;
        session_get_status(p.session, &status);
        print_message("# %s: %zu messages, %zu data messages sent, %zu nodes compared\n", name, p.n_messages, p.n_relayed,
                      (size_t)value_table_length(p.ours));
        assert_int_equal(status.n_malformed, 0);
        assert_int_equal(status.n_diverged, 0);
        assert_int_equal(p.n_refused, 0);
        assert_int_equal(value_table_length(p.reference), n_sets);
        assert_int_equal(value_equal(p.reference, p.ours), 1);
        value_unref(p.reference);
        value_unref(p.ours);
        session_free(p.session);
}

static void test_login_and_init(void **state)
{
        check_capture("auth_and_init", "geheim", 0);
}

static void test_edits_then_join(void **state)
{
        check_capture("edit_session_then_join", NULL, 81);
}

static void test_two_users(void **state)
{
        check_capture("gui_two_users", NULL, 85);
}

static void test_big_mesh_then_join(void **state)
{
        check_capture("big_mesh_then_join", NULL, 14);
}

static void test_list_opcodes(void **state)
{
        check_capture("fcurve_list_opcodes", NULL, 0);
}

int main(void)
{
        if (shared_is_absent("captures"))
                return 0;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_login_and_init),
                cmocka_unit_test(test_edits_then_join),
                cmocka_unit_test(test_two_users),
                cmocka_unit_test(test_big_mesh_then_join),
                cmocka_unit_test(test_list_opcodes),
        };
        return cmocka_run_group_tests_name("session-captures", tests, NULL, NULL);
}
