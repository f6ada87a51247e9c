/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <errno.h>

#include "session/record.h"

#define RECORD_USER_VERSION 1u

void session_record_done(SessionRecord *record)
{
        bytes_unref(record->author);
        bytes_unref(record->key);
        bytes_unref(record->meta);
        bytes_unref(record->blob);
        *record = (SessionRecord){};
}

/* A short text, then the rest as it is. */
static Bytes *record_meta(const void *text, size_t text_size, const void *rest, size_t rest_size)
{
        uint8_t *p;
        text_size = MIN(text_size, (size_t)UINT8_MAX);
        Bytes *b = bytes_new_uninitialised(1 + text_size + rest_size, &p);
        if (!b)
                return NULL;
        p[0] = (uint8_t)text_size;
        memcpy(p + 1, text, text_size);
        if (rest_size > 0)
                memcpy(p + 1 + text_size, rest, rest_size);
        return b;
}

Bytes *record_meta_node(const Bytes *owner, const Bytes *dependencies)
{
        return record_meta(owner->data, owner->size, dependencies->data, dependencies->size);
}

Bytes *record_meta_refused(const char *reason, const Bytes *meta)
{
        return record_meta(reason, strlen(reason), meta ? meta->data : NULL, meta ? meta->size : 0);
}

Bytes *record_meta_state(RecordState state)
{
        uint8_t byte = (uint8_t)state;
        return bytes_new_copy(&byte, 1);
}

/* What stands before the texts. */
typedef struct RecordUserHead {
        uint8_t version;
        uint8_t flags;
        uint8_t status;
        uint64_t since;
        uint64_t behind_since;
} __attribute__((__packed__)) RecordUserHead;

Bytes *record_meta_user(const RecordUser *user)
{
        uint8_t *p;
        size_t address_size = strlen(user->address);
        Bytes *b = bytes_new_uninitialised(sizeof(RecordUserHead) + 1 + user->id.size + 1 + address_size, &p);
        if (!b)
                return NULL;
        RecordUserHead head = {
                .version = RECORD_USER_VERSION,
                .flags = user->flags,
                .status = user->status,
                .since = htole64(user->since),
                .behind_since = htole64(user->behind_since),
        };
        p = mempcpy(p, &head, sizeof head);
        *p++ = user->id.size;
        p = mempcpy(p, user->id.bytes, user->id.size);
        *p++ = (uint8_t)address_size;
        memcpy(p, user->address, address_size);
        return b;
}

/* What stands before the message. */
typedef struct RecordChatHead {
        uint64_t number;
        uint64_t time;
} __attribute__((__packed__)) RecordChatHead;

Bytes *record_meta_chat(uint64_t number, uint64_t time, const char *text, size_t size)
{
        RecordChatHead head = { .number = htole64(number), .time = htole64(time) };
        uint8_t *p;
        Bytes *b = bytes_new_uninitialised(sizeof head + size, &p);
        if (b)
                memcpy(mempcpy(p, &head, sizeof head), text, size);
        return b;
}

int record_read_chat(const Bytes *meta, uint64_t *ret_number, uint64_t *ret_time, const char **ret_text, size_t *ret_size)
{
        RecordChatHead head;
        if (!meta || meta->size < sizeof head)
                return 1;
        memcpy(&head, meta->data, sizeof head);
        *ret_number = le64toh(head.number);
        *ret_time = le64toh(head.time);
        *ret_text = (const char *)meta->data + sizeof head;
        *ret_size = meta->size - sizeof head;
        return 0;
}

bool record_read_text(const Bytes *meta, size_t *offset, const uint8_t **ret, size_t *ret_size)
{
        if (*offset >= meta->size)
                return false;
        size_t size = meta->data[*offset];
        if (size > meta->size - *offset - 1)
                return false;
        *ret = meta->data + *offset + 1;
        *ret_size = size;
        *offset += 1 + size;
        return true;
}

int record_read_node(Bytes *meta, Bytes **ret_owner, Bytes **ret_dependencies)
{
        size_t offset = 0, size;
        const uint8_t *text;
        if (!meta || !record_read_text(meta, &offset, &text, &size))
                return 1;
        _cleanup_bytes_ Bytes *owner = bytes_new_copy(text, size);
        Bytes *dependencies = bytes_new_copy(meta->data + offset, meta->size - offset);
        if (!owner || !dependencies) {
                bytes_unref(dependencies);
                return -ENOMEM;
        }
        *ret_owner = TAKE_PTR(owner);
        *ret_dependencies = dependencies;
        return 0;
}

int record_read_state(const Bytes *meta, RecordState *ret)
{
        if (!meta || meta->size != 1 || meta->data[0] < RECORD_STATE_INIT || meta->data[0] > RECORD_STATE_ABANDONED)
                return 1;
        *ret = (RecordState)meta->data[0];
        return 0;
}

int record_read_user(const Bytes *meta, RecordUser *ret)
{
        RecordUserHead head;
        if (!meta || meta->size < sizeof head)
                return 1;
        memcpy(&head, meta->data, sizeof head);
        const uint8_t *id, *address;
        size_t offset = sizeof head, id_size, address_size;
        if (head.version != RECORD_USER_VERSION || !record_read_text(meta, &offset, &id, &id_size) || id_size == 0 ||
            id_size > ROUTING_ID_SIZE_MAX || !record_read_text(meta, &offset, &address, &address_size) ||
            address_size > RECORD_ADDRESS_MAX)
                return 1;
        *ret = (RecordUser){
                .flags = head.flags,
                .status = head.status,
                .since = le64toh(head.since),
                .behind_since = le64toh(head.behind_since),
                .id.size = (uint8_t)id_size,
        };
        memcpy(ret->id.bytes, id, id_size);
        memcpy(ret->address, address, address_size);
        return 0;
}
