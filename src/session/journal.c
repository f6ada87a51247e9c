/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "session/session-private.h"

/* About so large is the head of a record of rights; more of them take several. */
#define RIGHT_META_SIZE (1u << 20)

static Effect *journal_push(Session *s, RecordKind kind, const User *author)
{
        Effect *e = effect_list_push(s->effects, EFFECT_JOURNAL);
        if (!e)
                return NULL;
        e->journal.record.kind = kind;
        e->journal.record.author = author ? bytes_ref(author->name) : NULL;
        return e;
}

int journal(Session *s, RecordKind kind, const User *author, Bytes *key, Bytes *meta, Bytes *blob)
{
        Effect *e = journal_push(s, kind, author);
        if (!e)
                return -ENOMEM;
        e->journal.record.key = bytes_ref(key);
        e->journal.record.meta = bytes_ref(meta);
        e->journal.record.blob = bytes_ref(blob);
        return 0;
}

int journal_node(Session *s, const User *author, const MessageNode *node, Bytes *owner, uint64_t id, uint64_t version)
{
        _cleanup_bytes_ Bytes *meta = record_meta_node(owner, node->dependencies);
        Effect *e = journal_push(s, RECORD_NODE, author);
        if (!e || !meta)
                return -ENOMEM;
        e->journal.node_id = id;
        e->journal.version = version;
        e->journal.record.key = bytes_ref(node->uuid);
        e->journal.record.meta = TAKE_PTR(meta);
        e->journal.record.blob = bytes_ref(node->payload);
        return 0;
}

int journal_refused(Session *s, const User *author, const MessageNode *node, const char *reason)
{
        _cleanup_bytes_ Bytes *whole = NULL;
        if (node->owner && !(whole = record_meta_node(node->owner, node->dependencies)))
                return -ENOMEM;
        _cleanup_bytes_ Bytes *meta = record_meta_refused(reason, whole ?: node->dependencies);
        Effect *e = journal_push(s, node->owner ? RECORD_NODE : RECORD_COMMIT, author);
        if (!e || !meta)
                return -ENOMEM;
        e->journal.record.refused = true;
        e->journal.record.key = bytes_ref(node->uuid);
        e->journal.record.meta = TAKE_PTR(meta);
        e->journal.record.blob = bytes_ref(node->payload);
        return 0;
}

RecordUser user_record(const User *u)
{
        RecordUser record = {
                .flags = (u->admin ? RECORD_USER_ADMIN : 0) | (u->expected ? RECORD_USER_EXPECTED : 0) |
                         (u->initiating || u->unproved ? RECORD_USER_INITIATING : 0) | (u->got_any ? RECORD_USER_FETCHING : 0) |
                         (u->asked_all ? RECORD_USER_ASKED_ALL : 0),
                .status = (uint8_t)u->status,
                .since = u->since_wall,
                .behind_since = u->behind_since_wall,
                .id = u->id,
        };
        if (u->address && strlen(u->address) <= RECORD_ADDRESS_MAX)
                memcpy(record.address, u->address, strlen(u->address) + 1);
        return record;
}

int journal_user(Session *s, const User *u)
{
        RecordUser record = user_record(u);
        _cleanup_bytes_ Bytes *meta = record_meta_user(&record);
        return meta ? journal(s, RECORD_USER, u, u->name, meta, NULL) : -ENOMEM;
}

int journal_state(Session *s, const User *author, RecordState state)
{
        _cleanup_bytes_ Bytes *meta = record_meta_state(state);
        return meta ? journal(s, RECORD_STATE, author, NULL, meta, NULL) : -ENOMEM;
}

/* A record of the first nodes from *at on, which moves behind them. */
static int journal_right_part(Session *s, const User *author, const Bytes *owner, const NodeList *nodes, size_t *at)
{
        size_t size = 1 + owner->size, end = *at;
        for (; end < nodes->n && size < RIGHT_META_SIZE; end++)
                size += 1 + node_uuid_size(nodes->items[end]);
        uint8_t *p;
        _cleanup_bytes_ Bytes *meta = bytes_new_uninitialised(size, &p);
        if (!meta)
                return -ENOMEM;
        *p++ = (uint8_t)owner->size;
        p = mempcpy(p, owner->data, owner->size);
        for (; *at < end; ++*at) {
                const Node *n = nodes->items[*at];
                *p++ = (uint8_t)node_uuid_size(n);
                p = mempcpy(p, node_uuid(n).text, node_uuid_size(n));
        }
        return journal(s, RECORD_RIGHT, author, NULL, meta, NULL);
}

int journal_right(Session *s, const User *author, const Bytes *owner, const NodeList *nodes)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < nodes->n;)
                r = journal_right_part(s, author, owner, nodes, &i);
        return r;
}
