/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/admin-password.h"
#include "daemon/config-keys.h"
#include "scratch.h"
#include "test.h"

static const char *const variables[] = {"PORT",     "ADMIN_PASSWORD", "SERVER_PASSWORD", "LOG_LEVEL",
                                        "TIMEOUT",  "DATA_DIR",       "SAVE_INTERVAL",   "MAX_BACKUPS",
                                        "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"};

static int setup(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(variables); i++)
                unsetenv(variables[i]);
        *state = scratch_new();
        return 0;
}

static int teardown(void **state)
{
        scratch_free(*state);
        return 0;
}

/* Loads a file with this text, and --set settings ("key=value", NULL at the end). */
static int load(Scratch *s, const char *text, const char *const *sets, Config **ret, char **ret_error)
{
        char *argv[16] = {(char *)"scenekeepd", (char *)"--config", (char *)scratch_write(s, "s.conf", text)};
        char copies[6][64];
        int argc = 3, r;
        Options *o = NULL;

        for (size_t i = 0; sets && sets[i]; i++) {
                snprintf(copies[i], sizeof(copies[i]), "%s", sets[i]);
                argv[argc++] = (char *)"--set";
                argv[argc++] = copies[i];
        }
        assert_int_equal(options_parse(argc, argv, &o, ret_error), 0);
        r = config_load(o, ret, ret_error);
        options_free(o);
        return r;
}

static Config *load_good(Scratch *s, const char *text, const char *const *sets)
{
        Config *c = NULL;
        char *error = NULL;

        if (load(s, text, sets, &c, &error) < 0)
                fail_msg("refused: %s", error);
        return c;
}

static void assert_refused(Scratch *s, const char *text, const char *want)
{
        Config *c = NULL;
        char *error = NULL, full[512];

        assert_int_equal(load(s, text, NULL, &c, &error), -EINVAL);
        assert_null(c);
        snprintf(full, sizeof(full), "%s/s.conf%s", s->path, want);
        assert_string_equal(error, full);
        free(error);
}

static void test_defaults(void **state)
{
        Config *c = load_good(*state, "", NULL);

        assert_int_equal(c->port, 5555);
        assert_string_equal(c->listen, "*");
        assert_string_equal(c->data_dir, PKGSTATEDIR "/default");
        assert_string_equal(c->accepted_versions[0], "0.9.10");
        assert_null(c->accepted_versions[1]);
        assert_null(c->admin_password);
        assert_null(c->server_password);
        assert_null(c->log_file);
        assert_int_equal(c->timeout, 10000000);
        assert_int_equal(c->save_interval, 120000000);
        assert_int_equal(c->scrub_interval, 7ULL * 86400 * 1000000);
        assert_int_equal(c->max_client_backlog, 64 << 20);
        assert_int_equal(c->max_message_size, 1 << 30);
        assert_int_equal(c->sync, CONFIG_SYNC_INTERVAL);
        assert_int_equal(c->log_level, LOG_INFO);
        config_free(c);
}

static void test_every_type_in_a_file(void **state)
{
        Config *c = load_good(*state,
                              "port = 6000;\nlisten = \"10.0.0.1\"\ntimeout = 5; save_interval = \"1h 30min\";\n"
                              "sync_interval = 0.25;\nsegment_size = \"8 MiB\";\nmax_message_size = 1048576;\n"
                              "sync = \"always\";\nlog_level = \"WARNING\";\n"
                              "accepted_versions = [ \"0.9.10\", \"0.9.11\" ];\nallow = ();\n"
                              "admin_password = \"a,b = c\";\nserver_password = \"\";\n",
                              NULL);

        assert_int_equal(c->port, 6000);
        assert_string_equal(c->listen, "10.0.0.1");
        assert_int_equal(c->timeout, 5000000);
        assert_int_equal(c->save_interval, 5400ULL * 1000000);
        assert_int_equal(c->sync_interval, 250000);
        assert_int_equal(c->segment_size, 8 << 20);
        assert_int_equal(c->max_message_size, 1 << 20);
        assert_int_equal(c->sync, CONFIG_SYNC_ALWAYS);
        assert_int_equal(c->log_level, LOG_WARNING);
        assert_string_equal(c->accepted_versions[1], "0.9.11");
        assert_null(c->accepted_versions[2]);
        assert_null(c->allow[0]);
        assert_string_equal(c->admin_password, "a,b = c");
        assert_null(c->server_password);
        config_free(c);
}

