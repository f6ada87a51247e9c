/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/moment.h"

#include <errno.h>

#include "session/session.h"

typedef enum Stage {
        STAGE_STATE, /* the records that a daemon wants to see first; all come once more later */
        STAGE_NODES,
        STAGE_RECORDS,
        STAGE_COMPLETE,
} Stage;

struct Moment {
        Store *store;
        StoreLoad *load;
        Session *session;
        Stage stage;
        size_t n_damaged;
        uint64_t time_usec;
        bool has_begun; /* something is known to have been there by then */
};

Moment *moment_free(Moment *m)
{
        if (!m)
                return NULL;
        session_free(m->session);
        store_load_free(m->load);
        free(m);
        return NULL;
}

int moment_scratch(Session **ret)
{
        static const char *const versions[] = {"", NULL};
        SessionConfig config = {
                .accepted_versions = versions,
                .timeout_usec = 1,
                .reconnect_grace_usec = 1,
                .max_users = SIZE_MAX,
                .max_user_name = 255,
                .max_metadata = SIZE_MAX,
                .max_nodes = SIZE_MAX,
                .max_init_bytes = SIZE_MAX,
                .max_node_bytes = SIZE_MAX,
                .chat_history = CHAT_LOG_MAX,
                .graph_cache_bytes = 64 << 20,
                .pickle_limits = pickle_limits_default,
        };

        return session_new(ret, &config);
}

int moment_begin(Store *store, const StorePoint *point, Moment **ret)
{
        _cleanup_moment_ Moment *m = calloc(1, sizeof(*m));
        const StoreSnapshotInfo *info;
        Bytes *state;
        int r;

        if (!m)
                return -ENOMEM;
        m->store = store;
        r = store_load_begin(store, point, &m->load);
        if (r < 0)
                return r;
        r = moment_scratch(&m->session);
        if (r < 0)
                return r;
        state = store_load_snapshot_state(m->load);
        if (state) {
                r = session_load_state(m->session, state);
                if (r == -EBADMSG)
                        m->n_damaged++;
                else if (r < 0)
                        return r;
        }
        info = store_load_snapshot(m->load);
        m->has_begun = info || !point || point->time_usec == 0;
        m->time_usec = info ? info->time_usec : 0;
        *ret = TAKE_PTR(m);
        return 0;
}

static Bytes *copy_or_null(const void *data, size_t size)
{
        return bytes_new_copy(data ?: "", size);
}

/* 1: taken, or found damaged and left out; 0: no more. */
static int load_entry(Moment *m)
{
        _cleanup_bytes_ Bytes *uuid = NULL, *owner = NULL, *dependencies = NULL, *payload = NULL;
        StoreEntry e;
        int r = store_load_next_entry(m->load, &e);

        if (r <= 0)
                return r;
        r = store_blob_get(m->store, &e.blob, &payload);
        if (r == -ENOENT || r == -EUCLEAN) {
                m->n_damaged++;
                return 1;
        }
        if (r < 0)
                return r;
        uuid = copy_or_null(e.key, e.key_size);
        owner = copy_or_null(e.owner, e.owner_size);
        dependencies = copy_or_null(e.dependencies, e.dependencies_size);
        if (!uuid || !owner || !dependencies)
                return -ENOMEM;
        r = session_load_node(m->session, uuid, owner, dependencies, payload, &e.blob, e.changed_usec);
        m->n_damaged += r == 1;
        return r < 0 ? r : 1;
}

static int fill_record(Moment *m, const StoreRecordView *v, SessionRecord *ret)
{
        SessionRecord record = {.kind = v->kind, .refused = v->flags & STORE_RECORD_REFUSED};
        int r = 0;

        record.author = v->author_size > 0 ? copy_or_null(v->author, v->author_size) : NULL;
        record.key = v->key_size > 0 ? copy_or_null(v->key, v->key_size) : NULL;
        record.meta = v->meta_size > 0 ? copy_or_null(v->meta, v->meta_size) : NULL;
        if ((v->author_size > 0 && !record.author) || (v->key_size > 0 && !record.key) ||
            (v->meta_size > 0 && !record.meta))
                r = -ENOMEM;
        if (r == 0 && v->blob.size > 0 && !v->blob_damaged)
                r = store_blob_get(m->store, &v->blob, &record.blob);
        if (r < 0) {
                session_record_done(&record);
                return r;
        }
        *ret = record;
        return 0;
}

static int load_record(Moment *m)
{
        StoreRecordView v;
        SessionRecord record;
        int r = store_load_next_record(m->load, &v);

        if (r == STORE_LOAD_GAP) {
                m->n_damaged++;
                r = session_load_gap(m->session);
                return r < 0 ? r : 1;
        }
        if (r <= 0)
                return r;
        m->time_usec = v.time_usec;
        m->has_begun = true;
        r = v.blob_damaged ? -EUCLEAN : fill_record(m, &v, &record);
        if (r == -EUCLEAN || r == -ENOENT) {
                /* As when records are missing: what builds on it cannot be trusted. */
                m->n_damaged++;
                r = session_load_gap(m->session);
                return r < 0 ? r : 1;
        }
        if (r < 0)
                return r;
        r = session_load_record(m->session, &record, v.time_usec, v.blob.size > 0 ? &v.blob : NULL);
        session_record_done(&record);
        return r < 0 ? r : 1;
}

int moment_step(Moment *m, size_t max_items)
{
        StoreRecordView v;

        for (size_t i = 0; i < max_items; i++) {
                int r = 0;

                switch (m->stage) {
                case STAGE_STATE:
                        r = store_load_next_state(m->load, &v);
                        break;
                case STAGE_NODES:
                        r = load_entry(m);
                        break;
                case STAGE_RECORDS:
                        r = load_record(m);
                        break;
                case STAGE_COMPLETE:
                        return 0;
                }
                if (r < 0)
                        return r;
                if (r == 0)
                        m->stage++;
                if (m->stage == STAGE_COMPLETE)
                        return m->has_begun ? 0 : -ENOENT;
        }
        return 1;
}

Scene *moment_scene(Moment *m)
{
        return session_scene(m->session);
}

Session *moment_session(Moment *m)
{
        return m->session;
}

const StoreSnapshotInfo *moment_snapshot(const Moment *m)
{
        return store_load_snapshot(m->load);
}

size_t moment_n_damaged(const Moment *m)
{
        return m->n_damaged;
}

uint64_t moment_time(const Moment *m)
{
        return m->time_usec;
}
