/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/instances.h"

#include <errno.h>
#include <string.h>

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
