/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/backup.h"
#include "ctl/process.h"
#include "store/digest.h"

/*
 * Copies on another machine, by rsync(1): nothing but it is needed there, over ssh or as a daemon. As it cannot rename,
 * a copy has its own name from the beginning, and is complete once SHA256SUMS is in it: the digest of each file, written
 * last, when rsync has read every file there and found no difference.
 */

#define SUMS "SHA256SUMS"
#define ARGUMENTS_MAX 24u
#define ERROR_SHOWN 200

/* rsync's: some files could not be transferred; among them the folder that is not there yet. */
#define RSYNC_PARTIAL 23

bool backup_is_local(const char *destination)
{
        const char *colon = strchr(destination, ':');

        return !colon || memchr(destination, '/', (size_t)(colon - destination)) != NULL;
}

/* ---- running it ---- */

/* What only says that it came to an end. */
static bool is_aftermath(const char *line)
{
        return strncmp(line, "rsync error:", 12) == 0 || strstr(line, "connection unexpectedly closed") ||
                strstr(line, "Broken pipe");
}

/* The last line it has said that gives a reason. */
static const char *reason_of(const ProcessResult *p)
{
        char *line = NULL;

        for (char *save, *next = p->errors ? strtok_r(p->errors, "\r\n", &save) : NULL; next;
             next = strtok_r(NULL, "\r\n", &save))
                if (!line || !is_aftermath(next))
                        line = next;
        return line ?: "it said nothing";
}

