/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/trimmer.h"
#include "store-fixture.h"

/* Takes the place of the C library's, see LDFLAGS. */
int __wrap_malloc_trim(size_t pad);

#define PAYLOAD_SIZE (700u << 10) /* two of them are enough to trim for */

static unsigned n_trims;

int __wrap_malloc_trim(size_t pad)
{
        n_trims++;
        return 1;
}

typedef struct TrimFixture {
        Fixture store;
        sd_event *event;
        Trimmer *trimmer;
        size_t unsent;
} TrimFixture;

static size_t unsent(void *userdata)
{
        return ((TrimFixture *)userdata)->unsent;
}

static int set_up(void **state)
{
        TrimFixture *f = calloc(1, sizeof(*f));

        fixture_init(&f->store, false);
        fixture_open(&f->store);
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(trimmer_new(&f->trimmer, f->event, f->store.worker, f->store.store, unsent, f), 0);
        n_trims = 0;
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        TrimFixture *f = *state;

        fixture_done(&f->store);
        trimmer_free(f->trimmer);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static unsigned trims(TrimFixture *f)
{
        fixture_drain(&f->store);
        return n_trims;
}

static void receive(TrimFixture *f, unsigned n)
{
        static uint8_t payload[PAYLOAD_SIZE];

        while (n-- > 0) {
                payload[0]++; /* the same again would be written once */
                assert_int_equal(fixture_append(&f->store, 1, "node", payload, sizeof(payload), NULL), 0);
        }
}

/* Until the timer has gone off, whatever it has found. */
static void wait_for_timer(TrimFixture *f)
{
        assert_int_equal(sd_event_run(f->event, 60 * USEC_PER_SEC), 1);
}

static void assert_no_timer(TrimFixture *f)
{
        assert_int_equal(sd_event_run(f->event, 0), 0);
}

static void the_first_time_in_any_case(void **state)
{
        TrimFixture *f = *state;

        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
}

static void not_for_little(void **state)
{
        TrimFixture *f = *state;

        trimmer_run(f->trimmer);
        receive(f, 1);
        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
        receive(f, 1);
        trimmer_run(f->trimmer);
        trimmer_run(f->trimmer); /* is under way */
        assert_int_equal(trims(f), 2);
        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 2);
}

static void after_a_burst(void **state)
{
        TrimFixture *f = *state;

        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
        receive(f, 2);
        fixture_sync(&f->store);
        trimmer_run_when_quiet(f->trimmer);
        assert_int_equal(trims(f), 1);
        wait_for_timer(f);
        assert_int_equal(trims(f), 2);
        trimmer_run_when_quiet(f->trimmer);
        assert_no_timer(f);
}

static void not_within_a_burst(void **state)
{
        TrimFixture *f = *state;

        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
        receive(f, 2);
        trimmer_run_when_quiet(f->trimmer); /* and it is still held */
        assert_no_timer(f);
        fixture_sync(&f->store);
        trimmer_run_when_quiet(f->trimmer);
        receive(f, 1);
        wait_for_timer(f);
        assert_int_equal(trims(f), 1);
        fixture_sync(&f->store);
        trimmer_run_when_quiet(f->trimmer);
        wait_for_timer(f);
        assert_int_equal(trims(f), 2);
}

static void not_before_it_is_sent(void **state)
{
        TrimFixture *f = *state;

        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
        receive(f, 2);
        fixture_sync(&f->store);
        f->unsent = 2 * PAYLOAD_SIZE;
        trimmer_run_when_quiet(f->trimmer);
        wait_for_timer(f);
        wait_for_timer(f);
        assert_int_equal(trims(f), 1);
        f->unsent = 100;
        wait_for_timer(f);
        assert_int_equal(trims(f), 2);
}

/* What is used until then is still to come to its end. */
static void not_before_the_session_is_loaded(void **state)
{
        TrimFixture *f = *state;

        receive(f, 2);
        fixture_sync(&f->store);
        trimmer_run_when_quiet(f->trimmer);
        assert_no_timer(f);
        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
}

static int materialise(void *userdata, Bytes **ret)
{
        *ret = bytes_new_copy(userdata, 2 * PAYLOAD_SIZE);
        return *ret ? 0 : -1;
}

static void for_what_a_save_has_made(void **state)
{
        TrimFixture *f = *state;
        StoreSnapshotParameters parameters = { .reason = "test", .node_count = 1 };
        StoreEntry entry = { .key = (const uint8_t *)"node", .key_size = 4 };
        uint8_t *payload = calloc(2, PAYLOAD_SIZE);
        StoreSnapshot *sn;

        assert_non_null(payload);
        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 1);
        assert_int_equal(store_snapshot_begin(f->store.store, &parameters, true, &sn), 0);
        assert_int_equal(store_snapshot_add_materialised(sn, &entry, materialise, payload, NULL), 0);
        assert_int_equal(fixture_submit(&f->store, sn, NULL), 0);
        free(payload);
        trimmer_run(f->trimmer);
        assert_int_equal(trims(f), 2);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_first_time_in_any_case, set_up, tear_down),
                cmocka_unit_test_setup_teardown(not_for_little, set_up, tear_down),
                cmocka_unit_test_setup_teardown(after_a_burst, set_up, tear_down),
                cmocka_unit_test_setup_teardown(not_within_a_burst, set_up, tear_down),
                cmocka_unit_test_setup_teardown(not_before_it_is_sent, set_up, tear_down),
                cmocka_unit_test_setup_teardown(not_before_the_session_is_loaded, set_up, tear_down),
                cmocka_unit_test_setup_teardown(for_what_a_save_has_made, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
