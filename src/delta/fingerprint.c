/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delta/fingerprint.h"

#include <errno.h>
#include <openssl/evp.h>

#include "delta/number.h"
#include "delta/text-buffer.h"
#include "delta/unicode.h"

#define DIGEST_SIZE 32
#define HEX_SIZE 64

struct AnySet {
        Value *hashable;     /* set */
        Value *fingerprints; /* set of bytes: of the members that are not hashable */
        Value *memory;       /* dict: hashable values met so far to their fingerprints */
        IdentityMap shared;  /* containers met so far that have several references, to offsets in kept */
        Text kept;           /* their digests */
        EVP_MD_CTX *context;
        Text text; /* of the scalar at hand, kept for its memory */
};

/* Members of a list: digests. Of a dict: pairs of digests. */
typedef struct Frame {
        Value *v; /* owned */
        uint32_t position;
        bool at_value;
        Text digests;
} Frame;

typedef struct Hasher {
        DeltaRun *run;
        AnySet *set;
        Frame *frames;
        size_t n;
        size_t capacity;
        uint8_t result[DIGEST_SIZE]; /* of the value that was finished last */
} Hasher;

AnySet *any_set_free(AnySet *set)
{
        if (!set)
                return NULL;
        value_unref(set->hashable);
        value_unref(set->fingerprints);
        value_unref(set->memory);
        identity_map_clear(&set->shared);
        text_done(&set->kept);
        text_done(&set->text);
        EVP_MD_CTX_free(set->context);
        free(set);
        return NULL;
}

AnySet *any_set_new(void)
{
        _cleanup_any_set_ AnySet *set = calloc(1, sizeof(AnySet));

        if (!set)
                return NULL;
        set->hashable = value_set_new();
        set->fingerprints = value_set_new();
        set->memory = value_dict_new();
        set->context = EVP_MD_CTX_new();
        if (!set->hashable || !set->fingerprints || !set->memory || !set->context)
                return NULL;
        return TAKE_PTR(set);
}

static int digest_text(Hasher *h, const Text *text)
{
        int r = run_charge(h->run, 64 + text->size / 4);

        if (r != 0)
                return r;
        if (EVP_DigestInit_ex(h->set->context, EVP_sha256(), NULL) != 1 ||
            EVP_DigestUpdate(h->set->context, text_data(text), text->size) != 1 ||
            EVP_DigestFinal_ex(h->set->context, h->result, NULL) != 1)
                return -ENOMEM;
        return 0;
}

/* ---- scalars ---- */

static int scalar_text(Hasher *h, const Value *v, Text *text)
{
        char number[NUMBER_FLOAT_TEXT_MAX];
        int r;

        switch (value_type(v)) {
        case VALUE_NONE:
                return text_append_string(text, "str:NONE");
        case VALUE_BOOL:
                return text_append_string(text, value_bool_get(v) ? "str:bool:true" : "str:bool:false");
        case VALUE_INT:
        case VALUE_BIGINT:
                r = text_append_string(text, "str:int:");
                if (r == 0)
                        r = number_int_text(v, text);
                return r == NUMBER_INVALID ?
                           run_refuse(h->run, DELTA_ABORTED, "number too long to be hashed") :
                           r;
        case VALUE_FLOAT:
                number_float_text(value_float_get(v), number);
                r = text_append_string(text, "str:float:");
                return r != 0 ? r : text_append_string(text, number);
        case VALUE_STR:
                if (unicode_has_surrogate(value_data(v), value_size(v)))
                        return run_refuse(h->run, DELTA_ABORTED, "text with a surrogate cannot be hashed");
                r = text_append_string(text, "str:");
                return r != 0 ? r : text_append(text, value_data(v), value_size(v));
        case VALUE_BYTES:
                if (!unicode_is_valid(value_data(v), value_size(v)))
                        return run_refuse(h->run, DELTA_ABORTED, "bytes that are no text cannot be hashed");
                r = text_append_string(text, "bytes:");
                return r != 0 ? r : text_append(text, value_data(v), value_size(v));
        default:
                return run_refuse(h->run, DELTA_UNSUPPORTED, "type or Opcode as a value");
        }
}

/* ---- memory ---- */

/* The walk itself holds one reference. */
static bool is_shared(const Value *v)
{
        return v->n_ref > 2;
}

