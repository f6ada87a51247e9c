#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of README.md for high availability: two machines, of which Pacemaker has one serve the session.

    pacemaker.py README ROOT WORK

ROOT is a Debian with the package, corosync, pacemaker, pcs and resource-agents. Not as in the recipe: both machines see
one folder instead of a replicated disk, and there is no fencing, since a machine here is known to be dead when it is killed.
The users are in a network of their own, with a bridge that both machines are plugged into.
"""

import ctypes
import os
import random
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from machine import CLONE_NEWNET, Machine, wait_for  # noqa: E402

from package import Debian  # noqa: E402
from story import Story  # noqa: E402

ADDRESS = "10.77.0.100"
NAMES = ("one", "two")
COROSYNC = """totem {{
        version: 2
        cluster_name: keep
        transport: knet
        token: 1000
}}
nodelist {{
{nodes}}}
quorum {{
        provider: corosync_votequorum
        two_node: 1
        wait_for_all: 0
}}
system {{
        sched_rr: no
}}
logging {{
        to_syslog: yes
}}
"""
NODE = "        node {{\n                name: {name}\n                nodeid: {number}\n                ring0_addr: 10.77.0.{number}\n        }}\n"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def recipe(readme):
    """The commands of pcs in the README, with the folder and the address that this network has."""
    with open(readme, encoding="utf-8") as stream:
        section = re.search(r"^\*\*High availability\.\*\*(.*?)^\*\*", stream.read(), re.M | re.S).group(1)
    text = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    for there, here in (("device=/dev/drbd0", "device=/srv/shared"), ("fstype=ext4", "fstype=none options=bind"),
                        ("203.0.113.7", ADDRESS), ("sudo ", "")):
        assert there in text, there
        text = text.replace(there, here)
    return text


class Cluster(Story):
    """The users of a story, whose server is at the cluster's address."""

    def __init__(self, machines):
        super().__init__(machines[0], None)
        self.machines = dict(zip(NAMES, machines))
        self.server.address = ADDRESS, [5555, 5556, 5557]

    def form(self):
        """two machines form a cluster"""
        ip("link", "add", "bridge", "type", "bridge")
        ip("link", "set", "lo", "up")
        ip("addr", "add", "10.77.0.9/24", "dev", "bridge")
        ip("link", "set", "bridge", "up")
        nodes = "".join(NODE.format(name=name, number=number) for number, name in enumerate(NAMES, 1))
        for number, (name, machine) in enumerate(self.machines.items(), 1):
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(machine.pid))
            ip("link", "set", name, "master", "bridge", "up")
            machine.run("ip", "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            machine.run("ip", "link", "set", "eth0", "up")
            machine.run("hostname", name)
            machine.write("/etc/corosync/corosync.conf", COROSYNC.format(nodes=nodes))
        for machine in self.machines.values():
            machine.run("systemctl", "restart", "corosync")
            machine.run("systemctl", "restart", "pacemaker")
        wait_for(lambda: "Online: [ one two ]" in self.machine.try_run("crm_mon", "-1"), "the cluster", 90)

    def serve(self, readme):
        """the recipe's commands make it serve the session from one of them"""
        self.machine.run("pcs", "property", "set", "stonith-enabled=false")
        lines = recipe(readme)
        stop, rest = lines.split("\n", 1)
        for machine in self.machines.values():
            machine.run("sh", "-ec", stop)
        self.machine.run("sh", "-ec", rest)
        self.machine.run("pcs", "constraint", "location", "scenekeep", "prefers", "one=50")
        wait_for(lambda: self.where() == "one", "the resources to be started", 90)

    def where(self):
        """The machine on which everything runs, or None."""
        for machine in self.machines.values():
            text = machine.try_run("crm_mon", "-1", "-r")
            if machine.status == 0:
                places = re.findall(r"keep-\w+\s+\(\S+\):\s+Started (\w+)", text)
                return places[0] if len(places) == 3 and len(set(places)) == 1 else None
        return None

    def work_there(self):
        """users find the session at the cluster's address and work"""
        self.begin_work(Debian.password_file)

    def _moves(self, act, to):
        begin = time.monotonic()
        seen = sum(self.load.seen.values())
        for user in self.session.users:
            user.longest_silence = 0.0
        act()
        wait_for(lambda: self.where() == to, f"everything to run on {to}", 90, self._keep_on)
        print(f"# all resources run on {to} {time.monotonic() - begin:.1f} s later")
        wait_for(lambda: sum(self.load.seen.values()) > seen or not self._there(), "edits to arrive again", 60, self._keep_on)
        self.work(2)
        print(f"# {len(self._there())} of {len(self.session.users)} users stayed, and heard nothing for "
              f"{max(user.longest_silence for user in self.session.users):.1f} s at most")

    def _there(self):
        return [user for user in self.session.users if user.state == "active" and not user.fatal]

    def move(self):
        """a machine is made to stand by: the other one serves, nobody is dropped, nothing is lost"""
        self._moves(lambda: self.machine.run("pcs", "node", "standby", "one"), "two")
        self.everybody_is_there("after the move")
        self.nothing_is_lost()

    def recover(self):
        """a killed server is back on the same machine, and the cluster does not mind"""
        # Who stood by may serve again, but what runs stays where it is.
        self.machine.run("pcs", "constraint", "location", "scenekeep", "prefers", "two=100")
        self.machine.run("pcs", "node", "unstandby", "one")
        self.machines["two"].run("systemctl", "kill", "--signal=KILL", "scenekeep")
        self.work(3)
        assert self.where() == "two"
        self.everybody_is_there("after the kill")
        self.nothing_is_lost()

    def lose_a_machine(self):
        """a machine dies: the other one serves the session with everything that anybody saw"""
        self._moves(self.machines["two"].kill, "one")
        newcomer = self.session.connect("newcomer", timeout=60).wait_state("active")
        missing = self.load.missing_from(newcomer.nodes)
        assert not missing, missing[:5]
        newcomer.disconnect()
        for user in set(self.session.users) - set(self._there()):
            self.session.connect(user.name + " again", timeout=60).wait_state("active")


def main():
    readme, root, work = sys.argv[1:]
    shared = os.path.join(work, "shared")
    os.makedirs(shared)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot make a network")
    machines = []
    step = main
    good = True
    try:
        for name in NAMES:
            os.makedirs(os.path.join(work, name))
            machines.append(Machine(root, os.path.join(work, name), shared))
        cluster = Cluster(machines)
        steps = [(cluster.form,), (cluster.serve, readme), (cluster.work_there,), (cluster.move,), (cluster.recover,),
                 (cluster.lose_a_machine,)]
        for step, *arguments in steps:
            begin = time.monotonic()
            step(*arguments)
            print(f"# {time.monotonic() - begin:.1f} s\nok - {step.__doc__}", flush=True)
        cluster.fleet.close()
    except Exception:  # pylint: disable=broad-except
        good = False
        for machine in machines:
            print(machine.try_run("sh", "-c", "crm_mon -1 -r; journalctl --no-pager -n 40"), file=sys.stderr)
        print(f"not ok - {step.__doc__}")
        raise
    finally:
        for machine in machines:
            machine.kill()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
