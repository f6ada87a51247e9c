/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-scenario.h"

#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KIND_NODE 1
#define KIND_DELETE 3

static void make_key(unsigned i, char ret[static 8])
{
        snprintf(ret, 8, "node-%u", i % 100);
}

/* Values come back after a while, so that deduplication has something to find. */
static Bytes *make_payload(unsigned key, unsigned value)
{
        uint8_t *data;
        size_t size = value % 3 == 0 ? 900 : 60;
        Bytes *b = bytes_new_uninitialised(size, &data);

        assert_non_null(b);
        memset(data, 'a' + (int)(value % 7), size);
        memcpy(data, &key, sizeof(key));
        return b;
}

static bool stopped(const Scenario *sc)
{
        return sc->fault && sc->fault->dead;
}

static void note(Scenario *sc)
{
        if (!sc->fault || !sc->fault->log)
                return;
        sc->acknowledged = realloc(sc->acknowledged, (sc->n_acknowledged + 1) * sizeof(*sc->acknowledged));
        assert_non_null(sc->acknowledged);
        sc->acknowledged[sc->n_acknowledged].step = fault_io_record_size(sc->fault);
        sc->acknowledged[sc->n_acknowledged].durable = sc->durable;
        sc->acknowledged[sc->n_acknowledged].n_written = sc->n_written;
        sc->n_acknowledged++;
}

static void on_durable(void *userdata, uint64_t sequence)
{
        Scenario *sc = CONTAINER_OF(userdata, Scenario, fixture);

        sc->durable = MAX(sc->durable, sequence);
        note(sc);
}

static void on_moved(void *userdata, uint64_t segment)
{
        Scenario *sc = CONTAINER_OF(userdata, Scenario, fixture);

        sc->n_moved++;
        for (unsigned i = 0; i < SCENARIO_KEYS; i++)
                if (sc->at[i].segment == segment)
                        (void)store_location_refresh(sc->fixture.store, &sc->at[i]);
}

void scenario_init(Scenario *sc, FaultIo *fault)
{
        memset(sc, 0, sizeof(*sc));
        sc->fault = fault;
        fixture_init(&sc->fixture, false);
        assert_int_equal(worker_new_inline(&sc->fixture.writer), 0);
        sc->fixture.options.io = fault ? &fault->io : NULL;
        sc->fixture.options.segment_size = 4096;
        sc->fixture.options.retry_usec = 1;
        sc->fixture.options.retention.newest = 3;
        sc->fixture.options.events.durable = on_durable;
        sc->fixture.options.events.segment_moved = on_moved;
}

void scenario_done(Scenario *sc)
{
        fixture_done(&sc->fixture);
        free(sc->acknowledged);
}

/* value 0, without a payload: it is deleted. */
static void append_payload(Scenario *sc, unsigned key, unsigned value, Bytes *blob)
{
        char name[8];
        StoreRecord record = { .kind = blob ? KIND_NODE : KIND_DELETE, .key = name };
        uint64_t sequence;
        int r;

        make_key(key, name);
        record.key_size = strlen(name);
        record.blob = blob;
        r = store_append(sc->fixture.store, &record, &sequence, &sc->at[key]);
        assert_true(r == 0 || r == STORE_HELD);
        assert_int_equal(sequence, sc->appended + 1);
        assert_true(sequence < SCENARIO_RECORDS_MAX);
        memcpy(sc->value[sequence], sc->value[sc->appended], sizeof(sc->value[0]));
        sc->value[sequence][key] = value;
        sc->dirty[key] = true;
        sc->appended = sequence;
}

static void append(Scenario *sc, unsigned key, bool deleted)
{
        unsigned value = deleted ? 0 : ++sc->next_value;
        _cleanup_bytes_ Bytes *blob = deleted ? NULL : make_payload(key, value);

        append_payload(sc, key, value, blob);
}

