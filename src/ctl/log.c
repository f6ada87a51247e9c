/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/format.h"
#include "ctl/source.h"
#include "ctl/table.h"
#include "session/record.h"
#include "store/load.h"

#define LIMIT_DEFAULT 50u
#define LIMIT_MAX 1000000u

/* One record that fits, as it is shown. */
typedef struct Line {
        uint64_t time_usec, sequence, bytes;
        char *user, *action, *uuid, *name;
        bool refused;
} Line;

typedef struct Filter {
        const char *uuid; /* NULL: all */
        const char *user;
        uint64_t since, until;
} Filter;

static void line_done(Line *l)
{
        free(l->user);
        free(l->action);
        free(l->uuid);
        free(l->name);
        *l = (Line){0};
}

static char *text_of(const void *data, size_t size)
{
        return strndup(size > 0 ? data : "", size);
}

/* Owner and number of the nodes of a RECORD_RIGHT; whether `uuid` is one of them. */
static bool read_right(Bytes *meta, const char *uuid, char **ret_action, char **ret_uuid)
{
        const uint8_t *owner, *text;
        size_t offset = 0, owner_size, size, n = 0;
        bool found = !uuid;
        char *first = NULL;
        int r;

        if (!record_read_text(meta, &offset, &owner, &owner_size))
                return false;
        while (record_read_text(meta, &offset, &text, &size)) {
                found = found || (strlen(uuid) == size && memcmp(uuid, text, size) == 0);
                if (n++ == 0)
                        first = text_of(text, size);
        }
        if (owner_size == strlen(SCENE_OWNER_COMMON) && memcmp(owner, SCENE_OWNER_COMMON, owner_size) == 0)
                r = n > 1 ? asprintf(ret_action, "released %zu nodes", n) : asprintf(ret_action, "released");
        else
                r = n > 1 ? asprintf(ret_action, "%zu nodes locked for %.*s", n, (int)owner_size, (const char *)owner)
                          : asprintf(ret_action, "locked for %.*s", (int)owner_size, (const char *)owner);
        if (r < 0)
                *ret_action = NULL;
        if (uuid) {
                free(first);
                first = strdup(uuid);
        } else if (n != 1) {
                free(first);
                first = strdup("");
        }
        *ret_uuid = first;
        return found;
}

static const char *state_word(const Bytes *meta)
{
        RecordState state;

        if (record_read_state(meta, &state) != 0)
                return "changed the session's state";
        return state == RECORD_STATE_INIT      ? "began to fill the session"
               : state == RECORD_STATE_RUNNING ? "session running"
                                               : "filling was abandoned";
}

/* What happened, in a word or two. False: not a line for people (presence), or not of the node asked for. */
static bool describe(const StoreRecordView *v, const Filter *f, Line *l)
{
        _cleanup_bytes_ Bytes *meta = bytes_new_copy(v->meta ?: (const uint8_t *)"", v->meta_size);
        bool keyed = v->kind == RECORD_NODE || v->kind == RECORD_COMMIT || v->kind == RECORD_DELETE;
        const char *word = NULL;
        const uint8_t *reason;
        size_t offset = 0, reason_size;

        if (!meta)
                return false;
        if (keyed && f->uuid && (strlen(f->uuid) != v->key_size || memcmp(f->uuid, v->key, v->key_size) != 0))
                return false;
        if (v->kind == RECORD_RIGHT)
                return read_right(meta, f->uuid, &l->action, &l->uuid);
        if (f->uuid && !keyed)
                return false;
        switch (v->kind) {
        case RECORD_NODE:
                word = "sent whole";
                break;
        case RECORD_COMMIT:
                word = "changed";
                break;
        case RECORD_DELETE:
                word = "deleted";
                break;
        case RECORD_STATE:
                word = state_word(meta);
                break;
        case RECORD_LEFT:
                word = "left";
                break;
        default:
                return false;
        }
        if (l->refused && record_read_text(meta, &offset, &reason, &reason_size)) {
                if (asprintf(&l->action, "refused: %.*s", (int)reason_size, (const char *)reason) < 0)
                        l->action = NULL;
        } else {
                l->action = strdup(word);
        }
        l->uuid = text_of(v->key, keyed ? v->key_size : 0);
        return true;
}

/* 1: it fits, 0: not, -ENOMEM */
static int take(const StoreRecordView *v, const Filter *f, Line *ret)
{
        Line l = {.time_usec = v->time_usec, .sequence = v->sequence, .bytes = v->blob.size,
                  .refused = v->flags & STORE_RECORD_REFUSED};
        const uint8_t *who = v->kind == RECORD_LEFT ? v->key : v->author;
        size_t who_size = v->kind == RECORD_LEFT ? v->key_size : v->author_size;

        if (v->time_usec < f->since || v->time_usec > f->until)
                return 0;
        if (f->user && (strlen(f->user) != who_size || memcmp(f->user, who, who_size) != 0))
                return 0;
        if (!describe(v, f, &l)) {
                line_done(&l);
                return 0;
        }
        l.user = text_of(who, who_size);
        if (!l.user || !l.action || !l.uuid) {
                line_done(&l);
                return -ENOMEM;
        }
        *ret = l;
        return 1;
}

