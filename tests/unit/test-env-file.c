/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/env-file.h"
#include "test.h"

static EnvFile *parse(const char *text)
{
        EnvFile *f = NULL;

        assert_int_equal(env_file_parse(text, strlen(text), &f), 0);
        return f;
}

static void check(const char *text, const char *key, const char *want)
{
        _cleanup_env_file_ EnvFile *f = parse(text);
        const EnvEntry *e = env_file_find(f, key);

        if (f->n_faults > 0)
                fail_msg("\"%s\" line %u: %s", text, f->faults[0].line, f->faults[0].text);
        if (!want && e)
                fail_msg("\"%s\" sets %s", text, key);
        if (want && (!e || strcmp(e->value, want) != 0))
                fail_msg("\"%s\" gives \"%s\", not \"%s\"", text, e ? e->value : "nothing", want);
}

static void test_what_docker_compose_takes(void **state)
{
        check("PORT=5555", "PORT", "5555");
        check("\xef\xbb\xbfPORT=5555\r\nA=1\r\n", "PORT", "5555");
        check("  export\tPORT = 5555   ", "PORT", "5555");
        check("PORT=5555 # the first of three", "PORT", "5555");
        check("P=a#b", "P", "a#b");
        check("P=\"a # b\" # comment", "P", "a # b");
        check("P='a $b \"c\" \\n'", "P", "a $b \"c\" \\n");
        check("P=\"a\\\"b\\\\c\\n\\$d\\q\"", "P", "a\"b\\c\n$d\\q");
        check("P=", "P", "");
        check("P=''", "P", "");
        check("P= # nothing", "P", "");
        check("P=1\nP=2\n", "P", "2");
        check("# P=1\n\n   \n\t#x", "P", NULL);
        check("exported=1", "exported", "1");
        check("P=with blanks inside  ", "P", "with blanks inside");
        check("P=a=b", "P", "a=b");
}

static void check_fault(const char *text, unsigned line, const char *words)
{
        _cleanup_env_file_ EnvFile *f = parse(text);

        if (f->n_faults != 1 || f->faults[0].line != line || !strstr(f->faults[0].text, words))
                fail_msg("\"%s\": %zu faults, line %u: %s", text, f->n_faults, f->n_faults ? f->faults[0].line : 0,
                         f->n_faults ? f->faults[0].text : "");
}

static void test_what_is_refused_by_line(void **state)
{
        check_fault("A=1\nPORT 5555\nB=2", 2, "KEY=value");
        check_fault("PORT: 5555", 1, "KEY=value");
        check_fault("A=1\n\nP=\"never closed", 3, "not closed");
        check_fault("P='it''s'", 1, "follows the closing quote");
        check_fault("P=\"a\"b", 1, "follows the closing quote");
        check_fault("P=pa$word", 1, "single quotes");
        check_fault("P=\"pa${word}\"", 1, "single quotes");
        check_fault("1A=x", 1, "KEY=value");
        check_fault("=x", 1, "KEY=value");
        check_fault("A-B=x", 1, "KEY=value");
}

static void test_binary_and_oversized(void **state)
{
        EnvFile *f = NULL;

        assert_int_equal(env_file_parse("A=\0b\nB=1", 8, &f), 0);
        assert_int_equal(f->n_faults, 1);
        assert_string_equal(env_file_find(f, "B")->value, "1");
        f = env_file_free(f);
        assert_int_equal(env_file_parse("", ENV_FILE_SIZE_MAX + 1, &f), -E2BIG);
        assert_null(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_docker_compose_takes),
                cmocka_unit_test(test_what_is_refused_by_line),
                cmocka_unit_test(test_binary_and_oversized),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
