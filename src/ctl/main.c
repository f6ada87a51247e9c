/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/arguments.h"

int main(int argc, char **argv)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        Ctl ctl = {0};
        int r;

        /* Names are UTF-8 wherever they came from, so a "C" locale must not make us count their bytes. */
        if (!setlocale(LC_CTYPE, "") || strcmp(setlocale(LC_CTYPE, NULL), "C") == 0)
                setlocale(LC_CTYPE, "C.UTF-8");
        /* A daemon that goes away shows as an error of the call, not as our death. */
        sigaction(SIGPIPE, &ignore, NULL);
        r = arguments_parse(&ctl, argc, argv);
        if (r == -ENOMEM)
                r = ctl_fail(&ctl, CTL_FAILED, "out of memory");
        else if (r < 0)
                r = CTL_USAGE;
        else if (r == 0)
                r = ctl.verb->run(&ctl);
        else
                r = CTL_OK;
        arguments_done(&ctl);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "scenekeepctl: cannot write the answer: %s\n", strerror(errno));
                return r == CTL_OK ? CTL_FAILED : r;
        }
        return r;
}
