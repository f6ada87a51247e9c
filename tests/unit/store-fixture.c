/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-fixture.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Fixture *current; /* whose clock it is */

static uint64_t fixture_now(void)
{
        return current->now_usec++;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void remove_tree(const char *path)
{
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *copy_from, *copy_to;

static int copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        char target[512], buffer[65536];
        FILE *in, *out;
        size_t n;

        snprintf(target, sizeof(target), "%s%s", copy_to, path + strlen(copy_from));
        if (type == FTW_D)
                return mkdir(target, 0700) < 0 && errno != EEXIST;
        in = fopen(path, "re");
        out = fopen(target, "we");
        assert_non_null(in);
        assert_non_null(out);
        while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
                assert_int_equal(fwrite(buffer, 1, n, out), n);
        fclose(in);
        fclose(out);
        return 0;
}

void copy_tree(const char *from, const char *to)
{
        copy_from = from;
        copy_to = to;
        assert_int_equal(nftw(from, copy_one, 16, FTW_PHYS), 0);
}

static void on_problem(void *userdata, StoreLevel level, const char *damaged, const char *text)
{
        Fixture *f = userdata;

        f->n_problems[level]++;
        snprintf(f->last_problem, sizeof(f->last_problem), "%s", text);
        if (getenv("TEST_VERBOSE"))
                printf("# %d %s\n", level, text);
}

static void on_durable(void *userdata, uint64_t sequence)
{
        Fixture *f = userdata;

        assert_true(sequence > f->durable);
        f->durable = sequence;
}

static void on_degraded(void *userdata, StoreLevel level, const char *reason)
{
        Fixture *f = userdata;

        f->degraded = reason;
        f->n_degraded++;
        f->degraded_level = level;
}

static void on_moved(void *userdata, uint64_t segment)
{
        ((Fixture *)userdata)->n_moved++;
}

void fixture_init(Fixture *f, bool threaded)
{
        /* In memory if possible: these tests sync thousands of times, and what they prove needs no disk. */
        const char *tmp = getenv("TMPDIR") ?: access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

        memset(f, 0, sizeof(*f));
        snprintf(f->path, sizeof(f->path), "%.30s/scenekeep-store-XXXXXX", tmp);
        assert_non_null(mkdtemp(f->path));
        assert_int_equal(threaded ? worker_new(&f->worker) : worker_new_inline(&f->worker), 0);
        f->options = (StoreOptions){
                .path = f->path,
                .worker = f->worker,
                .retention = { .newest = 10 },
                .events = {
                        .problem = on_problem,
                        .durable = on_durable,
                        .degraded = on_degraded,
                        .segment_moved = on_moved,
                        .userdata = f,
                },
        };
}

void fixture_done(Fixture *f)
{
        f->store = store_close(f->store);
        f->writer = worker_free(f->writer);
        f->worker = worker_free(f->worker);
        remove_tree(f->path);
}

int fixture_try_open(Fixture *f, uint32_t flags)
{
        _cleanup_free_ char *error = NULL;
        int r;

        assert_null(f->store);
        f->durable = 0;
        f->degraded = NULL;
        f->options.flags = flags;
        f->options.now_usec = f->now_usec > 0 ? fixture_now : NULL;
        current = f;
        r = store_open(&f->options, &f->store, &error);
        if (r < 0) {
                assert_non_null(error);
                snprintf(f->last_problem, sizeof(f->last_problem), "%s", error);
        } else
                assert_null(error);
        return r;
}

void fixture_open(Fixture *f)
{
        assert_int_equal(fixture_try_open(f, 0), 0);
}

void fixture_close(Fixture *f)
{
        f->store = store_close(f->store);
}

int fixture_append(Fixture *f, uint16_t kind, const char *key, const void *blob, size_t size,
                   StoreLocation *ret_location)
{
        _cleanup_bytes_ Bytes *b = blob ? bytes_new_copy(blob, size) : NULL;
        StoreRecord record = {
                .kind = kind,
                .author = "ana",
                .author_size = 3,
                .key = key,
                .key_size = strlen(key),
                .meta = "m",
                .meta_size = 1,
                .blob = b,
        };

        return store_append(f->store, &record, NULL, ret_location);
}

void fixture_sync(Fixture *f)
{
        assert_int_equal(store_commit(f->store), 0);
        while (store_durable_sequence(f->store) < store_sequence(f->store)) {
                store_sync_begin(f->store);
                worker_drain(f->worker, false);
        }
}

void fixture_drain(Fixture *f)
{
        do {
                worker_drain(f->worker, true);
                if (f->writer)
                        worker_drain(f->writer, true);
        } while (worker_pending(f->worker) > 0);
}

static void on_snapshot_done(void *userdata, const StoreSnapshotResult *result)
{
        Fixture *f = userdata;

        assert_false(f->snapshot_done);
        f->snapshot_done = true;
        f->snapshot_error = result->error;
        f->snapshot_unchanged = result->unchanged;
        f->snapshot_bytes = result->written_bytes;
        f->snapshot_usec = result->worker_usec;
        snprintf(f->snapshot_name, sizeof(f->snapshot_name), "%s", result->info.name);
        assert_true((result->error < 0) == (result->error_text != NULL));
}

int fixture_submit(Fixture *f, StoreSnapshot *sn, StoreMaterialisedFunc materialised)
{
        f->snapshot_done = false;
        store_snapshot_submit(sn, materialised, on_snapshot_done, f);
        worker_drain(f->worker, false);
        assert_true(f->snapshot_done);
        return f->snapshot_error;
}

static void dump_blob(Store *s, FILE *out, const StoreLocation *location, bool damaged)
{
        _cleanup_bytes_ Bytes *blob = NULL;

        if (location->size == 0)
                fprintf(out, " -");
        else if (damaged || store_blob_get_verified(s, location, &blob) < 0)
                fprintf(out, " DAMAGED");
        else
                fprintf(out, " %zu:%.*s", blob->size, (int)MIN(blob->size, (size_t)24),
                        (const char *)blob->data);
}

char *fixture_dump_store(Store *s, const StorePoint *point)
{
        _cleanup_store_load_ StoreLoad *l = NULL;
        StoreRecordView v;
        StoreEntry e;
        char *text;
        size_t size;
        FILE *out;
        int r;

        r = store_load_begin(s, point, &l);
        if (r < 0)
                return NULL;
        out = open_memstream(&text, &size);
        if (store_load_snapshot_state(l))
                fprintf(out, "state %.*s\n", (int)store_load_snapshot_state(l)->size,
                        (const char *)store_load_snapshot_state(l)->data);
        while ((r = store_load_next_entry(l, &e)) > 0) {
                fprintf(out, "node %.*s owner %.*s", (int)e.key_size, (const char *)e.key, (int)e.owner_size,
                        (const char *)e.owner);
                dump_blob(s, out, &e.blob, false);
                fprintf(out, "\n");
        }
        while ((r = store_load_next_record(l, &v)) > 0) {
                if (r == STORE_LOAD_GAP) {
                        fprintf(out, "GAP\n");
                        continue;
                }
                fprintf(out, "%" PRIu64 " kind %u by %.*s key %.*s meta %.*s", v.sequence, v.kind,
                        (int)v.author_size, (const char *)v.author, (int)v.key_size, (const char *)v.key,
                        (int)v.meta_size, (const char *)v.meta);
                dump_blob(s, out, &v.blob, v.blob_damaged);
                fprintf(out, "\n");
        }
        assert_int_equal(r, 0);
        fclose(out);
        return text;
}

char *fixture_dump(Fixture *f, const StorePoint *point)
{
        return fixture_dump_store(f->store, point);
}
