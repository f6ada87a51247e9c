/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Stands in for libFuzzer where a fuzz target is built without it: runs the
 * target on every file of its corpus, as a regression test that speaks TAP.
 * The corpus of tests/fuzz/fuzz-NAME is tests/fuzz/corpus/NAME in the source.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
        struct stat st;
        FILE *f = fopen(path, "rbe");
        if (!f)
                return -errno;
        int r = fstat(fileno(f), &st) < 0 ? -errno : 0;
        size_t size = r == 0 ? (size_t)st.st_size : 0;
        /* Exactly as large as the input, so that a sanitizer sees every byte read beyond it. */
        uint8_t *data = malloc(size > 0 ? size : 1);
        if (r == 0 && (!data || fread(data, 1, size, f) != size))
                r = -EIO;
        fclose(f);
        if (r == 0)
                LLVMFuzzerTestOneInput(data, size);
        free(data);
        return r;
}

static int is_visible(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
        const char *source = getenv("top_srcdir"), *name = strrchr(argv[0], '/');
        char folder[4096], path[8192];
        struct dirent **entries;

        name = strstr(name ? name : argv[0], "fuzz-");
        if (!name) {
                fprintf(stderr, "%s: a fuzz target must be called fuzz-NAME\n", argv[0]);
                return EXIT_FAILURE;
        }
        snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", source ? source : ".",
                 name + strlen("fuzz-"));
        int n = scandir(folder, &entries, is_visible, alphasort);
        if (n <= 0) {
                printf("1..1\nnot ok 1 - %s: no corpus (%s)\n", folder, n < 0 ? strerror(errno) : "empty");
                return EXIT_FAILURE;
        }
        printf("1..%d\n", n);
        bool failed = false;
        for (int i = 0; i < n; i++) {
                snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
                int r = run_file(path);
                failed = failed || r < 0;
                printf("%s %d - %s\n", r < 0 ? "not ok" : "ok", i + 1, entries[i]->d_name);
                fflush(stdout);
                free(entries[i]);
        }
        free(entries);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
