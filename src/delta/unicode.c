/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/unicode.h"

#include "delta/unicode-table.h"

static size_t sequence_length(uint8_t lead)
{
        if (lead < 0x80)
                return 1;
        if (lead < 0xe0)
                return 2;
        return lead < 0xf0 ? 3 : 4;
}

uint32_t unicode_next(const uint8_t *text, size_t *offset)
{
        static const uint8_t lead_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
        const uint8_t *p = text + *offset;
        size_t n = sequence_length(p[0]);
        uint32_t code = p[0] & lead_mask[n];

        for (size_t i = 1; i < n; i++)
                code = code << 6 | (p[i] & 0x3f);
        *offset += n;
        return code;
}

size_t unicode_length(const uint8_t *text, size_t size)
{
        size_t n = 0;

        for (size_t i = 0; i < size; i++)
                n += (text[i] & 0xc0) != 0x80;
        return n;
}

bool unicode_has_surrogate(const uint8_t *text, size_t size)
{
        for (size_t i = 0; i + 2 < size; i++)
                if (text[i] == 0xed && text[i + 1] >= 0xa0)
                        return true;
        return false;
}

bool unicode_is_valid(const uint8_t *text, size_t size)
{
        size_t i = 0;

        while (i < size) {
                static const uint32_t minimum[] = { 0, 0, 0x80, 0x800, 0x10000 };
                size_t n = sequence_length(text[i]), at = i;
                uint32_t code;

                if ((text[i] >= 0x80 && text[i] < 0xc2) || text[i] > 0xf4 || n > size - i)
                        return false;
                for (size_t k = 1; k < n; k++)
                        if ((text[i + k] & 0xc0) != 0x80)
                                return false;
                code = unicode_next(text, &at);
                if (code < minimum[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                        return false;
                i = at;
        }
        return true;
}

/* Number of entries that are not above the code point. */
static size_t table_rank(const uint32_t *table, size_t n, uint32_t code)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (table[middle] <= code)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

bool unicode_is_printable(uint32_t code)
{
        return table_rank(printable_boundaries, ELEMENTSOF(printable_boundaries), code) % 2 == 1;
}

bool unicode_is_space(uint32_t code)
{
        switch (code) {
        case 0x09 ... 0x0d:
        case 0x1c ... 0x20:
        case 0x85:
        case 0xa0:
        case 0x1680:
        case 0x2000 ... 0x200a:
        case 0x2028:
        case 0x2029:
        case 0x202f:
        case 0x205f:
        case 0x3000:
                return true;
        default:
                return false;
        }
}

int unicode_decimal(uint32_t code)
{
        size_t rank = table_rank(decimal_zeros, ELEMENTSOF(decimal_zeros), code);

        if (rank == 0 || code - decimal_zeros[rank - 1] > 9)
                return -1;
        return (int)(code - decimal_zeros[rank - 1]);
}
