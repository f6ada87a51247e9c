/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "test.h"

#define ESCAPES_TO(from, to)                                          \
        do {                                                          \
                char *escaped = log_escape(from, sizeof(from) - 1);   \
                assert_string_equal(escaped, to);                     \
                free(escaped);                                        \
        } while (0)

static void test_escape(void **state)
{
        ESCAPES_TO("", "");
        ESCAPES_TO("plain text, Zoë, 猫, \xf0\x9f\x98\x80", "plain text, Zoë, 猫, \xf0\x9f\x98\x80");
        ESCAPES_TO("a\nb\x1b[2Jc\x7f\0z", "a\\x0ab\\x1b[2Jc\\x7f\\x00z");
        /* C1 controls, a line separator, and a mark that would turn the rest of the line around */
        ESCAPES_TO("\xc2\x9b", "\\xc2\\x9b");
        ESCAPES_TO("\xe2\x80\xa8", "\\xe2\\x80\\xa8");
        ESCAPES_TO("x\xe2\x80\xaey", "x\\xe2\\x80\\xaey");
        /* not UTF-8: stray, overlong, cut off, surrogate, beyond Unicode */
        ESCAPES_TO("\x80", "\\x80");
        ESCAPES_TO("\xc0\xaf", "\\xc0\\xaf");
        ESCAPES_TO("\xe7\x8c", "\\xe7\\x8c");
        ESCAPES_TO("\xed\xa0\x80", "\\xed\\xa0\\x80");
        ESCAPES_TO("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
}

/* Runs `body` with stderr in a temporary file and returns what was written. */
static char *capture(void (*body)(void))
{
        FILE *f = tmpfile();
        int saved = dup(STDERR_FILENO);
        char *text = calloc(1, 4096);

        assert_non_null(f);
        assert_non_null(text);
        dup2(fileno(f), STDERR_FILENO);
        log_open("test", NULL);
        body();
        log_close();
        dup2(saved, STDERR_FILENO);
        close(saved);
        rewind(f);
        assert_true(fread(text, 1, 4095, f) < 4095);
        fclose(f);
        return text;
}

static void write_some(void)
{
        log_set_max_priority(LOG_INFO);
        log_debug("not shown");
        log_info("user %s", "ev\nil");
        log_event(LOG_WARNING, "0123456789abcdef0123456789abcdef", LOG_FIELDS(LOG_TEXT("USER", "a")), "seen");
        assert_int_equal(log_error_errno(ENOENT, "Cannot open it"), -ENOENT);
        assert_int_equal(log_error_errno(-ENOENT, "Cannot open it"), -ENOENT);
}

static void test_plain_lines(void **state)
{
        char *text = capture(write_some), *line = text;
        const char *const want[] = {"INFO user ev\\x0ail", "WARNING seen",
                                    "ERROR Cannot open it: No such file or directory",
                                    "ERROR Cannot open it: No such file or directory"};

        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                int year, month, day, hour, minute, second, n = 0;
                char *end = strchr(line, '\n');
                assert_non_null(end);
                *end = '\0';
                assert_int_equal(sscanf(line, "%4d-%2d-%2d %2d:%2d:%2d %n", &year, &month, &day, &hour, &minute,
                                        &second, &n), 6);
                assert_int_equal(n, 20);
                assert_string_equal(line + n, want[i]);
                line = end + 1;
        }
        assert_string_equal(line, "");
        free(text);
}

static void write_one(void)
{
        log_info("twice");
}

static void test_file_gets_lines_as_well(void **state)
{
        char path[] = "/tmp/scenekeep-log-XXXXXX", line[128] = "";
        int fd = mkstemp(path);
        char *text;

        assert_true(fd >= 0);
        assert_int_equal(log_set_file(path), 0);
        text = capture(write_one);
        assert_int_equal(read(fd, line, sizeof(line) - 1), strlen(text));
        assert_string_equal(line, text);
        free(text);
        close(fd);
        unlink(path);
        assert_int_equal(log_set_file("/nonexistent/folder/log"), -ENOENT);
}

static void test_errno_is_kept(void **state)
{
        errno = EBUSY;
        log_set_max_priority(LOG_CRIT);
        log_error("dropped");
        assert_int_equal(errno, EBUSY);
        log_set_max_priority(LOG_INFO);
}

static void test_priorities(void **state)
{
        assert_int_equal(log_priority_from_string("INFO"), LOG_INFO);
        assert_int_equal(log_priority_from_string("critical"), LOG_CRIT);
        assert_int_equal(log_priority_from_string("Debug"), LOG_DEBUG);
        assert_int_equal(log_priority_from_string("loud"), -EINVAL);
        assert_string_equal(log_priority_to_string(LOG_ERR), "ERROR");
        assert_string_equal(log_priority_to_string(99), "UNKNOWN");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_escape),
                cmocka_unit_test(test_plain_lines),
                cmocka_unit_test(test_file_gets_lines_as_well),
                cmocka_unit_test(test_errno_is_kept),
                cmocka_unit_test(test_priorities),
        };
        return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
