/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/listen-fds.h"
#include "test.h"

#define OK(condition)                     \
        do {                              \
                if (!(condition))         \
                        return __LINE__ % 250 + 1; \
        } while (0)

static int listener(int type, bool listening)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, type, 0);

        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || (listening && listen(fd, 5) < 0))
                return -1;
        return fd;
}

static bool is_open(int fd)
{
        return fcntl(fd, F_GETFD) >= 0;
}

/* In a child: puts n sockets where systemd puts them and names them. */
static void hand_over(const int *fds, int n, const char *names)
{
        char text[16];
        int high[8];

        for (int i = 0; i < n; i++)
                high[i] = fcntl(fds[i], F_DUPFD, 100);
        for (int i = 0; i < n; i++)
                dup2(high[i], SD_LISTEN_FDS_START + i);
        snprintf(text, sizeof(text), "%d", getpid());
        setenv("LISTEN_PID", text, 1);
        snprintf(text, sizeof(text), "%d", n);
        setenv("LISTEN_FDS", text, 1);
        if (names)
                setenv("LISTEN_FDNAMES", names, 1);
}

/* The descriptors from 3 on belong to the case, so each runs in a process of its own; 0 is success, else the
 * line that failed (modulo 250). */
static void run(int (*body)(void))
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                int null = open("/dev/null", O_WRONLY);
                dup2(null, STDERR_FILENO);
                _exit(body());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static int by_name(void)
{
        int fds[3] = {listener(SOCK_STREAM, true), listener(SOCK_STREAM, true), listener(SOCK_STREAM, true)};
        ListenFds l = LISTEN_FDS_INIT;

        hand_over(fds, 3, "ttl:command:data");
        OK(listen_fds_take(&l) == 1);
        OK(l.ttl == 3 && l.command == 4 && l.data == 5);
        OK(l.port > 0);
        OK(fcntl(l.command, F_GETFL) & O_NONBLOCK);
        OK(fcntl(l.command, F_GETFD) & FD_CLOEXEC);
        OK(!getenv("LISTEN_FDS"));
        listen_fds_close(&l);
        OK(l.command == -1 && !is_open(4));
        return 0;
}

static int by_order(void)
{
        int fds[3] = {listener(SOCK_STREAM, true), listener(SOCK_STREAM, true), listener(SOCK_STREAM, true)};
        ListenFds l = LISTEN_FDS_INIT;

        hand_over(fds, 3, "scenekeep.socket:scenekeep.socket:scenekeep.socket");
        OK(listen_fds_take(&l) == 1);
        OK(l.command == 3 && l.data == 4 && l.ttl == 5);
        return 0;
}

static int strangers_are_closed(void)
{
        int fds[5] = {listener(SOCK_STREAM, true), listener(SOCK_STREAM, true), listener(SOCK_STREAM, true),
                      listener(SOCK_STREAM, true), listener(SOCK_STREAM, true)};
        ListenFds l = LISTEN_FDS_INIT;

        hand_over(fds, 5, "web:command:data:ttl:data");
        OK(listen_fds_take(&l) == 1);
        OK(l.command == 4 && l.data == 5 && l.ttl == 6);
        OK(!is_open(3) && !is_open(7));
        return 0;
}

static int unfit_ones_leave_nothing_open(void)
{
        int fds[3] = {listener(SOCK_DGRAM, false), listener(SOCK_STREAM, false), listener(SOCK_STREAM, true)};
        ListenFds l = LISTEN_FDS_INIT;

        hand_over(fds, 3, "command:data:ttl");
        OK(listen_fds_take(&l) == -EINVAL);
        OK(l.command == -1);
        OK(!is_open(3) && !is_open(4) && !is_open(5));
        return 0;
}

static int one_is_missing(void)
{
        int fds[2] = {listener(SOCK_STREAM, true), listener(SOCK_STREAM, true)};
        ListenFds l = LISTEN_FDS_INIT;

        hand_over(fds, 2, "command:data");
        OK(listen_fds_take(&l) == -EINVAL);
        OK(!is_open(3) && !is_open(4));
        return 0;
}

static int nothing_was_handed_over(void)
{
        ListenFds l = LISTEN_FDS_INIT;

        unsetenv("LISTEN_FDS");
        OK(listen_fds_take(&l) == 0);
        return 0;
}

static void test_by_name(void **state)
{
        run(by_name);
}

static void test_by_order(void **state)
{
        run(by_order);
}

static void test_strangers_are_closed(void **state)
{
        run(strangers_are_closed);
}

static void test_unfit_ones_leave_nothing_open(void **state)
{
        run(unfit_ones_leave_nothing_open);
}

static void test_one_is_missing(void **state)
{
        run(one_is_missing);
}

static void test_nothing_was_handed_over(void **state)
{
        run(nothing_was_handed_over);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_by_name),
                cmocka_unit_test(test_by_order),
                cmocka_unit_test(test_strangers_are_closed),
                cmocka_unit_test(test_unfit_ones_leave_nothing_open),
                cmocka_unit_test(test_one_is_missing),
                cmocka_unit_test(test_nothing_was_handed_over),
        };
        return cmocka_run_group_tests_name("listen-fds", tests, NULL, NULL);
}
