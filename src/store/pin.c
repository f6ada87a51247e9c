/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "store/digest.h"
#include "store/internal.h"

#define FILE_MAX (STORE_PIN_NAME_MAX + DIGEST_TEXT_SIZE + 1u)

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool store_pin_name_is_valid(const char *name)
{
        size_t n = strlen(name);

        if (n >= STORE_PIN_NAME_MAX || !is_letter(name[0]) || strcmp(name, "latest") == 0 || strcmp(name, "now") == 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_letter(name[i]) && !(name[i] >= '0' && name[i] <= '9') && !strchr("._-", name[i]))
                        return false;
        return true;
}

static size_t format(const char *name, char text[static FILE_MAX + 1])
{
        uint8_t digest[DIGEST_SIZE];
        char hex[DIGEST_TEXT_SIZE];

        digest_buffer(name, strlen(name), digest);
        return (size_t)snprintf(text, FILE_MAX + 1, "%s\n%s\n", name, digest_format(digest, hex));
}

static int write_empty(Store *s, const char *file)
{
        int fd = s->io->openat(s->io, s->snapshots_dirfd, file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
        int r;

        if (fd < 0)
                return fd;
        r = s->io->fsync(s->io, fd);
        s->io->close(s->io, fd);
        return r < 0 ? r : s->io->fsync(s->io, s->snapshots_dirfd);
}

int pin_write(Store *s, const char *snapshot, const Pin *pin)
{
        char file[STORE_SNAPSHOT_NAME_MAX + sizeof(MANIFEST_SUFFIX_PIN)], text[FILE_MAX + 1];
        struct iovec iov = { .iov_base = text };
        int r;

        snprintf(file, sizeof(file), "%s%s", snapshot, MANIFEST_SUFFIX_PIN);
        if (pin->pinned && !*pin->name)
                return write_empty(s, file);
        if (pin->pinned) {
                iov.iov_len = format(pin->name, text);
                return io_write_file_atomic(s->io, s->snapshots_dirfd, file, &iov, 1, 0600);
        }
        r = s->io->unlinkat(s->io, s->snapshots_dirfd, file);
        return r < 0 && r != -ENOENT ? r : s->io->fsync(s->io, s->snapshots_dirfd);
}

static ssize_t read_all(Store *s, const char *file, char text[static FILE_MAX + 1])
{
        int fd = s->io->openat(s->io, s->snapshots_dirfd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        ssize_t n = 0, k = 1;

        if (fd < 0)
                return fd;
        while (k > 0 && n <= (ssize_t)FILE_MAX) {
                k = s->io->pread(s->io, fd, text + n, FILE_MAX + 1 - (size_t)n, n);
                if (k > 0)
                        n += k;
        }
        s->io->close(s->io, fd);
        return k < 0 ? k : n;
}

Pin pin_read(Store *s, const char *file)
{
        char text[FILE_MAX + 1], expected[FILE_MAX + 1];
        ssize_t n = read_all(s, file, text);
        Pin pin = { .pinned = true };
        const char *end = n > 0 ? memchr(text, '\n', MIN((size_t)n, (size_t)STORE_PIN_NAME_MAX)) : NULL;

        if (n == 0)
                return pin;
        if (end) {
                memcpy(pin.name, text, (size_t)(end - text));
                if (store_pin_name_is_valid(pin.name) && format(pin.name, expected) == (size_t)n &&
                    memcmp(text, expected, (size_t)n) == 0)
                        return pin;
        }
        store_damage(s, STORE_WARNING, "snapshots", file,
                     "The name in %s/snapshots/%s cannot be read or is damaged; the snapshot is kept, without a name. "
                     "Name it again with `scenekeepctl pin`",
                     s->path, file);
        return (Pin){ .pinned = true };
}
