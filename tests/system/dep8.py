#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the autopkgtests of the package as a tester of Debian does: with the package and what their Depends ask for
installed, in the source's folder, on a booted machine.

    dep8.py SOURCE ROOT WORK

ROOT is a Debian with all of that in /srv/repo.
"""

import os
import re
import shutil
import sys

from machine import Machine


def fields(source):
    with open(os.path.join(source, "packaging/debian/tests/control"), encoding="utf-8") as stream:
        return dict(re.findall(r"^([A-Za-z-]+): *(.*)$", stream.read(), re.M))


def main():
    source, root, work = sys.argv[1:]
    control = fields(source)
    machine = Machine(root, work)
    good = True
    try:
        shutil.copytree(source, machine.root + "/srv/source")
        machine.run("apt-get", "update")
        machine.run("apt-get", "install", "-y", "--no-install-recommends",
                    *re.split("[, ]+", control["Depends"]), timeout=300)
        for name in control["Tests"].split():
            output = machine.try_run("env", "-C", "/srv/source", "packaging/debian/tests/" + name, timeout=600)
            if machine.status != 0:
                print("\n".join("# " + line for line in output.splitlines()))
            print(f"{'ok' if machine.status == 0 else 'not ok'} - the autopkgtest {name}")
            good &= machine.status == 0
    finally:
        machine.off()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