/* Goes through the journal and keeps the newest `limit` lines, in a ring. */
static int collect(Store *store, const Filter *f, Line *lines, size_t limit, size_t *ret_n, size_t *ret_gaps)
{
        _cleanup_store_reader_ StoreReader *reader = NULL;
        StoreRecordView v;
        int r = store_reader_new(store, 0, 0, NULL, 0, &reader);

        while (r >= 0) {
                Line l;

                r = store_reader_next(reader, &v);
                if (r == STORE_LOAD_GAP)
                        (*ret_gaps)++;
                if (r != 1) {
                        if (r == 0)
                                break;
                        continue;
                }
                r = take(&v, f, &l);
                if (r == 1) {
                        line_done(&lines[*ret_n % limit]);
                        lines[(*ret_n)++ % limit] = l;
                }
        }
        return MIN(r, 0);
}

static void name_lines(const Listing *l, Line *lines, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const Listed *item = lines[i].uuid && *lines[i].uuid
                                             ? listing_find_uuid(l, lines[i].uuid, strlen(lines[i].uuid))
                                             : NULL;

                if (item)
                        lines[i].name = strdup(item->label.name);
        }
}

static ExitStatus print_lines(const Ctl *ctl, const Line *lines, size_t limit, size_t n)
{
        _cleanup_table_ Table *t = table_new("TIME|~USER|~ACTION|~NODE|>SIZE");
        json_object *array = json_object_new_array(), *answer;
        size_t first = n > limit ? n - limit : 0;

        for (size_t i = first; t && i < n; i++) {
                const Line *l = &lines[i % limit];

                if (ctl->json) {
                        json_object *o = json_object_new_object();

                        json_add_time(o, "time", l->time_usec);
                        json_add_int(o, "sequence", l->sequence);
                        json_add_text(o, "user", *l->user ? l->user : NULL);
                        json_add_text(o, "action", l->action);
                        json_add_text(o, "uuid", *l->uuid ? l->uuid : NULL);
                        json_add_text(o, "name", l->name);
                        json_add_int(o, "bytes", l->bytes);
                        json_add_bool(o, "refused", l->refused);
                        json_object_array_add(array, o);
                        continue;
                }
                table_row(t);
                table_time(t, l->time_usec);
                table_cell(t, "%s", *l->user ? l->user : "(server)");
                table_cell(t, "%s", l->action);
                table_cell(t, "%.*s", l->name ? 60 : 8, l->name ?: l->uuid);
                if (l->bytes > 0)
                        table_size(t, l->bytes);
        }
        if (ctl->json) {
                answer = json_object_new_object();
                json_object_object_add(answer, "records", array);
                ctl_print_json(answer);
                return CTL_OK;
        }
        json_object_put(array);
        if (t && table_n_rows(t) == 0)
                puts("Nothing of that is in the journal.");
        else if (!t || table_print(t, stdout, ctl->width, ctl->colour) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        return CTL_OK;
}

static ExitStatus show_log(const Ctl *ctl, Store *store, const Listing *l, const Filter *f, uint64_t limit)
{
        _cleanup_free_ Line *lines = calloc(limit, sizeof(*lines));
        size_t n = 0, n_gaps = 0;
        ExitStatus status;
        int r = lines ? collect(store, f, lines, limit, &n, &n_gaps) : -ENOMEM;

        if (r < 0) {
                status = ctl_fail(ctl, CTL_FAILED, "cannot read the journal in %s: %s", ctl->data_dir, strerror(-r));
        } else {
                name_lines(l, lines, MIN(n, limit));
                status = print_lines(ctl, lines, limit, n);
                if (status == CTL_OK && n_gaps > 0)
                        status = CTL_DEGRADED;
        }
        for (size_t i = 0; lines && i < MIN(n, limit); i++)
                line_done(&lines[i]);
        return status;
}

ExitStatus verb_log(Ctl *ctl)
{
        _cleanup_store_ Store *store = NULL;
        Filter f = {.user = ctl->value[OPT_USER]};
        Source s = {0};
        Listing l = {0};
        NodeUuid uuid;
        uint64_t limit;
        ExitStatus status;

        if (!ctl_time(ctl, OPT_SINCE, 0, &f.since) || !ctl_time(ctl, OPT_UNTIL, UINT64_MAX, &f.until) ||
            !ctl_number(ctl, OPT_LIMIT, 1, LIMIT_MAX, LIMIT_DEFAULT, &limit))
                return CTL_USAGE;
        status = source_open(ctl, "now", &store, &s);
        if (status != CTL_OK)
                return status;
        if (listing_new(s.scene, &l) < 0)
                status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        if (status == CTL_OK && ctl->n_arguments > 0) {
                Listed *item = NULL;

                /* One that is deleted is known to nobody by its name, but its uuid will do. */
                if (listing_find(&l, ctl->arguments[0], &item) == 0 && strlen(ctl->arguments[0]) == 36)
                        f.uuid = ctl->arguments[0];
                else if ((item = source_find_node(ctl, &l, ctl->arguments[0], &status)))
                        f.uuid = (uuid = node_uuid(item->node)).text;
        }
        if (status == CTL_OK)
                status = show_log(ctl, store, &l, &f, limit);
        listing_done(&l);
        source_done(&s);
        return status;
}
