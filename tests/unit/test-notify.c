/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "test.h"

static int manager = -1; /* plays the service manager */

static int setup(void **state)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char name[64];
        int n = snprintf(name, sizeof(name), "scenekeep-notify-%d", getpid());

        /* an abstract name: nothing is left in the file system */
        memcpy(address.sun_path + 1, name, (size_t)n);
        manager = socket(AF_UNIX, SOCK_DGRAM, 0);
        assert_int_equal(bind(manager, (struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)), 0);
        name[0] = '@';
        snprintf(name, sizeof(name), "@scenekeep-notify-%d", getpid());
        return setenv("NOTIFY_SOCKET", name, 1);
}

static int teardown(void **state)
{
        return close(manager);
}

static const char *received(void)
{
        static char text[1024];
        ssize_t n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);

        text[n < 0 ? 0 : n] = '\0';
        return text;
}

static void test_life(void **state)
{
        notify_ready("0 users");
        assert_string_equal(received(), "READY=1\nSTATUS=0 users");
        notify_status("0 users");
        assert_string_equal(received(), "");
        notify_status("1 user\nREADY=1");
        assert_string_equal(received(), "STATUS=1 user");
        /* systemd takes no status that ends within a character. */
        char text[512], want[300];
        for (size_t i = 0; i < 254; i += 2)
                memcpy(text + i, "\xc3\xa4", 2);
        text[254] = '\0';
        strcat(text, "\xe2\x9c\x93!");
        snprintf(want, sizeof(want), "STATUS=%.254s", text);
        notify_status(text);
        assert_string_equal(received(), want);
        notify_extend_timeout(5000000);
        assert_string_equal(received(), "EXTEND_TIMEOUT_USEC=5000000");
        notify_watchdog();
        assert_string_equal(received(), "WATCHDOG=1");
        notify_stopping("saving");
        assert_string_equal(received(), "STOPPING=1\nSTATUS=saving");
}

static void test_reload_names_the_moment(void **state)
{
        unsigned long long usec = 0;
        struct timespec now;

        notify_reloading();
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_int_equal(sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
        assert_in_range((unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000 - usec, 0,
                        60000000);
        notify_reloaded();
        assert_string_equal(received(), "READY=1");
}

static void test_watchdog_interval(void **state)
{
        char pid[16];

        assert_int_equal(notify_watchdog_interval(), 0);
        snprintf(pid, sizeof(pid), "%d", getpid());
        setenv("WATCHDOG_PID", pid, 1);
        setenv("WATCHDOG_USEC", "30000000", 1);
        assert_int_equal(notify_watchdog_interval(), 30000000);
}

static void test_without_a_manager(void **state)
{
        unsetenv("NOTIFY_SOCKET");
        notify_ready("alone");
        assert_string_equal(received(), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life),
                cmocka_unit_test(test_reload_names_the_moment),
                cmocka_unit_test(test_watchdog_interval),
                cmocka_unit_test(test_without_a_manager),
        };
        return cmocka_run_group_tests_name("notify", tests, setup, teardown);
}
