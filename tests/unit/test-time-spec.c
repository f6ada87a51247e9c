/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "ctl/format.h"
#include "ctl/time-spec.h"
#include "test.h"

/* Monday, 2026-11-23 14:15:00 in Berlin, which is UTC+1 then and was UTC+2 until 25 October. */
#define NOW (UINT64_C(1795439700) * 1000000)

static int setup(void **state)
{
        setenv("TZ", "Europe/Berlin", 1);
        tzset();
        return 0;
}

static void check(const char *text, const char *want)
{
        char buffer[FORMAT_SIZE_MAX];
        uint64_t usec;

        if (time_spec_parse(text, NOW, &usec) < 0)
                fail_msg("\"%s\" was refused", text);
        if (strcmp(format_time_utc(buffer, sizeof(buffer), usec), want) != 0)
                fail_msg("\"%s\" is %s, not %s", text, buffer, want);
}

static void test_now_is_what_it_should(void **state)
{
        check("now", "2026-11-23T13:15:00.000000Z");
        check("@1795439700.5", "2026-11-23T13:15:00.500000Z");
}

static void test_clock(void **state)
{
        check("14:14", "2026-11-23T13:14:00.000000Z");
        check("14:15:00", "2026-11-23T13:15:00.000000Z");
        check("14:32", "2026-11-22T13:32:00.000000Z");
        check("0:00", "2026-11-22T23:00:00.000000Z");
        check("9:05:01.25", "2026-11-23T08:05:01.250000Z");
}

static void test_days(void **state)
{
        check("today", "2026-11-22T23:00:00.000000Z");
        check("today 23:00", "2026-11-23T22:00:00.000000Z");
        check("yesterday 14:00", "2026-11-22T13:00:00.000000Z");
        check("Yesterday", "2026-11-21T23:00:00.000000Z");
        check("friday 9:00", "2026-11-20T08:00:00.000000Z");
        check("mon 9:00", "2026-11-23T08:00:00.000000Z");
        check("monday 15:00", "2026-11-16T14:00:00.000000Z");
}

static void test_ago(void **state)
{
        check("2 hours ago", "2026-11-23T11:15:00.000000Z");
        check("1 day 1h ago", "2026-11-22T12:15:00.000000Z");
        check("90min ago", "2026-11-23T11:45:00.000000Z");
        check("-90s", "2026-11-23T13:13:30.000000Z");
        check("3 weeks ago", "2026-11-02T13:15:00.000000Z");
}

static void test_dates(void **state)
{
        check("2026-11-23", "2026-11-22T23:00:00.000000Z");
        check("2026-07-01 12:00", "2026-07-01T10:00:00.000000Z");
        check("2026-11-23T14:15:00Z", "2026-11-23T14:15:00.000000Z");
        check("2026-11-23T14:15:00.125+05:30", "2026-11-23T08:45:00.125000Z");
        check("2026-11-23 14:15:00-0100", "2026-11-23T15:15:00.000000Z");
        check("20261123T141500Z", "2026-11-23T14:15:00.000000Z");
        check("2024-02-29", "2024-02-28T23:00:00.000000Z");
}

static void test_what_is_no_time(void **state)
{
        static const char *const bad[] = {"",           "never",        "25:00",        "14:60",       "14:5",
                                          "2026-02-29", "2026-13-01",   "2026-11-31",   "2026-00-10",  "2026-11-23T",
                                          "yesterday 25:00", "2 hours", "hours ago",    "5 parsecs ago", "@",
                                          "@1x",        "14:32 tomorrow", "999999999 weeks ago", "-", "ago",
                                          "2026-11-23T14:15:00+99:00", "20261123T141560Z", "20261123T141500", "1.5"};
        uint64_t usec = 42;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (time_spec_parse(bad[i], NOW, &usec) != -EINVAL || usec != 42)
                        fail_msg("\"%s\" was taken", bad[i]);
}

static void test_formats(void **state)
{
        char b[FORMAT_SIZE_MAX];

        assert_string_equal(format_size(b, sizeof(b), 0), "0 B");
        assert_string_equal(format_size(b, sizeof(b), 1023), "1023 B");
        assert_string_equal(format_size(b, sizeof(b), 1536), "1.5 KiB");
        assert_string_equal(format_size(b, sizeof(b), 1024 * 1024 - 1), "1.0 MiB");
        assert_string_equal(format_size(b, sizeof(b), UINT64_MAX), "16.0 EiB");
        assert_string_equal(format_duration(b, sizeof(b), 250), "250 us");
        assert_string_equal(format_duration(b, sizeof(b), 250999), "250 ms");
        assert_string_equal(format_duration(b, sizeof(b), 59999999), "59.9 s");
        assert_string_equal(format_duration(b, sizeof(b), 60000000), "1 min");
        assert_string_equal(format_duration(b, sizeof(b), UINT64_C(4320000000)), "1 h 12 min");
        assert_string_equal(format_duration(b, sizeof(b), UINT64_C(183600000000)), "2 d 3 h");
        assert_string_equal(format_time(b, sizeof(b), 0), "never");
        assert_string_equal(format_time(b, sizeof(b), NOW), "2026-11-23 14:15:00");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_now_is_what_it_should), cmocka_unit_test(test_clock),
                cmocka_unit_test(test_days),                  cmocka_unit_test(test_ago),
                cmocka_unit_test(test_dates),                 cmocka_unit_test(test_what_is_no_time),
                cmocka_unit_test(test_formats),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