/* As the loop does it: what goes to the writer may be written later. */
static void commit_soon(Scenario *sc)
{
        if (store_commit(sc->fixture.store) == 0 && !stopped(sc))
                sc->committed = sc->appended;
}

static void commit(Scenario *sc)
{
        while (store_commit(sc->fixture.store) == STORE_WRITING)
                worker_drain(sc->fixture.writer, true);
        commit_soon(sc);
}

static void sync_all(Scenario *sc)
{
        for (unsigned i = 0; i < 20 && !stopped(sc); i++) {
                commit(sc);
                store_sync_begin(sc->fixture.store);
                worker_drain(sc->fixture.worker, false);
                if (store_durable_sequence(sc->fixture.store) == sc->appended)
                        break;
        }
}

typedef struct Entry {
        unsigned key;
        unsigned value;
} Entry;

static int materialise(void *userdata, Bytes **ret)
{
        const Entry *e = userdata;

        *ret = make_payload(e->key, e->value);
        return 0;
}

static void on_materialised(void *userdata, void *entry_userdata, const StoreLocation *blob)
{
        Scenario *sc = userdata;
        const Entry *e = entry_userdata;

        if (sc->value[sc->appended][e->key] == e->value)
                sc->at[e->key] = *blob;
}

static void on_snapshot(void *userdata, const StoreSnapshotResult *result)
{
        Scenario *sc = userdata;

        if (result->error == 0 && !stopped(sc)) {
                sc->n_snapshots++;
                sc->n_written += !result->unchanged;
                note(sc);
        }
}

static void add_nodes(Scenario *sc, StoreSnapshot *sn, bool all, unsigned materialise_key)
{
        for (unsigned i = 0; i < SCENARIO_KEYS; i++) {
                char name[8];
                StoreEntry e = { .key = (const uint8_t *)name,
                                 .owner = (const uint8_t *)"COMMON",
                                 .owner_size = 6 };

                if (!all && !sc->dirty[i])
                        continue;
                sc->dirty[i] = false;
                make_key(i, name);
                e.key_size = strlen(name);
                e.blob = sc->at[i];
                if (sc->value[sc->appended][i] == 0) {
                        if (!all)
                                assert_int_equal(store_snapshot_remove(sn, name, e.key_size), 0);
                } else if (i == materialise_key) {
                        Entry *entry = malloc(sizeof(Entry));

                        *entry = (Entry){ i, sc->value[sc->appended][i] };
                        assert_int_equal(store_snapshot_add_materialised(sn, &e, materialise, entry, free), 0);
                } else
                        assert_int_equal(store_snapshot_add(sn, &e), 0);
        }
}

static void snapshot(Scenario *sc, unsigned materialise_key)
{
        bool all = store_snapshot_wants_all(sc->fixture.store);
        StoreSnapshotParameters p = { .reason = "test", .initialized = true };
        StoreSnapshot *sn;

        if (stopped(sc))
                return;
        for (unsigned i = 0; i < SCENARIO_KEYS; i++)
                p.node_count += sc->value[sc->appended][i] > 0;
        assert_int_equal(store_snapshot_begin(sc->fixture.store, &p, all, &sn), 0);
        add_nodes(sc, sn, all, materialise_key);
        store_snapshot_submit(sn, on_materialised, on_snapshot, sc);
        fixture_drain(&sc->fixture);
        commit(sc);
}

/* A failing disk may keep a store from opening; nothing is lost by trying again. */
static bool open_again(Scenario *sc)
{
        Store **s = &sc->fixture.store;

        for (unsigned i = 0; i < 3 && !*s && !stopped(sc); i++)
                if (store_open(&sc->fixture.options, s, NULL) < 0)
                        *s = NULL;
        return *s && !stopped(sc);
}

