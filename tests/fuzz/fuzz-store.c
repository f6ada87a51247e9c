/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A store whose files say other things than they should. The first byte chooses one of the golden store's files and
 * whether its digests are made to fit again, so that what lies behind them is reached too; then come edits: offset (16
 * bits), number of bytes, the bytes; a number of 0 cuts the file at the offset.
 *
 * Whatever the files say: looking at the store changes nothing; a store that can be opened takes a record and a
 * snapshot, and has both when it is opened again; one that is refused is left as it was.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/digest.h"
#include "store/format.h"
#include "store/load.h"
#include "store/snapshot.h"

#define FILES_MAX 16
#define RECORD_KIND 1

typedef struct File {
        char name[128]; /* in the store */
        uint8_t *data;
        size_t size;
} File;

static File golden[FILES_MAX];
static size_t n_golden;
static char folder[128];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- files ---- */

static void path_of(char ret[static 300], const char *name)
{
        snprintf(ret, 300, "%s/%s", folder, name);
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
        struct stat st;
        FILE *f = fopen(path, "rbe");
        if (!f)
                return NULL;
        assert(fstat(fileno(f), &st) == 0);
        uint8_t *data = malloc((size_t)st.st_size + 1);
        *ret_size = fread(data, 1, (size_t)st.st_size, f);
        fclose(f);
        return data;
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
        char path[300];
        path_of(path, name);
        FILE *f = fopen(path, "wbe");
        assert(f && fwrite(data, 1, size, f) == size);
        fclose(f);
}

static void empty_folder(const char *path)
{
        DIR *dir = opendir(path);
        if (!dir)
                return;
        for (struct dirent *e; (e = readdir(dir));) {
                char name[600];
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                snprintf(name, sizeof name, "%s/%s", path, e->d_name);
                if (e->d_type == DT_DIR) {
                        empty_folder(name);
                        rmdir(name);
                } else
                        unlink(name);
        }
        closedir(dir);
}

static void take_golden(const char *source, const char *sub)
{
        char path[4096];
        struct dirent **entries;
        snprintf(path, sizeof path, "%s/tests/data/store-v1/%s", source, sub);
        int n = scandir(path, &entries, NULL, alphasort);
        assert(n > 0);
        for (int i = 0; i < n; i++) {
                File *f = &golden[n_golden];
                char name[4400];
                struct stat st;
                snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
                assert(stat(name, &st) == 0);
                if (S_ISREG(st.st_mode) && st.st_size > 0) {
                        assert(n_golden < FILES_MAX);
                        snprintf(f->name, sizeof f->name, "%s%s%.60s", sub, *sub ? "/" : "", entries[i]->d_name);
                        f->data = read_file(name, &f->size);
                        n_golden++;
                }
                free(entries[i]);
        }
        free(entries);
}

static void set_up(void)
{
        const char *source = getenv("top_srcdir");
        if (n_golden > 0)
                return;
        take_golden(source ? source : ".", "");
        take_golden(source ? source : ".", "log");
        take_golden(source ? source : ".", "snapshots");
}

/* ---- digests ---- */

static void mend_digest(File *f, size_t begin, size_t size)
{
        if (begin + size + STORE_DIGEST_SIZE <= f->size)
                digest_buffer(f->data + begin, size, f->data + begin + size);
}

static void mend_segment(File *f)
{
        FormatSegment head;
        FormatRecord record;
        mend_digest(f, 0, sizeof head - STORE_DIGEST_SIZE);
        for (size_t offset = sizeof head; offset + sizeof record <= f->size;) {
                memcpy(&record, f->data + offset, sizeof record);
                size_t n = sizeof record + record.author_size + record.key_size + le32toh(record.meta_size);
                mend_digest(f, offset, n);
                uint64_t blob = le16toh(record.flags) & STORE_RECORD_REFERENCE ? 0 : le64toh(record.blob_size);
                offset += format_align(n + STORE_DIGEST_SIZE) + (blob < f->size ? format_align(blob) : f->size);
        }
}

static void mend(File *f)
{
        if (strcmp(f->name, FORMAT_IDENTITY_NAME) == 0)
                mend_digest(f, 0, sizeof(FormatIdentity) - STORE_DIGEST_SIZE);
        else if (strncmp(f->name, "log/", 4) == 0)
                mend_segment(f);
        else if (f->size > STORE_DIGEST_SIZE)
                mend_digest(f, 0, f->size - STORE_DIGEST_SIZE);
}