/* Equal values get the fingerprint of the first of them; bools have their own keys, which are never found. */
static bool recall(Hasher *h, const Value *v)
{
        const Value *known = NULL;

        if (value_is_hashable(v)) {
                if (value_type(v) != VALUE_BOOL)
                        known = value_dict_get(h->set->memory, v);
                if (known)
                        memcpy(h->result, value_data(known), DIGEST_SIZE);
        } else if (is_shared(v)) {
                IdentityEntry *entry = identity_map_find(&h->set->shared, v);

                if (!entry)
                        return false;
                memcpy(h->result, h->set->kept.data + entry->number, DIGEST_SIZE);
                return true;
        }
        return known != NULL;
}

static int remember(Hasher *h, Value *v)
{
        _cleanup_value_ Value *digest = NULL;
        int r;

        if (value_is_hashable(v)) {
                if (value_type(v) == VALUE_BOOL)
                        return 0;
                digest = value_bytes_new(h->result, DIGEST_SIZE);
                r = digest ? value_dict_set(h->set->memory, v, digest, NULL) : -ENOMEM;
                return MIN(r, 0);
        }
        if (!is_shared(v))
                return 0;
        r = identity_map_put(&h->set->shared, v, h->set->kept.size, NULL);
        return r < 0 ? r : text_append(&h->set->kept, h->result, DIGEST_SIZE);
}

/* ---- containers ---- */

static bool is_container(const Value *v)
{
        return value_type(v) == VALUE_BYTEARRAY ||
               (value_type(v) >= VALUE_LIST && value_type(v) <= VALUE_FROZENSET);
}

static int enter(Hasher *h, Value *v)
{
        bool is_table = value_is_dict(v) || value_is_set(v);

        if (h->n == DELTA_NESTING_MAX)
                return run_refuse(h->run, DELTA_LIMIT, "value nested too deep to be hashed");
        if (h->n == h->capacity) {
                size_t capacity = MAX(h->capacity * 2, (size_t)16);
                Frame *frames = reallocarray(h->frames, capacity, sizeof(Frame));

                if (!frames)
                        return -ENOMEM;
                h->frames = frames;
                h->capacity = capacity;
        }
        h->frames[h->n++] = (Frame){ .v = value_ref(v), .position = is_table ? value_table_first(v) : 0 };
        return 0;
}

static bool is_private(const Value *key)
{
        return value_type(key) == VALUE_STR && value_size(key) >= 2 && memcmp(value_data(key), "__", 2) == 0;
}

/* A new reference to the next member; NULL at the end. */
static int next_member(Frame *f, Value **ret)
{
        Value *v = f->v;

        *ret = NULL;
        if (value_type(v) == VALUE_BYTEARRAY) {
                if (f->position < value_size(v)) {
                        *ret = value_int_new(value_data(v)[f->position++]);
                        return *ret ? 0 : -ENOMEM;
                }
        } else if (value_type(v) == VALUE_LIST || value_type(v) == VALUE_TUPLE) {
                if (f->position < value_sequence_length(v))
                        *ret = value_ref(value_sequence_get(v, f->position++));
        } else if (value_is_dict(v)) {
                while (!f->at_value && f->position != VALUE_SLOT_END &&
                       is_private(value_table_key(v, f->position)))
                        f->position = value_table_next(v, f->position);
                if (f->position == VALUE_SLOT_END)
                        return 0;
                *ret = value_ref(f->at_value ? value_dict_value(v, f->position) :
                                               value_table_key(v, f->position));
                if (f->at_value)
                        f->position = value_table_next(v, f->position);
                f->at_value = !f->at_value;
        } else if (f->position != VALUE_SLOT_END) {
                *ret = value_ref(value_table_key(v, f->position));
                f->position = value_table_next(v, f->position);
        }
        return 0;
}

static int compare_single(const void *a, const void *b)
{
        return memcmp(a, b, DIGEST_SIZE);
}

static int compare_pair(const void *a, const void *b)
{
        return memcmp(a, b, 2 * DIGEST_SIZE);
}

static int append_hex(Text *text, const uint8_t *digest)
{
        static const char digits[] = "0123456789abcdef";
        char hex[HEX_SIZE];

        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                hex[2 * i] = digits[digest[i] >> 4];
                hex[2 * i + 1] = digits[digest[i] & 15];
        }
        return text_append(text, hex, sizeof(hex));
}

