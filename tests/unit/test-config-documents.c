/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The shipped configuration file and the manual say of every setting what the table says. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config-keys.h"
#include "test.h"

static char *read_source(const char *name)
{
        const char *top = getenv("top_srcdir") ?: ".";
        char path[4096], *text = NULL;
        size_t size = 0, n;
        FILE *f, *out;

        snprintf(path, sizeof(path), "%s/%s", top, name);
        f = fopen(path, "re");
        if (!f)
                fail_msg("%s: %s", path, strerror(errno));
        out = open_memstream(&text, &size);
        for (char buffer[4096]; (n = fread(buffer, 1, sizeof(buffer), f)) > 0;)
                fwrite(buffer, 1, n, out);
        fclose(f);
        fclose(out);
        return text;
}

/* "#port = 5555;" as it stands in the file, a line of its own. */
static void assert_line(const char *text, const char *line)
{
        const char *found = strstr(text, line);

        if (!found || (found > text && found[-1] != '\n'))
                fail_msg("missing line: %s", line);
}

static void write_default(const ConfigKey *key, char *line, size_t size)
{
        const char *text = key->default_text, *comma;

        if (key->type == CONFIG_NUMBER) {
                snprintf(line, size, "#%s = %s;\n", key->name, text);
        } else if (key->type == CONFIG_TEXT_LIST) {
                comma = strchrnul(text, ',');
                snprintf(line, size, "#%s = [ \"%.*s\"%s%s%s ];\n", key->name, (int)(comma - text), text,
                         *comma ? ", \"" : "", *comma ? comma + 1 : "", *comma ? "\"" : "");
        } else {
                snprintf(line, size, "#%s = \"%s\";\n", key->name, text);
        }
}

static void test_file_shows_every_default(void **state)
{
        char *text = read_source("etc/scenekeep.conf"), line[256];

        for (size_t i = 0; i < n_config_keys; i++) {
                if (config_keys[i].default_text)
                        write_default(&config_keys[i], line, sizeof(line));
                else
                        snprintf(line, sizeof(line), "#%s = \"", config_keys[i].name);
                assert_line(text, line);
        }
        free(text);
}

/* And nothing that is not a setting; everything in it is commented out. */
static void test_file_shows_only_settings(void **state)
{
        char *text = read_source("etc/scenekeep.conf"), name[64];

        for (const char *line = text; *line; line = strchrnul(line, '\n') + 1) {
                assert_true(*line == '#' || *line == '\n');
                if (sscanf(line, "#%63[a-z_] = ", name) == 1 && !config_key_find(name))
                        fail_msg("%s is not a setting", name);
        }
        free(text);
}

static void test_manual_describes_every_setting(void **state)
{
        static const char *const types[] = {
                [CONFIG_TEXT] = "text",     [CONFIG_PASSWORD] = "password", [CONFIG_TEXT_LIST] = "list",
                [CONFIG_NUMBER] = "number", [CONFIG_SIZE] = "size",         [CONFIG_DURATION] = "duration",
                [CONFIG_SYNC] = "text",     [CONFIG_LEVEL] = "text",
        };
        char *text = read_source("src/man/scenekeep.conf.5"), line[256];
        size_t n_items = 0;

        for (size_t i = 0; i < n_config_keys; i++) {
                const ConfigKey *key = &config_keys[i];
                snprintf(line, sizeof(line), ".It Va %s Pq \"%s, %s%s%s\"\n", key->name, types[key->type],
                         key->default_text ? "default " : "not set", key->default_text ?: "",
                         key->live ? "" : ", restart");
                assert_line(text, line);
        }
        for (const char *p = text; (p = strstr(p, "\n.It Va ")); p++)
                n_items++;
        assert_int_equal(n_items, n_config_keys);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file_shows_every_default),
                cmocka_unit_test(test_file_shows_only_settings),
                cmocka_unit_test(test_manual_describes_every_setting),
        };
        return cmocka_run_group_tests_name("config-documents", tests, NULL, NULL);
}
