#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a fresh Debian to five artists at work by typing what README.md says under "On a rented server", word for word.

    hosting.py README ROOT WORK [KEYS_PER_SECOND]

ROOT is a Debian with all packages that this needs in /srv/repo, and the project's repository in /srv/scenekeep.git. Who types
60 words a minute types five keys a second.
"""

import os
import pty
import random
import re
import select
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


class Terminal:
    """A terminal of the machine with a shell in it, at which somebody types so many keys a second."""

    # The shell tells with each prompt how the last command has ended.
    PROMPT = re.compile(r"\[(\d+)\]\$ $")

    def __init__(self, machine, keys_per_second):
        self.keys_per_second = keys_per_second
        self.keystrokes = 0
        self.typing = 0.0
        self.said = ""
        command = machine.command(["env", "TERM=dumb", "HOME=/root", "PS1=[$?]$ ", "bash", "--norc", "--noediting", "-i"])
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execvp(command[0], command)
        self._wait_for_prompt()

    def _wait_for_prompt(self):
        deadline = time.monotonic() + 900
        while not self.PROMPT.search(self.said):
            if not select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(self.said[-6000:])
            self.said += os.read(self._fd, 65536).decode("utf-8", "replace").replace("\r", "")

    def type_in(self, line):
        """What it answers is in `said` then."""
        begin = time.monotonic()
        self.said = ""
        for key in line + "\n":
            os.write(self._fd, key.encode())
            self.keystrokes += 1
            time.sleep(1 / self.keys_per_second)
        self.typing += time.monotonic() - begin
        self._wait_for_prompt()
        assert self.PROMPT.search(self.said).group(1) == "0", self.said[-6000:]
        return self.said

    def close(self):
        os.close(self._fd)
        os.waitpid(self._pid, 0)


def main():
    readme, root, work = sys.argv[1:4]
    pace = float(sys.argv[4]) if len(sys.argv) > 4 else 100.0
    section, lines = commands(readme)
    machine = Machine(root, work)
    fleet = Fleet()
    try:
        machine.enter_network()
        begin = time.monotonic()
        machine.run("ln", "-s", "/srv/scenekeep.git", "/URL-OF-THIS-REPOSITORY")
        terminal = Terminal(machine, pace)
        output = "".join(terminal.type_in(line) for line in lines)
        terminal.close()
        print(f"# {terminal.keystrokes} keystrokes, typed in {terminal.typing:.0f} s at {pace:g} a second; "
              f"{time.monotonic() - begin - terminal.typing:.0f} s of the machine")
        print("ok - what README.md says about a rented server can be typed as it is")
        good = f"{terminal.keystrokes} keystrokes" in section
        print(f"{'ok' if good else 'not ok'} - README.md tells how many keystrokes these are ({terminal.keystrokes})")

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
