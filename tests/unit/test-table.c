/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "ctl/format.h"
#include "ctl/table.h"
#include "test.h"

static char *printed(const Table *t, size_t width)
{
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        assert_int_equal(table_print(t, f, width, false), 0);
        fclose(f);
        return text;
}

static Table *example(void)
{
        Table *t = table_new("~NAME|>SIZE|~REASON");

        assert_non_null(t);
        table_row(t);
        table_cell(t, "Würfel");
        table_size(t, 1536);
        table_cell(t, "auto-save");
        table_row(t);
        table_cell(t, "立方体");
        table_size(t, 0);
        table_cell(t, "user_disconnect:somebody with a long name");
        return t;
}

static void test_columns_line_up(void **state)
{
        _cleanup_table_ Table *t = example();
        _cleanup_free_ char *text = printed(t, 0);

        assert_string_equal(text, "NAME       SIZE  REASON\n"
                                  "Würfel  1.5 KiB  auto-save\n"
                                  "立方体      0 B  user_disconnect:somebody with a long name\n");
        assert_int_equal(table_n_rows(t), 2);
}

static void test_the_widest_is_cut(void **state)
{
        _cleanup_table_ Table *t = example();
        _cleanup_free_ char *text = printed(t, 40);

        for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                if (format_width(line) > 40)
                        fail_msg("too wide: %s", line);
        assert_null(strstr(text, "long name"));
}

static void test_text_cannot_move_the_cursor(void **state)
{
        _cleanup_table_ Table *t = table_new("A|B");
        _cleanup_free_ char *text = NULL;

        table_row(t);
        table_cell(t, "x\033[2Jy\n");
        table_row(t);
        table_cell(t, "a\xff" "b");
        text = printed(t, 0);
        assert_null(strchr(text, '\033'));
        assert_non_null(strstr(text, "\\x1b[2Jy\\x0a"));
        assert_non_null(strstr(text, "a\\xffb"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_columns_line_up),
                cmocka_unit_test(test_the_widest_is_cut),
                cmocka_unit_test(test_text_cannot_move_the_cursor),
        };
        setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
