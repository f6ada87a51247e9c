/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pickle/scan.h"
#include "pickle/text.h"

int scan_push_str(Scan *s, const uint8_t *opcode, const Operand *operand)
{
        if (!text_is_utf8(operand->data, operand->size))
                return PICKLE_BAD_TEXT;
        Tag tag = tag_leaf(VALUE_STR);
        if (s->profile != PICKLE_PROFILE_DATA) {
                size_t offset = (size_t)(opcode - s->data);
                tag.number = offset < UINT32_MAX ? (uint32_t)offset + 1 : 0;
                if (s->profile == PICKLE_PROFILE_PLAIN && text_is_latin1(operand->data, operand->size))
                        tag.flags |= TAG_LATIN1;
        }
        return scan_push(s, tag);
}

/* UNICODE in a file: may it be an argument of a call? */
static int look_at_unicode(Scan *s, const uint8_t *opcode, const Operand *operand, Tag *tag)
{
        _cleanup_free_ uint8_t *text = NULL;
        size_t size, offset = (size_t)(opcode - s->data);

        int r = text_unescape_unicode(operand->data, operand->size, &text, &size);
        if (r != 0)
                return r;
        if (text_is_latin1(text, size))
                tag->flags |= TAG_LATIN1;
        if (offset < UINT32_MAX && !memchr(operand->data, '\\', operand->size))
                tag->number = (uint32_t)offset + 1;
        return 0;
}

int scan_push_text_str(Scan *s, const uint8_t *opcode, const Operand *operand)
{
        Tag tag = tag_leaf(VALUE_STR);
        int r;

        if (*opcode == OP_UNICODE && s->profile == PICKLE_PROFILE_PLAIN)
                r = look_at_unicode(s, opcode, operand, &tag);
        else if (*opcode == OP_UNICODE)
                r = text_unescape_unicode(operand->data, operand->size, NULL, NULL);
        else if (*opcode == OP_STRING)
                r = text_unescape_string(operand->data, operand->size, NULL, NULL);
        else
                r = text_is_ascii(operand->data, operand->size) ? 0 : PICKLE_BAD_TEXT;
        return r != 0 ? r : scan_push(s, tag);
}

int scan_push_text_number(Scan *s, const uint8_t *opcode, const Operand *operand)
{
        int r;
        if (*opcode == OP_FLOAT)
                r = text_parse_float(operand->data, operand->size, NULL);
        else
                r = text_parse_int(operand->data, operand->size, *opcode == OP_INT ? TEXT_INT : TEXT_LONG,
                                   NULL, NULL, NULL);
        return r != 0 ? r : scan_push(s, tag_leaf(opcode_table[*opcode].type));
}

/* The text of a str whose opcode the tag remembers; false where it was not kept or is escaped. */
bool scan_text_of(const Scan *s, Tag tag, const uint8_t **ret, size_t *ret_size)
{
        if (!tag_is(tag, VALUE_STR) || tag.number == 0)
                return false;
        const uint8_t *opcode = s->data + tag.number - 1;
        Operand operand;
        if (opcode_operand(&opcode_table[*opcode], opcode + 1, s->end, &operand) != 0)
                return false;
        *ret = operand.data;
        *ret_size = operand.size;
        return true;
}
