/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Every recorded delta must end exactly as it did in deepdiff 8.1.1: same
 * value, types, order of dicts and verdict; and a refused one must leave the
 * very same objects behind. The project's own records are in tests/data/delta;
 * the large corpora lie beside the project and are skipped where they do not.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "delta/delta.h"
#include "delta-records.h"
#include "pickle/dump.h"
#include "pickle/identity-map.h"
#include "pickle/writer.h"
#include "shared.h"
#include "test.h"

#define DUMP_MAX (64u << 20)
#define FAILURES_SHOWN 40
#define DIFFERENCE_SHOWN ((size_t)160)

typedef struct Tally {
        int n_failed;
        int n_aborted;
} Tally;

/* The objects of a graph in the order of a walk, each once. */
typedef struct Objects {
        const Value **items;
        size_t n;
        IdentityMap seen;
} Objects;

static void objects_done(Objects *o)
{
        free(o->items);
        identity_map_clear(&o->seen);
}

static void collect(Objects *o, const Value *v)
{
        if (identity_map_put(&o->seen, v, 0, NULL) != 0)
                return;
        o->items = reallocarray(o->items, o->n + 1, sizeof(Value *));
        o->items[o->n++] = v;
        if (value_type(v) == VALUE_LIST || value_type(v) == VALUE_TUPLE)
                for (uint32_t i = 0; i < value_sequence_length(v); i++)
                        collect(o, value_sequence_get(v, i));
        if (value_is_dict(v) || value_is_set(v))
                for (uint32_t s = value_table_first(v); s != VALUE_SLOT_END; s = value_table_next(v, s)) {
                        collect(o, value_table_key(v, s));
                        if (value_is_dict(v))
                                collect(o, value_dict_value(v, s));
                }
}

static bool complain(Tally *t, const DeltaRecord *record, const char *what, const char *detail)
{
        if (t->n_failed++ < FAILURES_SHOWN)
                print_message("# %s: %s (%s)\n", delta_record_label(record), what, detail ? detail : "-");
        return false;
}

/* Where two dumps part, for the reader of the test's output. */
static void print_difference(const Bytes *dump, const Bytes *expected)
{
        size_t at = 0, from;

        while (at < MIN(dump->size, expected->size) && dump->data[at] == expected->data[at])
                at++;
        from = at > DIFFERENCE_SHOWN / 2 ? at - DIFFERENCE_SHOWN / 2 : 0;
        print_message("#   got      ...%.*s\n", (int)MIN(dump->size - from, DIFFERENCE_SHOWN),
                      dump->data + from);
        print_message("#   expected ...%.*s\n", (int)MIN(expected->size - from, DIFFERENCE_SHOWN),
                      expected->data + from);
}

static bool dump_equals(const Value *v, ValueDumpOrder order, const Bytes *expected)
{
        _cleanup_bytes_ Bytes *dump = NULL;

        if (value_dump(v, order, DUMP_MAX, &dump) != 0)
                return false;
        if (bytes_equal(dump, expected))
                return true;
        print_difference(dump, expected);
        return false;
}

static bool check_result(Tally *t, const DeltaRecord *record, const Value *v, const DeltaReport *report)
{
        _cleanup_bytes_ Bytes *ordered = NULL, *encoded = NULL;
        _cleanup_value_ Value *again = NULL;

        if (!dump_equals(v, VALUE_DUMP_SORTED, record->dump))
                return complain(t, record, "other value", NULL);
        assert_int_equal(value_dump(v, VALUE_DUMP_ORDERED, DUMP_MAX, &ordered), 0);
        if (delta_record_hash(ordered) != record->order_hash)
                return complain(t, record, "other order", NULL);
        if ((report->n_skipped > 0) != ((record->flags & DELTA_RECORD_SKIPPED) != 0))
                return complain(t, record, report->n_skipped ? "skipped something" : "skipped nothing", NULL);
        if (pickle_write(v, DUMP_MAX, &encoded) != 0 ||
            pickle_read(encoded, PICKLE_PROFILE_PLAIN, &pickle_limits_default, &again, NULL) != 0)
                return complain(t, record, "cannot be encoded and read again", NULL);
        if (!dump_equals(again, VALUE_DUMP_ORDERED, ordered))
                return complain(t, record, "encoded as another value", NULL);
        return true;
}

