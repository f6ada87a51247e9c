/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/format.h"
#include "ctl/table.h"

#define GAP 2u
#define FLEXIBLE_MIN 8u

typedef struct Column {
        char *title;
        bool right, flexible;
} Column;

struct Table {
        Column columns[TABLE_COLUMNS_MAX];
        size_t n_columns;
        char **cells; /* row by row */
        size_t n_cells, n_allocated;
        size_t n_rows;
        bool failed;
};

Table *table_new(const char *titles)
{
        _cleanup_table_ Table *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        for (const char *p = titles; *p;) {
                Column *c = &t->columns[t->n_columns];
                size_t n = strcspn(p, "|");

                assert(t->n_columns < TABLE_COLUMNS_MAX);
                c->right = *p == '>';
                c->flexible = *p == '~';
                c->title = strndup(p + (c->right || c->flexible), n - (c->right || c->flexible));
                if (!c->title)
                        return NULL;
                t->n_columns++;
                p += n + (p[n] == '|');
        }
        return TAKE_PTR(t);
}

Table *table_free(Table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_columns; i++)
                free(t->columns[i].title);
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i]);
        free(t->cells);
        free(t);
        return NULL;
}

static void add_cell(Table *t, char *text)
{
        if (t->n_cells == t->n_allocated) {
                size_t n = t->n_allocated ? t->n_allocated * 2 : 64;
                char **grown = reallocarray(t->cells, n, sizeof(*grown));

                if (!grown) {
                        free(text);
                        t->failed = true;
                        return;
                }
                t->cells = grown;
                t->n_allocated = n;
        }
        t->cells[t->n_cells++] = text;
        t->failed = t->failed || !text;
}

void table_row(Table *t)
{
        while (t->n_cells < t->n_rows * t->n_columns && !t->failed)
                add_cell(t, strdup(""));
        t->n_rows++;
}

void table_cell(Table *t, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        assert(t->n_rows > 0 && (t->failed || t->n_cells < t->n_rows * t->n_columns));
        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                t->failed = true;
                return;
        }
        add_cell(t, log_escape(text, (size_t)n));
}

void table_size(Table *t, uint64_t bytes)
{
        char buffer[FORMAT_SIZE_MAX];

        table_cell(t, "%s", format_size(buffer, sizeof(buffer), bytes));
}

void table_time(Table *t, uint64_t usec)
{
        char buffer[FORMAT_SIZE_MAX];

        table_cell(t, "%s", format_time(buffer, sizeof(buffer), usec));
}

size_t table_n_rows(const Table *t)
{
        return t->n_rows;
}

static const char *cell_at(const Table *t, size_t row, size_t column)
{
        size_t i = row * t->n_columns + column;

        return i < t->n_cells ? t->cells[i] : "";
}

static void measure(const Table *t, size_t limit, size_t widths[])
{
        size_t total = 0, excess;

        for (size_t c = 0; c < t->n_columns; c++) {
                widths[c] = format_width(t->columns[c].title);
                for (size_t r = 0; r < t->n_rows; r++)
                        widths[c] = MAX(widths[c], format_width(cell_at(t, r, c)));
                total += widths[c] + (c > 0 ? GAP : 0);
        }
        excess = limit > 0 && total > limit ? total - limit : 0;
        /* The widest flexible column gives first, a column at a time, so that short ones stay whole. */
        while (excess > 0) {
                size_t widest = SIZE_MAX;

                for (size_t c = 0; c < t->n_columns; c++)
                        if (t->columns[c].flexible && widths[c] > FLEXIBLE_MIN &&
                            (widest == SIZE_MAX || widths[c] > widths[widest]))
                                widest = c;
                if (widest == SIZE_MAX)
                        return;
                widths[widest]--;
                excess--;
        }
}

static int put_cell(FILE *f, const char *text, size_t width, bool right, bool last)
{
        _cleanup_free_ char *cut = format_cut(text, width);
        size_t have;

        if (!cut)
                return -ENOMEM;
        have = MIN(format_width(cut), width);
        if (right)
                fprintf(f, "%*s", (int)(width - have), "");
        fputs(cut, f);
        if (!right && !last)
                fprintf(f, "%*s", (int)(width - have), "");
        return 0;
}

int table_print(const Table *t, FILE *f, size_t width, bool bold)
{
        size_t widths[TABLE_COLUMNS_MAX];

        if (t->failed)
                return -ENOMEM;
        measure(t, width, widths);
        for (size_t r = 0; r <= t->n_rows; r++) {
                if (r == 0 && bold)
                        fputs("\033[1m", f);
                for (size_t c = 0; c < t->n_columns; c++) {
                        const char *text = r == 0 ? t->columns[c].title : cell_at(t, r - 1, c);

                        if (c > 0)
                                fprintf(f, "%*s", (int)GAP, "");
                        if (put_cell(f, text, widths[c], t->columns[c].right, c + 1 == t->n_columns) < 0)
                                return -ENOMEM;
                }
                fputs(r == 0 && bold ? "\033[0m\n" : "\n", f);
        }
        return 0;
}
