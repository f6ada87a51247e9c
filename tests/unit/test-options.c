/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/options.h"
#include "test.h"

/* argv is writable, as the kernel's is. */
static int parse(Options **ret, char **ret_error, char *line)
{
        char *argv[16] = {(char *)"scenekeepd"};
        int argc = 1;

        for (char *word = line; word;) {
                char *space = strchr(word, ' ');
                if (space)
                        *space++ = '\0';
                argv[argc++] = word;
                word = space;
        }
        return options_parse(argc, argv, ret, ret_error);
}

static void assert_setting(const Options *o, size_t i, const char *key, const char *value)
{
        assert_true(i < o->n_settings);
        assert_string_equal(o->settings[i].key, key);
        assert_string_equal(o->settings[i].value, value);
}

static void test_own_options(void **state)
{
        char line[] = "--config a.conf --data-dir=/srv/s --listen 10.0.0.1 --port 6000 --set max_users=3 --check-config";
        char *error = NULL;
        Options *o = NULL;

        assert_int_equal(parse(&o, &error, line), 0);
        assert_int_equal(o->action, OPTIONS_CHECK_CONFIG);
        assert_string_equal(o->config_path, "a.conf");
        assert_int_equal(o->n_settings, 4);
        assert_setting(o, 0, "data_dir", "/srv/s");
        assert_setting(o, 1, "listen", "10.0.0.1");
        assert_setting(o, 2, "port", "6000");
        assert_setting(o, 3, "max_users", "3");
        options_free(o);
}

static void test_options_of_the_old_server(void **state)
{
        char line[] = "-p 5555 -spwd join -apwd boss -t 10000 -l DEBUG -lf server.log";
        char *error = NULL;
        Options *o = NULL;

        assert_int_equal(parse(&o, &error, line), 0);
        assert_int_equal(o->action, OPTIONS_RUN);
        assert_int_equal(o->n_settings, 6);
        assert_setting(o, 0, "port", "5555");
        assert_setting(o, 1, "server_password", "join");
        assert_setting(o, 2, "admin_password", "boss");
        assert_setting(o, 3, "timeout", "10000ms");
        assert_setting(o, 4, "log_level", "DEBUG");
        assert_setting(o, 5, "log_file", "server.log");
        options_free(o);
}

static void test_passwords_leave_the_command_line(void **state)
{
        char one[] = "-apwd", two[] = "boss", three[] = "--server-password=join", four[] = "--set",
             five[] = "admin_password=x", six[] = "--set", seven[] = "listen=*";
        char *argv[] = {(char *)"scenekeepd", one, two, three, four, five, six, seven};
        char *error = NULL;
        Options *o = NULL;

        assert_int_equal(options_parse(ELEMENTSOF(argv), argv, &o, &error), 0);
        assert_string_equal(two, "");
        assert_string_equal(three, "--server-password=");
        assert_string_equal(five, "");
        assert_string_equal(seven, "listen=*");
        assert_setting(o, 0, "admin_password", "boss");
        assert_setting(o, 1, "server_password", "join");
        assert_setting(o, 2, "admin_password", "x");
        options_free(o);
}

static void test_faults(void **state)
{
        static const struct {
                const char *line, *error;
        } cases[] = {
                {"--prot 5", "\"--prot\" is not an option; --help lists them all"},
                {"serve", "\"serve\" is not an option; --help lists them all"},
                {"-p", "--port needs a value"},
                {"--help=yes", "--help takes no value"},
                {"--set port", "--set takes KEY=VALUE, not \"port\""},
                {"--set =5", "--set takes KEY=VALUE, not \"=5\""},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char line[64], *error = NULL;
                Options *o = NULL;

                snprintf(line, sizeof(line), "%s", cases[i].line);
                assert_int_equal(parse(&o, &error, line), -EINVAL);
                assert_null(o);
                assert_string_equal(error, cases[i].error);
                free(error);
        }
}

static void test_help_names_every_option(void **state)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        options_print_help(f);
        fclose(f);
        assert_non_null(strstr(text, "-spwd, --server-password TEXT"));
        assert_non_null(strstr(text, "--set-aside"));
        assert_non_null(strstr(text, "\n  save_interval        2min "));
        for (const char *line = text; *line; line = strchr(line, '\n') + 1)
                assert_true(strcspn(line, "\n") <= 100);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_own_options),
                cmocka_unit_test(test_options_of_the_old_server),
                cmocka_unit_test(test_passwords_leave_the_command_line),
                cmocka_unit_test(test_faults),
                cmocka_unit_test(test_help_names_every_option),
        };
        return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
