/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/listen-fds.h"
#include "daemon/manager.h"
#include "daemon/options.h"

/* Payloads up to this size, the most that glibc takes here, come from a heap, which keeps so much at its end. */
#define HEAP_PAYLOAD_MAX (32 << 20)
#define HEAP_KEPT (32 << 20)

/* sysexits.h, as systemd.exec(5) knows them by name */
#define EXIT_USAGE 64
#define EXIT_CONFIG 78

static int block_signals(void)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        const struct sigaction ignore = { .sa_handler = SIG_IGN };
        return sigaction(SIGPIPE, &ignore, NULL) < 0 ? -errno : 0;
}

static int serve(const Options *options, Config *config)
{
        log_open("scenekeepd", config->session_name);
        manager_set_log(config);

        ListenFds sockets = LISTEN_FDS_INIT;
        int activated = listen_fds_take(&sockets);
        if (activated < 0)
                return activated;
        ManagerParameters parameters = {
                .options = options,
                .config = config,
                .sockets = activated ? &sockets : NULL,
                .set_aside = options->action == OPTIONS_SET_ASIDE,
        };
        Manager *m = NULL;
        int k = manager_new(&m, &parameters);
        if (k >= 0)
                k = manager_run(m);
        manager_free(m);
        listen_fds_close(&sockets);
        log_close();
        return k;
}

/* A burst of updates needs what the one before has used. Given back to the kernel at once, which glibc does beyond the size
 * of a few payloads, its pages would have to be cleared again: a tenth of the time that an update takes. What is free
 * when a burst is over is given back by the trimmer. */
static void keep_memory(void)
{
        mallopt(M_MMAP_THRESHOLD, HEAP_PAYLOAD_MAX);
        mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
}

int main(int argc, char **argv)
{
        _cleanup_(options_freep) Options *options = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL;

        int k = options_parse(argc, argv, &options, &error);
        if (k < 0) {
                fprintf(stderr, "scenekeepd: %s\n", error ?: strerror(-k));
                return EXIT_USAGE;
        }
        if (options->action == OPTIONS_HELP)
                return options_print_help(stdout), EXIT_SUCCESS;
        if (options->action == OPTIONS_VERSION)
                return printf("scenekeepd %s\n", PACKAGE_VERSION), EXIT_SUCCESS;

        k = config_load(options, &config, &error);
        if (k < 0) {
                fprintf(stderr, "%s\n", error ?: strerror(-k));
                return EXIT_CONFIG;
        }
        if (options->action == OPTIONS_CHECK_CONFIG)
                return config_print(config, stdout), EXIT_SUCCESS;

        keep_memory();
        k = block_signals();
        if (k < 0) {
                fprintf(stderr, "scenekeepd: cannot block signals: %s\n", strerror(-k));
                return EXIT_FAILURE;
        }
        return serve(options, config) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
