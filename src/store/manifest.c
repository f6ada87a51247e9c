/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/pages.h"
#include "store/digest.h"

#define MANIFEST_SIZE_MAX (UINT64_C(4) << 30)

static void convert_header(FormatManifest *h)
{
        h->compatible = le32toh(h->compatible);
        h->incompatible = le32toh(h->incompatible);
        h->header_size = le32toh(h->header_size);
        h->flags = le32toh(h->flags);
        h->number = le64toh(h->number);
        h->time_usec = le64toh(h->time_usec);
        h->sequence = le64toh(h->sequence);
        h->previous_number = le64toh(h->previous_number);
        h->entry_count = le64toh(h->entry_count);
        h->node_count = le64toh(h->node_count);
        h->payload_bytes = le64toh(h->payload_bytes);
        h->user_count = le64toh(h->user_count);
        h->reason_size = le32toh(h->reason_size);
        h->user_size = le32toh(h->user_size);
        h->state_size = le64toh(h->state_size);
        h->entries_size = le64toh(h->entries_size);
}

static int check_header(const FormatManifest *h, uint64_t size)
{
        uint64_t left;

        if (memcmp(h->magic, FORMAT_MANIFEST_MAGIC, sizeof(h->magic)) != 0)
                return -EUCLEAN;
        if (h->header_size < sizeof(FormatManifest) || h->header_size > size - DIGEST_SIZE)
                return -EUCLEAN;
        left = size - DIGEST_SIZE - h->header_size;
        if (h->reason_size > MANIFEST_TEXT_MAX || h->user_size > MANIFEST_TEXT_MAX ||
            h->state_size > MANIFEST_STATE_MAX || h->entries_size > left ||
            (uint64_t)h->reason_size + h->user_size + h->state_size + h->entries_size != left)
                return -EUCLEAN;
        return 0;
}

static bool take_digits(const char **p, unsigned n)
{
        for (unsigned i = 0; i < n; i++, (*p)++)
                if (**p < '0' || **p > '9')
                        return false;
        return true;
}

bool manifest_parse_name(const char *name, uint64_t *ret_number, const char **ret_suffix)
{
        const char *p = name;
        uint64_t number = 0;
        unsigned n_digits = 0;

        if (!take_digits(&p, 8) || *p++ != 'T' || !take_digits(&p, 6) || *p++ != 'Z' || *p++ != '-')
                return false;
        for (; *p >= '0' && *p <= '9' && n_digits < 10; p++, n_digits++)
                number = number * 10 + (uint64_t)(*p - '0');
        if (n_digits < 5 || number == 0 || number > UINT32_MAX || (*p != '\0' && *p != '.'))
                return false;
        *ret_number = number;
        *ret_suffix = p;
        return true;
}

/* A file that has been renamed would otherwise be taken for another than those that build on it mean. */
static int check_number(const FormatManifest *h, const char *name)
{
        const char *suffix;
        uint64_t number;

        return manifest_parse_name(name, &number, &suffix) && number != h->number ? -EUCLEAN : 0;
}

static int open_and_measure(Io *io, int dirfd, const char *name, int *ret_fd, uint64_t *ret_size)
{
        struct stat st;
        int fd = io->openat(io, dirfd, name, O_RDONLY | O_NOFOLLOW, 0);

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0 || st.st_size < (off_t)(sizeof(FormatManifest) + DIGEST_SIZE) ||
            (uint64_t)st.st_size > MANIFEST_SIZE_MAX) {
                io->close(io, fd);
                return -EUCLEAN;
        }
        *ret_fd = fd;
        *ret_size = (uint64_t)st.st_size;
        return 0;
}

void manifest_head_done(ManifestHead *head)
{
        free(head->reason);
        free(head->user);
        *head = (ManifestHead){ 0 };
}

int manifest_read_head(Io *io, int dirfd, const char *name, ManifestHead *ret)
{
        ManifestHead head = { 0 };
        char *texts = NULL;
        int fd, r;

        r = open_and_measure(io, dirfd, name, &fd, &head.size);
        if (r < 0)
                return r;
        r = io_pread_all(io, fd, &head.header, sizeof(head.header), 0);
        if (r >= 0) {
                convert_header(&head.header);
                r = check_header(&head.header, head.size);
        }
        if (r >= 0)
                r = check_number(&head.header, name);
        if (r >= 0) {
                texts = calloc(1, head.header.reason_size + head.header.user_size + 1);
                r = !texts ? -ENOMEM
                           : io_pread_all(io, fd, texts, head.header.reason_size + head.header.user_size,
                                          head.header.header_size);
        }
        io->close(io, fd);
        if (r >= 0) {
                head.reason = strndup(texts, head.header.reason_size);
                head.user = strndup(texts + head.header.reason_size, head.header.user_size);
                if (!head.reason || !head.user)
                        r = -ENOMEM;
        }
        free(texts);
        if (r < 0) {
                manifest_head_done(&head);
                return r;
        }
        *ret = head;
        return 0;
}

Manifest *manifest_free(Manifest *m)
{
        if (m) {
                pages_free(m->data, m->size);
                free(m);
        }
        return NULL;
}

static bool entries_are_whole(const Manifest *m)
{
        uint64_t offset = 0;

        for (uint64_t i = 0; i < m->header.entry_count; i++) {
                StoreEntry e;
                bool removed;
                size_t n = manifest_decode_entry(m->entries + offset, m->header.entries_size - offset, &e,
                                                 &removed);

                if (n == 0)
                        return false;
                offset += n;
        }
        return offset == m->header.entries_size;
}

