/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A table for people: columns as wide as their widest cell, two blanks between,
 * no lines. When the whole does not fit, the columns marked as flexible are cut
 * with an ellipsis, so that a row always stays on one line.
 */

#include <stdint.h>
#include <stdio.h>

#include "base/macros.h"

typedef struct Table Table;

#define TABLE_COLUMNS_MAX 12u

/* Titles separated by "|"; one that begins with ">" is aligned to the right, one with "~" may be cut. NULL when memory
 * is short. */
Table *table_new(const char *titles);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table *, table_free)
#define _cleanup_table_ _cleanup_(table_freep)

/* Begins a row. */
void table_row(Table *t);

/* Adds the next cell of the row, control characters escaped. Memory shortage is remembered for table_print(). */
void table_cell(Table *t, const char *format, ...) _printf_(2, 3);
void table_size(Table *t, uint64_t bytes);
void table_time(Table *t, uint64_t usec);

size_t table_n_rows(const Table *t);

/* width: columns of the terminal; 0: as wide as it takes. bold: titles stand out. Returns 0 or -ENOMEM. */
int table_print(const Table *t, FILE *f, size_t width, bool bold);