/* Goes on from what is there, as a server would. */
static void load(Scenario *sc)
{
        _cleanup_store_load_ StoreLoad *l = NULL;
        StoreRecordView v;
        StoreEntry e;
        int r;

        r = store_load_begin(sc->fixture.store, NULL, &l);
        if (r < 0) {
                assert_true(sc->fault != NULL);
                return;
        }
        while (store_load_next_entry(l, &e) > 0)
                sc->at[e.key[5] - '0'] = e.blob;
        while (store_load_next_record(l, &v) > 0)
                if (v.kind == KIND_NODE)
                        sc->at[v.key[5] - '0'] = v.blob;
}

static void change_some(Scenario *sc, unsigned n)
{
        for (unsigned i = 0; i < n && !stopped(sc); i++) {
                unsigned key = (sc->next_value * 5 + i) % SCENARIO_KEYS;

                append(sc, key, sc->value[sc->appended][key] > 0 && (sc->next_value + i) % 11 == 10);
                if (i % 4 == 0)
                        commit(sc);
                else if (i % 2 == 0)
                        commit_soon(sc);
        }
        commit(sc);
}

typedef struct Found {
        bool present[SCENARIO_KEYS];
        Bytes *payload[SCENARIO_KEYS];
} Found;

static const char *take(Store *s, Found *found, const uint8_t *key, size_t key_size, const StoreLocation *blob)
{
        unsigned i;

        if (key_size != 6 || memcmp(key, "node-", 5) != 0 || key[5] < '0' || key[5] >= '0' + (int)SCENARIO_KEYS)
                return "a key that was never stored";
        i = key[5] - '0';
        found->payload[i] = bytes_unref(found->payload[i]);
        found->present[i] = blob != NULL;
        if (blob && store_blob_get_verified(s, blob, &found->payload[i]) < 0)
                return "a payload is not there or damaged";
        return NULL;
}

static void found_done(Found *found)
{
        for (unsigned i = 0; i < SCENARIO_KEYS; i++)
                bytes_unref(found->payload[i]);
}

/* `point` NULL: all there is. */
static const char *read_all(Store *s, const StorePoint *point, Found *found)
{
        _cleanup_store_load_ StoreLoad *l = NULL;
        const char *wrong = NULL;
        StoreRecordView v;
        StoreEntry e;
        int r;

        if (store_load_begin(s, point, &l) < 0)
                return "it cannot be loaded";
        while (!wrong && (r = store_load_next_entry(l, &e)) > 0)
                wrong = take(s, found, e.key, e.key_size, &e.blob);
        while (!wrong && (r = store_load_next_record(l, &v)) > 0)
                wrong = r == STORE_LOAD_GAP
                                ? "records are missing"
                                : take(s, found, v.key, v.key_size, v.kind == KIND_NODE ? &v.blob : NULL);
        return wrong;
}

static const char *compare(const Scenario *sc, const Found *found, uint64_t sequence)
{
        for (unsigned i = 0; i < SCENARIO_KEYS; i++) {
                unsigned value = sc->value[sequence][i];
                _cleanup_bytes_ Bytes *expected = value > 0 ? make_payload(i, value) : NULL;

                if (found->present[i] != (value > 0))
                        return value > 0 ? "a node is missing" : "a node is there that was deleted";
                if (value > 0 && !bytes_equal(expected, found->payload[i]))
                        return "a node has another value than the model";
        }
        return NULL;
}