static void test_last_line_is_a_comment(void **state)
{
        Config *c = load_good(*state, "port = 6000; # the last line, not ended", NULL);

        assert_int_equal(c->port, 6000);
        config_free(c);
}

static void test_precedence(void **state)
{
        Scratch *s = *state;
        const char *const sets[] = {"port=7002", NULL};
        Config *c;

        setenv("PORT", "7001", 1);
        setenv("TIMEOUT", "2500", 1);
        setenv("SAVE_INTERVAL", "30", 1);
        setenv("MAX_BACKUPS", "", 1);
        c = load_good(s, "port = 7000; timeout = 3; max_backups = 4; max_users = 5;", NULL);
        assert_int_equal(c->port, 7001);
        assert_int_equal(c->timeout, 2500000);
        assert_int_equal(c->save_interval, 30000000);
        assert_int_equal(c->max_backups, 4);
        assert_int_equal(c->max_users, 5);
        config_free(c);
        c = load_good(s, "port = 7000;", sets);
        assert_int_equal(c->port, 7002);
        config_free(c);
}

static void test_faults_say_where_and_what(void **state)
{
        Scratch *s = *state;

        assert_refused(s, "port = 5555;\nprot = 5;\n", ":2: 'prot' is not a setting; did you mean 'port'?");
        assert_refused(s, "save-interval = 5;", ":1: 'save-interval' is not a setting; did you mean 'save_interval'?");
        assert_refused(s, "port 5555;", ":1: syntax error; each setting is written as: name = value;");
        assert_refused(s, "port = 1;\nlisten = \"x; # \"\nmax_users = 5;\nsync = \"\\\"always;",
                       ":4: a text begins here and has no closing quote");
        assert_refused(s, "frobnicate_it = 1;", ":1: 'frobnicate_it' is not a setting; scenekeep.conf(5) lists them all");
        assert_refused(s, "\n\nport = 65534;",
                       ":3: 'port' must be a whole number from 1 to 65533, such as 5555, not \"65534\"");
        assert_refused(s, "port = -1;", ":1: 'port' must be a whole number from 1 to 65533, such as 5555, not \"-1\"");
        assert_refused(s, "port = \"5555\";", ":1: 'port' must be a number, not a text; write it as in: port = 5555;");
        assert_refused(s, "listen = 5;", ":1: 'listen' must be a text, not a number; write it as in: listen = \"*\";");
        assert_refused(s, "timeout = true;",
                       ":1: 'timeout' must be a duration, not true or false; write it as in: timeout = \"10s\";");
        assert_refused(s, "timeout = \"soon\";",
                       ":1: 'timeout' must be a duration from 1s to 10min, such as \"10s\", not \"soon\"");
        assert_refused(s, "segment_size = \"64\";",
                       ":1: 'segment_size' must be a size from 1M to 4G, such as \"64M\", not \"64\"");
        assert_refused(s, "max_client_backlog = \"99999999999T\";",
                       ":1: 'max_client_backlog' must be a size from 1M to 64G, such as \"64M\", not \"99999999999T\"");
        assert_refused(s, "sync = \"never\";", ":1: 'sync' must be \"interval\" or \"always\", not \"never\"");
        assert_refused(s, "accepted_versions = [ 1, 2 ];",
                       ":1: 'accepted_versions' must be a list of texts, not one with other things in it; write it as in: accepted_versions = [ \"0.9.10\" ];");
        assert_refused(s, "allow = \"10.0.0.0/8\";",
                       ":1: 'allow' must be a list of texts, not a text; write it as in: allow = [ \"127.0.0.1\" ];");
        assert_refused(s, "allow = [ \"10.0.0.0/8\", \"studio\" ];",
                       ":1: 'allow' must be a list of addresses or networks, such as [ \"192.168.0.5\", \"10.0.0.0/8\" ], "
                       "not \"10.0.0.0/8,studio\"");
        assert_refused(s, "allow = [ \"10.0.0.0/33\" ];",
                       ":1: 'allow' must be a list of addresses or networks, such as [ \"192.168.0.5\", \"10.0.0.0/8\" ], "
                       "not \"10.0.0.0/33\"");
        assert_refused(s, "port = 5555;\nsession_name = \"two\\nlines\";",
                       ":2: 'session_name' must be a text of 1 to 64 bytes in quotes, without line breaks and the like, "
                       "not \"two?lines\"");
        assert_refused(s, "log_file = \"/var/log/a\\x7f\";",
                       ":1: 'log_file' must be a text of 0 to 4000 bytes in quotes, without line breaks and the like, "
                       "not \"/var/log/a?\"");
        assert_refused(s, "store : { port = 1; };",
                       ":1: 'store' is not a setting; scenekeep.conf(5) lists them all");
}

