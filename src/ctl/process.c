/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"

#define OUTPUT_MAX ((size_t)1 << 20)

extern char **environ;

typedef struct Stream {
        int fd; /* what is read; -1: closed */
        char *text;
        size_t size;
} Stream;

void process_result_done(ProcessResult *r)
{
        free(r->output);
        free(r->errors);
        *r = (ProcessResult){0};
}

/* What comes beyond the limit is read, so that the program can go on, and dropped. */
static int read_some(Stream *s)
{
        char chunk[4096], *text;
        ssize_t n = read(s->fd, chunk, sizeof(chunk));
        size_t keep;

        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        if (n == 0) {
                close(s->fd);
                s->fd = -1;
                return 0;
        }
        keep = MIN((size_t)n, OUTPUT_MAX - s->size);
        text = realloc(s->text, s->size + keep + 1);
        if (!text)
                return -ENOMEM;
        s->text = text;
        memcpy(text + s->size, chunk, keep);
        s->size += keep;
        text[s->size] = '\0';
        return 0;
}

static int read_all(Stream streams[static 2])
{
        while (streams[0].fd >= 0 || streams[1].fd >= 0) {
                struct pollfd p[2] = {{.fd = streams[0].fd, .events = POLLIN}, {.fd = streams[1].fd, .events = POLLIN}};
                int r = poll(p, 2, -1) < 0 && errno != EINTR ? -errno : 0;

                for (size_t i = 0; r == 0 && i < 2; i++)
                        if (p[i].revents != 0)
                                r = read_some(&streams[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int wait_for(pid_t child)
{
        int r, status;

        do
                r = waitpid(child, &status, 0);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The environment with LC_ALL=C; the strings stay environ's. */
static char **plain_environment(void)
{
        size_t n = 0, k = 0;
        char **copy;

        while (environ[n])
                n++;
        copy = calloc(n + 2, sizeof(*copy));
        for (size_t i = 0; copy && i < n; i++)
                if (strncmp(environ[i], "LC_ALL=", 7) != 0)
                        copy[k++] = environ[i];
        if (copy)
                copy[k] = (char *)"LC_ALL=C";
        return copy;
}

static int spawn(const char *const argv[], int output, int errors, pid_t *ret)
{
        _cleanup_free_ char **environment = plain_environment();
        posix_spawn_file_actions_t actions;
        int r = environment ? posix_spawn_file_actions_init(&actions) : ENOMEM;

        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
        if (r == 0)
                r = posix_spawnp(ret, argv[0], &actions, NULL, (char *const *)argv, environment);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

int process_run(const char *const argv[], bool show, ProcessResult *ret)
{
        int output[2] = {-1, -1}, errors[2] = {-1, -1}, r, k = 0;
        Stream streams[2] = {{.fd = -1}, {.fd = -1}};
        pid_t child;

        r = pipe2(output, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0 ? -errno : 0;
        if (r == 0)
                r = spawn(argv, show ? STDERR_FILENO : output[1], errors[1], &child);
        for (size_t i = 0; i < 2; i++) {
                int *ends = i == 0 ? output : errors;

                if (ends[1] >= 0)
                        close(ends[1]);
                streams[i].fd = ends[0];
        }
        if (r == 0) {
                r = read_all(streams);
                k = wait_for(child);
                if (r == 0)
                        r = MIN(k, 0);
        }
        for (size_t i = 0; i < 2; i++)
                if (streams[i].fd >= 0)
                        close(streams[i].fd);
        if (r < 0) {
                free(streams[0].text);
                free(streams[1].text);
                return r;
        }
        *ret = (ProcessResult){.status = k, .output = streams[0].text, .errors = streams[1].text};
        return 0;
}