/* Back to how everything was, the way the server does it: all is read, and what differs is appended and saved. */
static void restore(Scenario *sc, const StorePoint *point, uint64_t sequence)
{
        Found found = { 0 };
        const char *wrong = stopped(sc) ? "stopped" : read_all(sc->fixture.store, point, &found);

        if (!wrong) {
                wrong = compare(sc, &found, sequence);
                if (wrong)
                        fail_msg("restored to record %lu: %s", (unsigned long)sequence, wrong);
                sc->n_restored++;
        } else if (!sc->fault || !sc->fault->hit)
                fail_msg("cannot be restored to record %lu: %s", (unsigned long)sequence, wrong);
        for (unsigned i = 0; i < SCENARIO_KEYS && !wrong && !stopped(sc); i++) {
                unsigned value = sc->value[sequence][i];

                if (value != sc->value[sc->appended][i])
                        append_payload(sc, i, value, found.payload[i]);
                if (i % 2 == 1)
                        commit_soon(sc);
        }
        commit(sc);
        if (!wrong && !stopped(sc))
                assert_memory_equal(sc->value[sc->appended], sc->value[sequence], sizeof(sc->value[0]));
        found_done(&found);
        snapshot(sc, SCENARIO_KEYS);
}

static void restore_snapshot(Scenario *sc)
{
        StoreSnapshotInfo info, *list;
        size_t n;

        if (stopped(sc) || store_snapshot_list(sc->fixture.store, &list, &n) < 0)
                return;
        if (n > 1) {
                info = list[n - 2]; /* the oldest may be let go while it is read */
                restore(sc, &(StorePoint){ .snapshot = info.name }, info.sequence);
        }
        for (size_t i = 0; i < n; i++)
                store_snapshot_info_done(&list[i]);
        free(list);
}

static void restore_record(Scenario *sc)
{
        uint64_t sequence = sc->appended - 2;

        change_some(sc, 1);
        restore(sc, &(StorePoint){ .sequence = sequence }, sequence);
}

/* A killed process syncs nothing; what it had committed is in the kernel and, until the next life syncs it,
 * nowhere else. */
static void end_life(Scenario *sc, bool killed)
{
        StoreStats stats;

        store_get_stats(sc->fixture.store, &stats);
        sc->reclaimed_bytes += stats.reclaimed_bytes;
        killed = killed && sc->fault && !stopped(sc) && sc->committed == sc->appended;
        if (killed)
                sc->fault->dead = true;
        fixture_close(&sc->fixture);
        if (killed) {
                sc->fault->dead = false;
                memset(sc->fixture.n_problems, 0, sizeof(sc->fixture.n_problems)); /* nobody lives to tell */
        }
}

void scenario_run(Scenario *sc)
{
        for (unsigned life = 0; life < 3; life++) {
                /* In one of the lives everything goes to the writer. */
                sc->fixture.options.writer = life == 1 ? sc->fixture.writer : NULL;
                sc->fixture.options.direct_bytes = 1;
                if (!open_again(sc))
                        break;
                if (life > 0 && store_sequence(sc->fixture.store) != sc->appended)
                        fail_msg("opened at record %lu of %lu, faulty call %lu: %s",
                                 (unsigned long)store_sequence(sc->fixture.store), (unsigned long)sc->appended,
                                 sc->fault ? (unsigned long)sc->fault->at : 0, sc->fixture.last_problem);
                if (life > 0)
                        load(sc);
                change_some(sc, 4);
                sync_all(sc);
                for (unsigned i = 0; i < 4 && !stopped(sc); i++) {
                        change_some(sc, 5);
                        snapshot(sc, i % 2 == 0 ? i : SCENARIO_KEYS);
                        if (i == 2)
                                restore_snapshot(sc);
                        if (i == 1 && !stopped(sc))
                                (void)store_snapshot_pin(sc->fixture.store, "latest", life == 0, life == 0 ? "first" : NULL);
                }
                change_some(sc, 3);
                sync_all(sc);
                restore_record(sc);
                change_some(sc, 2);
                end_life(sc, life == 0 && !sc->end_cleanly);
        }
        fixture_close(&sc->fixture);
}

/* ---- checking ---- */

static const char *check_opened(const Scenario *sc, Store *s, uint64_t at_least)
{
        uint64_t sequence = store_valid_sequence(s);
        Found found = { 0 };
        const char *wrong;

        if (sequence < at_least)
                return "records that were promised are missing";
        if (sequence > sc->appended)
                return "it has more records than were appended";
        wrong = read_all(s, NULL, &found);
        if (!wrong)
                wrong = compare(sc, &found, sequence);
        found_done(&found);
        return wrong;
}