/* libconfig before 1.7 takes the lower half of them, so that 10000000000 bytes would be 1.3 GiB. */
static void test_numbers_of_more_than_32_bits(void **state)
{
        Scratch *s = *state;
        Config *c;
        char text[600];

        assert_refused(s, "port = 5000;\n# 10000000000\nsegment_size = 10000000000;",
                       ":3: 10000000000 is more than fits a plain number; write it with a unit in quotes, as in \"10G\", or as "
                       "10000000000L");
        assert_refused(s, "/* a\n9999999999 \"*/ listen = \"\\\"9999999999\" keep_daily=-3000000000",
                       ":2: -3000000000 is more than fits a plain number; write it with a unit in quotes, as in \"10G\", or as "
                       "-3000000000L");
        assert_refused(s, "timeout = 9.5; port = 0x1000015B3 //\n",
                       ":1: 0x1000015B3 is more than fits a plain number; write it with a unit in quotes, as in \"10G\", or as "
                       "0x1000015B3L");
        assert_refused(s, "max_nodes = 99999999999999999999L;",
                       ":1: 'max_nodes' must be a whole number from 1 to 1000000000, such as 1000000, not "
                       "\"9223372036854775807\"");

        snprintf(text, sizeof text, "max_users = 7;\n@include \"%s\"\n",
                 scratch_write(s, "more.conf", "\nmin_free_space = 5000000000;\n"));
        char *error = NULL;
        assert_int_equal(load(s, text, NULL, &c, &error), -EINVAL);
        assert_non_null(strstr(error, "/more.conf:2: 5000000000 is more than fits"));
        free(error);

        c = load_good(s, "journal_keep_size = 10000000000L; min_free_space = 2147483647; timeout = 1e1; "
                         "max_user_name = 0x20; listen = \"9999999999\"; # 9999999999\n", NULL);
        assert_int_equal(c->journal_keep_size, 10000000000);
        assert_int_equal(c->min_free_space, INT32_MAX);
        assert_int_equal(c->max_user_name, 32);
        config_free(c);
}

static void test_every_fault_is_told(void **state)
{
        Scratch *s = *state;
        Config *c = NULL;
        char *error = NULL;

        setenv("PORT", "high", 1);
        assert_int_equal(load(s, "max_users = 0;\nsync = 1;\n", NULL, &c, &error), -EINVAL);
        assert_non_null(strstr(error, "s.conf:1: 'max_users' must be"));
        assert_non_null(strstr(error, "\n"));
        assert_non_null(strstr(error, "s.conf:2: 'sync' must be a text, not a number"));
        assert_non_null(strstr(error, "environment variable PORT: 'port' must be a whole number"));
        free(error);
}

static void test_wrong_password_is_not_shown(void **state)
{
        Config *c = NULL;
        char *error = NULL, text[1200] = "admin_password = \"";

        memset(text + 18, 'x', 1100);
        strcpy(text + 1118, "\";");
        assert_int_equal(load(*state, text, NULL, &c, &error), -EINVAL);
        assert_null(strstr(error, "xxx"));
        free(error);
}