static int parse(Manifest *m)
{
        uint8_t digest[DIGEST_SIZE];
        int r;

        digest_buffer(m->data, m->size - DIGEST_SIZE, digest);
        memcpy(m->digest, m->data + m->size - DIGEST_SIZE, DIGEST_SIZE);
        if (memcmp(digest, m->digest, DIGEST_SIZE) != 0)
                return -EUCLEAN;
        memcpy(&m->header, m->data, sizeof(m->header));
        convert_header(&m->header);
        if (memcmp(m->header.magic, FORMAT_MANIFEST_MAGIC, sizeof(m->header.magic)) != 0)
                return -EUCLEAN;
        if (m->header.incompatible & ~FORMAT_INCOMPATIBLE_KNOWN)
                return -EPROTONOSUPPORT;
        r = check_header(&m->header, m->size);
        if (r < 0)
                return r;
        m->reason = (const char *)m->data + m->header.header_size;
        m->user = m->reason + m->header.reason_size;
        m->state = (const uint8_t *)m->user + m->header.user_size;
        m->entries = m->state + m->header.state_size;
        if (m->header.compatible & FORMAT_MANIFEST_TIMES &&
            (m->header.header_size - sizeof(FormatManifest)) / sizeof(uint32_t) >= m->header.entry_count)
                m->times = m->data + sizeof(FormatManifest);
        return entries_are_whole(m) ? 0 : -EUCLEAN;
}

int manifest_read_file(Io *io, int dirfd, const char *name, Manifest **ret)
{
        _cleanup_manifest_ Manifest *m = calloc(1, sizeof(Manifest));
        int fd, r;

        if (!m)
                return -ENOMEM;
        r = open_and_measure(io, dirfd, name, &fd, &m->size);
        if (r < 0)
                return r;
        m->data = pages_new(m->size);
        r = m->data ? io_pread_all(io, fd, m->data, m->size, 0) : -ENOMEM;
        io->close(io, fd);
        if (r >= 0)
                r = parse(m);
        if (r >= 0)
                r = check_number(&m->header, name);
        if (r < 0)
                return r == -EIO ? -EUCLEAN : r; /* what the disk cannot read is as good as rotten */
        *ret = TAKE_PTR(m);
        return 0;
}

int manifest_read(Io *io, int dirfd, const char *name, Manifest **ret)
{
        static const char *const suffixes[] = { MANIFEST_SUFFIX, MANIFEST_SUFFIX_BASE, MANIFEST_SUFFIX_TWIN };
        bool damaged = false;
        int r = -ENOENT;

        for (unsigned i = 0; i < ELEMENTSOF(suffixes); i++) {
                char file[NAME_MAX];

                snprintf(file, sizeof(file), "%s%s", name, suffixes[i]);
                r = manifest_read_file(io, dirfd, file, ret);
                if (r >= 0)
                        return i == 2;
                if (r == -EUCLEAN)
                        damaged = true;
                else if (r != -ENOENT)
                        return r;
        }
        return damaged ? -EUCLEAN : -ENOENT;
}

int manifest_write(Io *io, int dirfd, const char *name, const FormatManifest *header, const void *times,
                   const char *reason, const char *user, const Bytes *state, const void *entries,
                   uint64_t *ret_size, uint8_t ret_digest[static STORE_DIGEST_SIZE])
{
        char twin[NAME_MAX], file[NAME_MAX];
        const char *names[] = { twin, file };
        FormatManifest h = *header;
        struct iovec iov[7];
        uint64_t size = 0;
        Digest *d;

        memcpy(h.magic, FORMAT_MANIFEST_MAGIC, sizeof(h.magic));
        h.compatible = FORMAT_MANIFEST_TIMES;
        h.header_size = (uint32_t)(sizeof(h) + h.entry_count * sizeof(uint32_t));
        h.reason_size = (uint32_t)strlen(reason);
        h.user_size = (uint32_t)strlen(user);
        h.state_size = state ? state->size : 0;
        iov[1] = (struct iovec){ .iov_base = (void *)times, .iov_len = h.header_size - sizeof(h) };
        iov[2] = (struct iovec){ .iov_base = (void *)reason, .iov_len = h.reason_size };
        iov[3] = (struct iovec){ .iov_base = (void *)user, .iov_len = h.user_size };
        iov[4] = (struct iovec){ .iov_base = state ? (void *)state->data : NULL, .iov_len = h.state_size };
        iov[5] = (struct iovec){ .iov_base = (void *)entries, .iov_len = h.entries_size };
        iov[6] = (struct iovec){ .iov_base = ret_digest, .iov_len = DIGEST_SIZE };
        convert_header(&h); /* to little-endian: the same exchange of bytes */
        iov[0] = (struct iovec){ .iov_base = &h, .iov_len = sizeof(h) };

        d = digest_new();
        for (unsigned i = 0; i < ELEMENTSOF(iov) - 1; i++) {
                digest_update(d, iov[i].iov_base, iov[i].iov_len);
                size += iov[i].iov_len;
        }
        digest_finish(d, ret_digest);
        digest_free(d);
        snprintf(twin, sizeof(twin), "%s%s", name, MANIFEST_SUFFIX_TWIN);
        snprintf(file, sizeof(file), "%s%s", name, MANIFEST_SUFFIX);
        *ret_size = size + DIGEST_SIZE;
        return io_write_files_atomic(io, dirfd, names, ELEMENTSOF(names), iov, ELEMENTSOF(iov), 0600);
}