static ExitStatus run(const Ctl *ctl, const char *const arguments[], bool show, ProcessResult *ret)
{
        const char *argv[ARGUMENTS_MAX] = {
                "rsync", "--recursive", "--times", "--protect-args", "--timeout=600", "--chmod=D0700,F0600",
        };
        size_t n = 6;
        int r;

        while (*arguments && n < ARGUMENTS_MAX - 1)
                argv[n++] = *arguments++;
        /* Nobody is there to be asked by ssh when the timer runs this. */
        if (!isatty(STDIN_FILENO) && setenv("RSYNC_RSH", "ssh -o BatchMode=yes", false) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        r = process_run(argv, show, ret);
        if (r == -ENOENT)
                return ctl_fail(ctl, CTL_FAILED, "rsync is not installed: install the package rsync, here and there, or copy to a "
                                                 "folder");
        return r < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot run rsync: %s", strerror(-r)) : CTL_OK;
}

static ExitStatus run_or_fail(const Ctl *ctl, const char *const arguments[], bool show, const char *destination,
                              ProcessResult *ret)
{
        ExitStatus status = run(ctl, arguments, show, ret);

        if (status == CTL_OK && ret->status != 0) {
                status = ctl_fail(ctl, CTL_FAILED, "cannot copy to %s: %.*s (rsync, status %d)", destination, ERROR_SHOWN,
                                  reason_of(ret), ret->status);
                process_result_done(ret);
        }
        return status;
}

/* ---- what is there ---- */

/* "drwx------  4,096 2026/11/23 14:15:00 20261123T141500Z/SHA256SUMS": the newest name, and the newest that is complete. */
static void find_before(char *listing, char newest[static BACKUP_NAME_MAX], char complete[static BACKUP_NAME_MAX])
{
        for (char *save, *line = strtok_r(listing, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *path = strrchr(line, ' '), *file;

                if (!path)
                        continue;
                file = strchr(++path, '/');
                if (file)
                        *file++ = '\0';
                if (!backup_is_name(path))
                        continue;
                if (strcmp(path, newest) > 0)
                        snprintf(newest, BACKUP_NAME_MAX, "%s", path);
                if (file && strcmp(file, SUMS) == 0 && strcmp(path, complete) > 0)
                        snprintf(complete, BACKUP_NAME_MAX, "%s", path);
        }
}

/* Options for the copies that may be linked to; at most two, each "" for none. */
static ExitStatus look_there(const Ctl *ctl, const char *folder, const char *destination, char links[static 2][64])
{
        const char *const arguments[] = {
                "--list-only", "--include=/*/", "--include=/*/" SUMS, "--exclude=*", "--", folder, NULL,
        };
        char newest[BACKUP_NAME_MAX] = "", complete[BACKUP_NAME_MAX] = "";
        ProcessResult p = {0};
        ExitStatus status = run(ctl, arguments, false, &p);

        if (status != CTL_OK)
                return status;
        /* That the folder is not there yet is no failure; others show again when it is written to. */
        if (p.status != 0 && p.status != RSYNC_PARTIAL)
                status = ctl_fail(ctl, CTL_FAILED, "cannot look into %s: %.*s (rsync, status %d)", destination, ERROR_SHOWN,
                                  reason_of(&p), p.status);
        else if (p.output)
                find_before(p.output, newest, complete);
        process_result_done(&p);
        links[0][0] = links[1][0] = '\0';
        if (complete[0])
                snprintf(links[0], 64, "--link-dest=../%s/", complete);
        if (newest[0] && strcmp(newest, complete) != 0)
                snprintf(links[1], 64, "--link-dest=../%s/", newest);
        return status;
}

/* ---- the copy ---- */

static uint64_t figure(const char *statistics, const char *name)
{
        const char *at = strstr(statistics, name);

        return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static ExitStatus send_all(const Ctl *ctl, const char *from, const char *to, const char *destination,
                           const char links[static 2][64], bool again, BackupResult *result)
{
        const char *arguments[ARGUMENTS_MAX] = {"--mkpath", "--stats", "--no-human-readable"};
        ProcessResult p = {0};
        ExitStatus status;
        size_t n = 3;

        for (size_t i = 0; i < 2; i++)
                if (links[i][0])
                        arguments[n++] = links[i];
        if (again)
                arguments[n++] = "--checksum";
        if (ctl->progress)
                arguments[n++] = "--info=progress2";
        arguments[n++] = "--";
        arguments[n++] = from;
        arguments[n++] = to;
        status = run_or_fail(ctl, arguments, ctl->progress, destination, &p);
        if (status != CTL_OK)
                return status;
        if (p.output) {
                uint64_t sent = figure(p.output, "Number of regular files transferred: ");

                result->n_linked = result->n_files - MIN(sent, result->n_files);
                result->copied_bytes = figure(p.output, "Total transferred file size: ");
        }
        process_result_done(&p);
        return CTL_OK;
}

/* Both sides read every file. *ret_different: the first one that differs, as rsync says it; NULL: none does. */
static ExitStatus compare_there(const Ctl *ctl, const char *from, const char *to, const char *destination,
                                char **ret_different)
{
        const char *const arguments[] = {"--checksum", "--dry-run", "--itemize-changes", "--", from, to, NULL};
        ProcessResult p = {0};
        ExitStatus status = run_or_fail(ctl, arguments, false, destination, &p);
        const char *name;

        *ret_different = NULL;
        if (status != CTL_OK)
                return status;
        if (p.output && *p.output) {
                p.output[strcspn(p.output, "\n")] = '\0';
                name = strchr(p.output, ' ');
                *ret_different = strdup(name ? name + 1 : p.output);
                if (!*ret_different)
                        status = ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        process_result_done(&p);
        return status;
}

/* A file that is linked to the copy before may have rotted there: it is sent anew, once. */
static ExitStatus compare_and_mend(const Ctl *ctl, const char *from, const char *to, const char *destination,
                                   const char links[static 2][64], char **ret_rotten)
{
        _cleanup_free_ char *different = NULL;
        BackupResult ignored = {0};
        ExitStatus status = compare_there(ctl, from, to, destination, ret_rotten);

        if (status != CTL_OK || !*ret_rotten)
                return status;
        status = send_all(ctl, from, to, destination, links, true, &ignored);
        if (status == CTL_OK)
                status = compare_there(ctl, from, to, destination, &different);
        if (status == CTL_OK && different)
                status = ctl_fail(ctl, CTL_FAILED, "%s is not what was sent, also when sent again (%s): the disk or memory there is "
                                                   "not to be trusted",
                                  to, different);
        return status;
}

/* ---- its list of digests ---- */

static FILE *sums; /* what nftw() cannot hand through */
static size_t prefix;

static int add_sum(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        uint8_t digest[DIGEST_SIZE];
        char text[DIGEST_TEXT_SIZE];
        void *data = NULL;
        int fd;

        if (type != FTW_F || strcmp(path + prefix, SUMS) == 0)
                return 0;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -1;
        if (st->st_size > 0)
                data = mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        if (data == MAP_FAILED)
                return -1;
        digest_buffer(data ?: "", (size_t)st->st_size, digest);
        if (data)
                munmap(data, (size_t)st->st_size);
        fprintf(sums, "%s  %s\n", digest_format(digest, text), path + prefix);
        return 0;
}

static ExitStatus write_sums(const Ctl *ctl, const char *stage)
{
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s/" SUMS, stage) < 0) {
                path = NULL;
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        }
        sums = fopen(path, "we");
        if (!sums)
                return ctl_fail(ctl, CTL_FAILED, "cannot write %s: %s", path, strerror(errno));
        prefix = strlen(stage) + 1;
        r = nftw(stage, add_sum, 16, FTW_PHYS);
        if (fclose(sums) != 0 || r != 0)
                return ctl_fail(ctl, CTL_FAILED, "cannot write %s: %s", path, strerror(errno));
        return CTL_OK;
}

ExitStatus backup_send(const Ctl *ctl, const char *stage, const char *destination, BackupResult *result)
{
        const char *slash = *destination && destination[strlen(destination) - 1] == '/' ? "" : "/";
        _cleanup_free_ char *folder = NULL, *from = NULL, *to = NULL, *rotten = NULL;
        char links[2][64];
        ExitStatus status;

        /* HOST: alone is the home folder there, to which no slash may be added. */
        if (destination[strlen(destination) - 1] == ':')
                slash = "";
        if (asprintf(&folder, "%s%s", destination, slash) < 0 || asprintf(&from, "%s/", stage) < 0 ||
            asprintf(&to, "%s%s/", folder, result->name) < 0)
                return ctl_fail(ctl, CTL_FAILED, "out of memory");
        status = look_there(ctl, folder, destination, links);
        if (status == CTL_OK)
                status = send_all(ctl, from, to, destination, links, false, result);
        if (status == CTL_OK)
                status = compare_and_mend(ctl, from, to, destination, links, &rotten);
        if (status == CTL_OK)
                status = write_sums(ctl, stage);
        if (status == CTL_OK) {
                BackupResult ignored = *result;

                /* Without links: rsync would take what is of the same size and time for better than what is there. */
                status = send_all(ctl, from, to, destination, (const char[2][64]){"", ""}, false, &ignored);
        }
        if (status == CTL_OK && rotten)
                status = ctl_fail(ctl, CTL_DEGRADED, "the copy is whole, but %s had rotted in the copies before it: look for the "
                                                     "faults of the disk there",
                                  rotten);
        return status;
}