static void test_file_that_is_not_there(void **state)
{
        char path[] = "/nonexistent/s.conf";
        char *argv[] = {(char *)"scenekeepd", (char *)"--config", path}, *error = NULL;
        Options *o = NULL;
        Config *c = NULL;

        assert_int_equal(options_parse(3, argv, &o, &error), 0);
        assert_int_equal(config_load(o, &c, &error), -ENOENT);
        assert_string_equal(error, "/nonexistent/s.conf: cannot be read (No such file or directory); "
                                   "name another file with --config");
        free(error);
        options_free(o);
}

static void test_password_files(void **state)
{
        Scratch *s = *state;
        char text[256];
        Config *c;

        snprintf(text, sizeof(text), "admin_password_file = \"%s\";", scratch_write(s, "pw", "tr0ub4dor\r\n"));
        c = load_good(s, text, NULL);
        assert_string_equal(c->admin_password, "tr0ub4dor");
        config_free(c);

        setenv("ADMIN_PASSWORD", "from-environment", 1);
        c = load_good(s, text, NULL);
        assert_string_equal(c->admin_password, "from-environment");
        config_free(c);
        unsetenv("ADMIN_PASSWORD");

        scratch_write(s, "admin-password", "from-credential\n");
        scratch_write(s, "server-password", "");
        setenv("CREDENTIALS_DIRECTORY", s->path, 1);
        c = load_good(s, text, NULL);
        assert_string_equal(c->admin_password, "from-credential");
        assert_null(c->server_password);
        config_free(c);
}

static void test_password_file_faults(void **state)
{
        Scratch *s = *state;
        Config *c = NULL;
        char text[256], *error = NULL;

        snprintf(text, sizeof(text), "server_password_file = \"%s\";", scratch_write(s, "pw", "\n"));
        assert_int_equal(load(s, text, NULL, &c, &error), -EINVAL);
        assert_non_null(strstr(error, "/pw: the password file is empty"));
        free(error);

        assert_int_equal(load(s, "server_password_file = \"/nonexistent\";", NULL, &c, &error), -EINVAL);
        assert_string_equal(error, "/nonexistent: the password cannot be read (No such file or directory)");
        free(error);

        assert_refused(s, "\nserver_password_file = \"/x\";\nserver_password = \"y\";",
                       ":2: 'server_password' and 'server_password_file' are both set; keep one of them");
}

static void test_state_directory_and_relative_paths(void **state)
{
        const char *const sets[] = {"data_dir=here", NULL}, *const dotted[] = {"data_dir=.//./here", NULL};
        char cwd[512], want[600];
        Config *c;

        setenv("STATE_DIRECTORY", "/var/lib/scenekeep/x:/other", 1);
        c = load_good(*state, "", NULL);
        assert_string_equal(c->data_dir, "/var/lib/scenekeep/x");
        config_free(c);
        assert_non_null(getcwd(cwd, sizeof(cwd)));
        snprintf(want, sizeof(want), "%s/here", cwd);
        c = load_good(*state, "", sets);
        assert_string_equal(c->data_dir, want);
        config_free(c);
        c = load_good(*state, "", dotted);
        assert_string_equal(c->data_dir, want);
        config_free(c);
}

static void test_print_reads_back(void **state)
{
        Scratch *s = *state;
        Config *c = load_good(s, "listen = \"a\\\"b\\\\c\"; idle_exit = \"90s\"; admin_password = \"secret\";"
                                 "allow = [ \"10.0.0.0/8\", \"::1\" ]; segment_size = 1500000;", NULL), *again;
        ConfigDiff diff;
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        config_print(c, f);
        fclose(f);
        assert_null(strstr(text, "secret"));
        assert_non_null(strstr(text, "# admin_password: (set)\n"));
        assert_non_null(strstr(text, "idle_exit = \"90s\";\n"));
        again = load_good(s, text, NULL);
        config_diff(c, again, &diff);
        assert_int_equal(diff.n_restart, 0);
        assert_int_equal(diff.n_live, 1);
        assert_string_equal(diff.live[0], "admin_password");
        free(text);
        config_free(c);
        config_free(again);
}