static void lay_out(const uint8_t *data, size_t size)
{
        char path[300];
        snprintf(folder, sizeof folder, "%s/fuzz-store-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert(mkdtemp(folder));
        path_of(path, "log");
        assert(mkdir(path, 0700) == 0);
        path_of(path, "snapshots");
        assert(mkdir(path, 0700) == 0);

        size_t chosen = (data[0] & 0x7f) % n_golden;
        File changed = golden[chosen];
        changed.data = malloc(changed.size);
        memcpy(changed.data, golden[chosen].data, changed.size);
        for (size_t i = 1; i + 3 <= size;) {
                size_t offset = (size_t)(data[i] | data[i + 1] << 8), n = data[i + 2];
                i += 3;
                if (n == 0)
                        changed.size = MIN(changed.size, offset);
                for (; n > 0 && i < size; n--, i++, offset++)
                        if (offset < changed.size)
                                changed.data[offset] = data[i];
        }
        if (data[0] & 0x80)
                mend(&changed);
        for (size_t i = 0; i < n_golden; i++)
                if (i == chosen)
                        write_file(changed.name, changed.data, changed.size);
                else
                        write_file(golden[i].name, golden[i].data, golden[i].size);
        free(changed.data);
}

/* ---- what is asked of it ---- */

static void add_digest(uint8_t sum[static STORE_DIGEST_SIZE], const char *path)
{
        uint8_t digest[STORE_DIGEST_SIZE];
        size_t size = 0;
        uint8_t *data = read_file(path, &size);
        digest_buffer(data ? data : (uint8_t *)"", size, digest);
        for (size_t i = 0; i < sizeof digest; i++)
                sum[i] = (uint8_t)(sum[i] * 3 + digest[i]);
        free(data);
}

/* Of all that the layout has put there. */
static void fingerprint(uint8_t ret[static STORE_DIGEST_SIZE])
{
        char path[300];
        memset(ret, 0, STORE_DIGEST_SIZE);
        for (size_t i = 0; i < n_golden; i++) {
                path_of(path, golden[i].name);
                add_digest(ret, path);
        }
}

static void read_records(Store *s)
{
        StoreReader *reader;
        StoreRecordView view;
        if (store_reader_new(s, 1, 0, NULL, 0, &reader) < 0)
                return;
        while (store_reader_next(reader, &view) > 0)
                ;
        store_reader_free(reader);
}

/* Loads everything; returns the last record's sequence. */
static uint64_t load(Store *s)
{
        _cleanup_store_load_ StoreLoad *l = NULL;
        StoreRecordView view;
        StoreEntry entry;
        uint64_t last = 0;
        int r = store_load_begin(s, NULL, &l);
        assert(r == 0);
        while ((r = store_load_next_state(l, &view)) == 1)
                ;
        assert(r == 0);
        while ((r = store_load_next_entry(l, &entry)) == 1) {
                _cleanup_bytes_ Bytes *blob = NULL;
                if (entry.blob.size > 0 && store_blob_get_verified(s, &entry.blob, &blob) == 0)
                        assert(blob->size == entry.blob.size);
        }
        assert(r == 0);
        while ((r = store_load_next_record(l, &view)) > 0)
                if (r == 1) {
                        assert(view.sequence > last);
                        last = view.sequence;
                }
        assert(r == 0);
        return last;
}

static void look_at_snapshots(Store *s)
{
        StoreSnapshotInfo *list = NULL;
        size_t n = 0;
        if (store_snapshot_list(s, &list, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++)
                store_snapshot_info_done(&list[i]);
        free(list);
}

static void look(void)
{
        uint8_t before[STORE_DIGEST_SIZE], after[STORE_DIGEST_SIZE];
        StoreOptions options = { .path = folder, .flags = STORE_OPEN_READ_ONLY | STORE_OPEN_EXISTING };
        Store *s = NULL;
        fingerprint(before);
        if (store_open(&options, &s, NULL) >= 0) {
                load(s);
                read_records(s);
                look_at_snapshots(s);
                store_close(s);
        }
        fingerprint(after);
        assert(memcmp(before, after, sizeof before) == 0);
}

static void on_done(void *userdata, const StoreSnapshotResult *result)
{
        int *error = userdata;
        *error = result->error;
}

static uint64_t use(Store *s, Worker *worker)
{
        _cleanup_bytes_ Bytes *blob = bytes_new_copy("what is new", 11);
        StoreRecord record = { .kind = RECORD_KIND, .key = "new", .key_size = 3, .blob = blob };
        StoreSnapshotParameters parameters = { .reason = "fuzz", .force = true };
        StoreEntry entry = { .key = (const uint8_t *)"new", .key_size = 3 };
        StoreSnapshot *sn;
        uint64_t sequence;
        int error = -1;
        load(s);
        if (store_append(s, &record, &sequence, &entry.blob) != 0) /* sequence numbers may have been used up */
                return 0;
        assert(store_commit(s) == 0);
        assert(store_snapshot_begin(s, &parameters, true, &sn) == 0);
        assert(store_snapshot_add(sn, &entry) == 0);
        store_snapshot_submit(sn, NULL, on_done, &error);
        worker_drain(worker, true);
        assert(error == 0);
        assert(store_append(s, &record, &sequence, NULL) == 0);
        assert(store_commit(s) == 0);
        return sequence;
}

static void use_and_return(void)
{
        _cleanup_worker_ Worker *worker = NULL;
        uint8_t before[STORE_DIGEST_SIZE], after[STORE_DIGEST_SIZE];
        Store *s = NULL;
        assert(worker_new_inline(&worker) == 0);
        StoreOptions options = { .path = folder, .flags = STORE_OPEN_ADOPT_COPY, .worker = worker };
        fingerprint(before);
        if (store_open(&options, &s, NULL) < 0) {
                fingerprint(after);
                assert(memcmp(before, after, sizeof before) == 0);
                return;
        }
        uint64_t sequence = use(s, worker);
        store_close(s);
        if (sequence == 0)
                return;
        assert(store_open(&options, &s, NULL) == 0);
        assert(load(s) == sequence);
        store_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        set_up();
        lay_out(data, size);
        look();
        use_and_return();
        /* At once, since a fuzzer's program does not leave by its end. */
        empty_folder(folder);
        rmdir(folder);
        return 0;
}
