#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a fresh Debian to five artists at work by typing what README.md says under "On a rented server", word for word.

    hosting.py README ROOT WORK

ROOT is a Debian with all packages that this needs in /srv/repo, and the project's repository in /srv/scenekeep.git.
"""

import os
import random
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from machine import Machine, wait_for  # noqa: E402

import session as session_module  # noqa: E402
from fleet import Fleet  # noqa: E402
from load import Load  # noqa: E402
from story import Installed  # noqa: E402
from values import item, new_uuid  # noqa: E402


def commands(readme):
    """What is to be typed, without the comments."""
    with open(readme, encoding="utf-8") as stream:
        section = re.search(r"^## On a rented server$(.*?)^## ", stream.read(), re.M | re.S).group(1)
    return section, [re.sub(r" {2,}# .*", "", line[4:]) for line in section.splitlines() if line.startswith("    ")]


def type_in(machine, lines):
    """Runs the lines in one shell, as somebody types them; returns what they say."""
    script = "\n".join(lines).replace("URL-OF-THIS-REPOSITORY", "file:///srv/scenekeep.git")
    done = subprocess.run(machine.command(["bash", "-ex"]), input=script.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=900, check=False)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, output[-6000:]
    return output


def main():
    readme, root, work = sys.argv[1:]
    section, lines = commands(readme)
    keystrokes = sum(len(line) + 1 for line in lines)
    machine = Machine(root, work)
    fleet = Fleet()
    try:
        machine.enter_network()
        begin = time.monotonic()
        output = type_in(machine, lines)
        print(f"# {keystrokes} keystrokes, {time.monotonic() - begin:.0f} s of the machine")
        print("ok - what README.md says about a rented server can be typed as it is")
        good = f"{keystrokes} keystrokes" in section
        print(f"{'ok' if good else 'not ok'} - README.md tells how many keystrokes these are ({keystrokes})")

        rng = random.Random(5)
        session_module.ADMIN_PASSWORD = re.search(r"^ *Admin password +(\S+)$", output, re.M).group(1)
        server = Installed(5555)
        server.server_password = "the password"
        nodes = [(new_uuid(rng), [], {**item(f"thing {i}", rng), "edits": {}}) for i in range(20)]
        session = session_module.Session(fleet, server, nodes)
        artists = [session.admin, *session.join("bert", "carl", "dora", "eva")]
        load = Load(fleet, artists, rng, shared=session.uuids)
        wait_for(lambda: load.edits >= 100, "edits", 30, lambda milliseconds: (load.turn(), fleet.pump(milliseconds // 10)))
        session.check_same()
        print("ok - five artists with the two passwords work on one scene")
    finally:
        fleet.close()
        machine.off()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
