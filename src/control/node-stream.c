/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control/node-stream.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "scene/dependencies.h"
#include "scene/scene.h"

#define HEAD_SIZE 16u
#define DEPENDENCIES_MAX (16u << 20)

void streamed_node_done(StreamedNode *n)
{
        bytes_unref(n->uuid);
        bytes_unref(n->dependencies);
        bytes_unref(n->payload);
        *n = (StreamedNode){0};
}

static void put_le(uint8_t *p, uint64_t number, size_t n)
{
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, size_t n)
{
        uint64_t number = 0;

        for (size_t i = 0; i < n; i++)
                number |= (uint64_t)p[i] << (8 * i);
        return number;
}

static int write_all(int fd, const void *data, size_t size)
{
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        p += n;
                        size -= (size_t)n;
                }
        }
        return 0;
}

int node_stream_write(int fd, const void *uuid, size_t uuid_size, const Bytes *dependencies, const Bytes *payload)
{
        uint8_t head[HEAD_SIZE];
        int r;

        put_le(head, uuid_size, 4);
        put_le(head + 4, dependencies->size, 4);
        put_le(head + 8, payload->size, 8);
        r = write_all(fd, head, sizeof(head));
        if (r == 0)
                r = write_all(fd, uuid, uuid_size);
        if (r == 0)
                r = write_all(fd, dependencies->data, dependencies->size);
        return r < 0 ? r : write_all(fd, payload->data, payload->size);
}

/* 1: all of it, 0: the file ends before the first byte, -EBADMSG: in the middle. */
static int read_all(int fd, void *data, size_t size, uint64_t *offset)
{
        uint8_t *p = data;
        size_t have = 0;

        while (have < size) {
                ssize_t n = pread(fd, p + have, size - have, (off_t)*offset);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return have == 0 ? 0 : -EBADMSG;
                if (n > 0) {
                        have += (size_t)n;
                        *offset += (uint64_t)n;
                }
        }
        return 1;
}

static int read_bytes(int fd, uint64_t size, uint64_t *offset, Bytes **ret)
{
        uint8_t *data;
        Bytes *b = bytes_new_uninitialised(size, &data);
        int r;

        if (!b)
                return -ENOMEM;
        r = size > 0 ? read_all(fd, data, size, offset) : 1;
        if (r <= 0) {
                bytes_unref(b);
                return r < 0 ? r : -EBADMSG;
        }
        *ret = b;
        return 0;
}

static int check(const StreamedNode *n, const PickleLimits *limits)
{
        int r;

        if (n->uuid->size == 0 || memchr(n->uuid->data, '\0', n->uuid->size))
                return -EBADMSG;
        r = dependencies_read(n->dependencies, NULL);
        if (r == 0)
                r = pickle_scan(n->payload->data, n->payload->size, PICKLE_PROFILE_DATA, limits, NULL);
        return r > 0 ? -EBADMSG : r;
}

int node_stream_read(int fd, uint64_t *offset, const PickleLimits *limits, StreamedNode *ret)
{
        uint64_t uuid_size, dependencies_size, payload_size;
        StreamedNode n = {0};
        uint8_t head[HEAD_SIZE];
        int r = read_all(fd, head, sizeof(head), offset);

        if (r <= 0)
                return r;
        uuid_size = get_le(head, 4);
        dependencies_size = get_le(head + 4, 4);
        payload_size = get_le(head + 8, 8);
        if (uuid_size > SCENE_UUID_MAX || dependencies_size > DEPENDENCIES_MAX)
                return -EBADMSG;
        if (payload_size > limits->max_size)
                return -E2BIG;
        r = read_bytes(fd, uuid_size, offset, &n.uuid);
        if (r == 0)
                r = read_bytes(fd, dependencies_size, offset, &n.dependencies);
        if (r == 0)
                r = read_bytes(fd, payload_size, offset, &n.payload);
        if (r == 0)
                r = check(&n, limits);
        if (r < 0) {
                streamed_node_done(&n);
                return r;
        }
        *ret = n;
        return 1;
}
