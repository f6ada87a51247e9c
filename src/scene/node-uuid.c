/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "scene/node.h"

/* The uuids of clients are those of Python's uuid module as text, which sixteen bytes stand for; any other text is kept
 * as it is. */

#define UUID_TEXT_SIZE 36u

/* Where the two digits of each byte stand; between them are dashes. */
static const uint8_t byte_places[NODE_UUID_PACKED] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34 };
static const uint8_t dash_places[] = { 8, 13, 18, 23 };

static const uint8_t digit_plus_one[UINT8_MAX + 1] = {
        ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
        ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* For every message, so without a branch for each digit, and with the places known. */
static bool uuid_pack(const char *text, size_t size, uint8_t ret[static NODE_UUID_PACKED])
{
        const uint8_t *p = (const uint8_t *)text;
        uint8_t seen = 0; /* of all digits; what is none has a high bit */
        bool dashes = true;
        if (size != UUID_TEXT_SIZE)
                return false;
#pragma GCC unroll 4
        for (size_t i = 0; i < ELEMENTSOF(dash_places); i++)
                dashes &= p[dash_places[i]] == '-';
#pragma GCC unroll 16
        for (size_t i = 0; i < NODE_UUID_PACKED; i++) {
                uint8_t high = (uint8_t)(digit_plus_one[p[byte_places[i]]] - 1);
                uint8_t low = (uint8_t)(digit_plus_one[p[byte_places[i] + 1]] - 1);
                seen |= high | low;
                ret[i] = (uint8_t)(high << 4 | low);
        }
        return dashes && seen < 16;
}

static void uuid_unpack(const uint8_t packed[static NODE_UUID_PACKED], char ret[static UUID_TEXT_SIZE])
{
        static const char digits[] = "0123456789abcdef";
        for (size_t i = 0; i < ELEMENTSOF(dash_places); i++)
                ret[dash_places[i]] = '-';
        for (size_t i = 0; i < NODE_UUID_PACKED; i++) {
                ret[byte_places[i]] = digits[packed[i] >> 4];
                ret[byte_places[i] + 1] = digits[packed[i] & 15];
        }
}

NodeUuid node_uuid(const Node *n)
{
        NodeUuid uuid;
        size_t size = node_uuid_size(n);
        if (n->uuid_is_packed)
                uuid_unpack(n->uuid_packed, uuid.text);
        else
                memcpy(uuid.text, n->uuid_text, size);
        uuid.text[size] = '\0';
        return uuid;
}

size_t node_uuid_size(const Node *n)
{
        return n->uuid_is_packed ? UUID_TEXT_SIZE : strlen(n->uuid_text);
}

int node_set_uuid(Node *n, const NodeKey *key)
{
        assert(key->size > 0 && key->size <= SCENE_UUID_MAX);
        n->uuid_is_packed = key->is_packed;
        if (key->is_packed) {
                memcpy(n->uuid_packed, key->packed, sizeof n->uuid_packed);
                return 0;
        }
        n->uuid_text = strndup(key->text, key->size);
        return n->uuid_text ? 0 : -ENOMEM;
}

void node_uuid_done(Node *n)
{
        if (!n->uuid_is_packed)
                free(n->uuid_text);
}

void node_key_init(const Scene *s, NodeKey *key, const void *text, size_t size)
{
        *key = (NodeKey){ .text = text, .size = size, .hash = node_index_hash(s, text, size) };
        key->is_packed = uuid_pack(text, size, key->packed);
}

bool node_has_key(const Node *n, const NodeKey *key)
{
        if (key->is_packed != n->uuid_is_packed)
                return false;
        if (key->is_packed)
                return memcmp(n->uuid_packed, key->packed, sizeof key->packed) == 0;
        return node_uuid_size(n) == key->size && memcmp(n->uuid_text, key->text, key->size) == 0;
}