/* Every moment that is listed can be had back, and the newest three that were ever said to be saved are. A power cut may
 * fall into the removal of an older one, of which any part can be gone then. */
static const char *check_snapshots(const Scenario *sc, Store *s, unsigned n_written)
{
        const char *wrong = NULL;
        StoreSnapshotInfo *list;
        size_t n;

        if (store_snapshot_list(s, &list, &n) < 0)
                return "its snapshots cannot be listed";
        for (size_t i = 0; i < n; i++) {
                bool kept = i < RETENTION_VERIFIED_MIN || list[i].pinned || !sc->fault->log;
                Found found = { 0 };

                if (!wrong && kept)
                        wrong = read_all(s, &(StorePoint){ .snapshot = list[i].name }, &found);
                if (!wrong && kept && compare(sc, &found, list[i].sequence))
                        wrong = "a snapshot has another value than the model";
                found_done(&found);
                store_snapshot_info_done(&list[i]);
        }
        free(list);
        if (!wrong && n < MIN(n_written, (unsigned)RETENTION_VERIFIED_MIN))
                wrong = "snapshots are missing";
        return wrong;
}

/* What follows a recovery must be found as well, and nothing of what was cut may come back. */
static const char *go_on(StoreOptions *options, Store **s)
{
        _cleanup_store_load_ StoreLoad *l = NULL;
        StoreRecord record = { .kind = 77, .key = "after", .key_size = 5 };
        uint64_t sequence;
        StoreRecordView v;
        int r, last = 0;

        if (store_append(*s, &record, &sequence, NULL) != 0 || store_commit(*s) != 0)
                return "it cannot be written to";
        *s = store_close(*s);
        if (store_open(options, s, NULL) < 0)
                return "it cannot be opened after going on";
        if (store_load_begin(*s, NULL, &l) < 0)
                return "it cannot be loaded after going on";
        while ((r = store_load_next_record(l, &v)) > 0) {
                if (r == STORE_LOAD_GAP)
                        return "records are missing after going on";
                last = v.kind;
                if (v.kind == 77 && v.sequence != sequence)
                        return "a record has changed its number";
        }
        return last == 77 ? NULL : "what was appended after recovery is missing";
}

/* Nothing depends on it, and it may be an older one, but whoever reads it should find it whole. */
static const char *check_metadata(const char *path)
{
        char file[128];
        struct json_object *o;

        snprintf(file, sizeof(file), "%s/session_metadata.json", path);
        if (access(file, F_OK) < 0)
                return NULL;
        o = json_object_from_file(file);
        if (!json_object_get_string(json_object_object_get(o, "snapshot")))
                return "session_metadata.json is not whole";
        json_object_put(o);
        return NULL;
}

const char *scenario_check(const Scenario *sc, const char *path, uint64_t at_least, unsigned n_written)
{
        _cleanup_worker_ Worker *worker = NULL;
        _cleanup_store_ Store *s = NULL;
        StoreOptions options = sc->fixture.options;
        const char *wrong;

        if (worker_new_inline(&worker) < 0)
                return "no memory";
        wrong = check_metadata(path);
        if (wrong)
                return wrong;
        options.path = path;
        options.io = NULL;
        options.worker = worker;
        options.writer = NULL;
        options.flags = STORE_OPEN_ADOPT_COPY;
        options.events = (StoreEvents){ 0 };
        if (store_open(&options, &s, NULL) < 0)
                return "it cannot be opened";
        wrong = check_opened(sc, s, at_least);
        if (!wrong)
                wrong = check_snapshots(sc, s, n_written);
        if (!wrong)
                wrong = go_on(&options, &s);
        s = store_close(s);
        return wrong;
}
