/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "scene/node.h"

/* The uuids of clients are those of Python's uuid module as text, which sixteen bytes stand for; any other text is kept
 * as it is. */

#define UUID_TEXT_SIZE 36u

static bool is_dash(size_t i)
{
        return i == 8 || i == 13 || i == 18 || i == 23;
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool uuid_pack(const char *text, size_t size, uint8_t ret[static NODE_UUID_PACKED])
{
        unsigned n = 0;
        if (size != UUID_TEXT_SIZE)
                return false;
        for (size_t i = 0; i < size; i++) {
                int digit = hex_digit(text[i]);
                if (is_dash(i) ? text[i] != '-' : digit < 0)
                        return false;
                if (is_dash(i))
                        continue;
                ret[n / 2] = (uint8_t)(n % 2 == 0 ? digit << 4 : ret[n / 2] | digit);
                n++;
        }
        return true;
}

static void uuid_unpack(const uint8_t packed[static NODE_UUID_PACKED], char ret[static UUID_TEXT_SIZE])
{
        static const char digits[] = "0123456789abcdef";
        unsigned n = 0;
        for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
                if (is_dash(i)) {
                        ret[i] = '-';
                        continue;
                }
                ret[i] = digits[n % 2 == 0 ? packed[n / 2] >> 4 : packed[n / 2] & 15];
                n++;
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

int node_set_uuid(Node *n, const void *text, size_t size)
{
        assert(size > 0 && size <= SCENE_UUID_MAX);
        n->uuid_is_packed = uuid_pack(text, size, n->uuid_packed);
        if (n->uuid_is_packed)
                return 0;
        n->uuid_text = strndup(text, size);
        return n->uuid_text ? 0 : -ENOMEM;
}

void node_uuid_done(Node *n)
{
        if (!n->uuid_is_packed)
                free(n->uuid_text);
}

void node_key_init(NodeKey *key, const void *text, size_t size)
{
        *key = (NodeKey){ .text = text, .size = size };
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
