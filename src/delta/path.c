/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/path.h"

#include <errno.h>

#include "delta/literal.h"
#include "delta/unicode.h"

#define ESCAPE_CODE UINT32_C(0x1d1c0)

/* "root", but deepdiff does not look. */
#define ROOT_LENGTH 4

typedef struct Lexer {
        const uint8_t *text;
        size_t token; /* where the current token starts; it always reaches to the current character */
        char inside;  /* '[', '.' or 0 */
        uint32_t depth;
        uint32_t quote;
        uint32_t previous;
        Path *path;
        uint32_t capacity;
} Lexer;

Path *path_free(Path *path)
{
        if (!path)
                return NULL;
        for (uint32_t i = 0; i < path->n; i++)
                value_unref(path->elements[i].value);
        free(path->elements);
        free(path);
        return NULL;
}

Path *path_prefix(const Path *path, uint32_t n)
{
        _cleanup_path_ Path *prefix = NULL;

        assert(n <= path->n);

        prefix = calloc(1, sizeof(Path));
        if (!prefix)
                return NULL;
        prefix->elements = calloc(MAX(n, 1u), sizeof(PathElement));
        if (!prefix->elements)
                return NULL;
        for (; prefix->n < n; prefix->n++) {
                prefix->elements[prefix->n] = path->elements[prefix->n];
                value_ref(prefix->elements[prefix->n].value);
        }
        return TAKE_PTR(prefix);
}

static int emit(Lexer *l, size_t end)
{
        const uint8_t *token = l->text + l->token;
        size_t size = end - l->token;
        Path *path = l->path;
        PathElement element = { .is_attribute = l->inside == '.' };
        int r;

        if (size == 0 || (size >= 2 && memcmp(token, "__", 2) == 0))
                return 0;
        if (path->n == l->capacity) {
                uint32_t capacity = MAX(l->capacity * 2, 8u);
                PathElement *elements = reallocarray(path->elements, capacity, sizeof(PathElement));

                if (!elements)
                        return -ENOMEM;
                path->elements = elements;
                l->capacity = capacity;
        }
        r = literal_parse(token, size, &element.value, &path->is_opaque);
        if (r < 0)
                return r;
        path->elements[path->n++] = element;
        return 0;
}

/* What a bracket or a dot does outside quotes; all other characters belong to the token. */
static int punctuation(Lexer *l, uint32_t c, size_t at, size_t next)
{
        int r = 0;

        if (c == ']') {
                if (l->depth > 0)
                        l->depth--;
                if (l->depth > 0)
                        return 0;
                r = emit(l, at);
                l->inside = 0;
        } else if (l->inside == '[') {
                return 0;
        } else {
                if (l->inside == '.')
                        r = emit(l, at);
                else if (c == '[')
                        l->depth++;
                l->inside = (char)c;
        }
        l->token = next;
        return r;
}

static int quote(Lexer *l, uint32_t c, size_t next)
{
        int r;

        if (l->quote == 0) {
                l->quote = c;
                return 0;
        }
        if (l->quote != c)
                return 0;
        l->quote = 0;
        r = emit(l, next);
        l->token = next;
        return r;
}

int path_parse(const uint8_t *text, size_t size, Path **ret)
{
        _cleanup_path_ Path *path = calloc(1, sizeof(Path));
        Lexer l = { .text = text, .path = path };
        size_t at = 0, next;
        int r = 0;

        if (!path)
                return -ENOMEM;
        for (int i = 0; i < ROOT_LENGTH && at < size; i++)
                unicode_next(text, &at);
        l.token = at;
        for (; at < size; at = next) {
                uint32_t c;

                next = at;
                c = unicode_next(text, &next);
                if (l.previous == ESCAPE_CODE)
                        r = 0;
                else if (c == '\'' || c == '"')
                        r = quote(&l, c, next);
                else if (l.quote == 0 && (c == '[' || c == '.' || c == ']'))
                        r = punctuation(&l, c, at, next);
                if (r < 0)
                        return r;
                l.previous = c;
        }
        r = emit(&l, size);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(path);
        return 0;
}
