/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/instances.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/repair.h"

static int is_instance(const struct dirent *e)
{
        return e->d_name[0] != '.' && e->d_type == DT_DIR && !strstr(e->d_name, REPAIR_NEW) &&
               !strstr(e->d_name, REPAIR_OLD);
}

int instances_scan(struct dirent ***ret)
{
        int n;

        *ret = NULL;
        n = scandir(PKGSTATEDIR, ret, is_instance, alphasort);
        return n < 0 && errno == ENOENT ? 0 : n;
}

char *instance_socket(const char *name, const char *data_dir, bool in_folder)
{
        _cleanup_free_ char *run = NULL, *own = NULL;

        if (asprintf(&own, "%s/control", data_dir) < 0) {
                own = NULL;
                return NULL;
        }
        if (asprintf(&run, "/run/scenekeep/%s/control", name) < 0) {
                run = NULL;
                return NULL;
        }
        /* Where neither is, the usual place is what messages should name. */
        in_folder = in_folder || (access(run, F_OK) != 0 && access(own, F_OK) == 0);
        return in_folder ? TAKE_PTR(own) : TAKE_PTR(run);
}

int instance_ctl_init(const Ctl *base, const char *name, Ctl *ret)
{
        Ctl one = *base;

        one.instance = name;
        if (asprintf(&one.data_dir, PKGSTATEDIR "/%s", name) < 0)
                return -ENOMEM;
        one.socket = instance_socket(name, one.data_dir, false);
        if (!one.socket) {
                free(one.data_dir);
                return -ENOMEM;
        }
        *ret = one;
        return 0;
}

void instance_ctl_done(Ctl *one)
{
        free(one->data_dir);
        free(one->socket);
}