/* dict:{key:value;...}, with all pairs */
static int dict_text(const Frame *f, Text *text)
{
        size_t n = f->digests.size / (2 * DIGEST_SIZE);
        int r = text_append_string(text, "str:dict:{");

        if (n > 1)
                qsort(f->digests.data, n, 2 * DIGEST_SIZE, compare_pair);
        for (size_t i = 0; r == 0 && i < n; i++) {
                const uint8_t *pair = f->digests.data + i * 2 * DIGEST_SIZE;

                if (i > 0)
                        r = text_append_byte(text, ';');
                if (r == 0)
                        r = append_hex(text, pair);
                if (r == 0)
                        r = text_append_byte(text, ':');
                if (r == 0)
                        r = append_hex(text, pair + DIGEST_SIZE);
        }
        return r != 0 ? r : text_append_byte(text, '}');
}

/* list:member,... with each member once */
static int members_text(const Frame *f, Text *text)
{
        size_t n = f->digests.size / DIGEST_SIZE;
        const uint8_t *previous = NULL;
        int r = text_append_string(text, "str:");

        if (r == 0)
                r = text_append_string(text, value_type_to_string(value_type(f->v)));
        if (r == 0)
                r = text_append_byte(text, ':');
        if (n > 1)
                qsort(f->digests.data, n, DIGEST_SIZE, compare_single);
        for (size_t i = 0; r == 0 && i < n; i++) {
                const uint8_t *member = f->digests.data + i * DIGEST_SIZE;

                if (previous && memcmp(previous, member, DIGEST_SIZE) == 0)
                        continue;
                if (previous)
                        r = text_append_byte(text, ',');
                if (r == 0)
                        r = append_hex(text, member);
                previous = member;
        }
        return r;
}

static void frame_done(Frame *f)
{
        text_done(&f->digests);
        value_unref(f->v);
}

static int leave(Hasher *h)
{
        _cleanup_text_ Text text = {};
        _cleanup_(frame_done) Frame f = h->frames[--h->n];
        int r = value_is_dict(f.v) ? dict_text(&f, &text) : members_text(&f, &text);

        if (r == 0)
                r = digest_text(h, &text);
        return r != 0 ? r : remember(h, f.v);
}

/* Leaves the fingerprint in h->result and returns 0; or returns 0 with a new frame for a container. */
static int meet(Hasher *h, Value *v)
{
        Text *text = &h->set->text;
        int r = run_charge(h->run, 1);

        if (r != 0 || recall(h, v))
                return r;
        if (is_container(v))
                return enter(h, v);
        text->size = 0;
        r = scalar_text(h, v, text);
        if (r == 0)
                r = digest_text(h, text);
        return r != 0 ? r : remember(h, v);
}

/* Hashes the next member of the innermost container, or finishes the container. */
static int step(Hasher *h)
{
        _cleanup_value_ Value *member = NULL;
        size_t depth = h->n;
        int r = next_member(&h->frames[depth - 1], &member);

        if (r == 0)
                r = member ? meet(h, member) : leave(h);
        /* Whatever has been finished belongs to the container that is now innermost. */
        if (r == 0 && h->n > 0 && h->n <= depth)
                r = text_append(&h->frames[h->n - 1].digests, h->result, DIGEST_SIZE);
        return r;
}

static int fingerprint(DeltaRun *run, AnySet *set, Value *v, Value **ret)
{
        Hasher h = { .run = run, .set = set };
        int r = meet(&h, value_ref(v));

        value_unref(v);
        while (r == 0 && h.n > 0)
                r = step(&h);
        while (h.n > 0)
                frame_done(&h.frames[--h.n]);
        free(h.frames);
        if (r != 0)
                return r;
        *ret = value_bytes_new(h.result, DIGEST_SIZE);
        return *ret ? 0 : -ENOMEM;
}

int any_set_add(DeltaRun *run, AnySet *set, Value *v)
{
        _cleanup_value_ Value *digest = NULL;
        int r;

        if (value_is_hashable(v))
                return MIN(value_set_add(set->hashable, v), 0);
        r = fingerprint(run, set, v, &digest);
        return r != 0 ? r : MIN(value_set_add(set->fingerprints, digest), 0);
}

int any_set_contains(DeltaRun *run, AnySet *set, Value *v, bool *ret)
{
        _cleanup_value_ Value *digest = NULL;
        int r;

        if (value_is_hashable(v)) {
                *ret = value_set_contains(set->hashable, v);
                return run_charge(run, 1);
        }
        r = fingerprint(run, set, v, &digest);
        if (r == 0)
                *ret = value_set_contains(set->fingerprints, digest);
        return r;
}
