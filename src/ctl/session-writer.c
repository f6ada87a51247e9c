/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "ctl/session-file.h"
#include "ctl/tree.h"

/* Entries between MARK and APPENDS, as Python writes them; the reader keeps so many on its stack. */
#define BATCH 1000u

/* Most of a session is floating-point numbers, where more effort gains little. */
#define LEVEL "3"

struct SessionWriter {
        char *path, *temporary;
        int fd; /* kept beside zlib's for fsync() */
        gzFile out;
        size_t n_nodes;
        bool finished;
};

static int put(SessionWriter *w, const void *data, size_t size)
{
        const uint8_t *p = data;

        while (size > 0) {
                unsigned n = (unsigned)MIN(size, (size_t)1 << 30);

                errno = 0;
                if (gzwrite(w->out, p, n) != (int)n)
                        return errno != 0 ? -errno : -EIO;
                p += n;
                size -= n;
        }
        return 0;
}

static int put_bytes(SessionWriter *w, const void *data, size_t size)
{
        uint8_t head[9] = {0};
        size_t n = size < 256 ? 1 : size <= UINT32_MAX ? 4 : 8;
        int r;

        head[0] = n == 1 ? 'C' : n == 4 ? 'B' : 0x8e;
        for (size_t i = 0; i < n; i++)
                head[1 + i] = (uint8_t)((uint64_t)size >> (8 * i));
        r = put(w, head, 1 + n);
        return r < 0 ? r : put(w, data, size);
}

static int put_text(SessionWriter *w, const char *text)
{
        return put(w, text, strlen(text));
}

SessionWriter *session_writer_free(SessionWriter *w)
{
        if (!w)
                return NULL;
        if (w->out)
                gzclose(w->out);
        if (w->fd >= 0)
                close(w->fd);
        if (w->temporary && !w->finished)
                unlink(w->temporary);
        free(w->path);
        free(w->temporary);
        free(w);
        return NULL;
}

int session_writer_new(const char *path, SessionWriter **ret)
{
        _cleanup_session_writer_ SessionWriter *w = calloc(1, sizeof(*w));
        int fd;

        if (!w)
                return -ENOMEM;
        w->fd = -1;
        w->path = strdup(path);
        if (!w->path || asprintf(&w->temporary, "%s.partial-XXXXXX", path) < 0) {
                w->temporary = NULL;
                return -ENOMEM;
        }
        w->fd = mkostemp(w->temporary, O_CLOEXEC);
        if (w->fd < 0) {
                int r = -errno;

                free(w->temporary);
                w->temporary = NULL;
                return r;
        }
        fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        w->out = gzdopen(fd, "wb" LEVEL);
        if (!w->out) {
                close(fd);
                return -ENOMEM;
        }
        /* PROTO 4, {, mark, 'nodes': [ */
        int r = put(w, "\x80\x04}(\x8c\x05nodes]", 12);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

int session_writer_add(SessionWriter *w, const Scene *scene, const Node *n, Bytes *payload)
{
        static const uint8_t kind[] = {0x80, 4, 'K', 2, '.'};
        Bytes *owner = node_owner(scene, n), *dependencies = node_dependencies(n);
        int r = 0;

        if (w->n_nodes % BATCH == 0)
                r = put_text(w, w->n_nodes > 0 ? "e(" : "(");
        w->n_nodes++;
        if (r < 0 || (r = put_text(w, "](")) < 0 || (r = put_bytes(w, kind, sizeof(kind))) < 0 ||
            (r = put_bytes(w, node_uuid(n).text, node_uuid_size(n))) < 0 ||
            (r = put_bytes(w, owner->data, owner->size)) < 0 ||
            (r = put_bytes(w, dependencies->data, dependencies->size)) < 0 ||
            (r = put_bytes(w, payload->data, payload->size)) < 0)
                return r;
        return put_text(w, "e");
}

/* The name is not durable before its folder is. */
static int sync_folder(const char *path)
{
        _cleanup_free_ char *copy = strdup(path);
        int fd, r = 0;

        if (!copy)
                return -ENOMEM;
        fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fsync(fd) < 0 && errno != EINVAL)
                r = -errno;
        close(fd);
        return r;
}

static int put_name(SessionWriter *w, const char *name)
{
        uint8_t head[2] = {0x8c, (uint8_t)strlen(name)};
        int r = put(w, head, sizeof(head));

        return r < 0 ? r : put_text(w, name);
}

/* As in UpdateClientsState. The metadata is left empty: what the session keeps of it does not say where they looked, and
 * a loader that draws them does without those of whom it knows nothing. */
static int put_user(SessionWriter *w, const SessionUserInfo *u)
{
        uint8_t status[2] = {'K', (uint8_t)u->status};
        int r = put_name(w, u->name);

        if (r < 0 || (r = put_text(w, "}(")) < 0 || (r = put_name(w, "id")) < 0 || (r = put_name(w, u->name)) < 0 ||
            (r = put_name(w, "admin")) < 0 || (r = put(w, u->admin ? "\x88" : "\x89", 1)) < 0 ||
            (r = put_name(w, "latency")) < 0 || (r = put(w, "K\0", 2)) < 0 || (r = put_name(w, "status")) < 0 ||
            (r = put(w, status, sizeof(status))) < 0 || (r = put_name(w, "metadata")) < 0)
                return r;
        return put_text(w, "}u");
}

int session_writer_finish(SessionWriter *w, const Session *session)
{
        int r = w->n_nodes > 0 ? put_text(w, "e") : 0;
        SessionUserInfo u;

        if (r == 0)
                r = put(w, "\x8c\x05users}(", 9);
        for (size_t i = 0; r == 0 && session && session_get_user(session, i, &u) == 0; i++)
                r = put_user(w, &u);
        if (r == 0)
                r = put_text(w, "uu.");
        if (r < 0)
                return r;
        errno = 0;
        r = gzclose(TAKE_PTR(w->out));
        if (r != Z_OK)
                return errno != 0 ? -errno : -EIO;
        if (fchmod(w->fd, file_mode()) < 0 || fsync(w->fd) < 0 || rename(w->temporary, w->path) < 0)
                return -errno;
        w->finished = true;
        return sync_folder(w->path);
}