static void test_reload(void **state)
{
        Config *running = load_good(*state, "port = 1000; max_users = 5; admin_password = \"old\";", NULL);
        Config *fresh = load_good(*state, "port = 2000; max_users = 6; admin_password = \"new\";"
                                          "accepted_versions = [ \"0.9.11\" ]; log_level = \"debug\";", NULL);
        ConfigDiff diff;

        config_diff(running, fresh, &diff);
        assert_int_equal(diff.n_restart, 1);
        assert_string_equal(diff.restart[0], "port");
        assert_int_equal(diff.n_live, 4);
        config_apply_live(running, fresh);
        config_free(fresh);
        assert_int_equal(running->port, 1000);
        assert_int_equal(running->max_users, 6);
        assert_string_equal(running->admin_password, "new");
        assert_string_equal(running->accepted_versions[0], "0.9.11");
        assert_int_equal(running->log_level, LOG_DEBUG);
        config_free(running);
}

static void test_quantities(void **state)
{
        uint64_t n = 77;

        assert_int_equal(config_parse_size("1.5K", &n), 0);
        assert_int_equal(n, 1536);
        assert_int_equal(config_parse_size("2 GiB", &n), 0);
        assert_int_equal(n, 2ULL << 30);
        assert_int_equal(config_parse_duration("1d 2h 3min 4s 5ms", &n), 0);
        assert_int_equal(n, ((86400ULL + 7200 + 180 + 4) * 1000 + 5) * 1000);
        assert_int_equal(config_parse_duration("0.5", &n), 0);
        assert_int_equal(n, 500000);
        n = 77;
        assert_int_equal(config_parse_size("1 apple", &n), -EINVAL);
        assert_int_equal(config_parse_size("1K 2K", &n), -EINVAL);
        assert_int_equal(config_parse_size("", &n), -EINVAL);
        assert_int_equal(config_parse_size("1.", &n), -EINVAL);
        assert_int_equal(config_parse_size("-1", &n), -EINVAL);
        assert_int_equal(config_parse_size("18446744073709551616", &n), -ERANGE);
        assert_int_equal(config_parse_size("99999999T", &n), -ERANGE);
        assert_int_equal(config_parse_duration("300000 weeks 18446744073709551615us", &n), -ERANGE);
        assert_int_equal(n, 77);
}

static void test_admin_password_is_made_once(void **state)
{
        Scratch *s = *state;
        char *first = NULL, *second = NULL;
        struct stat st;

        assert_int_equal(admin_password_load_or_make(s->fd, &first), 1);
        assert_int_equal(strlen(first), 20);
        assert_int_equal(fstatat(s->fd, "admin-password", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(admin_password_load_or_make(s->fd, &second), 0);
        assert_string_equal(first, second);
        secret_free(second);

        /* what a crash may leave: an empty file */
        scratch_write(s, "admin-password", "");
        assert_int_equal(admin_password_load_or_make(s->fd, &second), 1);
        assert_string_not_equal(first, second);
        secret_free(first);
        secret_free(second);

        assert_int_equal(fchmodat(s->fd, "admin-password", 0644, 0), 0);
        assert_int_equal(admin_password_load_or_make(s->fd, &first), -EPERM);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_defaults),
                TEST(test_every_type_in_a_file),
                TEST(test_last_line_is_a_comment),
                TEST(test_precedence),
                TEST(test_faults_say_where_and_what),
                TEST(test_numbers_of_more_than_32_bits),
                TEST(test_every_fault_is_told),
                TEST(test_wrong_password_is_not_shown),
                TEST(test_file_that_is_not_there),
                TEST(test_password_files),
                TEST(test_password_file_faults),
                TEST(test_state_directory_and_relative_paths),
                TEST(test_print_reads_back),
                TEST(test_reload),
                TEST(test_quantities),
                TEST(test_admin_password_is_made_once),
        };
        return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
