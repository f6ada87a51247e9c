/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/internal.h"

#define STEP_BYTES (UINT64_C(16) << 20)

typedef struct VerifyItem {
        StoreLocation blob;
        size_t key; /* where in keys */
        size_t key_size;
        bool damaged;
} VerifyItem;

struct StoreVerify {
        WorkerJob job;
        Store *store;
        VerifyItem *items;
        size_t n_items;
        size_t n_allocated;
        uint8_t *keys;
        size_t keys_size;
        size_t keys_allocated;
        size_t next;
        StoreVerifyFunc func;
        void *userdata;
};

int store_verify_begin(Store *s, StoreVerify **ret)
{
        StoreVerify *v = calloc(1, sizeof(StoreVerify));

        if (!v)
                return -ENOMEM;
        v->store = s;
        *ret = v;
        return 0;
}

int store_verify_add(StoreVerify *v, const void *key, size_t key_size, const StoreLocation *blob)
{
        if (v->n_items == v->n_allocated) {
                size_t n = MAX(v->n_allocated * 2, (size_t)64);
                VerifyItem *items = reallocarray(v->items, n, sizeof(VerifyItem));

                if (!items)
                        return -ENOMEM;
                v->items = items;
                v->n_allocated = n;
        }
        if (v->keys_size + key_size > v->keys_allocated) {
                size_t n = MAX(v->keys_allocated * 2, v->keys_size + key_size + 4096);
                uint8_t *keys = realloc(v->keys, n);

                if (!keys)
                        return -ENOMEM;
                v->keys = keys;
                v->keys_allocated = n;
        }
        if (key_size > 0)
                memcpy(v->keys + v->keys_size, key, key_size);
        v->items[v->n_items++] = (VerifyItem){ .blob = *blob, .key = v->keys_size, .key_size = key_size };
        v->keys_size += key_size;
        return 0;
}

static int verify_run(WorkerJob *job)
{
        StoreVerify *v = CONTAINER_OF(job, StoreVerify, job);
        uint64_t done = 0;

        while (v->next < v->n_items && done < STEP_BYTES) {
                VerifyItem *item = &v->items[v->next++];
                _cleanup_bytes_ Bytes *blob = NULL;

                item->damaged = store_refresh(v->store, &item->blob) < 0 ||
                                store_map_blob(v->store, &item->blob, &blob) < 0 ||
                                !store_blob_matches(blob, &item->blob);
                done += item->blob.size;
                worker_progress(v->store->worker);
        }
        return v->next < v->n_items ? WORKER_AGAIN : 0;
}

static void verify_done(WorkerJob *job, int result)
{
        StoreVerify *v = CONTAINER_OF(job, StoreVerify, job);

        for (size_t i = 0; i < v->next; i++) {
                const VerifyItem *item = &v->items[i];

                if (!item->damaged)
                        continue;
                if (store_find_segment(v->store, item->blob.segment)) {
                        char name[SEGMENT_NAME_SIZE];

                        segment_name(item->blob.segment, name);
                        store_set_aside(v->store, v->store->log_dirfd, name, false);
                }
                v->func(v->userdata, v->keys + item->key, item->key_size, &item->blob, -EUCLEAN);
        }
        v->func(v->userdata, NULL, 0, NULL, result);
        free(v->items);
        free(v->keys);
        free(v);
}

void store_verify_submit(StoreVerify *v, StoreVerifyFunc func, void *userdata)
{
        v->func = func;
        v->userdata = userdata;
        v->job = (WorkerJob){ .run = verify_run, .done = verify_done };
        worker_submit(v->store->worker, &v->job, WORKER_NORMAL);
}
