/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/internal.h"

typedef struct Search {
        Store *store;
        uint16_t whole_kind;
        const void *key;
        size_t key_size;
        const StoreLocation *damaged;
        uint64_t sequence; /* of the best so far */
        int found;         /* 0, 1: entry, 2: record */
        void *memory;
        StoreEntry entry;
        StoreRecordView record;
} Search;

static bool is_candidate(const Search *search, StoreLocation *blob)
{
        _cleanup_bytes_ Bytes *bytes = NULL;

        if (search->damaged && blob->segment == search->damaged->segment &&
            blob->offset == search->damaged->offset)
                return false;
        return store_refresh(search->store, blob) >= 0 &&
               store_blob_get_verified(search->store, blob, &bytes) >= 0;
}

static int keep_entry(Search *search, const StoreEntry *e, uint64_t sequence)
{
        uint8_t *copy = malloc(manifest_entry_size(e));
        bool removed;

        if (!copy)
                return -ENOMEM;
        manifest_encode_entry(e, false, copy);
        free(search->memory);
        search->memory = copy;
        manifest_decode_entry(copy, manifest_entry_size(e), &search->entry, &removed);
        search->sequence = sequence;
        search->found = 1;
        return 0;
}

static int search_snapshot(Search *search, uint64_t number, uint64_t sequence)
{
        _cleanup_manifest_set_ ManifestSet *set = NULL;
        int r = store_read_snapshot_set(search->store, number, &set);

        if (r < 0)
                return r == -EUCLEAN || r == -ENOENT ? 0 : r;
        for (size_t i = 0; i < set->n_entries; i++) {
                StoreEntry e;
                bool removed;

                manifest_decode_entry(set->entries[i], SIZE_MAX, &e, &removed);
                if (e.key_size == search->key_size && memcmp(e.key, search->key, e.key_size) == 0)
                        return is_candidate(search, &e.blob) ? keep_entry(search, &e, sequence) : 0;
        }
        return 0;
}

static int search_snapshots(Search *search)
{
        Store *s = search->store;
        _cleanup_free_ StoreSnapshotInfo *infos = NULL;
        size_t n = 0;
        int r;

        r = store_snapshot_list(s, &infos, &n);
        for (size_t i = 0; i < n && r >= 0 && search->found == 0; i++)
                r = search_snapshot(search, infos[i].number, infos[i].sequence);
        for (size_t i = 0; i < n; i++)
                store_snapshot_info_done(&infos[i]);
        return r;
}

static int keep_record(Search *search, const StoreRecordView *view)
{
        uint8_t *copy = malloc(view->author_size + view->key_size + view->meta_size + 1);

        if (!copy)
                return -ENOMEM;
        free(search->memory);
        search->memory = copy;
        search->record = *view;
        search->record.author = memcpy(copy, view->author, view->author_size);
        search->record.key = memcpy(copy + view->author_size, view->key, view->key_size);
        search->record.meta = memcpy(copy + view->author_size + view->key_size, view->meta, view->meta_size);
        search->sequence = view->sequence;
        search->found = 2;
        return 0;
}

static int search_journal(Search *search)
{
        _cleanup_store_reader_ StoreReader *reader = NULL;
        StoreRecordView view;
        int r;

        r = store_reader_new(search->store, search->sequence + 1, 0, search->key, search->key_size, &reader);
        while (r >= 0 && (r = store_reader_next(reader, &view)) > 0) {
                if (r == STORE_LOAD_GAP || view.kind != search->whole_kind ||
                    (view.flags & STORE_RECORD_REFUSED))
                        continue;
                if (is_candidate(search, &view.blob))
                        r = keep_record(search, &view);
        }
        return r;
}

int store_find_intact(Store *s, uint16_t whole_kind, const void *key, size_t key_size,
                      const StoreLocation *damaged, StoreEntry *ret_entry, StoreRecordView *ret_record,
                      uint64_t *ret_sequence, void **ret_memory)
{
        Search search = {
                .store = s,
                .whole_kind = whole_kind,
                .key = key,
                .key_size = key_size,
                .damaged = damaged,
        };
        int r;

        r = search_snapshots(&search);
        if (r >= 0)
                r = search_journal(&search);
        if (r < 0) {
                free(search.memory);
                return r;
        }
        if (search.found == 0)
                return 0;
        if (search.found == 1)
                *ret_entry = search.entry;
        else
                *ret_record = search.record;
        *ret_sequence = search.sequence;
        *ret_memory = search.memory;
        return search.found;
}
