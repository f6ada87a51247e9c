/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "store/digest.h"

/* A header that cannot be read costs its whole segment: disks get a second chance. */
#define READ_ATTEMPTS 3u

_Static_assert(DIGEST_SIZE == STORE_DIGEST_SIZE, "digest size");

SegmentMap *segment_map_ref(SegmentMap *m)
{
        if (m)
                bytes_ref(&m->whole);
        return m;
}

SegmentMap *segment_map_unref(SegmentMap *m)
{
        if (m)
                bytes_unref(&m->whole);
        return NULL;
}

static void segment_map_release(void *userdata)
{
        SegmentMap *m = userdata;

        sigbus_unregister(m->region);
        munmap(m->base, m->size);
        free(m);
}

Bytes *segment_map_bytes(SegmentMap *m, uint64_t offset, uint64_t size)
{
        return bytes_new_slice(&m->whole, (size_t)offset, (size_t)size);
}

void segment_name(uint64_t number, char ret[static SEGMENT_NAME_SIZE])
{
        assert(number <= SEGMENT_NUMBER_MAX);
        snprintf(ret, SEGMENT_NAME_SIZE, "%010" PRIu32 ".seg", (uint32_t)number);
}

bool segment_parse_name(const char *name, uint64_t *ret)
{
        uint64_t number = 0;

        if (strlen(name) != SEGMENT_NAME_SIZE - 1 || strcmp(name + 10, ".seg") != 0)
                return false;
        for (unsigned i = 0; i < 10; i++) {
                if (name[i] < '0' || name[i] > '9')
                        return false;
                number = number * 10 + (uint64_t)(name[i] - '0');
        }
        if (number == 0 || number > SEGMENT_NUMBER_MAX)
                return false;
        *ret = number;
        return true;
}

Segment *segment_new(uint64_t number, uint32_t type, uint64_t now_usec, uint64_t capacity,
                     uint64_t first_sequence, uint64_t follows, uint32_t flags)
{
        Segment *s = calloc(1, sizeof(Segment));

        if (!s)
                return NULL;
        s->number = number;
        s->type = type;
        s->flags = flags;
        s->header_size = sizeof(FormatSegment);
        s->header_intact = true;
        s->first_sequence = first_sequence;
        s->follows = follows;
        s->created_usec = now_usec;
        s->capacity = capacity;
        s->superseded = UINT64_MAX;
        /* Before the first bytes of randomness of the boot nothing of ours runs: this neither blocks nor
         * fails. */
        if (getrandom(&s->record_mark, sizeof(s->record_mark), 0) != sizeof(s->record_mark))
                return segment_free(s);
        return s;
}

void segment_encode_header(const Segment *s, const uint8_t store_id[static 16],
                           uint8_t ret[static sizeof(FormatSegment)])
{
        FormatSegment f = {
                .header_size = htole32(s->header_size),
                .type = htole32(s->type),
                .number = htole64(s->number),
                .created_usec = htole64(s->created_usec),
                .first_sequence = htole64(s->first_sequence),
                .follows = htole64(s->follows),
                .record_mark = s->record_mark, /* eight bytes, not a number */
                .flags = htole32(s->flags),
        };

        memcpy(f.magic, FORMAT_SEGMENT_MAGIC, sizeof(f.magic));
        memcpy(f.store_id, store_id, sizeof(f.store_id));
        digest_buffer(&f, offsetof(FormatSegment, digest), f.digest);
        memcpy(ret, &f, sizeof(f));
}

static int decode_header(Segment *s, const FormatSegment *f, uint64_t mark_of_first_record)
{
        uint8_t digest[DIGEST_SIZE];

        digest_buffer(f, offsetof(FormatSegment, digest), digest);
        if (memcmp(f->magic, FORMAT_SEGMENT_MAGIC, sizeof(f->magic)) == 0 &&
            memcmp(digest, f->digest, sizeof(digest)) == 0) {
                if (le32toh(f->incompatible) & ~FORMAT_INCOMPATIBLE_KNOWN)
                        return -EPROTONOSUPPORT;
                if (le64toh(f->number) == s->number && le32toh(f->header_size) >= sizeof(FormatSegment) &&
                    le32toh(f->header_size) <= s->size) {
                        s->header_intact = true;
                        s->header_size = le32toh(f->header_size);
                        s->type = le32toh(f->type);
                        s->flags = le32toh(f->flags);
                        s->created_usec = le64toh(f->created_usec);
                        s->first_sequence = le64toh(f->first_sequence);
                        s->follows = le64toh(f->follows);
                        s->record_mark = f->record_mark;
                        return 0;
                }
        }
        /* The mark is also at the start of the first record, where every digest can confirm it. What kind of
         * segment it is, its records tell. */
        s->header_size = sizeof(FormatSegment);
        s->type = FORMAT_SEGMENT_JOURNAL;
        s->record_mark = mark_of_first_record;
        return 0;
}

int segment_open(Io *io, int dirfd, uint64_t number, Segment **ret)
{
        _cleanup_segment_ Segment *s = calloc(1, sizeof(Segment));
        struct {
                FormatSegment header;
                uint64_t mark_of_first_record;
        } start = { 0 };
        char name[SEGMENT_NAME_SIZE];
        struct stat st;
        int fd, r;

        if (!s)
                return -ENOMEM;
        segment_name(number, name);
        fd = io->openat(io, dirfd, name, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
                return fd;
        r = fstat(fd, &st) < 0 ? -errno : 0;
        for (unsigned i = 0; r >= 0 && i < READ_ATTEMPTS; i++) {
                int e = io_pread_all(io, fd, &start, MIN(sizeof(start), (size_t)st.st_size), 0);

                if (e >= 0)
                        break;
                if (e != -EIO || i + 1 == READ_ATTEMPTS)
                        r = e;
        }
        io->close(io, fd);
        if (r < 0 && r != -EIO && r != -EUCLEAN)
                return r;
        if ((size_t)st.st_size < sizeof(FormatSegment))
                return 1;
        s->number = number;
        s->sealed = true;
        s->superseded = UINT64_MAX;
        s->size = s->capacity = (uint64_t)st.st_size;
        r = decode_header(s, &start.header, start.mark_of_first_record);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int segment_map(Io *io, int dirfd, Segment *s, SegmentMap **ret)
{
        char name[SEGMENT_NAME_SIZE];
        SegmentMap *m;
        void *base;
        int fd;

        if (s->map) {
                *ret = segment_map_ref(s->map);
                return 0;
        }
        segment_name(s->number, name);
        fd = io->openat(io, dirfd, name, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
                return fd;
        /* Pages beyond the end of a file that still grows become valid as it does. */
        base = mmap(NULL, (size_t)s->capacity, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
        io->close(io, fd);
        if (base == MAP_FAILED)
                return -ENOMEM;
        m = malloc(sizeof(SegmentMap));
        if (!m) {
                munmap(base, (size_t)s->capacity);
                return -ENOMEM;
        }
        *m = (SegmentMap){ .base = base, .size = (size_t)s->capacity };
        bytes_init_embedded(&m->whole, base, m->size, segment_map_release, m);
        m->region = sigbus_register(base, m->size);
        s->map = m;
        *ret = segment_map_ref(m);
        return 0;
}

Segment *segment_free(Segment *s)
{
        if (s) {
                segment_map_unref(s->map);
                free(s->references);
                free(s);
        }
        return NULL;
}
