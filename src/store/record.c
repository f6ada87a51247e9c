/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/digest.h"
#include "store/segment.h"

uint64_t record_head_size(size_t author_size, size_t key_size, size_t meta_size)
{
        return format_align(sizeof(FormatRecord) + author_size + key_size + meta_size + DIGEST_SIZE);
}

void record_encode_head(const FormatRecord *header, const void *author, const void *key, const void *meta,
                        uint8_t *buffer)
{
        FormatRecord h = {
                .mark = header->mark,
                .kind = htole16(header->kind),
                .flags = htole16(header->flags),
                .author_size = header->author_size,
                .key_size = header->key_size,
                .meta_size = htole32(header->meta_size),
                .sequence = htole64(header->sequence),
                .time_usec = htole64(header->time_usec),
                .durable = htole64(header->durable),
                .blob_size = htole64(header->blob_size),
                .blob_segment = htole64(header->blob_segment),
                .blob_offset = htole64(header->blob_offset),
        };
        size_t n = sizeof(h);

        memcpy(h.blob_digest, header->blob_digest, sizeof(h.blob_digest));
        memcpy(buffer, &h, sizeof(h));
        if (header->author_size > 0)
                memmove(buffer + n, author, header->author_size);
        n += header->author_size;
        if (header->key_size > 0)
                memmove(buffer + n, key, header->key_size);
        n += header->key_size;
        if (header->meta_size > 0)
                memmove(buffer + n, meta, header->meta_size);
        n += header->meta_size;
        digest_buffer(buffer, n, buffer + n);
        n += DIGEST_SIZE;
        memset(buffer + n, 0, format_align(n) - n);
}

static void decode(const uint8_t *p, FormatRecord *ret)
{
        FormatRecord h;

        memcpy(&h, p, sizeof(h));
        h.kind = le16toh(h.kind);
        h.flags = le16toh(h.flags);
        h.meta_size = le32toh(h.meta_size);
        h.sequence = le64toh(h.sequence);
        h.time_usec = le64toh(h.time_usec);
        h.durable = le64toh(h.durable);
        h.blob_size = le64toh(h.blob_size);
        h.blob_segment = le64toh(h.blob_segment);
        h.blob_offset = le64toh(h.blob_offset);
        *ret = h;
}

int record_parse(const uint8_t *base, uint64_t size, uint64_t offset, uint64_t mark, uint64_t segment,
                 RecordHead *ret)
{
        uint8_t digest[DIGEST_SIZE];
        RecordHead head = { .offset = offset };
        FormatRecord *h = &head.header;
        uint64_t n, room;

        if (offset > size || size - offset < sizeof(FormatRecord) + DIGEST_SIZE)
                return -EUCLEAN;
        decode(base + offset, h);
        if (h->mark != mark || h->meta_size > STORE_META_MAX)
                return -EUCLEAN;
        n = sizeof(FormatRecord) + h->author_size + h->key_size + h->meta_size;
        if (size - offset < format_align(n + DIGEST_SIZE))
                return -EUCLEAN;
        digest_buffer(base + offset, n, digest);
        if (memcmp(digest, base + offset + n, DIGEST_SIZE) != 0)
                return -EUCLEAN;

        for (n += DIGEST_SIZE; n % FORMAT_ALIGNMENT != 0; n++)
                if (base[offset + n] != 0)
                        return -EUCLEAN;
        head.author = base + offset + sizeof(FormatRecord);
        head.key = head.author + h->author_size;
        head.meta = head.key + h->key_size;
        head.blob_start = offset + n;
        head.end = head.blob_start;
        room = size - head.blob_start;
        if (h->blob_size > 0 && !(h->flags & STORE_RECORD_REFERENCE)) {
                /* A block of another place, intact in itself, must not be taken for this one. */
                if (h->blob_segment != segment || h->blob_offset != head.blob_start)
                        return -EUCLEAN;
                if (h->blob_size > room || format_align(h->blob_size) > room) {
                        *ret = head;
                        return 1;
                }
                head.end += format_align(h->blob_size);
        }
        *ret = head;
        return 0;
}

void record_get_location(const RecordHead *head, StoreLocation *ret)
{
        ret->segment = head->header.blob_segment;
        ret->offset = head->header.blob_offset;
        ret->size = head->header.blob_size;
        memcpy(ret->digest, head->header.blob_digest, sizeof(ret->digest));
}

void record_get_view(const RecordHead *head, StoreRecordView *ret)
{
        *ret = (StoreRecordView){
                .kind = head->header.kind,
                .flags = head->header.flags,
                .sequence = head->header.sequence,
                .time_usec = head->header.time_usec,
                .author = head->author,
                .author_size = head->header.author_size,
                .key = head->key,
                .key_size = head->header.key_size,
                .meta = head->meta,
                .meta_size = head->header.meta_size,
        };
        record_get_location(head, &ret->blob);
}

int scanner_init(Scanner *sc, Io *io, int dirfd, Segment *s)
{
        SegmentMap *map;
        int r = segment_map(io, dirfd, s, &map);

        if (r < 0)
                return r;
        *sc = (Scanner){
                .map = map,
                .segment = s->number,
                .mark = s->record_mark,
                .offset = s->header_size,
                .size = s->size,
        };
        return 0;
}

void scanner_done(Scanner *sc)
{
        sc->map = segment_map_unref(sc->map);
}

/* Looks for the next intact record behind a damaged place: every one begins at a multiple of eight with a
 * mark that is random, so that no payload holds it but by a chance of 2^-64, and then its digest would have
 * to match too. */
static uint64_t find_next(const Scanner *sc, uint64_t from)
{
        RecordHead head;

        for (uint64_t offset = format_align(from); offset + sizeof(FormatRecord) <= sc->size; offset += 8) {
                uint64_t mark;

                memcpy(&mark, sc->map->base + offset, sizeof(mark));
                if (mark == sc->mark &&
                    record_parse(sc->map->base, sc->size, offset, mark, sc->segment, &head) >= 0)
                        return offset;
        }
        return sc->size;
}

int scanner_next(Scanner *sc, RecordHead *ret)
{
        RecordHead head;
        int r;

        if (sc->offset >= sc->size)
                return 0;
        r = record_parse(sc->map->base, sc->size, sc->offset, sc->mark, sc->segment, &head);
        if (r == 0) {
                sc->offset = head.end;
                *ret = head;
                return 1;
        }
        if (r > 0)
                sc->torn_sequence = head.header.sequence;
        sc->damage_start = sc->offset;
        sc->damage_end = r > 0 ? sc->size : find_next(sc, sc->offset + 1);
        sc->offset = sc->damage_end;
        return SCANNER_DAMAGE;
}
