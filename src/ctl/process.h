/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Other programs: run, waited for, and what they have said. */

#include <stdbool.h>

typedef struct ProcessResult {
        int status;   /* exit status; 128 and more: ended by that signal less 128 */
        char *output; /* standard output; the first MiB of it */
        char *errors; /* standard error likewise */
} ProcessResult;

void process_result_done(ProcessResult *r);

/* Runs argv[0], found in PATH, without standard input, in the C locale. show: its standard output goes to our standard
 * error instead. 0; -ENOENT: there is no such program; -errno. */
int process_run(const char *const argv[], bool show, ProcessResult *ret);
