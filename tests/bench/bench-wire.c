/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bench-wire.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *append(Pickle *p, const void *data, size_t size)
{
        if (p->size + size > p->n_allocated) {
                p->n_allocated = 2 * p->n_allocated + size + 64;
                p->data = realloc(p->data, p->n_allocated);
                if (!p->data) {
                        fprintf(stderr, "out of memory\n");
                        exit(1);
                }
        }
        uint8_t *at = p->data + p->size;
        if (data)
                memcpy(at, data, size);
        else
                memset(at, 0, size);
        p->size += size;
        return at;
}

static void append_opcode(Pickle *p, char opcode, uint32_t argument, size_t n)
{
        uint8_t b[5] = { (uint8_t)opcode, argument & 255, argument >> 8 & 255, argument >> 16 & 255, argument >> 24 };
        append(p, b, 1 + n);
}

void pickle_begin(Pickle *p)
{
        p->size = 0;
        append(p, "\x80\x04", 2);
}

void pickle_end(Pickle *p)
{
        append(p, ".", 1);
}

void pickle_done(Pickle *p)
{
        free(p->data);
        *p = (Pickle){ 0 };
}

void pickle_none(Pickle *p)
{
        append(p, "N", 1);
}

void pickle_integer(Pickle *p, uint32_t value)
{
        append_opcode(p, value < 256 ? 'K' : 'J', value, value < 256 ? 1 : 4);
}

void pickle_text(Pickle *p, const char *text)
{
        size_t n = strlen(text);
        append_opcode(p, n < 256 ? '\x8c' : 'X', (uint32_t)n, n < 256 ? 1 : 4);
        append(p, text, n);
}

uint8_t *pickle_bytes(Pickle *p, const void *data, size_t size)
{
        append_opcode(p, size < 256 ? 'C' : 'B', (uint32_t)size, size < 256 ? 1 : 4);
        return append(p, data, size);
}

void pickle_dict_begin(Pickle *p)
{
        append(p, "}(", 2);
}

void pickle_dict_end(Pickle *p)
{
        append(p, "u", 1);
}

void pickle_list_begin(Pickle *p)
{
        append(p, "](", 2);
}

void pickle_list_end(Pickle *p)
{
        append(p, "e", 1);
}

void node_uuid(unsigned number, char uuid[static UUID_SIZE + 1])
{
        snprintf(uuid, UUID_SIZE + 1, "%08x-bec4-4a4b-8c4d-%012x", number, number * 7 + 1);
}

void node_message_init(NodeMessage *m, unsigned number, size_t size)
{
        memset(m, 0, sizeof *m);
        node_uuid(number, m->uuid);
        pickle_begin(&m->kind);
        pickle_integer(&m->kind, KIND_NODE);
        pickle_end(&m->kind);
        pickle_begin(&m->dependencies);
        pickle_list_begin(&m->dependencies);
        pickle_list_end(&m->dependencies);
        pickle_end(&m->dependencies);
        pickle_begin(&m->data);
        pickle_dict_begin(&m->data);
        pickle_text(&m->data, "payload");
        m->payload_offset = (size_t)(pickle_bytes(&m->data, NULL, size) - m->data.data);
        pickle_dict_end(&m->data);
        pickle_end(&m->data);
}

void node_message_done(NodeMessage *m)
{
        pickle_done(&m->kind);
        pickle_done(&m->dependencies);
        pickle_done(&m->data);
}

static bool is_uuid(const char *s)
{
        for (size_t i = 0; i < UUID_SIZE; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;
                if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
                        return false;
        }
        return true;
}

bool find_uuid(const void *data, size_t size, size_t *offset, char uuid[static UUID_SIZE + 1])
{
        const char *text = data;
        for (size_t i = *offset; i + UUID_SIZE <= size; i++) {
                if (!is_uuid(text + i))
                        continue;
                memcpy(uuid, text + i, UUID_SIZE);
                uuid[UUID_SIZE] = '\0';
                *offset = i + UUID_SIZE;
                return true;
        }
        return false;
}
