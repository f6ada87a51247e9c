/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bench-wire.h"

#include <ctype.h>
#include <endian.h>
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

static void encode_float(uint8_t b[static 8], double value)
{
        uint64_t bits;
        memcpy(&bits, &value, 8);
        bits = htobe64(bits);
        memcpy(b, &bits, 8);
}

void pickle_float(Pickle *p, double value)
{
        uint8_t b[9] = { 'G' };
        encode_float(b + 1, value);
        append(p, b, 9);
}

void pickle_set_last_float(uint8_t *data, size_t size, size_t closing, double value)
{
        encode_float(data + size - closing - 8, value);
}

double pickle_get_last_float(const uint8_t *data, size_t size, size_t closing)
{
        uint64_t bits;
        double value;
        if (size < closing + 9 || data[size - closing - 9] != 'G')
                return 0;
        memcpy(&bits, data + size - closing - 8, 8);
        bits = be64toh(bits);
        memcpy(&value, &bits, 8);
        return value;
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

static void begin_message(Pickle *kind, unsigned number, Pickle *dependencies)
{
        pickle_begin(kind);
        pickle_integer(kind, number);
        pickle_end(kind);
        pickle_begin(dependencies);
        append(dependencies, "]\x94", 2); /* no dependencies, as Python writes it */
        pickle_end(dependencies);
}

/* Xorshift: no two payloads are alike, and none can be compressed. */
static void fill(uint8_t *data, size_t size, uint64_t number)
{
        uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
        for (size_t i = 0; i + 8 <= size; i += 8) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                memcpy(data + i, &x, 8);
        }
}

void node_message_init(NodeMessage *m, unsigned number, size_t size, bool filled)
{
        memset(m, 0, sizeof *m);
        node_uuid(number, m->uuid);
        begin_message(&m->kind, KIND_NODE, &m->dependencies);
        pickle_begin(&m->data);
        pickle_dict_begin(&m->data);
        pickle_text(&m->data, "payload");
        uint8_t *payload = pickle_bytes(&m->data, NULL, size);
        if (filled)
                fill(payload, size, number);
        m->payload_offset = (size_t)(payload - m->data.data);
        pickle_dict_end(&m->data);
        pickle_end(&m->data);
}

void mesh_message_init(NodeMessage *m, unsigned number, unsigned n_triples)
{
        memset(m, 0, sizeof *m);
        node_uuid(number, m->uuid);
        begin_message(&m->kind, KIND_NODE, &m->dependencies);
        pickle_begin(&m->data);
        pickle_dict_begin(&m->data);
        pickle_text(&m->data, "edges");
        pickle_bytes(&m->data, NULL, 256 << 10);
        pickle_text(&m->data, "vertices");
        pickle_list_begin(&m->data);
        for (unsigned i = 0; i < n_triples; i++) {
                pickle_list_begin(&m->data);
                for (unsigned k = 0; k < 3; k++)
                        pickle_float(&m->data, i * 0.37 + k * 1.13);
                pickle_list_end(&m->data);
        }
        pickle_list_end(&m->data);
        pickle_dict_end(&m->data);
        pickle_end(&m->data);
}

void commit_message_init(CommitMessage *m, unsigned number, unsigned triple)
{
        char path[64];
        memset(m, 0, sizeof *m);
        node_uuid(number, m->uuid);
        begin_message(&m->kind, KIND_COMMIT, &m->dependencies);
        snprintf(path, sizeof path, "root['vertices'][%u][%u]", triple, triple % 3);
        pickle_begin(&m->delta);
        pickle_dict_begin(&m->delta);
        pickle_text(&m->delta, "values_changed");
        pickle_dict_begin(&m->delta);
        pickle_text(&m->delta, path);
        pickle_dict_begin(&m->delta);
        pickle_text(&m->delta, "new_value");
        pickle_float(&m->delta, 0);
        for (unsigned i = 0; i < 3; i++)
                pickle_dict_end(&m->delta);
        pickle_end(&m->delta);
}

void commit_message_done(CommitMessage *m)
{
        pickle_done(&m->kind);
        pickle_done(&m->dependencies);
        pickle_done(&m->delta);
}

static void add_floats(Pickle *p, const char *name, unsigned rows, unsigned columns)
{
        pickle_text(p, name);
        pickle_list_begin(p);
        for (unsigned i = 0; i < rows; i++) {
                pickle_list_begin(p);
                for (unsigned k = 0; k < columns; k++)
                        pickle_float(p, i * 1.7 - k * 0.9);
                pickle_list_end(p);
        }
}

void view_message(Pickle *p)
{
        pickle_begin(p);
        pickle_dict_begin(p);
        add_floats(p, "view_matrix", 4, 4);
        pickle_list_end(p);
        add_floats(p, "view_corners", 8, 3);
        pickle_float(p, 0);
        pickle_list_end(p);
        pickle_dict_end(p);
        pickle_end(p);
}

void selection_message(Pickle *p, size_t size)
{
        char uuid[UUID_SIZE + 1];
        pickle_begin(p);
        pickle_dict_begin(p);
        pickle_text(p, "selected_objects");
        pickle_list_begin(p);
        for (unsigned i = 0; p->size + UUID_SIZE + 4 < size; i++) {
                node_uuid(i, uuid);
                pickle_text(p, uuid);
        }
        pickle_list_end(p);
        pickle_dict_end(p);
        pickle_end(p);
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