static void check_refusal(Tally *t, const DeltaRecord *record, const Value *v, const Bytes *before,
                          const Objects *objects)
{
        _cleanup_(objects_done) Objects now = {};

        collect(&now, v);
        if (!dump_equals(v, VALUE_DUMP_ORDERED, before))
                complain(t, record, "changed although it was refused", NULL);
        else if (now.n != objects->n || memcmp(now.items, objects->items, now.n * sizeof(Value *)) != 0)
                complain(t, record, "other objects although it was refused", NULL);
}

static void check_record(const DeltaRecord *record, void *userdata)
{
        _cleanup_(objects_done) Objects objects = {};
        _cleanup_value_ Value *v = NULL;
        _cleanup_bytes_ Bytes *before = NULL;
        DeltaReport report = {};
        Tally *t = userdata;
        bool must_abort = record->flags & DELTA_RECORD_ABORTED;
        int r;

        r = pickle_read(record->before, PICKLE_PROFILE_PLAIN, &pickle_limits_default, &v, NULL);
        if (r != 0) {
                complain(t, record, "node cannot be read", pickle_error_to_string(r));
                return;
        }
        collect(&objects, v);
        assert_int_equal(value_dump(v, VALUE_DUMP_ORDERED, DUMP_MAX, &before), 0);
        r = delta_apply(&v, record->delta, &pickle_limits_default, &report);
        t->n_aborted += r > 0;
        assert_true(r >= 0);
        if (r > 0)
                check_refusal(t, record, v, before, &objects);
        if (must_abort != (r > 0))
                complain(t, record, must_abort ? "applied, but must abort" : "refused", report.detail);
        else if (!must_abort)
                check_result(t, record, v, &report);
}

static void check_file(const char *directory, const char *name)
{
        _cleanup_free_ char *file_name = NULL;
        Tally t = {};
        int n;

        assert_true(asprintf(&file_name, "%s/%s", directory, name) > 0);
        n = delta_records_for_each(file_name, check_record, &t);
        assert_true(n > 0);
        print_message("# %s: %d records, %d refused, %d wrong\n", name, n, t.n_aborted, t.n_failed);
        assert_int_equal(t.n_failed, 0);
}

static void check_shared(const char *name)
{
        _cleanup_free_ char *directory = shared_path("corpus");
        check_file(directory, name);
}

static void test_own(void **state)
{
        _cleanup_free_ char *directory = NULL;
        const char *top = getenv("top_srcdir");

        assert_true(asprintf(&directory, "%s/tests/data/delta", top ? top : ".") > 0);
        assert_int_equal(access(directory, R_OK), 0);
        check_file(directory, "records.mudc");
}

static void test_generated(void **state)
{
        check_shared("dev.mudc");
}

static void test_edge_cases(void **state)
{
        check_shared("edge.mudc");
}

static void test_ignoring_order(void **state)
{
        check_shared("order.mudc");
}

static void test_blender(void **state)
{
        check_shared("blender.mudc");
}

int main(void)
{
        const struct CMUnitTest own[] = { cmocka_unit_test(test_own) };
        const struct CMUnitTest all[] = {
                cmocka_unit_test(test_own),        cmocka_unit_test(test_generated),
                cmocka_unit_test(test_edge_cases), cmocka_unit_test(test_ignoring_order),
                cmocka_unit_test(test_blender),
        };
        _cleanup_free_ char *corpus = shared_path("corpus");

        if (access(corpus, F_OK) < 0) {
                print_message("# no %s: only the project's own records are tried\n", corpus);
                return cmocka_run_group_tests_name("delta-corpus", own, NULL, NULL);
        }
        return cmocka_run_group_tests_name("delta-corpus", all, NULL, NULL);
}
